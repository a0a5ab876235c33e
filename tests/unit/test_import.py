"""What importing distil brings in, seen in a process of its own."""

import subprocess
import sys

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "transformers")


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_no_framework():
    assert modules_after("import distil").isdisjoint(FRAMEWORKS)


def test_everything_neutral_loads_no_framework():
    statement = (
        "import distil, distil.api, distil.common.checkpoint, distil.common.weights\n"
        "distil.load_tokenizer, distil.DistilBertConfig(), distil.DistilBertTokenizerFast\n"
        "distil.DistilBertTokenizer, distil.CheckpointError"
    )
    assert modules_after(statement).isdisjoint(FRAMEWORKS)


def test_import_is_light():
    # huggingface_hub, h5py and tokenizers take longer to import than all the rest together.
    assert modules_after("import distil").isdisjoint({"huggingface_hub", "h5py", "tokenizers"})


def test_every_public_name_has_a_home():
    import distil

    assert {"load", "load_tokenizer", "DistilBertConfig", "TFDistilBertModel"} <= set(dir(distil))
    assert len(distil.__all__) == len(set(distil.__all__))
