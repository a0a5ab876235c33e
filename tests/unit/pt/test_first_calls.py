"""MKL chooses its code for a function before several threads call it.

What goes wrong else happens in one process of a thousand, so the calls themselves are looked at.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.pt

CHILD = """
import torch

def listening(function):
    def call(values):
        print(function.__name__, values.dtype, values.numel())
        return function(values)
    return call

torch.exp, torch.tanh = listening(torch.exp), listening(torch.tanh)
import distil.pt
"""


def test_one_element_when_the_package_is_imported():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        f"{name} torch.{dtype} 1" for name in ("exp", "tanh") for dtype in ("float32", "float64")
    ]
