"""Writes src/tokenizer/unicode.mjs: what the library's tokenizer knows of characters.

JavaScript has no combining classes, and its decompositions and case follow the Unicode version of
the browser.  So which characters have one is written down, as the library has it; the mappings
themselves never change for a character once it is assigned, and are JavaScript's own.

    python web/unicode.py
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from distil.common.tokenizer import unicode_tables as tables
from distil.common.tokenizer.normalizer import _combining_class, _decompose

MADE = Path(__file__).parent / "src" / "tokenizer" / "unicode.mjs"

# The case of younger characters is JavaScript's to know or not; Python 3.11 has this version.
VERSION = "14.0.0"

_CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
_WIDTH = 98


def module() -> str:
    """The text of the module."""
    sets = {
        "WHITE_SPACE": tables.WHITE_SPACE,
        "CONTROLS": tables.CONTROLS,
        "IDEOGRAPHS": tables.IDEOGRAPHS,
        "PUNCTUATION": tables.PUNCTUATION,
        "NONSPACING_MARKS": tables.NONSPACING_MARKS,
    }
    written = {name: " ".join(map(_range, ranges)) for name, ranges in sets.items()}
    written["DECOMPOSED"] = _where(lambda character: _decompose(character) != character)
    written["LOWERED"] = _where(lambda character: character.lower() != character)
    marks = [character for character in _CHARACTERS if _combining_class(character)]
    classes = {
        number: " ".join(map(_range, _runs(list(map(ord, found)))))
        for number, found in groupby(sorted(marks, key=_combining_class), key=_combining_class)
    }
    lines = [
        "// Made by web/unicode.py of the library's own tables; see there.  Not to be edited.",
        "",
        'import { characterSet } from "./character-set.mjs";',
    ]
    for name, text in written.items():
        lines += ["", f"export const {name} = characterSet(`", *_wrapped(text), "`);"]
    lines += [
        "",
        "/** Marks by canonical combining class. */",
        "export const COMBINING = new Map([",
    ]
    for number, text in classes.items():
        lines += [f"  [{number}, characterSet(`", *_wrapped(text), "`)],"]
    return "\n".join([*lines, "]);", ""])


def _where(holds: Callable[[str], bool]) -> str:
    return " ".join(map(_range, _runs([ord(one) for one in _CHARACTERS if holds(one)])))


def _runs(codes: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours among ascending code points, as first and last."""
    for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0]):
        found = [code for _, code in run]
        yield found[0], found[-1]


def _range(ends: tuple[int, int]) -> str:
    first, last = ends
    return f"{first:X}" if first == last else f"{first:X}-{last:X}"


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for item in text.split():
        if len(line) + len(item) >= _WIDTH:
            yield line
            line = ""
        line = f"{line} {item}" if line else item
    yield line


if __name__ == "__main__":
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"needs a Python with Unicode {VERSION}, not {unicodedata.unidata_version}")
    MADE.write_text(module(), encoding="utf-8", newline="\n")
