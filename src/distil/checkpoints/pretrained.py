"""Loading and saving, as every model class of either framework does it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import ml_dtypes  # noqa: F401 - numpy knows "bfloat16" by it
import numpy as np

from distil.checkpoints import save_checkpoint
from distil.checkpoints.located import Located, locate
from distil.common.config import DistilBertConfig
from distil.common.config_rules import DTYPES
from distil.common.labels import check_task
from distil.common.model import Model
from distil.common.tasks import TASKS
from distil.errors import InputError
from distil.frameworks import FRAMEWORKS
from distil.storage import hub
from distil.storage.formats import FORMAT_ALIASES

# Arguments of transformers' from_pretrained that choose between things that are one here.
_ACCEPTED = (
    "attn_implementation", "from_flax", "from_pt", "from_tf", "low_cpu_mem_usage",
    "trust_remote_code", "use_safetensors",
)  # fmt: skip


class Pretrained(Model):
    """`from_pretrained` and `save_pretrained`."""

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        config: DistilBertConfig | None = None,
        dtype: Any = None,
        device: Any = None,
        seed: int | None = None,
        variant: str | None = None,
        ignore_mismatched_sizes: bool = False,
        **options: Any,
    ) -> Self:
        """Load a checkpoint, whichever framework it was saved from, ready for inference.

        Args:
            name: A folder, the name of a bundled checkpoint, or a name on the hub.
            config: Instead of the checkpoint's config.json.
            dtype: Of the weights: "float32" (as None), "float64", "bfloat16", "float16", or
                "auto" for the type they are stored in.  Alias: torch_dtype.
            device: Where the weights go; None leaves it to the framework.
            seed: For the weights of a new head.
            variant: Of the weights' file: model.<variant>.safetensors.
            ignore_mismatched_sizes: Make the head's weights anew where shapes differ,
                rather than refuse.
            **options: `revision`, `cache_dir`, `local_files_only` and `token` for the hub;
                everything else overrides a field of the configuration.

        Raises:
            CheckpointNotFoundError: There is none of that name.
            HubError: The hub cannot be reached, or does not have it.
            CheckpointError: Its files are damaged, or not those of this model.
            ConfigError: Its configuration, or an override, is not valid.
            InputError: There is no such dtype.
        """
        hub_options, options = hub.split_options(options)
        with locate(name, hub_options, variant=variant, config=config) as found:
            return cls.from_located(
                found, dtype=dtype, device=device, seed=seed,
                ignore_mismatched_sizes=ignore_mismatched_sizes, **options,
            )  # fmt: skip

    @classmethod
    def from_located(
        cls,
        found: Located,
        *,
        dtype: Any = None,
        device: Any = None,
        seed: int | None = None,
        ignore_mismatched_sizes: bool = False,
        **options: Any,
    ) -> Self:
        """Load a checkpoint that has been found; arguments are those of `from_pretrained`."""
        for accepted in _ACCEPTED:
            options.pop(accepted, None)
        dtype = options.pop("torch_dtype", None) if dtype is None else dtype
        config = found.config.replace(**options)
        check_task(config, cls.task)
        dtype = str(dtype or "float32").removeprefix("torch.")
        if dtype == "auto":
            dtype = config.dtype or "float32"
        if dtype not in cls.dtypes:
            raise InputError(
                "unknown type", expected=", ".join((*cls.dtypes, "auto")),
                found=repr(dtype), where="dtype",
            )  # fmt: skip
        match = found.match(cls.task, config)
        match.report.check(name=found.name, ignore_mismatched_sizes=ignore_mismatched_sizes)
        mapped = FRAMEWORKS[cls.framework].maps_files
        wanted = np.dtype("float32" if dtype.startswith("mixed_") else dtype)
        read = {
            name: partial(source.read, dtype=wanted, mapped=mapped and not source.transposed)
            for name, source in match.sources.items()
        }
        return cls.make(
            config, read, seed=seed, dtype=dtype,
            device=None if device is None else str(device),
        )  # fmt: skip

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        format: str | None = None,  # noqa: A002 - what it is called everywhere
        safe_serialization: bool = True,
        max_shard_size: str | int | None = None,
        **_: Any,
    ) -> None:
        """Write config.json and the weights into `folder`, making the folder if need be.

        Args:
            folder: Where to.
            format: "safetensors" (as None, or "pt"): the hub's format, which both frameworks
                and transformers read; "h5" ("tf"): tf_model.h5; "tf-safetensors"; "bin".
            safe_serialization: False, as with transformers, is short for the framework's own
                old format: .bin from PyTorch, .h5 from TensorFlow.
            max_shard_size: Largest size of a file, such as "5GB"; None writes one file.

        Raises:
            CheckpointError: It cannot be written; what was there before is still whole.
        """
        folder = Path(folder)
        if format is None:
            old = FRAMEWORKS[self.framework].old_format
            format = "safetensors" if safe_serialization else old  # noqa: A001
        config = self.config.replace(
            architectures=[TASKS[self.task].class_name], dtype=self.weights_dtype
        )
        save_checkpoint(
            folder,
            self.named_arrays(),
            config=config,
            task=self.task,
            format=FORMAT_ALIASES.get(format, format),
            max_shard_size=max_shard_size,
            write_config=True,
        )
