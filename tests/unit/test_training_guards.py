"""What training refuses, and what it never loses: folders, data, checkpoints, half files."""

import json
import logging
import os
import pickle
import signal
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.common.steps.recipe import read_recipe
from distil.errors import (
    CheckpointError,
    ConfigError,
    FrameworkError,
    InputError,
    Interrupted,
    TrainingError,
)
from distil.training import (
    checkpoints,
    classes,
    evaluation,
    identity,
    interrupts,
    log,
    metrics,
    preparing,
    result,
    session,
    train,
)
from distil.training.cache import load_features
from distil.training.folder import check_output, claimed
from distil.training.position import Position
from support.training import make_recipe, recipe_for

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]


def weights(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


def curve(folder):
    """What was written, without what depends on the machine."""
    points = log.read_log(Path(folder))
    return [{n: x for n, x in point.items() if n != "tokens_per_second"} for point in points]


class TestFolder:
    def recipe(self, folder, **changes):
        return recipe_for("masked-lm", output=str(folder), **changes)

    @pytest.mark.parametrize("name", ["README.md", "model.safetensors", "config.json", ".hidden"])
    def test_something_else_stays(self, tmp_path, name):
        (tmp_path / name).write_text("precious")
        with pytest.raises(TrainingError, match=f"holds something else[\\s\\S]*{name}"):
            check_output(self.recipe(tmp_path), force=False)
        assert check_output(self.recipe(tmp_path), force=True) == tmp_path

    @pytest.mark.parametrize("name", [log.FILE_NAME, checkpoints.FILE_NAME, "training.json"])
    def test_a_training_may_go_on(self, tmp_path, name):
        for one in (name, "README.md", "model.safetensors"):
            (tmp_path / one).write_text("")
        assert check_output(self.recipe(tmp_path), force=False) == tmp_path

    def test_an_empty_folder_or_none(self, tmp_path):
        for folder in (tmp_path, tmp_path / "new" / "er"):
            assert check_output(self.recipe(folder), force=False) == folder

    @pytest.mark.parametrize("where", ["model.name", "teacher.name"])
    def test_never_over_the_model_it_begins_with(self, tmp_path, where):
        (tmp_path / "model").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "model")
        changes = {"teacher.name": "t"} if where == "teacher.name" else {}
        recipe = self.recipe(tmp_path / "link", **(changes | {where: str(tmp_path / "model")}))
        with pytest.raises(ConfigError, match=f"overwrite the model[\\s\\S]*{where}"):
            check_output(recipe, force=True)

    @pytest.mark.parametrize("where", ["model.name", "teacher.name"])
    def test_never_called_as_the_model_it_begins_with(self, tmp_path, monkeypatch, where):
        monkeypatch.chdir(tmp_path)
        changes = {"teacher.name": "t"} if where == "teacher.name" else {}
        recipe = self.recipe("./sst2-small", **(changes | {where: "sst2-small"}))
        with pytest.raises(ConfigError, match=f"overwrite the model[\\s\\S]*{where}"):
            check_output(recipe, force=True)

    @pytest.mark.parametrize("name", ["file", "file/within", "a\0b"])
    def test_no_folder(self, tmp_path, name):
        (tmp_path / "file").write_text("")
        with pytest.raises(TrainingError, match="cannot be a folder"):
            check_output(self.recipe(f"{tmp_path}/{name}"), force=True)

    def test_one_process_alone(self, tmp_path):
        folder = tmp_path / "new"
        with (
            claimed(folder),
            pytest.raises(TrainingError, match="another training"),
            claimed(folder),
        ):
            pass
        assert list(folder.iterdir()) == []
        with claimed(folder):  # what a kill leaves is no lock
            left = (folder / ".training.lock").read_bytes()
        (folder / ".training.lock").write_bytes(left)
        with claimed(folder):
            pass

    @pytest.mark.pt
    def test_training_asks(self, tmp_path):
        recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"schedule.steps": 1})
        folder = Path(recipe.output)
        folder.mkdir()
        (folder / "README.md").write_text("precious")
        with pytest.raises(TrainingError, match="something else"):
            train(recipe)
        with pytest.raises(ConfigError, match="would overwrite"):
            train(recipe, output=recipe.model.name, force=True)
        with claimed(folder), pytest.raises(TrainingError, match="another training"):
            train(recipe, force=True)
        assert (folder / "README.md").read_text() == "precious"
        assert train(recipe, force=True).trained


class TestIdentity:
    @pytest.fixture
    def recipe(self, tmp_path):
        taught = {"teacher.name": str(tmp_path / "model"), "model.name": None}
        return make_recipe(tmp_path, "masked-lm", "pt", **taught)

    @pytest.mark.parametrize(
        "name", ["train.txt", "dev.txt", "model/config.json", "model/vocab.txt"]
    )
    def test_content_counts(self, recipe, tmp_path, name):
        before = identity.contents_of(recipe)
        path = tmp_path / name
        content = bytearray(path.read_bytes())
        os.utime(path, (1, 1))
        assert identity.contents_of(recipe) == before
        content[-2] ^= 1
        path.write_bytes(content)
        assert identity.contents_of(recipe) != before

    def test_weights_of_the_model_count(self, tmp_path):
        recipe = make_recipe(tmp_path, "masked-lm", "pt")
        before = identity.contents_of(recipe)
        (path,) = (tmp_path / "model").glob("*.safetensors")
        path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
        assert {*before} == {"data", "model"}
        assert identity.contents_of(recipe)["model"] != before["model"]

    def test_of_a_large_file_blocks_are_read(self, recipe, tmp_path, monkeypatch):
        monkeypatch.setattr(identity, "_WHOLE", 640)
        path = tmp_path / "train.txt"
        path.write_bytes(b"a" * 6400)
        before = identity.contents_of(recipe)["data"]
        seen = 0
        for place in range(0, 6400, 10):
            path.write_bytes(b"a" * place + b"b" + b"a" * (6399 - place))
            seen += identity.contents_of(recipe)["data"] != before
        assert 60 <= seen <= 66  # a tenth of the file; the first and the last byte are in it
        path.write_bytes(b"a" * 6401)
        assert identity.contents_of(recipe)["data"] != before

    @pytest.mark.pt
    def test_a_finished_training_answers_for_itself_alone(self, tmp_path):
        recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"schedule.steps": 1})
        first = train(recipe)
        again = train(recipe)
        assert (first.trained, again.trained) == (True, False)
        assert again == first
        assert first.labels == ("bad", "good")
        for name, words in (("train.tsv", "train.tsv was"), ("dev.tsv", "dev.tsv was"),
                            ("model/config.json", "config.json was")):  # fmt: skip
            path = tmp_path / name
            before = path.read_bytes()
            path.write_bytes(before.replace(b"a", b"b", 1))
            with pytest.raises(TrainingError, match=words):
                train(recipe)
            path.write_bytes(before)
        with pytest.raises(InputError, match="No such file"):
            train(recipe, **{"data.folder": str(tmp_path / "nowhere")})
        assert not train(recipe).trained

    @pytest.mark.pt
    @pytest.mark.parametrize(
        "content",
        ["5", "{}", '{"result": 5}', '{"result": {}}', '{"result": {"labels": []}}', "[", "\xff"],
    )
    def test_a_result_that_is_none(self, tmp_path, content, monkeypatch):
        path = tmp_path / "training.json"
        path.write_text(content, encoding="latin-1")
        monkeypatch.setattr(result, "check_same", lambda *_: None)
        with pytest.raises(CheckpointError, match=r"training\.json"):
            result.finished(tmp_path, {"recipe": {}})


class TestTokenizedData:
    def damage(kind, ids, arrays):  # noqa: N805 - a table of the ways to do it
        data, zipped = ids.read_bytes(), arrays.read_bytes()
        {
            "zeros": lambda: ids.write_bytes(bytes(len(data))),
            "half": lambda: ids.write_bytes(data[: len(data) // 8 * 4]),
            "odd": lambda: ids.write_bytes(data[:-1]),
            "empty": lambda: ids.write_bytes(b""),
            "gone": ids.unlink,
            "one byte": lambda: ids.write_bytes(data[:8] + bytes([data[8] ^ 1]) + data[9:]),
            "arrays cut": lambda: arrays.write_bytes(zipped[:-100]),
            "arrays empty": lambda: arrays.write_bytes(b""),
            "arrays a pickle": lambda: arrays.write_bytes(pickle.dumps({"starts": 1})),
            "arrays an array": lambda: np.save(arrays.open("wb"), np.zeros(3)),
            "arrays without a sum": lambda: np.savez(arrays, starts=np.zeros(3)),
            "another length": lambda: np.savez(
                arrays, **(named := dict(np.load(arrays))) | {"ids": named["ids"] + [1, 0]}
            ),
        }[kind]()

    KINDS = (
        "zeros", "half", "odd", "empty", "gone", "one byte", "arrays cut", "arrays empty",
        "arrays a pickle", "arrays an array", "arrays without a sum", "another length",
    )  # fmt: skip

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_what_does_not_fit_is_made_anew(self, tmp_path, kind):
        options = {"data.cache": str(tmp_path / "cache")}
        recipe = make_recipe(tmp_path, "sequence-classification", "pt", **options)
        good = preparing.prepare(recipe).fingerprint
        (ids,) = (tmp_path / "cache").glob("*-train-*.ids")
        assert load_features(ids) is not None
        TestTokenizedData.damage(kind, ids, ids.with_suffix(".npz"))
        assert load_features(ids) is None
        assert preparing.prepare(recipe).fingerprint == good
        assert load_features(ids) is not None

    def test_ids_are_on_disk_before_they_have_their_name(self, tmp_path, monkeypatch):
        from distil.training import cache

        done = []
        monkeypatch.setattr(cache.os, "fsync", lambda number: done.append("synced"))
        rename = Path.replace
        monkeypatch.setattr(
            Path, "replace", lambda self, to: (done.append("renamed"), rename(self, to))[1]
        )
        file = cache.IdsFile(tmp_path / "a.ids")
        file.add(np.arange(3, dtype=np.int32))
        assert file.finish().tolist() == [0, 1, 2]
        assert done == ["synced", "renamed"]


GOOD = asdict(Position())
BAD_POSITIONS = {
    "no step": {name: value for name, value in GOOD.items() if name != "step"},
    "another field": GOOD | {"more": 1},
    "a negative step": GOOD | {"step": -1},
    "a step in words": GOOD | {"step": "3"},
    "a step that is true": GOOD | {"step": True},
    "half a batch": GOOD | {"batch": 0.5},
    "sums in a list": GOOD | {"sums": []},
    "a sum in words": GOOD | {"sums": {"loss": "3"}},
    "best in words": GOOD | {"best": "3"},
    "judged in numbers": GOOD | {"to_judge": 1},
}


@pytest.mark.parametrize("kind", BAD_POSITIONS)
def test_a_position_that_is_none(kind):
    assert Position.read(GOOD | {"best": 0.5, "metrics": {"f1": 1.0}}).best == 0.5
    with pytest.raises(CheckpointError, match="damaged"):
        Position.read(BAD_POSITIONS[kind])


STATE = {
    "steps": np.array([3]), "weight/a": np.ones((3, 2), np.float32),
    "mean/a": np.ones((3, 2), np.float32), "square/a": np.ones((3, 2), np.float32),
}  # fmt: skip
FRESH = {name: STATE[name] for name in ("steps", "weight/a")}
INFO = {"position": GOOD, "identity": {}}


def write_state(folder, arrays, text):
    """A checkpoint with any text for what is known besides its arrays."""
    path = folder / checkpoints.FILE_NAME
    shapes = [(name, array.shape) for name, array in arrays.items()]
    writer = checkpoints.SafetensorsWriter(path, shapes, {"training": text})
    for name, array in arrays.items():
        writer.add(name, array)
    writer.finish(alone=True)


class TestCheckpoint:
    def test_what_fits(self, tmp_path):
        checkpoints.save_state(tmp_path, STATE, INFO)
        arrays, info = checkpoints.load_state(tmp_path)
        assert info["position"] == GOOD
        checkpoints.check_arrays(tmp_path, arrays, FRESH)
        checkpoints.check_arrays(tmp_path, FRESH, FRESH)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"weight/a": np.ones((1, 2), np.float32)}, "weight/a"),
            ({"weight/a": np.ones((3, 2), np.float64)}, "float64"),
            ({"mean/a": np.ones((1, 2), np.float32)}, "mean/a"),
            ({"square/a": np.ones((2, 3), np.float32)}, "square/a"),
            ({"weight/a": None}, "no weight/a"),
            ({"steps": None}, "no steps"),
            ({"weight/b": np.ones(3)}, "weight/b"),
            ({"mean/b": np.ones(3)}, "mean/b"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path, change, words):
        arrays = {n: x for n, x in (STATE | change).items() if x is not None}
        with pytest.raises(CheckpointError, match=words):
            checkpoints.check_arrays(tmp_path, arrays, FRESH)

    @pytest.mark.parametrize(
        "info",
        [
            {"position": 3, "identity": {}}, {"position": {}, "identity": []}, {"identity": {}}, {},
        ],
    )  # fmt: skip
    def test_information_that_is_none(self, tmp_path, info):
        checkpoints.save_state(tmp_path, STATE, info)
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoints.load_state(tmp_path)

    @pytest.mark.parametrize("text", ["", "5", "[]", "[" * 100_000, "{"])
    def test_no_information(self, tmp_path, text):
        write_state(tmp_path, STATE, text)
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoints.load_state(tmp_path)

    def test_an_array_less(self, tmp_path):
        state = {n: x for n, x in STATE.items() if n != "mean/a"}
        checkpoints.save_state(tmp_path, state, INFO)
        assert checkpoints.load_state(tmp_path) is not None
        write_state(tmp_path, state, json.dumps(INFO | {"arrays": len(STATE)}))
        with pytest.raises(CheckpointError, match="3 arrays of 4"):
            checkpoints.load_state(tmp_path)

    @pytest.mark.parametrize("cut", [0, 4, 100, -1])
    def test_cut_off(self, tmp_path, cut):
        checkpoints.save_state(tmp_path, STATE, INFO)
        path = tmp_path / checkpoints.FILE_NAME
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoints.load_state(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
    @pytest.mark.parametrize("name", [checkpoints.FILE_NAME, log.FILE_NAME])
    def test_a_pipe_is_not_waited_for(self, tmp_path, name):
        os.mkfifo(tmp_path / name)
        read = checkpoints.load_state if name == checkpoints.FILE_NAME else log.read_log
        with pytest.raises(CheckpointError):
            read(tmp_path)


@pytest.mark.parametrize(
    "line", [b"5", b"1", b"[]", b"{}", b'{"step": "3"}', b"\xff\xfe", b"[" * 10**5]
)
def test_a_log_ends_where_it_is_damaged(tmp_path, line):
    path = tmp_path / log.FILE_NAME
    path.write_bytes(b'{"step": 1, "loss": 2.0}\n' + line + b'\n{"step": 2}\n')
    assert log.read_log(tmp_path) == [{"step": 1, "loss": 2.0}]
    log.Log(tmp_path, step=1, judged=True, tensorboard=False).write({"step": 2, "loss": 1.0})
    assert [record["step"] for record in log.read_log(tmp_path)] == [1, 2]


def test_a_log_on_a_full_disk(tmp_path):
    written = log.Log(tmp_path, step=0, judged=True, tensorboard=False)
    path = tmp_path / log.FILE_NAME
    path.unlink()
    path.symlink_to("/dev/full")
    if Path("/dev/full").exists():
        with pytest.raises(CheckpointError, match="log cannot be written"):
            written.write({"step": 1})


class Steps(list):
    """A listener that does something after a step."""

    def __init__(self, at, what):
        super().__init__()
        self.at, self.what = at, what

    def __call__(self, progress):
        self.append(progress.step)
        if progress.step == self.at:
            self.what()


@pytest.fixture
def recipe(tmp_path):
    changes = {"checkpoints.model": "last", "evaluation.every": 3, "log.every": 2}
    return make_recipe(tmp_path, "sequence-classification", "pt", **changes)


@pytest.fixture
def whole(recipe):
    """What the recipe gives undisturbed."""
    return train(recipe, output=recipe.output + "-whole")


@pytest.mark.pt
class TestInterrupts:
    # The model is judged after the third step, unless training is to stop.
    @pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 2), (signal.SIGTERM, 3)])
    def test_it_stops_after_the_step_and_goes_on(
        self, recipe, whole, number, step, caplog, monkeypatch
    ):
        before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
        steps = Steps(step, lambda: os.kill(os.getpid(), number))
        words = rf"after step {step} of 10, and saved in"
        with monkeypatch.context() as patch:
            patch.setattr(evaluation.Judge, "judge", None)
            with pytest.raises(Interrupted, match=words) as caught:
                train(recipe, listener=steps)
        assert caught.value.number == number
        assert "a second signal stops at once" in caplog.text
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
        more = Steps(0, None)
        resumed = train(recipe, listener=more)
        assert more == list(range(step + 1, 11))
        assert weights(resumed.folder) == weights(whole.folder)
        assert resumed.metrics == whole.metrics
        assert curve(resumed.folder) == curve(whole.folder)

    def test_after_the_last_step_there_is_nothing_to_stop(self, recipe, whole):
        trained = train(recipe, listener=Steps(10, lambda: os.kill(os.getpid(), signal.SIGTERM)))
        assert trained.metrics == whole.metrics

    def test_the_second_ends_at_once(self, recipe):
        def twice():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt) as caught:
            train(recipe, listener=Steps(3, twice))
        assert not isinstance(caught.value, Interrupted)

    def test_the_status_of_the_command(self, recipe, tmp_path, monkeypatch, capsys):
        from distil.cli import main

        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(recipe.to_table()))
        trained = session.Loop._tell

        def tell(self, *arguments):
            trained(self, *arguments)
            if self.position.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(session.Loop, "_tell", tell)
        assert main(["train", str(path)]) == 143
        out, err = capsys.readouterr()
        assert out == ""
        assert "classes: bad (" in err
        assert "the same command continues from there" in err
        assert "Traceback" not in err

    def test_a_handler_of_somebody_else_stays(self):
        def own(number, frame):
            raise AssertionError

        before = signal.signal(signal.SIGTERM, own)
        try:
            with interrupts.watched():
                assert signal.getsignal(signal.SIGTERM) is own
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_another_thread_has_no_handlers(self):
        def look():
            with interrupts.watched() as stop:
                found.append(stop.number)

        found = []
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert found == [None]


@pytest.mark.pt
def test_the_model_is_kept_before_it_is_judged(recipe, whole, monkeypatch):
    """And judged again after that, as if nothing had been."""
    judge = evaluation.Judge.judge
    judged = []

    def fails(self, *arguments):
        judged.append(1)
        if len(judged) == 3:
            raise MemoryError
        return judge(self, *arguments)

    monkeypatch.setattr(evaluation.Judge, "judge", fails)
    recipe = recipe.replace(**{"checkpoints.every": 3})
    with pytest.raises(MemoryError):
        train(recipe)
    steps = Steps(0, None)
    resumed = train(recipe, listener=steps)
    assert steps == [10]  # nine steps were kept, and the third evaluation is made up for
    assert weights(resumed.folder) == weights(whole.folder)
    assert curve(resumed.folder) == curve(whole.folder)


REGRESSION = {"model.config": {"problem_type": "regression"}}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_damaged_checkpoint_is_an_error_before_it_is_restored(tmp_path, framework):
    recipe = make_recipe(tmp_path, "sequence-classification", framework)
    with pytest.raises(Interrupted):
        train(recipe, listener=Steps(2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    folder = Path(recipe.output)
    arrays, info = checkpoints.load_state(folder)
    name = next(name for name in arrays if name.startswith("mean/") and arrays[name].ndim == 2)
    for change in ({name: arrays[name][:1]}, {name: None}, {"weight" + name[4:]: arrays[name][:1]}):
        changed = {n: x for n, x in (arrays | change).items() if x is not None}
        write_state(folder, changed, json.dumps({**info, "arrays": len(arrays)}))
        with pytest.raises(CheckpointError, match="damaged"):
            train(recipe)
    for change, words in (({"step": 99}, "step 99"), ({"batch": 99}, "batch 99")):
        position = info["position"] | change
        checkpoints.save_state(folder, arrays, info | {"position": position})
        with pytest.raises(CheckpointError, match=words):
            train(recipe)
    checkpoints.save_state(folder, arrays, info)
    assert train(recipe).steps == 10


@pytest.mark.parametrize(
    ("task", "changes", "package", "named"),
    [
        ("sequence-classification", {}, "sklearn", "scikit-learn"),
        ("sequence-classification", REGRESSION, "scipy", "scipy"),
        ("token-classification", {}, "seqeval", "seqeval"),
        ("masked-lm", {}, "matplotlib", "matplotlib"),
        ("masked-lm", {"log.tensorboard": True}, "tensorboard", "tensorboard"),
    ],
)  # fmt: skip
def test_a_missing_package_is_said_first(task, changes, package, named, monkeypatch, tmp_path):
    recipe = recipe_for(task, output=str(tmp_path), **{"data.dev": "x"}, **changes)
    monkeypatch.setattr(metrics, "find_spec", lambda name: name)
    metrics.check_packages(recipe)
    monkeypatch.setattr(metrics, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(FrameworkError, match=f"{named} is not installed"):
        metrics.check_packages(recipe)


@pytest.mark.pt
def test_packages_are_looked_for_before_anything_is_read(recipe, monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    monkeypatch.setattr(session, "prepare", None)
    with pytest.raises(FrameworkError, match="matplotlib"):
        train(recipe)
    assert not Path(recipe.output).exists()


class TestClasses:
    def prepare(self, tmp_path, labels):
        recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"data.dev": None})
        lines = "".join(f"it is\t{label}\n" for label in labels)
        (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + lines)
        return preparing.prepare(recipe)

    def test_a_label_that_occurs_once(self, tmp_path):
        with pytest.warns(UserWarning, match=r"'maybe': a class of one[\s\S]*data\.labels"):
            found = self.prepare(tmp_path, ["0"] * 99 + ["1"] * 100 + ["maybe"])
        assert found.counts == {"0": 99, "1": 100, "maybe": 1}
        assert classes.described(found.counts) == "0 (99), 1 (100), maybe (1)"

    @pytest.mark.parametrize(
        "labels", [["0"] * 100 + ["1"] * 2, list("abcdefgh"), ["0"] * 60 + list("abc")]
    )
    def test_labels_that_are_meant(self, tmp_path, labels, recwarn):
        self.prepare(tmp_path, labels)
        assert not recwarn.list

    def test_many_classes_are_not_all_named(self, tmp_path):
        found = self.prepare(tmp_path, [str(number) for number in range(30)])
        assert classes.described(found.counts).endswith("19 (1) and 10 more")

    def test_a_text_for_a_label(self, tmp_path, monkeypatch):
        monkeypatch.setattr("distil.training.examples.MOST_LABELS", 20)
        with pytest.raises(InputError, match=r"20 at most[\s\S]*train.tsv:22"):
            self.prepare(tmp_path, [str(number) for number in range(30)])


RECIPE = "task: masked-lm\noutput: x\nmodel: {name: m}\ndata: {train: a.txt}\nbatch: {tokens: 10}\n"


class TestRecipes:
    BOMB = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}\n" for n in range(1, 40)
    )

    @pytest.mark.parametrize(
        "text",
        [
            BOMB, "a: &a {b: 1}\nc: {<<: [*a, *a]}\n", "x: &x {y: *x}\n", "a: " + "[" * 10**5,
            "seed: " + "9" * 10**5, "a: 2001-99-99\n", "? {a: b}\n: c\n",
        ],
        ids=["bomb", "merges", "in itself", "deep", "digits", "date", "a table for a key"],
    )  # fmt: skip
    def test_yaml_that_would_not_end(self, tmp_path, text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_recipe(path)
        assert len(str(caught.value)) < 5000

    @pytest.mark.parametrize(
        "value", ["2001-99-99", "[" * 10**5, "&a [*a]", "9" * 10**5, "0x" + "f" * 10**4]
    )
    def test_assignments_likewise(self, value):
        from distil.common.steps.recipe_rules import read_assignments

        with pytest.raises(ConfigError):
            recipe_for("masked-lm", **read_assignments([f"seed={value}"]))

    @pytest.mark.parametrize(
        "changes",
        [
            {"optimizer.learning_rate": 10**400}, {"seed": 2**31}, {"schedule.epochs": 10**6},
            {"schedule.steps": 10**18}, {"batch.examples": 10**400}, {"seed": int("f" * 4000, 16)},
        ],
    )  # fmt: skip
    def test_numbers_have_bounds(self, changes):
        with pytest.raises(ConfigError, match="is not valid"):
            recipe_for("masked-lm", **changes)

    def test_a_table_in_itself(self):
        table = {}
        table["data"] = table
        with pytest.raises(ConfigError, match="without an end"):
            read_recipe(table)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("task", "unknown field"), ("framework", "unknown field"),
            ("device", "unknown field"), ("cls", "unknown field"),
            ("name", "unknown field"), ("dropuot", "did you mean dropout"),
            ("dtype", "which precision decides"), ("torch_dtype", "which precision decides"),
            ("num_labels", "unknown field|which data.labels decides"),
            ("id2label", "which data.labels decides"), ("extra", "unknown field"),
        ],
    )  # fmt: skip
    def test_a_configuration_has_fields_alone(self, name, words):
        assert recipe_for("masked-lm", **{"model.config": {"hidden_size": 8}})
        with pytest.raises(ConfigError, match=words):
            recipe_for("masked-lm", **{"model.config": {name: "x"}})


def test_lines_of_progress_where_there_is_no_terminal(monkeypatch, capsys):
    from distil.cli import _progress

    times = iter([0, 1, 31, 31, 40])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(times, 41))
    with _progress.progress("training") as tell:
        tell(1, 10, "a")
        tell(2, 10, "b")
        tell(3, None, "c")
    assert capsys.readouterr().err == "training: 20%, b\n"
    with _progress.progress("training", wanted=False) as tell:
        tell(1, 10, "a")
    assert capsys.readouterr().err == ""


def test_notes_of_training_are_silent_unless_asked_for():
    assert not logging.getLogger("distil.training").isEnabledFor(logging.INFO)
    assert distil.errors.Interrupted(2, "a").number == 2
