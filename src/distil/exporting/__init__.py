"""`export`: a model in the forms that devices and servers run, proven by their own runtimes.

A form is a row of the table in `distil.exporting.forms` and a module of the same name in this
package, which holds two functions: `write(source, folder, dtype)` writes the model below a folder
and gives the file or folder that the runtime opens; `open_runtime(path)` gives what is called with
input_ids and attention_mask (int64 arrays) and returns arrays by the names in `source.outputs`.
Everything else is the same for all: the weights (`distil.exporting.source`), the proof
(`distil.exporting.proof`), config.json, the tokenizer, and a folder that is there whole or not at
all (`distil.exporting.folder`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from distil import api
from distil.benchmarking.workers import WorkerError
from distil.checkpoints.beside import Beside, tokenizer_files
from distil.checkpoints.located import Located, locate
from distil.common.config_files import FILE_NAME
from distil.common.inference.calibration import sample_texts
from distil.common.rules import as_list
from distil.common.tasks import bundled_for
from distil.errors import ExportError, InputError
from distil.exporting.folder import described, digest, place, scratch, types_there
from distil.exporting.forms import FORMS, Form, check_dtype, find_form
from distil.exporting.proof import prove
from distil.exporting.result import Exported
from distil.exporting.source import INPUTS, Source, make_source
from distil.optimization import calibration_of
from distil.storage.hub import HubOptions, bundled

__all__ = ["FORMS", "Exported", "export"]


def export(
    name: str | Path | None,
    folder: str | Path,
    to: str = "onnx",
    *,
    dtype: str = "float32",
    task: str | None = None,
    pooling: str | None = None,
    calibration: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    check: bool = True,
    progress: Callable[[str], None] = lambda doing: None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Exported:
    """Write a model in a form that other programs run, and prove it.

    After it was written, the form's own runtime runs it in a process of its own, over batches of
    many sizes and over texts, and is compared with the plain model in float64.  What was found goes
    into export.json.  An export that falls short is removed.

    Args:
        name: As in `distil.load`; None takes the model that comes with the package for the task.
        folder: To write: a new or an empty one, or that of an export of the same model in the same
            form, which then holds one type more.
        to: The form, a name of `distil.exporting.FORMS`.
        dtype: "float32"; "float16" stores matrices in half (and computes so with "pt2" and
            "savedmodel"); "int8" computes linear layers in bytes, and for "onnx" and "openvino"
            stores embeddings so.
        task: As in `distil.load`; None takes the checkpoint's own.  "sentence-embeddings" gives
            one vector of length one for each text.
        pooling: Of sentence embeddings, see `distil.pipelines.embeddings`; None takes what a folder
            of sentence-transformers says, else "mean".
        calibration: Texts like those to come, for int8 of "onnx" and "openvino"; None takes the
            ranges that the checkpoint comes with, else a sample of English sentences.
        texts: To prove it on; None takes that sample.
        check: Prove it; without, export.json says that nothing was proven.
        progress: Called with what is being done.
        revision: As in `distil.load`, like all that follow.
        cache_dir: Where files from the hub are kept.
        local_files_only: Do not ask the hub.
        token: For the hub.

    Raises:
        ExportError: It falls short of what its type admits, or its runtime cannot run it; nothing
            of it is left.
        WeightsError: The checkpoint lacks weights, or has no trained head for the task.
        InputError: There is no such form, type, task or pooling, or texts are missing.
        FrameworkError: What writes or runs the form is not installed.
        CheckpointError: The folder holds something else, or cannot be written.
        DistilError: The checkpoint cannot be read; see `distil.load`.
    """
    form, target = find_form(to), Path(folder)
    check_dtype(form, dtype)
    given = f"form {to!r}, dtype {dtype!r}, check {check}"
    calibration = _texts(
        calibration, "calibration", given, used=dtype == "int8" and form.calibrates
    )
    texts = _texts(texts, "texts", given, used=check)
    form.check_installed()
    options = HubOptions(
        revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    origin = name
    if origin is None:
        name = bundled_for(task)
        origin = bundled()[name]  # whatever folder of that name there is
    with locate(origin, options) as found:
        source = make_source(
            found, task, pooling, calibration_of(found.config, found.folder, calibration)
        )
        identity = _identity(source, form, dtype)
        types_there(target, identity, dtype)
        with scratch(target) as temporary:
            progress("writing")
            begin = time.perf_counter()
            path = form.module.write(source, temporary, dtype)
            exported = Exported(
                name=str(name), folder=str(target), form=form.name, dtype=dtype,
                task=source.task.name, pooling=source.pooling, files=described(temporary),
                seconds=time.perf_counter() - begin, versions=form.versions, proof=None,
            )  # fmt: skip
            if check:
                sequences = _sequences(source, texts)
                exported = _proven(exported, source, form, path, sequences, progress)
            if not (temporary / FILE_NAME).exists():  # unless the form writes its own
                _add_config_and_tokenizer(source, temporary)
            table = exported.to_dict()
            entry = {key: table[key] for key in ("files", "seconds", "versions", "proof")}
            place(temporary, target, identity, dtype, entry)
    return exported


def _texts(
    texts: Sequence[str] | None, what: str, given: str, *, used: bool
) -> Sequence[str] | None:
    """Texts that are to be used, if there are any.

    Raises:
        InputError: They would not be used, are none, or are no list.
    """
    if texts is None:
        return None
    if not used:
        raise InputError(f"{what} would not be used", expected="none", found=given, where=what)
    found = as_list(texts, what)
    if not found:
        raise InputError(f"{what} holds no text", expected="at least one", where=what)
    return found


def _identity(source: Source, form: Form, dtype: str) -> dict[str, Any]:
    """What of export.json all types in a folder share."""
    axes = list(source.input_axes)
    return {
        "form": form.name,
        "task": source.task.name,
        "pooling": source.pooling,
        "inputs": dict.fromkeys(INPUTS, axes),
        "outputs": {name: list(axes) for name, axes in source.outputs.items()},
        "encoding": None if source.encoding is None else asdict(source.encoding),
        "source": {path.name: digest(path) for path in _files(source.found)},
    } | ({"dtype": dtype} if form.alone else {})


def _files(found: Located) -> list[Path]:
    """The files of a checkpoint that an export is made of."""
    return [*found.checkpoint.files, found.folder / FILE_NAME, *tokenizer_files(found.folder)]


def _sequences(source: Source, texts: Sequence[str] | None) -> list[Any]:
    """Token ids of the texts for the proof; none where there is no tokenizer and none was given."""
    if texts is None and not Beside.of(source.found).tokenizer:
        return []
    tokenizer = api.load_tokenizer(source.found.folder)
    limit = source.config.max_position_embeddings
    given = sample_texts() if texts is None else list(texts)
    found = tokenizer(given, truncation=True, max_length=limit)["input_ids"]
    return [np.asarray(ids, np.int64) for ids in found]


def _proven(
    exported: Exported, source: Source, form: Form, path: Path, texts: Sequence[Any],
    progress: Callable[[str], None],
) -> Exported:  # fmt: skip
    """An export with its proof.

    Raises:
        ExportError: It falls short, or cannot be run.
    """
    try:
        proof = prove(source, form, path, exported.dtype, texts, progress)
    except WorkerError as error:
        raise ExportError(
            f"{form.runtime} cannot run the export, and nothing of it is left",
            found=error.problem if error.found is None else f"{error.problem}: {error.found}",
            where=exported.folder,
        ) from error  # fmt: skip
    exported = replace(exported, proof=proof)
    if not proof.holds:
        worst = next(one for one in proof.findings if not one.holds(proof.limits))
        short = ExportError(
            "the export does not give what the plain model gives, and nothing of it is left",
            expected=f"{proof.limits}", found=f"{worst}", where=exported.folder,
        )  # fmt: skip
        short.exported = exported
        raise short
    return exported


def _add_config_and_tokenizer(source: Source, folder: Path) -> None:
    """Put config.json and the tokenizer's files beside the model, as transformers.js needs them."""
    source.config.replace(architectures=[source.task.class_name]).save_pretrained(folder)
    # What a folder of sentence-transformers says of pooling is in the graph already.
    beside = replace(Beside.of(source.found), encoding=None)
    copied = {path.name for path in beside.copy(folder, dim=source.config.dim)}
    if copied and not {"tokenizer.json", "tokenizer_config.json"} <= copied:
        api.load_tokenizer(source.found.folder).save_pretrained(folder)
