"""Ranges are those of the inputs that the plain model's linear layers see."""

import pytest
import torch

from distil.common.inference.quantization import fingerprint, linear_layers
from distil.common.model import encoder_of
from distil.errors import InputError
from distil.pt.inference.calibration import calibrate
from support.models import ALL_TASKS, build, config_for
from support.sequences import sequences_of

pytestmark = pytest.mark.pt


@pytest.mark.parametrize("task", ALL_TASKS)
def test_lowest_and_highest_of_what_goes_in(task):
    model = build("pt", config_for(task), task, dtype="float32")
    sequences = sequences_of(model.config)
    inputs = {name: [] for name in linear_layers(model.config)}
    encoder = encoder_of(model)
    for name, seen in inputs.items():
        encoder.get_submodule(name).register_forward_pre_hook(
            lambda _, arguments, seen=seen: seen.append(arguments[0].flatten())
        )
    with torch.no_grad():
        for sequence in sequences:
            encoder(torch.tensor([sequence]))
    found = calibrate(model, sequences)
    assert set(found) == set(inputs)
    for name, seen in inputs.items():
        values = torch.cat(seen)
        assert found[name] == pytest.approx((float(values.min()), float(values.max())), rel=1e-4)


def test_nothing_to_calibrate_on():
    with pytest.raises(InputError, match="nothing to calibrate on"):
        calibrate(build("pt", config_for("base"), "base", dtype="float32"), [])


def test_the_fingerprint_is_the_encoders():
    config = config_for("base")
    base = build("pt", config, "base", dtype="float32")
    classifier = build("pt", config, "sequence-classification", dtype="float32")
    with torch.no_grad():
        classifier.distilbert.load_state_dict(base.state_dict())
        assert fingerprint(classifier.named_arrays()) == fingerprint(base.named_arrays())
        classifier.classifier.bias.add_(1)
        assert fingerprint(classifier.named_arrays()) == fingerprint(base.named_arrays())
        classifier.distilbert.transformer.layer[1].ffn.lin2.bias[0] += 1e-3
    assert fingerprint(classifier.named_arrays()) != fingerprint(base.named_arrays())
