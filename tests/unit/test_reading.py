"""The reader of rows: what never ends, what is no file, and bad rows in the middle of good ones."""

import gzip
import os
import re
from pathlib import Path

import pytest

from distil.common.steps.recipe_data import FORMATS
from distil.errors import InputError
from distil.reading import RowFile, files, formats, read_lines, rows_of, sound, to_inputs


@pytest.fixture
def read(tmp_path):
    def read(name, content, **options):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return list(rows_of(RowFile(path, **options)))

    return read


@pytest.fixture
def short(monkeypatch):
    """Lines and cells of a thousand characters at most."""
    monkeypatch.setattr(files, "LONGEST_LINE", 1000)
    monkeypatch.setattr(formats, "LONGEST_LINE", 1000)


def test_formats_are_those_of_recipes():
    assert sorted(formats.FORMATS) == sorted(FORMATS)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.conll", "a.txt.gz"])
def test_a_line_without_an_end(name, read, short):
    with pytest.raises(InputError, match="1,000 bytes") as caught:
        read(name, b"\0" * 10_000)
    assert caught.value.where.endswith(f"{name}:1")


@pytest.mark.parametrize(("name", "unit"), [("a.txt", "paragraph"), ("a.conll", "line")])
def test_a_block_without_an_end(name, unit, read, short):
    assert len(read(name, "it O\n\n" * 1000, unit=unit)) == 1000
    with pytest.raises(InputError, match="a blank line"):
        read(name, "it O\n" * 1000, unit=unit)


def test_a_cell_without_an_end(read, short):
    rows = read("a.csv", 'x,y\n1,2\n3,"4\n' + "a,b\n" * 1000)
    assert [row.number for row in rows if row.error is not None] == [3]
    assert "close the quotation mark" in str(rows[1].error)
    assert dict(rows[-1].values) == {"x": "a", "y": "b"}


def test_a_SQuAD_file_that_is_too_large(read, monkeypatch):  # noqa: N802
    monkeypatch.setattr(formats, "_LARGEST_DOCUMENT", 20)
    assert read("a.json", '{"data": []}') == []
    with pytest.raises(InputError, match="more than 20 bytes"):
        read("a.json", '{"data": [' + "," * 100 + "]}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("name", ["/dev/full", "/dev/null", "/dev/zero"])
def test_a_device_is_not_a_file(name):
    with pytest.raises(InputError, match="a device"):
        RowFile(name)


@pytest.mark.parametrize(
    ("name", "words"), [(".", "a folder"), ("no", "No such"), ("a\0b", "null")]
)
def test_what_is_not_there(name, words):
    with pytest.raises(InputError, match=words):
        RowFile(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_with_a_name(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    os.write(descriptor, b"one\ntwo\n")
    rows = rows_of(RowFile(path))
    assert [next(rows).values["text"] for _ in range(2)] == ["one", "two"]
    rows.close()
    os.close(descriptor)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,a\n1,2\n", "same name"),
        (b"a,\xff\n1,2\n", "not UTF-8"),
        ('"a\n1\n', "cannot be read"),
    ],
)
def test_a_header_that_is_none(content, words, read):
    with pytest.raises(InputError, match=words):
        read("a.csv", content)


def test_columns_without_a_name_may_be_several(read):
    assert dict(read("a.csv", "\nx,,\n1,,\n")[0].values) == {"x": "1", "": ""}
    assert read("a.csv", "") == read("a.csv", "x\n") == []


@pytest.mark.parametrize(
    ("name", "content", "number", "words"),
    [
        ("a.txt", b"it\n\xffs\nis\n", 2, "byte 0xff after 0 characters"),
        ("a.csv", b"x,y\na,b\n\xe4,b\na,b\n", 3, "not UTF-8"),
        ("a.csv", 'x,y\na,b\n"a"a,b\na,b\n', 3, "close the quotation mark"),
        ("a.csv", "x,y\na,b\na,b,c\na,b\n", 3, "wrong number of columns"),
        ("a.jsonl", '"a"\n{"x": 1, "x": 2}\n"b"\n', 2, "the key 'x' occurs twice"),
        ("a.jsonl", '"a"\n[1]\n"b"\n', 2, "neither a text nor a JSON object"),
        ("a.jsonl", '"a"\n' + "[" * 100_000 + '\n"b"\n', 2, "not JSON"),
        ("a.jsonl", '"a"\n' + "1" * 5000 + '\n"b"\n', 2, "not JSON"),
        ("a.conll", "it O\n\nin\nit O\n\nis O\n", 3, "word without a tag"),
    ],
)
def test_a_bad_row_among_good_ones(name, content, number, words, read):
    before, bad, after = read(name, content)
    assert (before.error, after.error) == (None, None)
    assert words in str(bad.error)
    assert (bad.number, bad.place) == (number, bad.error.where)
    assert bad.place.endswith(f"{name}:{number}")
    assert bad.values == {}
    with pytest.raises(InputError, match=re.escape(bad.place)):
        list(sound([before, bad, after]))


def test_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(os.urandom(100_000).hex().encode() + b"\n")[:-1000])
    with pytest.raises(InputError, match="cannot be read"):
        read_lines(path)


def test_position_is_that_of_the_compressed_file(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"it is\n" * 1000))
    file = RowFile(path)
    positions = [file.position for _ in rows_of(file)]
    assert positions[-1] == file.size == path.stat().st_size
    assert (file.position, RowFile("-").position) == (0, 0)


def test_parquet_rows_have_names_of_columns(tmp_path):
    table = pytest.importorskip("pyarrow", reason="the extra `datasets` is not installed").table
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(table({"text": ["it", "is"], "label": [1, None]}), path)
    assert list(to_inputs(RowFile(path), {"text": None, "label": None})) == [
        (1, {"text": "it", "label": 1}), (2, {"text": "is", "label": None}),
    ]  # fmt: skip
    path.write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="cannot be read"):
        list(rows_of(RowFile(path)))
