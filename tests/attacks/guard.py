"""What is watched while an attack is loaded: files, sockets, processes, time and memory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# An attack takes milliseconds or for ever: so long a time is one that no busy machine needs.
SECONDS = 120
MEGABYTES = 300

# Events of Python that nothing which loads a checkpoint may cause.
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
              "pty.", "ctypes.dlopen", "urllib.", "ftplib.", "http.", "tempfile.", "os.remove",
              "os.rename", "os.mkdir", "os.link", "os.symlink", "shutil.")  # fmt: skip

# Where Python's own modules are, and what they are made from.
_SOURCES = tuple(
    {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, *filter(None, sys.path))}
    | {os.path.realpath(Path(__file__).parents[2] / "src")}
)
# Looked at by the frameworks themselves: how much memory and how many cores there are.
_OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/null", "/dev/urandom")

_watching: list[list[str]] = []
_inside: list[Path] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event.startswith(_FORBIDDEN):
        _watching[-1].append(f"{event} {arguments!r:.200}")
    elif event == "import" and str(arguments[0]).startswith("attack_"):
        _watching[-1].append(f"import of {arguments[0]}")
    elif event == "open" and not isinstance(arguments[0], int):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        own = Path(path).is_relative_to(_inside[-1]) or path.startswith(_OF_THE_SYSTEM)
        if not own and not path.startswith(_SOURCES):
            _watching[-1].append(f"open of {path}")


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Fail if the block opens a file outside of `folder`, hangs, or takes much memory."""
    found: list[str] = []
    old = signal.signal(signal.SIGALRM, _too_long)
    write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    _forget_peak()
    before, files = _memory("VmRSS"), _memory("RssFile")
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    _inside.append(folder.resolve())
    _watching.append(found)
    try:
        yield
    finally:
        _watching.pop()
        _inside.pop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        sys.dont_write_bytecode = write_bytecode
    assert not found, found
    # Pages of programs and libraries that the system had taken back are not the attack's.
    grown = _memory("VmHWM") - before - max(0, _memory("RssFile") - files)
    assert grown < MEGABYTES, f"took {grown} MB"
    assert not [name for name in sys.modules if name.startswith("attack_")]


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def _forget_peak() -> None:
    """Let the peak of memory start anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _memory(line: str) -> int:
    """A line of this process's status in megabytes, 0 where there is none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition(f"{line}:")[2].split()[0]) // 1024
