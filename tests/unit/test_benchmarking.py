"""`distil bench`: workers, measurements, and what is recommended."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from distil import benchmarking
from distil.benchmarking import entrants, workers
from distil.benchmarking.entrants import Entrant, Way
from distil.benchmarking.runners import Pipeline
from distil.benchmarking.workers import Candidate, Worker, WorkerError
from distil.common.config import DistilBertConfig
from distil.errors import InputError
from distil.evaluation import evaluate
from support.folders import make_folder

RUNNER = "support.runners"


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    monkeypatch.setattr(workers, "REST", 0)


def candidate(name, **options):
    places = (Path(__file__).parents[1], Path(benchmarking.__file__).parents[2])
    return Candidate(
        name=name,
        runner=f"{RUNNER}:Echo",
        options=options,
        environment={"PYTHONPATH": os.pathsep.join(map(str, places))},
    )


@pytest.fixture
def worker():
    worker = Worker(candidate("echo", label="good"))
    yield worker
    worker.close()


def test_a_worker_answers_with_what_its_method_gives_and_its_time_and_memory(worker):
    worker.ask("predict", rows=["a", "bc"])
    reply = worker.ask("answers")
    assert reply.answer == [[["good"], [1.0]], [["good"], [2.0]]]
    assert reply.seconds >= 0
    assert reply.memory is None or reply.memory > 1


def test_a_worker_s_memory_is_its_own():
    megabytes = 300
    held = b"1" * (megabytes << 20)  # a process begins with the peak of the one that starts it
    worker = Worker(candidate("echo", label="good"))
    try:
        memory = worker.ask("chatter").memory
    finally:
        worker.close()
    del held
    assert memory is None or memory < megabytes


def test_what_a_candidate_prints_does_not_come_between_the_answers(worker):
    assert worker.ask("chatter").answer == "answer"
    assert worker.ask("chatter").answer == "answer"


def test_an_error_is_told_and_the_worker_lives_on(worker):
    with pytest.raises(WorkerError, match="ValueError: no such row") as caught:
        worker.ask("fail")
    assert caught.value.where == "echo"
    worker.ask("predict", rows=["a"])


def test_a_process_that_ends_is_told_with_its_status(worker):
    with pytest.raises(WorkerError, match="the process ended") as caught:
        worker.ask("leave", status=7)
    assert caught.value.found == "status 7"


def test_a_candidate_that_cannot_be_loaded_is_an_error():
    with pytest.raises(WorkerError, match="TypeError"):
        Worker(candidate("echo", nonsense=1))


@pytest.fixture
def race(monkeypatch):
    """Entrants by name, in the place of the real ones."""

    def run(plain, *others, **options):
        found = [Way(candidate=plain, options=None)]
        found += [Way(candidate=one, options={"engine": one.name}) for one in others]
        monkeypatch.setattr(benchmarking, "ways", lambda *_: iter(found))
        monkeypatch.setattr(benchmarking, "_config", lambda _: CONFIG)
        options.setdefault("task", "sequence-classification")
        return benchmarking.bench("name", ["a", "bb", "ccc"], rounds=2, **options)

    return run


CONFIG = DistilBertConfig(id2label={0: "bad", 1: "good"})


def test_the_best_is_the_fastest_that_answers_alike(race):
    found = race(
        candidate("plain", label="good", delay=0.3),
        candidate("wrong", label="bad"),
        candidate("same", label="good"),
        candidate("broken", label="good", fails=True),
    )
    by_name = {one.name: one for one in found.measurements}
    assert found.measurements[0].name == "plain"
    assert found.measurements[-1].name == "broken"
    assert by_name["broken"].problem == "ValueError: no such row"
    assert by_name["broken"].speed is None
    assert (by_name["wrong"].same, by_name["same"].same) == (0.0, 1.0)
    assert by_name["same"].speed > 1
    assert by_name["same"].difference == 0
    assert found.best.name == "same"
    assert found.best.options == {"engine": "same"}
    assert found.to_dict()["measurements"][0]["speed"] == 1.0


def test_with_labels_accuracy_decides(race):
    found = race(
        candidate("plain", label="bad"),
        candidate("other", label="good"),
        labels=["good", "1", "bad"],
    )
    plain, other = found.measurements
    assert plain.accuracy == pytest.approx(1 / 3)
    assert other.accuracy == pytest.approx(2 / 3)
    assert found.best is other  # it answers otherwise, and is right more often
    assert (other.main, other.metrics["accuracy"]["high"]) == ("accuracy", 1)
    assert found.to_dict()["measurements"][1]["accuracy"] == other.accuracy


@pytest.mark.pt
@pytest.mark.parametrize("several", [False, True])
def test_figures_are_those_of_evaluate(tmp_path, several):
    kind = {"problem_type": "multi_label_classification"} if several else {}
    folder = make_folder(tmp_path / "model", "sequence-classification", num_labels=2, **kind)
    rows = [
        {"text": text, "text_pair": "paris", "label": [label] if several else label}
        for text, label in (("a film", 0), ("who is it", "LABEL_1"), ("good", "0"), ("bad", 1))
    ]
    found = Pipeline(str(folder), "sequence-classification", framework="pt").figures(rows)
    columns = {"text_pair": "text_pair"}
    expected = evaluate(folder, rows, columns=columns, framework="pt")
    assert found["main"] == expected.main
    assert found["metrics"] == {name: asdict(one) for name, one in expected.metrics.items()}


def test_nothing_is_best_where_nothing_is_as_good(race):
    found = race(candidate("plain", label="good"), candidate("wrong", label="bad"))
    assert found.best is None


def test_rows_that_the_plain_model_does_not_take_are_an_error(race):
    with pytest.raises(InputError, match="the plain model cannot predict these rows"):
        race(candidate("plain", label="good", fails=True), candidate("same", label="good"))


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"labels": ["good"]}, "labels"),
        ({"labels": ["good", "bad", "ugly"]}, "labels, row 3"),
        ({"labels": ["a"] * 3, "task": "base"}, "labels"),
        ({"dtypes": ["float8"]}, "dtypes"),
        ({"dtypes": []}, "dtypes"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(race, options, where):
    with pytest.raises(InputError) as caught:
        race(candidate("plain", label="good"), **options)
    assert caught.value.where == where


def test_texts_made_up_are_ragged_and_no_two_alike():
    texts = benchmarking._made_up()
    assert len(set(texts)) == len(texts) >= 100
    assert max(map(len, texts)) > 100 * min(map(len, texts))  # one sentence, and a dozen


def test_an_entrant_stays_out_after_a_failure():
    entrant = Entrant(Way(candidate=candidate("e", label="good", fails=True), options={}), "a")
    entrant.compute(["a"])
    entrant.finish("a")
    assert entrant.problem == "ValueError: no such row"
    assert entrants.DTYPES == ("float32", "bfloat16", "int8")
