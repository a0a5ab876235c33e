"""What tox does for this project beyond tox.ini: an option to keep no environment that has run.

tox finds this file by its name (https://tox.wiki, "Plugins", toxfile.py).
"""

import shutil

from tox.config.cli.parser import ToxParser
from tox.plugin import impl
from tox.tox_env.api import ToxEnv
from tox.tox_env.runner import RunToxEnv


@impl
def tox_add_option(parser: ToxParser) -> None:
    """Add `--discard`, to every command of tox, since a plugin cannot tell them apart."""
    parser.add_argument(
        "--discard",
        action="store_true",
        help="delete each environment once it has run: the largest takes 4 GB, all of them 14",
    )


@impl
def tox_env_teardown(tox_env: ToxEnv) -> None:
    """Delete an environment that tox is done with, also where installing or testing failed."""
    if isinstance(tox_env, RunToxEnv) and getattr(tox_env.options, "discard", False):
        shutil.rmtree(tox_env.env_dir, ignore_errors=True)
