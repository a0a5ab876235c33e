"""The two frameworks' files read side by side: the same classes, methods and arguments, in order.

Outlines are compared as text, by `ast`, so that neither framework is needed.  What may differ is
listed here with its reason; anything else is drift.
"""

import ast
from pathlib import Path

import pytest

import distil

SOURCE = Path(distil.__file__).parent

# Files that one framework needs and the other does not.
ALONE = {
    "pt/dropout.py": "PyTorch's own is slow on a CPU; TensorFlow's is not",
    "pt/inference/attention.py": "groups of equal length; in TensorFlow rows with padding",
    "pt/first_calls.py": "a fault of MKL, which TensorFlow does not use",
    "pt/training/freed_memory.py": "TensorFlow gains nothing by it",
    "pt/inference/calibration.py": "for int8, which TensorFlow has not",
    "pt/inference/quantized.py": "likewise",
    "tf/keras_model.py": "what Keras needs of a keras.Model: compile, fit, export",
    "tf/inference/onednn.py": "PyTorch has its oneDNN operations under torch.ops",
    "tf/inference/rows.py": "see pt/inference/attention.py",
    "tf/layers.py": "PyTorch's modules have their weights and their dropout by themselves",
}

# Arguments that only one side has.
ARGUMENTS = {
    "options": "tf: Keras's own options of a layer (dtype, name), handed through",
    "training": "tf: whether dropout is on is an argument in Keras, a state in PyTorch",
    "seed": "tf: dropout takes its seed, see distil.tf.encoder",
    "dtype": "pt: what is allocated when weights are filled in; Keras allocates before",
    "device": "pt: likewise",
    "ranges": "pt: for int8, see ALONE",
    "unused": "pt: DistributedDataParallel waits for gradients of all weights",
}

# Functions whose arguments are other ones.
OTHER_ARGUMENTS = {
    "hide": "PyTorch's fused attention takes queries and a bias, TensorFlow's explicit one scores",
    "to_numpy": "of a tensor there, of a Keras variable here",
    "Step._apply": "PyTorch keeps gradients beside the weights",
    "PackedModel._build": "PyTorch makes products for int8, too",
    "_Layer.__init__": "likewise, and attention for GPUs",
    "_Layer.__call__": "sequences in groups there, in rows here; few tokens are told apart here",
    "_onednn": "the operations of the two take an activation in different ways",
}

# Functions, methods and classes that only one side has.
ALLOWED = {
    "pt": {
        "DistilBertPreTrainedModel.base_model": "Keras would save the encoder twice",
        "NothingDrawn": "Keras's initializers can be told to draw nothing, see distil.tf.layers",
        "NothingDrawn.__torch_function__": "likewise",
        "_register": "for TensorFlow in distil.tf.keras_model",
        "DistilBertForMaskedLM.tie_weights": "TensorFlow's decoder looks at the embeddings itself",
        "DistilBertPreTrainedModel.tie_weights": "likewise",
        "DistilBertPreTrainedModel.device": "Keras's models can be on several devices",
        "DistilBertPreTrainedModel.dtype": "every Keras layer has it",
        "to_tensor": "TensorFlow takes arrays as they are",
        "_Losses": "DistributedDataParallel wraps a module, tf.distribute variables",
        "_Losses.__init__": "likewise",
        "_Losses.forward": "likewise",
        "Workers.parallel": "likewise",
        "Workers.summed": "TensorFlow adds up measurements with the gradients",
        "Step._tensors": "TensorFlow's graphs take tensors of any device",
        "Step._precision": "in TensorFlow the model's own dtype policy says it",
        "PackedModel._moved": "likewise",
        "_float_products": "products are of one kind in TensorFlow, see ALONE",
        "_int8_products": "likewise",
        "has_bfloat16": "TensorFlow's operations are tried for each type",
        "has_int8": "see ALONE",
        "has_mkl": "TensorFlow does not use it",
        "_mkl": "likewise",
        "_finished": "TensorFlow's operations add a residual by themselves",
    },
    "tf": {
        "Embeddings.embed": "PyTorch's Embedding has padding_idx, Keras's does not",
        "DistilBertHeadModel.own_loss": "Keras's fit asks for the loss of labels beside inputs",
        "DistilBertForQuestionAnswering.own_loss": "likewise",
        "dropout_seed": "the seeds of dropout, see ARGUMENTS",
        "Workers.run": "a process of TensorFlow's may have several devices",
        "Workers.graph": "likewise",
        "Workers.total": "see Workers.summed of PyTorch",
        "Workers._added_up": "TensorFlow has no collective operation for objects",
        "Workers._graph_of_total": "likewise",
        "_strategy": "c10d needs no object of its own",
        "_gpus": "torchrun gives each process one GPU",
        "_spec": "PyTorch makes no graphs",
        "Step._adamw": "in PyTorch the optimizer's own step",
        "Step._turned": "PyTorch's orientation is the canonical one",
        "Step._graph": "PyTorch makes no graphs",
        "_step": "PyTorch has get_submodule",
        "_mean": "torch's cross entropy sums by itself",
        "_gelu": "TensorFlow's own rounds constants to float32, see distil.tf.activations",
        "_gelu_tanh": "likewise",
        "_leaky_relu": "likewise",
        "_mish": "TensorFlow has none",
        "PackedModel._graph": "PyTorch computes without tracing a graph",
        "PackedModel._compute": "likewise",
        "_head_of": "PyTorch's modules can be copied with the encoder left out",
        "copied": "PyTorch's parameters are tensors themselves",
    },
}

# The same thing by the framework's own name.
NAMES = {"call": "forward"}


def outline(framework, path):
    """Names of functions, classes and methods, in order, with their arguments."""
    found = {}

    def visit(nodes, prefix=""):
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                name = node.name.removeprefix("TF") if framework == "tf" else node.name
                found[prefix + name] = [ast.unparse(base).removeprefix("TF") for base in node.bases]
                visit(node.body, f"{prefix}{name}.")
            elif isinstance(node, ast.FunctionDef):
                found[prefix + NAMES.get(node.name, node.name)] = arguments(node)

    visit(ast.parse(path.read_text()).body)
    return found


def arguments(node):
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    stars = [one.arg for one in (node.args.vararg, node.args.kwarg) if one is not None]
    return [one.arg for one in every] + stars


FILES = sorted(
    {
        path.relative_to(SOURCE / side).as_posix()
        for side in ("pt", "tf")
        for path in (SOURCE / side).rglob("*.py")
    }
)


@pytest.mark.parametrize("name", FILES)
def test_every_file_has_a_twin(name):
    missing = [f"{side}/{name}" for side in ("pt", "tf") if not (SOURCE / side / name).is_file()]
    other = {"pt": "tf", "tf": "pt"}
    assert all(f"{other[path[:2]]}{path[2:]}" in ALONE for path in missing)


TWINS = [name for name in FILES if all((SOURCE / side / name).is_file() for side in ("pt", "tf"))]


def shared_outline(side, name):
    """The outline of a file without what only this side may have."""
    found = outline(side, SOURCE / side / name)
    return {name: value for name, value in found.items() if name not in ALLOWED[side]}


@pytest.mark.parametrize("name", TWINS)
def test_the_same_names_in_the_same_order(name):
    assert list(shared_outline("pt", name)) == list(shared_outline("tf", name))


@pytest.mark.parametrize("name", TWINS)
def test_the_same_arguments_in_the_same_order(name):
    pt, tf = shared_outline("pt", name), shared_outline("tf", name)
    for item in pt.keys() & tf.keys():
        # PyTorch's labels come before the flags and Keras's after them, as in transformers.
        in_order = sorted if item.endswith(".forward") else list
        is_class = item[0].isupper() and "." not in item  # whose bases are the frameworks'
        if is_class or item in OTHER_ARGUMENTS:
            continue
        differ = set(pt[item]) ^ set(tf[item])
        assert differ <= ARGUMENTS.keys(), item
        both = [[one for one in side[item] if one not in differ] for side in (pt, tf)]
        assert in_order(both[0]) == in_order(both[1]), item


def test_every_exception_is_used():
    """An exception that is no longer one is taken off the list."""
    names = {side: set() for side in ("pt", "tf")}
    for side in names:
        for file in TWINS:
            names[side] |= outline(side, SOURCE / side / file).keys()
    assert ALLOWED["pt"].keys() <= names["pt"] - names["tf"]
    assert ALLOWED["tf"].keys() <= names["tf"] - names["pt"]
    assert all((SOURCE / path).is_file() for path in ALONE)
