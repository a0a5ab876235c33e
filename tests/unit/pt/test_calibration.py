"""Ranges are those of the inputs that the plain model's linear layers see."""

import pytest
import torch

from distil.common.inference.ranges import fingerprint, linear_layers
from distil.common.model import encoder_of
from support.models import ALL_TASKS, build, config_for
from support.sequences import ranges_of, sequences_of

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
    found = ranges_of(model, sequences)
    assert set(found) == set(inputs)
    for name, seen in inputs.items():
        values = torch.cat(seen)
        assert found[name] == pytest.approx((float(values.min()), float(values.max())), rel=1e-4)


@pytest.mark.tf
def test_the_fingerprint_is_the_encoders_in_both_frameworks():
    config = config_for("base")
    models = [
        build(framework, config, task, dtype="float32")
        for framework in ("pt", "tf") for task in ("base", "sequence-classification")
    ]  # fmt: skip
    base, classifier, *others = models
    with torch.no_grad():
        classifier.distilbert.load_state_dict(base.state_dict())
        expected = key_of(base)
        assert key_of(classifier) == key_of(others[0]) == expected
        classifier.classifier.bias.add_(1)
        assert key_of(classifier) == expected
        classifier.distilbert.transformer.layer[1].ffn.lin2.bias[0] += 1e-3
    assert key_of(classifier) != expected


def key_of(model):
    return fingerprint(dict(model.named_arrays()), model.config, model.task)
