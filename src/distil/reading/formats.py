"""Rows of each format of text: tables, JSON, lines and paragraphs, tagged words, SQuAD."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distil.errors import InputError, shown
from distil.reading.columnar import parquet
from distil.reading.files import LONGEST_LINE, Row, RowFile, check_text

# Of a file that is read as a whole; SQuAD's own has 30 MB.
_LARGEST_DOCUMENT = 1024 * 1024 * 1024


def rows_of(file: RowFile) -> Iterator[Row]:
    """The rows of a file; those that cannot be read are among them, with their error.

    Raises:
        InputError: The file itself cannot be read, or the header of a table.
        FrameworkError: The package that reads its format is not installed.
    """
    return _READERS[file.format](file)


def _table(file: RowFile) -> Iterator[Row]:
    """Rows of tab- or comma-separated cells."""
    records = _records(file)
    header = file.header
    if header is None:
        header = _header(file, *next(records, (1, [])))
    for number, cells in records:
        yield file.row(number, _cells, header, cells)


def _records(file: RowFile) -> Iterator[tuple[int, Any]]:
    """Of each row that is not blank the number and the cells, or why it cannot be read."""
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(
        (line for _, line in file.lines()),
        delimiter="," if file.format == "csv" else "\t",
        quoting=csv.QUOTE_MINIMAL if file.quoting else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        first = reader.line_num + 1
        try:
            if cells := next(reader):
                yield reader.line_num, cells
        except csv.Error as error:
            # Where a quotation mark opens, not where the file or the patience ends.
            yield first, error
        except StopIteration:
            return


def _header(file: RowFile, number: int, cells: Any) -> list[str]:
    row = file.row(number, _cells, cells, cells)
    if row.error is not None:
        raise row.error
    names = [name for name in cells if name]
    if len(set(names)) < len(names):
        raise row.problem("two columns have the same name", found=", ".join(map(shown, names)))
    return list(cells)


def _cells(header: Sequence[str], cells: Any) -> Mapping[str, Any]:
    if isinstance(cells, csv.Error):
        raise InputError(
            "row of a table cannot be read", found=cells,
            fix="close the quotation mark, and double those inside quotation marks; a recipe for "
            "a file where they are part of the text sets data.quoting to false",
        )  # fmt: skip
    whole = "".join(cells)
    check_text(whole)
    if len(cells) != len(header):
        raise InputError(
            "row has the wrong number of columns",
            expected=f"{len(header)}: {', '.join(header)}", found=len(cells),
            fix='check for an open quotation mark (")' if '"' in whole else None,
        )  # fmt: skip
    return dict(zip(header, cells, strict=True))


def _json_lines(file: RowFile) -> Iterator[Row]:
    for number, line in file.lines():
        if line.strip():
            yield file.row(number, _document, line)


def _document(line: str) -> Mapping[str, Any]:
    """A JSON object; a string is a text."""
    check_text(line)
    try:
        values = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", found=error) from None
    if isinstance(values, str):
        return {"text": values}
    if not isinstance(values, dict):
        raise InputError(
            "neither a text nor a JSON object", expected='"..." or {"text": "...", ...}',
            found=shown(values),
        )  # fmt: skip
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"the key {shown(key)} occurs twice")
        table[key] = value
    return table


def _text(file: RowFile) -> Iterator[Row]:
    """Lines that are not blank; or paragraphs, their lines joined by spaces."""
    if file.unit == "line":
        for number, line in file.lines():
            if line.strip():
                yield file.row(number, _whole, [line.rstrip("\r\n")])
        return
    for numbers, lines in _blocks(file, lambda line: not line.strip()):
        yield file.row(numbers[-1], _whole, [line.strip() for line in lines])


def _whole(lines: Sequence[str]) -> Mapping[str, Any]:
    text = " ".join(lines)
    check_text(text)
    return {"text": text}


def _blocks(
    file: RowFile, ends: Callable[[str], bool]
) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
    """Numbers and lines of each block, up to a line that ends it."""
    numbers: list[int] = []
    lines: list[str] = []
    size = 0
    for number, line in file.lines():
        if not ends(line):
            numbers.append(number)
            lines.append(line)
            size += len(line)
            if size > LONGEST_LINE:
                raise file.unreadable(
                    "none", number, expected=f"a blank line in {LONGEST_LINE:,} characters"
                )
        elif lines:
            yield numbers, lines
            numbers, lines, size = [], [], 0
    if lines:
        yield numbers, lines


def _conll(file: RowFile) -> Iterator[Row]:
    """Sentences: a word a line, its tag in the last column, a blank line after each sentence."""
    for numbers, lines in _blocks(file, lambda line: line.split()[:1] in ([], ["-DOCSTART-"])):
        yield file.row(numbers[0], _sentence, numbers, lines)


def _sentence(numbers: Sequence[int], lines: Sequence[str]) -> Mapping[str, Any]:
    words, tags = [], []
    for number, line in zip(numbers, lines, strict=True):
        check_text(line)
        word, *others = line.split()
        if not others:
            raise InputError(
                "word without a tag", expected="word and tag", found=shown(word), where=number
            )
        words.append(word)
        tags.append(others[-1])
    return {"words": words, "tags": tags}


def _squad(file: RowFile) -> Iterator[Row]:
    """Questions of a file in SQuAD's form."""
    try:
        with file.open() as stream:
            data = stream.read(_LARGEST_DOCUMENT + 1)
        if len(data) > _LARGEST_DOCUMENT:
            raise ValueError(f"more than {_LARGEST_DOCUMENT:,} bytes")
        articles = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)["data"]
        questions = [
            {
                "id": question["id"],
                "question": question["question"],
                "context": paragraph["context"],
                "answers": {
                    "text": [answer["text"] for answer in question["answers"]],
                    "answer_start": [answer["answer_start"] for answer in question["answers"]],
                },
                **{name: question[name] for name in ("is_impossible",) if name in question},
            }
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        raise InputError(
            "not a SQuAD file", expected="JSON with data, paragraphs, qas", found=shown(error),
            where=file.where, fix="if every line is a JSON document, the format is jsonl",
        ) from None  # fmt: skip
    for number, values in enumerate(questions, start=1):
        yield Row(values, file.place(number), number)


_READERS: Mapping[str, Callable[[RowFile], Iterator[Row]]] = {
    "tsv": _table, "csv": _table, "jsonl": _json_lines, "text": _text, "conll": _conll,
    "squad": _squad, "parquet": parquet,
}  # fmt: skip

FORMATS = tuple(_READERS)
