"""The encoder of DistilBERT in PyTorch (Sanh et al. 2019, section 3).

Shapes: b batch, s length, d dim, h heads, e width of a head (d = h * e).
Modules are called as in the checkpoints.  The twin of this file is `distil.tf.encoder`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from distil.common.config import DistilBertConfig
from distil.common.outputs import EncoderOutput
from distil.common.spec import NORM_EPSILON
from distil.pt.activations import ACTIVATIONS
from distil.pt.dropout import Dropout, draws_cheaply


class Embeddings(nn.Module):
    """Word and position embeddings, normalised."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.dim, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.position_embeddings.weight.requires_grad_(not config.sinusoidal_pos_embds)
        self.LayerNorm = nn.LayerNorm(config.dim, eps=NORM_EPSILON)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Embed ids (b, s), or take their embeddings (b, s, d); gives (b, s, d)."""
        # PyTorch looks up 32- and 64-bit integers only.
        words = self.word_embeddings(input_ids.long()) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = torch.arange(words.shape[1], device=words.device)  # s
        embedded = words + self.position_embeddings(position_ids.long())  # b s d
        return self.dropout(self.LayerNorm(embedded))


class MultiHeadSelfAttention(nn.Module):
    """Attention of every token to every token that the mask shows."""

    def __init__(self, config: DistilBertConfig, layer: int) -> None:
        super().__init__()
        width = config.attention_width(layer)
        self.head_dim = config.head_dim
        self.q_lin = nn.Linear(config.dim, width)
        self.k_lin = nn.Linear(config.dim, width)
        self.v_lin = nn.Linear(config.dim, width)
        self.out_lin = nn.Linear(width, config.dim)
        self.dropout = Dropout(config.attention_dropout)

    def forward(
        self,
        x: Tensor,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool = False,
        queries: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            x: Hidden states (b, s, d).
            attention_mask: True where a token is shown (b, 1, 1, s), or None if all are.
            head_mask: Factor for the weights of each head (1, h, 1, 1), or None.
            output_attentions: Whether to give the weights.
            queries: The hidden states (b, q, d) that attend, where not all of `x` do.

        Returns:
            The new hidden states (b, q, d), and the weights (b, h, q, s) or None.
        """
        q = self.split_heads(self.q_lin(x if queries is None else queries))  # b h q e
        k = self.split_heads(self.k_lin(x))  # b h s e
        v = self.split_heads(self.v_lin(x))
        weights = None
        # The fused kernels have no dropout on a CPU, and what PyTorch does instead draws slowly;
        # few queries do not feel that.
        drops = self.training and self.dropout.p > 0 and draws_cheaply(x) and queries is None
        if output_attentions or head_mask is not None or drops:
            scores = q * self.head_dim**-0.5 @ k.transpose(2, 3)  # b h q s
            if attention_mask is not None:
                scores.masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
            weights = self.dropout(torch.softmax(scores, dim=-1))
            if head_mask is not None:
                weights = weights * head_mask
            context = weights.to(v.dtype) @ v
        else:
            rate = self.dropout.p if self.training else 0.0
            q, bias = hide(q, attention_mask)
            context = functional.scaled_dot_product_attention(q, k, v, bias, dropout_p=rate)
        return self.out_lin(self.join_heads(context)), weights if output_attentions else None

    def split_heads(self, x: Tensor) -> Tensor:
        """Take heads apart: b s (h e) to b h s e."""
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)

    def join_heads(self, x: Tensor) -> Tensor:
        """Put heads together: b h s e to b s (h e)."""
        return x.transpose(1, 2).flatten(2)


def hide(q: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Queries, and what to add to scores so that only tokens under True are seen.

    The dtype's minimum rather than -inf: where a whole row is hidden every score becomes
    that minimum, and the softmax is even instead of NaN.  The fused kernels' backward pass
    cannot take such a row (minimum + log of the sum is the minimum again), so where gradients
    are wanted its queries are 0 instead, which is even as well.  A trace is one for both.
    """
    if attention_mask is None:
        return q, None
    hidden = ~attention_mask
    if torch.is_grad_enabled() or torch.jit.is_tracing():
        empty = hidden.all(-1, keepdim=True)  # b 1 1 1
        q, hidden = q.masked_fill(empty, 0), hidden & ~empty
    bias = torch.zeros_like(hidden, dtype=q.dtype)
    return q, bias.masked_fill(hidden, torch.finfo(q.dtype).min)


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, at every position."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states (b, s, d) to (b, s, d)."""
        return self.dropout(self.lin2(self.activation(self.lin1(x))))


class TransformerBlock(nn.Module):
    """One layer; normalised after each residual sum, as in Vaswani et al. 2017."""

    def __init__(self, config: DistilBertConfig, layer: int) -> None:
        super().__init__()
        self.attention = MultiHeadSelfAttention(config, layer)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=NORM_EPSILON)
        self.ffn = FeedForward(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=NORM_EPSILON)

    def forward(
        self,
        x: Tensor,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool = False,
        queries: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Arguments and results are those of `MultiHeadSelfAttention.forward`."""
        attended, weights = self.attention(x, attention_mask, head_mask, output_attentions, queries)
        x = self.sa_layer_norm(attended + (x if queries is None else queries))  # b q d
        return self.output_layer_norm(self.ffn(x) + x), weights


class Transformer(nn.Module):
    """The layers, one after another."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            TransformerBlock(config, layer) for layer in range(config.n_layers)
        )
        self.gradient_checkpointing = False

    def forward(
        self,
        x: Tensor,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> EncoderOutput:
        """Run every layer.

        Args:
            x: Embeddings (b, s, d).
            attention_mask: Other than 0 where a token is shown (b, s), or None if all are.
            head_mask: Factor for each head, (h) or (layers, h), or None.
            output_attentions: Whether to give the attention weights of every layer.
            output_hidden_states: Whether to give the hidden states of every layer.
        """
        if attention_mask is not None:
            attention_mask = (attention_mask != 0)[:, None, None, :]  # b 1 1 s
        head_masks = [None] * len(self.layer)
        if head_mask is not None:
            layered = head_mask.to(x.dtype).expand(len(self.layer), -1)  # layers h
            head_masks = list(layered[:, None, :, None, None])  # 1 h 1 1 each
        hidden_states, attentions = [x], []
        for layer, factors in zip(self.layer, head_masks, strict=True):
            inputs = (x, attention_mask, factors, output_attentions)
            if self.gradient_checkpointing and self.training:
                x, weights = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                x, weights = layer(*inputs)
            hidden_states.append(x)
            attentions.append(weights)
        return EncoderOutput(
            last_hidden_state=x,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
