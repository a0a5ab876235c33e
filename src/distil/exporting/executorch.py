"""ExecuTorch: one .pte for phones and small devices, computed by XNNPACK.

Memory is planned when the file is written, for a fixed maximum of rows of the model's full length.
int8 stores matrices in bytes and quantizes activations in each call, so there is nothing to
calibrate.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.arrays import Array
from distil.exporting.forms import STEMS
from distil.exporting.source import Source
from distil.frameworks import part

_MOST_ROWS = 8
_NAMES = "output_names"  # a second method, which returns the names separated by spaces


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write model.pte, with the type in its name; gives the file."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # noqa: PLC0415
        XnnpackPartitioner,
    )
    from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415

    exported, model = part("pt", "inference.exported"), source.model("pt")
    if dtype == "int8":  # the quantizer does not touch lookups
        exported.store_embeddings_in_bytes(model)
    program = exported.traced(
        model, source.encoding, most_rows=_MOST_ROWS,
        quantize=_in_bytes if dtype == "int8" else None,
    )  # fmt: skip
    lowered = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()],
        constant_methods={_NAMES: " ".join(source.outputs)},
    )  # fmt: skip
    path = folder / f"{STEMS[dtype]}.pte"
    path.write_bytes(lowered.to_executorch().buffer)
    return path


def _in_bytes(module: Any, example: tuple[Any, ...]) -> Any:
    """A graph whose linear layers XNNPACK computes in int8."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # noqa: PLC0415
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import (  # noqa: PLC0415 - for int8 alone
        convert_pt2e,
        prepare_pt2e,
    )

    options = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(module, XNNPACKQuantizer().set_global(options))
    prepared(*example)  # the observers see the weights
    return convert_pt2e(prepared)


class ExecuTorch:
    """A file in ExecuTorch's own runtime.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import torch  # noqa: PLC0415 - other forms need none of it
        from executorch.runtime import Runtime  # noqa: PLC0415

        self._to_tensor = torch.from_numpy
        self._program = Runtime.get().load_program(path)
        self._method = self._program.load_method("forward")
        [names] = self._program.load_method(_NAMES).execute([])
        self._names = names.split()

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        found = self._method.execute([self._to_tensor(one) for one in (input_ids, attention_mask)])
        return {name: value.numpy() for name, value in zip(self._names, found, strict=True)}


open_runtime = ExecuTorch
