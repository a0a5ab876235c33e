"""What all commands share: arguments, tables, JSON, errors and warnings.

rich is imported only when something is printed, so that `distil --help` stays quick.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from distil.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# For a program at the other end of a pipe: every row on one line, however long.
_WIDTH_WHEN_PIPED = 10_000

# Characters of a text that a table shows; --json has all of them.
_LONGEST_CELL = 1000

GOOD, BAD, UNSURE, FAINT, HEADING = "green", "bold red", "yellow", "dim", "bold"


def add_name(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The argument NAME, and its revision on the hub."""
    parser.add_argument(
        "name",
        nargs="?" if optional else None,
        metavar="NAME",
        help="a folder, a bundled checkpoint, or a name on the hub",
    )
    parser.add_argument("--revision", help="branch, tag or commit on the hub")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document and nothing else"
    )


def examples_text(examples: Sequence[tuple[str, str]]) -> str:
    """The end of a command's help, from pairs of purpose and command line."""
    lines = [f"  # {purpose}\n  {command}" for purpose, command in examples]
    return "examples:\n" + "\n\n".join(lines)


def print_json(value: Any) -> None:
    """Print `value` as a JSON document."""
    document = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if printable(document) != document:
        document = "".join(
            one if printable(one) == one else f"\\u{ord(one):04x}" for one in document
        )
    print(document)


def console(*, stderr: bool = False) -> Console:
    """Where to print; with colours on a terminal only."""
    from rich.console import Console  # noqa: PLC0415 - see above

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to `main`; rich would exit with the status of a failed check."""
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    width = _WIDTH_WHEN_PIPED if piped else None
    return Pipe(file=stream, width=width, highlight=False, markup=False, emoji=False)


def text(value: object, style: str = "") -> Text:
    """`value` to be printed literally, brackets and all; control characters are masked."""
    from rich.text import Text  # noqa: PLC0415 - see above

    return Text(printable(str(value)), style=style)


def size(count: int) -> str:
    """A number of bytes, as "1.2 MB"."""
    from rich.filesize import decimal  # noqa: PLC0415 - see above

    return decimal(count)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """Print a table.

    Args:
        columns: Headings of the columns; all empty for a table without headings.
        rows: One cell per column: a string, a number, None for an empty cell, or a `text`.
        right: The columns to right-align.
        title: A line above.
    """
    from rich import box  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=box.SIMPLE_HEAD if any(columns) else None,
        show_header=any(columns),
        show_edge=False,
        pad_edge=False,
        header_style=HEADING,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        justify = "right" if column in right else "left"
        table.add_column(text(column), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        cells = ("" if cell is None else cell for cell in row)
        table.add_row(*(cell if isinstance(cell, Text) else text(_cut(cell)) for cell in cells))
    out = console()
    if title is not None:
        out.print()
        out.print(text(title, HEADING))
    out.print(table)


def _cut(cell: object) -> str:
    whole = str(cell)
    return whole if len(whole) <= _LONGEST_CELL else whole[:_LONGEST_CELL] + "…"


def print_fields(fields: Mapping[str, Any], *, title: str | None = None) -> None:
    """Print names and values, one pair a line; None is left out."""
    rows = [(text(name, FAINT), value) for name, value in fields.items() if value is not None]
    print_table(("", ""), rows, title=title)


def print_line(line: object = "", style: str = "") -> None:
    """Print one line."""
    console().print(text(line, style), soft_wrap=True)


def print_error(problem: str) -> None:
    """Print what went wrong on stderr."""
    _print_to_stderr("error: ", BAD, problem)


def print_warning(message: str) -> None:
    """Print a warning on stderr."""
    _print_to_stderr("warning: ", UNSURE, message.strip())


def _print_to_stderr(kind: str, style: str, message: str) -> None:
    line = text("")
    line.append(kind, style).append(printable(message))
    console(stderr=True).print(line, soft_wrap=True)


def as_command(message: str, options: Mapping[str, str]) -> str:
    """A message with a command's options in place of the arguments of Python functions.

    Args:
        message: For example "stride=... reads all of it".
        options: The command's options, by argument: {"stride": "--stride"}.
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        return options[name] if value == "True" else f"{options[name]} {value}".rstrip()

    if not options:
        return message
    return re.sub(rf"\b({'|'.join(options)})=([^\s,;)]*)", option, message)


@contextmanager
def plain_warnings(options: Mapping[str, str]) -> Iterator[None]:
    """Show each warning once on stderr, in a command's terms and without its place in the code.

    Args:
        options: As in `as_command`.
    """

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print_warning(as_command(str(message), options))

    with warnings.catch_warnings():
        # Warnings for programmers (deprecations, say) do not help users of the command line.
        warnings.simplefilter("ignore")
        warnings.simplefilter("once", UserWarning)
        warnings.showwarning = show
        yield


@contextmanager
def stderr_kept_back() -> Iterator[None]:
    """Hold back what is written to stderr, also by C++, and print it only if the block fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        own = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(own, 2)
            kept.seek(0)
            sys.stderr.write(kept.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(own, 2)
            os.close(own)


@contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done, on a terminal; each line replaces the last."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda what: None
        return
    with out.status("") as status:
        yield lambda what: status.update(text(what, FAINT))


def start_tensorflow() -> None:
    """Import TensorFlow, if it is installed, without the messages it prints on import.

    Some of them (on oneDNN, and on missing GPUs) cannot be turned off.
    """
    if "tensorflow" not in sys.modules and find_spec("tensorflow") is not None:
        with stderr_kept_back():
            import keras  # noqa: F401, PLC0415
            import tensorflow  # noqa: F401, PLC0415
