"""From tokens back to text."""

from __future__ import annotations

from collections.abc import Iterable

# English as it is written: what splitting at punctuation took apart.  In this order.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def join(tokens: Iterable[str], *, prefix: str) -> str:
    """Join pieces to text: those of a word, which start with `prefix`; spaces between words."""
    parts = []
    for index, token in enumerate(tokens):
        if index and token.startswith(prefix):
            parts.append(token.removeprefix(prefix))
        else:
            parts.append(f" {token}" if index else token)
    return "".join(parts)


def clean_up(text: str) -> str:
    """Remove the spaces before punctuation and English contractions."""
    for apart, together in _CLEAN_UP:
        text = text.replace(apart, together)
    return text
