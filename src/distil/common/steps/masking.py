"""Which tokens a masked language model has to predict (Devlin et al. 2018; Sanh et al. 2019).

Drawn with numpy, so that both frameworks predict the same tokens, and drawn again for every batch
from its position in the training: the seed, the epoch and the number of the batch.

Shapes: b rows, s length, m tokens to be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from distil.arrays import Array
from distil.common.steps.batching import Batch
from distil.common.steps.recipe_data import MaskingSection

# The argument that says where the labels are; labels and places are lists (m).
PLACES = "places"

_COUNTED_AT_ONCE = 2**24


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are drawn and masked.

    Attributes:
        section: Of the recipe.
        weights: How likely each token of the vocabulary is to be drawn, relative to others.
        counts: How often each occurs in the training data, at least 1.
        mask: The token [MASK].
    """

    section: MaskingSection
    weights: Array
    counts: Array
    mask: int

    @classmethod
    def over(
        cls,
        ids: Array,
        section: MaskingSection,
        *,
        vocabulary: int,
        mask: int,
        special: Sequence[int],
    ) -> Masking:
        """Masking for some data.

        Rare tokens are drawn more often than their share of the text, as in XLM and DistilBERT.

        Args:
            ids: All tokens of the data.
            section: Of the recipe.
            vocabulary: Number of tokens there are.
            mask: The token [MASK].
            special: Tokens that are never drawn.
        """
        counts = np.maximum(token_counts(ids, vocabulary), 1.0)
        weights = counts**-section.smoothing
        weights[list(special)] = 0
        return cls(section=section, weights=weights, counts=counts, mask=mask)

    def unigram_losses(self, labels: Array) -> Array:
        """The losses (m) of a model that knows only how often each token (m) is masked.

        It gives a token the probability that it has among the masked tokens of the training data,
        so that the mean is near their entropy: what a model that reads the text has to beat.
        """
        shares = self.weights * self.counts
        losses: Array = np.log(shares.sum()) - np.log(shares[labels])
        return losses

    def by(self, section: MaskingSection | None) -> Masking:
        """Masking of the same data by other settings; None leaves it as it is."""
        if section is None:
            return self
        weights = np.where(self.weights == 0, 0.0, self.counts**-section.smoothing)
        return replace(self, section=section, weights=weights)

    def apply(self, batch: Batch, place: Sequence[int]) -> Batch:
        """Mask tokens of a batch.

        Args:
            batch: With `input_ids` (b, s) alone, or with their mask.
            place: What the draw depends on: seed, epoch, number of the batch.

        Returns:
            The batch with `labels` (m), the tokens that were there, and `places` (m), where they
            are in the flat `input_ids` (b * s), in ascending order.
        """
        random = np.random.default_rng(list(place))
        ids = batch.inputs["input_ids"]
        flat = ids.ravel().copy()
        weights = self.weights[flat]
        if "attention_mask" in batch.inputs:
            weights = weights * batch.inputs["attention_mask"].ravel()
        count = min(math.ceil(self.section.share * batch.tokens), int((weights > 0).sum()))
        places = np.sort(draw(weights, count, random))
        labels = flat[places]
        kind = random.random(count)
        hidden = kind < self.section.word_mask
        anything = kind >= self.section.word_mask + self.section.word_keep
        flat[places[hidden]] = self.mask
        flat[places[anything]] = random.integers(0, len(self.weights), int(anything.sum()))
        inputs: Mapping[str, Array] = {
            **batch.inputs,
            "input_ids": flat.reshape(ids.shape),
            "labels": labels,
            PLACES: places.astype(np.int32),
        }
        return replace(batch, inputs=inputs, counted=count)


def draw(weights: Array, count: int, random: np.random.Generator) -> Array:
    """Draw `count` places without replacement, each with probability in proportion to its weight.

    The smallest of exponential variables divided by the weights (Efraimidis and Spirakis 2006):
    one pass, where numpy's own choice would take one for each place.
    """
    with np.errstate(divide="ignore"):
        keys = random.exponential(size=len(weights)) / weights
    return np.argpartition(keys, count - 1)[:count] if count else np.zeros(0, np.int64)


def token_counts(ids: Array, vocabulary: int) -> Array:
    """How often each token of a vocabulary occurs (v), int64.

    Args:
        ids: Token ids (t).
        vocabulary: Number of tokens there are, v.
    """
    counts = np.zeros(vocabulary, np.int64)
    # Piece by piece: the ids may be mapped from a file that is larger than memory.
    for begin in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[begin : begin + _COUNTED_AT_ONCE], minlength=vocabulary)
    return counts
