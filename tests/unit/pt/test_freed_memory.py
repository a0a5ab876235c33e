"""Memory that was freed stays with the process.

What glibc says of itself is tested, not what the kernel does: how many pages it takes back depends
on whatever else the machine is doing.
"""

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from distil.cli import main
from distil.pt.training.freed_memory import keep_freed_memory
from support.training import make_recipe

pytestmark = pytest.mark.pt

VERSION = tuple(map(int, platform.libc_ver()[1].split("."))) if platform.libc_ver()[0] else ()
CHOSEN = ("MALLOC_", "GLIBC_", "LD_PRELOAD")

CHILD = """
import ctypes
from distil.pt.training.freed_memory import keep_freed_memory

class Statistics(ctypes.Structure):  # mallinfo(3)
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Statistics
libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None

possible = keep_freed_memory()
before = libc.mallinfo2().hblks
block = libc.malloc(100_000_000)
mapped = libc.mallinfo2().hblks - before
libc.free(block)
print(possible, mapped, libc.mallinfo2().arena > 100_000_000)
"""


class Library:
    """A C library that notes what mallopt is called with."""

    def __init__(self, answer=1):
        self.settings, self.answer = [], answer

    def mallopt(self, parameter, value):
        self.settings.append((parameter, value))
        return self.answer


@pytest.fixture
def library(monkeypatch):
    for name in [name for name in os.environ if name.startswith(CHOSEN)]:
        monkeypatch.delenv(name)
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return library


def test_what_malloc_is_told(library):
    assert keep_freed_memory()
    # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h: no mapping for any block, no memory
    # given back at the end of the heap, 64 MiB more than is asked for.
    assert sorted(library.settings) == [(-4, 0), (-2, 2**26), (-1, 2**31 - 1)]


def test_what_malloc_refuses_is_not_possible(library):
    library.answer = 0
    assert not keep_freed_memory()


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_the_user_has_chosen_stays(library, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    assert not keep_freed_memory()
    assert library.settings == []


@pytest.mark.parametrize("library", [object()], ids=["no mallopt"])
def test_another_c_library(library, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert not keep_freed_memory()


@pytest.mark.skipif(VERSION < (2, 33), reason="glibc's mallinfo2")
def test_a_large_block_is_in_the_heap_and_stays_there():
    clean = {name: x for name, x in os.environ.items() if not name.startswith(CHOSEN)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "0", "True"]


@pytest.mark.parametrize("command", ["train", "distill"])
def test_commands_of_our_own_keep_it(command, tmp_path, monkeypatch, capsys):
    kept = []
    monkeypatch.setattr("distil.pt.training.freed_memory.keep_freed_memory", lambda: kept.append(1))
    recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"data.train": "missing.tsv"})
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe.to_table()))
    assert main([command, str(path)]) == 2
    assert kept == [1]
