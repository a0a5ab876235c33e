"""A student made of its teacher: some of its layers, and perhaps some of its vocabulary.

Source: Sanh et al. 2019, section 3: the student has the teacher's architecture with half the
layers, and starts from some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.checkpoints.pretrained import Pretrained
from distil.common.config import DistilBertConfig
from distil.common.spec import parameters
from distil.common.steps.layers import default_layers
from distil.errors import InputError


def make_student(
    teacher: Pretrained,
    *,
    layers: Sequence[int] | None = None,
    tokens: Sequence[int] | None = None,
    new_weights: bool = False,
    seed: int | None = None,
    dtype: str = "float32",
    **changes: Any,
) -> Pretrained:
    """A new model of the teacher's class and framework, with its weights where it has them.

    Args:
        teacher: A model of either framework.
        layers: Which of its layers the student's are made of, in their order; None takes half of
            them, the first and the last included (0, 2 and 5 of 6; see
            `distil.common.steps.layers.default_layers` for why).
        tokens: Ids of the tokens that the student knows, in its own order; None keeps all.
        new_weights: Draw all of its weights anew; it has the size that it would have had.
        seed: For new weights, also those that have another shape in the student, after `changes`.
        dtype: Of the student's weights.
        **changes: Fields of the student's configuration, such as `dropout`.

    Raises:
        InputError: The teacher has no such layer or token, or nothing is chosen.
        ConfigError: A change is not valid.
    """
    layers = chosen_layers(teacher.config, layers)
    config = student_config(teacher.config, layers, tokens).replace(**changes)
    arrays = {} if new_weights else dict(teacher.named_arrays())
    read = student_weights(arrays, config, teacher.task, layers, tokens)
    return teacher.make(config, read, seed=seed, dtype=dtype, device=None)


def chosen_layers(config: DistilBertConfig, layers: Sequence[int] | None) -> tuple[int, ...]:
    """`layers`, or the default ones.

    Raises:
        InputError: None is chosen, or one that the teacher does not have.
    """
    chosen = tuple(default_layers(config.n_layers) if layers is None else layers)
    wrong = [layer for layer in chosen if not 0 <= layer < config.n_layers]
    if wrong or not chosen:
        raise InputError(
            "the teacher has no such layer", expected=f"some of 0 to {config.n_layers - 1}",
            found=", ".join(map(str, wrong)) or "none", where="layers",
        )  # fmt: skip
    return chosen


def student_config(
    config: DistilBertConfig, layers: Sequence[int], tokens: Sequence[int] | None
) -> DistilBertConfig:
    """The teacher's configuration with the student's layers and vocabulary."""
    pruned = {
        number: config.pruned_heads[layer]
        for number, layer in enumerate(layers)
        if layer in config.pruned_heads
    }
    changes: dict[str, Any] = {"n_layers": len(layers), "pruned_heads": pruned}
    if tokens is not None:
        _check_tokens(config, tokens)
        padding = config.pad_token_id
        changes |= {
            "vocab_size": len(tokens),
            "pad_token_id": None if padding is None else list(tokens).index(padding),
        }
    return config.replace(**changes)


def student_weights(
    teacher: Mapping[str, Array],
    config: DistilBertConfig,
    task: str,
    layers: Sequence[int],
    tokens: Sequence[int] | None,
) -> dict[str, Callable[[], Array]]:
    """What gives each of the student's weights, where the teacher has one of its shape.

    Args:
        teacher: The teacher's weights by canonical name.
        config: The student's.
        task: Of both.
        layers: As in `make_student`.
        tokens: As in `make_student`.
    """
    found: dict[str, Callable[[], Array]] = {}
    for weight in parameters(config, task):
        layer = weight.layer
        array = teacher.get(weight.name if layer is None else weight.in_layer(layers[layer]))
        if array is None:
            continue
        # Only tables of words and what predicts words have an axis of the vocabulary.
        rows = tokens if weight.row.shape.startswith("V") else None
        shape = array.shape if rows is None else (len(rows), *array.shape[1:])
        if shape == weight.shape:
            found[weight.name] = partial(_rows, array, rows)
    return found


def smaller_vocabulary(
    vocabulary: Mapping[str, int],
    special: Iterable[int],
    counts: Array,
    size: int,
) -> list[int]:
    """Ids of the tokens worth keeping in a vocabulary of `size`, in the order of their ids.

    Special tokens and single characters stay, so that every word that could be written still
    can; of the rest, those stay that occur most often.

    Args:
        vocabulary: Ids by token, of a WordPiece tokenizer.
        special: Ids of the tokens that stay whatever happens.
        counts: How often each token occurs in texts like those that will come, by its id.
        size: How many tokens are to stay.

    Raises:
        InputError: Not even the special tokens and single characters fit.
    """
    needed = {*special, *(i for token, i in vocabulary.items() if _is_character(token))}
    if len(needed) > size:
        raise InputError(
            "the vocabulary would be too small",
            expected=f"at least {len(needed)}: special tokens and single characters",
            found=size, where="size",
        )  # fmt: skip
    # The most frequent first; among equals, the lower id: vocabularies begin with what is common.
    others = sorted(set(vocabulary.values()) - needed, key=lambda token: (-counts[token], token))
    return sorted({*needed, *others[: size - len(needed)]})


def _check_tokens(config: DistilBertConfig, tokens: Sequence[int]) -> None:
    wrong = [token for token in tokens if not 0 <= token < config.vocab_size]
    has_padding = config.pad_token_id is None or config.pad_token_id in tokens
    if wrong or len(set(tokens)) != len(tokens) or not has_padding:
        raise InputError(
            "not a part of the teacher's vocabulary",
            expected=f"different ids below {config.vocab_size}, the padding's among them",
            found=f"{len(tokens)} ids" + (f", such as {wrong[0]}" if wrong else ""),
            where="tokens",
        )  # fmt: skip


def _is_character(token: str) -> bool:
    return len(token.removeprefix("##")) == 1


def _rows(array: Array, rows: Sequence[int] | None) -> Array:
    # A copy in any case: the student is trained, and the teacher must not change with it.
    return np.array(array if rows is None else array[list(rows)])
