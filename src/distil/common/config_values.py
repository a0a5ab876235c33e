"""The values of a configuration's fields: as written in files, and as stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from distil.common.config_rules import ID2LABEL, LABELS
from distil.common.rules import Rule, is_integer
from distil.errors import ConfigError, shown

# Other names for a field: accepted as arguments, attributes and in files, never written.
ALIASES = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "torch_dtype": "dtype",
    "use_return_dict": "return_dict",
}


def refuse(name: str, expected: str, found: Any) -> NoReturn:
    """Raise the error for a value that a field cannot have."""
    raise ConfigError(f"{name} is not valid", expected=expected, found=shown(found), where=name)


def checked(name: str, value: Any, rule: Rule) -> Any:
    """`value` as the field stores it, if it satisfies the field's rule."""
    if name in ("id2label", "pruned_heads") and isinstance(value, Mapping):
        numbered = {_integer_key(name, key): item for key, item in value.items()}
        if len(numbered) != len(value):
            refuse(name, "each number once", list(value))
        value = numbered
    if name == "pruned_heads" and isinstance(value, dict):
        value = {k: sorted(v) if isinstance(v, set | tuple) else v for k, v in value.items()}
    if name == "dtype" and value is not None:
        value = str(value).removeprefix("torch.")
    if not rule.holds(value):
        refuse(name, rule.words, value)
    return value


def _integer_key(name: str, key: Any) -> int:
    """The key of a table keyed by numbers, which JSON turns into strings."""
    if is_integer(key):
        return int(key)
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 10:
        return int(key)
    refuse(name, "integers as keys", key)


def native_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with every alias replaced by the field's own name."""
    native: dict[str, Any] = {}
    for name, value in values.items():
        own = ALIASES.get(name, name)
        if own in native and native[own] != value:
            raise ConfigError(
                f"{own} is given twice, with different values",
                found=f"{shown(native[own])} and {shown(value)}", where=f"{own}, {name}",
            )  # fmt: skip
        native[own] = value
    return native


def with_labels(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with id2label and label2id derived from num_labels or from each other."""
    values = dict(values)
    count = values.pop("num_labels", None)
    labels = values.get("id2label")
    if labels is None:
        values.pop("id2label", None)
        if count is None:
            return values
        if not LABELS.holds(count):
            refuse("num_labels", LABELS.words, count)
        labels = {number: f"LABEL_{number}" for number in range(count)}
    labels = checked("id2label", labels, ID2LABEL)
    if count is not None and count != len(labels):
        refuse("num_labels", f"the length of id2label ({len(labels)})", count)
    values["id2label"] = labels
    if values.get("label2id") is None:
        values["label2id"] = {label: number for number, label in labels.items()}
    return values
