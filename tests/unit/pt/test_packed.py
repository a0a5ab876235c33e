"""A packed model computes what the plain one does, in every type and with every library."""

import numpy as np
import pytest
import torch

from distil.common.inference.packing import TOKENS_AT_ONCE
from distil.errors import CheckpointError, FallbackWarning, InputError
from distil.pt.inference import capabilities, packed, prepared
from distil.pt.inference.packed import PackedModel
from support.models import ALL_TASKS, CONFIGS, batch_for, build, config_for
from support.sequences import LENGTHS, padded, ranges_of, scores_of, sequences_of

pytestmark = pytest.mark.pt

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "tanh")


def plain(task, **changes):
    return build("pt", config_for(task, **changes), task, dtype="float32")


def expected_of(model, sequences):
    batch = padded(sequences, choices=model.task == "multiple-choice")
    with torch.no_grad():
        output = model(**{name: torch.from_numpy(array) for name, array in batch.items()})
    if output[0].dtype == torch.bfloat16:  # numpy has none
        output = output.to_tuple()[0].float()[None]
    return scores_of(model.task, output, sequences)


def distance(found, expected):
    """Root of the mean square of what is wrong, in parts of what is right."""
    found, expected = (np.concatenate([*map(np.atleast_2d, x)]) for x in (found, expected))
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    return np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))


def same(found, expected, *, relative=1e-5):
    """Equal to `relative` of the largest expected number."""
    largest = max(np.abs(one).max() for one in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * largest)


def without(monkeypatch, *names):
    """The processor, or the build of PyTorch, has none of these."""
    for name in names:
        monkeypatch.setattr(capabilities, name, lambda *_: False)


@pytest.fixture(params=["MKL", "oneDNN", "public operations"])
def library(request, monkeypatch):
    """What multiplies: each where it is there, and what stands in for it where it is not."""
    less = {"MKL": (), "oneDNN": ("has_mkl",), "public operations": ("has_mkl", "has_onednn")}
    without(monkeypatch, *less[request.param])


@pytest.mark.parametrize("change", CONFIGS)
@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_task_and_architecture(task, change):
    model = plain(task, **CONFIGS[change])
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_of_activation(activation, library):
    model = plain("base", activation=activation)
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("lengths", [(7,), (20,), (4, 4, 4), (1, 1), (20,) * 8], ids=str)
@pytest.mark.parametrize("task", ["sequence-classification", "token-classification"])
def test_lengths(task, lengths):
    model = plain(task)
    sequences = sequences_of(model.config, lengths)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("budget", [1, 20, 10_000])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_any_budget(task, budget):
    model = plain(task)
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences, budget=budget), expected_of(model, sequences))


def test_more_sequences_than_one_pack_holds():
    model = plain("sequence-classification")
    sequences = sequences_of(model.config, (20,) * (TOKENS_AT_ONCE // 20 + 5))
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bfloat16_is_near(activation, recwarn):
    model = plain("base", activation=activation)
    sequences = sequences_of(model.config)
    found = PackedModel(model, dtype="bfloat16")
    assert found.dtype == ("bfloat16" if capabilities.has_bfloat16() else "float32")
    recwarn.clear()
    expected = expected_of(model, sequences)
    rounded = expected_of(build("pt", model.config, "base", dtype="bfloat16"), sequences)
    assert distance(found.score(sequences), expected) < 1.2 * distance(rounded, expected)


def test_long_sums_in_bfloat16_are_computed_in_pieces(monkeypatch):
    monkeypatch.setattr(prepared, "_LONG_SUM", 8)
    monkeypatch.setattr(prepared, "_BADLY_DIVIDED", range(10, 1000))
    monkeypatch.setattr(prepared, "_ROWS_OF_A_PIECE", 7)
    linear = torch.nn.Linear(8, 5).requires_grad_(False)
    product = prepared.float_product([linear], torch.bfloat16)
    for rows in (3, 10, 15):
        x = torch.randn(rows, 8)
        found = product(x.bfloat16(), None)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), linear(x), rtol=0.03, atol=0.03)


needs_int8 = pytest.mark.skipif(
    not capabilities.has_int8(), reason="this processor has no VNNI: int8 is computed otherwise"
)


@needs_int8
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_int8_is_near(activation):
    model = plain("base", activation=activation)
    sequences = sequences_of(model.config)
    found = PackedModel(model, dtype="int8", ranges=ranges_of(model, sequences))
    assert found.dtype == "int8"
    assert distance(found.score(sequences), expected_of(model, sequences)) < 0.08


@needs_int8
@pytest.mark.parametrize("task", ALL_TASKS)
def test_int8_of_every_task(task):
    model = plain(task)
    sequences = sequences_of(model.config)
    found = PackedModel(model, dtype="int8", ranges=ranges_of(model, sequences))
    assert distance(found.score(sequences), expected_of(model, sequences)) < 0.12


@needs_int8
def test_int8_wants_ranges_of_this_model():
    model = plain("base")
    with pytest.raises(InputError, match="ranges of activations"):
        PackedModel(model, dtype="int8")
    ranges = dict(ranges_of(model, sequences_of(model.config)))
    del ranges["transformer.layer.1.ffn.lin2"]
    with pytest.raises(CheckpointError, match=r"- transformer\.layer\.1\.ffn\.lin2"):
        PackedModel(model, dtype="int8", ranges=ranges)


@pytest.mark.parametrize(
    ("dtype", "missing", "settled"),
    [
        ("bfloat16", ("has_bfloat16",), "float32"),
        ("int8", ("has_int8",), "bfloat16"),
        ("int8", ("has_int8", "has_bfloat16"), "float32"),
    ],
)
def test_falls_back_and_says_so(dtype, missing, settled, monkeypatch):
    monkeypatch.setattr(capabilities, "has_bfloat16", lambda: True)
    without(monkeypatch, *missing, "has_onednn", "has_mkl")
    model = plain("base")
    sequences = sequences_of(model.config)
    with pytest.warns(FallbackWarning, match=f"no fast {dtype}: computing in {settled}") as seen:
        found = PackedModel(model, dtype=dtype)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert found.dtype == settled
    limit = 1e-5 if settled == "float32" else 0.05
    assert distance(found.score(sequences), expected_of(model, sequences)) < limit


@pytest.mark.parametrize("dtype", ["float16", "float64", "int4"])
def test_a_type_that_there_is_not_on_a_cpu(dtype):
    with pytest.raises(InputError, match="no inference in this type on cpu"):
        PackedModel(plain("base"), dtype=dtype)


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch built without MKL")
def test_mkl_is_not_used_where_it_packs_otherwise(monkeypatch):
    def wrong(x, packed_weight, weight, bias, rows):
        return torch.zeros(len(x), len(weight))

    monkeypatch.setattr(capabilities, "has_onednn", lambda: True)
    monkeypatch.setattr(torch.ops.mkl, "_mkl_linear", wrong)
    monkeypatch.setattr(torch.ops.mkl, "_mkl_reorder_linear_weight", lambda *_: None)
    assert not capabilities.has_mkl.__wrapped__(96, 80)


def test_positions():
    model = plain("base")
    sequences = sequences_of(model.config, (3, 6))
    positions = [[4, 9, 2], list(range(10, 16))]
    found = PackedModel(model).score(sequences, positions=positions)
    for scores, ids, places in zip(found, sequences, positions, strict=True):
        with torch.no_grad():
            output = model(torch.tensor([ids]), position_ids=torch.tensor([places]))
        same([scores], [output.last_hidden_state[0].numpy()])


@pytest.mark.parametrize("count", ["several", "one each", "none"])
def test_only_the_tokens_that_are_wanted(count):
    model = plain("masked-lm")
    sequences = sequences_of(model.config)
    choose = {
        "several": lambda length: [length - 1, 0] if length > 1 else [],
        "one each": lambda length: [length // 2],
        "none": lambda length: [],
    }[count]
    wanted = [choose(length) for length in LENGTHS]
    expected = expected_of(model, sequences)
    found = PackedModel(model).score(sequences, wanted=wanted)
    for scores, every, places in zip(found, expected, wanted, strict=True):
        assert scores.shape == (len(places), model.config.vocab_size)
        if places:
            same([scores], [every[places]])


@pytest.mark.parametrize("task", ["base", "sequence-classification"])
def test_the_last_layer_is_computed_for_one_token_a_sequence(task, monkeypatch):
    model = plain(task)
    rows = []
    packed_model = PackedModel(model)
    last, product = packed_model._layers[-1], packed_model._layers[-1].lin1
    monkeypatch.setattr(last, "lin1", lambda x, r: rows.append(len(x)) or product(x, r))
    packed_model.score(sequences_of(model.config), wanted=[[0]] * len(LENGTHS))
    assert rows == [len(LENGTHS)]


@pytest.mark.parametrize("mask", ["none", "full", "ragged", "holes"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_padded_batch(task, mask):
    model = plain(task)
    batch = batch_for(model.config, task, mask=mask, labels=False)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    with torch.no_grad():
        expected = model(**tensors)
    found = PackedModel(model)(**tensors)
    assert type(found) is type(expected)
    assert found.keys() == expected.keys()
    shown = batch.get("attention_mask", np.ones(1)) != 0
    for one, other in zip(found.values(), expected.values(), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        by_token = mask != "none" and one.shape[:2] == shown.shape
        part = shown if by_token else ...
        same([one.numpy()[part]], [other.numpy()[part]])


def test_nothing_gives_nothing():
    assert PackedModel(plain("base")).score([]) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("task", ["masked-lm", "sequence-classification"])
@pytest.mark.filterwarnings("ignore::distil.errors.FallbackWarning")
def test_the_model_may_change_afterwards(task, dtype):
    model = plain(task)
    sequences = sequences_of(model.config)
    packed_model = PackedModel(model, dtype=dtype)
    before = packed_model.score(sequences)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    for one, other in zip(packed_model.score(sequences), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_model_itself_stays_as_it_is():
    model = plain("base")
    before = {name: p.clone() for name, p in model.named_parameters()}
    PackedModel(model).score(sequences_of(model.config))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_row_of_padding_is_refused():
    with pytest.raises(InputError, match="mask of a row is all 0"):
        PackedModel(plain("base"))(
            torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 0], [0, 0, 0]])
        )


def test_no_second_encoder_is_kept():
    head = PackedModel(plain("token-classification"))._head.__self__
    assert {name for name, _ in head.named_parameters()} == {"classifier.weight", "classifier.bias"}


def test_types_of_two_bytes_are_computed_in_larger_packs(monkeypatch):
    budgets = []
    monkeypatch.setattr(packed, "packs", lambda *_, budget, **__: budgets.append(budget) or [])
    packed_model = PackedModel(plain("base"))
    for packed_model.dtype in ("float32", "bfloat16"):
        packed_model.score([])
    assert budgets == [TOKENS_AT_ONCE, 2 * TOKENS_AT_ONCE]
