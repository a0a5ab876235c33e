"""What training leaves for people: a plot of its curves, and its recipe; its card: `card`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from distil.common.steps.recipe import Recipe
from distil.errors import not_installed
from distil.storage.files import atomic_write
from distil.training.log import Record

CURVES = "curves.png"

# What curves there are, in the order in which they are drawn.
_TITLES = {
    "loss": "training loss",
    "loss_ce": "L_ce: the teacher's predictions",
    "loss_task": "loss of the labels",
    "loss_cos": "L_cos: last hidden states",
    "loss_hidden": "hidden states",
    "loss_attention": "attention",
    "loss_relations": "relations of tokens",
    "loss_vector": "vectors of texts",
    "loss_similarity": "texts of a batch",
    "learning_rate": "learning rate",
    "dev_loss": "dev loss",
}
_COLUMNS = 4

# The first training is a pale band, so that others which lie on it are seen, and it is too.
_STYLES: Sequence[Mapping[str, Any]] = (
    {"linewidth": 6, "alpha": 0.35, "color": "tab:orange", "solid_capstyle": "butt"},
    {"linewidth": 1.2, "linestyle": "--", "color": "tab:blue"},
    {"linewidth": 1.2, "linestyle": ":", "color": "tab:green"},
)
_ALONE = {"linewidth": 1.5, "color": "tab:blue"}

Curve = dict[int, float]


def draw_curves(
    logs: Mapping[str, Sequence[Record]], path: Path, *, metric: str | None, title: str = ""
) -> None:
    """Draw losses, learning rate and metric over the steps, a panel each.

    Of several trainings, a panel's title says how far the others are from the first at most,
    where all have the same steps.

    Args:
        logs: The points of one training, or of several to be laid over one another, by name.
        path: The PNG file to write.
        metric: What the model is judged by; None leaves that panel out.
        title: What stands above all panels.

    Raises:
        FrameworkError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError:
        raise not_installed("matplotlib", where=path, extra="train", use="draw curves") from None
    titles = dict(_TITLES)
    if metric is not None:
        titles.setdefault(f"dev_{metric}", f"dev {metric}")
    panels = {name: _curves(logs, name) for name in titles}
    panels = {name: curves for name, curves in panels.items() if curves}
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.9 * rows + 0.5), layout="constrained")
    every_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every_axes[len(panels) :]:
        axes.remove()
    for axes, (name, curves) in zip(every_axes, panels.items(), strict=False):
        for number, (label, curve) in enumerate(curves.items()):
            style = _STYLES[number % len(_STYLES)] if len(logs) > 1 else _ALONE
            marker = "o" if len(curve) < 20 else ""
            axes.plot(
                curve.keys(), curve.values(), label=label, marker=marker, markersize=4, **style
            )
        axes.set_title(titles[name] + _distance(list(curves.values())), fontsize="medium")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    if len(logs) > 1:
        handles, names = every_axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _curves(logs: Mapping[str, Sequence[Record]], name: str) -> dict[str, Curve]:
    """One measurement by step, of each training that has it."""
    found = {
        label: {record["step"]: record[name] for record in records if name in record}
        for label, records in logs.items()
    }
    return {label: curve for label, curve in found.items() if curve}


def _distance(curves: Sequence[Curve]) -> str:
    """For a title: the largest difference from the first curve."""
    first, *others = curves
    if not others or any(curve.keys() != first.keys() for curve in others):
        return ""
    most = max(abs(curve[step] - first[step]) for curve in others for step in first)
    return f"\nlargest difference {most:.1g}"


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe, every default written out.

    Raises:
        CheckpointError: It cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(
            f"# distil {'train' if recipe.teacher is None else 'distill'} {path}\n"
            + yaml.safe_dump(recipe.to_table(), sort_keys=False),
            encoding="utf-8",
        )
