"""What importing distil brings in, each time in a process of its own."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import distil
from unit.test_floors import MODULES, room_of

OPTIONAL = {"onnx", "onnxruntime", "openvino", "prometheus_client", "starlette", "uvicorn"}
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "transformers"}

NEUTRAL = [
    f"import distil.{name}".rstrip(".")
    for name in MODULES
    if room_of(name) not in ("pt", "tf", "__main__") and name != "benchmarking.__main__"
]
MODEL_CLASSES = {name for name in distil.__all__ if name.removeprefix("TF") in distil._MODELS}
PUBLIC = [f"import distil; distil.{name}" for name in distil.__all__ if name not in MODEL_CLASSES]

# A fork of a process that has imported nothing is as good as a fresh one, and faster.
RUNNER = """
import json, os, sys
for statement in json.load(sys.stdin):
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            exec(statement)
            answer = sorted({name.partition(".")[0] for name in sys.modules})
        except BaseException as error:
            answer = repr(error)
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        print(answers.read())
    os.wait()
"""


def modules_after(statements):
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(statements), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = map(json.loads, done.stdout.splitlines())
    return dict(zip(statements, answers, strict=True))


@pytest.mark.parametrize("statements", [NEUTRAL, PUBLIC], ids=["modules", "names"])
def test_nothing_neutral_loads_a_framework(statements):
    found = modules_after(statements)
    # A module that begins with an optional package cannot be imported where that is missing.
    missing = {f"ModuleNotFoundError(\"No module named '{name}'\")" for name in OPTIONAL}
    found = {said: loaded for said, loaded in found.items() if str(loaded) not in missing}
    assert {said: loaded for said, loaded in found.items() if isinstance(loaded, str)} == {}
    assert {said for said, loaded in found.items() if not FRAMEWORKS.isdisjoint(loaded)} == set()


def test_a_framework_that_is_loaded_is_seen():
    statement = "import sys; sys.modules['torch'] = sys"
    assert "torch" in modules_after([statement])[statement]


def test_import_is_light():
    # huggingface_hub, h5py and tokenizers take longer to import than all the rest together.
    (loaded,) = modules_after(["import distil"]).values()
    assert {"huggingface_hub", "h5py", "tokenizers"}.isdisjoint(loaded)


def test_public_names_are_listed_and_no_others():
    assert distil.load  # what has been used stands in the module
    assert set(dir(distil)) == {*distil.__all__, "__version__"}
    assert {"load", "load_tokenizer", "DistilBertConfig", "TFDistilBertModel"} <= set(dir(distil))


def test_type_checkers_see_every_public_name():
    tree = ast.parse(Path(distil.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {name.asname for node in block.body for name in node.names if name.asname}
    assert seen == set(distil.__all__) - MODEL_CLASSES


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("name", sorted(MODEL_CLASSES))
def test_every_class_of_a_model_is_where_its_name_says(name):
    assert getattr(distil, name).__name__ == name
