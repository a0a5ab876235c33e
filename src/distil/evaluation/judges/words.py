"""Hidden words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from distil.errors import InputError
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
)
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.pipelines.base import Pipeline
from distil.pipelines.rows import check_text

# The tokens of a text that are hidden, and how many texts are scored for all words at a time.
_HIDDEN = 0.15
_TEXTS_AT_ONCE = 32


class Words(Judge):
    """Masked language modelling: some words are hidden, the same ones whatever the model.

    Of each text 15% of the tokens are hidden behind the mask, drawn anew for each row from the
    ids of its tokens, so that equal texts hide equal words.
    """

    fields = ("text",)
    metrics: ClassVar[Mapping[str, Metric]] = {
        "perplexity": metrics.perplexity(),
        "loss": metrics.ratio("loss", "words"),
        "accuracy": metrics.ratio("right", "words"),
    }
    main = "loss"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        text = fields["text"]
        return Asked(questions=(check_text(text, "text"),), expected=None, text=text)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        hidden, logits = answers
        places = np.arange(len(hidden))
        highest = logits.max(axis=1)
        totals = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64))
        right = logits.argmax(axis=1) == hidden
        return Judged(
            expected=None,
            predicted=None,
            numbers={
                "loss": float((totals - logits[places, hidden]).sum()),
                "words": len(hidden),
                "right": int(right.sum()),
                "score": float(right.mean()),
            },
        )

    def stream(  # noqa: D102
        self, pipeline: Pipeline, rows: Iterable[tuple[int, Asked | InputError]]
    ) -> Iterator[tuple[int, Judged | InputError]]:
        tokenizer, model = pipeline.tokenizer, pipeline.model
        waiting = iter(rows)
        while some := list(islice(waiting, _TEXTS_AT_ONCE)):
            texts = [asked for _, asked in some if isinstance(asked, Asked)]
            encoded = tokenizer(
                [asked.questions[0] for asked in texts], truncation=True,
                max_length=pipeline.limit, return_special_tokens_mask=True,
            )  # fmt: skip
            sequences, hidden, places = [], [], []
            for ids, special in zip(
                encoded["input_ids"], encoded["special_tokens_mask"], strict=True
            ):
                sequence = np.array(ids, np.int32)
                usual = np.flatnonzero(np.array(special) == 0)
                chance = np.random.default_rng(ids)
                count = max(1, round(_HIDDEN * len(usual)))
                chosen = np.sort(chance.permutation(usual)[:count])
                places.append(chosen)
                hidden.append(sequence[chosen])
                sequence = sequence.copy()
                sequence[chosen] = tokenizer.mask_token_id
                sequences.append(sequence)
            scores = iter(model.score(sequences, wanted=places))
            answers = zip(hidden, scores, strict=True)
            for number, asked in some:
                if isinstance(asked, InputError):
                    yield number, asked
                else:
                    yield number, self.judge(asked, next(answers))
