"""Processes that train together, in PyTorch: torchrun starts them, c10d connects them.

The twin of this file is `distil.tf.training.workers`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from distil.common.steps import workers
from distil.errors import ConfigError

# To tokenize a corpus takes the first worker hours, and the others wait for it.
_PATIENCE = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Workers(workers.Workers):
    """The workers as one of them sees them.

    Attributes:
        device: That this one computes on.
    """

    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    def gather(self, value: Any) -> list[Any]:
        """The values of all workers, in order of rank; it waits for all of them."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def summed(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Numbers by name, the same names in all workers, added up."""
        if self.size == 1:
            return dict(numbers)
        totals = torch.tensor(list(numbers.values()), dtype=torch.float64)
        distributed.all_reduce(totals)
        return dict(zip(numbers, totals.tolist(), strict=True))

    def parallel(self, module: nn.Module, *, unused: bool) -> nn.Module:
        """A module whose gradients are the means of those in all workers.

        Args:
            module: Returns what `backward` is called on.
            unused: Whether some of its weights get no gradient.
        """
        if self.size == 1:
            return module
        return DistributedDataParallel(
            module, broadcast_buffers=False, find_unused_parameters=unused
        )


@contextmanager
def open_workers(place: workers.Place) -> Iterator[Workers]:
    """Connect the processes, or join in where they are connected already.

    Each takes the GPU of its number on its machine, if there are any.

    Args:
        place: Of this process.

    Raises:
        ConfigError: There are fewer GPUs than processes on this machine.
        TrainingError: Another worker was lost.
    """
    device = torch.device("cpu")
    # Said outright, the number of threads is fixed: MKL would else take fewer when it sees fit,
    # and the last digits of its sums would depend on that.
    torch.set_num_threads(torch.get_num_threads())
    if torch.cuda.is_available():
        if place.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                "there are fewer GPUs than workers on this machine",
                expected=f"at most {torch.cuda.device_count()}",
                found=f"worker {place.local_rank}", where="torchrun --nproc-per-node",
            )  # fmt: skip
        device = torch.device("cuda", place.local_rank)
        torch.cuda.set_device(device)
    connects = place.size > 1 and not distributed.is_initialized()
    if connects:
        # Gradients go from GPU to GPU; what workers say to one another from CPU to CPU.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Workers(rank=place.rank, size=place.size, local_rank=place.local_rank, device=device)
    except RuntimeError as error:
        if not _tells_of_loss(error):
            raise
        raise workers.lost_another(place) from error
    finally:
        if connects:
            distributed.destroy_process_group()
            # Gloo's threads end when the last reference to the group goes.  An error's traceback
            # holds one in a cycle; left until the interpreter ends, they abort the process.
            gc.collect()


def _tells_of_loss(error: RuntimeError) -> bool:
    # NCCL's errors have a type of their own; gloo's name the file of its source.
    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)
