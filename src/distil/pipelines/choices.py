"""Multiple choice: which of several texts continues a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.probabilities import softmax
from distil.common.windows import mean_of_windows, no_room, windows_of_choices
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_count
from distil.pipelines.encoding import (
    MOST_CHARACTERS,
    Encoded,
    Encoder,
    as_arrays,
    too_long,
)
from distil.pipelines.rows import check_fields, check_text


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of multiple choice.

    Attributes:
        choices: What rows that are mere prompts are to choose from.
        top_k: Choices to give, the best first; None gives all.
        stride: Read a long prompt in windows that share so many tokens, each with every choice;
            scores are the mean, weighted by tokens.  None cuts it.
    """

    choices: Sequence[str] | None = None
    top_k: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k is not None:
            check_count(self.top_k, "top_k")


class MultipleChoicePipeline(base.Pipeline):
    """Chooses how prompts continue.

    A result is a list of `{"choice", "index", "score"}`, the best first.
    """

    task = "multiple-choice"
    options_type = Options
    memory = 16_000_000

    def read(self, row: Any, where: str, options: Options) -> tuple[str, tuple[str, ...]]:
        """A row is a prompt, or a table of "prompt" and "choices"."""
        choices: Any = options.choices
        place = "choices"
        if isinstance(row, Mapping):
            row = check_fields(row, ("prompt", "choices"), where)
            place = f"{where}.choices"
            row, choices, where = row["prompt"], row["choices"], f"{where}.prompt"
        prompt = check_text(row, where)
        if not isinstance(choices, list | tuple) or len(choices) < 2:
            raise InputError(
                "too few choices", expected="a list of at least two choices",
                found=repr(choices), where=place,
            )  # fmt: skip
        checked = (check_text(one, f"{place}[{number}]") for number, one in enumerate(choices))
        return prompt, tuple(checked)

    def encoder(self, options: Options) -> Callable[[Sequence[Any], Sequence[str]], Encoded]:
        """A sequence for each choice: the prompt and it."""
        limit, stride = self.limit_of(options), options.stride
        encoder = Encoder(self.tokenizer, limit, stride=stride)
        if stride is not None:
            return partial(self._in_windows, limit=limit, stride=stride)

        def encode(items: Sequence[Any], places: Sequence[str]) -> Encoded:
            pairs = [
                (row, (item[0], choice))
                for row, item in enumerate(items) if item is not None
                for choice in item[1]
            ]  # fmt: skip
            owners = np.array([row for row, _ in pairs], np.int64)
            found = encoder([pair for _, pair in pairs], [places[row] for row in owners])
            found.problems = {int(owners[n]): problem for n, problem in found.problems.items()}
            found.cut = sorted({int(owners[number]) for number in found.cut})
            found.rows = owners[found.rows]
            # A prompt of which one choice makes no sequence has no answer.
            found.keep([row not in found.problems for row in found.rows.tolist()])
            return found

        return encode

    def _in_windows(
        self, items: Sequence[Any], places: Sequence[str], *, limit: int, stride: int
    ) -> Encoded:
        """For each window of a prompt a sequence for each choice."""
        found = Encoded()
        rows = []
        for row, item in enumerate(items):
            size = 0 if item is None else len(item[0]) + max(map(len, item[1]))
            if size > MOST_CHARACTERS:
                found.problems[row] = too_long(size, places[row], fix="split it")
            elif size:
                rows.append(row)
        windows = windows_of_choices(
            self.tokenizer, [items[row][0] for row in rows], [items[row][1] for row in rows],
            limit=limit, stride=stride,
        )  # fmt: skip
        for number, length in windows.without_room.items():
            row = rows[number]
            found.problems[row] = no_room(
                length, places[row], limit=limit, stride=stride, option="stride",
                beside="choice", text="prompt",
            )  # fmt: skip
        found.rows = np.array(rows, np.int64)[windows.owners]
        found.sequences = as_arrays(windows.ids)
        return found

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> Iterator[list[dict[str, Any]]]:
        """Row by row."""
        for row, part in encoded.by_row():
            choices = items[row][1]
            # All choices have the same windows.
            logits = np.concatenate([np.ravel(one) for one in scores[part]])
            shares = softmax(logits.reshape(-1, len(choices)))  # windows choices
            tokens = np.array([len(one) for one in encoded.sequences[part]])
            weights = tokens.reshape(shares.shape).sum(axis=1)
            (values,) = mean_of_windows(shares, np.zeros(len(shares), np.int64), weights)
            order = np.argsort(-values, kind="stable")[: options.top_k].tolist()
            yield [
                {"choice": choices[number], "index": number, "score": float(values[number])}
                for number in order
            ]
