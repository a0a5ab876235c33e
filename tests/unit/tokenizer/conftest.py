"""A vocabulary small enough to read, and the real ones where they can be had."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import gzip
import json
from pathlib import Path

import pytest

from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jump",
    "##s",
    "##ed",
    "over",
    "lazy",
    "dog",
    "un",
    "##aff",
    "##able",
    "hello",
    "world",
    "cafe",
    "café",
    "naive",
    "don",
    "'",
    "t",
    "do",
    "not",
    "it",
    ".",
    ",",
    "!",
    "?",
    "-",
    "中",
    "文",
    "ОДИН",
    "один",
    "σας",
    "σασ",
    "ΣΑΣ",
    "Hello",
    "ss",
    "ß",
    "##ß",
    "한",
    "ᄒ",
    "##ᅡ",
    "##ᆫ",
]
SMALL = tuple(
    dict.fromkeys((*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *"[]"))
)
KINDS = {"python": DistilBertTokenizer, "rust": DistilBertTokenizerFast}


@pytest.fixture(scope="session")
def vocabulary() -> dict[str, int]:
    return {token: index for index, token in enumerate(SMALL)}


@pytest.fixture(scope="session")
def vocab_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("small") / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in SMALL), encoding="utf-8")
    return path


@pytest.fixture(params=KINDS)
def kind(request):
    """Each of the two tokenizers, as a class."""
    return KINDS[request.param]


@pytest.fixture
def tokenizer(kind, vocab_file):
    """Each of the two tokenizers, on the small vocabulary."""
    return kind(vocab_file)


@pytest.fixture
def both(vocab_file):
    """The Python tokenizer and the Rust one, on the small vocabulary."""
    return tuple(kind(vocab_file) for kind in KINDS.values())


@pytest.fixture(scope="session")
def describe():
    """All that a tokenizer says of a batch, to be compared."""

    def describe(tokenizer, *texts, **options):
        batch = tokenizer(
            *texts,
            return_offsets_mapping=True,
            return_token_type_ids=True,
            return_special_tokens_mask=True,
            **options,
        )
        rows = batch.encodings
        return dict(batch), [
            (row.ids, row.tokens, row.offsets, row.word_ids, row.sequence_ids, row.n_sequences)
            for row in rows
        ]

    return describe


@pytest.fixture(scope="session")
def data(shared) -> Path:
    """The folder with real data."""
    return shared / "data"


@pytest.fixture(scope="session")
def real_vocabularies(data, tmp_path_factory) -> dict[str, tuple[Path, dict[str, bool]]]:
    """Real vocabularies: a vocab.txt and the options that belong to it."""
    unpacked = tmp_path_factory.mktemp("multilingual") / "vocab.txt"
    packed = data / "vocab" / "bert-base-multilingual-cased" / "vocab.txt.gz"
    unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
    return {
        "uncased": (data / "vocab" / "distilbert-base-uncased" / "vocab.txt", {}),
        "cased": (unpacked, {"do_lower_case": False}),
    }


@pytest.fixture(params=["uncased", "cased"])
def real_pair(request, real_vocabularies):
    """The Python tokenizer and the Rust one, on a real vocabulary."""
    path, options = real_vocabularies[request.param]
    return tuple(kind(path, **options) for kind in KINDS.values())


@pytest.fixture(scope="session")
def udhr_lines(data) -> list[list[str]]:
    """The Universal Declaration of Human Rights: lines by language."""
    with gzip.open(data / "udhr" / "udhr.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line)["lines"] for line in file]
