"""What it means that two models agree, and pairs of models to ask it of."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from distil.common.measurement import Measurement, differences
from support.models import CONFIGS, batch_for, build, config_for, measure, spread

FRAMEWORKS = ("pt", "tf")

# A gradient this small beside the model's largest is mathematically zero, and what is there
# is rounding: softmax does not change when k_lin.bias adds the same to every score, nor when
# qa_outputs.bias does.  (Seen: at most 1e-16 for those, at least 8e-4 for all others.)
NOTHING = {"float64": 1e-9, "float32": 1e-5}

# A model's gradients are taken to be of this size at least.  (Seen: 0.1 and more, unless all
# labels are ignored, or all choices are the same.)
LEAST = 1e-3


@dataclass(frozen=True)
class Tolerance:
    """How far apart things may be, relative to the largest magnitude in either array."""

    outputs: float
    gradients: float


# float64: what the design promises; the largest seen are 1.4e-14 and 1.1e-13.
# float32: outputs as promised (seen: 4e-6).  A gradient in float32 is off from its value in
# float64, which both frameworks agree on, by up to 3e-5 of its own scale in either of them:
# that is rounding, carried through every layer and back.  `test_outputs.py` requires it to be
# within 5e-5, so two of them are within 1e-4.
TOLERANCES = {
    "float64": Tolerance(outputs=1e-12, gradients=1e-12),
    "float32": Tolerance(outputs=1e-5, gradients=1e-4),
}


@cache
def pair(task, config="plain", dtype="float64"):
    """The same model in both frameworks, made once; whoever changes it makes their own."""
    config = config_for(task, **CONFIGS[config])
    weights = spread(config, task)
    return {name: build(name, config, task, weights, dtype=dtype) for name in FRAMEWORKS}


@cache
def batch(task, config="plain", mask="ragged"):
    """A batch for `pair(task, config)`; what is in it stays as it is.

    Masks are those of `batch_for`, and "every kind": one row of each.
    """
    config = config_for(task, **CONFIGS[config])
    if mask != "every kind":
        return batch_for(config, task, mask=mask)
    inputs = batch_for(config, task, mask="holes", rows=6)
    shown = inputs["attention_mask"]
    length = np.arange(shown.shape[-1])
    shown[1] = 1
    shown[2] = length < 5  # padding at the end, as usual
    shown[3] = length > 2  # at the start
    shown[4] = length == 3
    shown[5] = 0
    return inputs


def measure_both(models, inputs, **options):
    """A measurement by each framework, PyTorch's first."""
    return tuple(measure(name, models[name], inputs, **options) for name in FRAMEWORKS)


def scale_of(gradients):
    """The largest magnitude in a model's gradients."""
    return max((float(np.abs(value).max(initial=0)) for value in gradients.values()), default=0.0)


def gradient_differences(one, other, *, nothing=NOTHING["float64"]):
    """How far each gradient is apart: by its own scale, or the model's if it is nothing."""
    model = max(scale_of(one), scale_of(other), LEAST)
    for found in differences(one, other):
        own = found.scale > nothing * model or np.isnan(found.scale)
        yield found.name, found.relative if own else found.absolute / model


def disagreements(one, other, tolerance, *, nothing=NOTHING["float64"]):
    """Whatever two measurements differ in, in words; nothing if they agree.

    Kind comes first, then dtype and shape, and only where those agree are values compared.
    """
    problems = []
    for what in ("outputs", "gradients"):
        a, b = getattr(one, what), getattr(other, what)
        problems += [f"{name}: only one has it" for name in sorted(a.keys() ^ b.keys())]
        for name in (name for name in a if name in b):
            for trait in ("dtype", "shape"):
                left, right = getattr(a[name], trait), getattr(b[name], trait)
                if left != right:
                    problems.append(f"{name}: {trait} {left} and {right}")
    if problems:
        return problems
    apart = [
        (d.name, d.relative, tolerance.outputs) for d in differences(one.outputs, other.outputs)
    ]
    apart += [
        (f"gradient of {name}", distance, tolerance.gradients)
        for name, distance in gradient_differences(one.gradients, other.gradients, nothing=nothing)
    ]
    return [
        f"{name}: apart by {distance:.1e}, allowed {allowed:.0e}"
        for name, distance, allowed in apart
        if not distance <= allowed
    ]


def assert_agree(one, other, dtype="float64", *, nothing=None):
    """Two measurements agree as well as their dtype allows.

    Args:
        one: A measurement.
        other: The other.
        dtype: Of both.
        nothing: Gradients smaller than this, beside the model's, are judged by the model's.
    """
    assert one.outputs, "nothing was measured"
    assert all(value.dtype == dtype for value in one.outputs.values())
    nothing = NOTHING[dtype] if nothing is None else nothing
    assert not disagreements(one, other, TOLERANCES[dtype], nothing=nothing)


def without_attentions(measured):
    """A measurement as it would be if attention weights had not been asked for."""
    outputs = {n: v for n, v in measured.outputs.items() if not n.startswith("attentions")}
    return Measurement(outputs, measured.gradients)
