"""`distil predict --output FOLDER/`: which command lines mean that, and what they print."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from glob import has_magic
from pathlib import Path
from typing import Any

from distil.cli import _output
from distil.cli._arguments import columns_of
from distil.cli._interrupts import interrupts
from distil.cli._progress import progress
from distil.errors import InputError, Interrupted

# Options of the pipeline, which Ray's workers are given.
_FORM = ("task", "framework", "dtype", "engine", "threads", "revision", "top_k")


def goes_into_folder(arguments: Namespace) -> bool:
    """Whether results are to be written as parts in a folder.

    Raises:
        InputError: They are, and another option does not go with that.
    """
    file, output = arguments.file, arguments.output
    is_folder = output is not None and (output.endswith(("/", os.sep)) or Path(output).is_dir())
    many = file is not None and (
        Path(file).is_dir() or (has_magic(file) and not Path(file).exists())
    )
    given = {
        "--shard": arguments.shard, "--ray": arguments.ray, "--prefix": arguments.prefix,
        "--part-rows": arguments.part_rows,
    }  # fmt: skip
    asked = next((name for name, value in given.items() if value is not None), None)
    if not is_folder:
        if many or asked:
            raise InputError(
                "several files or a shard need an output folder", where=asked or file,
                expected="--output FOLDER/", found=f"--output {output}" if output else "none",
            )  # fmt: skip
        return False
    for name, value in (
        ("texts", arguments.texts), ("--skip-bad-rows", arguments.skip_bad_rows),
        ("--force", arguments.force), ("--keep", arguments.keep),
    ):  # fmt: skip
        if value:
            raise InputError(
                "option does not apply to an output folder", found=name, where="--output",
                fix="leave it out: all columns are kept, rows that are bad are there with their "
                "error, and a folder is continued, never replaced",
            )  # fmt: skip
    if arguments.shard and arguments.ray:
        raise InputError(
            "--shard and --ray cannot be combined", where="--shard", fix="leave it out"
        )
    if file is None:
        raise InputError("there is no file", fix="add --file FILE", where="--output")
    return True


def predict_parts(arguments: Namespace, pipe: Any, options: Mapping[str, Any]) -> int:
    """Compute the parts that are missing, and return the exit status.

    Args:
        arguments: Of the command.
        pipe: The pipeline.
        options: Of the pipeline, set in it already.
    """
    from distil.prediction.files import PART_ROWS, weights_of, write_parts  # noqa: PLC0415
    from distil.storage.hub import HubOptions  # noqa: PLC0415

    job: dict[str, Any] = {
        "for_all": {name: getattr(arguments, name) for name in ("pair", "context", "choices")},
        "format": arguments.format, "columns": columns_of(arguments),
        "prefix": arguments.prefix or "",
        "part_rows": PART_ROWS if arguments.part_rows is None else arguments.part_rows,
    }  # fmt: skip
    hub = HubOptions(revision=arguments.revision)
    with ExitStack() as stack:
        stack.enter_context(interrupts())
        tell = stack.enter_context(progress("predicting"))

        def sign(rows: int, total: int | None) -> None:
            tell(rows, total, f"{rows:,} rows")

        try:
            if arguments.ray is None:
                found = write_parts(
                    pipe, arguments.file, arguments.output, shard=arguments.shard,
                    several=arguments.top_k is not None,
                    identity=weights_of(arguments.name, hub, task=pipe.task),
                    progress=sign, **job,
                )  # fmt: skip
            else:
                from distil.ray import predict  # noqa: PLC0415 - optional

                form: dict[str, Any] = {name: getattr(arguments, name) for name in _FORM}
                found = predict(
                    arguments.name, arguments.file, arguments.output, address=arguments.ray,
                    cpus=arguments.threads or 1, progress=sign, **job, **form, **options,
                )  # fmt: skip
        except Interrupted as interrupt:
            raise Interrupted(
                interrupt.number, "interrupted; the same command continues from there"
            ) from None
    _print_parts(arguments, found)
    return 0


def _print_parts(arguments: Namespace, found: Any) -> None:
    """Print what is in the folder now."""
    found.sound()
    if arguments.json:
        _output.print_json(found.to_dict())
        return
    if found.bad:
        _output.print_warning(f"{found.bad:,} of {found.rows:,} rows have an error and no result")
    new = "" if found.new == found.rows else f", {found.new:,} of them new"
    parts = "part" if found.parts == 1 else "parts"
    _output.print_line(f"{found.rows:,} rows in {found.parts:,} {parts} in {arguments.output}{new}")
