"""Multiple choice: which of several texts continues a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_count
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.probabilities import softmax
from distil.pipelines.rows import check_fields, check_text


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of multiple choice.

    Attributes:
        choices: What rows that are mere prompts are to choose from.
        top_k: Choices to give, the best first; None gives all.
    """

    choices: Sequence[str] | None = None
    top_k: int | None = None

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
        encoder = Encoder(self.tokenizer, self.limit_of(options))

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

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> Iterator[list[dict[str, Any]]]:
        """Row by row."""
        for row, part in encoded.by_row():
            choices = items[row][1]
            values = softmax(np.concatenate([np.ravel(one) for one in scores[part]]))
            order = np.argsort(-values, kind="stable")[: options.top_k].tolist()
            yield [
                {"choice": choices[number], "index": number, "score": float(values[number])}
                for number in order
            ]
