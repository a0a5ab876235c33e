"""How a text becomes one vector: what an encoder needs besides its weights to embed sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from distil.errors import InputError, shown

# What makes one vector of the last hidden states of a text's tokens; see `SentenceEncoding`.
POOLINGS = ("mean", "cls", "max", "mean_sqrt_len")


@dataclass(frozen=True, kw_only=True)
class SentenceEncoding:
    """How an encoder makes a vector of a text.

    Attributes:
        pooling: "mean" of the last hidden states of all tokens, "cls" (that of the first), "max" of
            each number, or "mean_sqrt_len" (their sum over the square root of their number).
        normalize: Scale vectors to length one.
        max_length: Tokens that are read of a text; None for as many as the model takes.
        lowercase: Read texts in lower case, whatever the tokenizer does.
        prompts: Texts that may stand before what is embedded, by name.
        prompt_name: The one that does unless another is asked for; None for none.

    Raises:
        InputError: There is no such pooling or prompt.
    """

    pooling: str = "mean"
    normalize: bool = True
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    prompt_name: str | None = None

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise InputError(
                "unknown pooling", expected=" or ".join(POOLINGS),
                found=shown(self.pooling), where="pooling",
            )  # fmt: skip
        check_prompt(self.prompt_name, self.prompts)


def check_prompt(name: str | None, prompts: Mapping[str, str]) -> None:
    """Refuse a prompt that is not one of the model's.

    Raises:
        InputError: It is none of them.
    """
    if name is not None and name not in prompts:
        raise InputError(
            "the model has no such prompt", expected=", ".join(map(shown, prompts)) or "none",
            found=shown(name), where="prompt_name",
        )  # fmt: skip
