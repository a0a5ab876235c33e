"""SQuAD 2: questions without an answer, judged as its official script does."""

import collections
import json
import re
import string

import numpy as np
import pytest

from distil.cli import main, make_parser, predict
from distil.errors import InputError
from distil.evaluation import evaluate
from distil.measures.answers import (
    ANSWERS,
    POSSIBLE_ANSWERS,
    answer_numbers,
    answer_scores,
    best_score,
)
from distil.measures.statistics import wilson
from distil.measures.table import Table, compare, estimates, values
from distil.pipelines import PIPELINES
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel

# What the official script calls each metric, in percent.
NAMES = {
    "exact": "exact_match", "f1": "f1", "HasAns_exact": "HasAns_exact", "HasAns_f1": "HasAns_f1",
    "NoAns_exact": "NoAns_exact", "NoAns_f1": "NoAns_f1", "best_exact": "best_exact",
    "best_f1": "best_f1",
}  # fmt: skip
THRESHOLDS = ("best_exact_thresh", "best_f1_thresh")


class Official:
    """The definitions of evaluate-v2.0.py, restated: a question at a time, and sums of floats."""

    def __init__(self, answers, predictions, odds):
        self.answers, self.predictions, self.odds = answers, predictions, odds

    def normalise(self, text):
        text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def tokens(self, text):
        return self.normalise(text).split() if text else []

    def f1(self, gold, predicted):
        gold, predicted = self.tokens(gold), self.tokens(predicted)
        same = sum((collections.Counter(gold) & collections.Counter(predicted)).values())
        if not gold or not predicted:
            return int(gold == predicted)
        if same == 0:
            return 0
        precision, recall = same / len(predicted), same / len(gold)
        return 2 * precision * recall / (precision + recall)

    def raw(self, score):
        found = []
        for right, predicted in zip(self.answers, self.predictions, strict=True):
            gold = [answer for answer in right if self.normalise(answer)] or [""]
            found.append(max(score(one, predicted) for one in gold))
        return found

    def best(self, raw):
        score = best = sum(1 for right in self.answers if not right)
        threshold = 0.0
        for n in sorted(range(len(raw)), key=lambda n: self.odds[n]):
            if self.answers[n]:
                score += raw[n]
            else:
                score += -1 if self.predictions[n] else 0
            if score > best:
                best, threshold = score, self.odds[n]
        return 100.0 * best / len(raw), threshold

    def __call__(self, threshold):
        found = {}
        for name, score in (
            ("exact", lambda a, b: int(self.normalise(a) == self.normalise(b))),
            ("f1", self.f1),
        ):
            raw = self.raw(score)
            said = [
                float(not right) if odds > threshold else one
                for right, odds, one in zip(self.answers, self.odds, raw, strict=True)
            ]
            for kind, wanted in (("", None), ("HasAns_", True), ("NoAns_", False)):
                some = [
                    one for one, right in zip(said, self.answers, strict=True)
                    if wanted is None or bool(right) == wanted
                ]  # fmt: skip
                if some:
                    found[kind + name] = 100.0 * sum(some) / len(some)
            found[f"best_{name}"], found[f"best_{name}_thresh"] = self.best(raw)
        return found


WORDS = ["the", "a", "Paris", "paris.", "film", "old", "in", "!", "An", "born"]


def questions(seed, size=60, *, impossible=0.4, ties=False):
    """Right answers, predictions and odds that go along with them."""
    random = np.random.default_rng(seed)

    def text(least):
        return " ".join(random.choice(WORDS, random.integers(least, 4)))

    answers = [
        [] if random.random() < impossible else [text(1) for _ in range(random.integers(1, 4))]
        for _ in range(size)
    ]
    predictions = [
        right[0] if right and random.random() < 0.5 else text(0) for right in answers
    ]  # fmt: skip
    odds = [float(random.normal(0 if right else 0.8)) for right in answers]
    return answers, predictions, [round(x) * 1.0 for x in odds] if ties else odds


def table_of(answers, predictions, odds, threshold=0.0):
    table = Table()
    rows = zip(predictions, odds, answers, strict=True)
    for number, row in enumerate(rows):
        table.add(answer_numbers(*row, number=number, threshold=threshold))
    return table


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.7, -1.0, 99.0])
@pytest.mark.parametrize("impossible", [0.4, 1.0, 0.0])
def test_as_the_official_script(impossible, threshold, ties):
    for seed in range(5):
        given = questions(seed, impossible=impossible, ties=ties)
        found = values(table_of(*given, threshold), POSSIBLE_ANSWERS)
        expected = Official(*given)(threshold)
        assert set(found) == {NAMES.get(name, name) for name in expected}
        for name, ours in NAMES.items():
            if name in expected:
                assert 100 * found[ours] == pytest.approx(expected[name], abs=1e-11), name
        for name in THRESHOLDS:
            assert found[name] == expected[name]


def test_without_words_an_answer_is_none():
    """An answer of articles and signs alone is as good as none, and no answer is no word."""
    for predicted, right, exact, f1 in (
        ("the!", [], 1, 1), ("film", [], 0, 0), ("", [], 1, 1), ("film", ["the"], 0, 0),
        ("a", ["the"], 1, 1), ("", ["film"], 0, 0), ("film", ["the", "old film"], 0, 2 / 3),
    ):  # fmt: skip
        found = answer_numbers(predicted, -1.0, right, number=0)
        assert (found["exact"], found["score"]) == (exact, pytest.approx(f1)), (predicted, right)
    assert answer_scores("a", ["the"]) == {"exact": 1, "score": 0}  # by SQuAD 1.1


def test_intervals():
    given = questions(1, 80)
    table = table_of(*given)
    found = estimates(table, POSSIBLE_ANSWERS, seed=3)
    assert found == estimates(table, POSSIBLE_ANSWERS, seed=3)
    assert all(one.low <= one.value <= one.high for one in found.values())
    # Shares of a part of the questions have Wilson's interval for that many.
    none = [n for n, right in enumerate(given[0]) if not right]
    right = sum(given[2][n] > 0 for n in none)
    assert 0 < right < len(none)
    assert found["NoAns_exact"].value >= wilson(right, len(none)).value
    exact = int(table.rows(table["impossible"] > 0)["exact"].sum())
    assert found["NoAns_exact"] == wilson(exact, len(none))
    # Every resample has its own best threshold.
    random = np.random.default_rng(0)
    metric = best_score("gain_f1")
    of = metric.of({name: table[name] for name in metric.columns})
    for _ in range(5):
        chosen = np.sort(random.integers(80, size=80))
        resampled = Official(*[[part[n] for n in chosen] for part in given])(0.0)
        weights = np.bincount(chosen, minlength=80).astype(float)[None]
        assert 100 * of(weights)[0] == pytest.approx(resampled["best_f1"], abs=1e-11)


def test_a_model_against_another():
    answers, predictions, odds = questions(2, 200)
    first = table_of(answers, predictions, odds)
    second = table_of(answers, [right[0] if right else "" for right in answers], odds)
    gain = compare(first, second, POSSIBLE_ANSWERS["HasAns_exact"], seed=0)
    values_of = [values(one, POSSIBLE_ANSWERS)["HasAns_exact"] for one in (first, second)]
    assert gain.difference == pytest.approx(values_of[1] - values_of[0])
    assert gain.p < 0.01
    same = compare(first, second, POSSIBLE_ANSWERS["NoAns_exact"], seed=0)
    assert abs(same.difference) < 0.2


CONTEXTS = ["it was paris, the old film.", "in paris who was born", "a bad film " * 12]
ROWS = [
    {
        "question": "who" + " film" * number, "context": context,
        "answers": {"text": [text] if text else [], "answer_start": [0] if text else []},
    }
    for number, (context, text) in enumerate(
        (context, text) for context in CONTEXTS for text in ("paris", "", "film", "born")
    )
]  # fmt: skip


def pipe(**options):
    """A model that is unsure whether there is an answer."""
    plain = FakeModel("question-answering")

    def given(ids):
        scores = plain.scores_of(ids)
        scores[0] += 3 * np.sin(len(ids))
        return scores

    model = FakeModel("question-answering", given=given)
    return PIPELINES["question-answering"](model, make_tokenizer(), **options)


@pytest.mark.parametrize("threshold", [0.0, 0.5, -0.5])
def test_a_pipeline_is_judged_by_what_it_answers(threshold, tmp_path):
    asked = pipe(handle_impossible_answer=True, null_score_diff_threshold=threshold)
    file = tmp_path / "predictions.jsonl"
    found = evaluate(asked, ROWS, predictions=file)
    questions = [{name: row[name] for name in ("question", "context")} for row in ROWS]
    said = [one["answer"] for one in asked(questions)]
    assert "" in said
    assert set(said) != {""}
    assert [json.loads(line)["predicted"] for line in file.read_text().splitlines()] == said
    best = asked(questions, null_score_diff_threshold=float("inf"), return_null_odds=True)
    expected = Official(
        [row["answers"]["text"] for row in ROWS], [one["answer"] for one in best],
        [one["null_odds"] for one in best],
    )(threshold)  # fmt: skip
    assert {name: 100 * found.metrics[ours].value for name, ours in NAMES.items()} == {
        name: pytest.approx(expected[name], abs=1e-9) for name in NAMES
    }
    for name in THRESHOLDS:
        assert found.metrics[name].value == expected[name]
    # The best threshold gives the best score.
    at_best = pipe(
        handle_impossible_answer=True, null_score_diff_threshold=expected["best_f1_thresh"]
    )
    again = evaluate(at_best, ROWS).metrics
    assert again["f1"].value == pytest.approx(found.metrics["best_f1"].value)


def test_against_a_pipeline_that_finds_an_answer_to_everything():
    found = evaluate(pipe(handle_impossible_answer=True), ROWS, against=pipe())
    assert found.against.metrics["NoAns_exact"].value == 0
    assert set(found.against.differences) == set(found.metrics)
    assert found.against.differences["best_f1"].difference == 0


def test_questions_without_an_answer_by_the_rules_of_1_1():
    with pytest.raises(InputError, match="handle_impossible_answer=True"):
        evaluate(pipe(), ROWS)
    found = evaluate(pipe(), [row for row in ROWS if row["answers"]["text"]])
    assert set(found.metrics) == set(ANSWERS)


@pytest.mark.parametrize("kind", ["flag alone", "pandas", "arrow", "parquet", "squad", "datasets"])
def test_from_anywhere(kind, tmp_path):
    rows = ROWS[:6]
    if kind == "flag alone":
        data = [{n: x for n, x in row.items() if n != "answers"} | {"is_impossible": True}
                if not row["answers"]["text"] else row for row in rows]  # fmt: skip
    elif kind == "pandas":
        data = pytest.importorskip("pandas").DataFrame(rows)
    elif kind == "datasets":
        data = pytest.importorskip("datasets").Dataset.from_list(rows)
    elif kind == "squad":
        paragraphs = [
            {"context": row["context"], "qas": [
                {"id": str(n), "question": row["question"],
                 "is_impossible": not row["answers"]["text"],
                 "answers": [{"text": x, "answer_start": 0} for x in row["answers"]["text"]]}
            ]}
            for n, row in enumerate(rows)
        ]  # fmt: skip
        data = tmp_path / "dev-v2.0.json"
        data.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": paragraphs}]}))
    else:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        data = arrow.Table.from_pylist(rows)
        if kind == "parquet":
            parquet.write_table(data, tmp_path / "rows.parquet")
            data = tmp_path / "rows.parquet"
            if hasattr(pytest.importorskip("pandas"), "read_parquet"):  # answers as arrays
                frame = pytest.importorskip("pandas").read_parquet(data)
                frame_found = evaluate(pipe(handle_impossible_answer=True), frame)
                assert (
                    frame_found.metrics
                    == evaluate(pipe(handle_impossible_answer=True), rows).metrics
                )
    asked = pipe(handle_impossible_answer=True)
    assert evaluate(asked, data).metrics == evaluate(asked, rows).metrics


OPTIONS = ["--stride", "4", "--handle-impossible-answer", "--null-score-diff-threshold", "-1.5"]


@pytest.mark.parametrize(
    ("task", "stride"), [("question-answering", "doc_stride"), ("masked-lm", "stride")]
)
def test_options_of_the_commands(task, stride, tmp_path, monkeypatch):
    given = {}

    def stopped(*_, **options):
        given.update(options)
        raise InputError("that is all")

    monkeypatch.setattr("distil.evaluation.evaluate", stopped)
    folder = str(make_folder(tmp_path / "model", task))
    expected = {stride: 4, "handle_impossible_answer": True, "null_score_diff_threshold": -1.5}
    for named in ([], ["--task", task]):
        given.clear()
        assert main(["evaluate", folder, "rows.jsonl", *named, *OPTIONS]) == 2
        assert {name: given.get(name) for name in expected} == expected
    given.clear()
    assert main(["evaluate", folder, "rows.jsonl"]) == 2
    assert not given.keys() & {*expected, "stride"}
    asked = PIPELINES[task](FakeModel(task), make_tokenizer())
    arguments = make_parser().parse_args(["predict", folder, *OPTIONS])
    assert predict._options(arguments, asked) == expected
    assert predict._options(make_parser().parse_args(["predict", folder]), asked) == {}
