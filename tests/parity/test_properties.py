"""Whatever the architecture, the texts and the masks: both frameworks compute the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as some_numpy

from distil.common.config import DistilBertConfig
from distil.common.config_rules import ACTIVATIONS
from support.models import ALL_TASKS, build, labels_for, measure
from support.parity import FRAMEWORKS, assert_agree, measure_both, without_attentions

pytestmark = [pytest.mark.pt, pytest.mark.tf]

# An example makes two models; what is found once is found again, whatever the machine's load.
bounded = settings(
    max_examples=30, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip

# Where a text says one word twice, say, the parts of a gradient all but cancel, and what is
# left of it has lost as many digits as it is small beside the model's other gradients.
SMALL = 1e-2


@some.composite
def configurations(draw):
    heads = draw(some.integers(1, 4))
    layers = draw(some.integers(1, 2))
    words = draw(some.integers(2, 40))
    pruned = some.dictionaries(
        some.integers(0, layers - 1),
        some.lists(some.integers(0, heads - 1), max_size=heads - 1, unique=True),
        max_size=layers,
    )
    return DistilBertConfig(
        vocab_size=words,
        max_position_embeddings=draw(some.integers(1, 12)),
        n_layers=layers,
        n_heads=heads,
        dim=heads * draw(some.integers(1, 5)) * 2,  # two columns at least, or LayerNorm gives 0
        hidden_dim=draw(some.integers(1, 20)),
        activation=draw(some.sampled_from(ACTIVATIONS)),
        sinusoidal_pos_embds=draw(some.booleans()),
        tie_word_embeddings=draw(some.booleans()),
        pad_token_id=draw(some.none() | some.integers(0, words - 1)),
        pruned_heads=draw(pruned),
        num_labels=2,
    )


@some.composite
def cases(draw):
    """A task, a configuration, and inputs and labels for them."""
    task, config = draw(some.sampled_from(ALL_TASKS)), draw(configurations())
    shape = (draw(some.integers(1, 3)), draw(some.integers(1, config.max_position_embeddings)))
    if task == "multiple-choice":
        shape = (shape[0], draw(some.integers(1, 3)), shape[1])

    def integers(limit, shape=shape):
        return draw(some_numpy.arrays(np.int64, shape, elements=some.integers(0, limit - 1)))

    inputs = {"input_ids": integers(config.vocab_size)}
    if draw(some.booleans()):
        inputs["attention_mask"] = integers(2)
    if draw(some.booleans()):
        sizes = draw(some.sampled_from([shape, shape[-1:]]))
        inputs["position_ids"] = integers(config.max_position_embeddings, sizes)
    if draw(some.booleans()) and not config.pruned_heads:
        factors = some.sampled_from([0.0, 0.5, 1.0])
        inputs["head_mask"] = draw(some_numpy.arrays(np.float64, config.n_heads, elements=factors))
    if draw(some.booleans()):
        inputs |= labels_for(config, task, shape, np.random.default_rng(draw(some.integers(0, 9))))
    return task, config, inputs


@bounded
@given(cases())
def test_agreement(case):
    task, config, inputs = case
    models = {name: build(name, config, task) for name in FRAMEWORKS}
    by_pt, by_tf = measure_both(models, inputs)
    assert all(np.isfinite(value).all() for value in by_pt.outputs.values())
    assert all(np.isfinite(value).all() for value in by_pt.gradients.values())
    assert_agree(by_pt, by_tf, nothing=SMALL)
    fused = measure("pt", models["pt"], inputs, attentions=False)
    assert_agree(fused, without_attentions(by_tf), nothing=SMALL)
