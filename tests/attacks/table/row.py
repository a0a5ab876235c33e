"""What a row of the table of attacks is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attacks.made import Make


@dataclass(frozen=True)
class Attack:
    """One hostile folder.

    Attributes:
        about: What it comes in by, a key of `attacks.doors.WHERE`.
        name: What is done.
        make: Makes the folder.
        says: Part of the error, None if it does no harm.
        names: The file that the error has to name, "" for the folder.
        guards: What stops it, keys of `attacks.guards.GUARDS`: each of them alone is needed to
            see the attack refused as it is.  None where no code of distil does: the parser of
            the format itself does, or nobody reads what the attack has put there.
    """

    about: str
    name: str
    make: Make
    says: str | None
    names: str = ""
    guards: tuple[str, ...] = ()


def rows(
    about: str, names: str, guard: str, *given: tuple[str, Make, str | None]
) -> tuple[Attack, ...]:
    """Attacks that the same guards stop, named in `guard` with commas between them."""
    guards = tuple(filter(None, guard.split(", ")))
    return tuple(Attack(about, name, make, says, names, guards) for name, make, says in given)


def put(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one place in a table."""

    def change(table: dict[str, Any]) -> None:
        for step in path[:-1]:
            table = table[step]
        table[path[-1]] = to

    return change


NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
