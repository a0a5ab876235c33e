"""Pipelines of both frameworks give the same results, of texts of any kind and in any order."""

import numpy as np
import pytest

import distil
from distil.common.tasks import TASKS
from support.folders import make_folder

TEXTS = [
    "who was born in Paris?", "it is", "the good film, the bad film!", "it is",
    "a film " * 30, "a b c d e f g", "paris",
]  # fmt: skip
LABELS = {0: "O", 1: "B-X", 2: "I-X"}

CASES = {
    "sequence-classification": [{"top_k": None}, {"top_k": None, "stride": 5}],
    "token-classification": [
        {"ignore_labels": []}, {"aggregation_strategy": "average", "stride": 5}
    ],
    "question-answering": [
        {"top_k": 3},
        {"doc_stride": 4, "handle_impossible_answer": True, "return_null_odds": True},
    ],
    "masked-lm": [{"top_k": 3}, {"targets": ["good", "bad"], "stride": 5}],
    "multiple-choice": [{}, {"stride": 5}],
    "base": [{}, {"pooling": "cls", "normalize": False}, {"stride": 5}],
    "feature-extraction": [{}],
}  # fmt: skip


def rows_for(task):
    if task == "question-answering":
        return [{"question": "who?", "context": text} for text in TEXTS]
    if task == "multiple-choice":
        return [{"prompt": text, "choices": ["a good film", "paris"]} for text in TEXTS]
    if task == "masked-lm":
        return [f"[MASK] {text}" for text in TEXTS[:-1]] + ["[MASK] is [MASK]"]
    if task == "sequence-classification":
        return [*TEXTS[:-1], {"text": "who was born", "text_pair": TEXTS[4]}]
    return TEXTS


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    """Pipelines of a task in both frameworks, made when they are first asked for."""
    made = {}

    def of(name):
        if name not in made:
            task = "base" if name == "feature-extraction" else name
            changes = {"id2label": LABELS} if task == "token-classification" else {}
            folder = make_folder(tmp_path_factory.mktemp("model"), task, **changes)
            made[name] = [
                distil.pipeline(name, folder, framework=framework, truncation=True)
                for framework in ("pt", "tf")
            ]
        return made[name]

    return of


def test_every_task_is_there():
    assert set(CASES) == {*TASKS, "feature-extraction"}


@pytest.mark.parametrize(
    ("task", "options"), [(task, options) for task in CASES for options in CASES[task]]
)
def test_the_same_in_both(pipes, task, options):
    one, other = (pipe(rows_for(task), **options) for pipe in pipes(task))
    assert len(one) == len(TEXTS)
    assert_same(one, other)


@pytest.mark.parametrize("task", CASES)
@pytest.mark.parametrize("number", [0, 1], ids=["pt", "tf"])
def test_company_changes_nothing(pipes, task, number):
    """A row has its result whatever it is packed with."""
    pipe, rows = pipes(task)[number], rows_for(task)
    options = {"top_k": 1} if task == "sequence-classification" else {}
    together = list(pipe(iter(rows), **options))
    for row, result in zip(rows, together, strict=True):
        assert_same(pipe(row, **options), result)
    assert_same(pipe(rows[::-1], **options)[::-1], together)


def assert_same(one, other):
    """The same words, and numbers to 1e-5."""
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        one, other = one.tolist(), other.tolist()
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5, rel=1e-5)
    else:
        assert one == other
