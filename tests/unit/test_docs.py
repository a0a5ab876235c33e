"""The documentation, besides its examples: tables, names, rooms.  `tox -e docs` builds it."""

import importlib.util
import re
from pathlib import Path

import pytest

import distil

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def script():
    found = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("table", "rows"), [("names", 40), ("keys", 60), ("rooms", 20)])
def test_tables_made_from_the_code(table, rows):
    made = script()
    name, make = made.TABLES[table]
    page = (ROOT / name).read_text(encoding="utf-8")
    assert len(list(make())) >= rows
    assert made.replaced(page, table) == page, "run python docs/tables.py"


def test_the_reference_has_every_public_name_once():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    names = re.findall(
        r"^\.\. auto(?:function|class|exception):: distil\.(\w+)$", page, re.MULTILINE
    )
    assert sorted(names) == distil.__all__


def test_what_earlier_versions_got_wrong_has_its_tests():
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    table = page.partition("<!-- table: found -->")[2].partition("<!-- end")[0]
    rows = [row.split(" | ")[1] for row in table.strip().splitlines()[2:]]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)`(?:::`(\w+)`)?(?:: ([^`]+?)(?=, `|$))?", row)
        assert named, row
        for file, function, attack in named:
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not function or f"def {function}(" in text, row
            assert attack in text, row
