"""Fuzz the reader of indexes; the shards are intact."""

import tempfile
from pathlib import Path
from shutil import copyfile

from harness import fuzz
from weights import CONFIG, read_weights

from support.checkpoints import save

NAME = "model.safetensors.index.json"

if __name__ == "__main__":
    whole = Path(tempfile.mkdtemp())
    save(whole, CONFIG, max_shard_size=2000)

    def read(folder: Path) -> None:
        """Read the folder, with the shards in it."""
        for shard in whole.glob("*.safetensors"):
            if not (folder / shard.name).exists():
                copyfile(shard, folder / shard.name)
        read_weights(folder)

    fuzz(NAME, [(whole / NAME).read_bytes()], read)
