"""The encoder alone: hidden states of tokens, and one vector for a whole sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.sentences import POOLINGS, check_prompt
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_choice
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import check_text


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


# One vector (d) of the last hidden states (t d) of a sequence.
_POOLED: Mapping[str, Callable[[Array], Array]] = {
    "mean": lambda states: states.mean(axis=0, dtype=np.float64),
    "cls": lambda states: states[0].astype(np.float64),
    "max": lambda states: states.max(axis=0).astype(np.float64),
    "mean_sqrt_len": lambda states: states.sum(axis=0, dtype=np.float64) / sqrt(len(states)),
}


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(base.Options):
    """Options of sentence embeddings; a folder of sentence-transformers has its own defaults.

    Attributes:
        pooling: "mean" of the last hidden states of all tokens, "cls" (that of the first), "max" of
            each number, or "mean_sqrt_len" (their sum over the square root of their number).
        normalize: Scale vectors to length one, so that their products are cosines.
        stride: Read a long text in windows that share so many tokens; its vector is the mean
            of theirs, weighted by tokens.  None cuts it.
        as_array: Give one array (n, d) for a list of n texts, rather than a list of arrays.
        lowercase: Read texts in lower case, whatever the tokenizer does.
        prompts: Texts that may stand before what is embedded, by name.
        prompt_name: The one that does; None for none.
        prompt: What does, in its own words, instead.
    """

    pooling: str = "mean"
    normalize: bool = True
    stride: int | None = None
    as_array: bool = False
    lowercase: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    prompt_name: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.pooling, POOLINGS, "pooling")
        check_prompt(self.prompt_name, self.prompts)

    @property
    def begin(self) -> str:
        """What stands before every text."""
        named = "" if self.prompt_name is None else self.prompts[self.prompt_name]
        return named if self.prompt is None else self.prompt


class SentenceEmbeddingsPipeline(base.Pipeline):
    """Gives a vector for each text: an array (d) of float32; of a list one (n, d) on request."""

    task = "base"
    options_type = EmbeddingOptions
    memory = 32_000_000
    tokens_at_once = 8192

    def read(self, row: Any, where: str, options: EmbeddingOptions) -> str:
        """A row is a text."""
        text = options.begin + check_text(row, where)
        return text.lower() if options.lowercase else text

    def encoder(self, options: EmbeddingOptions) -> Callable[..., Encoded]:
        """Only first tokens are to be scored where no other is read."""
        encoder = Encoder(self.tokenizer, self.limit_of(options), stride=options.stride)
        if options.pooling != "cls":
            return encoder
        first = np.zeros(1, np.int64)

        def encode(items: Sequence[Any], places: Sequence[str]) -> Encoded:
            found = encoder(items, places)
            found.wanted = [first] * len(found.sequences)
            return found

        return encode

    def digest(self, options: EmbeddingOptions) -> Callable[[Array], Array]:
        """The pooled states."""
        return _POOLED[options.pooling]

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
