"""How rows go through any pipeline: order, windows, what is computed once, errors."""

import gc
import itertools
import math
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distil.common.tasks import TASKS
from distil.errors import InputError
from distil.pipelines import PIPELINES, FeatureExtractionPipeline, pipeline
from distil.pipelines.comparison import ComparedModels
from distil.pipelines.scoring import Memory
from distil.pipelines.windows import FIRST_ROWS, MOST_ROWS
from support.folders import make_tokenizer
from support.inference import FakeModel

TEXTS = ["it is a good film", "a bad one", "who was born in paris?", "it is a good film", "it"]
ROWS = {
    "question-answering": [{"question": text, "context": "it was a film."} for text in TEXTS],
    "multiple-choice": [{"prompt": text, "choices": ["good", "bad film"]} for text in TEXTS],
    "masked-lm": [f"{text} [MASK]" for text in TEXTS],
}
every_task = pytest.mark.parametrize("task", PIPELINES)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """No row counts as slow in coming, however busy the machine is."""
    monkeypatch.setattr("distil.pipelines.windows._SECONDS", math.inf)


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def make(tokenizer, task="sequence-classification", **options):
    return PIPELINES[task](FakeModel(task), tokenizer, **options)


def texts_of(count):
    """Different texts, of words that the vocabulary has."""
    for number in range(count):
        yield "a film " + " ".join(chr(97 + int(digit)) for digit in str(number))


def plain(result):
    """A result without arrays, which do not compare."""
    return result.tolist() if isinstance(result, np.ndarray) else result


class TestOneAndMany:
    def test_there_is_one_for_each_task(self):
        assert set(PIPELINES) == set(TASKS)

    @every_task
    def test_a_list_and_a_stream_give_what_single_rows_give(self, tokenizer, task):
        rows = ROWS.get(task, TEXTS)
        pipe = make(tokenizer, task)
        # As in transformers, a single text's label is in a list; see `_finish_one`.
        options = {"top_k": 3} if task == "sequence-classification" else {}
        alone = [plain(pipe(row, **options)) for row in rows]
        assert [plain(one) for one in pipe(rows, **options)] == alone
        assert [plain(one) for one in pipe(tuple(rows), **options)] == alone
        stream = pipe(iter(rows), **options)
        assert iter(stream) is stream
        assert [plain(one) for one in stream] == alone

    @every_task
    def test_nothing_in_nothing_out(self, tokenizer, task):
        pipe = make(tokenizer, task)
        assert pipe([]) == []
        assert list(pipe(iter([]))) == []
        assert pipe.model.asked == []

    def test_options_of_the_pipeline_and_of_a_call(self, tokenizer):
        pipe = make(tokenizer, top_k=2)
        assert len(pipe(TEXTS)[0]) == 2
        assert len(pipe(TEXTS, top_k=None)[0]) == 3
        assert len(pipe(TEXTS)[0]) == 2
        pipe.set_options(top_k=1)
        assert len(pipe(TEXTS)[0]) == 1

    def test_options_without_effect_are_taken(self, tokenizer):
        pipe = make(tokenizer, padding=True)
        assert pipe(TEXTS, batch_size=8, num_workers=1) == make(tokenizer)(TEXTS)

    @pytest.mark.parametrize(
        ("task", "options", "problem"),
        [
            ("sequence-classification", {"topk": 1}, "unknown option"),
            ("sequence-classification", {"top_k": 0}, "at least 1"),
            ("sequence-classification", {"function_to_apply": "tanh"}, "softmax or sigmoid"),
            ("sequence-classification", {"stride": 38}, "0 to 37"),
            ("sequence-classification", {"max_length": 0}, "at least 1"),
            ("token-classification", {"aggregation_strategy": "last"}, "none or simple"),
            ("question-answering", {"max_answer_len": 0}, "at least 1"),
            ("question-answering", {"doc_stride": -1}, "at least 0"),
            ("masked-lm", {"top_k": None}, "at least 1"),
            ("masked-lm", {"targets": []}, "there is no target"),
            ("base", {"pooling": "last"}, "mean or cls or max"),
        ],
    )
    def test_options_that_cannot_be_meant(self, tokenizer, task, options, problem):
        pipe = make(tokenizer, task)
        with pytest.raises(InputError, match=problem):
            pipe(ROWS.get(task, TEXTS), **options)


class TestStreams:
    def test_windows_grow(self, tokenizer):
        pipe = make(tokenizer)
        pulled = 0

        def texts():
            nonlocal pulled
            for text in texts_of(2000):
                pulled += 1
                yield text

        stream = pipe(texts())
        assert pulled == 0
        next(stream)
        # The first window is computed while the second is tokenized.
        assert pulled == 3 * FIRST_ROWS
        assert [len(asked) for asked in pipe.model.asked] == [FIRST_ROWS]
        assert len(list(stream)) == 1999
        sizes = [len(asked) for asked in pipe.model.asked]
        assert sizes[:6] == [16, 32, 64, 128, 256, 512]
        assert max(sizes) == MOST_ROWS
        assert sum(sizes) == 2000

    def test_long_texts_make_small_windows(self, tokenizer):
        pipe = FeatureExtractionPipeline(FakeModel("base"), tokenizer)
        texts = (f"{text} " + "film " * 1000 for text in texts_of(100))
        stream = pipe(texts, truncation=True)
        next(stream)
        # 5,000 characters each, and 16,000 make a window full; else it would have 16 rows.
        assert [len(asked) for asked in pipe.model.asked] == [4]
        stream.close()

    def test_a_slow_source_is_not_waited_for(self, tokenizer, monkeypatch):
        monkeypatch.setattr("distil.pipelines.windows._SECONDS", 0.25)
        clock = [0.0]
        monkeypatch.setattr("distil.pipelines.windows.time.monotonic", lambda: clock[0])
        pulled = []

        def texts():
            for number in range(5):
                pulled.append(number)
                clock[0] += 0.3
                yield f"a film {number}"

        stream = make(tokenizer)(texts())
        for number in range(5):
            next(stream)
            assert len(pulled) == number + 1

    def test_a_source_is_read_in_the_thread_of_its_caller(self, tokenizer):
        threads = set()

        def texts():
            for number in range(100):
                threads.add(threading.get_ident())
                yield f"a film {number}"

        list(make(tokenizer)(texts()))
        assert threads == {threading.get_ident()}

    def test_a_stream_that_is_left_ends_its_thread(self, tokenizer):
        def own():
            return {each for each in threading.enumerate() if "distil-pipeline" in each.name}

        before = own()
        stream = make(tokenizer)(f"a film {number}" for number in itertools.count())
        next(stream)
        (thread,) = own() - before
        stream.close()
        assert not thread.is_alive()

    def test_memory_does_not_grow_with_the_stream(self, tokenizer):
        pipe = make(tokenizer)
        # What it remembers is bounded; here the bound is met early.
        pipe.memory = 100_000
        stream = pipe(texts_of(12_000))
        pipe.model.score = forgetful(pipe.model.score, pipe.model)

        def peak(rows):
            gc.collect()
            tracemalloc.reset_peak()
            for _ in range(rows):
                next(stream)
            return tracemalloc.get_traced_memory()[1]

        tracemalloc.start()
        try:
            peak(3000)
            early, late = peak(3000), peak(6000)
        finally:
            tracemalloc.stop()
            stream.close()
        assert late < 1.1 * early

    def test_what_the_source_raises_comes_after_the_results(self, tokenizer):
        def texts():
            yield from TEXTS
            raise RuntimeError("the source broke")

        stream = make(tokenizer)(texts())
        found = [next(stream) for _ in TEXTS]
        assert found == make(tokenizer)(TEXTS)
        with pytest.raises(RuntimeError, match="the source broke"):
            next(stream)


def forgetful(score, model):
    def score_and_forget(*arguments, **options):
        found = score(*arguments, **options)
        model.asked.clear()
        return found

    return score_and_forget


class TestOnce:
    @settings(max_examples=30, deadline=None)
    @given(numbers=st.lists(st.integers(0, 30), max_size=80))
    def test_any_texts_in_any_order(self, numbers):
        """Every row gets the scores of its own text, and no text is computed twice."""
        tokenizer = make_tokenizer()
        pipe = make(tokenizer)
        known = list(texts_of(31))
        texts = [known[number] for number in numbers]
        expected = {text: make(tokenizer)([text], top_k=None)[0] for text in set(texts)}
        assert list(pipe(iter(texts), top_k=None)) == [expected[text] for text in texts]
        asked = [tuple(ids) for call in pipe.model.asked for ids in call]
        assert len(asked) == len(set(asked)) == len(set(texts))

    def test_equal_tokens_are_computed_once(self, tokenizer):
        pipe = make(tokenizer)
        pipe(["It is GOOD", "it  is good", "it is bad"])
        assert [len(asked) for asked in pipe.model.asked] == [2]

    def test_across_windows(self, tokenizer):
        pipe = make(tokenizer)
        assert len(list(pipe(iter(["it is good", "it is bad"] * 1000)))) == 2000
        assert sum(len(asked) for asked in pipe.model.asked) == 2

    def test_large_results_are_not_remembered(self, tokenizer):
        pipe = FeatureExtractionPipeline(FakeModel("base"), tokenizer)
        list(pipe(iter(["it is good"] * 100)))
        assert sum(len(asked) for asked in pipe.model.asked) == len(pipe.model.asked) > 1

    def test_memory_is_bounded(self):
        memory = Memory(most_bytes=100_000)
        for number in range(10_000):
            memory.put(number.to_bytes(8, "little"), np.zeros(2))
        kept = [n for n in range(10_000) if memory.get(n.to_bytes(8, "little")) is not None]
        assert 100 < len(kept) < 100_000 / 250
        assert kept == list(range(kept[0], 10_000))

    def test_scores_of_many_tokens_are_computed_in_parts(self, tokenizer, monkeypatch):
        pipe = make(tokenizer, "base")
        whole = np.stack(pipe(TEXTS))
        calls = len(pipe.model.asked)
        monkeypatch.setattr(type(pipe), "tokens_at_once", 12)
        assert np.array_equal(np.stack(pipe(TEXTS)), whole)
        assert len(pipe.model.asked) - calls > 1


BAD = [None, 7, b"bytes", "", " \t\n", "\ud800 alone", ["a", "list"], {"word": "a film"}]


class TestBadRows:
    @pytest.mark.parametrize("bad", BAD, ids=repr)
    def test_in_a_list_nothing_is_computed(self, tokenizer, bad):
        pipe = make(tokenizer)
        with pytest.raises(InputError) as caught:
            pipe([*TEXTS, bad, "more"])
        assert caught.value.where.startswith("texts[5]")
        assert pipe.model.asked == []

    @pytest.mark.parametrize("bad", BAD, ids=repr)
    def test_in_a_stream_results_come_first(self, tokenizer, bad):
        stream = make(tokenizer)(iter([*TEXTS, bad, "more"]))
        assert [next(stream) for _ in TEXTS] == make(tokenizer)(TEXTS)
        with pytest.raises(InputError) as caught:
            next(stream)
        assert caught.value.where.startswith("texts[5]")

    @pytest.mark.parametrize("bad", BAD, ids=repr)
    @pytest.mark.parametrize("kind", [list, iter])
    def test_passed_over(self, tokenizer, bad, kind):
        told = []
        found = make(tokenizer)(
            kind([bad, *TEXTS, bad]),
            skip_bad_rows=True,
            on_bad_row=lambda number, problem: told.append((number, problem)),
        )
        assert list(found) == [None, *make(tokenizer)(TEXTS), None]
        assert [number for number, _ in told] == [0, 6]
        assert all(isinstance(problem, InputError) for _, problem in told)

    def test_passed_over_with_a_warning(self, tokenizer):
        with pytest.warns(UserWarning, match=r"row 1 is skipped: .*texts\[1\]") as said:
            assert make(tokenizer)(["it", None], skip_bad_rows=True)[1] is None
        assert [one.filename for one in said] == [__file__]

    @pytest.mark.parametrize(
        ("task", "row", "where"),
        [
            ("sequence-classification", {"text": "it", "text_pair": ""}, "texts[1].text_pair"),
            ("sequence-classification", {"text": "it", "pair": "it"}, "texts[1]"),
            ("question-answering", "who?", "texts[1]"),
            ("question-answering", {"question": "who?"}, "texts[1]"),
            ("question-answering", {"question": "?", "context": None}, "texts[1].context"),
            ("multiple-choice", "it", "choices"),
            ("multiple-choice", {"prompt": "it", "choices": ["one"]}, "texts[1].choices"),
            ("multiple-choice", {"prompt": "it", "choices": ["a", 2]}, "texts[1].choices[1]"),
            ("masked-lm", "it is", "texts[1]"),
        ],
    )
    def test_of_a_task(self, tokenizer, task, row, where):
        pipe = make(tokenizer, task)
        with pytest.raises(InputError) as caught:
            pipe([ROWS.get(task, TEXTS)[0], row])
        assert caught.value.where == where

    def test_what_only_the_tokenizer_sees(self, tokenizer):
        """A mask that is cut off: rows before it are given, rows after it are not lost."""
        rows = ["it is [MASK]", "it " * 50 + "[MASK]", "[MASK] is"]
        pipe = make(tokenizer, "masked-lm")
        stream = pipe(iter(rows), truncation=True)
        assert next(stream) == make(tokenizer, "masked-lm")(rows[0])
        with pytest.raises(InputError, match=r"no mask in the text[\s\S]*texts\[1\]"):
            next(stream)
        found = pipe(rows, truncation=True, skip_bad_rows=True, on_bad_row=lambda *_: None)
        assert [one is None for one in found] == [False, True, False]
        assert found[2] == make(tokenizer, "masked-lm")(rows[2])

    def test_a_single_row(self, tokenizer):
        with pytest.raises(InputError, match=r"where: +text$"):
            make(tokenizer)("")
        with pytest.raises(InputError, match=r"found: +7"):
            list(make(tokenizer)(7))


class TestMaking:
    def test_a_model_is_needed_for_other_tasks_than_the_bundled_one_has(self):
        with pytest.raises(InputError, match="no bundled model for this task"):
            pipeline("ner")

    def test_a_model_in_memory_needs_a_tokenizer(self):
        with pytest.raises(InputError, match="no tokenizer"):
            pipeline(model=FakeModel("base"))

    def test_the_task_has_to_be_the_models(self, tokenizer):
        with pytest.raises(InputError, match="for another task"):
            pipeline("ner", FakeModel("base"), tokenizer=tokenizer)

    @pytest.mark.parametrize(
        ("name", "task", "found"),
        [
            (None, "base", "SentenceEmbeddingsPipeline"),
            ("feature_extraction", "base", "FeatureExtractionPipeline"),
            ("sentence-embeddings", "base", "SentenceEmbeddingsPipeline"),
            ("sentiment-analysis", "sequence-classification", "TextClassificationPipeline"),
            ("ner", "token-classification", "TokenClassificationPipeline"),
            ("fill-mask", "masked-lm", "FillMaskPipeline"),
        ],
    )
    def test_names_of_tasks(self, tokenizer, name, task, found):
        made = pipeline(name, FakeModel(task), tokenizer=tokenizer)
        assert type(made).__name__ == found


class TestComparison:
    def models(self, apart):
        one = FakeModel("sequence-classification")
        other = FakeModel("sequence-classification")
        other.given = lambda ids: one.scores_of(ids) + apart
        return ComparedModels(one, other)

    @pytest.mark.parametrize("apart", [0.0, 0.25, float("nan")])
    def test_the_largest_difference_is_kept(self, tokenizer, apart):
        models = self.models(apart)
        pipe = PIPELINES["sequence-classification"](models, tokenizer)
        assert pipe(TEXTS) == make(tokenizer)(TEXTS)
        expected = float("inf") if np.isnan(apart) else apart
        assert models.difference == pytest.approx(expected, abs=1e-6)


def test_warnings_are_not_given_in_the_background(tokenizer):
    """`warnings.catch_warnings` holds for the thread that asks for results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = make(tokenizer)(["it " * 100] * 100)
    assert len(found) == 100
