"""Lets Keras find distil's classes in a `.keras` file before TensorFlow has been loaded for them.

Keras finds a class by the name it was registered under, and a class is registered when its module
is imported.  `import distil` imports no framework; so it leaves word, and once Keras has been
imported, for whatever reason, each class is known by a stand-in, which imports the class when it
is asked for.  What imports `distil.tf` puts the classes themselves in their place.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from typing import Any

_MODULE = "keras.saving"  # has the register


class StandIn:
    """Has what Keras asks of a class that it finds in a file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def from_config(self, config: Any) -> Any:
        """A model as the class's own `from_config` makes it."""
        from distil.frameworks import import_framework  # noqa: PLC0415

        return getattr(import_framework("tf"), self.name).from_config(config)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself, but sees that the module with the register is imported."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _register(self._names, module)

            loader.exec_module = exec_module
        return spec


def register(names: Iterable[str]) -> None:
    """Let Keras know classes of `distil.tf`, now or when it is imported."""
    if _MODULE in sys.modules:
        _register(names, sys.modules[_MODULE])
    else:
        sys.meta_path.insert(0, _Finder(names))


def _register(names: Iterable[str], saving: Any) -> None:
    known = saving.get_custom_objects()
    for name in names:
        known.setdefault(f"distil>{name}", StandIn(name))
