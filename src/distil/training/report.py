"""What training leaves for people: a plot of its curves, and a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from distil.common.errors import FrameworkError
from distil.common.files import atomic_write
from distil.common.recipe import Recipe
from distil.training.log import Record

CURVES, CARD = "curves.png", "README.md"

_TITLES = {"pt": "PyTorch", "tf": "TensorFlow"}


def draw_curves(logs: Mapping[str, Sequence[Record]], path: Path, *, metric: str | None) -> None:
    """Draw loss, metric and learning rate over the steps.

    Args:
        logs: The points of one training, or of several to be laid over one another, by name.
        path: The PNG file to write.
        metric: What the model is judged by; None leaves that plot out.

    Raises:
        FrameworkError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError:
        raise FrameworkError(
            "matplotlib is not installed, which draws curves",
            where=path, fix='pip install "distil[train]"',
        ) from None  # fmt: skip
    shown = {"loss": "training loss", "dev_loss": "dev loss", "learning_rate": "learning rate"}
    if metric is not None and metric != "loss":
        shown[f"dev_{metric}"] = f"dev {metric}"
    shown = {
        name: title
        for name, title in shown.items()
        if any(name in record for records in logs.values() for record in records)
    }
    figure = Figure(figsize=(4.5 * len(shown), 3.2), layout="constrained")
    for axes, (name, title) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        # Curves that lie on top of each other are to be seen as such.
        for number, (label, records) in enumerate(logs.items()):
            points = [(record["step"], record[name]) for record in records if name in record]
            style = {"linewidth": 3 - 2 * min(number, 1), "linestyle": ("-", "--")[number % 2]}
            axes.plot(
                *zip(*points, strict=True),
                label=label,
                marker="." if len(points) < 20 else "",
                **style,
            )
        axes.set(title=title, xlabel="step")
        if len(logs) > 1:
            axes.legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def write_card(
    folder: Path,
    recipe: Recipe,
    *,
    framework: str,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    version: str,
) -> None:
    """Write the model card.

    Args:
        folder: Of the model.
        recipe: It was trained by.
        framework: It was trained in.
        metrics: It reaches on the dev rows; none if there were no such rows.
        facts: What else is to be said, by name.
        version: Of this library.
    """
    taught = "" if recipe.teacher is None else f" and taught by `{recipe.teacher.name}`"
    lines = [
        "---",
        "library_name: distil",
        f"base_model: {recipe.origin.name}",
        "tags: [distilbert]",
        "---",
        f"# {folder.resolve().name}",
        "",
        f"A DistilBERT for {recipe.task}, trained from `{recipe.origin.name}`{taught} in "
        f"{_TITLES[framework]} by distil {version}.  It loads in PyTorch and in TensorFlow:",
        "",
        "```python",
        "import distil",
        "",
        'model = distil.load("FOLDER")',
        'tokenizer = distil.load_tokenizer("FOLDER")',
        "```",
        "",
    ]
    if metrics:
        lines += ["## Results on the dev rows", "", "| metric | value |", "| --- | --- |"]
        lines += [f"| {name} | {value:.4f} |" for name, value in metrics.items()] + [""]
    lines += ["## Training", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", f"![curves]({CURVES})", "", "## Recipe", "", "```yaml"]
    lines += [yaml.safe_dump(recipe.to_table(), sort_keys=False).rstrip(), "```", ""]
    with atomic_write(folder / CARD) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
