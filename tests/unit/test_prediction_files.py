"""Files predicted part by part: what is written, resumed, shared out and refused."""

import gzip
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.cli import main
from distil.errors import CheckpointError, InputError
from distil.pipelines import PIPELINES
from distil.pipelines.comparison import ComparedModels
from distil.pipelines.embeddings import FeatureExtractionPipeline
from distil.prediction.columns import _FIELDS, _SINGLE_TOKENS
from distil.prediction.files import weights_of, write_parts
from distil.prediction.job import PredictedFiles
from distil.prediction.shards import Share, read_shard
from distil.storage.files import atomic_write
from distil.storage.hub import HubOptions
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CLASSIFY = "sequence-classification"
SCRIPT = Path(__file__).parents[1] / "support/predict_parts.py"
WORDS = ("the", "good", "bad", "film", "who", "was", "born", "in", "paris", "it", "is")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def texts(count):
    """Texts that all differ."""
    draw = random.Random(0)
    return [f"{' '.join(draw.choices(WORDS, k=5))} {' '.join(str(n))}" for n in range(count)]


def rows(count):
    return pa.table({"id": range(count), "review": texts(count), "stars": [0.5] * count})


def pipe(task=CLASSIFY, **options):
    return PIPELINES[task](FakeModel(task), make_tokenizer(), **options)


def write(file="in.parquet", output="out", *, by=None, **options):
    options = {"identity": {"weights": "some"}, "several": False, "part_rows": 10,
               "columns": {"text": "review"}} | options  # fmt: skip
    return write_parts(by or pipe(), file, output, **options)


def read(output="out"):
    """All parts, as users read them: the manifest and what is hidden are passed over."""
    return pq.read_table(output)


def contents(output="out"):
    return {path.name: path.read_bytes() for path in sorted(Path(output).iterdir())}


class TestWhatIsWritten:
    def test_columns_and_order_of_the_input_then_results(self):
        pq.write_table(rows(25), "in.parquet", row_group_size=7)
        found = write()
        assert (found.rows, found.new, found.bad, found.parts) == (25, 25, 0, 3)
        table = read()
        assert table.column_names == ["id", "review", "stars", "label", "score", "error"]
        assert table.select(["id", "review", "stars"]).equals(rows(25))
        expected = pipe()(texts(25))
        assert table["label"].to_pylist() == [one["label"] for one in expected]
        assert table["score"].to_pylist() == [one["score"] for one in expected]
        assert table["error"].null_count == 25
        assert sorted(contents()) == [
            "_manifest.json",
            *(f"part-00000-00000{n}.parquet" for n in range(3)),
        ]

    @pytest.mark.parametrize(
        ("name", "data", "columns"),
        [
            (
                "in.csv", b'id,review\n1,the film\n\n2,"it,\nis"\n',
                {"id": ["1", "2"], "review": ["the film", "it,\nis"]},
            ),
            (
                "in.tsv", b"id\treview\n1\tthe film\n2\tit is\n",
                {"id": ["1", "2"], "review": ["the film", "it is"]},
            ),
            (
                "in.jsonl",
                b'{"id": 1, "review": "the film"}\n{"review": "it is", "more": [1, "\\ud800"]}\n',
                {
                    "id": ["1", None], "review": ["the film", "it is"],
                    "more": [None, '[1, "\\ud800"]'],
                },
            ),
            ("in.txt", b"the film\n\nit is\n", {"text": ["the film", "it is"]}),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("packed", [False, True])
    def test_formats(self, name, data, columns, packed):
        Path(name + ".gz" * packed).write_bytes(gzip.compress(data) if packed else data)
        write(name + ".gz" * packed, columns={} if name == "in.txt" else {"text": "review"})
        table = read().to_pydict()
        assert {name: table[name] for name in columns} == columns
        key = "text" if name == "in.txt" else "review"
        assert table["score"] == [one["score"] for one in pipe()(columns[key])]

    @pytest.mark.parametrize("name", ["in.parquet", "in.csv"])
    def test_the_only_column_holds_the_texts(self, name):
        Path("in.csv").write_text("\n".join(["review", *texts(3)]))
        pq.write_table(rows(3).select(["review"]), "in.parquet")
        assert write(name, columns={}).bad == 0
        assert read()["score"].to_pylist() == [one["score"] for one in pipe()(texts(3))]

    @pytest.mark.parametrize("task", [task for task in PIPELINES if task != "base"])
    @pytest.mark.parametrize("several", [False, True])
    def test_every_field_of_a_result_has_a_place(self, task, several):
        by = pipe(task)
        inputs = {
            "question-answering": {"question": "who", "context": "it was born in paris"},
            "multiple-choice": {"prompt": "who", "choices": ["the film", "paris"]},
            "masked-lm": {"text": "the [MASK] film"},
        }.get(task, {"text": "who was born"})
        if several and hasattr(by.options, "top_k"):
            by.set_options(top_k=2)
        Path("in.jsonl").write_text(json.dumps(inputs))
        if task == "multiple-choice":  # a list, which text formats do not have
            pq.write_table(pa.Table.from_pylist([inputs]), "in.parquet")
        write("in.parquet" if task == "multiple-choice" else "in.jsonl", by=by, several=several,
              columns={}, prefix="p_")  # fmt: skip
        (row,) = read().to_pylist()
        given = inputs["text"] if set(inputs) == {"text"} else inputs
        ((_, result),) = by.stream([(0, given)])
        if "p_results" in row:
            found = row["p_results"][0] if task == "masked-lm" else row["p_results"]
            assert found == ([result] if isinstance(result, dict) else result)
        else:
            best = result if isinstance(result, dict) else result[0]
            assert {name: row[f"p_{name}"] for name in best} == best
        assert row["p_error"] is None

    def test_several_masks_and_grouped_entities(self):
        Path("in.txt").write_text("the [MASK] film\nit [MASK] [MASK]\n")
        write("in.txt", by=pipe("masked-lm"), columns={})
        assert [len(one) for one in read()["results"].to_pylist()] == [1, 2]
        by = pipe("token-classification", aggregation_strategy="simple")
        write("in.txt", "groups", by=by, columns={})
        expected = by(["the [MASK] film", "it [MASK] [MASK]"])
        assert read("groups")["results"].to_pylist() == expected
        assert set(_FIELDS["token-classification"]) == set(expected[0][0])
        assert set(_SINGLE_TOKENS) == set(pipe("token-classification")(["the film"])[0][0])

    def test_vectors(self):
        Path("in.txt").write_text("the film\n \nit is\n")
        write("in.txt", by=pipe("base"), columns={})
        vectors = pipe("base")(["the film", "it is"])
        np.testing.assert_array_equal(np.stack(read()["embedding"].to_pylist()), vectors)
        assert read().schema.field("embedding").type == pa.list_(pa.float32())
        features = FeatureExtractionPipeline(FakeModel("base"), make_tokenizer())
        with pytest.raises(InputError, match="cannot be written to a table"):
            write("in.txt", "other", by=features, columns={})

    def test_a_bad_row_is_a_row_with_an_error(self):
        Path("in.jsonl").write_bytes(
            b'{"id": 0, "review": "the film"}\n{"id": 1, "review": " "}\n'
            b'{"id": 2, "review": null}\n{"id": 3}\n{\n{"id": 5, "review": "f\xe4ilm"}\n'
            b'{"id": 6, "review": "\\ud800"}\n{"id": 7, "review": "it is"}\n'
        )
        found = write("in.jsonl")
        assert (found.rows, found.bad) == (8, 6)
        table = read().to_pydict()
        assert table["id"] == ["0", "1", "2", "3", None, None, "6", "7"]
        assert [one is None for one in table["error"]] == [True, *[False] * 6, True]
        assert [one is None for one in table["label"]] == [False, *[True] * 6, False]
        words = "not blank", "a string", "lacks a field", "not JSON", "not UTF-8", "surrogate"
        for row, problem in enumerate(words, start=1):
            assert problem in table["error"][row]
            assert f"in.jsonl:{row + 1}" in table["error"][row]

    def test_scores_that_are_not_finite_are_errors(self):
        pq.write_table(rows(3), "in.parquet")
        model = FakeModel(CLASSIFY, given=lambda ids: [[0, np.nan, 0]] * len(ids))
        found = write(by=PIPELINES[CLASSIFY](model, make_tokenizer()))
        with pytest.raises(InputError, match="no row could be predicted"):
            found.sound()
        assert read()["error"].to_pylist() == ["the model's scores are not finite"] * 3
        assert read()["score"].null_count == 3

    def test_fields_that_come_late_are_no_column(self):
        lines = [{"review": "the film"}] * 10 + [{"review": "it is", "late": 1}]
        Path("in.jsonl").write_text("\n".join(map(json.dumps, lines)))
        assert write("in.jsonl").bad == 1
        last = read().to_pylist()[-1]
        assert last["review"] == "it is"
        assert "'late'" in last["error"]

    def test_something_that_goes_with_all_rows(self):
        Path("in.txt").write_text("who\nwas\n")
        write(
            "in.txt", by=pipe("question-answering"), columns={}, for_all={"context": "it is paris"}
        )
        expected = pipe("question-answering")(question=["who", "was"], context="it is paris")
        assert read()["answer"].to_pylist() == [one["answer"] for one in expected]

    def test_texts_that_are_cut_are_said_once(self):
        pq.write_table(pa.table({"review": ["it " * 60] * 30}), "in.parquet")
        with pytest.warns(UserWarning, match="is longer than the 40 tokens") as said:
            write()
        assert len(said) == 1

    def test_progress(self):
        pq.write_table(rows(25), "in.parquet")
        told = []
        write(shard="2/2", progress=lambda *one: told.append(one))
        assert told[-1] == (5, 5)
        Path("in.txt").write_text("it\n" * 25)
        write("in.txt", "text", columns={}, progress=lambda *one: told.append(one))
        assert told[-1] == (25, None)


class TestGoingOn:
    def test_what_is_there_is_not_computed_again(self):
        pq.write_table(rows(45), "in.parquet", row_group_size=7)
        write()
        whole = contents()
        for lost in ([1], [0, 3], [4], [0, 1, 2, 3, 4]):
            for number in lost:
                Path(f"out/part-00000-{number:06d}.parquet").unlink()
            by = pipe()
            again = write(by=by)
            missing = sum(5 if number == 4 else 10 for number in lost)
            assert (again.new, again.rows) == (missing, 45)
            assert sum(map(len, by.model.asked)) == missing
            assert contents() == whole
        by = pipe()
        assert write(by=by).new == 0
        assert by.model.asked == []

    @pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
    def test_of_files_that_are_read_in_order(self, name):
        lines = (
            ["review", *texts(45)]
            if name == "in.csv"
            else [json.dumps({"review": t}) for t in texts(45)]
        )
        Path(name).write_text("\n".join(lines))
        write(name)
        whole = contents()
        Path("out/part-00000-000001.parquet").unlink()
        assert write(name).new == 10
        assert contents() == whole
        Path("out/part-00000-000004.parquet").unlink()  # the one that says where the file ends
        assert write(name).new == 5
        assert contents() == whole

    def test_a_finished_file_is_not_read_again(self, monkeypatch):
        Path("in.txt").write_text("\n".join(texts(45)))
        write("in.txt", columns={})
        reads = []
        monkeypatch.setattr(
            "distil.prediction.sources.Source.parts", lambda *given: reads.append(given)
        )
        assert write("in.txt", columns={}).new == 0
        assert reads == []

    def test_a_part_is_there_as_a_whole_or_not_at_all(self, monkeypatch):
        pq.write_table(rows(25), "in.parquet")
        real = pq.write_table

        def broken(table, path, **options):
            real(table, path, **options)
            with Path(path).open("r+b") as file:
                file.truncate(100)
            raise OSError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr("pyarrow.parquet.write_table", broken)
            with pytest.raises(CheckpointError, match="cannot be saved"):
                write()
        assert sorted(contents()) == ["_manifest.json"]
        assert write().new == 25

    def test_what_a_kill_left_is_removed_once_it_is_old(self):
        pq.write_table(rows(25), "in.parquet")
        write()
        old, new = (Path(f"out/.part-00000-000000.parquet.1-{n}.tmp") for n in "ab")
        for one in (old, new):
            one.write_bytes(b"half")
        os.utime(old, (1, 1))
        write()
        assert not old.exists()
        assert new.exists()  # another process may be at it
        assert len(read()) == 25

    @pytest.mark.parametrize("kills", [4])
    def test_kills_at_random(self, kills):
        """The same command until it ends: every row once, and the same bytes as without a kill."""
        pq.write_table(rows(2000), "in.parquet", row_group_size=300)
        draw = random.Random(5)
        command = [sys.executable, str(SCRIPT), "in.parquet", "killed"]
        source = str(Path(distil.__file__).parents[1])
        for _ in range(kills):
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source}
            ) as process:
                process.stdout.readline()
                time.sleep(draw.uniform(0.01, 0.3))
                process.send_signal(signal.SIGKILL)
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": source})
        write(output="whole", identity={}, part_rows=50)
        assert read("killed")["id"].to_pylist() == list(range(2000))
        parts = {name: data for name, data in contents("killed").items() if name[0] != "."}
        assert parts == contents("whole")


class TestShards:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_together_they_are_the_whole(self, count):
        Path("lake/inner").mkdir(parents=True)
        for name, size in (("b", 33), ("a", 10), ("inner/c", 1), ("empty", 0)):
            pq.write_table(rows(size).cast(rows(1).schema), f"lake/{name}.parquet")
        write("lake", "whole")
        found = [write("lake", shard=f"{n + 1}/{count}") for n in reversed(range(count))]
        assert contents() == contents("whole")
        assert sum(one.new for one in found) == sum(one.rows for one in found) == 44
        assert read()["id"].to_pylist() == [*range(10), *range(33), 0]

    def test_of_parquet_reads_its_own_rows(self, monkeypatch):
        pq.write_table(rows(45), "in.parquet", row_group_size=10)
        real, seen = pq.ParquetFile.iter_batches, []

        def iter_batches(self, **options):
            for batch in real(self, **options):
                seen.extend(batch["id"].to_pylist())
                yield batch

        monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
        for shard, own in (("1/2", range(30)), ("2/2", range(30, 45))):
            write(shard=shard)
            assert seen == [*own]
            seen.clear()

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    @pytest.mark.parametrize("sizes", [(45,), (33, 10, 0, 1)])
    def test_of_text(self, count, sizes):
        Path("lake").mkdir()
        for number, size in enumerate(sizes):
            Path(f"lake/{number}.csv").write_text(
                "\n".join(["id,review", *(f"{n},{t}" for n, t in enumerate(texts(size)))])
            )
        write("lake/*.csv", "whole")
        found = [write("lake/*.csv", shard=f"{n + 1}/{count}") for n in range(count)]
        assert contents() == contents("whole")
        assert sum(one.new for one in found) == sum(sizes)
        assert write("lake/*.csv").new == 0

    @pytest.mark.parametrize("parts", [[5], [1, 0, 4], [100, 3], [None] * 2, [None] * 9])
    @pytest.mark.parametrize("count", [1, 3, 4])
    def test_each_part_is_one_shards(self, parts, count):
        shares = [Share(number, count, parts) for number in range(count)]
        owned = [0] * count
        for file, size in enumerate(parts):
            for part in range(12 if size is None else size):
                owners = [n for n, share in enumerate(shares) if share.owns(file, part)]
                assert len(owners) == 1
                assert shares[owners[0]].may_own(file)
                owned[owners[0]] += 1
        assert min(owned) > 0 or None not in parts
        assert max(owned) - min(owned) <= 1 or None in parts

    @pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/2/3", "-1/2", "1/0", "¹/2"])
    def test_what_is_no_shard(self, text):
        with pytest.raises(InputError, match="shard"):
            read_shard(text)


class TestNothingIsMixed:
    @pytest.fixture(autouse=True)
    def done(self, folder):
        pq.write_table(rows(25), "in.parquet")
        write()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"identity": {"weights": "others"}}, "weights was 'some', is 'others'"),
            ({"prefix": "p_"}, "prefix was '', is 'p_'"),
            ({"part_rows": 11}, "part_rows was 10, is 11"),
            ({"several": True}, "several was False, is True"),
            ({"columns": {"text": "stars"}}, "columns.text was 'review', is 'stars'"),
            ({"for_all": {"pair": "it"}}, "for_all was None"),
        ],
    )
    def test_other_options(self, options, words):
        before = contents()
        with pytest.raises(InputError, match="results of another job") as said:
            write(**options)
        assert words in str(said.value)
        assert contents() == before

    def test_other_options_of_the_pipeline_and_another_form(self):
        with pytest.raises(InputError, match="function_to_apply was None, is 'none'"):
            write(by=pipe(function_to_apply="none"))
        by = pipe()
        by.model.dtype = "int8"
        with pytest.raises(InputError, match="dtype was 'float32', is 'int8'"):
            write(by=by)

    def test_another_input(self):
        pq.write_table(rows(25).set_column(2, "stars", pa.array([1.5] * 25)), "in.parquet")
        with pytest.raises(InputError, match=r"input.files.in.parquet was"):
            write()
        Path("moved").mkdir()
        pq.write_table(rows(25), "moved/in.parquet")
        assert write("moved/in.parquet").new == 0

    def test_a_folder_of_something_else(self):
        Path("mine").mkdir()
        Path("mine/thesis.txt").write_text("precious")
        with pytest.raises(InputError, match="output folder is not empty"):
            write(output="mine")
        assert contents("mine") == {"thesis.txt": b"precious"}

    def test_two_jobs_that_begin_at_once(self, monkeypatch):
        """Both come to an empty folder; the second waits for the manifest of the first."""
        refused = []

        def second():
            try:
                write(output="shared", prefix="p_")
            except InputError as error:
                refused.append(str(error))

        thread = threading.Thread(target=second)

        @contextmanager
        def late(path):
            monkeypatch.setattr("distil.prediction.job.atomic_write", atomic_write)
            thread.start()
            thread.join(0.5)
            with atomic_write(path) as temporary:
                yield temporary

        monkeypatch.setattr("distil.prediction.job.atomic_write", late)
        assert write(output="shared").new == 25
        thread.join()
        assert len(refused) == 1
        assert "prefix was '', is 'p_'" in refused[0]

    @pytest.mark.parametrize("kind", ["other", "nobody's", "damaged", "renamed"])
    def test_a_part_of_something_else(self, kind):
        path = Path("out/part-00000-000001.parquet")
        if kind == "other":
            write(output="second", prefix="p_")
            path.write_bytes(Path("second/part-00000-000001.parquet").read_bytes())
        elif kind == "nobody's":
            pq.write_table(rows(10), path)
        elif kind == "damaged":
            path.write_bytes(path.read_bytes()[:-20])
        else:
            path.write_bytes(Path("out/part-00000-000000.parquet").read_bytes())
        with pytest.raises(InputError, match="part of") as said:
            write()
        assert path.name in str(said.value)

    def test_weights_are_told_apart(self, tmp_path):
        first = make_folder(tmp_path / "first", CLASSIFY)
        second = make_folder(tmp_path / "second", CLASSIFY)
        assert weights_of(first, HubOptions()) == weights_of(second, HubOptions())
        (weights,) = second.glob("*.safetensors")
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        assert weights_of(first, HubOptions()) != weights_of(second, HubOptions())
        assert weights_of(None, HubOptions())["weights"]["model.safetensors"]


class TestInputs:
    def test_a_name_that_is_taken(self):
        pq.write_table(rows(3).append_column("label", pa.array([1, 2, 3])), "in.parquet")
        with pytest.raises(InputError, match=r"already has a column[\s\S]*label[\s\S]*prefix"):
            write()
        assert not Path("out").exists()
        write(prefix="p_")
        assert read().column_names[-4:] == ["label", "p_label", "p_score", "p_error"]

    @pytest.mark.parametrize(
        ("files", "given", "words"),
        [
            ({"a.csv": "review\nit\n", "b.csv": "text\nit\n"}, ".", "different columns"),
            ({"a.csv": "review\nit\n", "b.txt": "it\n"}, ".", "different formats"),
            ({"a.csv": "review\nit\n", "README": "it\n"}, ".", "is not data"),
            ({"a.csv": "id,text\n1,it\n"}, ".", "no such column"),
            ({}, ".", "no files found"),
            ({}, "*.csv", "no files found"),
            ({}, "a.csv", "cannot be read"),
            ({}, "-", "standard input and pipes"),
            ({"a.parquet": "no parquet"}, ".", "cannot be read"),
        ],
    )
    def test_what_cannot_be_meant(self, files, given, words):
        Path("in").mkdir()
        for name, text in files.items():
            Path("in", name).write_text(text)
        with pytest.raises(InputError, match=words):
            write("-" if given == "-" else f"in/{given}")
        assert not Path("out").exists()

    def test_parquet_files_of_different_types(self):
        Path("in").mkdir()
        pq.write_table(rows(3), "in/a.parquet")
        pq.write_table(rows(3).set_column(0, "id", pa.array(["1", "2", "3"])), "in/b.parquet")
        with pytest.raises(InputError, match="different columns"):
            write("in")

    def test_hidden_files_are_passed_over(self):
        Path("in/_delta").mkdir(parents=True)
        pq.write_table(rows(3), "in/a.parquet")
        Path("in/_SUCCESS").write_text("")
        Path("in/_delta/x.parquet").write_text("")
        Path("in/.part.crc").write_text("")
        assert write("in").rows == 3

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"part_rows": 0}, r"not a possible number[\s\S]*part_rows"),
            ({"part_rows": True}, r"not a possible number[\s\S]*part_rows"),
            ({"columns": {"context": "review"}}, "reads no such field"),
            ({"for_all": {"context": "it"}}, "has no context"),
        ],
    )
    def test_options_that_cannot_be_meant(self, options, words):
        pq.write_table(rows(3), "in.parquet")
        with pytest.raises(InputError, match=words):
            write(**options)

    def test_frameworks_are_not_compared(self):
        pq.write_table(rows(3), "in.parquet")
        by = pipe()
        by.model = ComparedModels(by.model, FakeModel(CLASSIFY))
        with pytest.raises(InputError, match="compared on texts"):
            write(by=by)
        assert not Path("out").exists()

    def test_a_device_is_no_file(self):
        with pytest.raises(InputError, match="standard input and pipes"):
            write(os.devnull)


class TestFunctionAndCommand:
    @pytest.fixture(autouse=True)
    def fake(self, monkeypatch, tmp_path):
        make_folder(tmp_path / "model", CLASSIFY)
        make = lambda name, *, top_k=None, **options: pipe(top_k=top_k or 5)  # noqa: E731
        for module in ("distil.prediction", "distil.prediction.files"):
            monkeypatch.setattr(f"{module}.make_pipeline", make)
        pq.write_table(rows(25), "in.parquet")

    def test_the_function(self):
        found = distil.predict(
            "model", file="in.parquet", output="out", columns={"text": "review"}, part_rows=10
        )
        assert (found.rows, found.parts, found.folder) == (25, 3, Path("out"))
        again = distil.predict(
            "model", file="in.parquet", output="out", columns={"text": "review"}, part_rows=10
        )
        assert again.new == 0
        expected = [one["score"] for one in pipe()(texts(25))]
        assert read()["score"].to_pylist() == expected

    def test_texts_for_int8_belong_to_the_job(self):
        given = {"file": "in.parquet", "output": "out", "columns": {"text": "review"}}
        distil.predict("model", **given, calibration=["the film"])
        with pytest.raises(InputError, match=r"calibration was \['the film'\], is"):
            distil.predict("model", **given, calibration=["it is"])

    def test_not_one_result(self):
        pq.write_table(pa.table({"review": [" ", None]}), "blank.parquet")
        with pytest.raises(InputError, match="no row could be predicted"):
            distil.predict("model", file="blank.parquet", output="out")

    @pytest.mark.parametrize("options", [{"file": "in.parquet"}, {"output": "out"}])
    def test_files_go_into_folders(self, options):
        with pytest.raises(InputError, match="file and output go together"):
            distil.predict("model", **options)
        with pytest.raises(InputError, match="file and output go together"):
            distil.predict("model", "a text", file="in.parquet", output="out")

    def run(self, line):
        return main(["predict", "model", *shlex.split(line), "--framework", "pt"])

    def test_the_command(self, capsys):
        line = "--file in.parquet --text-column review --part-rows 10 --output out/"
        assert self.run(line + " --shard 1/2 --json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "folder": "out", "task": CLASSIFY, "rows": 20, "bad": 0, "new": 20, "parts": 2,
        }  # fmt: skip
        assert self.run(line) == 0
        assert capsys.readouterr().out == "25 rows in 3 parts in out/, 5 of them new\n"
        assert len(read()) == 25

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--file in.parquet --shard 1/2", "need an output folder"),
            ("--file . --output out.jsonl", "need an output folder"),
            ("--file '*.parquet' --output out.jsonl", "need an output folder"),
            ("a text --file in.parquet --output out/", "does not apply"),
            ("--file in.parquet --output out/ --force", "does not apply"),
            ("--file in.parquet --output out/ --skip-bad-rows", "does not apply"),
            (
                "--file in.parquet --output out/ --shard 1/2 --ray auto",
                "cannot be combined",
            ),
            ("--output out/", "no file"),
            ("--file in.parquet --output out/ --text-column no", "no such column"),
        ],
    )
    def test_command_lines_that_cannot_be_meant(self, line, words, capsys):
        assert self.run(line) == 2
        assert words in capsys.readouterr().err
        assert not Path("out").exists()

    @pytest.mark.parametrize(("line", "cpus"), [("", 1), ("--engine onnxruntime --threads 4", 4)])
    def test_workers_of_ray_have_a_cpu_for_each_thread(self, line, cpus, monkeypatch, capsys):
        asked = []

        def predict(name, file, output, **options):
            asked.append(options)
            return PredictedFiles(folder=output, task=CLASSIFY, rows=1, bad=0, new=1, parts=1)

        monkeypatch.setattr("distil.ray.predict", predict)
        line += " --file in.parquet --text-column review --output out/ --ray auto"
        assert self.run(line) == 0
        assert (asked[0]["cpus"], asked[0]["address"]) == (cpus, "auto")
        assert asked[0]["columns"] == {"text": "review"}

    def test_a_signal(self, capsys, monkeypatch):
        score = FakeModel.score

        def interrupted(self, sequences, **rest):
            if len(self.asked) == 1:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
            return score(self, sequences, **rest)

        line = "--file in.parquet --text-column review --part-rows 10 --output out/"
        with monkeypatch.context() as patch:
            patch.setattr(FakeModel, "score", interrupted)
            assert self.run(line) == 128 + signal.SIGTERM
        assert "the same command continues" in capsys.readouterr().err
        assert self.run(line) == 0
        assert "25 rows in 3 parts in out/, 15 of them new" in capsys.readouterr().out
