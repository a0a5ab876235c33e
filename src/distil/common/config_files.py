"""config.json as a file: found, read, turned into a DistilBERT's fields, and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.common import bert
from distil.common.rules import check_plain
from distil.common.stored_int8 import without_quantization
from distil.errors import CheckpointError, ConfigError, shown
from distil.storage import hub
from distil.storage.files import read_json, read_yaml, refusals, write_json
from distil.storage.paths import is_file
from distil.storage.pending import current_config

MODEL_TYPE = "distilbert"
FILE_NAME = "config.json"
_DEEPEST = 50


def find(name: str | Path, options: hub.HubOptions) -> tuple[Path, bool]:
    """Where the configuration called `name` is, and whether a checkpoint's folder owns it."""
    if is_file(name):
        return Path(name), False
    return current_config(hub.snapshot(str(name), options, files=[FILE_NAME])), True


def read(path: Path, *, own: bool) -> dict[str, Any]:
    """The table in a JSON or YAML file; for `own` see `distil.storage.opened.read_bytes`.

    Raises:
        CheckpointError: It cannot be read, or is not a table.
        ConfigError: Likewise, for YAML.
    """
    return read_yaml(path) if path.suffix in (".yaml", ".yml") else read_json(path, own=own)


def fields_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a DistilBERT that the config.json of a DistilBERT or of a BERT gives.

    Raises:
        ConfigError: The model is of another type, its weights are stored in a way that is not
            read, or the table could not be written back.
    """
    table = without_quantization(table)
    kind = table.get("model_type", MODEL_TYPE)
    if kind == bert.MODEL_TYPE:
        table = bert.to_distilbert(table)
    elif kind != MODEL_TYPE:
        raise ConfigError(
            "cannot load a model of this type",
            expected=f"{MODEL_TYPE} or {bert.MODEL_TYPE}", found=shown(kind), where="model_type",
        )  # fmt: skip
    check_plain(table, ConfigError, levels=_DEEPEST)
    labels = table.get("id2label")
    if isinstance(labels, Mapping) and table.get("num_labels", len(labels)) == len(labels):
        # Old files say both; the names say more.
        table = {name: value for name, value in table.items() if name != "num_labels"}
    return dict(table)


def write(folder: Path, table: Mapping[str, Any]) -> None:
    """Write config.json into a folder, making the folder if need be.

    Raises:
        ConfigError: A number in it is not finite, or tables are nested too deeply.
        CheckpointError: It cannot be written.
    """
    check_plain(table, ConfigError, levels=_DEEPEST)
    problem = "configuration cannot be written"
    try:
        with refusals(problem, folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FILE_NAME, table)
    except UnicodeEncodeError as error:  # a name that no file can have
        raise CheckpointError(problem, found=error, where=folder) from None
