"""Memory that was freed is used again, without new pages from the kernel."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.pt,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's"),
]

CHILD = """
import resource
import torch
from distil.pt.training.freed_memory import keep_freed_memory

possible = keep_freed_memory()

def fill():
    torch.ones(25_000_000)  # 100 MB

fill()
fill()  # the first may have ended within a page of what is used next
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(possible, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**variables):
    """Whether it was possible, and how many pages 100 MB took five times."""
    clean = {n: x for n, x in os.environ.items() if not n.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=clean | variables, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    possible, count = done.stdout.split()
    return possible == "True", int(count)


def test_pages_are_kept():
    possible, count = faults()
    assert possible
    assert count < 1000  # else 122,000 pages of 4 kB


def test_what_the_user_has_chosen_stays():
    possible, _ = faults(MALLOC_ARENA_MAX="2")
    assert not possible
