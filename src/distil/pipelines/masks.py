"""Masked language modelling: words for [MASK]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.windows import most_inside
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_count, warn
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import check_text


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of filling masks.

    Attributes:
        top_k: Words to give for each mask.
        targets: The words to choose from; None for the whole vocabulary.  Of a word that is not
            in the vocabulary, its first piece is taken, with a warning.
        stride: Read a long text in windows that share so many tokens, and guess each mask in the
            one in which it stands most inside.  None cuts the text.
    """

    top_k: int = 5
    targets: str | Sequence[str] | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.top_k, "top_k")


class FillMaskPipeline(base.Pipeline):
    """Guesses what stands behind masks.

    A result is a list of `{"score", "token", "token_str", "sequence"}`, the likeliest first; of a
    text with several masks, a list of such lists, one for each mask by itself.
    """

    task = "masked-lm"
    options_type = Options
    memory = 16_000_000
    # Masks: each is scored for the whole vocabulary, an eighth of a megabyte.
    tokens_at_once = 256

    def __call__(self, inputs: Any, **rest: Any) -> Any:
        """Fill masks; as every pipeline, but a list of one row gives the result of that row."""
        one = isinstance(inputs, list | tuple) and len(inputs) == 1
        results = super().__call__(inputs, **rest)
        return results[0] if one else results

    def read(self, row: Any, where: str, options: Options) -> str:
        """A row is a text with at least one mask."""
        text = check_text(row, where)
        if self.tokenizer.mask_token not in text:
            raise self._no_mask(where, "none")
        return text

    def encoder(self, options: Options) -> Callable[[Sequence[Any], Sequence[str]], Encoded]:
        """Only masks are to be scored, each in one window."""
        encoder = Encoder(
            self.tokenizer, self.limit_of(options), stride=options.stride,
            detailed=options.stride is not None,
        )  # fmt: skip

        def encode(items: Sequence[Any], places: Sequence[str]) -> Encoded:
            found = encoder(items, places)
            mask = self.tokenizer.mask_token_id
            found.wanted = [np.flatnonzero(sequence == mask) for sequence in found.sequences]
            is_read = [len(masks) > 0 for masks in found.wanted]
            for row, part in found.by_row():
                if row in found.wholes:
                    is_read[part] = [len(masks) > 0 for masks in _masks_inside(found, part)]
                if not any(is_read[part]):
                    found.problems[row] = self._no_mask(places[row], "one that is cut off")
            found.keep(is_read)
            return found

        return encode

    def digest(self, options: Options) -> Callable[[Array], Array]:
        """The best tokens and their probabilities, (2, masks, top_k) in float64."""
        targets = None if options.targets is None else self._target_ids(options.targets)
        # The model may have rows for tokens that no vocabulary has.
        choices = len(self.tokenizer) if targets is None else len(targets)
        count = min(options.top_k, choices)

        def best(logits: Array) -> Array:
            highest = logits.max(axis=1, keepdims=True)
            total = np.exp(logits - highest).sum(axis=1, keepdims=True, dtype=np.float64)
            among = logits[:, :choices] if targets is None else logits[:, targets]
            places = np.argpartition(-among, count - 1, axis=1)[:, :count]
            scores = np.take_along_axis(among, places, axis=1).astype(np.float64)
            order = np.argsort(-scores, axis=1, kind="stable")
            places = np.take_along_axis(places, order, axis=1)
            scores = np.take_along_axis(scores, order, axis=1)
            ids = places if targets is None else targets[places]
            return np.stack([ids, np.exp(scores - highest) / total])

        return best

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> Iterator[Any]:
        """Row by row."""
        special = set(self.tokenizer.all_special_tokens)
        for row, part in encoded.by_row():
            ids = np.asarray(encoded.wholes.get(row, encoded.sequences[part.start]))
            tokens = self.tokenizer.convert_ids_to_tokens(ids.tolist())
            masks = np.flatnonzero(ids == self.tokenizer.mask_token_id).tolist()
            best = scores[part.start]
            if row in encoded.wholes:
                best = _merged(encoded, part, scores[part])
            # Of several masks the others have to stay, and special tokens with them.
            left_out = special if len(masks) == 1 else set()
            found = [
                self._words(tokens, mask, ids, values, left_out)
                for mask, ids, values in zip(masks, *best, strict=True)
            ]
            yield found[0] if len(found) == 1 else found

    def _words(
        self, tokens: list[str], mask: int, ids: Array, scores: Array, left_out: set[str]
    ) -> list[dict[str, Any]]:
        """The guesses for one mask: each with the text that it makes."""
        ids = ids.astype(int).tolist()
        words = []
        for guess, token, score in zip(
            ids, self.tokenizer.convert_ids_to_tokens(ids), scores.tolist(), strict=True
        ):
            filled = [*tokens[:mask], token, *tokens[mask + 1 :]]
            words.append(
                {"score": score, "token": guess, "token_str": self._text([token]),
                 "sequence": self._text([one for one in filled if one not in left_out])}
            )  # fmt: skip
        return words

    def _text(self, tokens: list[str]) -> str:
        """Tokens as `decode` shows them: all guesses share theirs, but for one."""
        text: str = self.tokenizer.convert_tokens_to_string(tokens)
        clean = self.tokenizer.clean_up_tokenization_spaces
        return self.tokenizer.clean_up_tokenization(text) if clean else text

    def _target_ids(self, targets: str | Sequence[str]) -> Array:
        vocabulary = self.tokenizer.get_vocab()
        found = []
        for target in [targets] if isinstance(targets, str) else targets:
            token = vocabulary.get(target)
            if token is None:
                ids = self.tokenizer(check_text(target, "targets"), add_special_tokens=False)
                if not ids["input_ids"]:
                    warn(f"the target {target!r} has no token, and is left out")
                    continue
                token = ids["input_ids"][0]
                piece = self.tokenizer.convert_ids_to_tokens(token)
                warn(f"the target {target!r} is not in the vocabulary; {piece!r} stands for it")
            found.append(token)
        if not found:
            raise InputError(
                "there is no target", expected="at least one word", found=repr(targets),
                where="targets",
            )  # fmt: skip
        return np.array(sorted(set(found)))

    def _no_mask(self, where: str, found: str) -> InputError:
        token = self.tokenizer.mask_token
        return InputError(
            "no mask in the text", expected=f"{token} in the text", found=found, where=where,
            fix=f"put {token} where a word is to be guessed"
            + ("" if found == "none" else ", or read all of the text with stride=..."),
        )  # fmt: skip


def _masks_inside(encoded: Encoded, part: slice) -> list[Array]:
    """Of the masks in each window of a text, those that are guessed there, by their numbers."""
    inside = most_inside([encoding.word_ids for encoding in encoded.encodings[part]])
    masks = (encoded.wanted or [])[part]
    return [np.flatnonzero(here[ids]) for here, ids in zip(inside, masks, strict=True)]


def _merged(encoded: Encoded, part: slice, scores: Sequence[Array]) -> Array:
    """What is best for the masks of a text in their order (2 masks top_k), from its windows."""
    words, best = [], []
    for number, chosen in enumerate(_masks_inside(encoded, part), start=part.start):
        word_ids, masks = encoded.encodings[number].word_ids, (encoded.wanted or [])[number]
        words += [word_ids[place] for place in masks[chosen]]
        best.append(scores[number - part.start][:, chosen])
    return np.concatenate(best, axis=1)[:, np.argsort(words)]
