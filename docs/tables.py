"""The tables that are made from the code: weight names, keys of a recipe, rooms of the package.

    python docs/tables.py      # writes each into its page

A test compares the pages with this file, so that they cannot drift apart.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import get_type_hints

from distil.common import spec
from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_rules import Section, section_of

ROOT = Path(__file__).parents[1]
END = "<!-- end of the table -->"

_TRANSPOSED = " (transposed)"


def names() -> Iterator[str]:
    """The names and shapes of all weights, in each kind of file; from `distil.common.spec`."""
    yield "| in PyTorch files | shape there | in TensorFlow files | in a BERT's PyTorch files |"
    yield "|---|---|---|---|"
    parts = {"every model": (*spec.EMBEDDINGS, *spec.LAYER)}
    parts |= {task: rows for task, rows in spec.HEADS.items() if rows}
    for part, rows in parts.items():
        yield f"| **{part}** | | | |"
        for row in rows:
            yield from _weights(row)


def _weights(row: spec.Row) -> Iterator[str]:
    in_encoder = row in spec.EMBEDDINGS or row in spec.LAYER
    layer = "N" if "{}" in row.name else None
    module = row.name.replace("{}", "N")
    prefix = spec.ENCODER_PREFIX if in_encoder else ""
    for leaf, pt in spec.LEAVES["pt"][row.kind].items():
        tf = spec.LEAVES["tf"][row.kind][leaf]
        path = spec.tf_path(row.name, layer, tf.name)
        letters = row.shape.split()[: None if leaf == "weight" else 1]
        bert = f"`{row.bert.replace('{}', 'N')}.{pt.name}`" if row.bert else ""
        yield (
            f"| `{f'({prefix}.)' if prefix else ''}{module}.{pt.name}` | {', '.join(letters)} "
            f"| `{f'{prefix}/' if prefix else ''}{path}`{_TRANSPOSED if tf.transposed else ''} "
            f"| {bert} |"
        )


def keys() -> Iterator[str]:
    """Every key of a recipe, its default and meaning; from `distil.common.steps.recipe`."""
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    yield from _section(Recipe, "")


def _section(section: type[Section], prefix: str) -> Iterator[str]:
    kinds, meanings = get_type_hints(section), _meanings(section)
    inner = {item.name: section_of(kinds[item.name]) for item in fields(section)}
    for item in fields(section):
        if inner[item.name] is None:
            yield f"| `{prefix}{item.name}` | {_default(item)} | {meanings[item.name]} |"
    for name, found in inner.items():
        if found is not None:
            yield f"| **{prefix}{name}** | | {inspect.getdoc(found).splitlines()[0]} |"
            yield from _section(found, f"{prefix}{name}.")


def _default(item: Field) -> str:
    if item.default is not MISSING:
        return f"`{'null' if item.default is None else str(item.default).lower()}`"
    return "" if item.default_factory is MISSING else "none"


def _meanings(section: type[Section]) -> dict[str, str]:
    """What the docstring says of each field, under "Attributes:"."""
    _, _, text = inspect.getdoc(section).partition("Attributes:\n")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("        "):
            name, _, meaning = line.partition(":")
            found[name.strip()] = meaning.strip()
        else:
            found[list(found)[-1]] += f" {line.strip()}"
    return found


def rooms() -> Iterator[str]:
    """The rooms of the package, the lowest floor last; from `tests/unit/test_floors.py`."""
    tree = ast.parse((ROOT / "tests/unit/test_floors.py").read_text(encoding="utf-8"))
    (floors,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "FLOORS"
    )
    yield "| floor | room | what is in it |"
    yield "|---|---|---|"
    for number, names in reversed(list(enumerate(floors, start=1))):
        for name in names:
            path = ROOT / "src/distil" / name
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            if path.exists():
                yield f"| {number} | `{name or 'distil'}` | {_first_paragraph(path)} |"


def _first_paragraph(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return " ".join(text.split("\n\n")[0].split())


TABLES: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "names": ("docs/checkpoints.md", names),
    "keys": ("docs/training.md", keys),
    "rooms": ("CONTRIBUTING.md", rooms),
}


def replaced(page: str, table: str) -> str:
    """The text of a page with a table as it should be."""
    start = f"<!-- table: {table} -->"
    before, found, rest = page.partition(start)
    assert found, f"no {start}"
    _, _, after = rest.partition(END)
    return "\n".join([f"{before}{start}", *TABLES[table][1](), f"{END}{after}"])


if __name__ == "__main__":
    for table, (name, _) in TABLES.items():
        page = ROOT / name
        page.write_text(replaced(page.read_text(encoding="utf-8"), table), encoding="utf-8")
