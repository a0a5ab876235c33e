"""What a model returns: named fields that also read as a tuple and as a mapping.

Field names and order are those of transformers' outputs, so that code written for them
runs unchanged: ``output.logits``, ``output["logits"]``, ``output[0]``, ``loss, logits =
output.to_tuple()``, ``dict(output)``.  Fields that are None are left out of the tuple and
of the mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class ModelOutput:
    """Base of the outputs."""

    def _present(self) -> dict[str, Any]:
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: value for name, value in values if value is not None}

    def keys(self) -> list[str]:
        """Names of the fields that are not None, in order."""
        return list(self._present())

    def values(self) -> list[Any]:
        """The fields that are not None, in order."""
        return list(self._present().values())

    def items(self) -> list[tuple[str, Any]]:
        """Names and values of the fields that are not None, in order."""
        return list(self._present().items())

    def get(self, name: str, default: Any = None) -> Any:
        """The field `name`, or `default` where there is none or it is None."""
        return self._present().get(name, default)

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are not None, in order."""
        return tuple(self._present().values())

    def __getitem__(self, key: str | int | slice) -> Any:
        return self._present()[key] if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def __contains__(self, name: object) -> bool:
        return name in self._present()


@dataclass
class EncoderOutput(ModelOutput):
    """Output of the base model.

    Attributes:
        last_hidden_state: (batch, length, dim)
        hidden_states: n_layers + 1 tensors (batch, length, dim), the first that of the
            embeddings, or None if they were not asked for.
        attentions: n_layers tensors (batch, heads, length, length), or None likewise.
    """

    last_hidden_state: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class HeadOutput(ModelOutput):
    """Output of every head but question answering.

    Attributes:
        loss: A scalar, or None without labels.
        logits: Masked LM (batch, length, vocab_size); token classification (batch, length,
            labels); sequence classification (batch, labels); multiple choice (batch, choices).
        hidden_states: As in `EncoderOutput`.
        attentions: As in `EncoderOutput`.
    """

    loss: Any = None
    logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class QuestionAnsweringOutput(ModelOutput):
    """Output of the question-answering head.

    Attributes:
        loss: A scalar, or None without positions.
        start_logits: (batch, length)
        end_logits: (batch, length)
        hidden_states: As in `EncoderOutput`.
        attentions: As in `EncoderOutput`.
    """

    loss: Any = None
    start_logits: Any = None
    end_logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


OUTPUTS = (EncoderOutput, HeadOutput, QuestionAnsweringOutput)
