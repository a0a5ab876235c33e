"""The encoder alone: hidden states of tokens, and one vector for a whole sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_choice
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import check_text

POOLINGS = ("mean", "cls")


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(base.Options):
    """Options of feature extraction.

    Attributes:
        return_tensors: Give a tensor of the model's framework (of an engine, an array) instead of
            nested lists.
    """

    return_tensors: bool = False


class FeatureExtractionPipeline(base.Pipeline):
    """Gives the last hidden states of texts: (1, s, d) each, as nested lists."""

    task = "base"
    options_type = FeatureOptions
    # A number takes 32 bytes in a list, and a token has hundreds of them.
    most_characters = 16_000

    def read(self, row: Any, where: str, options: FeatureOptions) -> str:
        """A row is a text."""
        return check_text(row, where)

    def encoder(self, options: FeatureOptions) -> Encoder:
        """Texts are cut."""
        return Encoder(self.tokenizer, self.limit_of(options))

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array],
        options: FeatureOptions,
    ) -> Iterator[Any]:  # fmt: skip
        """One at a time: lists of one text are large enough."""
        for states in scores:
            features = states[None]  # 1 s d
            yield self._tensor(features) if options.return_tensors else features.tolist()

    def _tensor(self, features: Array) -> Any:
        if self.model.framework == "pt":
            import torch  # noqa: PLC0415 - it is there, as the model is of PyTorch

            return torch.from_numpy(features)
        if self.model.framework == "tf":
            import tensorflow  # noqa: PLC0415 - likewise

            return tensorflow.convert_to_tensor(features)
        return features


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(base.Options):
    """Options of sentence embeddings.

    Attributes:
        pooling: "mean" of the last hidden states of all tokens, or that of "cls", the first.
        normalize: Scale vectors to length one, so that their products are cosines.
        stride: Read a long text in windows that share so many tokens; its vector is the mean
            of theirs, weighted by tokens.  None cuts it.
        as_array: Give one array (n, d) for a list of n texts, rather than a list of arrays.
    """

    pooling: str = "mean"
    normalize: bool = True
    stride: int | None = None
    as_array: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.pooling, POOLINGS, "pooling")


class SentenceEmbeddingsPipeline(base.Pipeline):
    """Gives a vector for each text: an array (d) of float32; of a list one (n, d) on request."""

    task = "base"
    options_type = EmbeddingOptions
    memory = 32_000_000
    tokens_at_once = 8192

    def read(self, row: Any, where: str, options: EmbeddingOptions) -> str:
        """A row is a text."""
        return check_text(row, where)

    def encoder(self, options: EmbeddingOptions) -> Callable[..., Encoded]:
        """Only first tokens are to be scored where no other is read."""
        encoder = Encoder(self.tokenizer, self.limit_of(options), stride=options.stride)
        if options.pooling == "mean":
            return encoder
        first = np.zeros(1, np.int64)

        def encode(items: Sequence[Any], places: Sequence[str]) -> Encoded:
            found = encoder(items, places)
            found.wanted = [first] * len(found.sequences)
            return found

        return encode

    def digest(self, options: EmbeddingOptions) -> Callable[[Array], Array]:
        """The mean of the states that were scored."""
        return lambda states: states.mean(axis=0, dtype=np.float64)

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array],
        options: EmbeddingOptions,
    ) -> Sequence[Array]:  # fmt: skip
        """All of a window at once."""
        if not scores:
            return []
        vectors = encoded.mean_by_row(np.stack(scores))  # n d
        if options.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            # A vector of zeros has no direction; it stays one.
            vectors = vectors / np.where(lengths == 0, 1, lengths)
        # Copies: one that is kept must not keep the others.
        return [vector.copy() for vector in vectors.astype(np.float32)]

    def _finish_many(
        self, results: Iterator[Any], options: EmbeddingOptions, *, listed: bool
    ) -> Any:
        if not options.as_array:
            return super()._finish_many(results, options, listed=listed)
        if not listed:
            raise InputError(
                "a stream does not end in one array", expected="a list of texts", found="a stream",
                where="as_array", fix="pass list(texts), or leave as_array out",
            )  # fmt: skip
        vectors = list(results)
        skipped = [number for number, vector in enumerate(vectors) if vector is None]
        if skipped:
            raise InputError(
                "one array has no place for rows that were skipped", found=f"row {skipped[0]}",
                where="as_array", fix="leave skip_bad_rows or as_array out",
            )  # fmt: skip
        return np.stack(vectors) if vectors else np.zeros((0, self.model.config.dim), np.float32)
