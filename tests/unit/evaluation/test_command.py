"""`distil evaluate` on the command line, with the model that comes with the package."""

import json

import pytest

from distil.cli import main
from distil.evaluation import evaluate

pytest.importorskip("sklearn")
pytestmark = pytest.mark.pt


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text(
        "sentence\tlabel\nA joy from start to end.\t1\nTwo hours I will not get back.\tnegative\n"
        "A fine film.\tnegative\n"
    )
    return path


def test_json_is_what_the_function_gives(rows, capsys):
    assert main(["evaluate", "sst2-small", str(rows), "--framework", "pt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = evaluate("sst2-small", rows, framework="pt").to_dict()
    for table in (found, expected):
        del table["speed"]
    assert found == json.loads(json.dumps(expected))
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert {"task", "rows", "main", "metrics"} <= found.keys()


def test_the_table(rows, capsys):
    assert main(["evaluate", "sst2-small", str(rows), "--against", "float32"]) == 0
    out = capsys.readouterr().out
    assert "0 rows are answered differently" in out
    assert "accuracy" in out
    assert "0.6667" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text-column", "nope"], "'nope'"),
        (["--columns", "text"], "FIELD=NAME"),
        (["--slices", "nope"], "no such column"),
        (["--predictions", "x.doc"], "format"),
        (["--rows", "0"], "no rows"),
    ],
)
def test_wrong_use(rows, capsys, arguments, words):
    assert main(["evaluate", "sst2-small", str(rows), *arguments]) == 2
    assert words in capsys.readouterr().err
