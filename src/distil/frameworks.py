"""What computes a model: the available frameworks and engines, and which one is chosen."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal, get_args

from distil.common.inference.model import AUTO, PACKED, find_engine
from distil.common.tasks import Task
from distil.errors import FrameworkError, InputError, not_installed, shown

# What callers may name each by, for type checkers too; its own name first.
PyTorch = Literal["pt", "torch", "pytorch"]
TensorFlow = Literal["tf", "tensorflow", "keras"]

ENVIRONMENT_VARIABLE = "DISTIL_FRAMEWORK"


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework that models are written in.

    Attributes:
        name: Its name in arguments, and its package below `distil`.
        title: Its name in text.
        packages: The packages it needs, the framework itself first.
        aliases: Other names accepted for it.
        class_prefix: The prefix of its model classes' names.
        old_format: The format of its checkpoints before safetensors.
        maps_files: Whether its weights may be views of a file's memory map.
        dtype_of_bfloat16: The type in which a model to be trained in bfloat16 is loaded.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    aliases: tuple[str, ...]
    class_prefix: str = ""
    old_format: str
    maps_files: bool
    dtype_of_bfloat16: str

    @property
    def is_installed(self) -> bool:
        """Whether the framework itself can be imported."""
        return find_spec(self.packages[0]) is not None


_FRAMEWORKS = (
    Framework(
        name="pt",
        title="PyTorch",
        packages=("torch",),
        aliases=get_args(PyTorch)[1:],
        old_format="bin",
        maps_files=True,
        dtype_of_bfloat16="float32",
    ),
    Framework(
        name="tf",
        title="TensorFlow",
        packages=("tensorflow", "keras"),
        aliases=get_args(TensorFlow)[1:],
        class_prefix="TF",
        old_format="h5",
        maps_files=False,
        dtype_of_bfloat16="mixed_bfloat16",
    ),
)
FRAMEWORKS: Mapping[str, Framework] = {framework.name: framework for framework in _FRAMEWORKS}
# The packages that each engine needs.
ENGINE_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnx"),
}  # fmt: skip
# The engines' names in text.
ENGINE_TITLES: Mapping[str, str] = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_BY_ANY_NAME = {
    name: framework.name
    for framework in _FRAMEWORKS
    for name in (framework.name, *framework.aliases)
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """What computes a model, in which type of numbers, and where.

    Attributes:
        framework: "pt" or "tf"; None where an engine computes without one.
        engine: One of `distil.common.inference.model.ENGINES`, for inference alone; None for the
            model itself.
        dtype: Of the numbers, by name.
        device: Where; None leaves it to the framework.
        threads: How many an engine computes with; None takes one a core.
    """

    framework: str | None
    engine: str | None
    dtype: str
    device: Any = None
    threads: int | None = None

    @property
    def title(self) -> str:
        """What computes, as it is called in text."""
        return title_of(self.framework or str(self.engine))


def choose_form(
    *, framework: str | None = None, engine: str | None = None, dtype: Any = None,
    device: Any = None, threads: int | None = None,
) -> Form:  # fmt: skip
    """What a caller asks for, with everything that was left open decided.

    Args:
        framework: As in `find_framework`.
        engine: None for the model itself, unless `dtype` is "int8": no framework trains in it.
        dtype: Of the numbers, or its name; None for "float32".
        device: Where; None leaves it to the framework.
        threads: How many an engine computes with; None takes one a core.

    Raises:
        FrameworkError: The framework is unknown or not installed.
        InputError: There is no such engine, or it cannot have that many threads.
    """
    dtype = str(dtype or "float32").removeprefix("torch.")
    engine = choose_engine(engine, framework=framework, dtype=dtype, device=device)
    engine = engine or (PACKED if dtype == "int8" else None)
    chosen = find_framework(framework) if engine in (None, PACKED) else None
    check_threads(threads, engine)
    if chosen is not None:
        import_framework(chosen)
    return Form(framework=chosen, engine=engine, dtype=dtype, device=device, threads=threads)


def choose_engine(
    engine: str | None, *, framework: str | None = None, dtype: str = "float32", device: Any = None
) -> str | None:
    """`engine`, or for "auto" the fastest that is installed.

    That is OpenVINO, then PyTorch, then ONNX Runtime (docs/performance.md).  Where a framework or
    a device is named, engines cannot be meant: then it is "packed".

    Raises:
        InputError: There is no engine of that name.
    """
    engine = find_engine(engine)
    if engine != AUTO:
        return engine
    if framework is not None or not is_cpu(device):
        return PACKED
    if engine_is_installed("openvino"):
        return "openvino"
    if FRAMEWORKS["pt"].is_installed or not engine_is_installed("onnxruntime"):
        return PACKED
    return PACKED if dtype == "bfloat16" else "onnxruntime"  # which has no bfloat16


def is_cpu(device: Any) -> bool:
    """Whether a device is the CPU, by name or as PyTorch has it; None leaves it open."""
    return device is None or str(device) == "cpu"


def engine_is_installed(engine: str) -> bool:
    """Whether all that an engine is imported from is there."""
    return all(find_spec(package) is not None for package in ENGINE_PACKAGES[engine])


def check_threads(threads: int | None, engine: str | None) -> None:
    """Refuse a number of threads that cannot be honoured.

    Raises:
        InputError: It is not a positive integer, or what computes is a framework.
    """
    if threads is None:
        return
    if type(threads) is not int or threads < 1:
        raise InputError(
            "not a number of threads", expected="a positive integer", found=shown(threads),
            where="threads",
        )  # fmt: skip
    if engine in (None, PACKED):
        raise InputError(
            "a framework has one number of threads for the whole process",
            expected=f"threads with engine {' or '.join(map(repr, ENGINE_PACKAGES))}",
            found=f"engine {engine!r}", where="threads",
            fix="choose such an engine, or call torch.set_num_threads or "
            "tf.config.threading.set_intra_op_parallelism_threads",
        )  # fmt: skip


def title_of(computer: str) -> str:
    """What a framework or an engine is called in text, by its name."""
    found = FRAMEWORKS.get(computer)
    return ENGINE_TITLES.get(computer, computer) if found is None else found.title


def find_framework(name: str | None = None) -> str:
    """Find "pt" or "tf" by any of its names.

    Args:
        name: None takes the environment variable DISTIL_FRAMEWORK, else the framework that is
            installed, else "pt".

    Raises:
        FrameworkError: There is no framework of that name.
    """
    where = "framework"
    if name is None and ENVIRONMENT_VARIABLE in os.environ:
        name, where = os.environ[ENVIRONMENT_VARIABLE], f"the variable {ENVIRONMENT_VARIABLE}"
    if name is None:
        return next((one.name for one in _FRAMEWORKS if one.is_installed), "pt")
    found = _BY_ANY_NAME.get(str(name).lower())
    if found is None:
        raise FrameworkError(
            "unknown framework", expected=" or ".join(FRAMEWORKS), found=repr(name), where=where
        )
    return found


def import_framework(name: str) -> ModuleType:
    """The package `distil.pt` or `distil.tf`.

    Raises:
        FrameworkError: Its framework is not installed.
    """
    framework = FRAMEWORKS[name]
    if not framework.is_installed:
        raise not_installed(framework.packages[0], where=f"framework {name!r}", extra=name)
    return importlib.import_module(f"distil.{name}")


def part(framework: str, module: str) -> ModuleType:
    """A module of a framework's package, as "inference.packed"; the framework is installed."""
    return importlib.import_module(f"distil.{framework}.{module}")


def model_class(framework: str, task: Task) -> Any:
    """A framework's class for a task.

    Args:
        framework: "pt" or "tf".
        task: See `distil.common.tasks`.

    Raises:
        FrameworkError: The framework is not installed.
    """
    prefix = FRAMEWORKS[framework].class_prefix
    return getattr(import_framework(framework), prefix + task.class_name)
