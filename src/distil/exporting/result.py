"""What `export` gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distil.exporting.proof import Proof


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export.

    Attributes:
        name: Of the checkpoint.
        folder: That was written.
        form: As in `distil.exporting.FORMS`.
        dtype: Of the export.
        task: That it is for.
        pooling: Of sentence embeddings, else None.
        files: Size ("bytes") and "sha256" of the model's files, by their path in the folder.
        seconds: That writing took.
        versions: Of distil and of what wrote it.
        proof: What the proof found; None if none was asked for.
    """

    name: str
    folder: str
    form: str
    dtype: str
    task: str
    pooling: str | None
    files: Mapping[str, Mapping[str, Any]]
    seconds: float
    versions: Mapping[str, str]
    proof: Proof | None

    @property
    def bytes(self) -> int:
        """Size of the model's files."""
        return sum(one["bytes"] for one in self.files.values())

    @property
    def proven(self) -> bool:
        """Whether its runtime gives what the plain model gives."""
        return self.proof is not None and self.proof.holds

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers; None for what is not finite."""
        table = asdict(self) | {"bytes": self.bytes, "proven": self.proven}
        found: dict[str, Any] = _finite(table)
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
