"""Keyword arguments of transformers' from_pretrained and save_pretrained.

Each is honoured, makes no difference here whatever it says, or is refused by name.  Values are
never shown in an error: some are secrets.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from distil.errors import InputError, shorten


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An argument that has no meaning here.

    Attributes:
        allowed: The values that ask for nothing.
        fix: What to do instead.
    """

    allowed: tuple[Any, ...] = (None, False)
    fix: str


_ONE_DEVICE = Refused(fix="a model is on one device: pass device=")
_PARALLEL = Refused(fix="load the model, then wrap it with the framework's own parallel classes")
_INT8 = Refused(fix='for int8, pass dtype="int8" to distil.load')
_UPLOAD = Refused(fix="save, then upload the folder with huggingface_hub's upload_folder")

# Choose between things that are one here.
_LOADS_ALIKE = (
    "_commit_hash", "_fast_init", "_from_auto", "_from_pipeline", "from_flax", "from_pt", "from_tf",
    "low_cpu_mem_usage", "resume_download", "trust_remote_code", "use_safetensors",
)  # fmt: skip
_SAVES_ALIKE = (
    "save_function", "save_original_format", "save_peft_format", "token", "use_auth_token",
)  # fmt: skip

_LOADING: Mapping[str, Refused] = {
    "adapter_kwargs": Refused(allowed=(None, {}), fix="load adapters with peft"),
    "attn_implementation": Refused(
        allowed=(None, "eager", "sdpa"), fix='leave it out: "sdpa" is used where it can be'
    ),
    "device_mesh": _PARALLEL,
    "force_download": Refused(fix="remove the model from the hub's cache"),
    "generation_config": Refused(fix="DistilBERT generates nothing"),
    "gguf_file": Refused(fix="convert it to safetensors"),
    "key_mapping": Refused(fix="rename the weights, and pass them as state_dict="),
    "load_in_4bit": _INT8,
    "load_in_8bit": _INT8,
    "max_memory": _ONE_DEVICE,
    "mirror": Refused(fix="set the environment variable HF_ENDPOINT"),
    "offload_buffers": _ONE_DEVICE,
    "offload_folder": _ONE_DEVICE,
    "offload_state_dict": _ONE_DEVICE,
    "proxies": Refused(fix="set the environment variable HTTPS_PROXY"),
    "quantization_config": _INT8,
    "tp_plan": _PARALLEL,
    "tp_size": _PARALLEL,
    "use_kernels": Refused(fix="leave it out"),
    "weights_only": Refused(allowed=(None, True), fix="no checkpoint may run code"),
}  # fmt: skip

_SAVING: Mapping[str, Refused] = {
    "commit_message": _UPLOAD,
    "create_pr": _UPLOAD,
    "private": _UPLOAD,
    "push_to_hub": _UPLOAD,
    "repo_id": _UPLOAD,
    "signatures": Refused(fix="use export, which takes input_signature="),
    "variant": Refused(fix="save into a folder of its own"),
}

# Handled by `from_pretrained` and `save_pretrained` themselves; here for the nearest name.
_OWN = (
    "cache_dir", "config", "device", "device_map", "dtype", "format", "ignore_mismatched_sizes",
    "is_main_process", "local_files_only", "max_shard_size", "output_loading_info", "revision",
    "safe_serialization", "saved_model", "seed", "state_dict", "subfolder", "token", "torch_dtype",
    "use_auth_token", "variant",
)  # fmt: skip


def loading(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of from_pretrained without those that make no difference, by their names here.

    Raises:
        InputError: One is refused, or given twice.
    """
    rest = without(options, _LOADS_ALIKE, _LOADING)
    rest = renamed(rest, "torch_dtype", "dtype")
    return renamed(rest, "use_auth_token", "token")


def saving(options: Mapping[str, Any]) -> None:
    """Refuse arguments of save_pretrained that ask for what is not done here.

    Raises:
        InputError: It is.
    """
    check_unknown(without(options, _SAVES_ALIKE, _SAVING))


def without(
    options: Mapping[str, Any], alike: Iterable[str], refused: Mapping[str, Refused]
) -> dict[str, Any]:
    """`options` without those that make no difference whatever they say, and those refused.

    Raises:
        InputError: One that is refused asks for something.
    """
    for name, rule in refused.items():
        if name in options and not any(options[name] is one or options[name] == one
                                       for one in rule.allowed):  # fmt: skip
            raise InputError("argument is not supported", where=name, fix=rule.fix)
    return {name: x for name, x in options.items() if name not in {*alike, *refused}}


def first_argument(value: Any, options: dict[str, Any], name: str) -> Any:
    """A first argument, which may be among `options` by transformers' name for it.

    Raises:
        InputError: It is not given, or twice.
    """
    if name in options and value is not None:
        raise InputError("argument is given twice", where=name)
    value = options.pop(name, value)
    if value is None:
        raise InputError("argument is missing", where=name)
    return value


def in_subfolder(name: Any, options: dict[str, Any]) -> Any:
    """The folder that `subfolder` among `options` means, below the one called `name`.

    Raises:
        InputError: It is not inside of it, or on the hub.
    """
    subfolder = options.pop("subfolder", None)
    if not subfolder:
        return name
    if not Path(name).is_dir():
        raise InputError(
            "subfolders are found in folders only", where="subfolder",
            fix="download the repository, and name its folder",
        )  # fmt: skip
    folder = Path(name) / subfolder
    if not folder.resolve().is_relative_to(Path(name).resolve()):
        raise InputError("not inside of the folder", found=shorten(subfolder), where="subfolder")
    return folder


def device_of(device_map: Any, first_accelerator: str | None) -> Any:
    """The device that a `device_map` means.

    Args:
        device_map: A device, "auto" and its kind, or a table with one device.
        first_accelerator: What "auto" takes; None leaves it to the framework.

    Raises:
        InputError: There are several devices.
    """
    if isinstance(device_map, Mapping):
        devices = set(map(str, device_map.values()))
        if len(devices) != 1:
            raise InputError(
                "a model is on one device", found=", ".join(sorted(devices)), where="device_map"
            )
        (device_map,) = device_map.values()
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        return first_accelerator
    return f"cuda:{device_map}" if isinstance(device_map, int) else device_map


def of_subclass(cls: type, options: dict[str, Any]) -> dict[str, Any]:
    """Those of `options` that a class's own __init__ takes by name, taken out of them."""
    named = inspect.signature(cls.__init__).parameters.keys()  # type: ignore[misc]
    names = named & options.keys() - {"self", "config", "initialise", "seed"}
    return {name: options.pop(name) for name in sorted(names)}


def check_unknown(names: Iterable[str], fields: Iterable[str] = ()) -> None:
    """Refuse arguments that nothing here takes, with the name that may be meant.

    Args:
        names: Of the arguments.
        fields: Of a configuration, which may be meant as well.

    Raises:
        InputError: There is one.
    """
    for name in names:
        if name in _OWN:
            raise InputError("argument is not taken here", where=name)
        near = get_close_matches(name, {*fields, *_OWN, *_LOADING, *_SAVING}, n=1)
        raise InputError(
            "unknown argument", found=shorten(name),
            fix=f"did you mean {near[0]}?" if near else None,
        )  # fmt: skip


def renamed(options: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """`options` with an argument under its present name, where the older one was used.

    Raises:
        InputError: Both names are used, for different values.
    """
    rest = {name: value for name, value in options.items() if name != old}
    value = options.get(old)
    if value is None:
        return rest
    if rest.get(new) not in (None, value):
        raise InputError(
            f"{old} and {new} are two names for one argument", where=old, fix=f"pass {new} alone"
        )
    return rest | {new: value}
