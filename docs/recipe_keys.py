"""The table of a recipe's keys in training.md, made from `distil.common.steps.recipe`.

    python docs/recipe_keys.py      # writes it into training.md

A test holds the page against this, so that the two cannot drift apart.
"""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import get_type_hints

from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_rules import Section, section_of

PAGE = Path(__file__).with_name("training.md")
START, END = "<!-- keys: made by recipe_keys.py -->", "<!-- end of keys -->"


def table() -> str:
    """The table, as Markdown."""
    lines = ["| key | default | what it is |", "|---|---|---|"]
    return "\n".join([*lines, *_rows(Recipe, "")])


def _rows(section: type[Section], prefix: str) -> Iterator[str]:
    kinds, meanings = get_type_hints(section), _meanings(section)
    inner = {item.name: section_of(kinds[item.name]) for item in fields(section)}
    for item in fields(section):
        if inner[item.name] is None:
            yield f"| `{prefix}{item.name}` | {_default(item)} | {meanings[item.name]} |"
    for name, found in inner.items():
        if found is not None:
            yield f"| **{name}** | | {_summary(found)} |"
            yield from _rows(found, f"{name}.")


def _default(item: Field) -> str:
    if item.default is not MISSING:
        return f"`{'null' if item.default is None else str(item.default).lower()}`"
    return "" if item.default_factory is MISSING else "none"


def _summary(section: type[Section]) -> str:
    return inspect.getdoc(section).splitlines()[0]


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


def replaced(page: str) -> str:
    """`page` with the table as it should be."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
