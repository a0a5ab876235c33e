"""Sequence classification: labels of whole texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.labels import BINARY, REGRESSION
from distil.common.probabilities import sigmoid, softmax
from distil.pipelines import base
from distil.pipelines.checks import check_choice, check_count
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import Item, check_fields, check_text

# transformers' own default: the best label alone, and not in a list.
_BEST_ALONE = ""

_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": lambda logits: logits.astype(np.float64),
}


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of text classification.

    Attributes:
        top_k: Labels to give, the best first; None gives all.  Left out, there is no list.
        function_to_apply: "softmax", "sigmoid" or "none"; None takes the one of the model's
            problem_type: none for regression, the sigmoid for several labels at once or for a
            single one, else the softmax.
        stride: Read a long text in windows that share so many tokens, or a pair in windows of
            its second text, each with the whole first one; scores are the mean, weighted by
            tokens.  None cuts it.
    """

    top_k: int | str | None = _BEST_ALONE
    function_to_apply: str | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k not in (None, _BEST_ALONE):
            check_count(self.top_k, "top_k")
        if self.function_to_apply not in (None, "default"):
            check_choice(self.function_to_apply, _FUNCTIONS, "function_to_apply")


class TextClassificationPipeline(base.Pipeline):
    """Labels texts, or pairs of texts.

    A result is `{"label", "score"}`, or a list of such, the best first, if `top_k` is given.  As in
    transformers, a single string without `top_k` in the call gets a list around its result.
    """

    task = "sequence-classification"
    options_type = Options
    memory = 16_000_000

    def read(self, row: Any, where: str, options: Options) -> Item:
        """A row is a text, or a table of "text" and "text_pair"."""
        if isinstance(row, Mapping):
            names = ("text", "text_pair") if "text_pair" in row else ("text",)
            texts = [check_text(check_fields(row, names, where)[name], f"{where}.{name}")
                     for name in names]  # fmt: skip
            return texts[0] if len(texts) == 1 else (texts[0], texts[1])
        return check_text(row, where)

    def encoder(self, options: Options) -> Encoder:
        """Texts in windows, if there is a stride."""
        return Encoder(self.tokenizer, self.limit_of(options), stride=options.stride)

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> list[Any]:
        """All of a window at once: NumPy's calls cost more than a text's arithmetic."""
        if not scores:
            return []
        values = self._function(options)(np.stack(scores))  # n labels
        values = encoded.mean_by_row(values)
        labels = [self.model.config.id2label[number] for number in range(values.shape[1])]
        if options.top_k == _BEST_ALONE:
            best = values.argmax(axis=1)
            return [
                {"label": labels[label], "score": score}
                for label, score in zip(best.tolist(), values.max(axis=1).tolist(), strict=True)
            ]
        order = np.argsort(-values, axis=1, kind="stable")[:, : options.top_k]
        ranked = np.take_along_axis(values, order, axis=1)
        return [
            [{"label": labels[i], "score": score} for i, score in zip(*row, strict=True)]
            for row in zip(order.tolist(), ranked.tolist(), strict=True)
        ]

    def _function(self, options: Options) -> Callable[[Array], Array]:
        name = options.function_to_apply
        if name in (None, "default"):
            kind, labels = self.model.config.problem_type, self.model.config.num_labels
            if kind == REGRESSION:
                name = "none"
            else:
                name = "sigmoid" if kind == BINARY or labels == 1 else "softmax"
        return _FUNCTIONS[name]

    def _finish_one(self, row: Any, result: Any, given: Mapping[str, Any]) -> Any:
        return [result] if isinstance(row, str) and "top_k" not in given else result
