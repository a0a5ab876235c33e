"""When two measurements are the same: differences, their scales, and what is rounding.

A difference is judged relative to a scale: of an output the largest magnitude in it, of a
gradient the largest in its block, which is a module with its weight and bias, and the four
modules of an attention together.  Its own magnitude would not do for gradients that are rounding
and nothing else:

* Softmax does not notice a number that is added to all its inputs.  So the gradients of k_lin.bias,
  of a multiple-choice classifier's bias, of qa_outputs.bias and of the LayerNorm's bias below it
  are sums that come to zero.  Their terms, times the module's inputs, make up the gradient of the
  weight beside them.
* Where attention rests on one token alone, nothing that queries and keys change changes it.  Their
  gradients are differences that come to zero, of terms that the values' gradients are made of.

Rounding is small against those terms, and so is a difference that is no more than that.  A true
error cannot hide there: it would have to be smaller than the tolerance times the gradients
beside it.

Where the tolerances come from is said at `TOLERANCES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from distil.arrays import Array
from distil.common.measurement import Difference, Measurement, differences
from distil.common.spec import Weight
from distil.common.tasks import Task

# Suffix for outputs that were computed along with attention weights.
WITH_ATTENTION = " (with attention weights)"


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """The largest relative differences that are taken for rounding.

    Attributes:
        output: Of outputs where the mask shows a token.
        padding: Of outputs at padding.  No other position sees them, so training never shaped
            them, and layers may amplify what is rounded there.
        gradient: Of gradients, which pass through every layer twice.
    """

    output: float
    padding: float
    gradient: float


# Measured with a real 6-layer BERT on several dozens of texts, the largest over six tasks and all
# layers, and in units of the type's rounding error eps (1.2e-7 and 2.2e-16):
#
#              float32              float64              allowed
#   output     3.9e-6   33 eps      7.3e-15   33 eps     1e-5   1e-12
#   padding    2.6e-5  220 eps      5.8e-14  260 eps     1e-4   1e-12
#   gradient   1.3e-5  105 eps      1.6e-14   71 eps     1e-4   1e-12
#
# The counts of eps are alike in both types: rounding it is.  A product of n terms rounds by
# about sqrt(n) eps (28 for n = 768), attention scores of 20 to 30 carry as many eps into the
# weights, and the layers add up.  float64 is the sharp instrument: thousands of eps of room, and
# still far below any mistake that we know of (the smallest, a constant of GELU that is rounded
# to float32, makes 1e-9).
TOLERANCES = {
    "float32": Tolerances(output=1e-5, padding=1e-4, gradient=1e-4),
    "float64": Tolerances(output=1e-12, padding=1e-12, gradient=1e-12),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was compared.

    Attributes:
        part: "embeddings", "layer 0" and so on, then "head", or "output" where there is none.
        kind: "output", "padding" (an output where there is no text) or "gradient".
        name: The field of the output, or the canonical name of the weight.
        absolute: The largest difference.
        relative: That, divided by the scale.
        scale: The largest magnitude in the output, or in the gradients of the module.
        tolerance: For `relative`.
    """

    part: str
    kind: str
    name: str
    absolute: float
    relative: float
    scale: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance; never if it is not a number."""
        return self.relative <= self.tolerance

    @property
    def excess(self) -> float:
        """The difference in units of the tolerance, to tell which is worst."""
        if self.tolerance == 0:
            return 0.0 if self.relative == 0 else float("inf")
        return self.relative / self.tolerance


def judge(
    one: Measurement,
    other: Measurement,
    mask: Array,
    task: Task,
    weights: Mapping[str, Weight],
    tolerances: Tolerances,
) -> tuple[Finding, ...]:
    """All differences between two measurements, in the order of the model's parts.

    Args:
        one: Of the one framework.
        other: Of the other.
        mask: True where a row (b) has a token (s).
        task: Of the model.
        weights: Of the model, by canonical name.
        tolerances: What to hold them against.

    Returns:
        One finding for everything that either of them has.
    """
    found = [
        *_output_findings(one, other, mask, task, tolerances),
        *_gradient_findings(one, other, weights, tolerances.gradient),
    ]
    return tuple(sorted(found, key=lambda finding: _place(finding.part)))


def _output_findings(
    one: Measurement, other: Measurement, mask: Array, task: Task, tolerances: Tolerances
) -> Iterator[Finding]:
    """Differences of outputs; the arguments are those of `judge`."""
    by_token = [_split(measured.outputs, task) for measured in (one, other)]
    shown, padding = (
        [{name: _at(value, where) for name, value in outputs.items()} for outputs, _ in by_token]
        for where in (mask, ~mask)
    )
    whole = [outputs for _, outputs in by_token]
    for kind, tolerance, pair in (
        ("output", tolerances.output, shown),
        ("output", tolerances.output, whole),
        ("padding", tolerances.padding, [] if mask.all() else padding),
    ):
        for found in differences(*pair) if pair else ():
            yield _finding(_part_of_output(found.name), kind, found, tolerance)


def _gradient_findings(
    one: Measurement, other: Measurement, weights: Mapping[str, Weight], tolerance: float
) -> Iterator[Finding]:
    """Differences of gradients, each relative to the largest gradient of its block."""
    found = list(differences(one.gradients, other.gradients))
    scales: dict[str, float] = {}
    for difference in found:
        block = weights[difference.name].block
        # A scale that is not a number leaves the comparison to the infinite difference.
        scales[block] = float(np.nanmax([scales.get(block, 0.0), difference.scale]))
    for difference in found:
        weight = weights[difference.name]
        scale = scales[weight.block]
        # A gradient that only one of them has, in a block without others, has no scale.
        relative = difference.absolute / scale if scale else difference.relative
        judged = Difference(difference.name, difference.absolute, relative, scale)
        yield _finding(weight.part, "gradient", judged, tolerance)


def _finding(part: str, kind: str, found: Difference, tolerance: float) -> Finding:
    return Finding(
        part=part,
        kind=kind,
        name=found.name,
        absolute=found.absolute,
        relative=found.relative,
        scale=found.scale,
        tolerance=tolerance,
    )


def _split(outputs: Mapping[str, Array], task: Task) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs that have an axis of tokens, and those of a text or of the batch as a whole."""
    by_token: dict[str, Array] = {}
    whole: dict[str, Array] = {}
    for name, value in outputs.items():
        field = name.removesuffix(WITH_ATTENTION)
        of_texts = field == "loss" or (field == "logits" and not task.scores_tokens)
        (whole if of_texts else by_token)[name] = value
    return by_token, whole


def _at(value: Array, where: Array) -> Array:
    """The entries of an output (b s ...), or of attention weights (b h s s), at some tokens."""
    if value.ndim == 4:
        value = value.swapaxes(1, 2)  # b s h s: by the token that attends
    # A shape that does not fit is left as it is, to be found different from the other's.
    return value[where] if value.shape[:2] == where.shape else value


def _part_of_output(name: str) -> str:
    field, _, number = name.removesuffix(WITH_ATTENTION).partition(".")
    if field == "hidden_states":
        return f"layer {int(number) - 1}" if int(number) else "embeddings"
    if field == "attentions":
        return f"layer {number}"
    return "output" if field == "last_hidden_state" else "head"


def _place(part: str) -> int:
    """The position of a part in the model."""
    kind, _, number = part.partition(" ")
    return {"embeddings": -1, "layer": int(number or 0)}.get(kind, 2**31)
