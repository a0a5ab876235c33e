"""Exports in this process: what a form writes, run by its own runtime, against the plain model."""

import numpy as np
import pytest

import distil
from distil.checkpoints.located import locate
from distil.common.sentences import POOLINGS
from distil.errors import ExportError
from distil.exporting.forms import FORMS
from distil.exporting.source import make_source
from distil.optimization import calibration_of
from distil.pipelines.embeddings import _POOLED
from support.models import ALL_TASKS, batch_for, build, config_for

# The tasks, and sentence embeddings by their pooling.
EVERY_TASK = (*ALL_TASKS, *POOLINGS)


def saved(folder, task, *, framework="pt", **changes):
    """A checkpoint without a tokenizer, and its model in float64."""
    model = build(framework, config_for(task, **changes), task, dtype="float64")
    model.save_pretrained(folder)
    return model


def written(checkpoint, folder, form, dtype="float32", *, task=None, pooling=None):
    """An export that nobody has proven, in its runtime."""
    folder.mkdir(exist_ok=True)
    with locate(checkpoint) as found:
        calibration = calibration_of(found.config, found.folder, None)
        source = make_source(found, task, pooling, calibration)
        return FORMS[form].module.open_runtime(FORMS[form].module.write(source, folder, dtype))


def cut_in_half(write):
    """A form's `write`, the largest of whose files then loses its second half."""

    def cut(source, folder, dtype):
        path = write(source, folder, dtype)
        files = [one for one in folder.rglob("*") if one.is_file()]
        largest = max(files, key=lambda one: one.stat().st_size)
        largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
        return path

    return cut


def check_a_cut_file_is_not_left(folder, form, monkeypatch):
    """Export to a form whose file loses its second half: its runtime refuses it, and it goes."""
    saved(folder / "model", "sequence-classification")
    module = FORMS[form].module
    monkeypatch.setattr(module, "write", cut_in_half(module.write))
    with pytest.raises(ExportError, match="cannot run the export, and nothing of it is left"):
        distil.export(folder / "model", folder / "export", form)
    assert [path.name for path in folder.iterdir()] == ["model"]


def outputs(model, batch):
    """What a model of PyTorch gives, as arrays."""
    import torch

    with torch.no_grad():
        found = model(**{name: torch.from_numpy(array) for name, array in batch.items()})
    return {name: value.numpy() for name, value in found.items()}


def pooled(states, mask, pooling, *, normalize=True):
    """Vectors, by the pipeline's own pooling."""
    rows = [own[shown] for own, shown in zip(states, mask, strict=True)]
    vectors = np.stack([_POOLED[pooling](row) for row in rows])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors


class Case:
    """A checkpoint for a task or a pooling, a batch, and what the plain model gives for it."""

    def __init__(self, folder, task, mask="ragged"):
        self.folder = folder
        self.pooling = task if task in POOLINGS else None
        self.kind = "base" if self.pooling else task
        self.task = "sentence-embeddings" if self.pooling else task
        model = saved(folder, self.kind)
        self.batch = batch_for(model.config, self.kind, mask=mask, labels=False)
        self.shown = self.batch["attention_mask"] != 0
        self.expected = outputs(model, self.batch)
        if self.pooling:
            states = self.expected["last_hidden_state"]
            self.expected = {"sentence_embedding": pooled(states, self.shown, self.pooling)}

    def export(self, folder, form, dtype="float32"):
        """The checkpoint's export, in its runtime."""
        return written(self.folder, folder, form, dtype, task=self.task, pooling=self.pooling)

    def tokens(self, array):
        """Where an output has a token; everywhere if it is not of tokens."""
        of_tokens = array.shape[:2] == self.shown.shape and self.kind != "multiple-choice"
        return self.shown if of_tokens else ...

    def check(self, found, *, rtol=1e-4, atol=1e-5):
        """Names, types and shapes, then numbers where there is a token."""
        assert found.keys() == self.expected.keys()
        for name, values in found.items():
            own = self.expected[name]
            assert (values.dtype, values.shape) == (np.float32, own.shape)
            place = self.tokens(own)
            np.testing.assert_allclose(values[place], own[place], rtol=rtol, atol=atol)
