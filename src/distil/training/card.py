"""The model card, README.md: what the hub shows of a model, and what people need to use it.

Its metadata are those that the hub reads (its documentation of model cards, and model-index in
the form of Papers with Code); a metric's 95% interval stands among its arguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from distil.common.steps.recipe import Recipe
from distil.frameworks import FRAMEWORKS
from distil.storage import hub
from distil.storage.files import atomic_write
from distil.training.report import CURVES
from distil.training.result import TrainingResult

CARD = "README.md"

# What the hub calls a task, and what is asked of a model for it.
_TASKS = {
    "masked-lm": ("fill-mask", '"Paris is the [MASK] of France."'),
    "sequence-classification": ("text-classification", '"A text to classify."'),
    "multiple-choice": (
        "multiple-choice",
        '{"prompt": "The kettle boils, so", "choices": ["it is hot.", "it is off."]}',
    ),
    "token-classification": ("token-classification", '"Ada Lovelace was born in London."'),
    "question-answering": (
        "question-answering",
        '{"question": "Who built it?", "context": "John Rennie built the bridge in 1831."}',
    ),
    "sentence-embeddings": ("sentence-similarity", '["A cat sleeps.", "A kitten naps."]'),
}
_PAIR = '{"text": "A text.", "text_pair": "Another."}'

# What the hub calls a metric, where it has another name for it.
_METRICS = {
    "matthews": "matthews_correlation", "pearson": "pearsonr", "spearman": "spearmanr",
    "f1_micro": "f1", "f1_macro": "f1",
}  # fmt: skip


def write_card(
    result: TrainingResult, recipe: Recipe, *, facts: Mapping[str, Any], version: str
) -> None:
    """Write the model card into the folder of a training.

    Args:
        result: Of the training.
        recipe: It was trained by.
        facts: What else is to be said, by name.
        version: Of this library.
    """
    folder = result.folder
    metadata = yaml.safe_dump(_metadata(result, recipe), sort_keys=False, allow_unicode=True)
    taught = "" if recipe.teacher is None else f" and taught by `{recipe.teacher.name}`"
    lines = [
        "---", metadata.rstrip(), "---",
        f"# {folder.resolve().name}",
        "",
        f"A DistilBERT for {recipe.task}, trained from `{recipe.origin.name}`{taught} in "
        f"{FRAMEWORKS[result.framework].title} by distil {version}.  It loads in PyTorch and in "
        "TensorFlow:",
        "",
        *snippet(recipe, str(folder)),
        "",
    ]  # fmt: skip
    if result.metrics:
        lines += ["## Results on the dev rows", ""]
        lines += ["| metric | value | 95% interval |", "| --- | --- | --- |"]
        for name, value in result.metrics.items():
            ends = result.intervals.get(name)
            interval = "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
            lines.append(f"| {name} | {value:.4f} | {interval} |")
        lines.append("")
    lines += ["## Training", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", f"![curves]({CURVES})", "", "## Recipe", "", "```yaml"]
    lines += [yaml.safe_dump(recipe.to_table(), sort_keys=False).rstrip(), "```", ""]
    with atomic_write(folder / CARD) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def snippet(recipe: Recipe, name: str) -> list[str]:
    """Lines of Markdown that show how the model is used.

    Args:
        recipe: It was trained by.
        name: Of the model: its folder, or its name on the hub.
    """
    _, question = _TASKS[recipe.task]
    if recipe.task == "sequence-classification" and "text_pair" in recipe.data.columns:
        question = _PAIR
    if recipe.has_several_labels:
        question += ", top_k=None"
    return [
        "```python",
        "import distil",
        "",
        f'pipe = distil.pipeline("{recipe.task}", model={json.dumps(name)})',
        f"print(pipe({question}))",
        "```",
    ]


def _metadata(result: TrainingResult, recipe: Recipe) -> dict[str, Any]:
    tag, _ = _TASKS[recipe.task]
    card, base = recipe.card, str(recipe.origin.name)
    datasets = card.datasets or ((recipe.data.hub,) if recipe.data.hub else ())
    # The hub refuses a base model that it does not have.
    on_hub = not Path(base).exists() and base not in hub.bundled()
    found: dict[str, Any] = {
        "library_name": "distil",
        "pipeline_tag": tag,
        "base_model": base if on_hub else None,
        "license": card.license,
        "language": list(card.language or ()),
        "datasets": list(datasets),
        "tags": ["distilbert"],
    }
    metrics = [
        {
            "type": _METRICS.get(name, name),
            "name": name,
            "value": value,
            "args": {"confidence_interval_95": list(result.intervals[name])}
            if name in result.intervals
            else None,
        }
        for name, value in result.metrics.items()
        if isfinite(value)
    ]
    if metrics:
        data = datasets[0] if datasets else "dev-rows"
        found["model-index"] = [
            {
                "name": result.folder.resolve().name,
                "results": [
                    {
                        "task": {"type": tag},
                        "dataset": {"name": data, "type": data, "split": "dev"},
                        "metrics": [{n: x for n, x in m.items() if x is not None} for m in metrics],
                    }
                ],
            }
        ]
    return {name: value for name, value in found.items() if value}
