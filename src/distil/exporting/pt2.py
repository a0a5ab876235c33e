"""PyTorch's own: a program of torch.export, which torch runs without this package.

In float16 it computes in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distil.arrays import Array
from distil.exporting.forms import STEMS
from distil.exporting.source import Source
from distil.frameworks import part


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write model.pt2, with the type in its name; gives the file."""
    import torch  # noqa: PLC0415 - other forms need none of it

    program = part("pt", "inference.exported").traced(source.model("pt", dtype), source.encoding)
    path = folder / f"{STEMS[dtype]}.pt2"
    torch.export.save(program, path)
    return path


class Program:
    """A file in PyTorch.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import torch  # noqa: PLC0415 - likewise

        self._torch = torch
        self._run = torch.export.load(path).module()

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        given = (self._torch.from_numpy(one) for one in (input_ids, attention_mask))
        with self._torch.no_grad():
            found = self._run(*given)
        return {name: value.numpy() for name, value in found.items()}


open_runtime = Program
