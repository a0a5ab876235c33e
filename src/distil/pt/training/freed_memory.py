"""Keeps memory that a step of training frees for the next one, where glibc would give it back.

Every step allocates the same large tensors.  glibc maps such a block afresh each time, and the
kernel has to clear its pages again: 12% of a step on long texts.  This holds for a whole process,
so that only programs of our own do it; others can set the variables MALLOC_MMAP_MAX_ and
MALLOC_TRIM_THRESHOLD_ (mallopt(3)).

TensorFlow gains nothing by it: this file has no twin.
"""

from __future__ import annotations

import ctypes
import os

# Parameters of mallopt, from malloc.h, and their values.
_MMAP_MAX = (-4, 0)  # no block has a mapping of its own
_TRIM_THRESHOLD = (-1, 2**31 - 1)
_TOP_PAD = (-2, 2**26)  # what the heap grows by beyond what is asked for

_CHOSEN_ELSEWHERE = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Do so from now on; gives whether it was possible.

    It is not where the C library is another, or where somebody has chosen how to allocate.
    """
    if any(name.startswith(_CHOSEN_ELSEWHERE) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return all(mallopt(*setting) == 1 for setting in (_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD))
