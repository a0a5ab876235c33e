"""`compare`: one checkpoint in both frameworks, compared layer by layer.

What is compared, for one batch of padded text with labels:

* the hidden states after the embeddings and after each layer, the logits and the loss, both
  as the models are usually run and when attention weights are asked for (PyTorch takes
  another path then), and these weights;
* the gradient of the loss for every weight; of a model without a head that of a fixed
  combination of its last hidden states.

`distil.parity.judging` says which differences are rounding.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from distil import api
from distil.arrays import Array
from distil.checkpoints.located import Located, locate
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.labels import IGNORED
from distil.common.measurement import Measurement
from distil.common.outputs import QuestionAnsweringOutput
from distil.common.rules import AMOUNT, COUNT, as_list, is_text
from distil.common.tasks import Task, find_task
from distil.errors import CheckpointWarning, InputError, shown
from distil.frameworks import FRAMEWORKS, Form, choose_form, part
from distil.parity.judging import TOLERANCES, WITH_ATTENTION, Finding, Tolerances, judge
from distil.storage.hub import split_options

# From one word to a long sentence, with capitals, digits, accents, and words that are not in
# any vocabulary, so that rows differ in length and most of them are padded.
TEXTS = (
    "Yes.",
    "The rain stopped at noon.",
    "What a waste of a good evening, and of a good cast!",
    "She bought 14 apples, 3 pears and a melon for $7.50 at the market in Lyon.",
    "Nobody who has seen the sea at night forgets how it sounds when there is nothing to look at.",
    "Where did the train to Edinburgh stop?",
    "After the committee had read the report twice, line by line, and argued about every figure in "
    "it until the caretaker came to lock up, it decided, by one vote, to ask for another report.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "No, thank you.",
    "The engine, which had been rebuilt in 1931, ran for another forty years without a repair.",
    "I have rarely laughed so much at a film that takes its subject so seriously.",
    "Floccinaucinihilipilification aside, tokenizers like short words.",
)

_SEED = 0  # of a head that the checkpoint lacks: the same in both frameworks
# Options of `distil.load` that are not fields of the configuration.
_NOT_FIELDS = ("ignore_mismatched_sizes", "seed")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `compare` found.

    Attributes:
        name: The checkpoint.
        task: What it was loaded for.
        dtype: Of the weights and of the arithmetic.
        rows: Number of texts in the batch.
        length: Number of tokens in a row of it, padding included.
        shown: Number of tokens in the batch without padding.
        loss: The loss in PyTorch, None for a model without a head.
        findings: Everything that was compared.
    """

    name: str
    task: str
    dtype: str
    rows: int
    length: int
    shown: int
    loss: float | None
    findings: tuple[Finding, ...]

    @property
    def agrees(self) -> bool:
        """Whether every difference is within its tolerance, and there was something to compare."""
        kinds = {finding.kind for finding in self.findings}
        return {"output", "gradient"} <= kinds and all(one.agrees for one in self.findings)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the model, from the first to the last."""
        return tuple(dict.fromkeys(finding.part for finding in self.findings))

    def worst(self, kind: str, part: str | None = None) -> Finding | None:
        """The finding of a kind that is furthest from agreement, if there is any.

        Args:
            kind: As in `Finding`.
            part: In this part only.
        """
        found = (one for one in self.findings if one.kind == kind and part in (None, one.part))
        return max(found, key=lambda one: one.excess, default=None)

    @property
    def first_disagreement(self) -> Finding | None:
        """Where the frameworks diverge: the first output, or else the first gradient backwards.

        Everything computed from it differs as well, and says less about the cause.
        """
        wrong = [finding for finding in self.findings if not finding.agrees]
        for kind, found in (("output", wrong), ("padding", wrong), ("gradient", wrong[::-1])):
            for finding in found:
                if finding.kind == kind:
                    return finding
        return None

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers; a difference that is infinite is None."""
        findings = []
        for one in self.findings:
            numbers = {name: getattr(one, name) for name in ("absolute", "relative", "scale")}
            findings.append(
                {"part": one.part, "kind": one.kind, "name": one.name}
                | {name: value if isfinite(value) else None for name, value in numbers.items()}
                | {"tolerance": one.tolerance, "agrees": one.agrees}
            )
        return {
            "name": self.name,
            "task": self.task,
            "dtype": self.dtype,
            "agrees": self.agrees,
            "rows": self.rows,
            "length": self.length,
            "shown": self.shown,
            "loss": self.loss if self.loss is None or isfinite(self.loss) else None,
            "findings": findings,
        }


def compare(
    name: str | Path,
    *,
    task: str | None = None,
    dtype: str = "float32",
    texts: Sequence[str] | None = None,
    tolerance: float | None = None,
    rows: int | None = None,
    **options: Any,
) -> Comparison:
    """Run a checkpoint in PyTorch and in TensorFlow, on the same texts, and compare everything.

    Both run on the CPU, where float32 means float32; GPUs may round products to fewer digits.

    Args:
        name: As in `distil.load`.
        task: As in `distil.load`.  A head that the checkpoint lacks is initialized at random, the
            same in both frameworks.
        dtype: "float32", as models are used, or "float64", which shows any true difference.
        texts: At least one; None takes twelve sentences of different lengths.
        tolerance: For all relative differences; None takes `TOLERANCES`.
        rows: Use only this many of the texts.
        **options: Further ones of `distil.load`: `revision`, `num_labels` and so on.

    Returns:
        All differences, and whether they are within the tolerance: `comparison.agrees`.

    Raises:
        InputError: There are no texts, or an argument is impossible.
        FrameworkError: A framework is not installed.
        DistilError: The checkpoint cannot be loaded; see `distil.load`.
    """
    if not is_text(dtype) or dtype not in TOLERANCES:
        raise InputError(
            "cannot compare in this type",
            expected=" or ".join(TOLERANCES), found=shown(dtype), where="dtype",
        )  # fmt: skip
    tolerances = TOLERANCES[dtype]
    if tolerance is not None:
        if not AMOUNT.holds(tolerance):
            raise InputError(
                "impossible tolerance",
                expected=AMOUNT.words, found=shown(tolerance), where="tolerance",
            )  # fmt: skip
        tolerances = Tolerances(output=tolerance, padding=tolerance, gradient=tolerance)
    texts = _chosen(TEXTS if texts is None else texts, rows)
    forms = [choose_form(framework=one, dtype=dtype, device="cpu") for one in FRAMEWORKS]
    hub_options, options = split_options(options)
    asked = None if task is None else find_task(task)
    with locate(name, hub_options, variant=options.pop("variant", None)) as found:
        chosen = asked or found.task
        if chosen.num_labels is not None:
            options = {"num_labels": chosen.num_labels, **options}
        options |= {"ignore_mismatched_sizes": task is not None, "seed": _SEED}
        tokenizer = api.load_tokenizer(found.folder)
        fields = {name: value for name, value in options.items() if name not in _NOT_FIELDS}
        config = found.config.replace(**fields)
        batch = make_batch(tokenizer, texts, config, chosen)
        one, other = (_measure(form, found, chosen, batch, **options) for form in forms)

    mask = batch["attention_mask"].reshape(-1, batch["attention_mask"].shape[-1])
    loss, weights = one.outputs.get("loss"), spec.weights(config, chosen.name)
    return Comparison(
        name=str(name),
        task=chosen.name,
        dtype=dtype,
        rows=len(mask),
        length=mask.shape[1],
        shown=int(mask.sum()),
        loss=None if loss is None else float(loss),
        findings=judge(one, other, mask == 1, chosen, weights, tolerances),
    )


def make_batch(
    tokenizer: Any, texts: Sequence[str], config: DistilBertConfig, task: Task
) -> dict[str, Array]:
    """Texts as inputs of a model, with labels made up from their positions alone.

    Each task gets texts in the form that it is used for: a question with a context, a prompt
    with two choices.  With only one text that text is its own context or choice.

    Args:
        tokenizer: Of the model.
        texts: At least one.
        config: Of the model.
        task: Of the model.

    Returns:
        Inputs and labels by name: texts by tokens (choices between them), labels as the task
        has them.
    """
    count = len(texts)
    next_but = [[texts[(i + step) % count] for i in range(count)] for step in range(3)]
    first, second = list(texts), None
    if task.needs_second:
        second = next_but[1]
    if task.has_choices:
        first = [text for text in texts for _ in range(2)]
        second = [choice for pair in zip(*next_but[1:], strict=True) for choice in pair]
    # Pieces that the model has no embedding for cannot be shown to it.
    encoded = tokenizer(
        first,
        second,
        padding=True,
        truncation=True,
        max_length=min(tokenizer.model_max_length, config.max_position_embeddings),
        return_special_tokens_mask=True,
        return_tensors="np",
    )
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    words = (mask == 1) & (encoded["special_tokens_mask"] == 0)
    batch = {"input_ids": ids, "attention_mask": mask}
    row, column = np.indices(ids.shape)
    numbers = np.arange(count)

    if task.masks_words:
        # Every third word, counted in its row, so that each row has one.
        hidden = words & (np.cumsum(words, axis=1) % 3 == 1)
        batch["input_ids"] = np.where(hidden, tokenizer.mask_token_id, ids)
        batch["labels"] = np.where(hidden, ids, IGNORED)
    elif task.scores_tokens:
        batch["labels"] = np.where(words, (row + column) % config.num_labels, IGNORED)
    elif task.has_choices:
        batch = {key: value.reshape(count, 2, -1) for key, value in batch.items()}
        batch["labels"] = numbers % 2
    elif task.output is QuestionAnsweringOutput:
        length = mask.sum(axis=1)
        batch["start_positions"] = numbers % length
        batch["end_positions"] = (numbers % length + length - 1) // 2
    elif task.targets:
        batch["labels"] = _labels_of_texts(config, numbers)
    return batch


def _labels_of_texts(config: DistilBertConfig, numbers: Array) -> Array:
    kind = config.problem_type or ("regression" if config.num_labels == 1 else "")
    table = numbers[:, None] + np.arange(config.num_labels)  # texts labels
    if kind == "regression":
        return table / table.size
    if kind == "multi_label_classification":
        return (table % 2).astype(np.float64)
    return numbers % config.num_labels


def _chosen(texts: Sequence[str], rows: int | None) -> list[str]:
    if rows is not None and not COUNT.holds(rows):
        raise InputError(
            "impossible number of texts", expected=COUNT.words, found=shown(rows), where="rows"
        )
    chosen = as_list(texts, "texts")[:rows]
    if not all(isinstance(text, str) for text in chosen):
        raise InputError("not texts", expected="strings", found=shown(chosen), where="texts")
    if not any(text.strip() for text in chosen):
        raise InputError("nothing to compare", expected="at least one text", where="texts")
    return chosen


def _measure(
    form: Form, found: Located, task: Task, batch: Mapping[str, Array], **options: Any
) -> Measurement:
    """What one framework computes; the model is freed when this returns."""
    framework = str(form.framework)
    module = part(framework, "measure")
    with warnings.catch_warnings():
        if framework != next(iter(FRAMEWORKS)):
            # The first framework has already given the warnings that both would.
            warnings.simplefilter("ignore", CheckpointWarning)
        model = api.load_located(found, task, form, **options)
    with _on_the_cpu(framework):
        measured: Measurement = module.measure(model, batch, attentions=False, padding=False)
        explicit = module.measure(model, batch, gradients=False, attentions=True).outputs
    for field, value in explicit.items():
        name = field if field.startswith("attentions.") else field + WITH_ATTENTION
        measured.outputs[name] = value
    del model
    gc.collect()
    return measured


def _on_the_cpu(framework: str) -> Any:
    """TensorFlow would move what it computes to a GPU, wherever the weights are."""
    if FRAMEWORKS[framework].packages[0] != "tensorflow":
        return nullcontext()
    import tensorflow  # noqa: PLC0415 - measured with it, so it is there

    return tensorflow.device("CPU")
