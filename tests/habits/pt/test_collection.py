"""What is written for transformers, run with transformers and here: the same results.

`habits/collection` has one expression a line, and snippets of a few lines, each with a title.  In
both, `lib` is the one library or the other, and other names are what `BUILDERS` and `values` say.
What differs on purpose stands in `EXCEPTIONS`, with the words of docs/differences.md that say so.
"""

import copy
import json
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import distil
from support.folders import VOCABULARY, make_folder

transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.pt,
    # Of transformers, torch, peft and accelerate, and what distil warns of where they log.
    pytest.mark.filterwarnings("ignore"),
]
HERE = Path(__file__).parents[1] / "collection"
PAGE = Path(__file__).parents[3] / "docs" / "differences.md"
LIBRARIES = {"transformers": transformers, "distil": distil}
FOLDERS = {
    "enc": "base", "clf": "sequence-classification", "mlm": "masked-lm", "qa": "question-answering",
    "ner": "token-classification", "mc": "multiple-choice",
}  # fmt: skip
BUILDERS = {
    "encoder": ("enc", "DistilBertModel"),
    "model": ("clf", "DistilBertForSequenceClassification"),
    "masked": ("mlm", "DistilBertForMaskedLM"),
    "answerer": ("qa", "DistilBertForQuestionAnswering"),
    "tagger": ("ner", "DistilBertForTokenClassification"),
    "chooser": ("mc", "DistilBertForMultipleChoice"),
    "config": ("clf", "DistilBertConfig"),
    "t": ("clf", "DistilBertTokenizerFast"),
}

SAVED_BY_ANOTHER = "model.save_pretrained(tmp, is_main_process=False) or os.listdir(tmp)"
LONGEST_FIRST = (
    't("it is good", "who was born in", truncation="longest_first", max_length=8)["input_ids"]'
)
# By the expression, or the title of the snippet: the words, and what distil gives instead: so that
# an exception covers its own difference, and no other.
EXCEPTIONS = {
    'str(config).startswith("DistilBertConfig {")': ("`print(config)` shows the fields", [False]),
    "config from a dict": (
        "whose `num_labels` contradicts its `id2label`", "ConfigError: num_labels is not valid"
    ),
    "model.get_memory_footprint()": ("a buffer of position ids", [79_500]),
    "accelerate: sizes of modules": ("a buffer of position ids", 79_500),
    "model.distilbert.transformer.layer[0].attention.n_heads": (
        "`attention.n_heads`",
        ["AttributeError: 'MultiHeadSelfAttention' object has no attribute 'n_heads'"],
    ),
    SAVED_BY_ANOTHER: ("`is_main_process=False` writes nothing", [[]]),
    LONGEST_FIRST: ("`longest_first` on pairs", [[2, 14, 15, 3, 9, 10, 11, 3]] * 2),
    't("it is good", return_length=True)["length"]': (
        "gives a list of one for a single text", [[5], [5]]
    ),
    "twice the same word": ("counts known ones too", [1, 0, 0]),
    "the pipeline's task": ("| `pipe.task` |", "sequence-classification"),
    "transformers' pipeline for features": ("it looks for its own class of outputs", "KeyError: 0"),
}  # fmt: skip


def one_liners():
    for path in sorted(HERE.glob("one_liners_*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path.stem.removeprefix("one_liners_"), line


def snippets():
    for path in sorted(HERE.glob("snippets_*.txt")):
        for part in re.split(r"^# ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            title, _, code = part.partition("\n")
            yield path.stem.removeprefix("snippets_"), title, code


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}
    for name, task in FOLDERS.items():
        folder = make_folder(tmp_path_factory.mktemp(name), task)
        distil.DistilBertTokenizerFast(folder / "vocab.txt", model_max_length=40).save_pretrained(
            folder
        )
        found[name] = str(folder)
    return found


@pytest.fixture(scope="module")
def built(folders):
    """Of each library, what is loaded; copies are handed out."""
    return {
        (library, name): getattr(module, cls).from_pretrained(folders[folder])
        for library, module in LIBRARIES.items()
        for name, (folder, cls) in BUILDERS.items()
    }


def values():
    ids = torch.tensor([[2, 14, 15, 6, 3], [2, 7, 3, 0, 0]])
    mask = (ids != 0).long()
    return {
        "ids": ids, "mask": mask, "batch": {"input_ids": ids, "attention_mask": mask},
        "labels": torch.tensor([2, 0]), "token_labels": torch.tensor([[-100, 0, 1, 2, -100]] * 2),
        "torch": torch, "np": np, "nn": torch.nn, "F": torch.nn.functional, "copy": copy,
        "json": json, "os": os, "pickle": pickle, "Mapping": Mapping,
    }  # fmt: skip


def names_for(code, library, folders, built, folder, **others):
    words = set(re.findall(r"\b\w+\b", code))
    found = {name: copy.deepcopy(built[library, name]) for name in BUILDERS if name in words}
    folder.mkdir()
    return (
        values() | folders | {"lib": LIBRARIES[library], "tmp": str(folder)} | found
        | {name: copy.deepcopy(other) for name, other in others.items()}
        | {"__name__": "__main__"}
    )  # fmt: skip


def plain(x, folder=""):
    """A result as something that can be compared."""
    if isinstance(x, torch.Tensor):
        dtype = str(x.dtype)
        return {"dtype": dtype, "values": x.detach().float().numpy().tolist()}
    if isinstance(x, np.generic | np.ndarray):
        x = x.tolist()
    if isinstance(x, Mapping):
        return {str(key): plain(value, folder) for key, value in x.items()}
    if isinstance(x, list | tuple | type({}.keys())):
        return [plain(value, folder) for value in x]
    if isinstance(x, str | torch.dtype | torch.device):
        return str(x).replace(folder, "TMP")
    return x if x is None or isinstance(x, bool | int | float) else type(x).__name__


def same(one, other):
    if isinstance(one, float) or isinstance(other, float):
        return one == pytest.approx(other, rel=1e-5, abs=1e-5, nan_ok=True)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def check(key, found):
    """Compare what each library found, in a list where there are two tokenizers."""
    if key not in EXCEPTIONS:
        assert same(found["distil"], found["transformers"]), found
        return
    words, expected = EXCEPTIONS[key]
    assert words in PAGE.read_text(encoding="utf-8")
    assert same(found["distil"], expected), found
    assert not same(found["distil"], found["transformers"]), "no longer an exception"


def outcome(run, *, may_fail):
    try:
        return run()
    except Exception as error:
        if not may_fail:
            raise
        return f"{type(error).__name__}: {error}".partition("\n")[0]


@pytest.mark.parametrize(
    ("part", "code"), [pytest.param(*row, id=f"{row[0]}: {row[1][:60]}") for row in one_liners()]
)
def test_one_liner(part, code, folders, built, tmp_path):
    kinds = ("Fast", "") if part == "tokenizer" else ("Fast",)
    found = {library: [] for library in LIBRARIES}
    for kind in kinds:
        for library, module in LIBRARIES.items():
            tokenizers = {}
            if kind == "":
                tokenizers["t"] = module.DistilBertTokenizer.from_pretrained(folders["clf"])
            folder = tmp_path / f"{library}{kind}"
            names = names_for(code, library, folders, built, folder, **tokenizers)
            result = outcome(
                lambda names=names, folder=folder: plain(eval(code, names), str(folder)),
                may_fail=library == "distil" and code in EXCEPTIONS,
            )
            found[library].append(result)
    check(code, found)


@pytest.mark.parametrize(
    ("title", "code"),
    [pytest.param(title, code, id=f"{part}: {title}") for part, title, code in snippets()],
)
def test_snippet(title, code, folders, built, tmp_path):
    found = {}
    for library in LIBRARIES:
        folder = tmp_path / library
        names = names_for(code, library, folders, built, folder)

        def run(names=names, folder=folder):
            exec(code, names)
            return plain(names["result"], str(folder))

        found[library] = outcome(run, may_fail=library == "distil" and title in EXCEPTIONS)
    check(title, found)


def test_the_collection_is_large_and_says_nothing_twice():
    lines, titles = [line for _, line in one_liners()], [title for _, title, _ in snippets()]
    assert len(lines) == len(set(lines)) >= 250
    assert len(titles) == len(set(titles)) >= 150
    assert set(EXCEPTIONS) <= {*lines, *titles}
    assert len(VOCABULARY) > 40
