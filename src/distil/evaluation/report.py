"""An evaluation as a self-contained HTML page."""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Any

from distil.evaluation.calibration import Calibration
from distil.evaluation.result import Evaluation, JudgedRow
from distil.measures.statistics import Estimate
from distil.storage.files import atomic_write

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; min-width: 50%; }
th, td { text-align: left; padding: .3rem 1.5rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
th { white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; background: #fff; border-radius: 4px; padding: .5rem; }
figure svg { max-width: 100%; height: auto; display: block; margin: auto; }
caption, figcaption { text-align: left; color: #777; font-size: .9rem; }
"""


def write_report(result: Evaluation, path: Path) -> None:
    """Write the page.

    Raises:
        OSError: The file cannot be written.
    """
    title = f"{result.model}: {result.task}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{result.rows:,} rows judged"
        + (f", {result.skipped:,} skipped" if result.skipped else "")
        + f".  {result.speed.tokens_per_second:,.0f} tokens/s; one row at a time takes "
        f"{result.speed.p50:.1f} ms (p50), {result.speed.p99:.1f} ms (p99).</p>",
        "<h2>Metrics</h2>", _metrics(result),
    ]  # fmt: skip
    if result.against is not None:
        parts += ["<h2>Rows answered differently</h2>", _rows(result.against.rows, other=True)]
    if result.calibration is not None:
        parts += ["<h2>Calibration</h2>", _calibration(result.calibration)]
    if result.confusion is not None:
        parts += ["<h2>Confusion</h2>", _confusion(result.confusion)]
    if result.labels is not None:
        parts += ["<h2>Labels</h2>", _labels(result)]
    if result.slices:
        parts += ["<h2>Slices</h2>", _slices(result)]
    parts += ["<h2>Worst errors</h2>", _rows(result.worst, other=False)]
    body = "\n".join(parts)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _table(header: list[str], rows: list[list[Any]], caption: str = "") -> str:
    """A table, with columns of numbers right-aligned."""

    def cells(tag: str, values: list[Any]) -> str:
        return "".join(
            f"<{tag}{'' if isinstance(one, str) and not number else ' class=n'}>"
            f"{escape(str(one))}</{tag}>"
            for one, number in zip(values, numeric, strict=True)
        )

    numeric = [
        all(str(row[place])[:1] in "0123456789+-." for row in rows) for place in range(len(header))
    ]
    lines = [f"<tr>{cells('th', header)}</tr>", *(f"<tr>{cells('td', row)}</tr>" for row in rows)]
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}{''.join(lines)}</table>"


def _metrics(result: Evaluation) -> str:
    header, against = ["metric", "value", "95% interval"], result.against
    if against is not None:
        header += [against.model, "difference", "95% interval", "p", "detectable"]
    rows = []
    for name, one in result.metrics.items():
        row = [name, f"{one.value:.4f}", f"{one.low:.4f} to {one.high:.4f}"]
        if against is not None:
            gain = against.differences[name]
            row += [
                f"{against.metrics[name].value:.4f}", f"{gain.difference:+.4f}",
                f"{gain.low:+.4f} to {gain.high:+.4f}", f"{gain.p:.3g}", f"{gain.detectable:.4f}",
            ]  # fmt: skip
        rows.append(row)
    return _table(header, rows) + _figure(_draw_metrics, result.metrics)


def _calibration(found: Calibration) -> str:
    figures = [["ECE", f"{found.ece:.4f}"], ["Brier", f"{found.brier:.4f}"],
               ["NLL", f"{found.nll:.4f}"]]  # fmt: skip
    return _table(["figure", "value"], figures) + _figure(_draw_reliability, found)


def _confusion(confusion: Any) -> str:
    labels = list(confusion)
    rows = [[right, *(f"{confusion[right][one]:,}" for one in labels)] for right in labels]
    return _table(["expected \\ predicted", *labels], rows)


def _labels(result: Evaluation) -> str:
    names = ("precision", "recall", "f1")
    rows = []
    for label, one in (result.labels or {}).items():
        figures: list[Estimate] = [getattr(one, name) for name in names]
        rows.append(
            [label, f"{one.rows:,}",
             *(f"{x.value:.4f} ({x.low:.4f} to {x.high:.4f})" for x in figures)]
        )  # fmt: skip
    return _table(["label", "rows", *names], rows, "each by itself, with its 95% interval")


def _slices(result: Evaluation) -> str:
    rows = [
        [one.by, one.value, f"{one.rows:,}", f"{one.metric.value:.4f}",
         f"{one.metric.low:.4f} to {one.metric.high:.4f}", f"{one.p:.3g}"]
        for one in result.slices
    ]  # fmt: skip
    header = ["by", "slice", "rows", result.main, "95% interval", "p"]
    return _table(header, rows, "p: against all other rows, corrected by Holm's method")


def _rows(rows: tuple[JudgedRow, ...], *, other: bool) -> str:
    header = ["row", "text", "expected", "predicted", *(["other"] if other else [])]
    shown = [
        [str(one.row), one.text, _answer(one.expected), _answer(one.predicted),
         *([_answer(one.other)] if other else [])]
        for one in rows
    ]  # fmt: skip
    return _table(header, shown) if shown else "<p>none</p>"


def _answer(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _figure(draw: Any, what: Any) -> str:
    """A plot as inline SVG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    draw(figure.subplots(), what)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _draw_metrics(axes: Any, metrics: dict[str, Estimate]) -> None:
    names = list(metrics)[::-1]
    values = [metrics[name].value for name in names]
    spread = [
        [metrics[name].value - metrics[name].low for name in names],
        [metrics[name].high - metrics[name].value for name in names],
    ]
    axes.errorbar(values, range(len(names)), xerr=spread, fmt="o", capsize=4)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("value, with its 95% interval")


def _draw_reliability(axes: Any, found: Calibration) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([one[0] for one in found.bins], [one[1] for one in found.bins], "o-")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
