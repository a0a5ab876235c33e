"""What a model accepts: the checks of inputs that both frameworks make.

Shapes are tuples in which None is a length not known yet, as when TensorFlow traces a graph;
an unknown length fits anything.
"""

from __future__ import annotations

import warnings
from typing import Any

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.errors import InputError

Shape = tuple[int | None, ...]

_said: set[str] = set()


def check_one_of_ids_and_embeddings(input_ids: Any, inputs_embeds: Any) -> None:
    """Check that exactly one of the two is given.

    Raises:
        InputError: Both are, or neither is.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise InputError(
            "the model takes either token ids or embeddings",
            expected="exactly one of input_ids and inputs_embeds",
            found="neither" if input_ids is None else "both",
        )


def check_shapes(
    config: DistilBertConfig,
    *,
    ids: Shape | None,
    embeddings: Shape | None,
    mask: Shape | None,
    positions: Shape | None,
    choices: bool,
) -> None:
    """Check that the shapes of a model's inputs fit the model and one another.

    Args:
        config: Of the model.
        ids: Shape of input_ids.
        embeddings: Shape of inputs_embeds.
        mask: Shape of attention_mask.
        positions: Shape of position_ids.
        choices: Whether there is an axis of choices after that of the batch.

    Raises:
        InputError: They do not; the message names the argument, and the shape it should have.
    """
    axes = "(batch, choices, length)" if choices else "(batch, length)"
    rank = 3 if choices else 2
    if ids is not None:
        name, text = "input_ids", ids
        if len(ids) != rank:
            raise _shape_error(name, axes, ids)
    elif embeddings is not None:
        name, text = "inputs_embeds", embeddings[:-1]
        if len(embeddings) != rank + 1 or not fits(embeddings[-1:], (config.dim,)):
            raise _shape_error(name, f"{axes[:-1]}, {config.dim})", embeddings)
    length = text[-1]
    if length is not None and length > config.max_position_embeddings:
        raise InputError(
            "text is longer than the model can take",
            expected=f"at most {config.max_position_embeddings} tokens",
            found=f"{length} tokens",
            where=name,
            fix="tokenize with truncation=True and max_length, or resize_position_embeddings",
        )
    if mask is not None and not fits(mask, text):
        raise _shape_error("attention_mask", f"the shape of {name}, {_show(text)}", mask)
    if positions is not None and not any(
        fits(positions, allowed) for allowed in (text, (1,) * (rank - 1) + text[-1:], text[-1:])
    ):
        raise _shape_error("position_ids", f"the shape of {name}, {_show(text)}", positions)


def check_arrays(
    config: DistilBertConfig,
    input_ids: Array,
    attention_mask: Array | None,
    token_type_ids: Any,
    *,
    choices: bool,
) -> None:
    """Check that the inputs of an inference model fit it and one another.

    Raises:
        InputError: They do not.
    """
    if token_type_ids is not None:
        note_token_types()
    mask = None if attention_mask is None else attention_mask.shape
    check_shapes(
        config, ids=input_ids.shape, embeddings=None, mask=mask, positions=None, choices=choices
    )
    if input_ids.dtype.kind not in "iu":
        raise not_integers("input_ids", input_ids.dtype)
    wrong = input_ids[(input_ids < 0) | (input_ids >= config.vocab_size)]
    if len(wrong):
        raise out_of_range("input_ids", config.vocab_size, int(wrong[0]), what="the vocabulary")


def check_head_mask(config: DistilBertConfig, shape: Shape) -> None:
    """Check that a head mask is (n_heads,) or (n_layers, n_heads).

    Raises:
        InputError: It has another shape, or the model has pruned heads.
    """
    if config.pruned_heads:
        raise InputError(
            "head_mask is not defined for a model with pruned heads",
            found=f"pruned_heads {config.pruned_heads}", where="head_mask",
        )  # fmt: skip
    if not any(fits(shape, s) for s in ((config.n_heads,), (config.n_layers, config.n_heads))):
        expected = f"({config.n_heads},) or ({config.n_layers}, {config.n_heads})"
        raise _shape_error("head_mask", expected, shape)


def out_of_range(name: str, limit: int | None, found: Any, *, what: str) -> InputError:
    """The error for indices that are out of range.

    Args:
        name: Of the argument.
        limit: The first number that is too large, None where a graph does not know it yet.
        found: One of the wrong numbers.
        what: What they index, in words.
    """
    return InputError(
        f"{name} has a value outside {what}",
        expected=f"integers from 0 {'up' if limit is None else f'to {limit - 1}'}",
        found=found, where=name,
    )  # fmt: skip


def not_integers(name: str, dtype: Any) -> InputError:
    """The error for numbers that should be integers."""
    found = str(dtype).removeprefix("torch.")
    return InputError(
        f"{name} must be integers", expected="an integer type", found=found, where=name
    )


def note_token_types() -> None:
    """Warn, once in a process, that token_type_ids have no effect."""
    if "token_type_ids" not in _said:
        _said.add("token_type_ids")
        warnings.warn(
            "token_type_ids are ignored: DistilBERT has no token types "
            "(Sanh et al. 2019, section 3)",
            stacklevel=4,
        )


def fits(found: Shape, expected: Shape) -> bool:
    """Whether two shapes can be the same; an unknown length fits any."""
    return len(found) == len(expected) and all(
        None in (have, want) or have == want for have, want in zip(found, expected, strict=True)
    )


def _show(shape: Shape) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def _shape_error(name: str, expected: str, found: Shape) -> InputError:
    return InputError(
        f"{name} has the wrong shape", expected=expected, found=_show(found), where=name
    )
