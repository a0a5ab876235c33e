"""The sections of a recipe on models: the one to train, and its teacher."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.config_values import ALIASES
from distil.common.rules import (
    AMOUNT,
    COUNT,
    FLAG,
    NATURAL,
    POSITIVE,
    RATE,
    TEXT,
    Rule,
    one_of,
    or_none,
)
from distil.common.steps.recipe_rules import NUMBERS, OPTIONS, PARTS, Section, refused, setting
from distil.errors import ConfigError, shown

DISTANCES = ("cosine", "squared")
# Fields of the configuration that other parts of a recipe decide.
_SAID_ELSEWHERE = {
    "dtype": "precision", "num_labels": "data.labels", "id2label": "data.labels",
    "label2id": "data.labels", "architectures": "task",
}  # fmt: skip
AUTO = "auto"
LAYERS = Rule(f'"{AUTO}", or {NUMBERS.words}', lambda v: v == AUTO or NUMBERS.holds(v))
_CONFIG_FIELDS = tuple(f.name for f in fields(DistilBertConfig) if f.name != "extra")


@dataclass(frozen=True, kw_only=True)
class ModelSection(Section):
    """The model to train.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub; None makes a student from the
            recipe's teacher.
        framework: "pt" or "tf"; None chooses as `distil.load` does.
        revision: Branch, tag or commit on the hub.
        config: Fields of the configuration to override (`dropout: 0.0`).
        new_head: Replace the checkpoint's head if it has one for other labels.
        new_weights: Start from random weights: only the configuration and the tokenizer of `name`
            are used, or only the size of a student made from its teacher.
        vocabulary: Size to shrink the vocabulary to: special tokens and single characters stay,
            then the tokens that are most frequent in the training rows.  None keeps all.
        freeze: What is not trained: `embeddings` (of words and positions, with their LayerNorm)
            and layers by number, `[embeddings, 0, 1]`.
    """

    name: str | None = setting(or_none(TEXT), None)
    framework: str | None = setting(one_of(("pt", "tf"), or_none=True), None)
    revision: str | None = setting(or_none(TEXT), None)
    config: dict[str, Any] = field(default_factory=dict, metadata={"rule": OPTIONS})
    new_head: bool = setting(FLAG, False)
    new_weights: bool = setting(FLAG, False)
    vocabulary: int | None = setting(or_none(COUNT), None)
    freeze: tuple[str | int, ...] | None = setting(or_none(PARTS), None)

    def check_together(self) -> None:  # noqa: D102
        for given in self.config:
            name = ALIASES.get(given, given)
            if name in _SAID_ELSEWHERE:
                raise refused(
                    "config", f"no {name}, which {_SAID_ELSEWHERE[name]} decides", self.config
                )
            if name not in _CONFIG_FIELDS:
                near = get_close_matches(name, _CONFIG_FIELDS, n=1)
                raise ConfigError(
                    "config has an unknown field",
                    expected="fields of DistilBertConfig", found=shown(given), where="config",
                    fix=f"did you mean {near[0]}?" if near else None,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LayerSearchSection(Section):
    """How `teacher.layers: auto` finds the layers: by trial on training rows.

    Attributes:
        layers: How many layers the student gets; None gives as many as without a search.
        choices: Most choices of layers to try; all of them keep the teacher's first layer.
        steps: Steps that each choice is trained for in the first round; in every further round
            the better half is trained for twice as many.
        rows: Training rows drawn for the search; of these, a quarter is set apart to judge by.
    """

    layers: int | None = setting(or_none(COUNT), None)
    choices: int = setting(COUNT, 16)
    steps: int = setting(COUNT, 25)
    rows: int = setting(COUNT, 4000)


@dataclass(frozen=True, kw_only=True)
class TeacherSection(Section):
    """The teacher, for distillation.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub: a model trained for the
            recipe's task; for sentence-embeddings any encoder.
        revision: Branch, tag or commit on the hub.
        layers: The teacher's layers that initialise the student; None takes half of them, the
            first and the last included: 0, 2, 5 of 6, and 0, 2, 4, 7, 9, 11 of 12.  "auto" finds
            them, see `search`.
        cache: Folder that keeps the teacher's vectors of the training texts, in float16, where
            vectors alone are compared: it reads them once, not in every epoch.  None keeps none.
        search: How layers are found.
    """

    name: str = setting(TEXT)
    revision: str | None = setting(or_none(TEXT), None)
    layers: tuple[int, ...] | str | None = setting(or_none(LAYERS), None)
    cache: str | None = setting(or_none(TEXT), None)
    search: LayerSearchSection = field(default_factory=LayerSearchSection)

    def check_together(self) -> None:  # noqa: D102
        if self.layers != AUTO and self.search != LayerSearchSection():
            raise ConfigError(
                "search has no effect where layers are not searched for",
                expected=f"layers: {AUTO}", found=shown(self.layers), where="search",
            )  # fmt: skip

    @property
    def numbers(self) -> tuple[int, ...] | None:
        """`layers`, once they are known."""
        assert not isinstance(self.layers, str), "layers are found before a student is made"
        return self.layers


@dataclass(frozen=True, kw_only=True)
class DistillationSection(Section):
    """The distillation loss: a weighted sum of losses.

    A loss of weight 0 is not computed.  The defaults are the triple loss of Sanh et al. 2019, with
    its weights.

    Attributes:
        temperature: Softmax temperature of L_ce.
        alpha_ce: Weight of L_ce, between the predictions of student and teacher; for regression,
            of the mean squared error between their scores; where a text may have several labels,
            of its mean over these.
        alpha_task: Weight of the loss on the labels; for masked-LM that is L_mlm.
        alpha_cos: Weight of L_cos, the cosine distance between the last hidden states.
        alpha_hidden: Weight of the mean squared error between hidden states, layer by layer.
        alpha_attention: Weight of the mean squared error between attention scores before the
            softmax, layer by layer.
        alpha_relations: Weight of the divergence of relations, which are scaled products of all
            queries with each other, of keys and of values, after a softmax, in the last layer.
            Widths and heads may differ.
        relation_layer: Number of the teacher's layer whose relations are learned; None takes the
            last.
        relation_heads: Parts that queries, keys and values are cut into for this; None takes the
            teacher's number of heads.
        alpha_vector: Weight of the distance between the vectors of texts, which are the means of
            the last hidden states of their tokens.
        vector_distance: Which distance that is: "cosine" (1 - cos), or "squared" (mean squared
            difference), which also teaches how long the vectors are.
        alpha_similarity: Weight of the divergence between how alike the texts of a batch are to
            the student and to the teacher: cosines of their vectors, after a softmax over the
            other texts.  Widths may differ.
        similarity_temperature: What these cosines are divided by.
        linear_map: Take hidden states of the student through a matrix before they are compared
            (by alpha_cos and alpha_hidden), so that its width may differ from the teacher's.  It is
            learned with the student and not saved with it.
        dropout: Dropout of the student while it learns, of every kind; None leaves it as the
            student's configuration says.  The configuration that is saved stays as it is.
        restrict_to_mask: Compute L_ce of masked-LM at the masked tokens only, not at all tokens.
    """

    temperature: float = setting(POSITIVE, 2.0)
    alpha_ce: float = setting(AMOUNT, 5.0)
    alpha_task: float = setting(AMOUNT, 2.0)
    alpha_cos: float = setting(AMOUNT, 1.0)
    alpha_hidden: float = setting(AMOUNT, 0.0)
    alpha_attention: float = setting(AMOUNT, 0.0)
    alpha_relations: float = setting(AMOUNT, 0.0)
    relation_layer: int | None = setting(or_none(NATURAL), None)
    relation_heads: int | None = setting(or_none(COUNT), None)
    alpha_vector: float = setting(AMOUNT, 0.0)
    vector_distance: str = setting(one_of(DISTANCES), "cosine")
    alpha_similarity: float = setting(AMOUNT, 0.0)
    similarity_temperature: float = setting(POSITIVE, 0.05)
    linear_map: bool = setting(FLAG, False)
    dropout: float | None = setting(or_none(RATE), None)
    restrict_to_mask: bool = setting(FLAG, False)

    def check_together(self) -> None:  # noqa: D102
        if not (self.compares_tokens or self.alpha_task or self.needs_vectors):
            raise refused("alpha_ce", "one of the weights above 0", self.alpha_ce)
        if self.linear_map and not (self.alpha_cos or self.alpha_hidden):
            raise refused(
                "linear_map", "false where neither alpha_cos nor alpha_hidden is above 0", True
            )

    @property
    def compares_tokens(self) -> bool:
        """Whether student and teacher have to read the same tokens."""
        states = self.alpha_cos or self.alpha_hidden or self.alpha_attention
        return bool(self.alpha_ce or states or self.alpha_relations)

    @property
    def needs_vectors(self) -> bool:
        """Whether vectors of texts are compared."""
        return bool(self.alpha_vector or self.alpha_similarity)

    @property
    def needs_states(self) -> bool:
        """Whether hidden states are compared, or what is computed from them."""
        states = self.alpha_cos or self.alpha_hidden or self.alpha_attention
        return bool(states or self.alpha_relations or self.needs_vectors)
