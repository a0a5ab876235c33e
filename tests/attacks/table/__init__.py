"""Every attack, one a row: what it is called, how its folder is made, and what must be said.

To add one, add a row to the file of what it is about.  `says` is looked for in the error;
None means that the attack must come to nothing: the folder loads as if it were not there.
"""

from attacks.table import bins, configs, h5, indexes, safetensors, tokenizers
from attacks.table.row import Attack

__all__ = ["ATTACKS", "Attack"]

ATTACKS: tuple[Attack, ...] = (
    *configs.ATTACKS, *safetensors.ATTACKS, *h5.ATTACKS, *indexes.ATTACKS, *bins.ATTACKS,
    *tokenizers.ATTACKS,
)  # fmt: skip
