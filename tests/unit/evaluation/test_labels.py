"""`distil.evaluate` of models that give a text several labels: scikit-learn's figures, and more."""

import json
import warnings

import numpy as np
import pytest

from distil.cli import main
from distil.errors import InputError
from distil.evaluation import evaluate
from distil.measures.metrics import LABELS
from distil.measures.table import Table, compare, estimates
from distil.pipelines import PIPELINES
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel

scores = pytest.importorskip("sklearn.metrics")

NAMES = ("sport", "money", "art", "war")
TEXTS = (
    "the good film", "who was born", "it is bad", "paris", "a film", "the bad film is good",
    "who is it", "born in paris", "good", "bad is bad", "in the film", "it was the good",
)  # fmt: skip
# "war" is no row's; one row has no label.
RIGHT = (
    ["sport"], ["money", "art"], [], ["sport", "art"], ["art"], ["money"],
    ["sport", "money", "art"], ["sport"], ["money"], ["art"], ["sport", "money"], ["art"],
)  # fmt: skip
ROWS = [{"text": text, "label": labels} for text, labels in zip(TEXTS, RIGHT, strict=True)]


def fake(names=NAMES, *, problem_type="multi_label_classification", **options):
    labels = dict(enumerate(names))
    model = FakeModel(
        "sequence-classification", id2label=labels, problem_type=problem_type, **options
    )
    return PIPELINES["sequence-classification"](model, make_tokenizer())


def matrices(pipe, threshold=0.5):
    """Which labels apply, and with what probability (n c)."""
    expected = np.array([[name in row["label"] for name in NAMES] for row in ROWS], float)
    found = pipe([row["text"] for row in ROWS], top_k=None)
    by_name = [{one["label"]: one["score"] for one in ranked} for ranked in found]
    probabilities = np.array([[one[name] for name in NAMES] for one in by_name])
    return expected, probabilities, (probabilities > threshold).astype(float)


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7])
def test_the_figures_are_those_of_scikit_learn(threshold):
    pipe = fake()
    expected, probabilities, predicted = matrices(pipe, threshold or 0.5)
    found = evaluate(pipe, ROWS, threshold=threshold)
    assert found.main == "f1_micro"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that nothing is known of
        wanted = {
            "f1_micro": scores.f1_score(expected, predicted, average="micro"),
            "f1_macro": scores.f1_score(expected, predicted, average="macro"),
            "exact_match": scores.accuracy_score(expected, predicted),
        }
        each = scores.precision_recall_fscore_support(expected, predicted, zero_division=0)
    assert {n: one.value for n, one in found.metrics.items()} == pytest.approx(wanted, abs=1e-12)
    assert tuple(found.labels) == NAMES
    for number, one in enumerate(found.labels.values()):
        figures = (one.precision, one.recall, one.f1)
        assert [x.value for x in figures] == pytest.approx([part[number] for part in each[:3]])
        assert one.rows == each[3][number]
        assert all(x.low <= x.value <= x.high for x in figures)
    assert all(one.low <= one.value <= one.high for one in found.metrics.values())
    assert found.metrics["f1_micro"].low < found.metrics["f1_micro"].high
    brier = ((probabilities - expected) ** 2).sum(axis=1).mean()
    assert found.calibration.brier == pytest.approx(brier)
    loss = len(NAMES) * np.mean([
        scores.log_loss(expected[:, n], probabilities[:, n], labels=[0, 1]) for n in range(4)
    ])  # fmt: skip
    assert found.calibration.nll == pytest.approx(loss)
    assert sum(rows for *_, rows in found.calibration.bins) == expected.size
    bins = np.array_split(np.argsort(probabilities, axis=None, kind="stable"), 15)
    gaps = [abs((probabilities.ravel()[some] - expected.ravel()[some]).sum()) for some in bins]
    assert found.calibration.ece == pytest.approx(sum(gaps) / expected.size)


def test_a_single_label_is_a_matrix_as_well():
    """Not two classes, of which micro F1 would be the accuracy."""
    random = np.random.default_rng(0)
    expected, predicted = random.integers(0, 2, (2, 30, 1)).astype(float)
    table = Table.of({"expected": expected, "predicted": predicted,
                      "score": (expected == predicted).all(axis=1)})  # fmt: skip
    found = estimates(table, LABELS, seed=0)
    wanted = scores.f1_score(expected[:, 0], predicted[:, 0])
    assert found["f1_micro"].value == found["f1_macro"].value == pytest.approx(wanted)


def test_a_label_that_no_row_has_counts_as_0():
    random = np.random.default_rng(0)
    expected, predicted = random.integers(0, 2, (2, 30, 3)).astype(float)
    expected[:, 2] = predicted[:, 2] = 0
    table = Table.of({"expected": expected, "predicted": predicted,
                      "score": (expected == predicted).all(axis=1)})  # fmt: skip
    wanted = scores.f1_score(expected, predicted, average="macro", zero_division=0)
    assert estimates(table, LABELS, seed=0)["f1_macro"].value == pytest.approx(wanted)


def test_a_label_that_a_resample_lacks_does_not_count_there():
    """Of two labels, the rare one is found; no resample is below the common one's F1."""
    expected = np.zeros((50, 2))
    expected[:, 0] = expected[0, 1] = 1
    table = Table.of({"expected": expected, "predicted": expected, "score": np.ones(50)})
    assert estimates(table, LABELS, seed=0)["f1_macro"].low == 1


def test_names_numbers_and_columns_are_alike():
    named = evaluate(fake(), ROWS)
    numbered = [{**row, "label": [NAMES.index(one) for one in row["label"]]} for row in ROWS]
    marked = [
        {"text": row["text"], **{name: int(name in row["label"]) for name in NAMES}}
        for row in ROWS
    ]  # fmt: skip
    texts = [{name: str(value) for name, value in row.items()} for row in marked]
    # In another order, and without the label that nobody has.
    columns = {"label": ["art", "money", "sport"]}
    assert evaluate(fake(), numbered).metrics == named.metrics
    for rows in (marked, texts):
        assert evaluate(fake(), rows, columns=columns).metrics == named.metrics


def test_frames():
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for table in (pandas.DataFrame(ROWS), pyarrow.Table.from_pylist(ROWS)):
        assert evaluate(fake(), table).metrics == evaluate(fake(), ROWS).metrics


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("sport", "labels are not a list"),
        (None, "no 'label'"),
        (["sport", "sport"], "label is there twice"),
        ([0.0, 1.0, 0.0, 0.0], "neither a name nor a number"),
        ([0, 1, 1, 0], "label is there twice"),  # a vector of 0 and 1
        ([True], "neither a name nor a number"),
        (["chess"], "no such label"),
        ([4], "no such label"),
    ],
)
def test_what_are_no_labels(label, words):
    with pytest.raises(InputError, match=rf"{words}[\s\S]*row 2"):
        evaluate(fake(), [ROWS[0], {"text": "paris", "label": label}])


@pytest.mark.parametrize("cell", [2, "yes", -1, 0.5, ""])
def test_what_is_neither_0_nor_1(cell):
    rows = [{"text": "paris", "sport": cell, "art": 1}]
    with pytest.raises(InputError, match=r"neither 0 nor 1[\s\S]*'sport' applies"):
        evaluate(fake(), rows, columns={"label": ["sport", "art"]})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 0}, "threshold is not valid"),
        ({"threshold": 1}, "threshold is not valid"),
        ({"threshold": "high"}, "threshold is not valid"),
        ({"columns": {"text": ["a", "b"]}}, "read from one column"),
    ],
)
def test_options_that_cannot_be_meant(options, words):
    with pytest.raises(InputError, match=words):
        evaluate(fake(), ROWS, **options)


@pytest.mark.parametrize(
    "options", [{"threshold": 0.5}, {"columns": {"label": ["sport", "money"]}}]
)
def test_a_model_that_gives_one_label_has_no_such_options(options):
    with pytest.raises(InputError):
        evaluate(fake(problem_type=None), [{"text": "a", "label": "art"}], **options)


def test_against_another_model():
    other = fake(NAMES[::-1], given=lambda ids: [[5.0, -5.0, -5.0, 5.0]])
    found = evaluate(fake(), ROWS, against=other)
    expected, _, predicted = matrices(fake())
    theirs = np.broadcast_to([1.0, 0, 0, 1], predicted.shape)  # sport and war
    both = [
        Table.of({"expected": expected, "predicted": x, "score": (x == expected).all(axis=1)})
        for x in (theirs, predicted)
    ]
    for name, metric in LABELS.items():
        assert found.against.differences[name] == compare(*both, metric, seed=0)
    assert found.against.changed == (predicted != theirs).any(axis=1).sum() > 0
    # McNemar's test of exact matches.
    assert found.against.differences["exact_match"].p <= 1
    json.dumps(found.to_dict())
    with pytest.raises(InputError, match="only one of the two models"):
        evaluate(fake(), ROWS, against=fake(problem_type=None))


def test_slices_worst_rows_page_and_predictions(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{**row, "kind": "ab"[number % 2]} for number, row in enumerate(ROWS)]
    paths = {"report": tmp_path / "page.html", "predictions": tmp_path / "out.jsonl"}
    found = evaluate(fake(), rows, slices=("kind",), **paths)
    assert [one.rows for one in found.slices] == [6, 6]
    assert found.confusion is None
    lines = [json.loads(line) for line in paths["predictions"].read_text().splitlines()]
    assert [line["expected"] for line in lines] == [
        [name for name in NAMES if name in labels] for labels in RIGHT
    ]
    exact = [line["expected"] == line["predicted"] for line in lines]
    assert np.mean(exact) == found.metrics["exact_match"].value
    page = paths["report"].read_text()
    assert "<h2>Labels</h2>" in page
    assert "money, art" in page


@pytest.mark.pt
def test_the_command(tmp_path, capsys):
    make_folder(
        tmp_path / "model", "sequence-classification", id2label=dict(enumerate(NAMES)),
        problem_type="multi_label_classification",
    )  # fmt: skip
    lines = [",".join(("text", *NAMES))]
    lines += [
        ",".join((row["text"], *(str(int(name in row["label"])) for name in NAMES))) for row in ROWS
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    columns = [f"label={name}" for name in NAMES]
    command = ["evaluate", str(tmp_path / "model"), str(tmp_path / "rows.csv"), "--framework", "pt",
               "--columns", *columns, "--threshold", "0.4"]  # fmt: skip
    assert main(command) == 0
    assert "labels, each by itself" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["main"] == "f1_micro"
    assert found["labels"]["sport"]["rows"] == 5
