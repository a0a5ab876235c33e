"""Training without a recipe file, or on data in memory: the recipe that a call amounts to.

Rows in memory are first written into the output folder, to a file named after its contents.
From then on they are data like any other: the same call continues or repeats the training, and
so does `distil train` with the recipe in the folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.labels import BINARY
from distil.common.rules import as_table
from distil.common.steps.recipe import EMBEDDINGS, Recipe, read_recipe
from distil.common.tasks import find_task, task_of_checkpoint
from distil.errors import ConfigError, TrainingError, shown
from distil.reading import Row, RowFile, rows_from
from distil.storage.files import atomic_write
from distil.storage.paths import check_name
from distil.training import checkpoints
from distil.training.folder import DATA, RECIPE, RESULT
from distil.training.report import write_recipe

# Required in a recipe, and optional in a call.
_BATCH, _DEV_SHARE = 32, 0.1

# The losses of a sentence encoder, which has no predictions.
_VECTORS = {
    "distillation.alpha_ce": 0.0, "distillation.alpha_task": 0.0,
    "distillation.alpha_vector": 1.0, "distillation.dropout": 0.0,
}  # fmt: skip

# Names that the splits of a mapping may have.
_TRAIN, _DEV = ("train",), ("dev", "validation", "valid", "val")


@dataclass(frozen=True, kw_only=True)
class Given:
    """A recipe, and the data that it reads from files which may not be written yet.

    Attributes:
        recipe: The recipe.
        tables: Rows in memory by the file for them, as `lines_of` takes them.
    """

    recipe: Recipe
    tables: Mapping[Path, Any] = field(default_factory=dict)

    def keep_rows(self, folder: Path) -> None:
        """Write the rows in memory into their files, unless they are there already.

        With them goes the recipe, which marks the folder as that of a training: the next call may
        use it, whatever stops this one.

        Args:
            folder: Of the training.

        Raises:
            TrainingError: The folder holds a training on other data.
            InputError: A row has something that JSON cannot hold.
            CheckpointError: They cannot be written.
        """
        for path, table in self.tables.items():
            if path.exists():  # the name says what is in it
                continue
            if any((folder / mark).exists() for mark in (RESULT, checkpoints.FILE_NAME)):
                raise TrainingError(
                    "the folder holds a training on other data", where=folder,
                    fix="choose another output, or remove the folder",
                )  # fmt: skip
            with atomic_write(path) as temporary:
                path.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("wb") as file:
                    file.writelines(lines_of(table, self.recipe))
            if not (folder / RECIPE).exists():
                write_recipe(self.recipe, folder / RECIPE)


def recipe_of(
    source: str | Path | Mapping[str, Any] | Recipe | None,
    assignments: Mapping[str, Any],
    *,
    task: str | None = None,
    model: Any = None,
    teacher: Any = None,
    data: Any = None,
    dev: Any = None,
    columns: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    framework: str | None = None,
) -> Given:
    """The recipe that the arguments of `distil.train` or `distil.distill` amount to.

    Args:
        source: A recipe, in which the others are set; None to make one of them.
        assignments: Further settings, by dotted name.
        task: A task, by any of its names.
        model: The name of a model, or a section of a recipe.
        teacher: Likewise, a teacher.
        data: Rows to learn from: a file, several, a table in memory, or these by split; or a
            section of a recipe.
        dev: Rows to be judged by.
        columns: Columns by field.
        output: A folder.
        framework: To train in.

    Raises:
        ConfigError: They do not make up a valid recipe.
        InputError: The data have no rows.
    """
    nothing = all(one is None for one in (source, task, model, teacher, data, output))
    if nothing and not assignments:
        raise ConfigError("nothing to train", expected="a recipe, or task, model, data and output")
    settings: dict[str, Any] = {}
    if task is None and source is None and isinstance(teacher, str | Path):
        task = task_of_checkpoint(DistilBertConfig.from_pretrained(teacher), teacher).name
    if task is not None:
        found = find_task(task).name
        settings["task"] = EMBEDDINGS if found == "base" else found
        if settings["task"] == EMBEDDINGS and source is None:
            settings |= _VECTORS
    if output is not None:
        check_name(output, "output")
        settings["output"] = str(output)
    for name, value in (("model", model), ("teacher", teacher)):
        if isinstance(value, Mapping):
            settings[name] = value
        elif value is not None:
            check_name(value, name)
            settings[f"{name}.name"] = str(value)
    settings |= {} if framework is None else {"model.framework": framework}
    if source is None:
        has_batch = any(name.startswith("batch") for name in assignments)
        source = {} if has_batch else {"batch": {"examples": _BATCH}}
    if columns is not None:
        settings["data.columns"] = as_table(columns, "columns")
    if _is_section(data):
        settings = {"data": data} | settings
        data = None
    if data is None and dev is None:
        return Given(recipe=read_recipe(source, {**settings, **assignments}))
    return _with_data(source, settings, assignments, *_splits(data, dev))


def _with_data(
    source: Any, settings: dict[str, Any], assignments: Mapping[str, Any], train: Any, dev: Any
) -> Given:
    """The recipe for these rows, instead of those that it may name."""
    settings |= dict.fromkeys(
        ("data.hub", "data.dev", "data.dev_share", "data.format", "data.header")
    )
    settings["data.folder"] = "."
    if train is None:
        raise ConfigError("no training data", expected="data", found="dev alone", where="data")
    if dev is None:
        settings["data.dev_share"] = _DEV_SHARE
    # Where rows in memory go depends on the recipe, and where they are is part of it.
    draft = read_recipe(source, {**settings, "data.train": ["-"], **assignments})
    labels = _class_names(train, draft)
    if labels is not None and draft.data.labels is None:
        settings["data.labels"] = labels
    tables: dict[Path, Any] = {}
    train, dev = _again(train), _again(dev)
    kind: dict[str, Any] = {}
    if draft.model.config.get("problem_type") is None and _has_lists(train, draft):
        kind = {"model.config.problem_type": BINARY}
    for split, table in (("train", train), ("dev", dev)):
        if table is None:
            continue
        names = _files(table)
        if names is None:
            path = _file_for(split, table, draft)
            tables[path] = table
            folder = draft.data.folder
            names = [str(path) if folder == "." else os.path.relpath(path, folder)]
        settings[f"data.{split}"] = names
    return Given(recipe=read_recipe(source, {**settings, **assignments, **kind}), tables=tables)


def lines_of(table: Any, recipe: Recipe) -> Iterator[bytes]:
    """Rows as lines of JSON, of each the columns that a recipe may read.

    Args:
        table: As `rows_from` takes it.
        recipe: Of the training.

    Raises:
        InputError: The rows have no column for the task, or not those that the recipe names; or a
            value cannot be written as JSON.
    """
    wanted = recipe.data.columns_read
    for number, row in enumerate(rows_from(table)):
        if number == 0:  # later ones are checked where they are read
            _check_columns(row, recipe)
        values = {name: _plain(x) for name, x in row.values.items() if name in wanted}
        try:
            yield json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise row.problem(
                "row cannot be kept", expected="texts, numbers, and lists of them", found=error
            ) from None


def _check_columns(row: Row, recipe: Recipe) -> None:
    """See that a row has columns to learn from, while all of its columns are known."""
    if recipe.task == EMBEDDINGS:  # whose dev rows have other columns
        return
    data, label = recipe.data, recipe.model_task.class_column
    named = {field: _names(column) for field, column in data.columns.items()}
    missing = sorted(set().union(*named.values()) - row.values.keys())
    classes = named.get(label, {label}) if label is not None else set()
    if not missing and not (data.columns_read & row.values.keys()) - classes:
        missing = ["words" if label == "tags" else "text"]
    if missing:
        raise row.problem(
            f"row has no {missing[0]!r}", expected="a column of this name",
            found=", ".join(map(shown, row.values)),
            fix="name the columns to read with columns (on the command line --text-column, ...)",
        )  # fmt: skip


def _names(column: str | Sequence[str]) -> set[str]:
    """A field's column; or several, where each label has its own."""
    return {column} if isinstance(column, str) else {*column}


def _is_section(data: Any) -> bool:
    """Whether it is a section `data` of a recipe, rather than rows by split."""
    if not isinstance(data, Mapping):
        return False
    return not {*data} <= {*_TRAIN, *_DEV, "test"} or _files(data.get("train")) is not None


def _splits(data: Any, dev: Any) -> tuple[Any, Any]:
    """What to learn from, and what to be judged by."""
    if not isinstance(data, Mapping):
        return data, dev
    if dev is None:
        dev = next((data[name] for name in _DEV if name in data), None)
    return data.get("train"), dev


def _files(table: Any) -> list[str] | None:
    """The files that data are in; None where they are in memory."""
    if isinstance(table, str | Path):
        return [str(table)]
    if isinstance(table, list | tuple) and table and all(isinstance(x, str | Path) for x in table):
        return [str(name) for name in table]
    return None


def _again(table: Any) -> Any:
    """Rows that can be gone through more than once."""
    return list(table) if isinstance(table, Iterator) else table


def _has_lists(table: Any, recipe: Recipe) -> bool:
    """Whether the texts of a table have several labels: a list in the first row, or columns."""
    if not recipe.model_task.has_problem_type:
        return False
    column = recipe.data.columns.get("label", "label")
    if not isinstance(column, str):
        return True
    data, names = recipe.data, _files(table)
    if names is not None:
        path = Path(data.folder) / names[0]
        if not path.is_file():  # which is said when it is read
            return False
        table = RowFile(path, data.format, header=data.header, quoting=data.quoting)
    first = next(rows_from(table), None)
    return first is not None and isinstance(_plain(first.values.get(column)), list)


def _file_for(split: str, table: Any, recipe: Recipe) -> Path:
    """The file for rows in memory, by what they hold."""
    digest = hashlib.sha256()
    for line in lines_of(table, recipe):
        digest.update(line)
    return Path(recipe.output) / DATA / f"{split}-{digest.hexdigest()[:12]}.jsonl"


def _class_names(table: Any, recipe: Recipe) -> list[str] | None:
    """The names of classes that a data set of the package `datasets` has for its numbers."""
    field_name = recipe.model_task.class_column
    features = getattr(table, "features", None)
    if field_name is None or not isinstance(features, Mapping):
        return None
    column = recipe.data.columns.get(field_name, field_name)
    feature = features.get(column) if isinstance(column, str) else None
    while feature is not None and not hasattr(feature, "names"):
        feature = getattr(feature, "feature", None)  # of the elements of a list
    return None if feature is None else list(feature.names)


def _plain(value: Any) -> Any:
    """A value without numpy's types, and without what pandas has for a missing one."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    is_missing = isinstance(value, float) and math.isnan(value)
    return None if is_missing or type(value).__name__ == "NAType" else value
