import gzip
import io
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import distil
from distil import benchmarking, cli
from distil.benchmarking.entrants import ways
from distil.cli import _output, main
from support.folders import make_folder

# What the examples in the help texts name, made tiny in the folder that the tests run them in.
MODELS = {
    "distilbert/distilbert-base-uncased": "masked-lm",
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": "sequence-classification",
    "distilbert/distilbert-base-cased-distilled-squad": "question-answering",
    "elastic/distilbert-base-uncased-finetuned-conll03-english": "token-classification",
    "sentence-transformers/all-MiniLM-L6-v2": "base",
    "my-model": "sequence-classification",
    "my-choices": "multiple-choice",
    "my-squad2": "question-answering",
}
LONG = "a film " * 40


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workplace")
    for name, task in MODELS.items():
        changes = {"max_position_embeddings": 128} if task == "base" else {}
        make_folder(folder / name, task, **changes)
    reviews = {"max_position_embeddings": 128, "num_labels": 2}
    make_folder(folder / "reviews", "sequence-classification", **reviews)
    make_folder(folder / "distilbert-base-uncased", "masked-lm", max_position_embeddings=128)
    topics = {
        "problem_type": "multi_label_classification", "num_labels": 2,
        "id2label": {0: "sport", 1: "politics"},
    }  # fmt: skip
    make_folder(folder / "my-topics", "sequence-classification", **topics)
    (folder / "rows.csv").write_text("text,sport,politics\n" + "A good film.,1,0\nIt is.,0,1\n" * 3)
    teacher = folder / "trained" / "sst2-teacher"
    make_folder(teacher, "sequence-classification", max_position_embeddings=128, num_labels=2)
    (folder / "reviews.txt").write_text("A good film.\n\nA bad one, in Paris!\n")
    (folder / "reviews.csv").write_text(
        "id,review,label\n" + '1,"A good, ""fine"" film.",LABEL_0\n2,A bad one!,LABEL_1\n' * 3
    )
    with suppress(ImportError):  # there, but for another NumPy, or not there
        from pyarrow import csv, parquet

        (folder / "lake").mkdir()
        parquet.write_table(csv.read_csv(folder / "reviews.csv"), folder / "lake/one.parquet")
    # What the recipes of the examples train on, a few rows of it.
    shutil.copytree(Path(__file__).parents[2] / "configs", folder / "configs")
    recipe = folder / "configs/distill/sentence-embeddings.yaml"
    recipe.write_text(recipe.read_text().replace("layers: [0, 3, 5]", "layers: [0]"))
    rows = ["A good film.\t1", "A bad one, in Paris!\t0"]
    table = "\n".join(["sentence\tlabel", *rows * 3]) + "\n"
    (folder / "data" / "sst2").mkdir(parents=True)
    (folder / "data/sst2/dev.tsv").write_text(table)
    (folder / "data/sst2/train.tsv.gz").write_bytes(gzip.compress(table.encode()))
    pairs = "sentence1,sentence2,score\n" + "A film.,The film.,4.5\nGood.,Bad in Paris.,0.2\n" * 3
    (folder / "data" / "stsb").mkdir()
    for part in ("train", "dev"):
        (folder / f"data/stsb/{part}.csv").write_text(pairs)
    (folder / "data" / "squad").mkdir()
    (folder / "data/squad/dev-v2.0.json").write_text(json.dumps({"data": [{"paragraphs": [{
        "context": "It was built in Paris.",
        "qas": [
            {"id": "1", "question": "Where?", "answers": [{"text": "Paris", "answer_start": 16}]},
            {"id": "2", "question": "Who?", "answers": [], "is_impossible": True},
        ],
    }]}]}))  # fmt: skip
    (folder / "data/texts.txt").write_text("A good film.\nA bad one, in Paris!\n" * 4)
    return folder


@pytest.fixture
def run(workplace, monkeypatch, capsys):
    """Run a command line in the workplace; gives its status, stdout and stderr."""
    monkeypatch.chdir(workplace)
    # `bench` starts a process for each way; two are enough here.
    two = lambda *arguments: itertools.islice(ways(*arguments), 2)  # noqa: E731
    monkeypatch.setattr(benchmarking, "ways", two)

    # `serve` would go on until it is told to stop.
    monkeypatch.setattr("distil.serving.http.run", lambda app, **options: print(options))

    def run(line, stdin=None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main(shlex.split(line))
        return status, *capsys.readouterr()

    return run


def shell(*arguments, cwd, **options):
    return subprocess.run(
        [sys.executable, "-m", "distil", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def commands():
    (actions,) = cli.make_parser()._subparsers._group_actions
    for parser in actions.choices.values():
        parser.complete()
    return actions.choices


def examples():
    for parser in commands().values():
        for line in parser.epilog.splitlines():
            if line.strip().startswith("distil "):
                yield line.strip()


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("line", list(examples()))
def test_examples_in_the_help_texts(run, workplace, line):
    for name in re.findall(r"output[ =](\S+)", line):  # another example's
        if (workplace / name).is_dir():
            shutil.rmtree(workplace / name)
        (workplace / name).unlink(missing_ok=True)
    line += " --dry-run" * line.startswith("distil push")  # test_publishing puts it on a hub
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status, out, err = run(line.removeprefix("distil "))
    assert status == 0, err
    assert out.strip() or "--output" in line
    if "--json" in line:
        json.loads(out)


def test_every_command_has_examples_and_the_help_lists_it(run):
    _, out, _ = run("--help")
    for name, parser in commands().items():
        assert re.search(rf"^ +{name} ", out, re.MULTILINE)
        assert "examples:\n  # " in parser.epilog
        assert f"\n  distil {name} " in parser.epilog


@pytest.mark.pt
@pytest.mark.parametrize(
    "line",
    [
        "predict my-model 'a good film' 'a bad one' --framework pt --json",
        "predict my-model --framework pt 'a good film' 'a bad one' --json",
        "predict --framework pt --json my-model 'a good film' 'a bad one'",
        "predict my-model 'a good film' --framework pt 'a bad one' --json",
    ],
)
def test_options_stand_anywhere(run, line):
    status, out, _ = run(line)
    assert status == 0
    assert [one["text"] for one in json.loads(out)["results"]] == ["a good film", "a bad one"]


@pytest.mark.pt
def test_a_table_shows_the_beginning_of_a_long_text(run):
    text = "film " * 1000
    status, out, _ = run(f"predict my-model '{text}' --framework pt")
    assert status == 0
    assert "film …" in out
    assert len(out) < len(text)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_imports_no_other(name):
    code = (
        "import sys\nfrom distil.cli import COMMANDS, main\n"
        f"assert main(['{name}', '--help']) == 0\n"
        "loaded = [one for one in COMMANDS if f'distil.cli.{one}' in sys.modules]\n"
        f"assert loaded == ['{name}'], loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


class TestStatus:
    def test_help_and_version(self, run):
        assert run("--help")[0] == 0
        assert run("--version") == (0, f"distil {distil.__version__}\n", "")
        for name in cli.COMMANDS:
            assert run(f"{name} --help")[0] == 0

    @pytest.mark.parametrize(
        "line", ["", "nonsense", "info", "parity my-model --dtype int8", "info my-model --what"]
    )
    def test_wrong_usage(self, run, line):
        status, out, err = run(line)
        assert (status, out) == (2, "")
        assert "usage: distil" in err

    @pytest.mark.parametrize(
        "line",
        [
            "info ./nowhere",
            "parity my-model --texts nowhere.txt",
            "parity my-model --tolerance -1",
            "parity my-model --rows 0",
            "predict my-model hello --task nonsense",
            "predict my-model hello --framework pt --task masked-lm --json",
            "predict my-model ''",
        ],
    )
    def test_errors(self, run, line):
        status, out, err = run(line)
        assert (status, out) == (2, "")
        assert err.startswith("error: ")
        assert "\x1b" not in err

    def test_interrupted(self, run, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("distil.inspection.info", interrupted)
        assert run("info my-model") == (130, "", "")

    @pytest.mark.pt
    @pytest.mark.tf
    def test_a_check_that_fails(self, run):
        status, out, _ = run("parity my-model --tolerance 0 --texts reviews.txt --json")
        assert status == 1
        assert json.loads(out)["agrees"] is False

    @pytest.mark.pt
    @pytest.mark.tf
    def test_frameworks_that_differ(self, run, monkeypatch):
        monkeypatch.setattr("distil.prediction.LARGEST_DIFFERENCE", 0.0)
        status, out, _ = run("predict my-model hello --framework both")
        assert status == 1
        assert "do NOT agree" in out


class TestTexts:
    @pytest.mark.pt
    def test_from_arguments_a_file_and_stdin(self, run):
        def texts(line, **options):
            status, out, _ = run(f"predict my-model {line} --framework pt --json", **options)
            assert status == 0
            return [result["text"] for result in json.loads(out)["results"]]

        assert texts("one two") == ["one", "two"]
        assert texts("one --file reviews.txt") == ["one", "A good film.", "A bad one, in Paris!"]
        assert texts("", stdin="\ufeffein Fuß\r\n \nzwei".encode()) == ["ein Fuß", "zwei"]
        assert texts("--file -", stdin=b"three\n") == ["three"]

    @pytest.mark.pt
    @pytest.mark.parametrize("stdin", [b"", b" \n\n", b"\xff\xfe"])
    def test_nothing_on_stdin(self, run, stdin):
        status, out, err = run("predict my-model --framework pt", stdin=stdin)
        assert (status, out) == (2, "")
        assert "stdin" in err

    @pytest.mark.pt
    def test_brackets_are_no_markup(self, run):
        _, out, _ = run("predict distilbert/distilbert-base-uncased 'it is [MASK].' --framework pt")
        assert "it is [MASK]." in out

    @pytest.mark.pt
    def test_a_warning_is_one_line_on_stderr(self, run):
        status, out, err = run(f"predict my-model '{LONG}' --framework pt --json")
        assert status == 0
        json.loads(out)
        assert err.startswith("warning: texts[0] is longer than the 40 tokens")
        assert err.count("\n") == 1

    @pytest.mark.pt
    def test_what_is_piped_is_not_folded(self, run, monkeypatch):
        monkeypatch.delenv("COLUMNS", raising=False)
        text = "a good film " * 10
        _, out, _ = run(f"predict my-model '{text}' --framework pt")
        assert text in out
        assert "\x1b" not in out


def test_json_has_no_infinity(capsys):
    with pytest.raises(ValueError, match="Out of range"):
        _output.print_json({"difference": float("inf")})


def test_stderr_is_given_back_when_a_start_fails(capfd):
    def fail():
        os.write(2, b"the reason\n")
        raise ImportError

    with pytest.raises(ImportError), _output.stderr_kept_back():
        fail()
    with _output.stderr_kept_back():
        os.write(2, b"chatter\n")
    err = capfd.readouterr().err
    assert "the reason" in err
    assert "chatter" not in err


class TestProcess:
    """What only a process of its own shows."""

    def test_help_imports_nothing_that_takes_long(self):
        code = (
            "import sys; from distil.cli import main; main(['--help']);"
            "assert not {'torch', 'tensorflow', 'keras', 'numpy', 'rich'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    def test_statuses(self, workplace):
        good = shell("info", "my-model", "--json", cwd=workplace)
        assert (good.returncode, good.stderr) == (0, "")
        assert json.loads(good.stdout)["task"] == "sequence-classification"
        bad = shell("info", "./nowhere", cwd=workplace)
        assert (bad.returncode, bad.stdout) == (2, "")
        assert bad.stderr.startswith("error: no such folder\n")

    def test_a_pipe_that_nobody_reads(self, workplace):
        process = subprocess.Popen(
            [sys.executable, "-m", "distil", "info", "my-model"],
            cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 141

    @pytest.mark.pt
    @pytest.mark.tf
    def test_tensorflow_starts_in_silence(self, workplace):
        found = shell(
            "parity", "my-model", "--texts", "reviews.txt", "--json",
            cwd=workplace, env=clean_environment(),
        )  # fmt: skip
        assert (found.returncode, found.stderr) == (0, "")
        assert json.loads(found.stdout)["agrees"] is True


def clean_environment():
    """Without what conftest sets to keep TensorFlow quiet."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TF_")}


class TestWhatActsOnATerminal:
    """Control characters and direction marks, as a label may hold them."""

    EVIL = "\x1b]52;c;cHduZWQ=\x1b\\\x9b2J\u202eevil"

    @pytest.fixture
    def evil(self, tmp_path):
        path = make_folder(tmp_path / "evil", "sequence-classification") / "config.json"
        config = json.loads(path.read_text())
        config |= {"id2label": {"0": self.EVIL, "1": "b"}, "label2id": {self.EVIL: 0, "b": 1}}
        path.write_text(json.dumps(config))
        return path.parent

    @pytest.mark.parametrize("option", ["", " --json"])
    def test_is_not_printed(self, run, evil, option):
        status, out, err = run(f"info {evil}{option}")
        assert (status, err) == (0, "")
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
        if option:
            assert json.loads(out)["labels"]["0"] == self.EVIL
        else:
            assert "?]52;c;cHduZWQ=?\\?2J?evil" in out

    def test_nor_in_a_warning_which_keeps_its_lines(self, capsys):
        with _output.plain_warnings({}):
            warnings.warn("one\n    two\x1b[2J", UserWarning, stacklevel=1)
        assert capsys.readouterr().err == "warning: one\n    two?[2J\n"


class TestWordsOfTheCommand:
    @pytest.mark.pt
    def test_a_warning(self, run, tmp_path):
        _, _, err = run(f"predict my-model --framework pt {shlex.quote(LONG)}")
        assert "; --stride ... reads all of it" in err
        with pytest.warns(UserWarning, match=r"; stride=\.\.\. reads all of it"):
            distil.predict("my-model", LONG, framework="pt")

    @pytest.mark.pt
    def test_where_an_error_is(self, run, tmp_path):
        make_folder(tmp_path / "qa", "question-answering")
        command = f"predict {tmp_path / 'qa'} --framework pt 'who was born' --context 'it was'"
        _, _, err = run(f"{command} --stride -1")
        assert re.search(r"where: +--stride\n", err)
        _, _, err = run(f"{command} --stride 36")
        assert "a question of 3 tokens, --stride 36" in err
        assert "lower --stride, or shorten the question" in err

    def test_an_error(self, run, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        _, _, err = run(f"convert my-model {tmp_path}")
        assert "or replace it with --force\n" in err
        with pytest.raises(distil.CheckpointError, match="replace it with force=True"):
            distil.convert("my-model", tmp_path)

    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ("pass top_k=3, or task='ner'", "pass --top-k 3, or --task 'ner'"),
            ("set force=True; num_labels=2", "set --force; num_labels=2"),
            ("a_task=1 and task", "a_task=1 and task"),
        ],
    )
    def test_words(self, said, meant):
        options = {"top_k": "--top-k", "task": "--task", "force": "--force"}
        assert _output.as_command(said, options) == meant
        assert _output.as_command(said, {}) == said


class TestExportWithoutAName:
    """A page of the bundled model; nothing is written where a folder was forgotten."""

    @pytest.mark.parametrize(
        "words", [["site"], ["sst2-small", "--to", "web"], ["team/model", "--to", "web"],
                  ["my-checkpoint", "--to", "web"]],
    )  # fmt: skip
    def test_a_folder_that_was_forgotten(self, words, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        make_folder(tmp_path / "my-checkpoint", "base")
        before = sorted(tmp_path.rglob("*"))
        assert main(["export", *words]) == 2
        assert "one of the model and the folder is missing" in capsys.readouterr().err
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("place", ["site", "new/site"])
    def test_the_page_of_the_bundled_model(self, place, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "new").mkdir()
        given = []

        def export(name, folder, form, **options):
            given.append((name, folder, form, options["task"]))
            raise distil.InputError("enough")

        monkeypatch.setattr("distil.exporting.export", export)
        assert main(["export", "--to", "web", "--task", "embeddings", place]) == 2
        assert given == [(None, place, "web", "embeddings")]


def test_what_training_says_does_not_tear_the_bar(monkeypatch):
    from distil.cli import _training

    redirected = io.StringIO()

    @contextmanager
    def bar(what):
        """As rich does it while a bar is shown: what is written to stderr goes above the bar."""
        monkeypatch.setattr(sys, "stderr", redirected)
        yield lambda *_: None

    monkeypatch.setattr(_training, "progress", bar)
    workers = SimpleNamespace(is_first=True)
    _training._train(
        lambda *_, **__: _training.logging.getLogger("distil.training").info("hi"), None, workers
    )
    assert redirected.getvalue() == "hi\n"
