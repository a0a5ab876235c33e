"""A folder that somebody works in, its doors, and the bad states that are drawn for them."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import distil
from attacks.test_fuzz import damaged_bytes
from distil.errors import DistilError
from support.folders import make_folder
from support.training import make_recipe

TASK = "sequence-classification"
# `DISTIL_STATES=200 pytest tests/attacks/test_doors.py` is the long form.
STATES = int(os.environ.get("DISTIL_STATES", "5"))
FEW = settings(
    max_examples=STATES, deadline=None, derandomize=STATES == 5,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
Door = Callable[..., object]


class House:
    """A folder with a model, rows and a recipe, and what may be done with them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        make_folder(place / "model", TASK, num_labels=2, id2label={0: "bad", 1: "good"})
        recipe = make_recipe(place, TASK, "pt", rows=12, **{"schedule.steps": 2})
        self.model, self.rows, self.output = place / "model", place / "train.tsv", place / "out"
        distil.load_tokenizer(self.model).save_pretrained(self.model)
        self.table = recipe.to_table() | {"output": str(self.output)}
        self.taught = {**self.table, "teacher": {"name": str(self.model)}, "distillation": {}}
        self.taught["model"] = {**self.table["model"], "name": None}
        for name, table in (("recipe", self.table), ("taught", self.taught)):
            (place / f"{name}.yaml").write_text(yaml.safe_dump(table))
        self.files = sorted(path for path in place.rglob("*") if path.is_file())
        self.before = self.digests()

    def digests(self) -> dict[Path, str]:
        return {path: sha256(path.read_bytes()).hexdigest() for path in self.files}

    def doors(self) -> dict[str, Door]:
        """Functions, by name; each takes arguments in place of the usual ones."""
        model, output = str(self.model), self.output
        columns = {"text": "sentence"}

        def saved(**new: Any) -> None:
            tokenizer = distil.load_tokenizer(self.model)
            loaded = distil.load(self.model, framework="pt")
            distil.save(loaded, **{"folder": output / "saved", "tokenizer": tokenizer} | new)

        def with_defaults(function: Door, **usual: Any) -> Door:
            return lambda **new: function(**usual | new)

        return {
            "load": with_defaults(distil.load, name=model, framework="pt"),
            "load_tokenizer": with_defaults(distil.load_tokenizer, name=model),
            "info": with_defaults(distil.info, name=model),
            "predict": with_defaults(distil.predict, name=model, texts=["it is"], framework="pt"),
            "pipeline": with_defaults(distil.pipeline, task=TASK, model=model, framework="pt"),
            "evaluate": with_defaults(
                distil.evaluate, model=model, data=str(self.rows), columns=columns,
                framework="pt", report=output / "report.html", predictions=output / "rows.csv",
            ),
            "convert": with_defaults(
                distil.convert, source=model, target=output / "converted", to="h5"),
            "save": saved,
            "train": with_defaults(distil.train, recipe=self.table),
            "distill": with_defaults(distil.distill, recipe=self.taught),
            "bench": with_defaults(distil.bench, name=model, rows=["it is"], dtypes=["none"]),
            "compare": with_defaults(distil.compare, name=model, texts=["it is"]),
        }  # fmt: skip

    def commands(self) -> dict[str, list[str]]:
        model, rows, output = str(self.model), str(self.rows), str(self.output)
        predict = ["predict", model, "--framework", "pt"]
        return {
            "info": ["info", model],
            "predict": [*predict, "it is"],
            "predict a file": [
                *predict, "--file", rows, "--text-column", "sentence", "--output",
                f"{output}/found.jsonl",
            ],
            "evaluate": [
                "evaluate", model, rows, "--framework", "pt", "--predictions", f"{output}/rows.csv",
            ],
            "convert": ["convert", model, f"{output}/converted"],
            "train": ["train", str(self.place / "recipe.yaml")],
            "distill": ["distill", str(self.place / "taught.yaml")],
            "parity": ["parity", model],
            "bench": ["bench", model, "--dtypes", "none"],
        }  # fmt: skip


@contextmanager
def fresh(house: House) -> Iterator[None]:
    """An output folder for one call, in which somebody keeps a file; both go afterwards."""
    shutil.rmtree(house.output, ignore_errors=True)
    house.output.mkdir()
    kept = house.output / "keep.txt"
    kept.write_text("precious")
    recipe = house.output.with_name("out-of-training")
    house.table["output"] = house.taught["output"] = str(recipe)
    shutil.rmtree(recipe, ignore_errors=True)
    with warnings.catch_warnings(), chdir(house.output):  # odd names are written somewhere
        warnings.simplefilter("ignore")
        yield
    assert kept.read_text() == "precious"
    assert house.digests() == house.before, "an input was changed"


def holds(call: Callable[[], object]) -> DistilError | None:
    """The error of a call, which has to be one of distil's and say more than its problem."""
    error = None
    try:
        call()
    except DistilError as raised:
        error = raised
    if error is not None:
        assert error.expected or error.found or error.where or error.fix, str(error)
        assert len(str(error)) < 20_000
    return error


@contextmanager
def damaged(path: Path, draw: st.DataObject) -> Iterator[None]:
    """A file that was cut, changed, emptied, removed, or is something else."""
    whole = path.read_bytes()
    how = draw.draw(st.sampled_from(["bytes", "bytes", "empty", "none", "folder", "link", "pipe"]))
    path.unlink()
    try:
        match how:
            case "bytes":
                path.write_bytes(draw.draw(damaged_bytes(whole)))
            case "empty":
                path.write_bytes(b"")
            case "folder":
                path.mkdir()
            case "link":
                path.symlink_to(path.name)
            case "pipe":
                os.mkfifo(path)
        yield
    finally:
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(whole)


ODD = st.sampled_from(
    [
        None, True, -1, 0, 3, 10**400, 1.5, math.nan, math.inf, "", " ", "\0", "\ud800",
        "x" * 10_000, "é", b"x", [], [1], ["\ud800"], [[]], {}, {1: 2}, (), object(), Path("\0"),
        Path("nowhere"), Path(),
    ]
)  # fmt: skip
