"""transformers' TensorFlow models, in a process of their own: they need Keras 2.

Run with a folder.  Every checkpoint in ``ours`` is loaded and its weights written to
``loaded``; one model of each class is saved to ``theirs`` in every format, with its weights.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers
from transformers.modeling_tf_utils import strip_model_name_and_prefix

SIZES = {"vocab_size": 31, "max_position_embeddings": 13}
DISTILBERT = SIZES | {"dim": 8, "n_heads": 2, "n_layers": 2, "hidden_dim": 20}
BERT = SIZES | {
    "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 20,
}  # fmt: skip
CLASSES = (
    "TFDistilBertModel", "TFDistilBertForMaskedLM", "TFDistilBertForSequenceClassification",
    "TFDistilBertForMultipleChoice", "TFDistilBertForTokenClassification",
    "TFDistilBertForQuestionAnswering", "TFBertModel", "TFBertForMaskedLM",
    "TFBertForPreTraining",
)  # fmt: skip
FORMATS = {
    "h5": {},
    "h5-shards": {"max_shard_size": 2000},
    "tf-safetensors": {"safe_serialization": True},
    "tf-safetensors-shards": {"safe_serialization": True, "max_shard_size": 2000},
}


def weights(model):
    return {strip_model_name_and_prefix(weight.name): weight.numpy() for weight in model.weights}


def main(root: Path) -> None:
    for folder in sorted((root / "ours").iterdir()):
        name = folder.name.partition("__")[0]
        model, info = getattr(transformers, f"TF{name}").from_pretrained(
            folder, output_loading_info=True
        )
        left = [key for keys in info.values() if isinstance(keys, list | set) for key in keys]
        # Dropout has no weights, but is a layer of a model and not one of the file.  The
        # masked-LM head counts the embeddings as its own, by a name that no file has.
        left = [key for key in left if "dropout" not in key]
        left = [key for key in left if not key.endswith("position_embeddings/weight:0")]
        assert not left, (folder, info)
        (root / "loaded").mkdir(exist_ok=True)
        np.savez(root / "loaded" / f"{folder.name}.npz", **weights(model))
    generator = np.random.default_rng(0)
    for name in CLASSES:
        bert = name.startswith("TFBert")
        config = (
            transformers.BertConfig(**BERT)
            if bert
            else transformers.DistilBertConfig(**DISTILBERT, num_labels=2)
        )
        model = getattr(transformers, name)(config)
        ids = np.arange(10)[None] if "MultipleChoice" not in name else np.arange(10)[None, None]
        model(tf.constant(ids))
        for weight in model.weights:
            weight.assign(generator.standard_normal(weight.shape).astype(np.float32))
        for format_name, options in FORMATS.items():
            folder = root / "theirs" / f"{name}__{format_name}"
            model.save_pretrained(folder, **options)
            np.savez(folder / "weights.npz", **weights(model))


main(Path(sys.argv[1]))
