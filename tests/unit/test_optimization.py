"""From a model or a name to a form for inference alone: `optimize`, `load` with an engine."""

import json
from shutil import rmtree

import numpy as np
import pytest

import distil
from distil import frameworks
from distil.common.inference.calibration import sample_texts
from distil.common.inference.model import InferenceModel
from distil.common.inference.ranges import FILE_NAME, linear_layers
from distil.errors import CheckpointWarning, InputError
from support.folders import make_folder

TEXTS = ["A good film.", "A bad one, in Paris!"]


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "model", "sequence-classification")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def measured(monkeypatch):
    """What ranges are measured on, each time that they are."""
    from distil.pt.inference import calibration

    found = []
    measure = calibration.observe

    def record(model, sequences):
        found.append(len(sequences))
        return measure(model, sequences)

    monkeypatch.setattr(calibration, "observe", record)
    return found


@pytest.mark.parametrize(
    "framework", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]
)
def test_an_engine_gives_a_form_for_inference_and_no_engine_the_model(folder, framework):
    model = distil.load(folder, framework=framework)
    packed = distil.load(folder, framework=framework, engine="packed")
    assert not isinstance(model, InferenceModel)
    assert isinstance(packed, InferenceModel)
    assert (packed.framework, packed.task, packed.dtype) == (framework, model.task, "float32")
    ids = distil.load_tokenizer(folder)(TEXTS)["input_ids"]
    made = distil.optimize(model)
    for one, other in zip(made.score(ids), packed.score(ids), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.pt
def test_int8_is_packed_without_being_asked(folder):
    packed = distil.load(folder, framework="pt", dtype="int8")
    assert isinstance(packed, InferenceModel)


@pytest.mark.pt
def test_ranges_are_measured_on_a_sample_unless_there_are_others(folder, measured):
    sample = len(sample_texts())
    distil.load(folder, framework="pt", dtype="int8")
    assert measured == [sample]
    distil.load(folder, framework="pt", dtype="int8", calibration=TEXTS)
    assert measured == [sample, 2]
    model = distil.load(folder, framework="pt")
    tokenizer = distil.load_tokenizer(folder)
    distil.optimize(model, "int8", tokenizer=tokenizer)
    distil.optimize(model, "int8", tokenizer=tokenizer, calibration=TEXTS)
    distil.load(folder, framework="pt", dtype="int8")
    assert measured == [sample, 2]  # those in the cache serve
    distil.optimize(model, "int8", tokenizer=tokenizer, calibration=TEXTS[:1])
    assert measured == [sample, 2, 1]


@pytest.mark.pt
def test_ranges_beside_the_checkpoint_come_before_the_sample(folder, measured, tmp_path):
    written = distil.calibrate(folder, TEXTS)
    assert written == folder / FILE_NAME
    model = distil.load(folder, framework="pt")
    assert set(json.loads(written.read_text())["ranges"]) == set(linear_layers(model.config))
    rmtree(tmp_path / "cache")
    distil.load(folder, framework="pt", dtype="int8")
    assert measured == [2]
    distil.load(folder, framework="pt", dtype="int8", calibration=TEXTS[:1])
    assert measured == [2, 1]


@pytest.mark.pt
def test_ranges_of_other_weights_are_not_used(folder, measured):
    distil.calibrate(folder, TEXTS)
    model = distil.load(folder, framework="pt")
    model.distilbert.embeddings.LayerNorm.bias.data += 1
    model.save_pretrained(folder)
    with pytest.warns(CheckpointWarning, match="other weights"):
        distil.load(folder, framework="pt", dtype="int8")
    assert len(measured) == 2


@pytest.mark.pt
def test_int8_of_a_model_in_memory_needs_its_tokenizer(folder):
    model = distil.load(folder, framework="pt")
    with pytest.raises(InputError, match="int8 needs texts") as caught:
        distil.optimize(model, "int8")
    assert caught.value.where == "tokenizer"


@pytest.mark.pt
def test_nothing_to_calibrate_on(folder):
    with pytest.raises(InputError, match="no texts to calibrate on"):
        distil.calibrate(folder, [])


def test_an_engine_that_there_is_not(folder):
    with pytest.raises(InputError, match="unknown engine") as caught:
        distil.load(folder, engine="tensorrt")
    assert caught.value.where == "engine"


@pytest.mark.parametrize("model", [None, "a name", object()])
def test_what_is_no_model_is_not_optimized(model):
    with pytest.raises(InputError, match="nothing to optimize"):
        distil.optimize(model)


@pytest.mark.pt
def test_what_is_optimized_is_not_optimized_again(folder):
    packed = distil.load(folder, framework="pt", engine="packed")
    with pytest.raises(InputError, match="nothing to optimize"):
        distil.optimize(packed)


@pytest.mark.pt
def test_engines_compute_on_the_cpu(folder):
    with pytest.raises(InputError, match="on the CPU here"):
        distil.load(folder, engine="openvino", device="cuda")


@pytest.fixture
def installed(monkeypatch):
    """Only these packages are."""

    def only(*names):
        monkeypatch.setattr(frameworks, "find_spec", lambda name: name if name in names else None)

    return only


TORCH, KERAS, ORT = ("torch",), ("tensorflow", "keras"), ("onnxruntime", "onnx")


@pytest.mark.parametrize(("packages", "options", "expected"), [
    ((*TORCH, *KERAS, *ORT, "openvino"), {}, "openvino"),
    (("openvino",), {"dtype": "bfloat16"}, "openvino"),
    ((*TORCH, *ORT), {}, "packed"),
    ((*KERAS, *ORT), {}, "onnxruntime"),
    (("onnxruntime", *KERAS), {}, "packed"),
    ((*KERAS, *ORT), {"dtype": "bfloat16"}, "packed"),
    (KERAS, {}, "packed"),
    (("openvino", *TORCH), {"device": "cpu"}, "openvino"),
    (("openvino", *TORCH), {"device": "cuda"}, "packed"),
    (("openvino", *TORCH), {"framework": "pt"}, "packed"),
])  # fmt: skip
def test_auto_is_the_fastest_that_is_installed(packages, options, expected, installed):
    installed(*packages)
    assert frameworks.choose_engine("auto", **options) == expected


def test_other_engines_are_taken_at_their_word(installed):
    installed("openvino")
    assert frameworks.choose_engine("onnxruntime", device="cpu") == "onnxruntime"
    assert frameworks.choose_engine(None) is None


@pytest.mark.pt
def test_auto_says_which(folder, installed):
    installed("torch")
    model = distil.load(folder, engine="auto")
    assert (model.engine, model.framework) == ("packed", "pt")
    assert repr(model) == (
        "<DistilBertForSequenceClassification for inference: engine='packed', framework='pt', "
        "dtype='float32', device='cpu'>"
    )
    assert distil.optimize(distil.load(folder, framework="pt"), engine="auto").engine == "packed"


@pytest.mark.parametrize("threads", [0, -1, 2.0, "2", True])
def test_what_is_no_number_of_threads(folder, threads):
    with pytest.raises(InputError, match="not a number of threads") as caught:
        distil.load(folder, engine="openvino", threads=threads)
    assert caught.value.where == "threads"


@pytest.mark.pt
@pytest.mark.parametrize("engine", [None, "packed"])
def test_a_framework_has_one_number_of_threads(folder, engine):
    model = distil.load(folder, framework="pt")
    tokenizer = distil.load_tokenizer(folder)
    for make in (
        lambda: distil.load(folder, framework="pt", engine=engine, threads=2),
        lambda: distil.pipeline(model=folder, framework="pt", engine=engine, threads=2),
        lambda: distil.optimize(model, engine=engine, threads=2),
        lambda: distil.pipeline(model=model, tokenizer=tokenizer, engine=engine, threads=2),
    ):
        with pytest.raises(InputError, match="for the whole process") as caught:
            make()
        assert caught.value.where == "threads"


@pytest.mark.pt
@pytest.mark.parametrize(
    "options", [{"threads": 1}, {"engine": "packed"}, {"calibration": TEXTS}], ids=str
)
def test_options_of_a_form_are_refused_once_it_is_made(folder, options):
    packed = distil.load(folder, framework="pt", engine="packed")
    with pytest.raises(InputError, match="already optimized for inference"):
        distil.pipeline(model=packed, tokenizer=distil.load_tokenizer(folder), **options)


@pytest.mark.pt
@pytest.mark.onnxruntime
def test_threads_reach_the_engine(folder):
    model = distil.load(folder, framework="pt")
    tokenizer = distil.load_tokenizer(folder)
    options = {"engine": "onnxruntime", "threads": 1}
    for made in (
        distil.load(folder, **options),
        distil.optimize(model, **options),
        distil.pipeline(model=folder, **options).model,
        distil.pipeline(model=model, tokenizer=tokenizer, **options).model,
    ):
        assert made._session._session.get_session_options().intra_op_num_threads == 1


@pytest.mark.onnxruntime
def test_a_loaded_engine_is_called_like_any_model(folder):
    model = distil.load(folder, engine="onnxruntime")
    batch = distil.load_tokenizer(folder)(TEXTS, padding=True, return_tensors="np")
    output = model(**batch)
    assert output.logits.shape == (len(TEXTS), model.config.num_labels)
    assert output.logits.dtype == np.float32
