"""What the outputs of each head say about a text: from arrays to labels, words and answers.

Shapes: s length, v vocabulary, l labels, d dim.  All arrays are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.errors import InputError

Array = NDArray[Any]

_LONGEST_ANSWER = 30  # tokens, as is usual for SQuAD


@dataclass(frozen=True, kw_only=True)
class Score:
    """A label, a word or a choice.

    Attributes:
        label: Which.
        score: Its probability; for regression the value itself.
    """

    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Of a sequence classifier.

    Attributes:
        text: The text.
        pair: The second text, or None.
        scores: The best labels first.  Their probabilities sum to one over all labels, or, for
            several labels at once, each stands by itself.
    """

    text: str
    pair: str | None
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word and its tag.

    Attributes:
        word: As it stands in the text.
        tag: Its label.
        score: The probability of the tag, the mean over the word's pieces.
        start: Its first character.
        end: The character after its last.
    """

    word: str
    tag: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """Of a token classifier.

    Attributes:
        text: The text.
        words: Its words, as the tokenizer takes it apart; each sign is one as well.
    """

    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of a question-answering model.

    Attributes:
        question: The question.
        answer: The best part of the context.
        score: The probability of its start times that of its end, over the context.
        start: Its first character in the context.
        end: The character after its last.
    """

    question: str
    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class FilledMasks:
    """Of a masked language model.

    Attributes:
        text: The text.
        masks: For each mask in it, the best words first.
    """

    text: str
    masks: tuple[tuple[Score, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Of a multiple-choice model.

    Attributes:
        prompt: The prompt.
        scores: The choices, the best first.
    """

    prompt: str
    scores: tuple[Score, ...]


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Of a model without a head.

    Attributes:
        text: The text.
        vector: The mean of the last hidden states over all tokens, scaled to length one.
    """

    text: str
    vector: tuple[float, ...]


Result = Classification | TaggedText | Answer | FilledMasks | Choice | Embedding


@dataclass(frozen=True, kw_only=True)
class Row:
    """A text and what a model made of it.

    Attributes:
        text: The text, question or prompt.
        second: The second text or the context, the list of choices, or None.
        encoding: The tokens of the text; of the first choice, where there are choices.
        outputs: The outputs of the model by name, padding included.
        config: Of the model.
        tokenizer: Of the model.
        top_k: How many labels or words are wanted.
    """

    text: str
    second: Any
    encoding: Any
    outputs: Mapping[str, Array]
    config: DistilBertConfig
    tokenizer: Any
    top_k: int


def _classification(row: Row) -> Classification:
    logits = row.outputs["logits"]  # l
    kind = row.config.problem_type or ("regression" if len(logits) == 1 else "")
    if kind == "regression":
        scores = logits
    elif kind == "multi_label_classification":
        scores = np.exp(-np.logaddexp(0, -logits))  # the sigmoid, without overflow
    else:
        scores = _softmax(logits)
    labels = list(row.config.id2label.values())
    return Classification(
        text=row.text, pair=row.second, scores=_ranked(labels, scores)[: row.top_k]
    )


def _tagged_text(row: Row) -> TaggedText:
    probabilities = _softmax(row.outputs["logits"])  # s l
    words = []
    pieces_of: dict[int, list[int]] = {}
    for piece, word in enumerate(row.encoding.word_ids):
        if word is not None:
            pieces_of.setdefault(word, []).append(piece)
    for pieces in pieces_of.values():
        mean = probabilities[pieces].mean(axis=0)  # l
        start, end = row.encoding.offsets[pieces[0]][0], row.encoding.offsets[pieces[-1]][1]
        words.append(
            Word(
                word=row.text[start:end],
                tag=row.config.id2label[int(mean.argmax())],
                score=float(mean.max()),
                start=start,
                end=end,
            )
        )
    return TaggedText(text=row.text, words=tuple(words))


def _answer(row: Row) -> Answer:
    sequences = row.encoding.sequence_ids
    context = [piece for piece, sequence in enumerate(sequences) if sequence == 1]
    if not context:
        raise InputError("no token of the context is left", where=row.text)
    starts = _softmax(row.outputs["start_logits"][context])
    ends = _softmax(row.outputs["end_logits"][context])
    # An answer ends where it starts or later, and is not longer than answers are.
    spans = np.tril(np.triu(np.outer(starts, ends)), _LONGEST_ANSWER - 1)
    first, last = divmod(int(spans.argmax()), len(context))
    start = row.encoding.offsets[context[first]][0]
    end = row.encoding.offsets[context[last]][1]
    return Answer(
        question=row.text,
        answer=row.second[start:end],
        score=float(spans[first, last]),
        start=start,
        end=end,
    )


def _filled_masks(row: Row) -> FilledMasks:
    mask = row.tokenizer.mask_token_id
    places = [piece for piece, token in enumerate(row.encoding.ids) if token == mask]
    if not places:
        token = row.tokenizer.mask_token
        raise InputError(
            "nothing to guess", expected=f"{token} in the text", found=repr(row.text),
            fix=f"put {token} where a word is to be guessed",
        )  # fmt: skip
    found = []
    for place in places:
        probabilities = _softmax(row.outputs["logits"][place])  # v
        # The model may have rows for tokens that no vocabulary has.
        best = np.argsort(-probabilities[: len(row.tokenizer)], kind="stable")[: row.top_k]
        words = row.tokenizer.convert_ids_to_tokens(best.tolist())
        found.append(
            tuple(
                Score(label=word, score=float(probability))
                for word, probability in zip(words, probabilities[best], strict=True)
            )
        )
    return FilledMasks(text=row.text, masks=tuple(found))


def _choice(row: Row) -> Choice:
    return Choice(prompt=row.text, scores=_ranked(row.second, _softmax(row.outputs["logits"])))


def _embedding(row: Row) -> Embedding:
    shown = np.array(row.encoding.attention_mask, bool)
    mean = row.outputs["last_hidden_state"][shown].mean(axis=0)  # d
    # A vector of zeros has no direction; it stays one.
    length = np.linalg.norm(mean) or 1.0
    return Embedding(text=row.text, vector=tuple((mean / length).tolist()))


READERS: Mapping[str, Callable[[Row], Result]] = {
    "base": _embedding,
    "masked-lm": _filled_masks,
    "sequence-classification": _classification,
    "multiple-choice": _choice,
    "token-classification": _tagged_text,
    "question-answering": _answer,
}


def cosine_similarities(embeddings: Sequence[Embedding]) -> list[list[float]]:
    """How similar each is to each, from -1 to 1."""
    vectors = np.array([embedding.vector for embedding in embeddings])
    similarities: list[list[float]] = (vectors @ vectors.T).tolist()
    return similarities


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def _ranked(labels: list[str], scores: Array) -> tuple[Score, ...]:
    order = np.argsort(-scores, kind="stable")
    return tuple(Score(label=labels[i], score=float(scores[i])) for i in order)
