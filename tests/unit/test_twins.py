"""The two frameworks' files read side by side: the same classes, methods, arguments and defaults.

Outlines are compared as text, by `ast`, so that neither framework is needed.  The files of the
model itself are strict twins, in this order; in `training` and `inference`, where the frameworks
differ by nature, what is public is.  What may differ is listed here with its reason; anything
else is drift.
"""

import ast
from pathlib import Path

import pytest

import distil

SOURCE = Path(distil.__file__).parent

# Files of the model that one framework needs and the other does not.
ALONE = {
    "pt/dropout.py": "PyTorch's own is slow on a CPU; TensorFlow's is not",
    "pt/first_calls.py": "a fault of MKL, which TensorFlow does not use",
    "pt/trainer.py": "transformers' Trainer is PyTorch's",
    "tf/keras_model.py": "what Keras needs of a keras.Model: compile, fit, export",
    "tf/keras_state.py": "what Keras's own quantization makes of layers",
    "tf/layers.py": "PyTorch's modules have their weights and their dropout by themselves",
    "tf/ragged.py": "PyTorch has no such tensors that models take",
}

# Arguments that only one side has.
ARGUMENTS = {
    "options": "tf: Keras's own options of a layer (dtype, name), handed through",
    "training": "tf: whether dropout is on is an argument in Keras, a state in PyTorch",
    "seed": "tf: dropout takes its seed, see distil.tf.encoder",
    "dtype": "pt: what is allocated when weights are filled in; Keras allocates before",
    "device": "pt: likewise",
    "ranges": "pt: for int8, which TensorFlow does not have",
    "most_rows": "pt: for ExecuTorch, which plans its memory",
    "quantize": "pt: for ExecuTorch; LiteRT's quantizer takes a file",
    "unused": "pt: DistributedDataParallel waits for gradients of all weights",
}

# Functions whose arguments differ in another way.
OTHER_ARGUMENTS = {
    "hide": "PyTorch's fused attention takes queries and a bias, TensorFlow's explicit one scores",
}

# Defaults that differ.
DEFAULTS = {
    "PackedModel.score(budget)": "PyTorch packs more tokens at once in the smaller types",
}

# Functions, methods and classes that only one side has.
ALLOWED = {
    "pt": {
        "DistilBertPreTrainedModel.base_model": "Keras would save the encoder twice",
        "DistilBertPreTrainedModel.device": "Keras's models can be on several devices",
        "DistilBertPreTrainedModel.dtype": "every Keras layer has it",
        "DistilBertForMaskedLM.tie_weights": "TensorFlow's decoder looks at the embeddings itself",
        "NothingDrawn": "Keras's initializers can be told to draw nothing, see distil.tf.layers",
        "NothingDrawn.__torch_function__": "likewise",
        "to_tensor": "TensorFlow takes arrays as they are",
        "Workers.parallel": "DistributedDataParallel wraps a module, tf.distribute variables",
        "Workers.summed": "TensorFlow adds up measurements with the gradients",
        "has_bfloat16": "TensorFlow's operations are tried for each type",
        "has_int8": "for int8, which TensorFlow does not have",
        "has_mkl": "TensorFlow does not use it",
    },
    "tf": {
        "frozen": "for LiteRT, which PyTorch is not exported to",
        "Embeddings.embed": "PyTorch's Embedding has padding_idx, Keras's does not",
        "dropout_seed": "the seeds of dropout, see ARGUMENTS",
        "_gelu": "TensorFlow's own rounds constants to float32, see distil.tf.activations",
        "_gelu_tanh": "likewise",
        "_leaky_relu": "likewise",
        "_mish": "TensorFlow has none",
        "Workers.run": "a process of TensorFlow's may have several devices",
        "Workers.graph": "likewise",
        "Workers.total": "see Workers.summed of PyTorch",
        "copied": "PyTorch's parameters are tensors themselves",
    },
}

# The same thing by the framework's own name.
NAMES = {"call": "forward"}


def outline(framework, name):
    """Names of functions, classes and methods of a file, in order, each with its arguments.

    In the rooms that are twins in public only, what begins with an underscore is left out.
    """
    found = {}

    def visit(nodes, prefix=""):
        for node in nodes:
            private = getattr(node, "name", "").replace("__init__", "init").startswith("_")
            if private and "/" in name:
                continue
            if isinstance(node, ast.ClassDef):
                own = node.name.removeprefix("TF") if framework == "tf" else node.name
                found[prefix + own] = {}
                visit(node.body, f"{prefix}{own}.")
            elif isinstance(node, ast.FunctionDef):
                found[prefix + NAMES.get(node.name, node.name)] = arguments(node)

    visit(ast.parse((SOURCE / framework / name).read_text()).body)
    return {item: value for item, value in found.items() if item not in ALLOWED[framework]}


def arguments(node):
    """Arguments in order, by name (* before those by keyword only), each with its default."""
    places = [*node.args.posonlyargs, *node.args.args]
    without = [None] * (len(places) - len(node.args.defaults))
    every = [
        *zip(places, [*without, *node.args.defaults], strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    marks = ["*" if one in node.args.kwonlyargs else "" for one, _ in every]
    named = {
        mark + one.arg: default and ast.unparse(default)
        for mark, (one, default) in zip(marks, every, strict=True)
    }
    stars = [one.arg for one in (node.args.vararg, node.args.kwarg) if one is not None]
    return named | dict.fromkeys(stars)


FILES = sorted(
    {
        path.relative_to(SOURCE / side).as_posix()
        for side in ("pt", "tf")
        for path in (SOURCE / side).rglob("*.py")
        # What follows transformers' two frameworks differs as they do.
        if path.name != "compatibility.py"
    }
)
TWINS = [name for name in FILES if all((SOURCE / side / name).is_file() for side in ("pt", "tf"))]


@pytest.mark.parametrize("name", [name for name in FILES if "/" not in name])
def test_every_file_of_the_model_has_a_twin(name):
    missing = [f"{side}/{name}" for side in ("pt", "tf") if not (SOURCE / side / name).is_file()]
    other = {"pt": "tf", "tf": "pt"}
    assert all(f"{other[path[:2]]}{path[2:]}" in ALONE for path in missing)


@pytest.mark.parametrize("name", TWINS)
def test_the_same_names_in_the_same_order(name):
    in_order = set if "/" in name else list
    assert in_order(outline("pt", name)) == in_order(outline("tf", name))


@pytest.mark.parametrize("name", TWINS)
def test_the_same_arguments_in_the_same_order(name):
    pt, tf = outline("pt", name), outline("tf", name)
    for item in pt.keys() & tf.keys() - OTHER_ARGUMENTS.keys():
        # PyTorch's labels come before the flags and Keras's after them, as in transformers.
        in_order = sorted if item.endswith(".forward") else list
        differ = pt[item].keys() ^ tf[item].keys()
        assert {one.removeprefix("*") for one in differ} <= ARGUMENTS.keys(), item
        both = [[one for one in side[item] if one not in differ] for side in (pt, tf)]
        assert in_order(both[0]) == in_order(both[1]), item


@pytest.mark.parametrize("name", TWINS)
def test_the_same_defaults(name):
    pt, tf = outline("pt", name), outline("tf", name)
    for item in pt.keys() & tf.keys():
        for argument in pt[item].keys() & tf[item].keys():
            if f"{item}({argument.removeprefix('*')})" not in DEFAULTS:
                assert pt[item][argument] == tf[item][argument], f"{item}({argument})"


def test_every_exception_is_needed(monkeypatch):
    """An exception that is no longer one is taken off the list."""
    allowed = {side: set(ALLOWED[side]) for side in ALLOWED}
    monkeypatch.setattr(f"{__name__}.ALLOWED", {"pt": {}, "tf": {}})
    every = {side: {} for side in allowed}
    differ, defaults = set(), set()
    for name in TWINS:
        pt, tf = (outline(side, name) for side in allowed)
        every["pt"] |= pt
        every["tf"] |= tf
        for item in pt.keys() & tf.keys():
            found = {one.removeprefix("*") for one in pt[item].keys() ^ tf[item].keys()}
            differ |= {item} if not found <= ARGUMENTS.keys() else found
            defaults |= {
                f"{item}({one.removeprefix('*')})"
                for one in pt[item].keys() & tf[item].keys()
                if pt[item][one] != tf[item][one]
            }
    assert allowed["pt"] <= every["pt"].keys() - every["tf"].keys()
    assert allowed["tf"] <= every["tf"].keys() - every["pt"].keys()
    assert differ == ARGUMENTS.keys() | OTHER_ARGUMENTS.keys()
    assert defaults == DEFAULTS.keys()
    assert all((SOURCE / path).is_file() for path in ALONE)
