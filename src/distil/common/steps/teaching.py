"""What distillation asks of a teacher and its student, the same for both frameworks.

`distil.pt.training.teaching` and `distil.tf.training.teaching` each have a `TeachingStep`, which
completes `Teaching`.

Source: Sanh et al. 2019, section 3.  Shapes: b batch (for multiple choice, rows times choices),
s length, d dim, m tokens whose word is scored, v vocabulary, c classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from distil.arrays import Array
from distil.common.labels import BINARY
from distil.common.model import Model, encoder_of
from distil.common.steps.batching import VECTORS, Batch, for_each
from distil.common.steps.layers import default_layers, matched_layers
from distil.common.steps.linear_map import LINEAR_MAP
from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_model import DistillationSection
from distil.common.steps.stepping import counted_in

# In place of an answer's scores at padding, where there is nothing to be learned: e to this is 0.
NO_SCORE = -1e30

# Names of the losses, each with its weight `alpha_...` in the recipe.
LOSSES = (
    "ce", "task", "cos", "hidden", "attention", "relations", "vector", "similarity"
)  # fmt: skip

# Arguments that hold what a model is to learn.
TARGETS = ("labels", "start_positions", "end_positions")


class Teaching:
    """The part of a step of distillation that is the same in both frameworks.

    Each of `LOSSES` is a measurement, `loss_ce` and so on, as far as the recipe asks for it, and
    so is `loss`, their weighted sum.
    """

    measures: ClassVar[ModuleType]  # distil.pt.training.distillation, or its twin
    model: Model
    teacher: Model
    settings: DistillationSection
    matched: tuple[int, ...]
    weights: Mapping[str, Any]  # the step's own
    class_weights: Array | None
    _label_loss: Callable[[Any, Mapping[str, Any]], Any]  # the step's own

    def _take_teacher(self, teacher: Model, recipe: Recipe) -> None:
        """Know the teacher, and what is to be learned from it."""
        assert recipe.teacher is not None
        assert recipe.distillation is not None
        self.teacher = teacher
        self.settings = recipe.distillation
        layers, usual = recipe.teacher.numbers, default_layers(teacher.config.n_layers)
        if (
            recipe.model.name is None
            and layers is None
            and self.model.config.n_layers == len(usual)
        ):
            layers = usual
        self.matched = matched_layers(self.model.config, teacher.config, layers)

    def counts(self, part: Batch) -> dict[str, float]:
        """How much of a part each loss is the mean of."""
        found = counts_of(part, self.model.task, self.settings)
        return {**found, "task": counted_in(part, self.class_weights)}

    def _losses(self, inputs: Mapping[str, Any], shares: Mapping[str, Any]) -> dict[str, Any]:
        """Every loss of a part, times its share in that of the step."""
        settings, measures = self.settings, self.measures
        inputs, theirs = for_each(inputs)
        known = theirs.get(VECTORS)  # by which nothing else is asked of the teacher
        shown = self._shown(inputs)  # b s
        wanted = self._wanted(inputs, shown) if self.model.task == "masked-lm" else None
        teacher: Any = None
        if known is None:
            teacher = self._seen(self.teacher, _unlabelled(theirs), wanted)
        student = self._seen(
            self.model, inputs if settings.alpha_task else _unlabelled(inputs), wanted
        )
        found: dict[str, Any] = {}
        if settings.alpha_ce:
            found["ce"] = self._predictions(student, teacher, shown)
        if settings.alpha_task:
            found["task"] = (
                self._label_loss(student, inputs)
                if wanted is None
                else self._task_loss(student.logits, inputs, wanted)
            )
        if settings.alpha_cos:
            found["cos"] = measures.cosine_distance(
                self._mapped(student.hidden_states[-1]), teacher.hidden_states[-1], shown
            )
        if settings.alpha_hidden:
            found["hidden"] = sum(
                measures.hidden_difference(self._mapped(own), teacher.hidden_states[number], shown)
                for own, number in zip(student.hidden_states[1:], self.matched, strict=True)
            ) / len(self.matched)
        if settings.alpha_attention:
            found["attention"] = sum(
                measures.attention_difference(
                    self._scores(self.model, own, student),
                    self._scores(self.teacher, number - 1, teacher), shown,
                )
                for own, number in enumerate(self.matched)
            ) / len(self.matched)  # fmt: skip
        if settings.alpha_relations:
            found["relations"] = self._relations(student, teacher, shown)
        if settings.needs_vectors:
            own = measures.pooled(student.hidden_states[-1], shown)
            if teacher is not None:
                known = measures.pooled(teacher.hidden_states[-1], self._shown(theirs))
            found |= self._vectors(own, self._like(known, own))
        found = {name: self._times(loss, shares[name]) for name, loss in found.items()}
        total = sum(getattr(settings, f"alpha_{name}") * loss for name, loss in found.items())
        return {"loss": total, **{f"loss_{name}": loss for name, loss in found.items()}}

    def _mapped(self, states: Any) -> Any:
        """Hidden states of the student (b, s, d) as they are compared with the teacher's."""
        weight = self.weights.get(LINEAR_MAP)
        return states if weight is None else self.measures.mapped(states, weight)

    def _vectors(self, student: Any, teacher: Any) -> dict[str, Any]:
        """The losses of vectors of texts (b, d)."""
        found, settings, measures = {}, self.settings, self.measures
        if settings.alpha_vector:
            distance = {
                "cosine": measures.cosine_distance, "squared": measures.hidden_difference
            }[settings.vector_distance]  # fmt: skip
            found["vector"] = distance(student, teacher, self._everything(student))
        if settings.alpha_similarity:
            found["similarity"] = measures.similarity_divergence(
                student, teacher, settings.similarity_temperature
            )
        return found

    def _relations(self, student: Any, teacher: Any, shown: Any) -> Any:
        """The sum of the losses of queries, keys and values (Wang et al. 2021, section 3.1)."""
        settings, of_teacher = self.settings, self.teacher.config
        number = settings.relation_layer
        number = of_teacher.n_layers - 1 if number is None else number
        last = self.model.config.n_layers - 1
        heads = settings.relation_heads or of_teacher.n_heads
        return sum(
            self.measures.relation_divergence(
                _projected(self.model, last, student, kind),
                _projected(self.teacher, number, teacher, kind), shown, heads,
            )
            for kind in ("q", "k", "v")
        )  # fmt: skip

    def _scores(self, model: Model, layer: int, output: Any) -> Any:
        """Attention scores (b, h, s, s) of a layer, given the model's hidden states."""
        queries, keys = (_projected(model, layer, output, kind) for kind in ("q", "k"))
        return self.measures.attention_scores(queries, keys, model.config.n_heads)

    def _predictions(self, student: Any, teacher: Any, shown: Any) -> Any:
        """L_ce over what the task predicts: words, classes, choices, or where an answer is."""
        if self.model.task == "question-answering":
            starts, ends = (
                self._agreement(self._at(shown, own), self._at(shown, theirs))
                for own, theirs in (
                    (student.start_logits, teacher.start_logits),
                    (student.end_logits, teacher.end_logits),
                )
            )
            return (starts + ends) / 2
        by_token = self.model.task == "token-classification"
        return self._agreement(student.logits, teacher.logits, shown if by_token else None)

    def _agreement(self, student: Any, teacher: Any, mask: Any = None) -> Any:
        """L_ce of logits (..., c) where `mask` (...) is true; None counts all."""
        if self.model.config.problem_type == BINARY:
            # Each label by itself is one of two classes, of which the other has a score of 0.
            student, teacher = self._beside_zero(student), self._beside_zero(teacher)  # b c 2
        mask = self._everything(student) if mask is None else mask
        if student.shape[-1] == 1:  # the prediction is a number, not a class
            return self.measures.hidden_difference(student, teacher, mask)
        return self.measures.soft_cross_entropy(student, teacher, mask, self.settings.temperature)

    # What each framework says in its own words.

    def _seen(self, model: Any, inputs: Mapping[str, Any], wanted: Any) -> Any:
        """The output that the losses look at: no more of it than they need.

        Args:
            model: The student, in training, or the teacher.
            inputs: Its arguments.
            wanted: Of masked-LM, the tokens whose words are scored; logits are (m, v) then.
        """
        raise NotImplementedError

    def _shown(self, inputs: Mapping[str, Any]) -> Any:
        """True where a token is not padding (b, s)."""
        raise NotImplementedError

    def _wanted(self, inputs: Mapping[str, Any], shown: Any) -> Any:
        """Of masked-LM the tokens whose words are scored (m), by place in `input_ids` (b * s)."""
        raise NotImplementedError

    def _task_loss(self, logits: Any, inputs: Mapping[str, Any], wanted: Any) -> Any:
        """Of masked-LM the loss on the words to be guessed, given scores (m, v) of `wanted`."""
        raise NotImplementedError

    def _times(self, loss: Any, share: Any) -> Any:
        """The part of a step's loss that this one makes up."""
        raise NotImplementedError

    def _at(self, shown: Any, scores: Any) -> Any:
        """Scores (b, s), and `NO_SCORE` at padding."""
        raise NotImplementedError

    def _like(self, values: Any, others: Any) -> Any:
        """Values in the type of others."""
        raise NotImplementedError

    def _beside_zero(self, logits: Any) -> Any:
        """Logits (..., 2): those that are given (...), and 0."""
        raise NotImplementedError

    def _everything(self, logits: Any) -> Any:
        """A mask (...) of logits (..., c) that shows all."""
        raise NotImplementedError


def _projected(model: Model, layer: int, output: Any, kind: str) -> Any:
    """The queries, keys or values (b, s, h * e) of a layer: computed once more from its input."""
    attention = encoder_of(model).transformer.layer[layer].attention
    return getattr(attention, f"{kind}_lin")(output.hidden_states[layer])


def _unlabelled(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: x for name, x in inputs.items() if name not in TARGETS}


def counts_of(batch: Batch, task: str, settings: DistillationSection) -> dict[str, int]:
    """How much of a batch each loss is the mean of, by its name.

    Args:
        batch: Or a slice of one, maybe without rows.
        task: Of the recipe.
        settings: Likewise.
    """
    if not len(batch.rows):
        return dict.fromkeys(LOSSES, 0)
    ids, mask = batch.inputs["input_ids"], batch.inputs.get("attention_mask")
    lengths = (np.ones_like(ids) if mask is None else mask != 0).sum(axis=-1, dtype=np.int64)
    tokens = int(lengths.sum())
    predictions = len(batch.rows)
    if task == "token-classification":
        predictions = tokens
    elif task == "masked-lm":
        predictions = batch.counted if settings.restrict_to_mask else tokens
    return {
        "ce": predictions,
        "task": batch.counted,
        "cos": tokens,
        "hidden": tokens,
        "attention": int((lengths**2).sum()),  # pairs of tokens
        "relations": tokens,
        "vector": lengths.size,
        "similarity": lengths.size,
    }
