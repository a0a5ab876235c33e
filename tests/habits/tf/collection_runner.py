"""Run the TensorFlow snippets of the collection with one library, in a process of its own.

transformers' models need Keras 2, and distil's Keras 3; one process has one of them.  Arguments:
the library, a file of snippets, a folder that holds checkpoints, and where to write the results.
"""

import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

CLASSES = {
    "encoder": ("enc", "TFDistilBertModel"),
    "model": ("clf", "TFDistilBertForSequenceClassification"),
    "masked": ("mlm", "TFDistilBertForMaskedLM"),
    "answerer": ("qa", "TFDistilBertForQuestionAnswering"),
    "tagger": ("ner", "TFDistilBertForTokenClassification"),
    "chooser": ("mc", "TFDistilBertForMultipleChoice"),
    "t": ("clf", "DistilBertTokenizerFast"),
}


def table(model):
    """The word embeddings, which are called differently in Keras 2's classes."""
    layer = model.get_input_embeddings()
    return layer.weight if hasattr(layer, "weight") else layer.embeddings


def names_for(code, lib, root, folder):
    ids = tf.constant([[2, 14, 15, 6, 3], [2, 7, 3, 0, 0]])
    names = {
        "lib": lib, "tf": tf, "np": np, "os": os, "tmp": str(folder), "table": table, "ids": ids,
        "mask": tf.cast(ids != 0, tf.int32), "labels": tf.constant([2, 0]),
        "SIGNED": tf.int32,
    }  # fmt: skip
    words = set(re.findall(r"\b\w+\b", code))
    for name, (place, cls) in CLASSES.items():
        names[place] = str(root / place)
        if name in words:
            options = {} if name == "t" else {"from_pt": True}
            names[name] = getattr(lib, cls).from_pretrained(str(root / place), **options)
    return names


def plain(x):
    """A result as JSON."""
    if tf.is_tensor(x) or isinstance(x, np.ndarray | np.generic):
        return np.asarray(x).tolist()
    if isinstance(x, Mapping):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple | tf.TensorShape):
        return [plain(value) for value in x]
    return x if x is None or isinstance(x, bool | int | float | str) else type(x).__name__


def main(library, snippets, root, target):
    lib = importlib.import_module(library)
    found = {}
    for part in re.split(r"^# ", Path(snippets).read_text(encoding="utf-8"), flags=re.M)[1:]:
        title, _, code = part.partition("\n")
        folder = Path(target).with_suffix("") / str(len(found))
        folder.mkdir(parents=True)
        try:
            names = names_for(code, lib, Path(root), folder)
            exec(code, names)
            found[title] = {"result": plain(names["result"])}
        except Exception:
            found[title] = {"error": traceback.format_exc()[-1500:]}
    Path(target).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
