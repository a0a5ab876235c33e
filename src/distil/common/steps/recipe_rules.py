"""How a recipe's tables become typed sections: rules, nearest names, `key=value` overrides.

A section is a frozen dataclass whose fields carry a rule, as the fields of a configuration do
(`distil.common.rules`), or are sections themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from distil.common.rules import NATURAL, Rule, is_text
from distil.errors import ConfigError, shown
from distil.storage.files import parse_yaml

SectionType = TypeVar("SectionType", bound="Section")

Table = dict[str, Any]


NAMES = Rule(
    "a name, or a list of different ones",
    lambda v: isinstance(v, tuple) and all(map(is_text, v)) and len(set(v)) == len(v) > 0,
)
FILES = Rule(
    "a file, or a list of them",
    lambda v: isinstance(v, tuple) and len(v) > 0 and all(map(is_text, v)),
)
NUMBERS = Rule(
    "a list of integers, 0 or more",
    lambda v: isinstance(v, tuple) and len(v) > 0 and all(map(NATURAL.holds, v)),
)
PARTS = Rule(
    'a list of "embeddings" and numbers of layers, each once',
    lambda v: (
        isinstance(v, tuple)
        and all(part == "embeddings" or NATURAL.holds(part) for part in v)
        and len(set(v)) == len(v) > 0
    ),
)
COLUMNS = Rule(
    "a table from what is needed to the name of a column, or a list of names",
    lambda v: isinstance(v, dict) and all(is_text(c) or NAMES.holds(c) for c in v.values()),
)
OPTIONS = Rule("a table of names", lambda v: isinstance(v, dict) and all(map(is_text, v)))


def setting(rule: Rule, default: Any = MISSING) -> Any:
    """A field with its rule; one without a default has to be given."""
    return field(default=default, metadata={"rule": rule})


class Section:
    """A part of a recipe; made from a table by `read_section`, checked however it is made."""

    def __post_init__(self) -> None:
        for item in _fields(type(self)):
            rule = item.metadata.get("rule")
            value = getattr(self, item.name)
            if rule is not None and not rule.holds(value):
                raise refused(item.name, rule.words, value)
        self.check_together()

    def check_together(self) -> None:
        """Check what concerns more than one field.

        Raises:
            ConfigError: Two fields do not fit together.
        """


def refused(name: str, expected: str, found: Any) -> ConfigError:
    """The error for a value that breaks a rule."""
    return ConfigError(f"{name} is not valid", expected=expected, found=shown(found), where=name)


def read_section(section: type[SectionType], table: Any, where: str = "") -> SectionType:
    """A section from what a file holds.

    Args:
        section: Its class.
        table: Names and values; tables for sections within it.
        where: Its own name, with those of the sections around it: "data.".

    Raises:
        ConfigError: A name is unknown or missing, or a value breaks its rule.
    """
    if not isinstance(table, Mapping):
        name = where.rstrip(".") or "the recipe"
        raise ConfigError(
            f"{name} is not a section",
            expected="names and values", found=shown(table), where=name,
        )  # fmt: skip
    known = {item.name: item for item in _fields(section)}
    for name in table:
        if name not in known:
            raise _unknown(where, str(name), known)
    kinds = get_type_hints(section)
    values = {}
    for name, item in known.items():
        kind = section_of(kinds[name])
        if name not in table:
            if item.default is MISSING and item.default_factory is MISSING:
                raise ConfigError(f"{where}{name} is missing", where=where + name)
        elif kind is not None and not (table[name] is None and item.default is None):
            values[name] = read_section(kind, table[name], f"{where}{name}.")
        else:
            values[name] = _read_value(kinds[name], table[name])
    try:
        return section(**values)
    except ConfigError as error:
        if error.where is None or not where:
            raise
        raise ConfigError(
            f"{where}{error.problem}",
            expected=error.expected, found=error.found, where=f"{where}{error.where}",
            fix=error.fix,
        ) from None  # fmt: skip


def to_table(section: Any) -> Table:
    """A section as plain data, as `read_section` takes it."""
    table = {}
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            value = to_table(value)
        table[item.name] = list(value) if isinstance(value, tuple) else value
    return table


def override(table: Mapping[str, Any], assignments: Mapping[str, Any]) -> Table:
    """A copy of `table` with some values set.

    Args:
        table: Of a recipe.
        assignments: Values by dotted name: {"optimizer.learning_rate": 1e-4}.

    Raises:
        ConfigError: A name leads through something that is no section.
    """
    changed = _copy(table)
    for dotted, value in assignments.items():
        *path, last = dotted.split(".")
        place = changed
        for name in path:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                raise ConfigError(f"{name} is not a section", found=shown(place), where=dotted)
        # What the caller passed is not changed by assignments within it.
        place[last] = _copy(value) if isinstance(value, Mapping) else value
    return changed


def read_assignments(texts: Iterable[str]) -> Table:
    """Values by dotted name from `key=value` texts, the values read as YAML.

    Raises:
        ConfigError: A text is no assignment, or its value is not YAML.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError("not an assignment", expected="key=value", found=repr(text))
        found[name] = parse_yaml(value, where=name)
    return found


def differences(before: Any, after: Any, where: str = "") -> dict[str, tuple[Any, Any]]:
    """What two tables do not have in common: dotted name -> values."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return {} if before == after else {where.rstrip("."): (before, after)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in {**before, **after}:
        found |= differences(before.get(name), after.get(name), f"{where}{name}.")
    return found


def _fields(section: type) -> tuple[Field[Any], ...]:
    return fields(section)


def section_of(kind: Any) -> type[Section] | None:
    """The section class that a field is of, alone or beside None."""
    for one in _kinds(kind):
        if isinstance(one, type) and issubclass(one, Section):
            return one
    return None


def _kinds(kind: Any) -> tuple[Any, ...]:
    """The types that a field may be of."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _read_value(kind: Any, value: Any) -> Any:
    """`value` in the form that a field of this type keeps it in."""
    if float in _kinds(kind) and isinstance(value, str):
        # YAML takes 5e-5, without a point, for a text.
        try:
            return float(value)
        except ValueError:
            return value
    if any(get_origin(one) is tuple for one in _kinds(kind)):
        # A single text is a list of one, unless a text means something by itself.
        value = [value] if isinstance(value, str) and str not in _kinds(kind) else value
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, dict):
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    return value


def _unknown(where: str, name: str, known: Mapping[str, Any]) -> ConfigError:
    near = get_close_matches(name, known, n=1)
    return ConfigError(
        f"{where}{name} is unknown",
        expected=", ".join(known), found=shown(name), where=where + name,
        fix=f"did you mean {where}{near[0]}?" if near else None,
    )  # fmt: skip


def _copy(table: Mapping[str, Any]) -> Table:
    return {
        name: _copy(value) if isinstance(value, Mapping) else value for name, value in table.items()
    }
