"""Rows of a data set, from local files or from the hub, each with the place that it stands at."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from distil.common.steps.recipe import DataSection
from distil.errors import InputError, not_installed, shown

# What files are called.
_SUFFIXES = {
    ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "text",
    ".conll": "conll", ".json": "squad",
}  # fmt: skip

# A longer value is an unclosed quotation mark that took in the rest of the file.
_LONGEST_VALUE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        values: By name of the column.
        where: The file (or data set) and the number of the line or row in it.
    """

    values: Mapping[str, Any]
    where: tuple[str, int]

    def problem(self, problem: str, **parts: Any) -> InputError:
        """The error for something wrong in this row."""
        file, number = self.where
        return InputError(problem, where=f"{file}, line {number}", **parts)


def read_rows(data: DataSection, split: str) -> Iterator[Row]:
    """The rows of a split, "train" or "dev"; none where the recipe has no such split.

    Raises:
        InputError: A file is missing or of no known format, or a row cannot be read.
        FrameworkError: The package `datasets` is needed and not installed.
    """
    limit = {"train": data.max_train_rows, "dev": data.max_dev_rows}[split]
    return islice(_all_rows(data, split), limit)


def _all_rows(data: DataSection, split: str) -> Iterator[Row]:
    if data.hub is not None:
        name = {"train": data.train_split, "dev": data.dev_split}[split]
        if name is not None:
            yield from _through_datasets(f"{data.hub}, {name}", data.hub, data.subset, split=name)
        return
    for name in {"train": data.train, "dev": data.dev}[split] or ():
        path = Path(data.folder) / name
        kind = data.format or _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix.lower())
        if kind is None:
            raise InputError(
                "unknown kind of file", expected="a name ending in " + ", ".join(_SUFFIXES),
                found=name, where="data", fix="say it with data.format",
            )  # fmt: skip
        if not path.is_file():
            raise InputError(
                "file of the data is missing", where=path, fix="set data.folder to its place"
            )
        if kind == "parquet":
            yield from _through_datasets(str(path), "parquet", data_files=str(path), split="train")
        else:
            yield from _READERS[kind](path, data)


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends, decoded one by one, so that an error names the line."""
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", found=error, where=f"{path}, line {number}") from None
    except (OSError, EOFError) as error:
        raise InputError(
            "file cannot be read", found=error, where=f"{path}, line {number + 1}"
        ) from None


def _table(path: Path, data: DataSection) -> Iterator[Row]:
    """Rows of tab- or comma-separated values."""
    separator = "," if (data.format or path.name.removesuffix(".gz")[-3:]) == "csv" else "\t"
    quoting = csv.QUOTE_MINIMAL if data.quoting else csv.QUOTE_NONE
    csv.field_size_limit(_LONGEST_VALUE)
    reader = csv.reader(_lines(path), delimiter=separator, quoting=quoting, strict=True)
    header: Sequence[str] | None = data.header
    try:
        for values in reader:
            if header is None:
                header = values
            elif values:
                row = Row(dict(zip(header, values, strict=False)), (str(path), reader.line_num))
                if len(values) != len(header):
                    raise row.problem(
                        "row has another number of columns",
                        expected=f"{len(header)} ({', '.join(header)})", found=len(values),
                        fix=None if data.quoting or '"' not in "".join(values) else "data.quoting",
                    )  # fmt: skip
                yield row
    except csv.Error as error:
        raise InputError(
            "row cannot be read", found=error, where=f"{path}, line {reader.line_num}",
            fix="set data.quoting to false if quotation marks are part of the text",
        ) from None  # fmt: skip


def _json_lines(path: Path, data: DataSection) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = (str(path), number)
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Row({}, where).problem("not JSON", found=error) from None
        if not isinstance(values, dict):
            raise Row({}, where).problem("not a JSON object", found=type(values).__name__)
        yield Row(values, where)


def _text(path: Path, data: DataSection) -> Iterator[Row]:
    """Lines that are not blank; or paragraphs, their lines joined by spaces."""
    paragraph: list[str] = []
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if text:
            paragraph.append(text)
        if paragraph and (data.unit == "line" or not text):
            yield Row({"text": " ".join(paragraph)}, (str(path), number))
            paragraph = []
    if paragraph:
        yield Row({"text": " ".join(paragraph)}, (str(path), number))


def _conll(path: Path, data: DataSection) -> Iterator[Row]:
    """Sentences: a word a line, its tag in the last column, a blank line after each sentence."""
    words: list[str] = []
    tags: list[str] = []
    first = 1
    for number, line in enumerate(_lines(path), start=1):
        columns = line.split()
        if not columns or columns[0] == "-DOCSTART-":
            if words:
                yield Row({"words": words, "tags": tags}, (str(path), first))
                words, tags = [], []
            first = number + 1
        elif len(columns) == 1:
            raise Row({}, (str(path), number)).problem(
                "word without a tag", expected="word and tag", found=shown(line.strip())
            )
        else:
            words.append(columns[0])
            tags.append(columns[-1])
    if words:
        yield Row({"words": words, "tags": tags}, (str(path), first))


def _squad(path: Path, data: DataSection) -> Iterator[Row]:
    """Questions of a file in SQuAD's form; a row's number counts questions."""
    try:
        with _open(path) as file:
            articles = json.load(file)["data"]
        questions = [
            {
                "id": question["id"],
                "question": question["question"],
                "context": paragraph["context"],
                "answers": {
                    "text": [answer["text"] for answer in question["answers"]],
                    "answer_start": [answer["answer_start"] for answer in question["answers"]],
                },
            }
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "not a SQuAD file",
            expected="JSON with data, paragraphs, qas", found=repr(error), where=path,
        ) from None  # fmt: skip
    for number, values in enumerate(questions, start=1):
        yield Row(values, (str(path), number))


_READERS: Mapping[str, Callable[[Path, DataSection], Iterator[Row]]] = {
    "tsv": _table, "csv": _table, "jsonl": _json_lines, "text": _text, "conll": _conll,
    "squad": _squad,
}  # fmt: skip


def _through_datasets(where: str, *name: str | None, **options: Any) -> Iterator[Row]:
    """Rows through the package `datasets`, its class labels by name."""
    try:
        import datasets  # noqa: PLC0415 - optional
    except ImportError:
        raise not_installed(
            "datasets", where=where, extra="datasets",
            use="read parquet files and data sets on the hub",
        ) from None  # fmt: skip
    try:
        found = datasets.load_dataset(*name, **options)
    except Exception as error:  # of many kinds
        raise InputError("data set cannot be loaded", found=error, where=where) from None
    names = {column: _class_names(feature) for column, feature in found.features.items()}
    for number, values in enumerate(found, start=1):
        for column, classes in names.items():
            if classes is not None:
                values[column] = _named(values[column], classes)
        yield Row(values, (where, number))


def _class_names(feature: Any) -> Sequence[str] | None:
    """The names of the classes in a column of `datasets`, or in its lists; None if it has none."""
    import datasets  # noqa: PLC0415 - as above

    feature = getattr(feature, "feature", feature)
    return feature.names if isinstance(feature, datasets.ClassLabel) else None


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    # Hidden labels of test splits are -1.
    return names[value] if value is not None and value >= 0 else None
