"""The exported page in a browser says what the pipelines say, online and offline."""

import json

import pytest

import distil
from distil.exporting import export
from support.folders import make_folder
from web.browser import needs_browser, opened

pytestmark = [pytest.mark.onnxruntime, needs_browser]

FILM = "The film: it was good, who is in it?"
LONG = "was it bad in Paris. " * 30


def exported(tmp_path, task, **options):
    """A checkpoint and its page."""
    checkpoint, site = tmp_path / "checkpoint", tmp_path / "site"
    checkpoint.mkdir()
    make_folder(checkpoint, task)
    task = "sentence-embeddings" if task == "base" else task
    export(checkpoint, site, "web", task=task, check=False, **options)
    return distil.pipeline(task, str(checkpoint), engine="onnxruntime"), site


def number(text):
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def assert_items(state, expected):
    """A list on the page against names and scores."""
    assert [name for name, _ in state["items"]] == [name for name, _ in expected]
    scores = [number(score) for _, score in state["items"]]
    assert scores == pytest.approx([score for _, score in expected], abs=6e-4)


@pytest.mark.filterwarnings("ignore:.* is longer than the 40 tokens")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_labels(tmp_path, dtype):
    pipe, site = exported(tmp_path, "sequence-classification", dtype=dtype)
    lines = [FILM, "It is bad.", "Crème 東京 😀", LONG]
    with opened(site) as step:
        assert step("open", "")["warning"] is None
        for text in lines:
            found = step("fill", {"text": text})
            assert bool(found["cut"]) == (text == LONG)
            if dtype == "float32":
                expected = [(one["label"], one["score"]) for one in pipe(text, top_k=None)]
                assert_items(found, expected)
        # Empty lines are no texts, as in `distil predict`.
        table = step("file", "\r\n".join([lines[0], "", *lines[1:]]))
        assert [row[:2] for row in table["rows"]] == [[str(n), t] for n, t in enumerate(lines, 1)]
        if dtype != "int8":  # this model is undecided
            assert [row[2] for row in table["rows"]] == [one["label"] for one in pipe(lines)]
        assert table["problems"] == []


def test_spans(tmp_path):
    pipe, site = exported(tmp_path, "token-classification")
    text = f"😀 {FILM}"
    expected = pipe(text, aggregation_strategy="average")
    assert expected
    with opened(site) as step:
        step("open", "")
        found = step("fill", {"text": text})
        assert found["marks"] == [
            text[one["start"] : one["end"]] + one["entity_group"] for one in expected
        ]


def test_answers(tmp_path):
    pipe, site = exported(tmp_path, "question-answering")
    questions, context = ["Who was born?", "Is it good?"], f"😀 {FILM} {LONG}"
    with opened(site) as step:
        step("open", "")
        for passage in (context, "zebra yak quartz lynx", FILM):
            found = step("fill", {"context": passage, "questions": "\n".join(questions)})
            expected = pipe(question=questions, context=passage)
            for shown, question, answer in zip(found["answers"], questions, expected, strict=True):
                score, text = shown.split("%", 1)
                assert text == question + answer["answer"]
                assert float(score) / 100 == pytest.approx(answer["score"], abs=6e-4)
            assert found["marks"] == [expected[0]["answer"]]
        second = step("press", "#results li:nth-child(2) button")
        assert second["marks"] == [expected[1]["answer"]]
        filled = step("file", context)
        assert filled["answers"] == step("fill", {"context": context})["answers"]


def test_masked_words(tmp_path):
    pipe, site = exported(tmp_path, "masked-lm")
    with opened(site) as step:
        step("open", "")
        found = step("fill", {"text": "the film is [MASK]."})
        expected = [(one["token_str"], one["score"]) for one in pipe("the film is [MASK].")]
        assert_items(found, expected)
        found = step("fill", {"text": "the film"})
        assert found["summary"].startswith("There is no [MASK]")


def test_choices(tmp_path):
    pipe, site = exported(tmp_path, "multiple-choice")
    row = {"prompt": FILM, "choices": ["it is good", "it was bad in Paris", "who was born"]}
    with opened(site) as step:
        step("open", "")
        found = step("fill", {"prompt": row["prompt"], "choices": "\n".join(row["choices"])})
        assert_items(found, [(one["choice"], one["score"]) for one in pipe(row)])


def test_nearest_sentences(tmp_path):
    pipe, site = exported(tmp_path, "base")
    sentences = ["it is good", "it was bad in Paris", "who was born"]
    query, *others = pipe([FILM, *sentences])
    expected = sorted(
        zip(sentences, [float(query @ other) for other in others], strict=True),
        key=lambda pair: -pair[1],
    )
    with opened(site) as step:
        step("open", "")
        assert_items(step("fill", {"text": FILM, "sentences": "\n".join(sentences)}), expected)


def test_it_works_without_a_host_once_it_was_visited(tmp_path):
    _, site = exported(tmp_path, "sequence-classification")
    with opened(site) as step:
        first = step("open", "")
        assert first["facts"]["computed by"] == "WebAssembly, 1 thread"
        assert first["facts"]["offline"] == "ready"
        large = [path for path in first["fetched"] if path.endswith((".onnx", ".gz"))]
        assert len(large) == 2, "fetched twice, or a runtime that is not used"
        expected = step("fill", {"text": FILM})["items"]
        again = step("open", "")
        # The service worker adds what the host does not: headers that allow threads.
        assert again["isIsolated"]
        assert set(again["fetched"]) <= {"/page.json", "/service-worker.js"}
        step("host", False)
        step("open", "")
        assert step("fill", {"text": FILM})["items"] == expected


def test_a_page_that_was_exported_again_is_not_the_old_one(tmp_path):
    _, site = exported(tmp_path, "sequence-classification")
    page = json.loads((site / "page.json").read_text())
    with opened(site) as step:
        step("open", "")
        (site / "page.json").write_text(json.dumps({**page, "version": "2", "name": "another"}))
        fetched = step("open", "")["fetched"]
        assert f"/{page['model']}" in fetched


def test_a_browser_that_computes_something_else_is_noticed(tmp_path):
    _, site = exported(tmp_path, "sequence-classification")
    path = site / "page.json"
    page = json.loads(path.read_text())
    page["check"]["outputs"][0][0] += 2 * page["check"]["tolerance"]
    path.write_text(json.dumps(page))
    with opened(site) as step:
        assert step("open", "")["warning"].startswith("This browser computes other scores")


def test_a_host_without_the_model_is_named(tmp_path):
    _, site = exported(tmp_path, "sequence-classification")
    page = json.loads((site / "page.json").read_text())
    (site / page["model"]).unlink()
    with opened(site) as step:
        problem = step("open", "")["problem"]
        assert page["model"] in problem
        assert "404" in problem


def test_a_model_that_was_cut_short_is_named_and_not_kept(tmp_path):
    _, site = exported(tmp_path, "sequence-classification")
    page = json.loads((site / "page.json").read_text())
    model = site / page["model"]
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with opened(site) as step:
        problem = step("open", "")["problem"]
        assert f"{page['model']} is damaged: {len(whole) // 2} bytes instead of" in problem
        model.write_bytes(whole)
        assert step("open", "")["problem"] is None


def test_a_narrow_screen_needs_no_scrolling_sideways(tmp_path):
    _, site = exported(tmp_path, "question-answering")
    with opened(site) as step:
        step("open", "")
        step("fill", {"context": f"{FILM} {'x' * 200}", "questions": f"who {'y' * 200}"})
        for dark in (False, True):
            look = {"width": 320, "height": 600, "dark": dark, "path": str(tmp_path / "look.png")}
            assert step("look", look) is True
