"""What each pipeline makes of scores that are known."""

import numpy as np
import pytest

from distil.errors import InputError
from distil.pipelines import PIPELINES, FeatureExtractionPipeline
from distil.pipelines.spans import best_spans
from support.folders import VOCABULARY, make_tokenizer
from support.inference import FakeModel

LONG = "the good film was bad in paris . " * 12  # 96 tokens, of which a window has room for 38


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def make(tokenizer, task, given=None, **config):
    return PIPELINES[task](FakeModel(task, given=given, **config), tokenizer)


def windows_in(tokenizer, first, second, strategy, *, stride, limit=40):
    """The windows of a pair, as the tokenizer makes them."""
    return tokenizer(
        first, second, truncation=strategy, max_length=limit, stride=stride,
        return_overflowing_tokens=True,
    )["input_ids"]  # fmt: skip


def ids_of(*tokens):
    return [VOCABULARY.index(token) for token in tokens]


class TestTextClassification:
    def made(self, tokenizer, logits, **config):
        return make(tokenizer, "sequence-classification", lambda ids: [logits], **config)

    def scores(self, tokenizer, logits, *, options=None, **config):
        found = self.made(tokenizer, logits, **config)("it", top_k=None, **(options or {}))
        return {one["label"]: one["score"] for one in found}

    def test_one_label(self, tokenizer):
        found = self.scores(tokenizer, np.log([0.2, 0.5, 0.3]))
        assert list(found) == ["LABEL_1", "LABEL_2", "LABEL_0"]
        assert found["LABEL_1"] == pytest.approx(0.5)
        assert type(found["LABEL_1"]) is float

    def test_several_labels(self, tokenizer):
        found = self.scores(tokenizer, [0, 800, -800], problem_type="multi_label_classification")
        assert found == {"LABEL_1": 1.0, "LABEL_0": 0.5, "LABEL_2": 0.0}

    def test_regression(self, tokenizer):
        config = {"num_labels": 1, "problem_type": "regression"}
        assert self.scores(tokenizer, [3.5], **config) == {"LABEL_0": 3.5}

    def test_a_single_label_is_a_probability_unless_it_is_regression(self, tokenizer):
        assert self.scores(tokenizer, [0.0], num_labels=1) == {"LABEL_0": 0.5}

    def test_a_function_that_is_asked_for(self, tokenizer):
        options = {"function_to_apply": "none"}
        assert self.scores(tokenizer, [1, -2, 3], options=options)["LABEL_1"] == -2
        options = {"function_to_apply": "sigmoid"}
        assert self.scores(tokenizer, [0, 0, 0], options=options)["LABEL_1"] == 0.5

    def test_shapes(self, tokenizer):
        pipe = self.made(tokenizer, [0, 2, 1])
        best = {"label": "LABEL_1", "score": pytest.approx(0.665, abs=1e-3)}
        assert pipe("it") == [best]
        assert pipe(["it"]) == [best]
        assert pipe({"text": "it", "text_pair": "is"}) == best
        assert pipe("it", top_k=1) == [best]
        assert pipe(["it"], top_k=1) == [[best]]
        assert len(pipe("it", top_k=9)) == 3

    def test_pairs_among_texts(self, tokenizer):
        pipe = make(tokenizer, "sequence-classification")
        rows = ["it is", {"text": "it", "text_pair": "a film"}, {"text": "bad"}]
        found = pipe(rows)
        assert pipe.model.asked[0][1] == ids_of("[CLS]", "it", "[SEP]", "a", "film", "[SEP]")
        assert found == [pipe(rows[0])[0], pipe(rows[1]), pipe(rows[2])]

    def test_windows_are_averaged_by_tokens(self, tokenizer):
        pipe = make(tokenizer, "sequence-classification")
        found = {one["label"]: one["score"] for one in pipe(LONG, stride=8, top_k=None)}
        windows = pipe.model.asked[0]
        assert [len(ids) for ids in windows] == [40, 40, 38]
        pieces = [token for ids in windows for token in ids[1:-1]]
        assert pieces[38:46] == pieces[30:38]
        logits = np.array([pipe.model.scores_of(ids)[0] for ids in windows])
        powers = np.exp(logits)
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        expected = np.average(probabilities, axis=0, weights=[40, 40, 38])
        assert [found[f"LABEL_{label}"] for label in range(3)] == pytest.approx(expected, abs=1e-6)

    def test_the_second_text_of_a_pair_is_read_in_windows(self, tokenizer):
        pipe = make(tokenizer, "sequence-classification")
        row = {"text": "who was born?", "text_pair": LONG}
        found = {one["label"]: one["score"] for one in pipe(row, stride=8, top_k=None)}
        windows = pipe.model.asked[0]
        assert windows == windows_in(tokenizer, "who was born?", LONG, "only_second", stride=8)
        assert len(windows) == 4
        powers = np.exp([pipe.model.scores_of(ids)[0] for ids in windows])
        expected = np.average(
            powers / powers.sum(axis=1, keepdims=True), axis=0, weights=list(map(len, windows))
        )
        assert [found[f"LABEL_{label}"] for label in range(3)] == pytest.approx(expected, abs=1e-6)
        # Texts, short pairs and long ones, in one call.
        rows = [row, "it is", LONG, {"text": "it", "text_pair": "a film"}]
        assert pipe(rows, stride=8) == [
            pipe(one, stride=8)[0] if isinstance(one, str) else pipe(one, stride=8) for one in rows
        ]

    def test_a_first_text_that_leaves_no_room(self, tokenizer):
        pipe = make(tokenizer, "sequence-classification")
        fits = {"text": "who " * 30, "text_pair": "it is a film"}
        assert pipe(fits, stride=8)["label"]
        rows = [fits, {"text": LONG, "text_pair": "it"}, {"text": "who " * 30, "text_pair": LONG}]
        bad = {}
        found = pipe(
            rows, stride=8, skip_bad_rows=True, on_bad_row=lambda n, why: bad.update({n: why})
        )
        assert (found[0], found[1:]) == (pipe(fits), [None, None])
        assert set(bad) == {1, 2}
        assert "a first text of 96 tokens, stride=8" in str(bad[1])
        assert "a first text of 30 tokens, stride=8" in str(bad[2])
        assert pipe(rows[2], stride=6)["label"]  # of a room of 7


class TestTokenClassification:
    LABELS = {0: "O", 1: "B-X", 2: "I-X", 3: "B-Y", 4: "I-Y"}

    def made(self, tokenizer, labels, *, sure=8.0):
        """A model that gives each token the label that the table has for it, else "O"."""
        names = {name: number for number, name in self.LABELS.items()}

        def given(ids):
            logits = np.zeros((len(ids), 5))
            for place, token in enumerate(ids):
                label, more = labels.get(VOCABULARY[token], ("O", 0))
                logits[place, names[label]] = sure + more
            return logits

        return make(tokenizer, "token-classification", given, num_labels=5, id2label=self.LABELS)

    def test_tokens(self, tokenizer):
        pipe = self.made(tokenizer, {"paris": ("B-X", 0), "##l": ("I-X", 0)})
        found = pipe("In  Paris, old.")  # [CLS] in paris , o ##l ##d . [SEP]
        score = pytest.approx(1 / (1 + 4 * np.exp(-8)))
        assert found == [
            {"entity": "B-X", "score": score, "index": 2, "word": "paris", "start": 4, "end": 9},
            {"entity": "I-X", "score": score, "index": 5, "word": "##l", "start": 12, "end": 13},
        ]
        assert type(found[0]["score"]) is float

    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            ("simple", [("X", "paris"), ("Y", "o"), ("X", "##l")]),
            ("first", [("X", "paris"), ("Y", "old")]),
            ("max", [("X", "paris old")]),
            ("average", [("X", "paris old")]),
        ],
    )
    def test_words(self, tokenizer, strategy, expected):
        pipe = self.made(tokenizer, {"paris": ("B-X", 0), "o": ("B-Y", -7.5), "##l": ("I-X", 4)})
        found = pipe("paris old .", aggregation_strategy=strategy)
        assert [(one["entity_group"], one["word"]) for one in found] == expected

    def test_neighbours_of_one_label(self, tokenizer):
        labels = {"a": ("B-X", 0), "b": ("I-X", 0), "c": ("I-Y", 0), "d": ("B-Y", 0)}
        found = self.made(tokenizer, labels)("a b a c d e c", aggregation_strategy="first")
        assert [one["word"] for one in found] == ["a b", "a", "c", "d", "c"]

    def test_ignored_labels(self, tokenizer):
        pipe = self.made(tokenizer, {"a": ("B-X", 0)})
        assert len(pipe("a film", ignore_labels=[])) == 2
        assert pipe("a film", ignore_labels=["O", "B-X"]) == []
        assert pipe("a film", ignore_labels=["X", "O"], aggregation_strategy="simple") == []

    def test_a_soft_hyphen_does_not_join_words(self, tokenizer):
        """transformers takes a token shorter than its characters for the rest of a word."""
        pipe = self.made(tokenizer, {"a": ("B-X", 0), "paris": ("B-Y", 0)})
        found = pipe("a pa\u00adris", aggregation_strategy="first")
        assert [(one["entity_group"], one["start"], one["end"]) for one in found] == [
            ("X", 0, 1), ("Y", 2, 8)
        ]  # fmt: skip

    def test_what_is_not_in_the_vocabulary_is_shown_as_written(self, tokenizer):
        pipe = self.made(tokenizer, {"[UNK]": ("B-X", 0)})
        assert pipe("it is ÞING")[0]["word"] == "ÞING"

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_windows_are_put_together(self, side):
        """Each word once, at its place, from the window that shows most around it."""
        tokenizer = make_tokenizer(truncation_side=side)
        pipe = make(tokenizer, "token-classification", id2label={0: "A", 1: "B", 2: "C"})
        text = "good old film . " * 20  # 120 tokens: old has three
        found = pipe(text, stride=12, ignore_labels=[])
        encoding = tokenizer(text, verbose=False).encodings[0]
        assert [(one["start"], one["end"]) for one in found] == encoding.offsets[1:-1]
        assert [one["index"] for one in found] == list(range(1, 121))

        batch = tokenizer(
            text, truncation=True, max_length=40, stride=12, return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
        windows, spans = batch["input_ids"], batch["offset_mapping"]
        assert len(windows) == 5
        for one in found:
            whole = encoding.word_ids[one["index"]]
            places = [n for n, word in enumerate(encoding.word_ids) if word == whole]
            first, last = encoding.offsets[places[0]], encoding.offsets[places[-1]]
            best, scores = -1, None
            for ids, offsets in zip(windows, spans, strict=True):
                if first in offsets[1:-1] and last in offsets[1:-1]:
                    before = offsets.index(first, 1)
                    context = min(before, len(ids) - 1 - offsets.index(last, 1))
                    if context > best:
                        place = offsets.index((one["start"], one["end"]), 1)
                        best, scores = context, pipe.model.scores_of(ids)[place]
            powers = np.exp(scores - scores.max())
            assert one["score"] == pytest.approx(powers.max() / powers.sum(), abs=1e-5)


class TestQuestionAnswering:
    QUESTION, CONTEXT = "who?", "it was Paris, the old film."

    def made(self, tokenizer, starts, ends):
        """A model that sees starts and ends in tokens."""

        def given(ids):
            tokens = [VOCABULARY[token] for token in ids]
            return [[starts.get(token, 0.0), ends.get(token, 0.0)] for token in tokens]

        return make(tokenizer, "question-answering", given)

    def test_an_answer_is_in_the_context_and_ends_after_its_start(self, tokenizer):
        starts, ends = {"who": 50, "paris": 20}, {"who": 50, "was": 19, "film": 15}
        pipe = self.made(tokenizer, starts, ends)
        found = pipe(question=self.QUESTION, context=self.CONTEXT)
        assert found["answer"] == "Paris, the old film"
        assert self.CONTEXT[found["start"] : found["end"]] == found["answer"]
        assert 0 < found["score"] < 1
        assert list(found) == ["score", "start", "end", "answer"]

    def test_whole_words(self, tokenizer):
        pipe = self.made(tokenizer, {"##l": 9}, {"##l": 9})
        assert pipe(self.QUESTION, self.CONTEXT)["answer"] == "old"
        assert pipe(self.QUESTION, self.CONTEXT, align_to_words=False)["answer"] == "l"

    def test_the_longest_answer(self, tokenizer):
        pipe = self.made(tokenizer, {"paris": 9}, {"film": 9, "the": 5})
        found = pipe(self.QUESTION, self.CONTEXT, max_answer_len=3)
        assert found["answer"] == "Paris, the"

    def test_no_answer(self, tokenizer):
        pipe = self.made(tokenizer, {"[CLS]": 9, "paris": 5}, {"[CLS]": 9, "paris": 5})
        assert pipe(self.QUESTION, self.CONTEXT)["answer"] == "Paris"
        nothing, paris = pipe(self.QUESTION, self.CONTEXT, handle_impossible_answer=True, top_k=2)
        assert (nothing["answer"], nothing["start"], nothing["end"]) == ("", 0, 0)
        assert nothing["score"] > paris["score"]

    def test_how_much_likelier_no_answer_has_to_be(self, tokenizer):
        pipe = self.made(tokenizer, {"[CLS]": 3, "paris": 2}, {"[CLS]": 3, "paris": 2})

        def asked(context=self.CONTEXT, **options):
            return pipe(self.QUESTION, context, handle_impossible_answer=True, **options)

        nothing, paris = asked(top_k=2, return_null_odds=True)
        odds = np.log(nothing["score"] / paris["score"])
        assert nothing["null_odds"] == paris["null_odds"] == pytest.approx(odds)
        assert odds == pytest.approx(2, abs=1e-6)  # 3 + 3 less 2 + 2, in one window
        assert list(paris) == ["score", "start", "end", "answer", "null_odds"]
        for threshold, answers in (
            (-5.0, ["", "Paris"]), (0, ["", "Paris"]), (1.9, ["", "Paris"]),
            (2.1, ["Paris", ""]), (1e6, ["Paris", "Paris, the old"]),
        ):  # fmt: skip
            found = asked(top_k=2, null_score_diff_threshold=threshold)
            assert [one["answer"] for one in found] == answers, threshold
        # The odds stand beside the best answer, whether or not it is given.
        least = asked(null_score_diff_threshold=np.inf, return_null_odds=True)
        assert (least["answer"], least["null_odds"]) == ("Paris", nothing["null_odds"])

    def test_null_odds_of_scores_that_are_too_small_are_numbers(self, tokenizer):
        for sure in ({"[CLS]": 2000}, {"paris": 2000}):
            pipe = self.made(tokenizer, sure, sure)
            found = pipe(
                self.QUESTION, self.CONTEXT, handle_impossible_answer=True, return_null_odds=True
            )
            assert abs(found["null_odds"]) == pytest.approx(708, abs=1)
            assert (found["answer"] == "") == (found["null_odds"] > 0) == ("[CLS]" in sure)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"null_score_diff_threshold": 1.0}, "no effect where every question has an answer"),
            ({"return_null_odds": True}, "no effect where every question has an answer"),
            (
                {"handle_impossible_answer": True, "null_score_diff_threshold": "1"},
                "not a threshold",
            ),
            (
                {"handle_impossible_answer": True, "null_score_diff_threshold": np.nan},
                "not a threshold",
            ),
        ],
    )
    def test_options_of_no_answer_that_are_refused(self, tokenizer, options, problem):
        with pytest.raises(InputError, match=problem):
            self.made(tokenizer, {}, {})(self.QUESTION, self.CONTEXT, **options)

    def test_equal_answers_are_one(self, tokenizer):
        pipe = self.made(tokenizer, {"paris": 9}, {"paris": 9})
        found = pipe(self.QUESTION, "Paris and paris.", top_k=2)
        assert [one["answer"].lower() for one in found].count("paris") == 1
        assert found[0]["score"] == pytest.approx(0.5, abs=0.01)  # twice 1/2 of 1/2

    def test_windows_of_a_long_context(self, tokenizer):
        pipe = self.made(tokenizer, {"z": 9}, {"z": 9})
        context = "a film . " * 40 + "zz. " + "it is . " * 40
        found = pipe(self.QUESTION, context, align_to_words=False, doc_stride=8)
        assert found["answer"] == "z"
        assert found["start"] == context.index("zz")
        windows = pipe.model.asked[0]
        assert all(len(ids) <= 40 for ids in windows)
        question = ids_of("[CLS]", "who", "?", "[SEP]")
        assert all(ids[:4] == question for ids in windows)
        assert windows[1][4:12] == windows[0][-9:-1]

    def test_a_question_is_cut_at_its_own_length(self, tokenizer):
        pipe = self.made(tokenizer, {}, {})
        with pytest.warns(UserWarning, match="longer than max_question_len, 3"):
            pipe("who was born in paris?", self.CONTEXT, max_question_len=3)
        assert pipe.model.asked[0][0][:5] == ids_of("[CLS]", "who", "was", "born", "[SEP]")

    def test_a_question_that_leaves_no_room(self, tokenizer):
        pipe = self.made(tokenizer, {}, {})
        with pytest.raises(InputError, match="no room for more of the context"):
            pipe("who " * 38, self.CONTEXT)
        with pytest.raises(InputError, match="doc_stride=30"):
            pipe("who " * 8, self.CONTEXT, doc_stride=30)
        assert pipe("who " * 30, "paris " * 50)["answer"]

    def test_a_context_without_tokens(self, tokenizer):
        pipe = self.made(tokenizer, {}, {})
        with pytest.raises(InputError, match="no token is in this context"):
            pipe("who?", "\u200b")

    def test_ways_to_ask(self, tokenizer):
        pipe = self.made(tokenizer, {"paris": 9}, {"paris": 9})
        row = {"question": self.QUESTION, "context": self.CONTEXT}
        one = pipe(row)
        assert pipe([row]) == pipe(**row) == pipe(self.QUESTION, self.CONTEXT) == one
        assert pipe([row, row]) == [one, one]
        assert pipe(question=[self.QUESTION] * 2, context=self.CONTEXT) == [one, one]
        assert pipe(question=[self.QUESTION] * 2, context=[self.CONTEXT] * 2) == [one, one]
        assert list(pipe(iter([row]))) == [one]
        with pytest.raises(InputError, match="one context for each question"):
            pipe(question=[self.QUESTION] * 2, context=[self.CONTEXT] * 3)
        with pytest.raises(InputError, match="a question needs a context"):
            pipe(question=self.QUESTION)

    def test_spans_are_all_that_there_are(self):
        """Against every pair of tokens, one by one."""
        random = np.random.default_rng(0)
        for length in (1, 2, 9):
            logits = random.standard_normal((length + 4, 2)) * 2
            context = slice(3, 3 + length)
            shown = np.concatenate([logits[:1], logits[context]])
            powers = np.exp(shown)
            starts, ends = (powers / powers.sum(axis=0)).T
            expected = {
                (2 + first, 2 + last): starts[first] * ends[last]
                for first in range(1, length + 1)
                for last in range(first, min(first + 4, length + 1))
            }
            for count in (1, 3, 100):
                found, none = best_spans(logits, context, most_tokens=4, count=count)
                assert none == pytest.approx(starts[0] * ends[0])
                best = sorted(expected, key=lambda span: -expected[span])[:count]
                assert [(span.first, span.last) for span in found] == best
                assert [span.score for span in found] == pytest.approx(
                    [expected[span] for span in best]
                )


class TestFillMask:
    def made(self, tokenizer, *words, spare=3):
        """A model that guesses these words at every place; it has rows for more tokens."""
        logits = np.full(len(VOCABULARY) + spare, -20.0)
        logits[len(VOCABULARY) :] = 10
        for rank, word in enumerate(words):
            logits[VOCABULARY.index(word)] = 9 - rank
        size = len(VOCABULARY) + spare
        return make(tokenizer, "masked-lm", lambda ids: [logits] * len(ids), vocab_size=size)

    def test_one_mask(self, tokenizer):
        pipe = self.made(tokenizer, "paris", "it")
        found = pipe("[MASK] is old.", top_k=2)
        assert [one["token_str"] for one in found] == ["paris", "it"]
        assert found[0]["sequence"] == "paris is old."
        assert found[0]["token"] == VOCABULARY.index("paris")
        assert list(found[0]) == ["score", "token", "token_str", "sequence"]
        # Of the whole softmax, tokens that no vocabulary has included.
        total = np.exp(9) + np.exp(8) + 3 * np.exp(10)
        assert found[0]["score"] == pytest.approx(np.exp(9) / total, rel=1e-4)

    def test_several_masks(self, tokenizer):
        found = self.made(tokenizer, "paris", "it")("[MASK] is [MASK].", top_k=1)
        assert [words[0]["sequence"] for words in found] == [
            "[CLS] paris is [MASK]. [SEP]", "[CLS] [MASK] is paris. [SEP]"
        ]  # fmt: skip

    def test_only_masks_are_scored(self, tokenizer):
        pipe = make(tokenizer, "masked-lm")
        score, seen = pipe.model.score, []

        def watched(sequences, *, positions=None, wanted=None):
            seen.extend(places.tolist() for places in wanted)
            return score(sequences, wanted=wanted)

        pipe.model.score = watched
        pipe(["it [MASK] is", "[MASK] is [MASK]"])
        assert seen == [[2], [1, 3]]

    def test_targets(self, tokenizer):
        pipe = self.made(tokenizer, "paris", "it", "good")
        found = pipe("[MASK]!", targets=["good", "it"])
        assert [one["token_str"] for one in found] == ["it", "good"]
        with pytest.warns(UserWarning, match="'goodness' is not in the vocabulary; 'good' stands"):
            found = pipe("[MASK]!", targets="goodness")
        assert [one["token_str"] for one in found] == ["good"]

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("places", [[28], [0, 17, 31, 32, 60, 119]])
    def test_masks_of_a_long_text(self, side, places):
        """Each is guessed in the window that shows most around it, though windows are alike."""
        tokenizer = make_tokenizer(truncation_side=side)
        pipe = make(tokenizer, "masked-lm")
        words = ["good", "film", ".", "it", "was"] * 24
        for place in places:
            words[place] = "[MASK]"
        found = pipe(" ".join(words), stride=12, top_k=1)
        masks = [found] if len(places) == 1 else found
        assert len(pipe.model.asked[0]) <= len(places)  # no window is scored for nothing
        windows = tokenizer(
            " ".join(words), truncation=True, max_length=40, stride=12,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        ).encodings  # fmt: skip
        assert len(masks) == len(places)
        for guesses, place in zip(masks, places, strict=True):
            contexts = [
                (min(at - 1, len(one.ids) - 2 - at), -number, one.ids, at)
                for number, one in enumerate(windows)
                for at, word in enumerate(one.word_ids) if word == place
            ]  # fmt: skip
            _, _, ids, at = max(contexts, key=lambda context: context[:2])
            logits = pipe.model.scores_of(ids)[at]
            assert guesses[0]["token"] == logits[: len(tokenizer)].argmax()
            assert guesses[0]["score"] == pytest.approx(
                np.exp(logits.max()) / np.exp(logits).sum(), rel=1e-4
            )
            filled = [*words[:place], guesses[0]["token_str"], *words[place + 1 :]]
            shown = guesses[0]["sequence"].replace("[CLS] ", "").replace(" [SEP]", "")
            assert shown.replace(".", " .") == " ".join(filled).replace(" ##", "")

    def test_a_mask_that_is_cut_off(self, tokenizer):
        pipe = self.made(tokenizer, "paris")
        with pytest.raises(InputError, match=r"read all of the text with stride=\.\.\."):
            pipe(f"{LONG} [MASK]", truncation=True)
        assert pipe(f"{LONG} [MASK]", stride=0)[0]["token_str"] == "paris"

    def test_a_list_of_one(self, tokenizer):
        pipe = self.made(tokenizer, "paris")
        assert pipe(["[MASK]!"]) == pipe("[MASK]!")


class TestEmbeddings:
    HIDDEN = [[3.0, 4.0], [5.0, 12.0], [-2.0, 2.0]]  # of [CLS] it [SEP]

    def made(self, tokenizer, given=None):
        return make(tokenizer, "base", given or (lambda ids: self.HIDDEN), dim=2, n_heads=1)

    def test_pooling(self, tokenizer):
        pipe = self.made(tokenizer)
        mean = pipe("it", normalize=False)
        assert (mean.dtype, mean.shape) == (np.float32, (2,))
        assert mean == pytest.approx([2, 6])
        assert pipe("it", pooling="cls", normalize=False) == pytest.approx([3, 4])
        assert pipe("it", pooling="cls") == pytest.approx([0.6, 0.8])

    def test_no_direction(self, tokenizer):
        pipe = self.made(tokenizer, lambda ids: np.zeros((len(ids), 2)))
        assert pipe("it").tolist() == [0, 0]

    def test_windows_are_averaged_by_tokens(self, tokenizer):
        pipe = make(tokenizer, "base")
        found = pipe(LONG, stride=8, normalize=False)
        windows = pipe.model.asked[0]
        means = [pipe.model.scores_of(ids).mean(axis=0) for ids in windows]
        expected = np.average(means, axis=0, weights=[40, 40, 38])
        assert found == pytest.approx(expected, abs=1e-5)

    def test_features(self, tokenizer):
        pipe = FeatureExtractionPipeline(self.made(tokenizer).model, tokenizer)
        assert pipe("it") == [self.HIDDEN]
        assert pipe(["it", "it"]) == [[self.HIDDEN], [self.HIDDEN]]
        tensor = pipe("it", return_tensors=True)
        assert (tensor.shape, tensor.dtype) == ((1, 3, 2), np.float32)


class TestMultipleChoice:
    def test_choices(self, tokenizer):
        pipe = make(tokenizer, "multiple-choice", lambda ids: [[float(len(ids))]])
        found = pipe("it is", choices=["bad", "a good film", "a film"])
        assert [one["choice"] for one in found] == ["a good film", "a film", "bad"]
        assert [one["index"] for one in found] == [1, 2, 0]
        assert sum(one["score"] for one in found) == pytest.approx(1)
        assert pipe("it is", choices=["bad", "a film"], top_k=1)[0]["choice"] == "a film"
        row = {"prompt": "it is", "choices": ["bad", "a good film", "a film"]}
        assert pipe([row, row]) == [found, found]

    def test_long_prompts_are_cut(self, tokenizer):
        pipe = make(tokenizer, "multiple-choice")
        with pytest.warns(UserWarning, match="longer than the 40 tokens") as said:
            pipe([{"prompt": LONG, "choices": ["good", "bad"]}] * 2)
        assert len(said) == 1
        assert [len(ids) for ids in pipe.model.asked[0]] == [40, 40]

    def test_long_prompts_are_read_in_windows(self, tokenizer):
        """All choices are judged by the same windows, those that the longest leaves room for."""
        pipe = make(tokenizer, "multiple-choice")
        choices = ["bad", "it was a good film in paris", "it was"]
        found = pipe({"prompt": LONG, "choices": choices}, stride=8)
        longest = windows_in(tokenizer, LONG, choices[1], "only_first", stride=8)
        prompts = [ids[1 : ids.index(3)] for ids in longest]
        expected = [
            [2, *ids, 3, *tokenizer(choice, add_special_tokens=False)["input_ids"], 3]
            for ids in prompts for choice in choices
        ]  # fmt: skip
        assert len(longest) == 4
        assert pipe.model.asked[0] == expected
        powers = np.exp([pipe.model.scores_of(ids)[0] for ids in expected]).reshape(4, 3)
        tokens = np.reshape(list(map(len, expected)), (4, 3)).sum(axis=1)
        shares = np.average(powers / powers.sum(axis=1, keepdims=True), axis=0, weights=tokens)
        assert {one["index"]: one["score"] for one in found} == pytest.approx(
            dict(enumerate(shares)), abs=1e-6
        )
        short = {"prompt": "it is", "choices": choices}
        assert pipe(short, stride=8) == pipe(short)
        assert pipe([short, {"prompt": LONG, "choices": choices}], stride=8)[1] == found

    def test_a_choice_that_leaves_no_room(self, tokenizer):
        pipe = make(tokenizer, "multiple-choice")
        rows = [
            {"prompt": "it is", "choices": ["who " * 30, "bad"]},
            {"prompt": LONG, "choices": ["bad", "who " * 30]},
            {"prompt": "it " * 600_000, "choices": ["bad", "good"]},
        ]
        bad = {}
        found = pipe(
            rows, stride=8, skip_bad_rows=True, on_bad_row=lambda n, why: bad.update({n: why})
        )
        assert (found[0], found[1:]) == (pipe(rows[0]), [None, None])
        assert "a choice of 30 tokens, stride=8" in str(bad[1])
        assert "too long to be tokenized in one piece" in str(bad[2])
