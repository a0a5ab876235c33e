"""transformers' TensorFlow models, which need a process of their own: they are of Keras 2."""

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).parents[1] / "reference" / "tf_peer.py"


def run_tf_peer(root):
    """Let them load what is in root/ours, and save models of their own; see tf_peer.py."""
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), str(root)],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
