"""Which tensor of a checkpoint is which weight of a model, by exact names.

The tables of `distil.common.spec` say under which names each weight may be stored; a tensor is
taken if it has one of these names and exactly the shape that the config implies.  Nothing is
reshaped, and no pattern is applied to names from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.checkpoints.load_report import Finding, LoadReport
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.spec import Weight
from distil.common.stored_names import Naming, naming_of
from distil.errors import CheckpointError, WeightsError, shorten
from distil.storage.tensors import FLOATS, Checkpoint, StoredTensor, not_finite, same_values

# Prefixes that DistributedDataParallel and torch.compile add to the names of what they wrap.
_WRAPPERS = ("module.", "_orig_mod.")
_WRAPPED_AT_MOST = len(_WRAPPERS)  # each around the other, at most


@dataclass(frozen=True)
class Source:
    """Where a weight of the model comes from.

    Attributes:
        name: Canonical name of the weight.
        tensor: The stored tensor.
        transposed: Whether it is stored with its axes swapped.
        added: A stored tensor whose row 0 is added to every row: BERT's token types.
    """

    name: str
    tensor: StoredTensor
    transposed: bool = False
    added: StoredTensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in PyTorch's orientation."""
        return self.tensor.shape[::-1] if self.transposed else self.tensor.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored values."""
        return self.tensor.dtype

    def read(
        self,
        *,
        dtype: np.dtype[Any] | None = None,
        check_finite: bool = False,
        mapped: bool = True,
    ) -> Array:
        """The values, in PyTorch's orientation.

        A sum is computed in float64 and rounded once, to the requested type.

        Args:
            dtype: Type to return them in; None keeps the stored one.
            check_finite: Refuse infinity and NaN.
            mapped: Give a view of the file's memory map (a transposed one for a TensorFlow
                kernel) where nothing has to be computed; False always gives a copy, of which
                the map keeps nothing in memory.

        Raises:
            CheckpointError: A value is not finite, and that was asked.
        """
        stored = values = self.tensor.read()
        if check_finite:
            _check_finite(self.name, self.tensor, values)
        if self.added is not None:
            row = self.added.read()[0]
            if check_finite:
                _check_finite(self.added.name, self.added, row)
            dtype = values.dtype if dtype is None else dtype
            values = values.astype(np.float64) + row.astype(np.float64)
        if dtype is not None:
            values = values.astype(dtype, copy=False)
        if self.transposed:
            values = values.T
        if not mapped:
            values = np.asarray(values, order="C")
            if np.may_share_memory(values, stored):
                values = values.copy()
        if not np.may_share_memory(values, stored):
            self.tensor.release()
        return values


@dataclass(frozen=True)
class Match:
    """A checkpoint matched with the weights of a model.

    Attributes:
        sources: Where each weight comes from, by canonical name, in the model's order. Without
            those that the report calls missing or mismatched, and without tied ones.
        report: What is missing, left over or of another shape.
    """

    sources: Mapping[str, Source]
    report: LoadReport


def match_weights(checkpoint: Checkpoint, config: DistilBertConfig, task: str) -> Match:
    """Find every weight of the model for `task` in `checkpoint`.

    A checkpoint without the head, or with another one, matches too; so does a BERT, whose
    token-type row 0 is added to its positions (see `distil.common.bert`).

    Args:
        checkpoint: The open checkpoint. Of a tied weight that it holds all the same, the
            values are compared with those it is tied to; nothing else is read.
        config: The architecture.
        task: A key of `distil.common.spec.HEADS`.

    Returns:
        The sources of the weights, and a report to `check` before using them.

    Raises:
        CheckpointError: Two tensors have equivalent names.
        WeightsError: A weight is not stored as floating-point numbers, or a BERT's token types
            cannot be added to its positions.
    """
    stored = _unwrapped(checkpoint)
    table = spec.weights(config, task)
    naming = naming_of(stored.keys(), table.values(), checkpoint.layout)
    sources: dict[str, Source] = {}
    missing: list[Finding] = []
    mismatched: list[Finding] = []
    used = set(naming.tolerated())
    for weight in table.values():
        names = [name for name in naming.names(weight) if name in stored]
        if weight.tied_to is not None:
            origin = sources.get(weight.tied_to)
            if names and origin is not None and same_values(stored[names[0]], origin.tensor):
                used.update(names)
            continue
        if not names:
            missing.append(Finding(weight.name, weight.in_encoder, expected=weight.shape))
            continue
        used.update(names)
        source = _source(weight, stored[names[0]], naming, stored, used)
        if source.shape == weight.shape:
            sources[weight.name] = source
        else:
            mismatched.append(
                Finding(weight.name, weight.in_encoder, expected=weight.shape, found=source.shape)
            )
    unexpected = [
        Finding(name, in_encoder=False, found=tensor.shape)
        for name, tensor in stored.items()
        if name not in used
    ]
    report = LoadReport(
        matched=tuple(sources),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        mismatched=tuple(mismatched),
        encoder_found=any(table[name].in_encoder for name in sources)
        or any(finding.in_encoder for finding in mismatched),
        files=tuple(map(str, checkpoint.files)),
    )
    return Match(sources, report)


def _source(
    weight: Weight,
    tensor: StoredTensor,
    naming: Naming,
    stored: Mapping[str, StoredTensor],
    used: set[str],
) -> Source:
    """`tensor` as the source of `weight`."""
    _check_float(tensor)
    added = None
    if naming.family == "bert" and weight.row.name == spec.POSITION_EMBEDDINGS:
        added = stored.get(naming.token_types())
        if added is None:
            raise WeightsError(
                "this BERT has no token types to add to its positions",
                expected=naming.token_types(), where=tensor.file,
            )  # fmt: skip
        used.add(naming.token_types())
        _check_token_types(added, tensor)
    transposed = weight.stored_leaf(naming.layout).transposed
    return Source(weight.name, tensor, transposed, added)


def _unwrapped(checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """The tensors by name, without what wrappers of a module put before the names."""
    stored: dict[str, StoredTensor] = {}
    for name, tensor in checkpoint.tensors.items():
        own = name
        for _ in range(_WRAPPED_AT_MOST):
            for wrapper in _WRAPPERS:
                own = own.removeprefix(wrapper)
        if own in stored:
            raise CheckpointError(
                "two weights have the same name without the prefix of their wrapper",
                found=f"{shorten(stored[own].name)} and {shorten(name)}", where=tensor.file,
            )  # fmt: skip
        stored[own] = tensor
    return stored


def _check_float(tensor: StoredTensor) -> None:
    if tensor.dtype not in FLOATS:
        raise WeightsError(
            f"{shorten(tensor.name)} does not hold floating-point numbers",
            expected=", ".join(dtype.name for dtype in FLOATS),
            found=tensor.dtype.name, where=tensor.file,
        )  # fmt: skip


def _check_token_types(token_types: StoredTensor, positions: StoredTensor) -> None:
    """Refuse a token-type table without a row that could be added to a position."""
    _check_float(token_types)
    shape = token_types.shape
    if len(shape) != 2 or shape[0] < 1 or shape[1:] != positions.shape[1:]:
        raise WeightsError(
            f"{shorten(token_types.name)} cannot be added to the positions",
            expected=f"(token types, {', '.join(map(str, positions.shape[1:]))})",
            found=shape, where=token_types.file,
        )  # fmt: skip


def _check_finite(name: str, tensor: StoredTensor, values: Array) -> None:
    found = not_finite(values)
    if found is not None:
        raise WeightsError(
            f"{shorten(name)} holds values that are not finite", found=found, where=tensor.file,
            fix="the checkpoint is damaged, or its training diverged",
        )  # fmt: skip
