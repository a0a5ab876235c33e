"""Guards are needed: with one taken away, the attacks that it stops fare differently.

`attacks/without.py` tries them; docs/attacks.md says what comes of each.
"""

from __future__ import annotations

import re
import sys

import pytest

from attacks.guards import GUARDS
from attacks.table import ATTACKS
from attacks.without import PAGE, Outcomes, guards, outcomes, table, versions

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's /proc")


def check(found: Outcomes) -> None:
    refused_all_the_same = [
        f"{ATTACKS[number].name} without {guard}: {outcome}"
        for (number, guard), outcome in found.items()
        if re.search(ATTACKS[number].says or "^loads$", outcome)
    ]
    assert not refused_all_the_same
    text = PAGE.read_text()
    assert set(guards()) <= set(text.splitlines()), "run python -m attacks.without"
    if versions() in text:
        assert set(table(found)) <= set(text.splitlines()), "run python -m attacks.without"


def test_guards() -> None:
    check(outcomes(with_torch=False))


@pytest.mark.pt
def test_guards_of_pickles() -> None:
    check(outcomes(with_torch=True))


def test_every_guard_has_an_attack() -> None:
    used = {one for attack in ATTACKS for guard in attack.guards for one in guard.split(" + ")}
    assert used == set(GUARDS)
