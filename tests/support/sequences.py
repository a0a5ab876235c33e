"""Sequences of several lengths, and what a plain model says of them."""

from functools import partial

import numpy as np

from distil.common.inference.calibration import Calibration
from distil.common.tasks import TASKS

LENGTHS = (5, 1, 9, 9, 20, 3, 5, 5, 12)


def sequences_of(config, lengths=LENGTHS):
    """Random token ids, a list for each length."""
    random = np.random.default_rng(5)
    return [random.integers(0, config.vocab_size, length).tolist() for length in lengths]


def padded(sequences, choices=False):
    """The sequences as input_ids and attention_mask; of multiple choice, one choice a row."""
    width = max(map(len, sequences))
    ids = np.array([[*one, *[0] * (width - len(one))] for one in sequences])
    mask = np.array([[1] * len(one) + [0] * (width - len(one)) for one in sequences])
    batch = {"input_ids": ids, "attention_mask": mask}
    return {name: array[:, None] for name, array in batch.items()} if choices else batch


def scores_of(task, output, sequences):
    """What `InferenceModel.score` has to give, from a model's output for `padded` sequences."""
    if task == "question-answering":
        logits = np.stack([np.asarray(output.start_logits), np.asarray(output.end_logits)], -1)
    else:
        logits = np.asarray(output[0])
    if TASKS[task].reads_first:
        return list(logits)
    return [row[: len(one)] for row, one in zip(logits, sequences, strict=True)]


def ranges_of(model, sequences):
    """The ranges that int8 needs of a PyTorch model, measured on sequences."""
    from distil.pt.inference.calibration import observe

    calibration = Calibration(sequences=lambda: sequences, cache=None)
    return calibration.ranges(
        dict(model.named_arrays()), model.config, model.task, by="pt",
        observe=partial(observe, model),
    )  # fmt: skip
