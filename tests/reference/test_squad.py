"""SQuAD 2's metrics against those of transformers, which took them from the official script."""

import numpy as np
import pytest

from distil.measures.answers import POSSIBLE_ANSWERS, answer_numbers
from distil.measures.table import Table, values

squad_metrics = pytest.importorskip(
    "transformers.data.metrics.squad_metrics", reason="transformers is not installed"
)

WORDS = ["the", "a", "Paris", "paris.", "film", "old", "in", "born"]


class Example:
    """A question as transformers has it."""

    def __init__(self, number, answers):
        self.qas_id, self.answers = str(number), [{"text": text} for text in answers]


@pytest.mark.parametrize("threshold", [0.0, 0.75, -0.5])
def test_the_metrics_of_transformers(threshold):
    random = np.random.default_rng(0)

    def text():
        return " ".join(random.choice(WORDS, random.integers(1, 4)))

    answers = [[text()] if random.random() < 0.6 else [] for _ in range(80)]
    predicted = [
        right[0] if right and random.random() < 0.5 else text() for right in answers
    ]  # fmt: skip
    odds = [float(x) for x in random.normal(size=80)]
    table = Table()
    for number, row in enumerate(zip(predicted, odds, answers, strict=True)):
        table.add(answer_numbers(*row, number=number, threshold=threshold))
    ours = values(table, POSSIBLE_ANSWERS)
    theirs = squad_metrics.squad_evaluate(
        [Example(number, right) for number, right in enumerate(answers)],
        {str(number): text for number, text in enumerate(predicted)},
        {str(number): x for number, x in enumerate(odds)},
        threshold,
    )
    for name, value in theirs.items():
        if name.endswith("total"):
            continue
        own = ours["exact_match" if name == "exact" else name]
        assert (own if "thresh" in name else 100 * own) == pytest.approx(value, abs=1e-9), name
