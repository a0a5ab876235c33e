"""Imports, size, threads, copies."""

import copy
import pickle
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

TEXTS = ["the quick brown fox", "unaffable [MASK]!", "jumps <x> over", "CAFÉ 中文", ""]


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_loads_no_framework():
    run(
        "import sys, distil.common.tokenizer as t; t.DistilBertTokenizerFast;"
        "found = {'torch', 'tensorflow', 'keras', 'transformers'} & set(sys.modules);"
        "assert not found, found"
    )


def test_the_python_tokenizer_needs_no_compiled_one(vocab_file):
    run(
        "import sys; sys.modules['tokenizers'] = None;"
        "from distil.common.tokenizer import DistilBertTokenizer;"
        f"tokenizer = DistilBertTokenizer({str(vocab_file)!r});"
        "assert tokenizer('jumps', return_tensors='np').tokens() == "
        "['[CLS]', 'jump', '##s', '[SEP]']"
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_tokenizers(tokenizer, again):
    tokenizer.add_tokens(["<x>"])
    tokenizer(TEXTS)  # fills what is remembered
    copied = again(tokenizer)
    assert copied(TEXTS) == tokenizer(TEXTS)
    assert copied(TEXTS).tokens(2) == tokenizer(TEXTS).tokens(2)
    copied.add_tokens(["quick brown"])
    assert copied.tokenize("quick brown") != tokenizer.tokenize("quick brown")
    assert repr(copied).startswith(type(copied).__name__)


def test_threads_do_not_disturb_each_other(tokenizer):
    options = [
        {"padding": padding, "truncation": True, "max_length": length, "stride": length - 3}
        for padding in (True, False, "max_length")
        for length in (3, 4, 5, 8)
    ] * 10
    random.Random(0).shuffle(options)
    expected = [tokenizer(TEXTS, **some) for some in options]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda some: tokenizer(TEXTS, **some), options))
    assert found == expected


@pytest.mark.parametrize(
    ("unit", "megabytes"),
    [
        ("the quick brown fox jumps. ", 10),
        ("x", 5),
        ("naïve Ωmega 中文 한국 e\u0301\u0316 ", 3),
        ("\u0301\u0316", 3),
        ("[MASK] <x>", 2),
    ],
)
def test_long_texts_take_linear_time(tokenizer, unit, megabytes):
    tokenizer.add_tokens(["<x>"])

    def seconds(size):
        text = unit * (size * 1_000_000 // (10 * len(unit.encode())))
        before = time.thread_time()  # of this thread alone, whatever else is running
        row = tokenizer(text, truncation=True, max_length=512)
        assert len(row["input_ids"]) <= 512
        return time.thread_time() - before

    small = min(seconds(megabytes), seconds(megabytes))
    # Ten times the text; quadratic time would be a hundred.
    assert seconds(10 * megabytes) < 40 * small + 1
