"""The forms that a model can be exported to: one row each, and one module of the same name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from distil.arrays import Array
from distil.errors import InputError, not_installed, shown
from distil.exporting.source import Source

# What a file is called in each type; transformers.js looks for these names.
STEMS: Mapping[str, str] = {
    "float32": "model", "float16": "model_fp16", "int8": "model_quantized",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form.

    Attributes:
        name: What it is called in `distil.export`, and its module in this package.
        title: What it is called in text.
        dtypes: The types it is written in.
        packages: What writes and runs it, by the names that are imported.
        runtime: The one of them that runs it.
        extra: The extra of distil that brings them.
        framework: The framework whose model it is made from; None where none is needed.
        alone: Whether a folder holds one type only.
        calibrates: Whether int8 needs ranges of activations that are measured beforehand.
    """

    name: str
    title: str
    dtypes: tuple[str, ...]
    packages: tuple[str, ...]
    runtime: str
    extra: str
    framework: str | None = None
    alone: bool = False
    calibrates: bool = False

    @property
    def module(self) -> FormModule:
        """What writes and runs it."""
        return cast(FormModule, importlib.import_module(f"distil.exporting.{self.name}"))

    @property
    def runtime_version(self) -> str:
        """The runtime with its version."""
        name = _distribution(self.runtime)
        return f"{name} {version(name)}"

    @property
    def versions(self) -> dict[str, str]:
        """Of distil, and of what writes and runs the form, by package."""
        own = {package: version(_distribution(package)) for package in self.packages}
        return {"distil": version("distil")} | own

    def check_installed(self) -> None:
        """Refuse where a package is missing.

        Raises:
            FrameworkError: One is; the message names the extra.
        """
        for package in self.packages:
            if find_spec(package) is None:
                raise not_installed(package, where=f"form {self.name!r}", extra=self.extra)


@cache
def _distribution(package: str) -> str:
    """The distribution that brings a package; its name may differ, as in onnxruntime-gpu."""
    return packages_distributions()[package][0]


class Runtime(Protocol):
    """A file, ready to run."""

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name, of int64 arrays; see `distil.exporting.source.Source.outputs`."""


class FormModule(Protocol):
    """What the module of a form holds."""

    def write(self, source: Source, folder: Path, dtype: str) -> Path:
        """Write the model below a folder; gives the file or folder that the runtime opens."""

    def open_runtime(self, path: Path) -> Runtime:
        """Open what `write` gave, in the form's own runtime."""


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form(
            name="onnx",
            title="ONNX",
            dtypes=("float32", "float16", "int8"),
            packages=("onnx", "onnxruntime"),
            runtime="onnxruntime",
            extra="onnxruntime",
            calibrates=True,
        ),
        Form(
            name="openvino",
            title="OpenVINO",
            dtypes=("float32", "float16", "int8"),
            packages=("openvino",),
            runtime="openvino",
            extra="openvino",
            calibrates=True,
        ),
        Form(
            name="pt2",
            title="torch.export",
            dtypes=("float32", "float16"),
            packages=("torch",),
            runtime="torch",
            extra="pt",
            framework="pt",
        ),
        Form(
            name="savedmodel",
            title="SavedModel",
            dtypes=("float32", "float16"),
            packages=("tensorflow", "keras"),
            runtime="tensorflow",
            extra="tf",
            framework="tf",
        ),
        Form(
            name="litert",
            title="LiteRT",
            dtypes=("float32", "float16", "int8"),
            packages=("tensorflow", "keras", "ai_edge_litert", "ai_edge_quantizer"),
            runtime="ai_edge_litert",
            extra="litert",
            framework="tf",
        ),
        Form(
            name="executorch",
            title="ExecuTorch",
            dtypes=("float32", "int8"),
            packages=("torch", "executorch", "torchao"),
            runtime="executorch",
            extra="executorch",
            framework="pt",
        ),
        Form(
            name="web",
            title="a page",
            dtypes=("float32", "float16", "int8"),
            packages=("onnx", "onnxruntime"),
            runtime="onnxruntime",
            extra="onnxruntime",
            calibrates=True,
            alone=True,
        ),
    )
}


def find_form(name: str) -> Form:
    """The form called `name`.

    Raises:
        InputError: There is none.
    """
    found = FORMS.get(name) if isinstance(name, str) else None
    if found is None:
        near = get_close_matches(str(name), FORMS, n=1)
        raise InputError(
            "unknown form", expected=", ".join(FORMS), found=shown(name), where="to",
            fix=f"did you mean {near[0]!r}?" if near else None,
        )  # fmt: skip
    return found


def check_dtype(form: Form, dtype: str) -> None:
    """Refuse a type that a form is not written in.

    Raises:
        InputError: It is not.
    """
    if dtype not in form.dtypes:
        raise InputError(
            f"{form.title} is not written in this type", expected=" or ".join(form.dtypes),
            found=shown(dtype), where="dtype",
        )  # fmt: skip
