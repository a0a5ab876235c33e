"""`teacher.layers: auto`: which of the teacher's layers make the best start of a student, by trial.

Every choice keeps the teacher's first layer.  All are trained for a few steps, the better half of
them again and twice as long, and so on until one is left: successive halving (Jamieson and
Talwalkar 2016).  They learn from some of the training rows and are judged on others, by the metric
of the training.  Each trial is a function of the recipe and the data, and its score is in the log,
so that a search that was interrupted continues with the trial that was under way.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

from distil.api import load_tokenizer
from distil.common.config import DistilBertConfig
from distil.common.steps.recipe import EMBEDDINGS, Recipe
from distil.common.steps.recipe_model import LayerSearchSection
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers
from distil.errors import Interrupted, TrainingError
from distil.reading import Row
from distil.training.evaluation import Judge
from distil.training.examples import Examples, Reader, check_some, read_split
from distil.training.features import BUILDERS
from distil.training.interrupts import LOGGER, Stop
from distil.training.layer_choices import Layers, candidates, plan
from distil.training.log import add_record, keep_records, read_log
from distil.training.loop import Loop, total_steps
from distil.training.metrics import LESS_IS_BETTER
from distil.training.preparing import Prepared
from distil.training.splitting import held_out, sample, set_apart

# Of the rows drawn for a search, those that are set apart to judge by.
_APART = 0.25


@dataclass(frozen=True, kw_only=True)
class LayerSearch:
    """Looks for the layers of a student.

    Attributes:
        recipe: Of the training.
        teacher: Its teacher's configuration.
        prepared: The data of the training.
        make: Makes the student of a recipe with layers, and what trains it.
        identity: What tells this training from others.
        workers: Who train together.
        stop: Whether training was told to stop.
    """

    recipe: Recipe
    teacher: DistilBertConfig
    prepared: Prepared
    make: Callable[[Recipe, Prepared], tuple[Any, Step]]
    identity: Mapping[str, Any]
    workers: Workers
    stop: Stop

    def run(self) -> Recipe:
        """The recipe with the layers that were found.

        Raises:
            InputError: There are not enough training rows, or fewer layers than are wanted.
            CheckpointError: The log cannot be written.
            Interrupted: It was told to stop; finished trials are in the log.
        """
        return self._with(self._found())

    def _with(self, layers: Layers, **changes: Any) -> Recipe:
        taught = {"teacher.layers": list(layers), "teacher.search": {}}
        return self.recipe.replace(**taught, **changes)

    def _found(self) -> Layers:
        """The layers that are left."""
        choices = candidates(self._search, self.teacher, seed=self.recipe.seed)
        rounds = plan(len(choices), self._search.steps)
        if not rounds:
            return choices[0]
        data = self.workers.together(self._data)
        self._announce(choices, rounds, data)
        folder, key = Path(self.recipe.output), self._key()
        self.workers.by_first(
            lambda: keep_records(folder, lambda record: record.get("search", key) == key)
        )
        known = _known(folder, key)
        judge = self._judge(data)
        for number, (count, steps) in enumerate(rounds, start=1):
            choices = choices[:count]
            for layers in choices:
                if (layers, steps) in known:
                    continue
                known[layers, steps] = score = self._score(layers, steps, data, judge)
                record = {
                    "step": 0, "search": key, "tried_layers": list(layers), "tried_steps": steps,
                    "tried_metric": judge.metric, "tried_score": score,
                }  # fmt: skip
                self.workers.by_first(partial(add_record, folder, record))
                if self.stop.agree(self.workers):
                    raise self._interrupted()
            # Sorting is stable: of equal ones the first stays first.
            choices = sorted(choices, key=lambda one: _order(known[one, steps], judge.metric))
            self._tell(
                f"round {number} of {len(rounds)}, {judge.metric} after {steps} steps: "
                + "; ".join(f"{numbers(one)}: {_shown(known[one, steps])}" for one in choices)
            )
        return choices[0]

    @property
    def _search(self) -> LayerSearchSection:
        assert self.recipe.teacher is not None
        return self.recipe.teacher.search

    def _key(self) -> str:
        """What tells the trials of this training from those of others."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    def _data(self) -> Prepared:
        """The rows to learn from, and those set apart to judge by."""
        recipe = self.recipe
        held = held_out(recipe) if self.prepared.held else None
        rows = sample(read_split(recipe.data, "train", held), self._search.rows, seed=recipe.seed)
        apart = set_apart(
            recipe, rows, _APART, where="teacher.layers", fix="list the layers instead of auto"
        )
        train, dev = (
            self._examples(list(compress(rows, wanted.tolist()))) for wanted in (~apart, apart)
        )
        return replace(self.prepared, train=train, dev=dev)

    def _examples(self, rows: list[Row]) -> Examples:
        found = self._built(rows, self.prepared.tokenizer)
        if self.prepared.train.features.teacher is None:
            return found
        assert self.recipe.teacher is not None
        theirs = load_tokenizer(self.recipe.teacher.name, revision=self.recipe.teacher.revision)
        features = replace(found.features, teacher=self._built(rows, theirs).features)
        return replace(found, features=features)

    def _built(self, rows: list[Row], tokenizer: Any) -> Examples:
        reader = Reader(
            data=self.recipe.data, tokenizer=tokenizer, labels=self.prepared.labels,
            several=self.recipe.has_several_labels,
        )  # fmt: skip
        return check_some(BUILDERS[self.recipe.task](rows, reader), "train")

    def _judge(self, data: Prepared) -> Judge:
        assert data.dev is not None
        recipe = self.recipe
        if recipe.task == EMBEDDINGS:  # without scores of pairs, only the cosine is known
            recipe = recipe.replace(**{"evaluation.metric": None})
        return Judge(
            recipe=recipe, examples=data.dev, labels=data.labels,
            pad=data.tokenizer.pad_token_id, masking=data.masking,
        )  # fmt: skip

    def _score(self, layers: Layers, steps: int, data: Prepared, judge: Judge) -> float | None:
        """How good the student of some layers is after so many steps; None if it diverged."""
        recipe = self._with(
            layers,
            **{
                "schedule.steps": steps, "evaluation.every": steps, "checkpoints.every": steps,
                "checkpoints.model": "last", "teacher.cache": None,
            },
        )  # fmt: skip
        _, step = self.make(recipe, data)
        loop = Loop(
            recipe=recipe, step=step, features=data.train.features, pad=judge.pad, folder=None,
            log=None, judge=judge, masking=data.masking, save_model=lambda: None, identity={},
            workers=self.workers, stop=self.stop,
        )  # fmt: skip
        try:
            score = loop.run().metrics[judge.metric]
        except TrainingError:  # layers that cannot be trained are not chosen
            return None
        except Interrupted:
            raise self._interrupted() from None
        finally:
            del step, loop
            gc.collect()  # the next student has room
        return score if math.isfinite(score) else None

    def _announce(self, choices: list[Layers], rounds: list[tuple[int, int]], data: Any) -> None:
        """Say what it costs, before it starts."""
        steps = sum(count * steps for count, steps in rounds)
        own = total_steps(self.recipe, self.prepared.train.features)
        often = f"{len(rounds)} {'round' if len(rounds) == 1 else 'rounds'}"
        self._tell(
            f"teacher.layers: auto tries {len(choices)} choices of {len(choices[0])} layers in "
            f"{often}: {steps:,} steps in all, beside {own:,} of the training itself; "
            f"{len(data.train.features):,} examples to learn from, {len(data.dev.features):,} to "
            "judge by"
        )

    def _tell(self, message: str) -> None:
        if self.workers.is_first:
            LOGGER.info("%s", message)

    def _interrupted(self) -> Interrupted:
        return Interrupted(
            self.stop.number or 0,
            f"interrupted while layers were tried; {self.recipe.output} keeps the scores so far, "
            "and the same command continues with the next choice",
        )


def _known(folder: Path, key: str) -> dict[tuple[Layers, int], float | None]:
    """Scores of the trials that are in the log already, by layers and steps."""
    return {
        (tuple(record["tried_layers"]), record["tried_steps"]): record["tried_score"]
        for record in read_log(folder)
        if record.get("search") == key
    }


def numbers(layers: Layers) -> str:
    """Layers, for people to read."""
    return ", ".join(map(str, layers))


def _order(score: float | None, metric: str) -> float:
    """A number that is the smaller the better a score is."""
    if score is None:
        return math.inf
    return score if metric in LESS_IS_BETTER else -score


def _shown(score: float | None) -> str:
    return "diverged" if score is None else f"{score:.4f}"
