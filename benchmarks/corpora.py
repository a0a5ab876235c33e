"""What the inference benchmarks run on: a random DistilBERT-base and texts of different lengths.

Speed does not depend on the values of weights or the words, only on their number and length.
"""

import itertools
import random
from pathlib import Path

from distil import DistilBertConfig, DistilBertTokenizer
from distil.checkpoints import save_checkpoint
from distil.common.initial import initial_weight
from distil.common.spec import parameters

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er")]

# Of the number of words: mean and deviation of its logarithm, least, most.
LENGTHS = {
    "short": (2.83, 0.55, 3, 62),  # as in SST-2: about 25 tokens
    "long": (5.28, 0.62, 20, 900),  # as in IMDb: about 290 tokens, the longest cut
}


def make_vocabulary(size):
    """Special tokens, letters, words of one to four syllables and their endings."""
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = ("".join(parts) for n in (1, 2, 3) for parts in itertools.product(SYLLABLES, repeat=n))
    endings = ["##" + syllable for syllable in SYLLABLES]
    plain = [*SPECIAL, *letters, *("##" + letter for letter in letters), *endings]
    return plain + list(itertools.islice(words, size - len(plain)))


def make_checkpoint(folder):
    """A classifier of DistilBERT-base's shape with random weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = DistilBertConfig(num_labels=2)
    task = "sequence-classification"
    (folder / "vocab.txt").write_text("\n".join(make_vocabulary(config.vocab_size)) + "\n")
    DistilBertTokenizer(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    # A head twenty times as large spreads the probabilities, so that a wrong order is noticed.
    weights = (
        (one.name, initial_weight(config, one, 0) * (20 if one.name == "classifier.weight" else 1))
        for one in parameters(config, task)
    )
    config = config.replace(architectures=["DistilBertForSequenceClassification"])
    save_checkpoint(folder, weights, config=config, task=task, write_config=True)
    return folder


def make_texts(folder, kind, count):
    """Texts whose words follow Zipf's law, as in language, with some suffixes and punctuation."""
    chance = random.Random(kind)
    vocabulary = (Path(folder) / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    mean, deviation, least, most = LENGTHS[kind]
    texts = []
    for _ in range(count):
        number = int(min(max(chance.lognormvariate(mean, deviation), least), most))
        chosen = chance.choices(words, weights, k=number)
        texts.append(" ".join(word + chance.choice(("", "", "", "", ",", ".")) for word in chosen))
    return texts
