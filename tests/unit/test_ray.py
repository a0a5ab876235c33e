"""Ray: batches of its data sets, and jobs shared by its workers, some of which are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import distil
from distil.errors import FrameworkError, InputError
from distil.pipelines import PIPELINES
from distil.ray import _THREADS, Predictor, _limited, predict
from support.folders import make_tokenizer
from support.inference import FakeModel

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CLASSIFY = "sequence-classification"
TESTS = Path(__file__).parents[1]


@pytest.fixture
def fake(monkeypatch):
    made = []

    def make(name, *, top_k=None, **options):
        made.append(options)
        return PIPELINES[CLASSIFY](FakeModel(CLASSIFY), make_tokenizer(), top_k=top_k or 5)

    monkeypatch.setattr("distil.ray.make_pipeline", make)
    return made


class TestPredictor:
    """As Ray calls it; Ray itself is not needed."""

    @pytest.mark.parametrize("kind", ["arrow", "numpy"])
    def test_a_batch(self, fake, kind):
        texts = ["the film", None, " ", "it is good"]
        batch = pa.table({"id": [1, 2, 3, 4], "review": texts})
        if kind == "numpy":
            batch = {"id": np.arange(1, 5), "review": np.array(texts, object)}
        found = Predictor("model", columns={"text": "review"}, prefix="p_")(batch).to_pydict()
        assert list(found) == ["id", "review", "p_label", "p_score", "p_error"]
        assert (found["id"], found["review"]) == ([1, 2, 3, 4], texts)
        expected = PIPELINES[CLASSIFY](FakeModel(CLASSIFY), make_tokenizer())([texts[0], texts[3]])
        assert [found["p_score"][n] for n in (0, 3)] == [one["score"] for one in expected]
        assert [one is None for one in found["p_error"]] == [True, False, False, True]
        assert "row 1" in found["p_error"][1]

    def test_several_results(self, fake):
        found = Predictor("model", top_k=2)(pa.table({"text": ["the film"]})).to_pydict()
        assert len(found["results"][0]) == 2

    def test_what_cannot_be_meant(self, fake):
        with pytest.raises(InputError, match="no such column"):
            Predictor("model")(pa.table({"review": ["it"]}))
        with pytest.raises(InputError, match="already has a column"):
            Predictor("model")(pa.table({"text": ["it"], "label": [1]}))
        with pytest.raises(InputError, match="reads no such field"):
            Predictor("model", columns={"context": "review"})

    def test_a_second_text_is_not_taken_for_the_first(self, fake):
        for names in (["text_pair"], ["id", "text_pair"]):
            with pytest.raises(InputError, match="no such column"):
                Predictor("model")(pa.table({name: ["it"] for name in names}))

    def test_options_reach_the_pipeline(self, fake):
        Predictor("model", engine="onnxruntime", dtype="int8")
        assert fake == [{"engine": "onnxruntime", "dtype": "int8"}]


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ({"engine": "onnxruntime"}, 2),
        ({"engine": "onnxruntime", "threads": None}, 2),
        ({"engine": "onnxruntime", "threads": 5}, 5),
        ({"engine": None}, None),
    ],
)
def test_a_worker_has_the_threads_of_its_cpus(monkeypatch, options, threads):
    ray = SimpleNamespace(
        is_initialized=lambda: True,
        get_runtime_context=lambda: SimpleNamespace(get_assigned_resources=lambda: {"CPU": 2.0}),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    for name in _THREADS:
        monkeypatch.setenv(name, "1")
    assert _limited(options).get("threads") == threads
    assert [os.environ[name] for name in _THREADS] == ["2"] * len(_THREADS)


def test_ray_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FrameworkError, match=r"distil\[ray\]"):
        predict("model", "in.parquet", "out")


# What a worker does instead of loading a model: it says who it is, and takes its time.
WORKER = """
import os, sys, time
sys.path[:0] = {paths!r}
from distil.pipelines import PIPELINES
from support.folders import make_tokenizer
from support.inference import FakeModel

class Slow(FakeModel):
    def score(self, sequences, **options):
        open({pids!r}, "a").write(f"{{os.getpid()}}\\n")
        time.sleep(0.05)
        return super().score(sequences, **options)

def make(name, **options):
    task = "sequence-classification"
    pipe = PIPELINES[task](Slow(task), make_tokenizer())
    pipe.threads = options.get("threads"), os.environ.get("OMP_NUM_THREADS")
    return pipe
"""
DRIVER = """
import sys
sys.path[:0] = {paths!r}
import ray, worker
from distil.prediction import files
import distil.ray

def shard(name, file, output, shard, options):
    import worker
    from distil.prediction import files
    files.make_pipeline, files.weights_of = worker.make, lambda *_, **__: {{}}
    return distil.ray.predict_files(name, file, output, shard=shard, **distil.ray._limited(options))

distil.ray._shard = shard
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={{
    "env_vars": {{"PYTHONPATH": {path!r}}}}})
found = distil.ray.predict(
    "model", "in.parquet", "out", columns={{"text": "review"}}, part_rows=20, shards=8,
    engine="onnxruntime",
)
print(found.rows, found.bad, found.parts, flush=True)
"""


class TestOnACluster:
    @pytest.fixture(autouse=True)
    def cluster(self, tmp_path, monkeypatch):
        pytest.importorskip("ray")
        monkeypatch.chdir(tmp_path)
        draw = random.Random(1)
        words = ["the", "good", "bad", "film", "who", "was", "born", "in", "paris"]
        texts = [" ".join(draw.choices(words, k=6)) + f" {n}" for n in range(1000)]
        texts[7] = None
        pq.write_table(pa.table({"id": range(1000), "review": texts}), "in.parquet")
        paths = [str(tmp_path), str(Path(distil.__file__).parents[1]), str(TESTS)]
        parts = {"paths": paths, "path": os.pathsep.join(paths), "pids": str(tmp_path / "pids")}
        Path("worker.py").write_text(WORKER.format(**parts))
        Path("driver.py").write_text(DRIVER.format(**parts))

    @staticmethod
    def start():
        return subprocess.Popen(
            [sys.executable, "driver.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    @staticmethod
    def wait_for_batches(count):
        end = time.monotonic() + 300
        while not Path("pids").exists() or len(Path("pids").read_text().split()) < count:
            assert time.monotonic() < end
            time.sleep(0.01)

    def test_killed_workers_and_a_killed_driver_lose_no_row(self):
        first = self.start()
        self.wait_for_batches(5)
        first.kill()
        first.wait()
        first.stdout.close()
        parts = len(list(Path("out").glob("part-*")))
        assert parts < 50
        Path("pids").unlink()

        def kill():
            for count in (3, 20):
                self.wait_for_batches(count)
                os.kill(int(Path("pids").read_text().split()[-1]), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        second = self.start()
        killer.start()
        said = second.communicate(timeout=300)[0]
        killer.join()
        assert said.splitlines()[-1] == "1000 1 50"  # Ray says of the killed ones before
        table = pq.read_table("out")
        assert table["id"].to_pylist() == list(range(1000))
        assert table["error"].null_count == 999
        assert len(set(Path("pids").read_text().split())) >= 3  # the killed ones, and others
