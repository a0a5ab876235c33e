"""Loading and saving, as every model class of either framework does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, overload

import ml_dtypes  # noqa: F401 - numpy knows "bfloat16" by it
import numpy as np

from distil.arrays import Array
from distil.checkpoints import save_checkpoint
from distil.checkpoints.load_report import Finding, LoadReport
from distil.checkpoints.located import Located, in_memory, locate
from distil.common.compatibility import keywords
from distil.common.config import DistilBertConfig
from distil.common.config_rules import DTYPES
from distil.common.labels import check_task
from distil.common.model import Model
from distil.common.tasks import TASKS
from distil.errors import InputError, listed
from distil.frameworks import FRAMEWORKS
from distil.storage import hub
from distil.storage.formats import FORMAT_ALIASES
from distil.storage.paths import path_of


class Pretrained(Model):
    """`from_pretrained` and `save_pretrained`."""

    dtypes: ClassVar[tuple[str, ...]] = DTYPES

    @overload
    @classmethod
    def from_pretrained(
        cls, name: str | Path | None = None, *, output_loading_info: Literal[True], **options: Any
    ) -> tuple[Self, dict[str, list[Any]]]: ...

    @overload
    @classmethod
    def from_pretrained(cls, name: str | Path | None = None, **options: Any) -> Self: ...

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        config: Any = None,
        dtype: Any = None,
        device: Any = None,
        seed: int | None = None,
        variant: str | None = None,
        ignore_mismatched_sizes: bool = False,
        state_dict: Mapping[str, Any] | None = None,
        output_loading_info: bool = False,
        **options: Any,
    ) -> Any:
        """Load a checkpoint, whichever framework it was saved from, ready for inference.

        Args:
            name: A folder, the name of a bundled checkpoint, or a name on the hub.  Also called
                pretrained_model_name_or_path.
            config: Instead of the checkpoint's config.json: a configuration, also one of
                transformers', or where to find one.
            dtype: Of the weights: "float32" (as None), "float64", "bfloat16", "float16", or
                "auto" for the type they are stored in.  Alias: torch_dtype.
            device: Where the weights go; None leaves it to the framework.
            seed: For the weights of a new head.
            variant: Of the weights' file: model.<variant>.safetensors.
            ignore_mismatched_sizes: Initialize the head's weights where shapes differ, instead
                of refusing.
            state_dict: Weights by name, instead of a checkpoint: `name` is None then, and
                `config` needed.
            output_loading_info: Give a pair of the model and lists of the weights that the
                checkpoint lacks, has besides, or has in another shape.
            **options: `revision`, `cache_dir`, `local_files_only` and `token` for the hub;
                `subfolder`; `device_map`, which names one device; what a subclass's own
                __init__ takes; what else transformers knows is without effect or refused, see
                `distil.common.compatibility.keywords`; everything else overrides a field of
                the configuration.

        Raises:
            CheckpointNotFoundError: There is no checkpoint of that name.
            HubError: The hub cannot be reached, or does not have it.
            CheckpointError: Its files are damaged, or not those of this model.
            ConfigError: Its configuration, or an override, is not valid.
            InputError: There is no such dtype or argument.
        """
        options = keywords.loading(options)
        dtype = options.pop("dtype", None) if dtype is None else dtype
        config = DistilBertConfig.of(config)
        if state_dict is None:
            name = keywords.first_argument(name, options, "pretrained_model_name_or_path")
            name = keywords.in_subfolder(name, options)
            hub_options, options = hub.split_options(options)
            opened = locate(name, hub_options, variant=variant, config=config)
        else:
            arrays = {key: cls.as_array(value) for key, value in state_dict.items()}
            opened = in_memory(arrays, name=name, config=config)
        with opened as found:
            model = cls.from_located(
                found, dtype=dtype, device=device, seed=seed,
                ignore_mismatched_sizes=ignore_mismatched_sizes, **options,
            )  # fmt: skip
            if output_loading_info:
                return model, found.match(cls.task, model.config).report.as_lists()
            return model

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
        options = keywords.loading(options)
        if (device_map := options.pop("device_map", None)) is not None and device is None:
            device = keywords.device_of(device_map, cls.first_accelerator())
        dtype = options.pop("dtype", None) if dtype is None else dtype
        own = keywords.of_subclass(cls, options)
        fields = found.config.settable
        keywords.check_unknown([one for one in options if one not in fields], fields)
        config = found.config.replace(**options)
        config.name_or_path = found.name
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
        report = match.report
        # Our own classes have no other weights; a subclass's are known once it is made.
        extended = not cls.__module__.startswith("distil.")
        checked = replace(report, unexpected=()) if extended else report
        checked.check(name=found.name, ignore_mismatched_sizes=ignore_mismatched_sizes)
        mapped = FRAMEWORKS[cls.framework].maps_files
        wanted = np.dtype("float32" if dtype.startswith("mixed_") else dtype)
        read = {
            name: partial(source.read, dtype=wanted, mapped=mapped and not source.transposed)
            for name, source in match.sources.items()
        }
        model = cls.make(
            config, read, seed=seed, dtype=dtype,
            device=None if device is None else str(device), **own,
        )  # fmt: skip
        if extended:
            model._take_own(found, report)
        return model

    def _take_own(self, found: Located, report: LoadReport) -> None:
        """Read the weights that a subclass adds, and warn about missing ones."""
        unexpected = {finding.name: finding for finding in report.unexpected}
        missing = []
        for name, value in self.own_weights().items():
            finding = unexpected.pop(name, None)
            if finding is not None and finding.found == tuple(value.shape):
                self.put_own(name, found.checkpoint.tensors[name].read())
            else:
                missing.append(Finding(name, in_encoder=False, expected=tuple(value.shape)))
        rest = LoadReport(
            missing=tuple(missing), unexpected=tuple(unexpected.values()), files=report.files
        )
        rest.check(name=found.name)

    def save_pretrained(
        self,
        folder: str | Path | None = None,
        *,
        state_dict: Mapping[str, Any] | None = None,
        is_main_process: bool = True,
        saved_model: bool = False,
        format: str | None = None,  # noqa: A002 - what it is called everywhere
        safe_serialization: bool = True,
        max_shard_size: str | int | None = None,
        **options: Any,
    ) -> None:
        """Write config.json and the weights into `folder`, making the folder if need be.

        Args:
            folder: Where to.  Also called save_directory.
            state_dict: Values to save instead of the model's, by their names in its state_dict.
            is_main_process: False writes nothing: another process does.
            saved_model: Of a TensorFlow model, write a SavedModel too, into saved_model/1.
            format: "safetensors" (as None, or "pt"): the hub's format, which both frameworks
                and transformers read; "h5" ("tf"): tf_model.h5; "tf-safetensors"; "bin".
            safe_serialization: False, as with transformers, is short for the framework's own
                old format: .bin from PyTorch, .h5 from TensorFlow.
            max_shard_size: Largest size of a file, such as "5GB"; None writes one file.
            **options: What else transformers knows is without effect or refused, see
                `distil.common.compatibility.keywords`.

        Raises:
            InputError: An argument is unknown or refused.
            CheckpointError: It cannot be written; what was there before is still whole.
        """
        folder = path_of(keywords.first_argument(folder, options, "save_directory"), "folder")
        keywords.saving(options)
        if saved_model and self.framework != "tf":
            raise InputError("only TensorFlow writes a SavedModel", where="saved_model")
        if not is_main_process:
            return
        if format is None:
            old = FRAMEWORKS[self.framework].old_format
            format = "safetensors" if safe_serialization else old  # noqa: A001
        config = self.config.replace(
            architectures=[TASKS[self.task].class_name], dtype=self.weights_dtype
        )
        save_checkpoint(
            folder,
            self.named_arrays() if state_dict is None else self._arrays_in(state_dict),
            own={
                name: self.as_array(value if state_dict is None else state_dict[name])
                for name, value in self.own_weights().items()
            },
            config=config,
            task=self.task,
            format=FORMAT_ALIASES.get(str(format), format),
            max_shard_size=max_shard_size,
            write_config=True,
        )
        if saved_model:
            model: Any = self
            model.export(folder / "saved_model" / "1")

    def _arrays_in(self, state_dict: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        """Values of a state_dict as `named_arrays` gives the model's own."""
        arrays = {name: self.as_array(value) for name, value in state_dict.items()}
        match = in_memory(arrays, name=None, config=self.config).match(self.task)
        wrong = [*match.report.missing, *match.report.mismatched]
        if wrong:
            raise InputError(
                "weights are missing or have another shape", where="state_dict",
                found=listed(finding.name for finding in wrong),
            )  # fmt: skip
        for name, source in match.sources.items():
            yield name, source.read()
