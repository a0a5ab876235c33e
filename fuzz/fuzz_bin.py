"""Fuzz the reader of PyTorch's .bin files, in the current form and the older one."""

import io

from harness import fuzz
from weights import files_of, read_weights

NAME = "pytorch_model.bin"


def older(content: bytes) -> bytes:
    """The same weights as torch.save wrote them before version 1.6."""
    import torch  # noqa: PLC0415 - slow, and only the seeds need it

    state = torch.load(io.BytesIO(content), weights_only=True)
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


if __name__ == "__main__":
    new = list(files_of(NAME, format="bin"))
    fuzz(NAME, [*new, *map(older, new)], read_weights)
