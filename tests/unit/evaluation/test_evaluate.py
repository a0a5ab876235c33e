"""`distil.evaluate`: equal to what training judges by, and what its options do."""

import csv
import json

import numpy as np
import pytest

import distil
from distil.errors import InputError
from distil.evaluation import evaluate
from distil.measures.answers import POSSIBLE_ANSWERS, THRESHOLDS
from distil.pipelines import PIPELINES
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel
from support.training import make_recipe, without_answers

pytest.importorskip("sklearn")
pytest.importorskip("seqeval")


def fake(task, **options):
    return PIPELINES[task](FakeModel(task, **options), make_tokenizer())


ROWS = [
    {"text": text, "label": label}
    for text, label in [
        ("the good film", 1), ("who was born", 0), ("it is bad", 0), ("paris", 1), ("a film", 1),
    ]
]  # fmt: skip


def classify(**options):
    return evaluate(fake("sequence-classification", num_labels=2), ROWS, **options)


@pytest.mark.pt
@pytest.mark.parametrize("long", [False, True], ids=["", "in windows"])
@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("sequence-classification", {"accuracy": "accuracy", "f1": "f1", "matthews": "matthews"}),
        ("multiple-choice", {"accuracy": "accuracy"}),
        ("token-classification", {"f1": "f1", "recall": "recall", "accuracy": "accuracy"}),
        ("question-answering", {"exact_match": "exact_match", "f1": "f1"}),
    ],
)
def test_equal_to_what_training_judged(tmp_path, task, names, long):
    labels = {} if task in ("multiple-choice", "question-answering") else {"num_labels": 2}
    make_folder(tmp_path / "model", task, **labels)
    recipe = make_recipe(tmp_path, task, "pt", rows=60,
                         **{"schedule.epochs": 1, "data.max_length": 40})  # fmt: skip
    fields = {"sequence-classification": {"text": "sentence"},
              "multiple-choice": {"prompt": "context", "choices": "endings"}}  # fmt: skip
    options = {}
    dev = next(tmp_path.glob("dev.*"))
    if task == "question-answering":
        # One window a context: pipelines compare windows by probabilities, training by logits.
        options = {"max_seq_len": 40, "doc_stride": 4, "max_answer_len": 30,
                   "align_to_words": False}  # fmt: skip
        if long:  # in place of windows: some questions without an answer
            options["handle_impossible_answer"] = True
            names = {name: name for name in POSSIBLE_ANSWERS}
            for file in (dev, next(tmp_path.glob("train.*"))):
                without_answers(file)
    elif long:
        options = {"max_length": 16 if task == "multiple-choice" else 7, "stride": 3}
        recipe = recipe.replace(**{f"data.{name}": value for name, value in options.items()})
    trained = distil.train(recipe)
    assert (trained.examples > 60) == (long and task != "question-answering")
    found = evaluate(trained.folder, dev, columns=fields.get(task), framework="pt", **options)
    scale = 100 if task == "question-answering" else 1
    assert found.rows == 10
    assert {
        theirs: (1 if theirs in THRESHOLDS else scale) * found.metrics[ours].value
        for ours, theirs in names.items()
    } == {name: pytest.approx(trained.metrics[name], abs=1e-5) for name in names.values()}
    if task == "question-answering":
        assert set(names) == {*trained.metrics} - {"loss"}
        assert {"f1", "exact_match"} <= {*trained.intervals}


def test_accuracy_by_hand():
    pipeline = fake("sequence-classification", num_labels=2)
    predicted = [one["label"] for one in pipeline([row["text"] for row in ROWS])]
    names = pipeline.model.config.id2label
    right = np.mean(
        [names[row["label"]] == said for row, said in zip(ROWS, predicted, strict=True)]
    )
    found = classify()
    assert found.metrics["accuracy"].value == right
    assert found.rows == len(ROWS)
    assert sum(sum(line.values()) for line in found.confusion.values()) == len(ROWS)
    assert found.main == "accuracy"


def test_labels_by_name_or_number():
    named = [{**row, "label": f"LABEL_{row['label']}"} for row in ROWS]
    asked = [{**row, "label": str(row["label"])} for row in ROWS]
    results = [
        evaluate(fake("sequence-classification", num_labels=2), rows).metrics
        for rows in (ROWS, named, asked)
    ]
    assert results[0] == results[1] == results[2]


def test_the_probabilities_are_judged():
    pipeline = fake("sequence-classification", num_labels=2)
    scores = [
        {one["label"]: one["score"] for one in ranked}[f"LABEL_{row['label']}"]
        for ranked, row in zip(pipeline([r["text"] for r in ROWS], top_k=None), ROWS, strict=True)
    ]
    found = classify().calibration
    assert found.nll == pytest.approx(-np.mean(np.log(scores)))
    assert found.brier == pytest.approx(np.mean([2 * (1 - p) ** 2 for p in scores]))
    assert sum(rows for *_, rows in found.bins) == len(ROWS)


def test_slices_by_column_and_length():
    rows = [{**row, "kind": "a" if place < 2 else "b"} for place, row in enumerate(ROWS)]
    found = evaluate(
        fake("sequence-classification", num_labels=2), rows, slices=("kind", "length")
    ).slices
    by_kind = {one.value: one.rows for one in found if one.by == "kind"}
    assert by_kind == {"a": 2, "b": 3}
    assert sum(one.rows for one in found if one.by == "length") == len(rows)


def test_against_the_same_model_nothing_differs():
    found = classify(against=fake("sequence-classification", num_labels=2)).against
    assert found.changed == 0
    assert found.differences["accuracy"].p == 1


def test_against_a_model_with_other_labels():
    other = fake("sequence-classification", id2label={0: "bad", 1: "good"})
    with pytest.raises(InputError, match=r"different labels[\s\S]*LABEL_0[\s\S]*bad, good"):
        classify(against=other)
    turned = fake("sequence-classification", id2label={0: "LABEL_1", 1: "LABEL_0"})
    assert classify(against=turned).against.changed == len(ROWS)


@pytest.mark.parametrize("option", ["predictions", "report"])
def test_the_rows_are_never_replaced(tmp_path, option):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    before = rows.read_text()
    (tmp_path / "link.jsonl").symlink_to(rows)
    for path in (rows, tmp_path / "link.jsonl"):
        with pytest.raises(InputError, match="would overwrite the rows"):
            evaluate(fake("sequence-classification", num_labels=2), str(rows), **{option: path})
    assert rows.read_text() == before


@pytest.mark.parametrize("option", ["predictions", "report"])
def test_a_folder_that_is_missing_is_said_first(tmp_path, option):
    model = fake("sequence-classification", num_labels=2)
    with pytest.raises(InputError, match=rf"no such folder[\s\S]*{option}"):
        evaluate(model, [], **{option: tmp_path / "nowhere" / "x.csv"})


def test_against_another_model_rows_that_differ_are_counted():
    other = fake("sequence-classification", num_labels=2, given=lambda ids: [[5.0, -5.0]])
    found = classify(against=other)
    predicted = fake("sequence-classification", num_labels=2)([row["text"] for row in ROWS])
    changed = [one["label"] != "LABEL_0" for one in predicted]
    assert found.against.changed == sum(changed) > 0
    assert [one.row for one in found.against.rows] == [n + 1 for n in np.flatnonzero(changed)]
    difference = found.metrics["accuracy"].value - found.against.metrics["accuracy"].value
    assert found.against.differences["accuracy"].difference == pytest.approx(difference)
    table = found.to_dict()
    assert {"difference", "low", "high", "p"} <= table["against"].keys()
    json.dumps(table)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no rows"),
        ([{"text": "a", "label": 7}], "no such label"),
        ([{"text": "a", "label": True}], "no such label"),
        ([{"text": " ", "label": 0}], "row 1"),
        ([{"text": "a", "label": 0}, {"words": "a"}], "no such column"),
        (["a"], "a dict"),
        ({"train": []}, "one split"),
    ],
)
def test_bad_rows_are_refused(rows, words):
    with pytest.raises(InputError, match=words):
        evaluate(fake("sequence-classification", num_labels=2), rows)


def test_bad_rows_can_be_passed_over():
    rows = [ROWS[0], {"text": " ", "label": 0}, {"text": "it", "label": 9}, *ROWS[1:]]
    found = evaluate(fake("sequence-classification", num_labels=2), rows, skip_bad_rows=True)
    assert (found.rows, found.skipped) == (len(ROWS), 2)
    assert found.metrics == classify().metrics


def test_a_field_that_the_task_does_not_read():
    with pytest.raises(InputError, match="reads no such field"):
        classify(columns={"question": "q"})


@pytest.mark.parametrize("name", ["seed", "max_rows"])
@pytest.mark.parametrize("value", [-1, 0.5, True])
def test_numbers_that_cannot_be_meant(name, value):
    with pytest.raises(InputError, match=rf"not a possible number[\s\S]*where: +{name}"):
        classify(**{name: value})


def test_more_rows_than_there_can_be():
    assert classify(max_rows=10**30).rows == len(ROWS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_predictions(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    found = classify(predictions=path)
    if suffix == ".csv":
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        rows = parquet.read_table(path).to_pylist()
    assert [int(row["row"]) for row in rows] == [1, 2, 3, 4, 5]
    right = [row["expected"] == row["predicted"] for row in rows]
    assert np.mean(right) == found.metrics["accuracy"].value


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_rows_are_counted_alike_in_every_format(tmp_path, name):
    """From 1, whatever line they are on; a row that is skipped has a number as well."""
    rows = [*ROWS[:2], {"text": "", "label": 0}, *ROWS[2:]]
    lines = [json.dumps(row) for row in rows]
    if name == "in.csv":
        lines = ["text,label", *(f"{row['text']},{row['label']}" for row in rows)]
    (tmp_path / name).write_text("\n\n".join(lines))
    out = tmp_path / "out.jsonl"
    found = evaluate(
        fake("sequence-classification", num_labels=2), tmp_path / name, skip_bad_rows=True,
        predictions=out,
    )  # fmt: skip
    numbers = [json.loads(line)["row"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert numbers == [1, 2, 4, 5, 6]
    assert {one.row for one in found.worst} <= {*numbers}


def test_predictions_in_an_unknown_format(tmp_path):
    with pytest.raises(InputError, match="format"):
        classify(predictions=tmp_path / "out.xls")


def test_a_failed_evaluation_leaves_earlier_predictions(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("kept")
    with pytest.raises(InputError):
        evaluate(
            fake("sequence-classification", num_labels=2), [*ROWS, {"text": ""}], predictions=path
        )
    assert path.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [path]


def test_the_report_is_one_page(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{**ROWS[0], "text": "<script>alert(1)</script>"}, *ROWS[1:]]
    path = tmp_path / "report.html"
    evaluate(
        fake("sequence-classification", num_labels=2), rows, report=path, slices=("length",),
        against=fake("sequence-classification", num_labels=2, given=lambda ids: [[1.0, 0.0]]),
    )  # fmt: skip
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("<svg") == 2
    assert "http" not in page.split("<svg")[0]


def test_frames_and_lists_are_alike():
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    frames = [pandas.DataFrame(ROWS), pyarrow.Table.from_pylist(ROWS), iter(ROWS)]
    results = [
        evaluate(fake("sequence-classification", num_labels=2), one).metrics for one in frames
    ]
    assert all(one == classify().metrics for one in results)


def test_similarities_and_retrieval():
    rows = [
        {"text": "the good film", "text_pair": "the bad film", "label": 3.0},
        {"text": "who was born", "text_pair": "born in paris", "label": 1.0},
        {"text": "it is", "text_pair": "it is", "label": 5.0},
    ]
    embed = fake("base")
    cosines = [float(embed(row["text"]) @ embed(row["text_pair"])) for row in rows]
    found = evaluate(embed, rows)
    right = np.corrcoef(cosines, [row["label"] for row in rows])[0, 1]
    assert found.metrics["pearson"].value == pytest.approx(right, abs=1e-6)

    found = evaluate(fake("base"), rows, task="retrieval")
    vectors = np.stack([embed(row["text_pair"]) for row in rows])
    ranks = [
        1 + int((vectors @ embed(row["text"]) > vectors[place] @ embed(row["text"])).sum())
        for place, row in enumerate(rows)
    ]
    assert found.metrics["mrr@10"].value == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert found.metrics["recall@1"].value == np.mean([rank == 1 for rank in ranks])


@pytest.mark.parametrize("number", [1.0, float("nan")])
def test_a_model_that_tells_nothing_apart_finds_nothing(number):
    model = FakeModel("base", given=lambda ids: np.full((len(ids), 32), number))
    embed = PIPELINES["base"](model, make_tokenizer())
    rows = [{"text": f"film {a}", "text_pair": f"paris {a}"} for a in "abcdefghijklmnop"]
    metrics = evaluate(embed, rows, task="retrieval").metrics
    assert metrics["recall@10"].value == metrics["mrr@10"].value == 0


def test_cosines_whatever_the_length_of_vectors():
    rows = [{"text": a, "text_pair": b, "label": n} for n, (a, b) in enumerate(
        [("the good film", "the bad film"), ("who was born", "born"), ("it is", "is it bad")]
    )]  # fmt: skip
    for task in ("sentence-embeddings", "retrieval"):
        plain, scaled = (
            evaluate(
                PIPELINES["base"](FakeModel("base"), make_tokenizer(), normalize=normalize),
                rows, task=task, columns=None,
            ).metrics
            for normalize in (True, False)
        )  # fmt: skip
        assert plain == scaled


def test_hidden_words_by_hand():
    model = FakeModel("masked-lm")
    tokenizer = make_tokenizer()
    pipeline = PIPELINES["masked-lm"](model, tokenizer)
    found = evaluate(pipeline, [{"text": "the good film was born in paris"}] * 3)
    (asked, *_) = model.asked[0]
    ids = tokenizer("the good film was born in paris")["input_ids"]
    places = [n for n, (a, b) in enumerate(zip(asked, ids, strict=True)) if a != b]
    assert len(places) == 1  # 15% of 7 tokens
    assert asked[places[0]] == tokenizer.mask_token_id
    logits = FakeModel("masked-lm").scores_of(asked)[places].astype(np.float32)
    loss = np.log(np.exp(logits).sum()) - logits[0, ids[places[0]]]
    assert found.metrics["loss"].value == pytest.approx(float(loss), abs=1e-5)
    assert found.metrics["perplexity"].value == pytest.approx(float(np.exp(loss)), rel=1e-5)


def test_the_callers_pipeline_stays_as_it_is():
    pipeline = fake("sequence-classification", num_labels=2)
    model = pipeline.model
    evaluate(pipeline, ROWS)
    assert pipeline.model is model


@pytest.mark.parametrize(
    "given", [{"dtype": "int8"}, {"engine": "openvino"}, {"stride": 3}, {"task": "ner"}]
)
def test_what_a_pipeline_has_already_is_refused(given):
    with pytest.raises(InputError):
        evaluate(fake("sequence-classification", num_labels=2), ROWS, **given)
