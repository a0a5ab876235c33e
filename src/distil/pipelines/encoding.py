"""From texts to sequences of tokens that a model takes: many at once, cut or in windows.

A text far longer than the model is cut before it is tokenized, where that changes nothing: BERT's
tokens end at white space and at most punctuation, whatever follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, pairwise
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.windows import first_windows, mean_of_windows, no_room, windows_of
from distil.errors import InputError
from distil.pipelines.rows import Item

# Characters of the longest text that is tokenized in one piece: a second, and half a gigabyte.
MOST_CHARACTERS = 1_000_000

# Where a word ends under any settings, and where one ends besides under BERT's basic ones.
_SPACES = " \n\t"
_SIGNS = ".,;:!?\u3001\u3002\uff0c"  # and Chinese comma, full stop, comma
_CHARACTERS_A_TOKEN = 16


@dataclass
class Encoded:
    """The sequences that the rows of a window make.

    Attributes:
        sequences: Token ids of each, (t) int32.
        rows: Which row of the window each is of, ascending, (n).
        encodings: What the tokenizer knows of the tokens of each; empty unless asked for.
        wanted: Which tokens are to be scored; None for all.
        wholes: Token ids (t) of the rows that are read in several windows, by row.
        cut: Rows of which the model sees a part only.
        problems: Why a row makes no sequence, by row.
    """

    sequences: list[Array] = field(default_factory=list)
    rows: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    encodings: list[Any] = field(default_factory=list)
    wanted: list[Array] | None = None
    wholes: dict[int, list[int]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    problems: dict[int, InputError] = field(default_factory=dict)

    def by_row(self) -> Iterator[tuple[int, slice]]:
        """Rows that have sequences, and which these are."""
        starts = first_windows(self.rows).tolist()
        for start, end in pairwise([*starts, len(self.rows)]):
            yield int(self.rows[start]), slice(start, end)

    def mean_by_row(self, values: Array) -> Array:
        """Values (r, k) of rows from those (n, k) of their sequences, weighted by tokens."""
        return mean_of_windows(values, self.rows, [len(one) for one in self.sequences])

    def keep(self, which: Sequence[bool]) -> None:
        """Leave all other sequences out."""
        self.rows = self.rows[np.array(which, bool)]
        for name in ("sequences", "encodings", "wanted"):
            values = getattr(self, name)
            if values:
                setattr(self, name, list(compress(values, which)))


class Encoder:
    """Tokenizes rows for a model.

    Args:
        tokenizer: Of the model.
        limit: Tokens that the model takes, special ones included.
        stride: Longer texts are read in windows that share so many tokens, and of a pair the
            second text is; None cuts them.
        detailed: Find out where in the texts tokens are.

    Raises:
        InputError: Windows would share all of their tokens.
    """

    def __init__(
        self, tokenizer: Any, limit: int, *, stride: int | None = None, detailed: bool = False
    ) -> None:
        room = limit - tokenizer.num_special_tokens_to_add()
        if stride is not None and not 0 <= stride < room:
            raise InputError(
                "windows cannot share that many tokens", expected=f"0 to {room - 1}",
                found=stride, where="stride",
            )  # fmt: skip
        self._tokenizer, self._limit, self._stride = tokenizer, limit, stride
        self._detailed = detailed
        ends = _SPACES + (_SIGNS if tokenizer.do_basic_tokenize else "")
        inside = set("".join(tokenizer.get_added_vocab()))
        self._word_ends = [end for end in ends if end not in inside]

    def __call__(self, items: Sequence[Item | None], places: Sequence[str]) -> Encoded:
        """Tokenize the rows of a window.

        Args:
            items: A text or a pair of texts each; None for a row to leave out.
            places: Their names in errors.
        """
        found = Encoded()
        rows_of: dict[bool, list[int]] = {False: [], True: []}
        for row, item in enumerate(items):
            if item is not None:
                rows_of[isinstance(item, tuple)].append(row)
        parts: dict[int, list[tuple[list[int], Any]]] = {}
        for paired, rows in rows_of.items():
            if rows:
                parts |= self._encode(items, rows, places, found, paired=paired)
        order = sorted(parts) if rows_of[True] else parts
        ids = [sequence for row in order for sequence, _ in parts[row]]
        found.rows = np.repeat(list(order), [len(parts[row]) for row in order]).astype(np.int64)
        found.sequences = as_arrays(ids)
        if self._detailed:
            found.encodings = [encoding for row in order for _, encoding in parts[row]]
        return found

    def _encode(
        self, items: Any, rows: list[int], places: Sequence[str], found: Encoded, *, paired: bool
    ) -> dict[int, list[tuple[list[int], Any]]]:
        """Ids and encodings of the sequences of rows, all of them single texts or all pairs."""
        texts: dict[int, Item] = {}
        for row in rows:
            try:
                texts[row] = self._enough(items[row], places[row])
            except InputError as problem:
                found.problems[row] = problem
        batch = self._tokenize(list(texts.values()), paired=paired)
        parts = {
            row: [sequence] for row, sequence in zip(texts, self._sequences(batch), strict=True)
        }
        long = [row for row, ((ids, _),) in parts.items() if len(ids) > self._limit]
        if long and self._stride is None:
            found.cut += long
            batch = self._tokenize(
                [texts[row] for row in long], paired=paired, truncation=True,
                max_length=self._limit,
            )  # fmt: skip
            for row, sequence in zip(long, self._sequences(batch), strict=True):
                parts[row] = [sequence]
        elif long:
            parts |= self._windows({row: texts[row] for row in long}, places, found, parts)
        return parts

    def _windows(
        self, texts: dict[int, Any], places: Sequence[str], found: Encoded, parts: Any
    ) -> dict[int, list[tuple[list[int], Any]]]:
        """Ids and encodings of the windows of long rows, all of them single texts or all pairs."""
        rows = list(texts)
        pairs = isinstance(texts[rows[0]], tuple)
        assert self._stride is not None
        windows = windows_of(
            self._tokenizer, [texts[row][1] if pairs else texts[row] for row in rows],
            before=[texts[row][0] for row in rows] if pairs else None,
            limit=self._limit, stride=self._stride, detailed=self._detailed,
        )  # fmt: skip
        for number, length in windows.without_room.items():
            row = rows[number]
            del parts[row]
            found.problems[row] = no_room(
                length, places[row], limit=self._limit, stride=self._stride, option="stride",
                beside="first text", text="second text",
            )  # fmt: skip
        encodings = windows.encodings or [None] * len(windows.ids)
        of_rows: dict[int, list[tuple[list[int], Any]]] = {}
        for number, *window in zip(windows.owners, windows.ids, encodings, strict=True):
            of_rows.setdefault(rows[number], []).append((window[0], window[1]))
        found.wholes |= {row: parts[row][0][0] for row in of_rows}
        return of_rows

    def _tokenize(self, texts: list[Item], *, paired: bool, **options: Any) -> Any:
        firsts, seconds = zip(*texts, strict=True) if paired and texts else (texts, None)
        return self._tokenizer(
            list(firsts), seconds and list(seconds),
            **{"truncation": False, "return_attention_mask": False, "verbose": False,
               "return_offsets_mapping": self._detailed, **options},
        )  # fmt: skip

    def _sequences(self, batch: Any) -> list[tuple[list[int], Any]]:
        if not self._detailed:
            return [(ids, None) for ids in batch["input_ids"]]
        for encoding in batch.encodings:
            encoding.columns  # noqa: B018 - worked out here, while the model computes
        return [(encoding.ids, encoding) for encoding in batch.encodings]

    def _enough(self, item: Item, where: str) -> Item:
        """As much of a row as makes the same tokens as all of it."""
        most = _CHARACTERS_A_TOKEN * self._limit
        if isinstance(item, str):
            return item if len(item) <= most else self._enough_of(item, 0, where)
        first, second = item
        # What of a pair is cut depends on which text is longer, and on the length of the other.
        if len(second) <= most < len(first):
            return self._enough_of(first, self._count(second), where), second
        if len(first) <= most < len(second):
            return first, self._enough_of(second, self._count(first), where)
        if len(first) + len(second) > MOST_CHARACTERS:
            raise self._too_long(len(first) + len(second), where)
        return item

    def _enough_of(self, text: str, other: int, where: str) -> str:
        """As much of a text as the model can need of it, if another has so many tokens."""
        size = _CHARACTERS_A_TOKEN * self._limit
        while self._stride is None and size < min(len(text), MOST_CHARACTERS):
            part = self._words_within(text, size)
            if self._count(part) > self._limit + other:
                return part
            size *= 4
        if len(text) > MOST_CHARACTERS:
            raise self._too_long(len(text), where)
        return text

    def _words_within(self, text: str, size: int) -> str:
        """The first characters of a text up to the end of a word, or the last from one on."""
        if self._tokenizer.truncation_side == "right":
            return text[: max(0, *(text.rfind(end, 0, size) for end in self._word_ends))]
        from_ = len(text) - size
        starts = [text.find(end, from_) for end in self._word_ends]
        return text[min((start for start in starts if start >= 0), default=len(text)) :]

    def _count(self, text: str) -> int:
        ids = self._tokenizer(
            text, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        return len(ids["input_ids"])

    def _too_long(self, length: int, where: str) -> InputError:
        fix = "split it" if self._stride is None else "split it, or leave out stride="
        return too_long(length, where, fix=fix)


def too_long(length: int, where: str, *, fix: str) -> InputError:
    """The error for a row of so many characters."""
    return InputError(
        "this text is too long to be tokenized in one piece",
        expected=f"at most {MOST_CHARACTERS:,} characters", found=f"{length:,}", where=where,
        fix=fix,
    )  # fmt: skip


def as_arrays(rows: Sequence[Sequence[int]]) -> list[Array]:
    """Rows of token ids as arrays (t) int32, made in one go."""
    ends = np.cumsum([len(ids) for ids in rows], dtype=np.int64).tolist()
    flat = np.fromiter(chain.from_iterable(rows), np.int32, ends[-1] if ends else 0)
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]
