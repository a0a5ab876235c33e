"""`predict`: what a model says about texts, in its simplest form.

One model, padded batches, the whole of a text in one row.  What is computed is the same in both
frameworks; only `_run` knows that there are two.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from distil.inspection import has_head

Array = NDArray[Any]

# float32 differs by less than 1e-5 of the largest logit, and these are seldom above 10.
LARGEST_DIFFERENCE = 1e-4

_ROWS_AT_ONCE = 16
_LONGEST_ANSWER = 30  # tokens, as is usual for SQuAD


@dataclass(frozen=True, kw_only=True)
class Score:
    """A label, a word or a choice, and how probable it is.

    Attributes:
        label: Which.
        score: Its probability; for regression the value itself.
    """

    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Of a sequence classifier.

    Attributes:
        text: The text.
        pair: The second text, or None.
        scores: The best labels first.  Probabilities that sum to one, or for several labels at
            once each by itself.
    """

    text: str
    pair: str | None
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word and its tag.

    Attributes:
        word: As it stands in the text.
        tag: Its label.
        score: Probability, the mean over the word's pieces.
        start: Its first character.
        end: The character after its last.
    """

    word: str
    tag: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """Of a token classifier.

    Attributes:
        text: The text.
        words: All words of it.
    """

    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of a question-answering model.

    Attributes:
        question: The question.
        answer: The best part of the context.
        score: Probability of its start times that of its end, among the tokens of the context.
        start: Its first character in the context.
        end: The character after its last.
    """

    question: str
    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class FilledMask:
    """Of a masked language model.

    Attributes:
        text: The text.
        masks: For each mask in it, the best words first.
    """

    text: str
    masks: tuple[tuple[Score, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Of a multiple-choice model.

    Attributes:
        prompt: The prompt.
        scores: The choices, the best first.
    """

    prompt: str
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Of a model without a head.

    Attributes:
        text: The text.
        vector: The mean of the last hidden states, of length one.
    """

    text: str
    vector: tuple[float, ...]


Result = Classification | TaggedText | Answer | FilledMask | Choice | Embedding


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What `predict` gives.

    Attributes:
        task: What the model was loaded for.
        frameworks: Those that ran, "pt" or "tf" or both.
        results: One for each text; of the first framework.
        difference: The largest difference between the outputs of two frameworks, where the
            mask shows a token; None where one ran.
    """

    task: str
    frameworks: tuple[str, ...]
    results: tuple[Result, ...]
    difference: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether two frameworks gave the same; True where only one ran."""
        return self.difference is None or self.difference <= LARGEST_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers."""
        finite = self.difference is None or np.isfinite(self.difference)
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
        context: Where to look for the answers, one for each question or one for all.
        choices: What to choose from after each prompt, at least two.
        top_k: How many labels or words to give.
        **options: Further ones of `distil.load`.

    Returns:
        The results, one for each text, in their order.

    Raises:
        InputError: A text is empty, lacks its mask or its context, or an argument is impossible.
        WeightsError: The checkpoint has no head for the task; a random one predicts nothing.
        DistilError: The checkpoint cannot be loaded; see `distil.load`.
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
    seconds = _second_texts(chosen, texts, pair=pair, context=context, choices=choices)
    _check_head(folder, config, chosen, name)
    tokenizer = api.load_tokenizer(folder)
    limit = min(tokenizer.model_max_length, config.max_position_embeddings)
    _warn_of_long_texts(tokenizer, texts, seconds, limit)

    batches = [
        _encode(tokenizer, chosen, texts[part], seconds and seconds[part], limit)
        for part in _parts(len(texts))
    ]
    runs = []
    for one in frameworks:
        with warnings.catch_warnings():
            if runs:  # the first has said what there is to say about the checkpoint
                warnings.simplefilter("ignore", CheckpointWarning)
            model = api.load(folder, framework=one, task=chosen.name, **options)
        runs.append([_run(model, chosen, encoded) for encoded in batches])
        del model
    rows = [
        _Row(
            text=texts[number],
            second=seconds[number] if seconds else None,
            encoding=encoded.encodings[row * len(encoded.encodings) // len(texts[part])],
            outputs={name: value[row] for name, value in outputs.items()},
        )
        for part, encoded, outputs in zip(_parts(len(texts)), batches, runs[0], strict=True)
        for row, number in enumerate(range(*part.indices(len(texts))))
    ]
    read = _READERS[chosen.name]
    return Prediction(
        task=chosen.name,
        frameworks=frameworks,
        results=tuple(read(row, config, tokenizer, top_k) for row in rows),
        difference=_difference(batches, *runs) if len(runs) > 1 else None,
    )


def _texts(texts: str | Sequence[str], where: str) -> list[str]:
    found = [texts] if isinstance(texts, str) else list(texts)
    if not found:
        raise InputError("there is no text", expected="at least one text", where=where)
    for number, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                "this is no text",
                expected="a string with more than white space in it",
                found=repr(text), where=f"{where}[{number}]",
            )  # fmt: skip
    return found


def _second_texts(task: Task, texts: list[str], **given: Any) -> list[Any] | None:
    """What goes with each text: a second text, or the choices; None for nothing.

    Raises:
        InputError: The task needs something that is not given, or has no use for what is.
    """
    wanted = {
        "sequence-classification": "pair",
        "question-answering": "context",
        "multiple-choice": "choices",
    }.get(task.name)
    for name, value in given.items():
        if value is not None and name != wanted:
            raise InputError(
                f"{name} has no meaning here", found=f"task {task.name}", where=name,
                fix="leave it out" + (f", or pass {wanted}" if wanted else ""),
            )  # fmt: skip
    value = given[wanted] if wanted else None
    if value is None:
        if wanted in ("context", "choices"):
            raise InputError(f"{task.name} needs {wanted}", found=f"no {wanted}", where=wanted)
        return None
    seconds = _texts(value, str(wanted))
    if wanted == "choices":
        if len(seconds) < 2:
            raise InputError(
                "there is nothing to choose from",
                expected="at least two choices", found=len(seconds), where=wanted,
            )  # fmt: skip
        return [seconds] * len(texts)
    if len(seconds) not in (1, len(texts)):
        raise InputError(
            f"texts and {wanted} do not go together",
            expected=f"one for all, or one for each of {len(texts)} texts",
            found=len(seconds), where=wanted,
        )  # fmt: skip
    return seconds if len(seconds) == len(texts) else seconds * len(texts)


def _check_head(folder: Path, config: DistilBertConfig, task: Task, name: str | Path) -> None:
    """Refuse a checkpoint whose head for the task would be random."""
    problem = missing_head(folder, config, task)
    if problem is not None:
        raise WeightsError(
            f"the checkpoint has no trained head for {task.name}, and a random one predicts "
            "nothing",
            found=problem, where=name,
            fix="name a checkpoint trained for it, or another task; "
            "`distil info` shows what this one is for",
        )  # fmt: skip


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE)]


def _pairs(task: Task, texts: list[str], seconds: list[Any] | None) -> tuple[list[str], Any]:
    """The texts and second texts of each row; a prompt has a row for each of its choices."""
    if task.name != "multiple-choice" or seconds is None:
        return texts, seconds
    first = [text for text, choices in zip(texts, seconds, strict=True) for _ in choices]
    return first, [choice for choices in seconds for choice in choices]


def _warn_of_long_texts(
    tokenizer: Any, task: Task, texts: list[str], seconds: list[Any] | None, limit: int
) -> None:
    ids = tokenizer(*_pairs(task, texts, seconds), verbose=False)["input_ids"]
    long = sum(len(row) > limit for row in ids)
    if long:
        warnings.warn(
            f"{long} of {len(ids)} rows of text are longer than the {limit} tokens that the model "
            "takes; what is over is cut off",
            stacklevel=3,
        )


def _encode(
    tokenizer: Any, task: Task, texts: list[str], seconds: list[Any] | None, limit: int
) -> Any:
    # A question stays whole: without it the context means nothing.
    cut = "only_second" if task.name == "question-answering" else True
    return tokenizer(
        *_pairs(task, texts, seconds),
        padding=True, truncation=cut, max_length=limit, return_tensors="np",
    )  # fmt: skip


def _run(model: Any, task: Task, texts: int, encoded: Any) -> dict[str, Array]:
    """The outputs of a model of either framework, as float64 arrays by name."""
    batch = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    if task.name == "multiple-choice":
        batch = {name: rows.reshape(texts, -1, rows.shape[-1]) for name, rows in batch.items()}
    if model.framework == "tf":
        found = {name: value.numpy() for name, value in flatten(model(**batch)).items()}
    else:
        import torch  # noqa: PLC0415 - here only if the model is of PyTorch

        from distil.pt.weights import to_numpy  # noqa: PLC0415

        tensors = {name: torch.from_numpy(x).to(model.device) for name, x in batch.items()}
        with torch.inference_mode():
            found = {name: to_numpy(value) for name, value in flatten(model(**tensors)).items()}
    return {name: value.astype(np.float64) for name, value in found.items()}
