"""`predict`: what a model says about texts, in its simplest form.

One model, padded batches, each text in one row.  `distil.readout` says what outputs mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distil import api
from distil.common import hub
from distil.common.config import DistilBertConfig
from distil.common.errors import CheckpointWarning, InputError, WeightsError
from distil.common.measurement import flatten
from distil.common.tasks import Task, find_task
from distil.inspection import missing_head
from distil.readout import READERS, Result, Row

Array = NDArray[Any]

# float32 differs by less than 1e-5 of the largest logit, and these are seldom above 10.
LARGEST_DIFFERENCE = 1e-4

_ROWS_AT_ONCE = 16
# The argument that holds what goes with each text.
_SECOND = {
    "sequence-classification": "pair",
    "question-answering": "context",
    "multiple-choice": "choices",
}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What `predict` gives.

    Attributes:
        task: What the model was loaded for.
        frameworks: Those that ran: "pt", "tf" or both.
        results: One for each text; of the first framework.
        difference: The largest difference between the outputs of the two frameworks, at padding
            left out; None where one ran.
    """

    task: str
    frameworks: tuple[str, ...]
    results: tuple[Result, ...]
    difference: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether two frameworks gave the same; True where one ran."""
        return self.difference is None or self.difference <= LARGEST_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers."""
        finite = self.difference is not None and isfinite(self.difference)
        return {
            "task": self.task,
            "frameworks": list(self.frameworks),
            "difference": self.difference if finite else None,
            "agrees": self.agrees,
            "results": [asdict(result) for result in self.results],
        }


def predict(
    name: str | Path,
    texts: str | Sequence[str],
    *,
    task: str | None = None,
    framework: str | None = None,
    pair: str | Sequence[str] | None = None,
    context: str | Sequence[str] | None = None,
    choices: Sequence[str] | None = None,
    top_k: int = 5,
    **options: Any,
) -> Prediction:
    """Load a model and let it say what it can about texts.

    Args:
        name: As in `distil.load`.
        texts: One or several: what is classified, embedded or has masks; questions; prompts.
        task: As in `distil.load`; the checkpoint has to have the head for it.
        framework: As in `distil.load`, or "both" to run both and compare their outputs.
        pair: Second texts for a sequence classifier, one for each text or one for all.
        context: Where to look for answers, one for each question or one for all.
        choices: What each prompt may go on with, at least two.
        top_k: How many labels or words to give.
        **options: Further ones of `distil.load`.

    Returns:
        The results, one for each text, in their order.

    Raises:
        InputError: A text is empty, or lacks its mask or context; or an argument is impossible.
        WeightsError: The checkpoint has no head for the task; a random one predicts nothing.
        DistilError: The checkpoint cannot be loaded; see `distil.load`.

    Warns:
        UserWarning: Texts are longer than the model takes, and are cut.
    """
    texts = _texts(texts, "texts")
    if top_k < 1:
        raise InputError("nothing to give", expected="at least 1", found=top_k, where="top_k")
    frameworks = ("pt", "tf") if framework == "both" else (api.find_framework(framework),)
    for one in frameworks:
        api.import_framework(one)
    hub_options, options = hub.split_options(options)
    folder = hub.snapshot(name, **hub_options)
    config = DistilBertConfig.from_pretrained(folder)
    chosen = api.task_of_checkpoint(config, name) if task is None else find_task(task)
    seconds = _seconds(chosen, texts, {"pair": pair, "context": context, "choices": choices})
    _check_head(folder, config, chosen, name)
    tokenizer = api.load_tokenizer(folder)
    limit = min(tokenizer.model_max_length, config.max_position_embeddings)
    _warn_of_long_texts(tokenizer, chosen, texts, seconds, limit)

    parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(texts), _ROWS_AT_ONCE)]
    batches = [_encode(tokenizer, chosen, texts[part], seconds[part], limit) for part in parts]
    # For each framework, a list of outputs for each batch.
    runs: list[list[dict[str, Array]]] = []
    for one in frameworks:
        with warnings.catch_warnings():
            if runs:  # the first framework has said what there is to say about the checkpoint
                warnings.simplefilter("ignore", CheckpointWarning)
            model = api.load(folder, framework=one, task=chosen.name, **options)
        runs.append([_run(model, batch) for batch in batches])

    results: list[Result] = []
    for part, batch, outputs in zip(parts, batches, runs[0], strict=True):
        rows_of_a_text = len(batch.encodings) // len(texts[part])
        for number, text in enumerate(texts[part]):
            row = Row(
                text=text,
                second=seconds[part][number],
                encoding=batch.encodings[number * rows_of_a_text],
                outputs={field: values[number] for field, values in outputs.items()},
                config=config,
                tokenizer=tokenizer,
                top_k=top_k,
            )
            results.append(READERS[chosen.name](row))
    return Prediction(
        task=chosen.name,
        frameworks=frameworks,
        results=tuple(results),
        difference=_largest_difference(batches, *runs) if len(runs) > 1 else None,
    )


def _texts(texts: str | Sequence[str], where: str) -> list[str]:
    found = [texts] if isinstance(texts, str) else list(texts)
    if not found:
        raise InputError("there is no text", expected="at least one", where=where)
    for number, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                "this is no text", expected="a string that is not blank",
                found=repr(text), where=f"{where}[{number}]",
            )  # fmt: skip
    return found


def _seconds(task: Task, texts: Sequence[str], given: dict[str, Any]) -> list[Any]:
    """What goes with each text: a second text, a list of choices, or None.

    Raises:
        InputError: The task needs something that is not given, or has no use for what is.
    """
    wanted = _SECOND.get(task.name, "")
    for name, value in given.items():
        if value is not None and name != wanted:
            raise InputError(
                f"{name} means nothing here", found=f"a model for {task.name}", where=name,
                fix=f"pass {wanted} instead" if wanted else "leave it out",
            )  # fmt: skip
    value = given.get(wanted)
    if value is None:
        if wanted in ("context", "choices"):
            raise InputError(f"{task.name} needs {wanted}", found="none", where=wanted)
        return [None] * len(texts)
    seconds = _texts(value, wanted)
    if wanted == "choices":
        if len(seconds) == 1:
            raise InputError(
                "there is nothing to choose from",
                expected="at least two choices", found=1, where=wanted,
            )  # fmt: skip
        return [seconds] * len(texts)
    if len(seconds) not in (1, len(texts)):
        raise InputError(
            f"texts and {wanted} do not go together",
            expected=f"one for all, or one for each of {len(texts)} texts",
            found=len(seconds), where=wanted,
        )  # fmt: skip
    return seconds * (len(texts) // len(seconds))


def _check_head(folder: Path, config: DistilBertConfig, task: Task, name: str | Path) -> None:
    """Refuse a checkpoint whose head for the task would be random."""
    problem = missing_head(folder, config, task)
    if problem is not None:
        raise WeightsError(
            f"this checkpoint has no trained head for {task.name}, and a random one predicts "
            "nothing",
            found=problem, where=name,
            fix="take a checkpoint trained for it; `distil info` shows what this one is for",
        )  # fmt: skip


def _rows(task: Task, texts: Sequence[str], seconds: Sequence[Any]) -> tuple[list[str], Any]:
    """First and second texts as the tokenizer takes them; a prompt has a row for each choice."""
    if task.name == "multiple-choice":
        first = [text for text, choices in zip(texts, seconds, strict=True) for _ in choices]
        return first, [choice for choices in seconds for choice in choices]
    return list(texts), None if seconds[0] is None else list(seconds)


def _warn_of_long_texts(
    tokenizer: Any, task: Task, texts: Sequence[str], seconds: Sequence[Any], limit: int
) -> None:
    ids = tokenizer(*_rows(task, texts, seconds), verbose=False)["input_ids"]
    long = sum(len(row) > limit for row in ids)
    if long:
        warnings.warn(
            f"{long} of {len(ids)} texts are longer than the {limit} tokens that the model takes, "
            "and are cut there",
            stacklevel=3,
        )


def _encode(
    tokenizer: Any, task: Task, texts: Sequence[str], seconds: Sequence[Any], limit: int
) -> Any:
    """A padded batch; with choices (texts, choices, length)."""
    # A question stays whole: without it the context means nothing.
    truncation = "only_second" if task.name == "question-answering" else True
    batch = tokenizer(
        *_rows(task, texts, seconds),
        padding=True, truncation=truncation, max_length=limit, return_tensors="np",
    )  # fmt: skip
    if task.name == "multiple-choice":
        for name, values in batch.items():
            batch[name] = values.reshape(len(texts), -1, values.shape[-1])
    return batch


def _run(model: Any, batch: Any) -> dict[str, Array]:
    """The outputs of a model of either framework, as float64 arrays by name."""
    arrays = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if model.framework == "tf":
        found = {name: value.numpy() for name, value in flatten(model(**arrays)).items()}
    else:
        import torch  # noqa: PLC0415 - it is there, as the model is of PyTorch

        from distil.pt.weights import to_numpy  # noqa: PLC0415

        with torch.inference_mode():
            output = model(**{k: torch.from_numpy(v).to(model.device) for k, v in arrays.items()})
        found = {name: to_numpy(value) for name, value in flatten(output).items()}
    return {name: values.astype(np.float64) for name, values in found.items()}


def _largest_difference(
    batches: Sequence[Any], one: Sequence[dict[str, Array]], other: Sequence[dict[str, Array]]
) -> float:
    """The largest difference of any output, with padding left out."""
    largest = 0.0
    for batch, first, second in zip(batches, one, other, strict=True):
        shown = batch["attention_mask"] == 1
        for name, values in first.items():
            apart = np.abs(values - second[name])
            by_token = apart.shape[: shown.ndim] == shown.shape
            found = float((apart[shown] if by_token else apart).max())
            largest = max(largest, found if isfinite(found) else float("inf"))
    return largest
