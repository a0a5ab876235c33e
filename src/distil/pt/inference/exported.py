"""A model as files of other runtimes hold it: two tensors in, a table of tensors out.

The twin of this file is `distil.tf.inference.exported`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from distil.common.inference.quantization import quantized
from distil.common.sentences import SentenceEncoding
from distil.common.tasks import TASKS
from distil.pt.encoder import Embeddings
from distil.pt.model import DistilBertPreTrainedModel


class ExportedModel(nn.Module):
    """A model, or with an encoding what embeds texts with it.

    Args:
        model: Of any task, ready for inference; of the base model for an encoding.
        encoding: How texts become vectors; None gives the scores of the task.
    """

    def __init__(self, model: DistilBertPreTrainedModel, encoding: SentenceEncoding | None) -> None:
        super().__init__()
        self.model, self.encoding = model, encoding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Outputs by name, in float32, of token ids and mask (b, s)."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        if self.encoding is None:
            return {name: output[name].float() for name in TASKS[self.model.task].scores}
        states = output.last_hidden_state.float()  # b s d
        return {"sentence_embedding": self.embedded(states, attention_mask[..., None] != 0)}

    def embedded(self, states: Tensor, shown: Tensor) -> Tensor:
        """One vector (b d) of the states (b s d) of each text, where a mask (b s 1) shows them."""
        pooling = self.encoding.pooling
        if pooling == "cls":
            vectors = states[:, 0]
        elif pooling == "max":
            vectors = states.masked_fill(~shown, torch.finfo(states.dtype).min).amax(1)
        else:
            counts = shown.sum(1).clamp(min=1).to(states.dtype)
            divisor = counts.sqrt() if pooling == "mean_sqrt_len" else counts
            vectors = (states * shown).sum(1) / divisor
        if not self.encoding.normalize:
            return vectors
        return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


class ByteTable(nn.Module):
    """Embeddings in bytes, with one factor for each row.

    Args:
        table: The layer whose place it takes.
    """

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        values, factors = quantized(table.weight.detach().numpy())
        self.register_buffer("values", torch.from_numpy(values))
        self.register_buffer("factors", torch.from_numpy(factors))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids of any shape to embeddings, with an axis more."""
        rows, factors = (functional.embedding(ids, one) for one in (self.values, self.factors))
        return rows.to(factors.dtype) * factors


def store_embeddings_in_bytes(model: DistilBertPreTrainedModel) -> None:
    """Replace a model's tables of embeddings; a projection tied to one keeps its matrix."""
    for module in list(model.modules()):
        if isinstance(module, Embeddings):
            module.word_embeddings = ByteTable(module.word_embeddings)
            module.position_embeddings = ByteTable(module.position_embeddings)


def traced(
    model: DistilBertPreTrainedModel,
    encoding: SentenceEncoding | None,
    *,
    most_rows: int | None = None,
    quantize: Callable[[nn.Module, tuple[Tensor, Tensor]], nn.Module] | None = None,
) -> torch.export.ExportedProgram:
    """A model as a graph that takes batches of any size.

    Args:
        model: See `ExportedModel`.
        encoding: Likewise.
        most_rows: The most rows, where a runtime plans its memory by them.
        quantize: Makes another module of the graph and an example of its inputs.
    """
    dim = torch.export.Dim
    rows = dim("batch_size", min=1, max=most_rows)
    length = dim("sequence_length", min=1, max=model.config.max_position_embeddings)
    has_choices = TASKS[model.task].has_choices
    axes = {0: rows, 1: length}
    if has_choices:
        axes = {0: rows, 1: dim("num_choices", min=1, max=most_rows), 2: length}
    # Sizes of an example that are 1, or equal, would be taken for a rule; and so would one tensor
    # that is given twice: its other place would be left out of the graph.
    size = (2, 3, 5) if has_choices else (2, 5)
    example = torch.ones(size, dtype=torch.int64), torch.ones(size, dtype=torch.int64)
    shapes = {"input_ids": axes, "attention_mask": axes}
    export = partial(torch.export.export, args=example, dynamic_shapes=shapes, strict=False)
    with torch.no_grad():
        program = export(ExportedModel(model, encoding).eval())
        return program if quantize is None else export(quantize(program.module(), example))
