"""`distil predict` on files: what is read, what is written, and what is said of bad rows."""

import gc
import io
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

import distil
from distil.cli import main
from distil.errors import InputError
from distil.pipelines import PIPELINES
from distil.reading import RowFile, read_lines, to_inputs
from support.folders import make_tokenizer
from support.inference import FakeModel

TESTS = Path(__file__).parents[1]

FILES = {
    "lines.txt": b"\xef\xbb\xbfit is good\r\n\r\n  \nit is bad\n",
    "rows.jsonl": b'"it is good"\n\n{"text": "it is bad", "id": 2}\n',
    "pairs.jsonl": b'{"text": "it", "text_pair": "is"}\n{"text": "a", "text_pair": "film"}\n',
    "named.jsonl": b'{"first": "it", "other": "is"}\n',
    "rows.csv": b'\xef\xbb\xbfid,text\n1,"it is,\n""good"""\n2,it is bad\n',
    "alone.csv": b"review\nit is good\nit is bad\n",
    "rows.tsv": b'text\tlabel\nit is "good\t1\nit is bad\t0\n',
    "rows.log": b"text\nit is good\n",
    "questions.jsonl": b'{"question": "who?", "context": "it was paris"}\n',
    "choices.jsonl": b'{"prompt": "it is", "choices": ["good", "bad"]}\n',
}
BAD = {
    # What a file holds besides good rows, and the line that is bad.
    "not UTF-8": ("lines.txt", b"it is\nf\xe4ilm\nit\n", 2, "not UTF-8"),
    "UTF-16": ("lines.txt", "it is".encode("utf-16"), 1, "not UTF-8"),
    "broken JSON": ("rows.jsonl", b'"it"\n{"text": "it"\n"is"\n', 2, "not JSON"),
    "a nest of lists": ("rows.jsonl", b'"it"\n' + b"[" * 100_000 + b'\n"is"\n', 2, "not JSON"),
    "a number": ("rows.jsonl", b'"it"\n7\n"is"\n', 2, "neither a text nor"),
    "no text": ("rows.jsonl", b'"it"\n{"text": null}\n"is"\n', 2, "not a text"),
    "a surrogate": ("rows.jsonl", b'"it"\n"\\ud800"\n"is"\n', 2, "lone surrogate"),
    "no field": ("rows.jsonl", b'"it"\n{"txt": "is"}\n"is"\n', 2, "--text-column"),
    "an empty field": ("rows.csv", b"id,text\n1,it\n2,\n3,is\n", 3, "not a text"),
    "too many fields": ("rows.csv", b"id,text\n1,it\n2,a,b\n3,is\n", 3, "number of columns"),
    "a field not UTF-8": ("rows.csv", b"id,text\n1,it\n2,f\xe4\n3,is\n", 3, "not UTF-8"),
    "a quote": ("rows.csv", b'id,text\n1,it\n2,"a"b\n3,is\n', 3, "close the quotation mark"),
    "a key twice": ("rows.jsonl", b'"it"\n{"text": "a", "text": "b"}\n"is"\n', 2, "occurs twice"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name, format=None, columns=None):  # noqa: A002
    return list(to_inputs(RowFile(Path(name), format), columns or {"text": None}))


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("lines.txt", [(1, "it is good"), (4, "it is bad")]),
            ("rows.jsonl", [(1, "it is good"), (3, "it is bad")]),
            ("rows.csv", [(3, 'it is,\n"good"'), (4, "it is bad")]),
            ("alone.csv", [(2, "it is good"), (3, "it is bad")]),
            ("rows.tsv", [(2, 'it is "good'), (3, "it is bad")]),
            ("rows.log", [(1, "text"), (2, "it is good")]),
        ],
    )
    def test_rows_and_lines(self, folder, name, expected):
        assert read(name) == expected

    def test_a_format_that_is_said(self, folder):
        assert read("rows.log", "csv") == [(2, "it is good")]

    def test_columns(self, folder):
        both = {"text": None, "text_pair": None}
        assert read("pairs.jsonl", columns=both)[0] == (1, {"text": "it", "text_pair": "is"})
        assert read("rows.jsonl", columns=both)[1] == (3, "it is bad")
        named = {"text": "first", "text_pair": "other"}
        assert read("named.jsonl", columns=named) == [(1, {"text": "it", "text_pair": "is"})]
        assert read("rows.tsv", columns={"text": "label"}) == [(2, "1"), (3, "0")]

    @pytest.mark.parametrize("column", ["text_pair", "nonsense"])
    def test_a_column_that_is_not_there(self, folder, column):
        columns = {"text": None, "text_pair": column}
        with pytest.raises(InputError, match=r"no such column[\s\S]*where: +rows.csv"):
            read("rows.csv", columns=columns)
        assert all(isinstance(row, InputError) for _, row in read("rows.jsonl", columns=columns))

    @pytest.mark.parametrize("name", ["nowhere.txt", "."])
    def test_no_file(self, folder, name):
        with pytest.raises(InputError, match="cannot be read"):
            RowFile(Path(name))

    def test_a_quote_that_is_never_closed(self, folder, monkeypatch):
        monkeypatch.setattr("distil.reading.formats.LONGEST_LINE", 1000)
        Path("open.csv").write_text('text\n"it is\n' + "a film\n" * 10_000)
        rows = read("open.csv")
        assert isinstance(rows[0][1], InputError)
        assert rows[-1] == (10_002, "a film")

    def test_read_lines(self, folder):
        assert read_lines(Path("lines.txt")) == ["it is good", "it is bad"]
        Path("blank.txt").write_text(" \n")
        with pytest.raises(InputError, match="there are no texts"):
            read_lines(Path("blank.txt"))


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run `distil predict` with a model that needs no framework; status, stdout, stderr."""

    def run(line, task="sequence-classification", stdin=None, name="model"):
        def make(name, *, top_k=None, **options):
            run.name = name
            pipe = PIPELINES[task](FakeModel(task), make_tokenizer())
            if task == "sequence-classification":
                pipe.set_options(top_k=top_k or 1)
            run.model = pipe.model
            return pipe

        monkeypatch.setattr("distil.prediction.make_pipeline", make)
        run.name = None
        run.name = None
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        names = [] if name is None else [name]
        status = main(["predict", *names, *shlex.split(line), "--framework", "pt"])
        return status, *capsys.readouterr()

    return run


def many_texts():
    """A hundred texts that differ in their tokens."""
    letters = ["".join(f"{chr(97 + int(digit))} " for digit in str(n)) for n in range(100)]
    Path("many.txt").write_text("".join(f"a film {one}\n" for one in letters))


def written(name="out.jsonl"):
    if not Path(name).exists():
        return []
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


class TestWhichModel:
    @pytest.mark.parametrize(
        ("line", "name", "texts"),
        [
            ("'it is good'", None, ["it is good"]),
            ("'it is good' --json 'it is bad'", None, ["it is good", "it is bad"]),
            ("good!", None, ["good!"]),
            ("model good", "model", ["good"]),
            ("someone/model good", "someone/model", ["good"]),
            ("'a folder' good", "a folder", ["good"]),
            ("'./no such folder' good", "./no such folder", ["good"]),
            ("--model model good", "model", ["good"]),
            ("good bad --model model", "model", ["good", "bad"]),
        ],
    )
    def test_name_or_text(self, run, line, name, texts):
        Path("a folder").mkdir()
        status, out, _ = run(line + " --json", name=None)
        assert status == 0
        assert run.name == name
        assert [one["text"] for one in json.loads(out)["results"]] == texts

    def test_a_file_alone(self, run):
        assert run("--file lines.txt --output out.jsonl", name=None)[0] == 0
        assert run.name is None

    def test_a_word_alone_may_be_meant_as_text(self, run, monkeypatch):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        status, _, err = run("good", name=None)
        assert status == 2
        assert "if 'good' is the text, name the model with --model" in " ".join(err.split())


class TestCommand:
    def test_output(self, run):
        assert run("--file lines.txt --output out.jsonl") == (0, "", "")
        found = written()
        assert [(one["row"], one["text"]) for one in found] == [(1, "it is good"), (2, "it is bad")]
        assert all(0 < one["result"][0]["score"] < 1 for one in found)

    @pytest.mark.parametrize(
        ("task", "line", "row"),
        [
            ("sequence-classification", "--file pairs.jsonl", {"text": "it", "text_pair": "is"}),
            ("sequence-classification", "it --pair is", {"text": "it", "text_pair": "is"}),
            ("sequence-classification", "--file rows.csv --pair it", {"text_pair": "it"}),
            ("question-answering", "--file questions.jsonl", {"question": "who?"}),
            ("question-answering", "who? --context 'it is'", {"question": "who?"}),
            ("multiple-choice", "--file choices.jsonl", {"prompt": "it is"}),
            ("multiple-choice", "--file lines.txt --choices a b", {"prompt": "it is good"}),
            ("base", "--file rows.tsv --pooling cls", {"text": 'it is "good'}),
            ("token-classification", "--file rows.csv --aggregation none", {}),
            ("base", "it --stride 3", {"text": "it"}),
        ],
    )
    def test_tasks(self, run, task, line, row):
        status, _, err = run(f"{line} --output out.jsonl", task)
        assert (status, err) == (0, "")
        assert row.items() <= written()[0].items()
        status, out, err = run(line, task)
        assert (status, err) == (0, "")
        assert out.strip()

    @pytest.mark.parametrize("kind", BAD)
    def test_a_bad_row(self, run, kind):
        name, data, line, problem = BAD[kind]
        Path(name).write_bytes(data)
        status, out, err = run(f"--file {name} --output out.jsonl")
        assert (status, out) == (2, "")
        assert problem in err
        assert f"{name}:{line}" in err
        bad = line - ("csv" in name)  # whose first line is no row
        assert [one["row"] for one in written()] == list(range(1, bad))

    @pytest.mark.parametrize("kind", BAD)
    def test_passed_over(self, run, kind):
        name, data, line, problem = BAD[kind]
        Path(name).write_bytes(data)
        status, out, err = run(f"--file {name} --output out.jsonl --skip-bad-rows")
        if kind == "UTF-16":  # no row is left
            assert status == 2
            assert "every row was skipped" in err
            return
        assert (status, out) == (0, "")
        first, *_, last = err.splitlines()
        assert first.startswith("warning: skipped: ")
        assert problem in err
        assert f"  where:    {name}:{line}" in err.splitlines()[1:-1]
        assert last == "warning: 1 of 3 rows were skipped"
        assert len(written()) == 2
        assert line - ("csv" in name) not in [one["row"] for one in written()]

    def test_a_NUL_is_a_character_like_others(self, run):  # noqa: N802
        Path("rows.csv").write_bytes(b"text\nit\n\x00a\x00 film\nis\n")
        assert run("--file rows.csv --output out.jsonl") == (0, "", "")
        assert [one["text"] for one in written()] == ["it", "\x00a\x00 film", "is"]

    def test_finished_rows_are_printed_before_an_error(self, run):
        status, out, err = run("it '' --file rows.jsonl")
        assert status == 2
        assert "texts[1]" in err
        assert "it" in out.split()

    def test_interrupted(self, run, monkeypatch):
        """What was predicted stays written."""
        many_texts()
        score = FakeModel.score

        def interrupted(self, sequences, **rest):
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return score(self, sequences, **rest)

        monkeypatch.setattr(FakeModel, "score", interrupted)
        assert run("--file many.txt --output out.jsonl")[0] == 130
        assert [one["row"] for one in written()] == list(range(1, 16 + 32 + 1))

    def test_output_that_cannot_be_written(self, run):
        status, _, err = run("it --output nowhere/out.jsonl")
        assert status == 2
        assert "results cannot be written" in err

    def test_texts_come_before_the_file(self, run):
        run("one two --file lines.txt --output out.jsonl")
        assert [one["row"] for one in written()] == [1, 2, 1, 2]

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_columns_are_kept_and_rows_counted_alike_in_every_format(self, run, kind):
        rows = [{"id": f"a{n}", "label": n, "text": "it is"} for n in range(3)]
        lines = {
            "csv": ["id,label,text", *(f"{r['id']},{r['label']},{r['text']}" for r in rows)],
            "jsonl": ["", *map(json.dumps, rows)],
        }[kind]
        Path(f"in.{kind}").write_text("\n".join(lines) + "\n")
        assert run(f"--file in.{kind} --keep id,label --output out.jsonl") == (0, "", "")
        found = [(one["row"], one["id"], str(one["label"])) for one in written()]
        assert found == [(1, "a0", "0"), (2, "a1", "1"), (3, "a2", "2")]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--file rows.csv --keep nonsense --json", "no such column"),
            ("--file rows.csv --keep row --json", "not that of a result's field"),
            ("--file rows.csv --keep text", "--output FILE or --json"),
            ("it --keep text --json", "--file FILE"),
        ],
    )
    def test_columns_that_cannot_be_kept(self, run, line, words):
        status, _, err = run(line)
        assert status == 2
        assert words in err

    def test_a_column_of_which_nothing_is_read(self, run):
        status, _, err = run(
            "--file questions.jsonl --text-column question --context-column context"
        )
        assert status == 2
        assert "reads no such field" in err

    def test_json_lines_from_stdin(self, run):
        status, out, _ = run("--format jsonl --json", stdin=b'"it is"\n')
        assert status == 0
        assert json.loads(out)["results"][0]["text"] == "it is"
        status, _, err = run("--format jsonl", stdin=b'"it is"\n{\n')
        assert status == 2
        assert "stdin:2" in err

    def test_tables_of_many_rows(self, run):
        Path("many.txt").write_text("a film\n" * 450)
        _, out, _ = run("--file many.txt")
        assert out.count("score") == 3
        assert out.count("a film") == 450

    def test_memory_does_not_grow_with_the_file(self, run, monkeypatch):
        score = FakeModel.score
        started = []

        def forgetful(self, sequences, **rest):
            self.asked.clear()
            if not started:  # what loading took does not count
                tracemalloc.reset_peak()
            started.append(True)
            return score(self, sequences, **rest)

        monkeypatch.setattr(FakeModel, "score", forgetful)
        monkeypatch.setattr("distil.pipelines.TextClassificationPipeline.memory", 100_000)
        # Windows grow to their full size, however slowly rows come on a busy machine.
        monkeypatch.setattr("distil.pipelines.windows._SECONDS", math.inf)

        long = "x" * 1000  # a single token, so that the rows are what takes memory

        def peak(rows):
            Path("many.txt").write_text("".join(f"a film {n} {long}\n\n" for n in range(rows)))
            gc.collect()
            started.clear()
            before = tracemalloc.get_traced_memory()[0]
            assert run("--file many.txt --output out.jsonl --force")[0] == 0
            return tracemalloc.get_traced_memory()[1] - before

        tracemalloc.start()
        try:
            peak(1000)
            few, many = peak(2000), peak(8000)
        finally:
            tracemalloc.stop()
        assert many < 1.2 * few


class TestNothingIsLost:
    """Files that are there stay as they are until somebody says otherwise."""

    @pytest.mark.parametrize("kind", ["itself", "symbolic", "hard", "forced"])
    def test_the_source_is_not_emptied(self, run, kind):
        before, other = Path("lines.txt").read_bytes(), Path("other.txt")
        if kind == "symbolic":
            other.symlink_to("lines.txt")
        elif kind == "hard":
            other.hardlink_to("lines.txt")
        else:
            other = Path("lines.txt")
        force = " --force" * (kind != "itself")
        status, _, err = run(f"--file lines.txt --output {other}{force}")
        assert status == 2
        assert "results would overwrite the texts" in err
        assert Path("lines.txt").read_bytes() == before

    def test_a_source_that_the_output_turns_into_is_not_emptied(self, run, monkeypatch):
        """A link that is made after the first look."""
        before, other = Path("lines.txt").read_bytes(), Path("other.txt")
        score = FakeModel.score

        def link(self, *arguments, **rest):
            other.symlink_to("lines.txt")
            return score(self, *arguments, **rest)

        monkeypatch.setattr(FakeModel, "score", link)
        assert run("--file lines.txt --output other.txt --force")[0] == 2
        assert Path("lines.txt").read_bytes() == before

    def test_results_that_are_there_stay(self, run):
        Path("out.jsonl").write_text("precious")
        status, _, err = run("--file lines.txt --output out.jsonl")
        assert status == 2
        assert "--force" in err
        assert run.name is None, "no model is loaded in vain"
        assert Path("out.jsonl").read_text() == "precious"
        assert run("--file lines.txt --output out.jsonl --force")[0] == 0
        assert len(written()) == 2

    @pytest.mark.parametrize("line", ["--file rows.csv --text-column no", "--file empty.txt"])
    def test_no_result_no_file(self, run, line):
        Path("empty.txt").write_text(" \n")
        Path("out.jsonl").write_text("precious")
        assert run(f"{line} --output out.jsonl --force")[0] == 2
        assert Path("out.jsonl").read_text() == "precious"
        assert run(f"{line} --output new.jsonl")[0] == 2
        assert not Path("new.jsonl").exists()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    def test_a_full_disk(self, run):
        status, out, err = run("--file lines.txt --output /dev/full")
        assert (status, out) == (2, "")
        assert err.count("error: ") == 1
        assert "results cannot be written" in err
        assert "No space left" in err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    @pytest.mark.parametrize("options", ["", "--json"])
    def test_a_terminal_on_a_full_disk(self, options, folder):
        """In a process of its own: stdout is Python's."""
        code = (
            "import distil.cli, distil.prediction, sys\n"
            "from distil.pipelines import PIPELINES\n"
            "from support.folders import make_tokenizer\n"
            "from support.inference import FakeModel\n"
            "task = 'sequence-classification'\n"
            "distil.prediction.make_pipeline = lambda name, **_: "
            "PIPELINES[task](FakeModel(task), make_tokenizer(), top_k=1)\n"
            "sys.exit(distil.cli.main(['predict', 'model', 'a film', *sys.argv[1:]]))\n"
        )
        source = os.pathsep.join([str(Path(distil.__file__).parents[1]), str(TESTS)])
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-c", code, *options.split()], stdout=full, stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": source}, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.count("error: ") == 1
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("options", ["", "--json", "--output out.jsonl"])
    def test_scores_that_are_not_finite(self, run, options, monkeypatch):
        score = FakeModel.score

        def wrong(self, *arguments, **rest):
            return [one * float("nan") for one in score(self, *arguments, **rest)]

        monkeypatch.setattr(FakeModel, "score", wrong)
        status, out, err = run(f"'a film' {options}")
        assert (status, out) == (2, "")
        assert "not finite" in err
        assert "texts[0]" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_is_done(run, monkeypatch, number):
    many_texts()
    score, handlers = FakeModel.score, []

    def interrupted(self, sequences, **rest):
        if len(self.asked) == 2:
            try:
                os.kill(os.getpid(), number)
                time.sleep(10)
            finally:
                handlers.append(signal.getsignal(signal.SIGINT))
        return score(self, sequences, **rest)

    monkeypatch.setattr(FakeModel, "score", interrupted)
    before = signal.getsignal(number)
    status, _, err = run("--file many.txt --output out.jsonl")
    assert status == 128 + number
    assert f"the first {len(written())} results are in out.jsonl, up to many.txt:" in err
    assert "Traceback" not in err
    assert signal.getsignal(number) is before
    # A second one would have ended the process at once.
    assert handlers == [signal.SIG_DFL]
