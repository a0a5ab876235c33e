"""The rooms of the house: a file imports only from rooms below its own, and nothing in a circle.

Imports are read by `ast`: lazy ones, and those for type checkers alone, count like any other.
"""

import ast
from pathlib import Path

import pytest

import distil

SOURCE = Path(distil.__file__).parent

# From the ground up.  Rooms on one floor never import each other.
FLOORS = (
    ("errors", "arrays"),
    ("storage",),
    ("common",),
    ("frameworks",),
    ("checkpoints", "reading", "keras_names", "measures"),
    ("pt", "tf", "engines"),
    ("optimization",),
    ("api",),
    ("pipelines", "training", "parity", "inspection"),
    (
        "prediction",
        "conversion",
        "evaluation",
        "serving",
        "sklearn",
        "publishing",
    ),
    ("benchmarking",),  # it judges by evaluation
    ("exporting",),  # its proof runs in the workers of benchmarking
    ("ray",),
    ("",),  # the public names
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, start=1) for room in rooms}


def name_of(path):
    return (
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        .removesuffix("__init__")
        .rstrip(".")
    )


MODULES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def room_of(module):
    return module.partition(".")[0]


def imported(path):
    """The modules of this package that a file imports, each with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, module = name.partition(".")
            if package == "distil":
                # `from distil.common import hub` imports a module, `... import Task` from one.
                yield (module if module in MODULES else module.rpartition(".")[0]), node.lineno


def upward(module, found):
    """Those of the modules imported that are neither in the same room nor on a floor below."""
    room = room_of(module)
    return [
        f"{module}:{line} imports {other or 'distil'}"
        for other, line in found
        if room_of(other) != room and FLOOR[room_of(other)] >= FLOOR[room]
    ]


def test_every_room_has_a_floor():
    assert {room_of(module) for module in MODULES} == set(FLOOR)


def test_nothing_is_imported_from_above():
    assert [line for name, path in MODULES.items() for line in upward(name, imported(path))] == []


@pytest.mark.parametrize(
    "other", ["api", "tf.model", "pt", "", "engines.graph"], ids=lambda name: name or "distil"
)
def test_an_import_from_above_is_seen(other):
    assert upward("pt.model" if other != "pt" else "tf.model", [(other, 1)])


def test_there_are_no_circles():
    graph = {
        name: {other for other, _ in imported(path)} - {name} for name, path in MODULES.items()
    }
    while leaves := [name for name, others in graph.items() if not others]:
        for name in leaves:
            del graph[name]
        graph = {name: others.difference(leaves) for name, others in graph.items()}
    assert graph == {}, "what is left imports itself by way of the others"
