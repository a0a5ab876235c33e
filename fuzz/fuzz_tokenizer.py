"""Fuzz the readers of tokenizer.json, vocab.txt and tokenizer_config.json: `--file=NAME`."""

import sys
import tempfile
from pathlib import Path

from harness import fuzz

from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast
from support.folders import VOCABULARY

NAMES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")


def read(folder: Path) -> None:
    """Read it with both tokenizers, and use them."""
    for cls in (DistilBertTokenizer, DistilBertTokenizerFast):
        tokenizer = cls.from_pretrained(folder)
        tokenizer(["The good film, it was!", "  paris"], padding=True)
        tokenizer.decode([0, 1, 2, 3])


if __name__ == "__main__":
    asked = [one.partition("=")[2] for one in sys.argv if one.startswith("--file=")]
    sys.argv[1:] = [one for one in sys.argv[1:] if not one.startswith("--file=")]
    name = asked[0] if asked else NAMES[0]
    vocabulary = "".join(f"{token}\n" for token in VOCABULARY)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "vocab.txt").write_text(vocabulary)
        DistilBertTokenizerFast.from_pretrained(place).save_pretrained(place)
        seed = (Path(place) / name).read_bytes()

    def read_all(folder: Path) -> None:
        """Read the folder; beside options there is a valid vocabulary."""
        if name == "tokenizer_config.json":
            (folder / "vocab.txt").write_text(vocabulary)
        read(folder)

    fuzz(name, [seed], read_all)
