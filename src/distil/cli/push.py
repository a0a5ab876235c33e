"""`distil push`: upload a model to the hub."""

from __future__ import annotations

import argparse
from typing import Any

from distil.cli import _output
from distil.cli._output import FAINT, GOOD

DESCRIPTION = """\
Upload the model in a folder to the hub: weights, configuration, tokenizer, card,
curves and recipe, as one commit.  The files are listed first.  Training data,
checkpoints and logs are not uploaded.

A repository that does not exist is created, private unless --public is given.  The
token is that of `hf auth login`, or of the variable HF_TOKEN."""
EXAMPLES = (
    ("what would be uploaded", "distil push ./reviews me/reviews --dry-run"),
    ("into a public repository", "distil push ./reviews me/reviews --public"),
    ("to a branch, for a program", "distil push ./reviews me/reviews --revision next --json"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of a model")
    parser.add_argument("name", metavar="NAME", help="name on the hub: owner/model")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--revision", metavar="BRANCH", help="branch to commit to (main)")
    parser.add_argument(
        "--message", default="Model trained by distil", help="message of the commit"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be uploaded")
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.publishing import push  # noqa: PLC0415 - after --help is out of the way

    def go(*, dry_run: bool) -> Any:
        return push(
            arguments.folder,
            arguments.name,
            public=arguments.public,
            revision=arguments.revision,
            message=arguments.message,
            dry_run=dry_run,
        )

    found = go(dry_run=True)
    if not arguments.json:
        _show(found)
    if not arguments.dry_run:
        found = go(dry_run=False)
    if arguments.json:
        _output.print_json(found.to_dict())
    elif found.url is not None:
        _output.print_line(f"{found.url}, commit {found.commit}", GOOD)
    return 0


def _show(found: Any) -> None:
    rows = [(name, _output.size(count)) for name, count in found.files.items()]
    title = f"to {found.name}, {_output.size(sum(found.files.values()))}"
    _output.print_table(("file", "size"), rows, right=("size",), title=title)
    if found.left_out:
        _output.print_line("Not uploaded: " + ", ".join(found.left_out), FAINT)
