"""Pipelines against those of transformers 4.57, live: the same shapes, words and numbers.

Where transformers errs, or where its results depend on how it batches, what is right is tested in
`tests/unit/test_pipeline_results.py`; here it is shown that there it is wrong.
"""

import numpy as np
import pytest

import distil
from distil.common.tasks import TASKS
from support.folders import make_folder

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
torch = pytest.importorskip("torch", reason="no PyTorch here")

pytestmark = [pytest.mark.pt, pytest.mark.tf]

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
TEXTS = [
    "who was born in Paris?", "It's a good film, isn't it!", "the  café in Paris",
    "paris paris was born in the film .", "zzz qqq",
]  # fmt: skip
LONG = "the good film was bad in paris, who was born. "
CONTEXT = LONG * 4


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    """Our pipelines and transformers', of the same checkpoint."""
    made = {}

    def of(name, framework="pt", *, task, **changes):
        key = name, framework, tuple(changes.items())
        if key not in made:
            changes = {one: dict(value) if one == "id2label" else value
                       for one, value in changes.items()}  # fmt: skip
            folder = make_folder(tmp_path_factory.mktemp("model"), task, **changes)
            tokenizer = transformers.DistilBertTokenizerFast(
                vocab_file=str(folder / "vocab.txt"), model_max_length=40
            )
            model = getattr(transformers, TASKS[task].class_name).from_pretrained(folder)
            made[key] = (
                distil.pipeline(name, folder, framework=framework),
                transformers.pipeline(name, model=model, tokenizer=tokenizer, device="cpu"),
            )
        return made[key]

    return of


def assert_same(ours, theirs, path=""):
    """The same shape, words and integers, and numbers to 1e-5."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for name, value in theirs.items():
            assert_same(ours[name], value, f"{path}.{name}")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), path
        assert len(ours) == len(theirs), path
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{path}[{number}]")
    elif isinstance(theirs, float | np.floating):
        assert type(ours) is float, path  # theirs are NumPy's at times, which json refuses
        assert ours == pytest.approx(float(theirs), abs=1e-5), path
    else:
        assert ours == theirs, path


frameworks = pytest.mark.parametrize("framework", ["pt", "tf"])


@frameworks
class TestTextClassification:
    TASK = "sequence-classification"

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"problem_type": "multi_label_classification"},
            {"problem_type": "regression", "num_labels": 1},
            {"num_labels": 1},
        ],
        ids=["one label", "several labels", "regression", "a single label"],
    )
    @pytest.mark.parametrize(
        "options",
        [{}, {"top_k": None}, {"top_k": 1}, {"top_k": 2}, {"function_to_apply": "none"},
         {"function_to_apply": "sigmoid", "top_k": None}, {"function_to_apply": "softmax"}],
        ids=repr,
    )  # fmt: skip
    def test_texts(self, pipes, framework, changes, options):
        ours, theirs = pipes("text-classification", framework, task=self.TASK, **changes)
        assert_same(ours(TEXTS, **options), theirs(TEXTS, **options))
        assert_same(ours(TEXTS[0], **options), theirs(TEXTS[0], **options))

    def test_pairs(self, pipes, framework):
        ours, theirs = pipes("text-classification", framework, task=self.TASK)
        row = {"text": TEXTS[0], "text_pair": TEXTS[1]}
        assert_same(ours(row), theirs(row))
        assert_same(ours([row, row], top_k=2), theirs([row, row], top_k=2))

    def test_long_texts(self, pipes, framework):
        ours, theirs = pipes("text-classification", framework, task=self.TASK)
        options = {"truncation": True, "max_length": 40, "padding": True, "batch_size": 2}
        assert_same(ours([CONTEXT, "it"], **options), theirs([CONTEXT, "it"], **options))

    def test_a_generator(self, pipes, framework):
        ours, theirs = pipes("text-classification", framework, task=self.TASK)
        assert_same(list(ours(iter(TEXTS))), list(theirs(text for text in TEXTS)))


@frameworks
class TestTokenClassification:
    def pair(self, pipes, framework):
        changes = {"num_labels": 5, "id2label": tuple(LABELS.items())}
        return pipes("ner", framework, task="token-classification", **changes)

    @pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
    @pytest.mark.parametrize("ignored", [["O"], [], ["O", "B-PER", "LOC"]], ids=repr)
    def test_texts(self, pipes, framework, strategy, ignored):
        ours, theirs = self.pair(pipes, framework)
        options = {"aggregation_strategy": strategy, "ignore_labels": ignored}
        assert_same(ours(TEXTS, **options), theirs(TEXTS, **options))
        assert_same(ours(TEXTS[1], **options), theirs(TEXTS[1], **options))

    def test_a_long_text_is_cut(self, pipes, framework):
        ours, theirs = self.pair(pipes, framework)
        assert_same(ours(CONTEXT, truncation=True), theirs(CONTEXT))

    def test_theirs_joins_words_at_a_soft_hyphen(self, pipes, framework):
        # "B-" begins a group, so that every word is one.
        labels = tuple((number, f"B-{number}") for number in range(5))
        changes = {"num_labels": 5, "id2label": labels}
        found = []
        for pipe in pipes("ner", framework, task="token-classification", **changes):
            groups = pipe("it fi\u00adlm", aggregation_strategy="first")
            found.append([(one["start"], one["end"]) for one in groups])
        assert found == [[(0, 2), (3, 8)], [(0, 8)]]


@frameworks
class TestQuestionAnswering:
    def pair(self, pipes, framework):
        return pipes("question-answering", framework, task="question-answering")

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"top_k": 4},
            {"top_k": 3, "handle_impossible_answer": True},
            {"top_k": 5, "align_to_words": False},
            {"top_k": 5, "max_answer_len": 2},
            {"top_k": 5, "doc_stride": 4, "max_seq_len": 20},
            {"doc_stride": 0, "max_seq_len": 32},
            {"top_k": 2, "doc_stride": 10, "max_answer_len": 30, "handle_impossible_answer": True},
        ],
        ids=repr,
    )
    def test_contexts(self, pipes, framework, options):
        ours, theirs = self.pair(pipes, framework)
        for question, context in (
            ("who was born?", CONTEXT), ("who?", TEXTS[1]), ("it's bad?", "the old film"),
        ):  # fmt: skip
            row = {"question": question, "context": context}
            assert_same(ours(**row, **options), theirs(**row, **options))

    def test_shapes(self, pipes, framework):
        ours, theirs = self.pair(pipes, framework)
        row = {"question": ["who?", "what is it?"], "context": CONTEXT}
        assert_same(ours(**row), theirs(**row))
        row = {"question": ["who?", "what is it?"], "context": [CONTEXT, TEXTS[0]]}
        assert_same(ours(**row), theirs(**row))
        assert_same(
            ours(question=["who?"], context=["it was paris"]),
            theirs(question=["who?"], context=["it was paris"]),
        )

    def test_theirs_gives_empty_answers_of_short_contexts(self, pipes, framework):
        ours, theirs = self.pair(pipes, framework)
        row = {"question": "who?", "context": "paris"}
        assert any(one["answer"] == "" for one in theirs(**row, top_k=3))
        assert ours(**row, top_k=3)["answer"] == "paris"

    def test_theirs_takes_no_notice_of_max_question_len(self, pipes, framework):
        ours, theirs = self.pair(pipes, framework)
        row = {"question": "who was born in paris?", "context": "the good film was bad"}
        assert theirs(**row, max_question_len=2) == theirs(**row)
        cut = theirs(**(row | {"question": "who was"}))
        with pytest.warns(UserWarning, match="max_question_len"):
            assert_same(ours(**row, max_question_len=2), cut)


@frameworks
class TestFillMask:
    @pytest.mark.parametrize(
        "options", [{}, {"top_k": 2}, {"targets": ["good", "bad", "film"], "top_k": 2}], ids=repr
    )
    def test_texts(self, pipes, framework, options):
        ours, theirs = pipes("fill-mask", framework, task="masked-lm")
        texts = ["it is [MASK].", "[MASK] was born, in Paris!"]
        assert_same(ours(texts, **options), theirs(texts, **options))
        assert_same(ours(texts[0], **options), theirs(texts[0], **options))
        assert_same(ours(texts[:1], **options), theirs(texts[:1], **options))

    def test_several_masks(self, pipes, framework):
        ours, theirs = pipes("fill-mask", framework, task="masked-lm")
        text = "the [MASK] film is [MASK]."
        assert_same(ours(text), theirs(text))
        assert_same(ours([text, "[MASK]!"]), theirs([text, "[MASK]!"]))


@frameworks
class TestFeatureExtraction:
    def test_texts(self, pipes, framework):
        ours, theirs = pipes("feature-extraction", framework, task="base")
        assert_same(ours(TEXTS), theirs(TEXTS))
        assert_same(ours(TEXTS[0]), theirs(TEXTS[0]))
        options = {"tokenize_kwargs": {"truncation": True, "max_length": 6}}
        assert_same(ours(TEXTS, **options), theirs(TEXTS, **options))

    def test_tensors(self, pipes, framework):
        ours, theirs = pipes("feature-extraction", framework, task="base")
        found = ours(TEXTS[0], return_tensors=True)
        expected = theirs(TEXTS[0], return_tensors=True)
        assert tuple(found.shape) == tuple(expected.shape)
        assert type(found).__module__.startswith("torch" if framework == "pt" else "tensorflow")
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)
