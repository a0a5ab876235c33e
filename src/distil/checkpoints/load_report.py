"""Which weights a checkpoint lacks or has in excess, and the message that says so."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distil.common.spec import split_at_layer
from distil.errors import CheckpointWarning, WeightsError, shorten

_MOST_LINES = 60


@dataclass(frozen=True)
class Finding:
    """A weight that the model or the checkpoint lacks, or that differs in shape.

    Attributes:
        name: Canonical name of a weight of the model, or the name of a tensor in the file.
        in_encoder: Whether it is a weight of the model's encoder.
        expected: The shape that the model needs, None if the model has no such weight.
        found: The shape in the file, None if the file has no such weight.
    """

    name: str
    in_encoder: bool
    expected: tuple[int, ...] | None = None
    found: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """How the tensors of a checkpoint were matched with the weights of a model.

    Attributes:
        matched: Canonical names of the weights that the checkpoint holds.
        missing: Weights of the model that it does not hold.
        unexpected: Its tensors that the model does not have.
        mismatched: Weights that it holds in another shape.
        encoder_found: Whether it has any weight of the encoder under a known name.
        files: The files, for messages.
    """

    matched: tuple[str, ...] = ()
    missing: tuple[Finding, ...] = ()
    unexpected: tuple[Finding, ...] = ()
    mismatched: tuple[Finding, ...] = ()
    encoder_found: bool = True
    files: tuple[str, ...] = ()

    @property
    def new_head(self) -> bool:
        """Whether weights of the head have to be newly initialized."""
        return any(not finding.in_encoder for finding in (*self.missing, *self.mismatched))

    def as_lists(self) -> dict[str, list[Any]]:
        """The names, as transformers gives them with output_loading_info=True."""
        return {
            "missing_keys": [finding.name for finding in self.missing],
            "unexpected_keys": [finding.name for finding in self.unexpected],
            "mismatched_keys": [(one.name, one.found, one.expected) for one in self.mismatched],
            "error_msgs": [],
        }

    def check(self, *, name: str, ignore_mismatched_sizes: bool = False) -> None:
        """Raise if the model cannot be used with these weights; warn if part of it is new.

        Args:
            name: The checkpoint, as its user called it.
            ignore_mismatched_sizes: Whether weights of the head may have another shape in the
                checkpoint, and are then newly initialized.

        Raises:
            WeightsError: No weight of the encoder was found, or not all of them, or a weight
                has another shape.

        Warns:
            CheckpointWarning: Weights of the head are new, or tensors were not used.
        """
        where = name if not self.files else f"{name} ({shorten(', '.join(self.files))})"
        if not self.encoder_found:
            raise WeightsError(
                "this checkpoint has no weights of the encoder",
                expected="the weights of a DistilBERT or a BERT, by their usual names",
                found=self._lines(self.unexpected) or "no tensors",
                where=where,
            )
        if any(finding.in_encoder for finding in (*self.missing, *self.mismatched)):
            raise WeightsError(
                "encoder weights are missing or have other shapes",
                found=self._text(), where=where,
                fix="check that config.json belongs to the weights",
            )  # fmt: skip
        if self.mismatched and not ignore_mismatched_sizes:
            raise WeightsError(
                "weights of the head have other shapes", found=self._text(), where=where,
                fix="set num_labels to that of the checkpoint, or pass "
                "ignore_mismatched_sizes=True for a new head",
            )  # fmt: skip
        if self.new_head or self.unexpected:
            summary = "the checkpoint's weights are not exactly those of the model"
            if self.new_head:
                summary += "; those marked - or ! were initialized at random: train them before use"
            warnings.warn(f"{where}: {summary}{self._text()}", CheckpointWarning, stacklevel=3)

    def _text(self) -> str:
        return self._lines((*self.missing, *self.unexpected, *self.mismatched))

    def _lines(self, findings: Iterable[Finding]) -> str:
        """One line per finding: - missing, + unexpected, ! different shape."""
        lines = list(_fold(findings))
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES:] = [f"... and {len(lines) - _MOST_LINES} more"]
        return "".join(f"\n    {line}" for line in lines)


def _fold(findings: Iterable[Finding]) -> Iterator[str]:
    """The lines of `findings`, with one line for the same weight in several layers."""
    layers: dict[tuple[str, str, str], list[int]] = {}
    for finding in findings:
        before, number, after = _split_at_layer(finding.name)
        if finding.expected is None:
            before, after = f"+ {before}", f"{after} {finding.found}"
        elif finding.found is None:
            before, after = f"- {before}", f"{after} {finding.expected}"
        else:
            before = f"! {before}"
            after = f"{after} expected {finding.expected}, found {finding.found}"
        layers.setdefault((before, after, "" if number is None else "layer"), []).extend(
            () if number is None else (number,)
        )
    for (before, after, _), numbers in layers.items():
        yield f"{before}{_ranges(numbers)}{after}"


def _split_at_layer(name: str) -> tuple[str, int | None, str]:
    """`name` before, at and after the number of its layer, shortened if it has none."""
    if len(name) > 200:
        return shorten(name), None, ""
    before, number, after = split_at_layer(name)
    return shorten(before), number, shorten(after)


def _ranges(numbers: list[int]) -> str:
    """The numbers of layers, such as {0-5} or {1,3}; nothing for none, a single one as it is."""
    if len(numbers) <= 1:
        return "".join(map(str, numbers))
    numbers = sorted(numbers)
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{{{numbers[0]}-{numbers[-1]}}}"
    return f"{{{','.join(map(str, numbers))}}}"
