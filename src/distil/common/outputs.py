"""What a model returns: named fields that also read as a tuple and as a mapping.

Field names and order are those of transformers' outputs, so that code written for them
runs unchanged: ``output.logits``, ``output["logits"]``, ``output[0]``, ``loss, logits =
output.to_tuple()``, ``dict(output)``.  Fields that are None are left out of the tuple and
of the mapping.

They are dicts because others check for one: transformers' Trainer, accelerate, DataParallel
and torch.jit take outputs apart as dicts, and build new ones of the same type.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(eq=False)
class ModelOutput(OrderedDict[str, Any]):
    """Base of the outputs."""

    def __post_init__(self) -> None:
        names = [item.name for item in fields(self)]
        first: Any = getattr(self, names[0]) if names else None
        # Made from a mapping or from pairs, like a dict.
        if isinstance(first, Mapping) or hasattr(first, "__next__"):
            object.__setattr__(self, names[0], None)
            for name, value in dict(first).items():
                self[name] = value
            return
        for name in names:
            value = getattr(self, name)
            if value is not None:
                super().__setitem__(name, value)

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are not None, in order."""
        return tuple(self.values())

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in self and value is not None:
            super().__setitem__(name, value)


@dataclass(eq=False)
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


@dataclass(eq=False)
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


@dataclass(eq=False)
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
