"""An engine computes what the plain model does."""

import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import support.sequences
from distil import engines
from distil.checkpoints.located import locate
from distil.common.config_rules import ACTIVATIONS
from distil.common.inference.calibration import Calibration
from distil.common.inference.ranges import fingerprint, save_ranges
from distil.engines import feeding
from distil.errors import FallbackWarning, FrameworkError, InputError
from support.models import ALL_TASKS, CONFIGS, batch_for, build, config_for

ENGINES = ("openvino", "onnxruntime")
LENGTHS = (5, 1, 9, 9, 20, 3, 5, 5, 12)

pytestmark = [pytest.mark.pt, pytest.mark.openvino, pytest.mark.onnxruntime]
every_engine = pytest.mark.parametrize("engine", ENGINES)


def sequences_of(config, lengths=LENGTHS):
    random = np.random.default_rng(5)
    return [random.integers(0, config.vocab_size, length).tolist() for length in lengths]


def plain_model(task, **changes):
    return build("pt", config_for(task, **changes), task, dtype="float32")


def engine_of(model, engine, **options):
    """The model in an engine; int8 is calibrated on the sequences of the tests."""
    own = Calibration(sequences=lambda: sequences_of(model.config), cache=None)
    options = {"calibration": own} | options
    weights = dict(model.named_arrays())
    return engines.from_weights(weights, model.config, model.task, engine=engine, **options)


def one_by_one(model, sequences):
    with torch.no_grad():
        for sequence in sequences:
            ids = torch.tensor([[sequence]] if model.task == "multiple-choice" else [sequence])
            output = model(ids)
            if model.task == "question-answering":
                yield torch.stack([output.start_logits[0], output.end_logits[0]], -1).numpy()
            else:
                yield output[0][0].numpy()


def assert_same(found, expected, *, rtol=1e-4, atol=1e-5):
    for scores, own in zip(found, expected, strict=True):
        assert scores.shape == own.shape
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, own, rtol=rtol, atol=atol)


@every_engine
@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_task(engine, task):
    model = plain_model(task)
    sequences = sequences_of(model.config)
    found = engine_of(model, engine)
    assert (found.framework, found.task, found.dtype) == (engine, task, "float32")
    assert_same(found.score(sequences), one_by_one(model, sequences))


@every_engine
@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration(engine, name):
    model = plain_model("masked-lm", **CONFIGS[name])
    sequences = sequences_of(model.config)
    assert_same(engine_of(model, engine).score(sequences), one_by_one(model, sequences))


@every_engine
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(engine, activation):
    model = plain_model("base", activation=activation)
    sequences = sequences_of(model.config)
    assert_same(engine_of(model, engine).score(sequences), one_by_one(model, sequences))


@every_engine
@pytest.mark.parametrize("mask", ["none", "full", "ragged", "holes"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_padded_batch(engine, task, mask):
    """Called as the model is; with holes in the mask, positions are not those counted from 0."""
    model = plain_model(task)
    batch = batch_for(model.config, task, mask=mask, labels=False)
    shown = batch.get("attention_mask")
    with torch.no_grad():
        expected = model(**{name: torch.from_numpy(array) for name, array in batch.items()})
    found = engine_of(model, engine)(**batch)
    assert type(found) is type(expected)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert type(values) is np.ndarray
        own = expected[name].numpy()
        by_token = shown is not None and own.shape[:2] == shown.shape
        place = shown != 0 if by_token else ...
        assert_same([values[place]], [own[place]])
        assert values.shape == own.shape


@every_engine
@pytest.mark.parametrize("kind", [torch.tensor, np.array, list, lambda x: np.array(x, np.int8)])
def test_a_batch_of_any_kind(engine, kind):
    model = plain_model("sequence-classification")
    ids, mask = [[1, 2, 3], [4, 5, 0]], [[1, 1, 1], [1, 1, 0]]
    found = engine_of(model, engine)(kind(ids), attention_mask=kind(mask))
    assert_same(found.logits, one_by_one(model, [[1, 2, 3], [4, 5]]))


@pytest.mark.parametrize(("given", "message"), [
    ({"input_ids": [[1, 61]]}, "vocabulary"),
    ({"input_ids": [[1, -1]]}, "vocabulary"),
    ({"input_ids": [[1.0, 2.0]]}, "must be integers"),
    ({"input_ids": [1, 2]}, "input_ids has the wrong shape"),
    ({"input_ids": [[1] * 21]}, "longer than the model can take"),
    ({"input_ids": [[1, 2]], "attention_mask": [[1, 1, 1]]}, "attention_mask has the wrong shape"),
    ({"input_ids": [[1, 2]], "attention_mask": [[0, 0]]}, "mask of a row is all 0"),
])  # fmt: skip
def test_a_batch_that_does_not_fit(given, message):
    with pytest.raises(InputError, match=message):
        engine_of(plain_model("base"), "onnxruntime")(**given)


@every_engine
def test_only_the_tokens_that_are_wanted(engine):
    model = engine_of(plain_model("masked-lm"), engine)
    sequences = sequences_of(model.config)
    wanted = [[length - 1, 0] if length > 3 else [] for length in LENGTHS]
    everything = model.score(sequences)
    expected = [scores[places] for scores, places in zip(everything, wanted, strict=True)]
    assert_same(model.score(sequences, wanted=wanted), expected)


@every_engine
def test_nothing_wanted(engine):
    model = engine_of(plain_model("token-classification"), engine)
    [scores] = model.score([[1, 2, 3]], wanted=[[]])
    assert scores.shape == (0, model.config.num_labels)
    assert model.score([]) == []


@every_engine
def test_more_than_one_call_takes(engine, monkeypatch):
    model = plain_model("token-classification")
    sequences = sequences_of(model.config, (7, 3) * 20)
    portions = feeding.feeds
    monkeypatch.setattr(
        "distil.engines.model.feeds",
        lambda *given, **options: portions(*given, **options, budget=30),
    )
    assert_same(engine_of(model, engine).score(sequences), one_by_one(model, sequences))


@every_engine
def test_by_several_threads(engine):
    model = engine_of(plain_model("base"), engine)
    given = [sequences_of(model.config, (length, length + 3)) for length in range(1, 9)]
    expected = [model.score(sequences) for sequences in given]
    with ThreadPoolExecutor(4) as pool:
        for found, own in zip(pool.map(model.score, given), expected, strict=True):
            assert_same(found, own)


def test_inputs_live_until_they_are_computed(monkeypatch):
    """OpenVINO reads them where they are in memory: freed early, it reads whatever is there."""
    model = plain_model("base")
    session = engine_of(model, "openvino")._session
    alive = []

    class Request:
        def __init__(self, inner):
            self.inner, self.given = inner, []

        def set_input_tensor(self, place, tensor):
            self.given.append(weakref.ref(current[0]["ids"]))
            self.inner.set_input_tensor(place, tensor)

        def wait(self):
            gc.collect()
            alive.append(self.given[-1]() is not None)
            self.inner.wait()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(session, "_requests", [Request(inner) for inner in session._requests])
    current = [None]

    def inputs():
        for feed in feeding.feeds(sequences_of(model.config), budget=10):
            current[0] = feed.inputs
            yield feed.inputs
        current[0] = None

    assert len(list(session.run(inputs()))) == len(alive) > 2
    assert all(alive)


@every_engine
def test_the_model_may_change_afterwards(engine):
    model = plain_model("base")
    sequences = sequences_of(model.config)
    found = engine_of(model, engine)
    expected = found.score(sequences)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert_same(found.score(sequences), expected)


def test_bfloat16_is_near():
    """The numbers are those of bfloat16's 8 bits: near, and not float32's."""
    model = plain_model("base")
    sequences = sequences_of(model.config)
    try:
        found = engine_of(model, "openvino", dtype="bfloat16").score(sequences)
    except FallbackWarning:
        pytest.skip("the processor has no bfloat16")
    expected = list(one_by_one(model, sequences))
    assert_same(found, expected, rtol=0, atol=0.25)
    assert np.abs(found[0] - expected[0]).max() > 1e-3


@every_engine
def test_bfloat16_where_there_is_none(engine, monkeypatch):
    monkeypatch.setattr("distil.engines.openvino._has_bfloat16", lambda: False)
    model = plain_model("base")
    with pytest.warns(FallbackWarning, match="float32 instead"):
        found = engine_of(model, engine, dtype="bfloat16")
    assert found.dtype == "float32"
    sequences = sequences_of(model.config)
    assert_same(found.score(sequences), one_by_one(model, sequences))


@every_engine
@pytest.mark.parametrize("task", ALL_TASKS)
def test_int8_is_near(engine, task):
    model = plain_model(task)
    sequences = sequences_of(model.config)
    found, expected = (
        np.concatenate([scores.ravel() for scores in every])
        for every in (
            engine_of(model, engine, dtype="int8").score(sequences),
            one_by_one(model, sequences),
        )
    )
    # Layers of 32 random numbers: a real model's errors are a tenth of this.
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    assert 1e-3 < error < 0.25


@every_engine
def test_int8_of_an_input_that_is_always_the_same(engine):
    """Ranges without a width: relu of numbers below 0, and norms with a factor of 0."""
    model = plain_model("base", activation="relu")
    with torch.no_grad():
        model.transformer.layer[0].ffn.lin1.bias.fill_(-1e3)
        model.transformer.layer[1].ffn.lin1.weight.zero_()
    sequences = sequences_of(model.config)
    found = engine_of(model, engine, dtype="int8").score(sequences)
    assert all(np.isfinite(scores).all() for scores in found)


@every_engine
@pytest.mark.parametrize("format", ["safetensors", "h5"])
def test_a_checkpoint(engine, format, tmp_path):  # noqa: A002
    model = plain_model("sequence-classification")
    model.save_pretrained(tmp_path, format=format)
    with locate(tmp_path) as located:
        found = engines.load(located, model.config, model.task, engine=engine)
    sequences = sequences_of(model.config)
    assert_same(found.score(sequences), one_by_one(model, sequences))


@every_engine
def test_a_checkpoint_with_ranges(engine, tmp_path):
    model = plain_model("base")
    model.save_pretrained(tmp_path)
    weights = dict(model.named_arrays())
    sequences = sequences_of(model.config)
    expected = engine_of(model, engine, dtype="int8").score(sequences)
    ranges = ranges_of(model, engine, sequences)
    save_ranges(tmp_path, ranges, fingerprint=fingerprint(weights, model.config, "base"))
    kept = Calibration(sequences=pytest.fail, checkpoint=tmp_path, cache=None)
    with locate(tmp_path) as located:
        found = engines.load(
            located, model.config, "base", engine=engine, dtype="int8", calibration=kept
        )
    assert_same(found.score(sequences), expected)


def ranges_of(model, engine, sequences):
    """The ranges that an engine measures."""
    found = []

    class Spy(Calibration):
        def ranges(self, *given, **options):
            found.append(super().ranges(*given, **options))
            return found[-1]

    engine_of(model, engine, dtype="int8", calibration=Spy(sequences=lambda: sequences, cache=None))
    return found[0]


@every_engine
def test_ranges_are_those_of_the_plain_model(engine):
    """Of enough tokens that they are computed in several calls, one beside the other."""
    model = plain_model("token-classification")
    sequences = sequences_of(model.config, (20, 7, 13, 1) * 120)
    found = ranges_of(model, engine, sequences)
    own = support.sequences.ranges_of(model, sequences)
    assert list(found) == list(own)
    for name, ends in own.items():
        assert found[name] == pytest.approx(ends, rel=1e-4), name


@pytest.mark.parametrize(
    "lengths", [(1,), (512,) * 9, (512, 2, 2, 1), tuple(range(1, 300)), (5000, 3)]
)
def test_portions(lengths):
    """Every sequence stands in one, and none is larger or emptier than it may be."""
    sequences = [[0] * length for length in lengths]
    found = list(feeding.feeds(sequences))
    assert sorted(np.concatenate([feed.pack.rows for feed in found])) == list(range(len(lengths)))
    for feed in found:
        tokens = len(feed.inputs["ids"])
        longest = feed.inputs["laid_out"].shape[1]
        assert tokens <= feeding.TOKENS_AT_ONCE or len(feed.pack.rows) == 1
        assert len(feed.pack.rows) * longest**2 - (feed.counts**2).sum() <= 2048 * 64


@pytest.mark.parametrize(("options", "message"), [
    ({"engine": "tensorrt"}, "unknown engine"),
    ({"engine": "openvino", "dtype": "int4"}, "unknown dtype"),
    ({"engine": "openvino", "dtype": "int8", "calibration": None}, "int8 needs texts"),
    (
        {"engine": "openvino", "dtype": "int8", "calibration": Calibration(sequences=list)},
        "no texts to calibrate on",
    ),
])  # fmt: skip
def test_what_cannot_be_made(options, message):
    with pytest.raises(InputError, match=message):
        engine_of(plain_model("base"), **options)


@pytest.mark.parametrize(("engine", "package"), [
    ("openvino", "openvino"), ("onnxruntime", "onnxruntime"), ("onnxruntime", "onnx"),
])  # fmt: skip
def test_an_engine_that_is_missing(engine, package, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(FrameworkError, match=rf'{package} is not (.|\n)*"distil\[{engine}\]"'):
        engine_of(plain_model("base"), engine)


@every_engine
@pytest.mark.parametrize("given", [
    {"sequences": [[1, 61]]}, {"sequences": [[2**32 + 1]]}, {"sequences": [[-1]]},
    {"sequences": [[1] * 21]}, {"sequences": [[1, 2]], "positions": [[0, 20]]},
], ids=str)  # fmt: skip
def test_what_a_table_does_not_hold(engine, given):
    with pytest.raises(InputError, match="outside"):
        engine_of(plain_model("base"), engine).score(**given)


@every_engine
def test_threads_reach_the_session(engine):
    session = engine_of(plain_model("base"), engine, threads=1)._session
    if engine == "openvino":
        assert session.compiled.get_property("INFERENCE_NUM_THREADS") == 1
    else:
        assert session._session.get_session_options().intra_op_num_threads == 1


@every_engine
def test_it_says_what_it_is(engine):
    found = engine_of(plain_model("question-answering"), engine)
    assert repr(found) == (
        f"<DistilBertForQuestionAnswering for inference: engine='{engine}', dtype='float32', "
        "device='cpu'>"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@every_engine
def test_after_a_fork(engine, tmp_path):
    """OpenVINO would wait for threads that are not there: it is refused, and loaded anew works."""
    plain_model("base").save_pretrained(tmp_path)
    code = f"""if True:
        import os, distil
        from distil.errors import InputError
        load = lambda: distil.load({str(tmp_path)!r}, engine={engine!r})
        model = load()
        model.score([[1, 2]])
        if os.fork() == 0:
            try:
                model.score([[1, 2]])
                print("computed", flush=True)
            except InputError as error:
                print(error.problem, flush=True)
            load().score([[1, 2]])
            print("loaded anew", flush=True)
            os._exit(0)
        os.wait()
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    first, *rest = done.stdout.splitlines()
    assert first.startswith("OpenVINO cannot compute" if engine == "openvino" else "computed")
    assert rest == ["loaded anew"]


@every_engine
def test_no_framework_is_imported(engine, tmp_path):
    plain_model("base").save_pretrained(tmp_path)
    code = f"""if True:
        import sys
        from distil import engines
        from distil.checkpoints.located import locate
        found = locate({str(tmp_path)!r})
        engines.load(found, found.config, "base", engine={engine!r}).score([[1, 2]])
        assert not {{"torch", "tensorflow", "keras", "transformers"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
