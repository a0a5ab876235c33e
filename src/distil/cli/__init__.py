"""The command `distil`: each subcommand is a thin call of the public function of the same name.

Exit status: 0 success; 1 a check failed; 2 wrong usage, or an error; 130 interrupted by Ctrl-C, 143
by SIGTERM; 141 the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import distil
from distil.cli import _output
from distil.errors import DistilError, Interrupted

# The commands and their summaries.  A command is a module of this package with DESCRIPTION,
# EXAMPLES, add_arguments(parser) and run(arguments), which returns the exit status.  It is imported
# only when it is used, so that no command delays the start of another.
COMMANDS = {
    "info": "show what a checkpoint holds, and which tasks it loads for in each framework",
    "predict": "classify, tag, embed or complete texts, or answer questions, with a model",
    "parity": "check that a checkpoint gives the same numbers in PyTorch and TensorFlow",
    "convert": "write a checkpoint in another format, for the other framework",
    "evaluate": "measure a model on labelled rows, or compare it with another",
    "export": "write a model in a form that devices and servers run, and verify it",
    "serve": "serve models over HTTP",
    "bench": "measure which framework, engine and type is fastest for a model on this machine",
    "train": "train a model on your rows, in either framework",
    "distill": "teach a smaller model what a larger one knows",
    "push": "upload a model to the hub",
}

_FAILED = 2
_INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended
_NOBODY_READS = 141  # likewise for a pipe whose reader has gone


def main(argv: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - each way to end
    """Run a command line.

    Args:
        argv: Its arguments, without the program's name; None takes those of the process.

    Returns:
        The exit status.
    """
    # TensorFlow reads these when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    options: Mapping[str, str] = {}
    try:
        arguments = make_parser().parse_args(argv)
        options = arguments.options
        with _output.plain_warnings(options):
            status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse: after --help, or on wrong usage
        return end.code if isinstance(end.code, int) else _FAILED
    except DistilError as error:
        if isinstance(error.where, str):
            error.where = options.get(error.where, error.where)
        _output.print_error(_output.as_command(str(error), options))
        return _FAILED
    except Interrupted as interrupt:
        if str(interrupt):
            _output.print_error(str(interrupt))
        return 128 + interrupt.number
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return _NOBODY_READS
    except OSError as error:
        _drop_output()
        _output.print_error(f"a file cannot be read or written\n  found:    {error}")
        return _FAILED


def _drop_output() -> None:
    """Keep Python from trying to write the rest again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="distil",
        description="DistilBERT in PyTorch and TensorFlow: the same model, the same numbers.",
        epilog="`distil COMMAND --help` explains a command and gives examples.",
    )
    parser.add_argument("--version", action="version", version=f"distil {distil.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Command
    )
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, command=name)
    return parser


class _Command(argparse.ArgumentParser):
    """A command's parser, completed by the command's module when it is used.

    It takes options before, between and after texts; argparse by itself does not.
    """

    _inner = False

    def __init__(self, *, command: str, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self._command: str | None = command

    def complete(self) -> None:
        """Add the description, examples and arguments of the command's module, once."""
        if self._command is None:
            return
        module = importlib.import_module(f"distil.cli.{self._command}")
        self._command = None
        self.description = module.DESCRIPTION
        self.epilog = _output.examples_text(module.EXAMPLES)
        module.add_arguments(self)
        names = {one.dest: one.option_strings[-1] for one in self._actions if one.option_strings}
        names |= getattr(module, "ALIASES", {})
        self.set_defaults(run=module.run, options=names)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._inner:  # argparse's own way to do it comes back here
            return super().parse_known_args(args, namespace)
        self.complete()
        self._inner = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._inner = False
