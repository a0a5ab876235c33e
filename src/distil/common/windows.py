"""Windows: how a text that is longer than the model takes is read as a whole, for every head.

A text is cut into windows that share `stride` tokens.  Of a pair one text is cut, and the other
stands whole in every window.  What the windows say is put together in one of two ways:

- Of a text as a whole (a class, a number, a vector): the mean of its windows, weighted by tokens.
- Of a token (a tag, a hidden word): what the window says in which its word stands most inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, groupby, pairwise
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import InputError

# Tokens that windows share where nobody says how many, as in BERT's own reading of SQuAD.
USUAL_STRIDE = 128


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of several texts.

    Attributes:
        ids: Token ids of each window.
        owners: Which text each is of, ascending (n).
        encodings: What the tokenizer knows of the tokens of each; none unless asked for.
        without_room: Texts that have no windows, as what stands beside them leaves no room, and
            how many tokens that has.
    """

    ids: list[list[int]]
    owners: Array
    encodings: list[Any] = field(default_factory=list)
    without_room: dict[int, int] = field(default_factory=dict)


def windows_of(
    tokenizer: Any,
    texts: Sequence[Any],
    *,
    limit: int | Sequence[int],
    stride: int | Sequence[int],
    before: Sequence[str] | None = None,
    after: Sequence[str] | None = None,
    lengths: Sequence[int] | None = None,
    words: bool = False,
    detailed: bool = False,
) -> Windows:
    """Cut texts into windows; one that fits is a window by itself.

    Args:
        tokenizer: Of the model.
        texts: To be cut.
        limit: Tokens of a window, special ones included; or those of each text's windows.
        stride: Tokens that windows share; or those of each text's windows.
        before: What stands before each text, in every window.
        after: What stands after each text, instead.
        lengths: Tokens of what stands beside each text; None counts them.
        words: Whether texts are lists of words.
        detailed: Whether encodings are wanted; they are worked out at once.
    """
    beside = after if before is None else before
    specials = tokenizer.num_special_tokens_to_add(pair=beside is not None)
    if lengths is None:
        lengths = [0] * len(texts) if beside is None else count_tokens(tokenizer, beside)
    limits = [limit] * len(texts) if isinstance(limit, int) else limit
    strides = [stride] * len(texts) if isinstance(stride, int) else stride
    without_room: dict[int, int] = {}
    alike: dict[tuple[int, int], list[int]] = {}
    for number, (most, shared, length) in enumerate(zip(limits, strides, lengths, strict=True)):
        room = most - specials - length
        if room <= shared:
            if count_tokens(tokenizer, [texts[number]], words=words)[0] > room:
                without_room[number] = length
                continue
            shared = 0  # noqa: PLW2901 - it fits, and shares nothing
        alike.setdefault((most, shared), []).append(number)
    strategy: Any = True if beside is None else "only_first" if before is None else "only_second"
    parts: list[tuple[int, list[int], Any]] = []
    for (most, shared), numbers in alike.items():
        own = [texts[number] for number in numbers]
        other = None if beside is None else [beside[number] for number in numbers]
        batch = tokenizer(
            *((own, other) if before is None else (other, own)),
            truncation=strategy, max_length=most, stride=shared, is_split_into_words=words,
            return_overflowing_tokens=True, return_offsets_mapping=detailed,
            return_attention_mask=False, verbose=False,
        )  # fmt: skip
        owners = batch["overflow_to_sample_mapping"]
        encodings = batch.encodings if detailed else [None] * len(owners)
        rows = zip(owners, batch["input_ids"], encodings, strict=True)
        parts += [(numbers[owner], ids, encoding) for owner, ids, encoding in rows]
    parts.sort(key=lambda part: part[0])  # which leaves the windows of a text in their order
    for _, _, encoding in parts if detailed else ():
        encoding.columns  # noqa: B018
    return Windows(
        ids=[ids for _, ids, _ in parts],
        owners=np.array([owner for owner, _, _ in parts], np.int64),
        encodings=[encoding for _, _, encoding in parts] if detailed else [],
        without_room=without_room,
    )


def windows_of_choices(
    tokenizer: Any,
    prompts: Sequence[str],
    choices: Sequence[Sequence[str]],
    *,
    limit: int,
    stride: int,
) -> Windows:
    """Cut prompts into windows, each with all of its choices.

    The longest choice says how much of a prompt is in a window: all choices are judged by the same.

    Args:
        tokenizer: Of the model.
        prompts: To be cut.
        choices: Of each prompt.
        limit: Tokens of a window, special ones included.
        stride: Tokens that windows share.

    Returns:
        Of each prompt window by window, and in each of them choice by choice.
    """
    lengths = count_tokens(tokenizer, list(chain.from_iterable(choices)))
    starts = list(accumulate(map(len, choices), initial=0))
    each = [lengths[begin:end] for begin, end in pairwise(starts)]
    counts = np.array(list(map(len, choices)), np.int64)
    number_of = np.repeat(np.arange(len(choices)), counts)
    found = windows_of(
        tokenizer, [prompts[number] for number in number_of.tolist()],
        after=list(chain.from_iterable(choices)), lengths=lengths,
        limit=[limit - max(own) + length for own in each for length in own], stride=stride,
    )  # fmt: skip
    # From choice by choice to window by window: both are counted from the prompt's first.
    window = np.arange(len(found.owners)) - np.searchsorted(found.owners, found.owners)
    owners = number_of[found.owners]
    order = np.lexsort((found.owners, window, owners))
    return Windows(
        ids=[found.ids[place] for place in order],
        owners=owners[order],
        without_room={int(number_of[n]): max(each[number_of[n]]) for n in found.without_room},
    )


def count_tokens(tokenizer: Any, texts: Sequence[Any], *, words: bool = False) -> list[int]:
    """Tokens of texts, or of lists of words, special ones not counted."""
    if not texts:
        return []
    batch = tokenizer(
        list(texts), add_special_tokens=False, is_split_into_words=words,
        return_attention_mask=False, verbose=False,
    )  # fmt: skip
    return list(map(len, batch["input_ids"]))


def usual_stride(room: int) -> int:
    """Tokens that windows share where nobody says how many.

    Args:
        room: Tokens of a window that the text has.
    """
    return USUAL_STRIDE if room > USUAL_STRIDE else max(0, room // 2)


def no_room(
    length: int, where: Any, *, limit: int, stride: int, option: str, beside: str, text: str
) -> InputError:
    """The error for a text that has no windows.

    Args:
        length: Tokens of what stands beside it.
        where: Its row.
        limit: Tokens of a window, special ones included.
        stride: Tokens to share.
        option: What sets them.
        beside: What stands beside the text, as "question".
        text: What the text is called.
    """
    return InputError(
        f"a window has no room for more of the {text}",
        expected=f"{beside} and shared tokens below {limit - 3}",
        found=f"a {beside} of {length} tokens, {option}={stride}",
        where=where, fix=f"lower {option}=, or shorten the {beside}",
    )  # fmt: skip


def first_windows(owners: Array) -> Array:
    """The first window of each text (r), from the texts of all windows (n)."""
    return np.flatnonzero(np.diff(owners, prepend=-1))


def mean_of_windows(values: Array, owners: Array, tokens: Sequence[int] | Array) -> Array:
    """Values (r, k) of texts: the means of those (n, k) of their windows, weighted by tokens.

    Args:
        values: Of the windows.
        owners: Which text each is of, ascending (n).
        tokens: Of each (n).
    """
    starts = first_windows(owners)
    if len(starts) == len(owners):
        return values
    weights = np.asarray(tokens, np.float64)[:, None]
    return np.add.reduceat(values * weights, starts) / np.add.reduceat(weights, starts)


def most_inside(words: Sequence[Sequence[int | None]]) -> list[Array]:
    """Which tokens of the windows of a text count there: those of words that stand most inside.

    A window may begin or end within a word, so that one with more of its tokens goes first; among
    these it is the one with most tokens around it, on the side that has fewer.

    Args:
        words: For each window the word of each token; None for what is not of the text.

    Returns:
        For each window bools (t); a word counts in one window.
    """
    if len(words) == 1:
        return [np.array([word is not None for word in words[0]], bool)]
    best: dict[int, tuple[tuple[int, int], int]] = {}
    for number, window in enumerate(words):
        inside = [word for word in window if word is not None]
        before = 0
        for word, tokens in groupby(inside):
            length = len(list(tokens))
            rank = length, min(before, len(inside) - before - length)
            if word not in best or best[word][0] < rank:
                best[word] = rank, number
            before += length
    return [
        np.array([word is not None and best[word][1] == number for word in window], bool)
        for number, window in enumerate(words)
    ]
