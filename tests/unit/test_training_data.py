"""Data: every format read, every task's features, and bad rows named by file and line."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from distil.common.labels import IGNORED
from distil.common.steps.recipe_data import DataSection
from distil.common.tokenizer import DistilBertTokenizerFast
from distil.errors import ConfigError, FrameworkError, InputError
from distil.reading import Row
from distil.training import examples, features, preparing
from distil.training.examples import read_split
from distil.training.questions import question_answering, read_answers
from support.folders import VOCABULARY, make_folder
from support.training import make_recipe, recipe_for


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in VOCABULARY))
    return DistilBertTokenizerFast(path)


def rows(folder, name, content, **options):
    """What is read from a file: the values of each row, and its line."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    section = DataSection(folder=str(folder), train=(name,), **options)
    return [(dict(row.values), row.number) for row in read_split(section, "train")]


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.tsv", 'x\ty\n"it\t"" is"\t1\n', {}, [({"x": 'it\t" is', "y": "1"}, 2)]),
        ("a.tsv.gz", "x\ty\n1\t2\n\n3\t4\n", {}, [
            ({"x": "1", "y": "2"}, 2), ({"x": "3", "y": "4"}, 4),
        ]),
        ("a.tsv", 'x\ty\n"a\tb"\n', {"quoting": False}, [({"x": '"a', "y": 'b"'}, 2)]),
        ("a.tsv", "a\tb\n", {"header": ("x", "y")}, [({"x": "a", "y": "b"}, 1)]),
        ("a.csv", 'x,y\n"a,\nb",c\n', {}, [({"x": "a,\nb", "y": "c"}, 3)]),
        ("a.csv", "\ufeffx,y\n1,2\n", {}, [({"x": "1", "y": "2"}, 2)]),
        ("a.jsonl", '{"x": [1]}\n\n{"x": null}\n', {}, [({"x": [1]}, 1), ({"x": None}, 3)]),
        ("a.txt", "one\n\n two \n", {}, [({"text": "one"}, 1), ({"text": " two "}, 3)]),
        ("a.txt", "one\ntwo\n\n\nthree", {"unit": "paragraph"}, [
            ({"text": "one two"}, 2), ({"text": "three"}, 5),
        ]),
        ("a.conll", "-DOCSTART- O\n\nin\tO\nparis\tB-LOC\n\t\nit x y O\n", {}, [
            ({"words": ["in", "paris"], "tags": ["O", "B-LOC"]}, 3),
            ({"words": ["it"], "tags": ["O"]}, 6),
        ]),
        ("data", "x\ty\n1\t2\n", {"format": "tsv"}, [({"x": "1", "y": "2"}, 2)]),
    ],
)  # fmt: skip
def test_formats(name, content, options, expected, tmp_path):
    assert rows(tmp_path, name, content, **options) == expected


def test_squad(tmp_path):
    answers = [{"text": "b", "answer_start": 2}, {"text": "a", "answer_start": 0}]
    paragraph = {"context": "a b", "qas": [{"id": "1", "question": "q", "answers": answers}]}
    found = rows(tmp_path, "a.json", json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    assert found == [
        (
            {
                "id": "1", "question": "q", "context": "a b",
                "answers": {"text": ["b", "a"], "answer_start": [2, 0]},
            },
            1,
        )
    ]  # fmt: skip


def test_several_files_and_a_limit(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    section = DataSection(folder=str(tmp_path), train=("a.txt", "b.txt"), max_train_rows=3)
    assert [row.number for row in read_split(section, "train")] == [1, 2, 1]
    assert list(read_split(section, "dev")) == []


@pytest.mark.parametrize(
    ("name", "content", "options", "problem", "line"),
    [
        ("a.tsv", "x\ty\n1\t2\n1\n", {}, "wrong number of columns", 3),
        ("a.tsv", "x\ty\n1\t2\t3\n", {}, "wrong number of columns", 2),
        ("a.tsv", b"x\ty\n1\t\xff\n", {}, "not UTF-8", 2),
        ("a.csv", 'x,y\n1,"a\n2,b\n', {}, "row of a table cannot be read", 2),
        ("a.jsonl", '{"x": 1}\n{"x": \n', {}, "not JSON", 2),
        ("a.jsonl", "[1]\n", {}, "neither a text nor a JSON object", 1),
        ("a.conll", "in O\nparis\n", {}, "word without a tag", 2),
    ],
)
def test_rows_that_cannot_be_read(name, content, options, problem, line, tmp_path):
    with pytest.raises(InputError, match=problem) as caught:
        rows(tmp_path, name, content, **options)
    assert caught.value.where == f"{tmp_path / name}:{line}"


def test_files_that_cannot_be_read(tmp_path):
    section = DataSection(folder=str(tmp_path), train=("no.tsv",))
    with pytest.raises(InputError, match="missing"):
        list(read_split(section, "train"))
    with pytest.raises(InputError, match="unknown kind"):
        rows(tmp_path, "a.docx", "x")
    with pytest.raises(InputError, match="not a SQuAD file"):
        rows(tmp_path, "a.json", '{"data": [{}]}')
    (tmp_path / "b.txt.gz").write_bytes(b"\x1f\x8bno")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_split(DataSection(folder=str(tmp_path), train=("b.txt.gz",)), "train"))


def test_parquet_goes_through_datasets(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FrameworkError, match=r"distil\[datasets\]"):
        rows(tmp_path, "a.parquet", "x")


def reader(tokenizer, labels=(), **options):
    section = {"train": ("x",), "max_length": 12} | options
    return examples.Reader(data=DataSection(**section), tokenizer=tokenizer, labels=labels)


def made(build, tokenizer, values, labels=(), **options):
    source = [Row(one, f"file:{number}", number) for number, one in enumerate(values, 1)]
    return build(source, reader(tokenizer, labels, **options))


def sequences(found):
    one = found.features
    return [one.ids[a:b].tolist() for a, b in zip(one.starts[:-1], one.starts[1:], strict=True)]


def test_classification(tokenizer):
    values = [
        {"text": "good film", "text_pair": "it is", "label": "yes"},
        {"text": "bad " * 20, "text_pair": "it", "label": 0},
    ]
    found = made(features.classification, tokenizer, values, ("no", "yes"))
    assert found.features.ids.dtype == np.int32
    assert found.features.targets["labels"].tolist() == [1, 0]
    assert found.features.targets["labels"].dtype == np.int32
    first, second = sequences(found)
    assert tokenizer.convert_ids_to_tokens(first) == [
        "[CLS]", "good", "film", "[SEP]", "it", "is", "[SEP]",
    ]  # fmt: skip
    assert len(second) == 12


def test_regression(tokenizer):
    found = made(features.classification, tokenizer, [{"text": "it", "label": "2.5"}])
    assert found.features.targets["labels"].tolist() == [2.5]
    assert found.features.targets["labels"].dtype == np.float32


def test_columns_by_other_names(tokenizer):
    values = [{"a": "who", "b": "was", "c": "born", "label": 1}]
    columns = {"text": "a", "choices": ("b", "c")}
    found = made(features.multiple_choice, tokenizer, values, columns=columns)
    assert (found.features.choices, len(found.features)) == (2, 1)
    assert found.features.targets["labels"].tolist() == [1]
    assert tokenizer.decode(sequences(found)[1], skip_special_tokens=True) == "who born"


def test_masked_lm_cuts_and_drops(tokenizer):
    values = [
        {"text": "good " * 25},  # 10 + 10 + 5 tokens: the last is too short
        {"text": "short"},
        {"text": "語 " * 9 + "good"},
    ]
    found = made(features.masked_lm, tokenizer, values)
    assert [len(ids) for ids in sequences(found)] == [12, 12]
    assert all(ids[0] == 2 and ids[-1] == 3 for ids in sequences(found))
    assert found.left_out == 3


def test_the_first_token_of_a_word_learns_its_tag(tokenizer):
    values = [{"words": ["in", "pariss", "\u200b", "it"], "tags": ["O", "LOC", "O", "LOC"]}]
    found = made(features.token_classification, tokenizer, values, ("O", "LOC"))
    tokens = tokenizer.convert_ids_to_tokens(sequences(found)[0])
    assert tokens == ["[CLS]", "in", "paris", "##s", "it", "[SEP]"]
    no = IGNORED
    assert found.features.token_targets["labels"].tolist() == [no, 0, 1, no, 1, no]
    assert found.details.words.tolist() == [-1, 0, 1, -1, 3, -1]
    assert found.details.tags == [["O", "LOC", "O", "LOC"]]


LONG = "the good film was bad in paris . "  # eight tokens


class TestLongTexts:
    """With a stride, texts that are longer than `max_length` are read in windows."""

    def windows(self, tokenizer, first, second=None, strategy=True):
        return tokenizer(
            first, second, truncation=strategy, max_length=12, stride=4,
            return_overflowing_tokens=True,
        )["input_ids"]  # fmt: skip

    def test_every_window_has_the_label_of_its_text(self, tokenizer):
        values = [
            {"text": LONG * 3, "label": "yes"}, {"text": "it", "label": "no"},
            {"text": LONG * 2, "label": "no"},
        ]  # fmt: skip
        found = made(features.classification, tokenizer, values, ("no", "yes"), stride=4)
        expected = [self.windows(tokenizer, row["text"]) for row in values]
        assert sequences(found) == [ids for windows in expected for ids in windows]
        assert list(map(len, expected)) == [4, 1, 2]
        assert found.details.rows.tolist() == [0, 0, 0, 0, 1, 2, 2]
        assert found.features.targets["labels"].tolist() == [1, 1, 1, 1, 0, 0, 0]
        assert found.features.targets["labels"].dtype == np.int32
        cut = made(features.classification, tokenizer, values, ("no", "yes"))
        assert sequences(cut) == [windows[0] for windows in expected]
        assert cut.details is None
        short = made(features.classification, tokenizer, values[1:2], ("no", "yes"), stride=4)
        assert short.details is None

    def test_the_second_text_of_a_pair(self, tokenizer):
        values = [{"text": "it is", "text_pair": LONG * 2, "label": 2.5}]
        found = made(features.classification, tokenizer, values, stride=4)
        assert sequences(found) == self.windows(tokenizer, "it is", LONG * 2, "only_second")
        assert found.features.targets["labels"].tolist() == [2.5] * 4
        long = {"text": LONG, "text_pair": "it is", "label": 1}
        with pytest.raises(InputError, match=r"a first text of 8 tokens, data\.stride=4") as caught:
            made(features.classification, tokenizer, [*values, long], stride=4)
        assert caught.value.where == "file:2"

    def test_every_window_of_a_prompt_has_all_choices(self, tokenizer):
        choices = ["bad", "a film"]
        values = [
            {"text": LONG, "choices": choices, "label": 1},
            {"text": "it", "choices": choices, "label": 0},
        ]  # fmt: skip
        found = made(features.multiple_choice, tokenizer, values, stride=4)
        prompts = [ids[1:-4] for ids in self.windows(tokenizer, LONG, "a film", "only_first")]
        prompts.append(tokenizer("it", add_special_tokens=False)["input_ids"])
        ends = [
            tokenizer(choice, add_special_tokens=False)["input_ids"] for choice in choices
        ]  # fmt: skip
        assert len(prompts) == 3
        assert sequences(found) == [[2, *ids, 3, *end, 3] for ids in prompts for end in ends]
        assert found.features.targets["labels"].tolist() == [1, 1, 0]
        assert found.details.rows.tolist() == [0, 0, 1]
        assert (len(found.features), found.features.tokens.tolist()) == (3, [23, 19, 11])
        long = {"text": LONG, "choices": ["it", LONG], "label": 0}
        with pytest.raises(InputError, match=r"a choice of 8 tokens, data\.stride=4"):
            made(features.multiple_choice, tokenizer, [long], stride=4)

    @pytest.mark.parametrize("stride", [0, 1, 4, 9])
    def test_every_word_learns_its_tag_once(self, tokenizer, stride):
        """Also at borders, and within words that are cut there."""
        words = ["in", "pariss", "old", "film", "was", "zzz", "it"] * 4
        tags = ["O" if number % 3 else "LOC" for number in range(len(words))]
        values = [{"words": words, "tags": tags}, {"words": ["it"], "tags": ["LOC"]}]
        found = made(features.token_classification, tokenizer, values, ("O", "LOC"), stride=stride)
        details, labels = found.details, found.features.token_targets["labels"]
        assert details.rows.tolist() == [0] * (len(details.rows) - 1) + [1]
        owners = np.repeat(details.rows, found.features.lengths)
        begun = details.words != -1
        assert sorted(details.words[begun & (owners == 0)]) == list(range(len(words)))
        numbers = np.array([tag == "LOC" for tag in tags])
        assert (
            labels[begun & (owners == 0)] == numbers[details.words[begun & (owners == 0)]]
        ).all()
        assert (labels == IGNORED).tolist() == (~begun).tolist()
        if stride:  # no word has more than three tokens: some window shows it whole
            firsts = tokenizer.convert_ids_to_tokens(found.features.ids[begun].tolist())
            assert not any(token.startswith("##") for token in firsts)
        cut = made(features.token_classification, tokenizer, values, ("O", "LOC"))
        assert len(cut.details.words[cut.details.words != -1]) < len(words)

    def test_vectors_of_pairs(self, tokenizer):
        values = [{"sentence1": LONG * 2, "sentence2": "it", "score": 3}]
        source = [Row(one, "file:1", 1) for one in values]
        asked = examples.Reader(
            data=DataSection(train=("x",), max_length=12, stride=4),
            tokenizer=tokenizer,
            split="dev",
        )
        found = features.sentence_embeddings(source, asked)
        assert sequences(found) == [
            *self.windows(tokenizer, LONG * 2), *self.windows(tokenizer, "it")
        ]  # fmt: skip
        assert found.details.rows.tolist() == [0, 0, 1]
        assert found.details.scores.tolist() == [3]

    def test_a_stride_without_room(self):
        with pytest.raises(ConfigError, match="stride is not valid"):
            DataSection(train=("x",), max_length=12, stride=10)
        with pytest.raises(ConfigError, match="sequences that share nothing"):
            recipe_for("masked-lm", **{"data.stride": 4})


def question(context, answer):
    answers = {"text": [answer], "answer_start": [context.index(answer)]}
    return {"question": "who", "context": context, "answers": answers}


def test_answers_in_windows(tokenizer):
    context = "it is the good film in paris who was born in a bad bad film"
    found = made(question_answering, tokenizer, [question(context, "in paris")], stride=2)
    one = found.features
    starts, ends = one.targets["start_positions"], one.targets["end_positions"]
    assert len(one) > 1
    assert found.details.rows.tolist() == [0] * len(one)
    answers = []
    for window, ids in enumerate(sequences(found)):
        words = tokenizer.convert_ids_to_tokens(ids)
        if starts[window]:
            answers.append(words[starts[window] : ends[window] + 1])
        else:
            assert ends[window] == 0
            assert "in paris" not in " ".join(words)
    assert answers
    assert all(answer == ["in", "paris"] for answer in answers)
    # Windows overlap by two tokens, and together are the context.
    offsets = found.details.offsets
    assert offsets.max() == len(context)
    assert (offsets[one.starts[:-1]] == -1).all()


def test_answers_are_read_from_the_best_window(tokenizer):
    context = "it is the good film in paris who was born in a bad bad film"
    found = made(question_answering, tokenizer, [question(context, "in paris")], stride=2)
    one, details = found.features, found.details
    scores = [np.zeros((2, length)) for length in one.lengths]
    for window, begin in enumerate(one.targets["start_positions"]):
        scores[window][:, 0] = 9  # [CLS] is no answer, however sure the model is
        if begin:
            scores[window][0, begin] = 5
            scores[window][1, one.targets["end_positions"][window]] = 5
    starts, ends = [s[0] for s in scores], [s[1] for s in scores]
    (answer,) = read_answers(starts, ends, one.starts, details)
    assert (answer.text, answer.null_odds) == ("in paris", 8)  # 9 + 9 less 5 + 5


def test_an_answer_does_not_end_before_it_starts(tokenizer):
    found = made(question_answering, tokenizer, [question("it is good", "is")])
    length = int(found.features.lengths[0])  # [CLS] who [SEP] it is good [SEP]
    start, end = np.zeros(length), np.zeros(length)
    start[5], end[3], end[5] = 5, 5, 1
    (answer,) = read_answers([start], [end], found.features.starts, found.details)
    assert answer.text == "good"


def test_windows_of_a_question_that_leaves_no_room(tokenizer):
    row = question("it is the good film in", "good") | {"question": "who was born in"}
    with pytest.raises(InputError, match=r"a question of 4 tokens, data\.stride=5") as caught:
        made(question_answering, tokenizer, [question("it is", "it"), row], stride=5)
    assert caught.value.where == "file:2"
    fits = row | {"context": "it is the good film"}
    assert len(made(question_answering, tokenizer, [fits], stride=5).features) == 1
    # Where no stride is asked for, windows share 128 tokens, or half of their room of five.
    found = made(question_answering, tokenizer, [row])
    tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in sequences(found)]
    assert [" ".join(one[6:-1]) for one in tokens] == ["it is the good film", "good film in"]


class TestQuestionsWithoutAnAnswer:
    CONTEXT = "it is the good film in paris who was born in a bad bad film"

    @pytest.mark.parametrize(
        "row",
        [
            {"answers": {"text": [], "answer_start": []}},
            {"answers": []},
            {"answers": [], "is_impossible": True},
            {"answers": None, "is_impossible": 1},
            {"is_impossible": "true"},
            {"answers": {"text": np.array([], object), "answer_start": np.array([], np.int32)}},
            {"answers": {"text": [], "answer_start": []}, "is_impossible": np.bool_(True)},
            {"answers": float("nan"), "is_impossible": True},
        ],
    )
    def test_all_windows_point_at_the_first_token(self, tokenizer, row):
        values = [{"question": "who", "context": self.CONTEXT, **row}]
        found = made(question_answering, tokenizer, values, stride=2)
        assert len(found.features) == 3
        for name in ("start_positions", "end_positions"):
            assert found.features.targets[name].tolist() == [0] * 3
        assert found.details.answers == [[]]
        assert found.details.some_impossible

    @pytest.mark.parametrize(
        "answers",
        [
            {"text": ["in paris"], "answer_start": [20]},
            {"text": "in paris", "answer_start": 20},
            [{"text": "in paris", "answer_start": 20}],
            {"text": np.array(["in paris"], object), "answer_start": np.array([20])},
        ],
    )
    @pytest.mark.parametrize("flag", [{}, {"is_impossible": False}, {"is_impossible": None}])
    def test_among_others(self, tokenizer, answers, flag):
        values = [{"question": "who", "context": self.CONTEXT, "answers": answers, **flag}]
        found = made(question_answering, tokenizer, values, stride=2)
        assert max(found.features.targets["start_positions"]) > 0
        assert found.details.answers == [["in paris"]]
        assert not found.details.some_impossible

    def test_null_odds_are_those_of_the_window_that_is_surest(self, tokenizer):
        values = [{"question": "who", "context": self.CONTEXT, "answers": []}]
        found = made(question_answering, tokenizer, values, stride=2)
        starts = [np.zeros(length) for length in found.features.lengths]
        starts[0][0], starts[1][0], starts[2][0] = 3, 1, 2
        starts[2][4] = 0.5
        (answer,) = read_answers(starts, starts, found.features.starts, found.details)
        assert answer.null_odds == 1 + 1 - 0.5 - 0.5
        assert answer.text

    def test_from_a_file(self, tmp_path):
        questions = [
            {"id": "1", "question": "q", "answers": [{"text": "b", "answer_start": 2}],
             "is_impossible": False},
            {"id": "2", "question": "q", "answers": [], "is_impossible": True,
             "plausible_answers": [{"text": "b", "answer_start": 2}]},
        ]  # fmt: skip
        paragraph = {"context": "a b", "qas": questions}
        data = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [paragraph]}]}
        found = [row for row, _ in rows(tmp_path, "a.json", json.dumps(data))]
        assert [row["is_impossible"] for row in found] == [False, True]
        assert found[1]["answers"] == {"text": [], "answer_start": []}
        assert "plausible_answers" not in found[1]


@pytest.mark.parametrize(
    ("build", "values", "labels", "problem"),
    [
        (features.classification, {"text": "it"}, ("a",), "row has no 'label'"),
        (features.classification, {"text": None, "label": "a"}, ("a",), "nothing in 'text'"),
        (features.classification, {"text": 3, "label": "a"}, ("a",), "text is not a text"),
        (features.classification, {"text": "it", "label": "b"}, ("a",), "label is unknown"),
        (features.classification, {"text": "it", "label": 1}, ("a",), "label is unknown"),
        (features.classification, {"text": "it", "label": -1}, ("a",), "label is unknown"),
        (features.classification, {"text": "it", "label": 0.0}, ("a",), "label is unknown"),
        (features.classification, {"text": "it", "label": ""}, ("a",), "label is unknown"),
        (features.classification, {"text": "it", "label": "nan"}, (), "not a number"),
        (features.classification, {"text": "it", "label": True}, (), "not a number"),
        (features.multiple_choice, {"text": "a", "choices": ["b"], "label": 0}, (), "choices"),
        (features.multiple_choice, {"text": "a", "choices": "bc", "label": 0}, (), "choices"),
        (features.multiple_choice, {"text": "a", "choices": ["b", "c"], "label": 2}, (), "label"),
        (
            features.token_classification,
            {"words": ["a"], "tags": ["X"]},
            ("O",),
            "label is unknown",
        ),
        (features.token_classification, {"words": ["a"], "tags": []}, ("O",), "differ in number"),
        (features.token_classification, {"words": "a", "tags": "O"}, ("O",), "not lists"),
        (
            question_answering,
            {"question": "q", "context": "abc", "answers": {"text": ["b"], "answer_start": [2]}},
            (),
            "does not occur at",
        ),
        *(
            (question_answering, {"question": "q", "context": "abc", **row}, (), problem)
            for row, problem in (
                ({"answers": {"text": ["a"], "answer_start": [-3]}}, "does not occur at"),
                ({"answers": {"text": ["a"], "answer_start": []}}, "no answer_start"),
                ({"answers": {"text": ["a"], "answer_start": [0, 1]}}, "no answer\n"),
                ({"answers": {"text": ["a"], "answer_start": ["x"]}}, "no answer\n"),
                ({"answers": {"text": [7], "answer_start": [0]}}, "no answer\n"),
                ({"answers": 7}, "no answer\n"),
                ({"answers": {}}, "no answer\n"),
                ({"answers": None}, "no answer\n"),
                ({}, "no 'answers'"),
                ({"is_impossible": False}, "no answer\n"),
                ({"answers": [], "is_impossible": False}, "no answer\n"),
                ({"answers": ["a"], "is_impossible": True}, "without an answer has one"),
                ({"answers": [], "is_impossible": "perhaps"}, "neither true nor false"),
                ({"answers": [], "is_impossible": 0.5}, "neither true nor false"),
            )
        ),
    ],
)
def test_bad_rows_say_where(build, values, labels, problem, tokenizer):
    with pytest.raises(InputError, match=problem) as caught:
        made(build, tokenizer, [values], labels)
    assert caught.value.where == "file:1"


def test_labels_in_the_data(tokenizer):
    def found(*labels):
        source = [Row({"label": label}, "file:1", 1) for label in labels]
        return list(examples.labels_of(source, reader(tokenizer), "label").items())

    assert found("pos", "neg", "pos") == [("neg", 1), ("pos", 2)]
    assert found("10", "2") == [("2", 1), ("10", 1)]
    with pytest.raises(InputError, match="empty label"):  # a cell of a table
        found("pos", "neg", "")
    tags = [Row({"tags": ["O", "B-X"]}, "file:1", 1)]
    assert examples.labels_of(tags, reader(tokenizer), "tags") == {"B-X": 1, "O": 1}


class FakeDatasets:
    """The package `datasets`, as far as it is used."""

    class ClassLabel:
        names = ("neg", "pos")

    class Found(list):
        pass

    def load_dataset(self, name, subset=None, *, split=None):
        if name != "glue":
            raise ConnectionError("no such data set")
        assert (subset, split) == ("sst2", "train")
        found = self.Found([{"text": "it", "label": 1}, {"text": "is", "label": -1}])
        found.features = {"text": None, "label": self.ClassLabel()}
        return found


def test_a_data_set_of_the_hub_gives_labels_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", FakeDatasets())
    found = list(read_split(DataSection(hub="glue", subset="sst2"), "train"))
    assert [row.values for row in found] == [
        {"text": "it", "label": "pos"}, {"text": "is", "label": None},
    ]  # fmt: skip
    assert found[1].place == "glue, train, row 2"
    with pytest.raises(InputError, match="cannot be loaded"):
        list(read_split(DataSection(hub="other"), "train"))


def test_data_sets_as_the_package_loads_them(tmp_path, monkeypatch):
    """The package itself, on files that it takes for a data set of the hub."""
    datasets = pytest.importorskip(
        "datasets", minversion="3", reason="the extra `datasets` is not installed"
    )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    tags = datasets.Sequence(datasets.ClassLabel(names=["O", "B-LOC"]))
    features = datasets.Features(
        {"words": datasets.Sequence(datasets.Value("string")), "tags": tags}
    )
    rows = {"words": [["in", "paris"], ["it", "is"]], "tags": [[0, 1], [0, 0]]}
    whole = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "data").mkdir()
    whole.to_parquet(tmp_path / "data" / "train.parquet")
    from_hub = DataSection(hub=str(tmp_path / "data"))
    from_file = DataSection(folder=str(tmp_path / "data"), train=("train.parquet",))
    for section in (from_hub, from_file):
        found = [row.values for row in read_split(section, "train")]
        assert found == [
            {"words": ["in", "paris"], "tags": ["O", "B-LOC"]},
            {"words": ["it", "is"], "tags": ["O", "O"]},
        ]


def test_tokenized_data_is_kept_and_mapped(tmp_path, monkeypatch):
    options = {"data.cache": str(tmp_path / "cache"), "model.framework": "pt"}
    recipe = make_recipe(tmp_path, "sequence-classification", None, **options)
    make_folder(tmp_path / "model", "sequence-classification")
    first = preparing.prepare(recipe)
    plain = preparing.prepare(recipe.replace(**{"data.cache": None}))
    monkeypatch.setattr(preparing, "read_split", None)  # nothing is read a second time
    second = preparing.prepare(recipe.replace(**{"data.labels": ["bad", "good"]}))
    for found in (first, second):
        assert isinstance(found.train.features.ids, np.memmap)
        for one, other in ((found.train, plain.train), (found.dev, plain.dev)):
            for name in ("ids", "starts"):
                expected = getattr(other.features, name)
                assert getattr(one.features, name).dtype == expected.dtype
                np.testing.assert_array_equal(getattr(one.features, name), expected)
            np.testing.assert_array_equal(
                one.features.targets["labels"], other.features.targets["labels"]
            )
        assert found.fingerprint == plain.fingerprint


def test_other_files_are_tokenized_again(tmp_path):
    recipe = make_recipe(
        tmp_path, "masked-lm", "pt", **{"data.cache": str(tmp_path / "cache")}
    )  # fmt: skip
    first = preparing.prepare(recipe)
    with (tmp_path / "train.txt").open("a") as file:
        file.write("good bad film who was born in paris it is the good bad film\n")
    second = preparing.prepare(recipe)
    assert len(second.train.features) == len(first.train.features) + 1
    third = preparing.prepare(recipe.replace(**{"data.max_length": 16}))
    assert third.train.features.lengths.max() == 16


def test_one_class_is_not_taken_for_regression(tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt")
    (tmp_path / "train.tsv").write_text("sentence\tlabel\nit is\tgood\n")
    with pytest.raises(InputError, match="only one class"):
        preparing.prepare(recipe)


def test_data_needs_no_framework():
    code = (
        "import sys, distil.training; "
        "print(*sorted({'torch', 'tensorflow', 'keras', 'sklearn', 'matplotlib'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
