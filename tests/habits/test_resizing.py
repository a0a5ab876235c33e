"""New rows of a resized vocabulary, as transformers draws them."""

import numpy as np
import pytest

from distil.errors import ConfigError
from support.models import build, config_for, spread

FRAMEWORKS = [pytest.param("pt", marks=pytest.mark.pt), pytest.param("tf", marks=pytest.mark.tf)]
both_frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)

WORDS = "distilbert.embeddings.word_embeddings.weight"
BIAS = "vocab_projector.bias"
DECODER = "vocab_projector.weight"


def resized(framework, *arguments, tied=True, **options):
    config = config_for("masked-lm", tie_word_embeddings=tied)
    weights = spread(config, "masked-lm")
    model = build(framework, config, "masked-lm", weights)
    model.resize_token_embeddings(*arguments, **options)
    return weights, dict(model.named_arrays())


@both_frameworks
@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_lie_close_around_the_mean(framework, tied):
    before, after = resized(framework, 4000, seed=3, tied=tied)
    if tied:
        assert (after[BIAS][61:] == 0).all()
    for name in (WORDS,) if tied else (WORDS, BIAS, DECODER):
        old, new = before[name], after[name][61:]
        np.testing.assert_array_equal(after[name][:61], old)
        scale = np.sqrt(1e-9) * old.std(axis=0)
        assert (np.abs(new.mean(axis=0) - old.mean(axis=0)) < 0.1 * scale).all(), name
        np.testing.assert_allclose(new.std(axis=0), scale, rtol=0.1)
        if new.ndim == 2:
            # The same covariance as the old rows, not only the same variances.
            found, wanted = (np.cov(x, rowvar=False, bias=True) for x in (new, old))
            limit = 0.1 * np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
            assert (np.abs(found / 1e-9 - wanted) < limit).all()


@both_frameworks
def test_new_rows_as_those_of_a_new_model(framework):
    _, after = resized(framework, 4000, mean_resizing=False, seed=3)
    assert after[WORDS][61:].std() == pytest.approx(0.02, rel=0.05)
    assert (after[BIAS][61:] == 0).all()


@both_frameworks
def test_a_multiple(framework):
    for arguments, options, size in (
        ((70,), {"pad_to_multiple_of": 64}, 128),
        ((), {"pad_to_multiple_of": 8}, 64),
        ((64, 64), {}, 64),
    ):
        _, after = resized(framework, *arguments, **options)
        assert after[WORDS].shape[0] == after[BIAS].shape[0] == size
    for wrong in (0, 2.5, "8"):
        with pytest.raises(ConfigError, match="pad_to_multiple_of"):
            resized(framework, 70, pad_to_multiple_of=wrong)


@pytest.mark.pt
@pytest.mark.parametrize("tied", [True, False])
def test_transformers_draws_them_so(tied):
    transformers = pytest.importorskip("transformers")
    config = config_for("masked-lm", vocab_size=2000, tie_word_embeddings=tied)
    weights = spread(config, "masked-lm")
    theirs = transformers.DistilBertForMaskedLM(
        transformers.DistilBertConfig.from_dict(config.to_dict())
    )
    import torch

    theirs.load_state_dict(
        {name: torch.from_numpy(x).float() for name, x in weights.items()}, strict=False
    )
    theirs.resize_token_embeddings(4000)
    model = build("pt", config, "masked-lm", weights, dtype="float32")
    model.resize_token_embeddings(4000)
    for name in (WORDS, BIAS):
        one = dict(model.named_arrays())[name][2000:]
        other = theirs.state_dict()[name].numpy()[2000:]
        scale = np.abs(weights[name].std(axis=0)) * np.sqrt(1e-9)
        assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) < 0.2 * scale + 1e-8).all()
