"""Texts that are longer than the model, by little or by far."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distil.errors import InputError
from distil.pipelines import PIPELINES
from distil.pipelines import encoding as module
from distil.pipelines.encoding import Encoder
from support.folders import make_tokenizer
from support.inference import FakeModel

LIMIT = 12
MEGABYTES = 10_000_000


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def make(tokenizer, task="sequence-classification"):
    return PIPELINES[task](FakeModel(task), tokenizer)


class TestOneWarning:
    @pytest.mark.parametrize("kind", [list, iter])
    def test_for_a_call(self, tokenizer, kind):
        texts = ["it is", *["a film " * 50] * 100]
        with pytest.warns(UserWarning, match=r"texts\[1\] is longer than the 40 tokens") as said:
            list(make(tokenizer)(kind(texts)))
        assert len(said) == 1
        assert said[0].filename == __file__

    @pytest.mark.parametrize("options", [{"truncation": True}, {"stride": 4}])
    def test_none_where_it_is_meant(self, tokenizer, options):
        make(tokenizer)(["a film " * 50], **options)

    def test_a_shorter_limit(self, tokenizer):
        pipe = make(tokenizer)
        with pytest.warns(UserWarning, match="longer than the 5 tokens"):
            pipe(["it is a good film"], max_length=5)
        assert len(pipe.model.asked[0][0]) == 5

    def test_the_models_limit_and_the_tokenizers(self):
        for own, expected in ((30, 30), (None, 40)):
            pipe = make(make_tokenizer(model_max_length=own))
            pipe(["a film " * 50], truncation=True)
            assert len(pipe.model.asked[0][0]) == expected


class TestFarTooLong:
    """A text is cut before it is tokenized, and nothing changes by that."""

    # Characters at which words may end or may not, marks, and what is taken away.
    TEXTS = st.text(
        st.sampled_from(
            list("abz.,!?'- \t\n\r\u3000\u3002\uff0c\u6f22\u0301\u0338é\u200b<[]MASK#")
        ),
        max_size=300,
    ) | st.lists(st.sampled_from(["[MASK]", "[SEP]", "it", ".", "b\u0301", " "]), max_size=80).map(
        "".join
    )

    @settings(max_examples=300, deadline=None)
    @given(first=TEXTS, second=st.none() | TEXTS, side=st.sampled_from(["right", "left"]))
    def test_the_same_tokens(self, first, second, side):
        tokenizer = made(side)
        row = first if second is None else (first, second)
        with pytest.MonkeyPatch.context() as patch:
            # A first try with as few characters as the limit has tokens.
            patch.setattr(module, "_CHARACTERS_A_TOKEN", 1)
            (found,) = Encoder(tokenizer, LIMIT)([row], ["text"]).sequences
        expected = tokenizer(first, second, truncation=True, max_length=LIMIT, verbose=False)
        assert found.tolist() == expected["input_ids"]

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_little_is_tokenized(self, side, monkeypatch):
        tokenizer = make_tokenizer(truncation_side=side)
        seen = []
        call = type(tokenizer).__call__

        def watched(self, text, *rest, **options):
            seen.extend(map(len, [text] if isinstance(text, str) else text))
            return call(self, text, *rest, **options)

        monkeypatch.setattr(type(tokenizer), "__call__", watched)
        pipe = make(tokenizer)
        pipe("a film. " * (MEGABYTES // 8), truncation=True)
        assert len(pipe.model.asked[0][0]) == 40
        assert 0 < max(seen) <= 16 * 40

    @pytest.mark.parametrize(
        "text", ["x" * MEGABYTES, " " * MEGABYTES + "it"], ids=["no end of a word", "no word"]
    )
    def test_what_would_have_to_be_tokenized_whole_is_refused(self, tokenizer, text):
        pipe = make(tokenizer)
        with pytest.raises(InputError, match=r"too long to be tokenized[\s\S]*texts\[1\]"):
            pipe(["it is", text], truncation=True)
        found = pipe(["it", text], truncation=True, skip_bad_rows=True, on_bad_row=lambda *_: None)
        assert found[1] is None

    def test_so_are_windows_of_it(self, tokenizer):
        text = "a film. " * (MEGABYTES // 8)
        with pytest.raises(InputError, match="or leave out stride="):
            make(tokenizer)(text, stride=4)
        with pytest.raises(InputError, match="this context is too long"):
            make(tokenizer, "question-answering")(question="who?", context=text)

    def test_and_pairs_of_them(self, tokenizer):
        text = "a film. " * (MEGABYTES // 8)
        pipe = make(tokenizer)
        pipe({"text": "it is", "text_pair": text}, truncation=True)
        pipe({"text": text, "text_pair": "it is"}, truncation=True)
        assert [len(ids) for (ids,) in pipe.model.asked] == [40, 40]
        with pytest.raises(InputError, match="too long to be tokenized"):
            pipe({"text": text, "text_pair": text})

    def test_added_tokens_do_not_end_words(self, tokenizer):
        added = make_tokenizer()
        added.add_tokens(["good. film"])
        text = "good. film " * 30
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_CHARACTERS_A_TOKEN", 1)
            (found,) = Encoder(added, LIMIT)([text], ["text"]).sequences
        expected = added(text, truncation=True, max_length=LIMIT)["input_ids"]
        assert found.tolist() == expected
        assert len(added) - 1 in expected


TOKENIZERS = {}


def made(side):
    """A tokenizer for each side, made once."""
    if side not in TOKENIZERS:
        TOKENIZERS[side] = make_tokenizer(truncation_side=side)
    return TOKENIZERS[side]


def test_sequences_are_arrays(tokenizer):
    found = Encoder(tokenizer, LIMIT)(["it is", None, ("a", "film")], ["a", "b", "c"])
    assert [sequence.dtype for sequence in found.sequences] == [np.int32] * 2
    assert found.rows.tolist() == [0, 2]
