"""The training loop, the same for both frameworks: which batches, at which rate, and what then.

Where it stands is a few numbers (`Position`).  Batches, masks, learning rates and the seeds of
dropout are functions of them and of the recipe, so that an interrupted training continues to the
same weights, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from distil.common.steps.batching import Batch, Features, collate, plan_epoch, prefetched
from distil.common.steps.masking import Masking
from distil.common.steps.recipe import Recipe
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers
from distil.errors import CheckpointError, Interrupted, TrainingError
from distil.training.checkpoints import save_state
from distil.training.evaluation import Judge
from distil.training.interrupts import Stop
from distil.training.intervals import save_rows
from distil.training.log import Log
from distil.training.position import Position
from distil.training.schedule import rate_factor

# A running mean of about so many steps tells how fast it goes.
_STEPS_OF_SPEED = 20


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a step leaves to be shown.

    Attributes:
        step: How many steps are done.
        total: How many there are.
        loss: Of the step.
        tokens_per_second: Of the last steps, padding not counted.
        seconds_left: Until the last step, at that speed.
        learning_rate: Of the step.
        metrics: On the dev rows, where a listener's method `judged` is told; else none.
    """

    step: int
    total: int
    loss: float
    tokens_per_second: float
    seconds_left: float
    learning_rate: float
    metrics: Mapping[str, float] = field(default_factory=dict)


# Called after every step.  If it has a method `judged`, this is called, with dev metrics, after
# every step that the model is judged after.  What either raises ends training, which the same call
# continues from the last checkpoint.
Listener = Callable[[Progress], None]


@dataclass(kw_only=True)
class Loop:
    """Trains to the end of the recipe.

    Attributes:
        recipe: What is done.
        step: The framework's part.
        features: Examples to learn from.
        pad: The padding token.
        folder: For checkpoints; None keeps none.
        log: For measurements; None in workers that write nothing.
        judge: For evaluation, or None.
        masking: Of masked-LM, else None.
        save_model: Keeps the model as it is now.
        identity: What tells this training from others; a checkpoint of another one is refused.
        workers: Who train together; the first of them writes.
        listener: Told of every step.
        stop: Whether one of the workers was told to stop.
        position: Where to begin.
    """

    recipe: Recipe
    step: Step
    features: Features
    pad: int
    folder: Path | None
    log: Log | None
    judge: Judge | None
    masking: Masking | None
    save_model: Callable[[], None]
    identity: Mapping[str, Any]
    workers: Workers
    stop: Stop
    listener: Listener | None = None
    position: Position = field(default_factory=Position)

    def run(self) -> Position:
        """Train from `position` to the end.

        Raises:
            TrainingError: The loss or the gradients are not finite.
            CheckpointError: A checkpoint or the model cannot be written; or `position` is beyond
                the end.
            Interrupted: A worker was told to stop, and everything so far is saved.
        """
        schedule = self.recipe.schedule
        total = self.total_steps()
        speed = 0.0
        if self.position.step > total:
            raise self._beyond("step", self.position.step, total)
        if self.judge is not None and self.position.to_judge:
            self._evaluate(self.judge)
        while self.position.step < total and not self._gives_up():
            epoch = self.position.epoch
            for parts, following in self._steps(epoch, self.position.batch):
                start = time.perf_counter()
                rate = rate_factor(schedule, self.position.step, total)
                found = self._train(parts, self.recipe.optimizer.learning_rate * rate)
                seconds = time.perf_counter() - start
                self.position = replace(
                    self.position, epoch=epoch + (following == 0), batch=following
                )
                last = self.position.step == total
                judge = self.judge if last or self._is_due(self.recipe.evaluation.every) else None
                self.position = replace(self.position, to_judge=judge is not None)
                tokens = sum(part.tokens for part in parts) / seconds
                speed += (tokens - speed) / min(self.position.step, _STEPS_OF_SPEED)
                if last or self._is_due(self.recipe.log.every):
                    self._note(rate, speed)
                now = self._tell(found["loss"], speed, total, rate)
                stops = not last and self.stop.agree(self.workers)
                # Before the model is judged: that may fail.
                if last or stops or self._is_due(self.recipe.checkpoints.every):
                    self.save()
                if stops:
                    raise self._interrupted(total)
                if judge is not None:
                    self._evaluate(judge)
                    self._tell_metrics(now)
                if last or self._gives_up():
                    break
        return self.position

    def _gives_up(self) -> bool:
        """Whether the metric has not become better for as long as the recipe's patience."""
        patience = self.recipe.evaluation.patience
        return patience is not None and self.position.misses >= patience

    def _interrupted(self, total: int) -> Interrupted:
        where = f"step {self.position.step:,} of {total:,}"
        kept = "" if self.folder is None else f", and saved in {self.folder}"
        return Interrupted(
            self.stop.number or 0,
            f"training was interrupted after {where}{kept}; the same command continues from there",
        )

    def _beyond(self, what: str, found: int, end: int) -> CheckpointError:
        return CheckpointError(
            "training checkpoint is damaged", expected=f"{what} {end} at most",
            found=f"{what} {found}", where=self.folder, fix="remove it to start over",
        )  # fmt: skip

    def total_steps(self) -> int:
        """How many steps the recipe is for."""
        return total_steps(self.recipe, self.features)

    def save(self) -> None:
        """Keep what is needed to go on from here."""
        folder = self.folder
        if folder is not None:
            info = {"position": asdict(self.position), "identity": dict(self.identity)}
            self.workers.by_first(lambda: save_state(folder, self.step.state(), info))

    def _steps(self, epoch: int, first: int) -> Iterator[tuple[list[Batch], int]]:
        """The batches of each step of an epoch from batch `first` on, and which comes next.

        After the last step that is 0: the first of the next epoch.
        """
        plan = _plan(self.recipe, self.features, epoch)
        size = self.recipe.batch.accumulation
        if first >= len(plan):
            raise self._beyond("batch", first, len(plan))

        def batches(begin: int) -> list[Batch]:
            numbers = range(begin, min(begin + size, len(plan)))
            return [self._batch(plan[number], epoch, number) for number in numbers]

        begins = range(first, len(plan), size)
        for begin, parts in zip(begins, prefetched(begins, batches), strict=True):
            yield parts, begin + size if begin + size < len(plan) else 0

    def _batch(self, rows: Any, epoch: int, number: int) -> Batch:
        batch = collate(self.features, rows, pad=self.pad)
        if self.masking is None:
            return batch
        return self.masking.apply(batch, [self.recipe.seed, epoch, number])

    def _train(self, parts: list[Batch], learning_rate: float) -> dict[str, float]:
        """One step, and its measurements."""
        number = self.position.step
        found = self.step.train(parts, learning_rate, [self.recipe.seed, number])
        wrong = [name for name, value in found.items() if not math.isfinite(value)]
        if wrong:
            rows = ", ".join(str(row) for part in parts for row in part.rows.tolist())
            raise TrainingError(
                f"{wrong[0]} is not finite",
                found=found[wrong[0]],
                where=f"step {number + 1}, examples {rows} of the training data",
                fix="lower optimizer.learning_rate, or check these examples; "
                "the last checkpoint is still there",
            )
        self.position = replace(
            self.position,
            step=number + 1,
            sums={name: self.position.sums.get(name, 0.0) + x for name, x in found.items()},
            summed=self.position.summed + 1,
            tokens=self.position.tokens + sum(part.tokens for part in parts),
        )
        return found

    def _is_due(self, every: int | None) -> bool:
        """Whether something that happens every so many steps, or after each epoch, is due."""
        if every is None:
            return self.position.batch == 0
        return self.position.step % every == 0

    def _note(self, rate: float, speed: float) -> None:
        """Write a point of the curve."""
        means = {name: x / self.position.summed for name, x in self.position.sums.items()}
        self._write(
            {
                **means,
                "learning_rate": self.recipe.optimizer.learning_rate * rate,
                "tokens": self.position.tokens,
                "tokens_per_second": round(speed, 1),
            }
        )
        self.position = replace(self.position, sums={}, summed=0)

    def _write(self, measurements: Mapping[str, float]) -> None:
        if self.log is not None:
            self.log.write({"step": self.position.step, **measurements})

    def _tell(self, loss: float, speed: float, total: int, rate: float) -> Progress:
        """Tell the listener of the step; gives what it was told."""
        step = self.position.step
        now = Progress(
            step=step,
            total=total,
            loss=loss,
            tokens_per_second=speed,
            seconds_left=(total - step) * self.position.tokens / step / speed,
            learning_rate=self.recipe.optimizer.learning_rate * rate,
        )
        if self.listener is not None:
            self.listener(now)
        return now

    def _tell_metrics(self, now: Progress) -> None:
        """Tell a listener that asks for it of the dev metrics after a step."""
        judged = getattr(self.listener, "judged", None)
        if judged is not None:
            judged(replace(now, metrics=self.position.metrics))

    def _evaluate(self, judge: Judge) -> None:
        """Judge the model, and keep it if it is the best so far."""
        metrics = judge.judge(self.step, self.workers)
        step, value = self.position.step, metrics[judge.metric]
        self._write({f"dev_{name}": x for name, x in metrics.items()})
        misses = self.position.misses + 1
        self.position = replace(self.position, metrics=metrics, misses=misses, to_judge=False)
        if judge.is_better(value, self.position.best):
            self.position = replace(
                self.position, best=value, best_step=step, best_metrics=metrics, misses=0
            )
            if self.recipe.checkpoints.model == "best":
                self.workers.by_first(lambda: self._keep(judge))
        if self.recipe.checkpoints.model == "last" and self.folder is not None:
            self.workers.by_first(partial(save_rows, self.folder, judge.columns))

    def _keep(self, judge: Judge) -> None:
        self.save_model()
        if self.folder is not None:
            save_rows(self.folder, judge.columns)


def total_steps(recipe: Recipe, features: Features) -> int:
    """How many steps a recipe's training on some examples has."""
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    return sum(
        math.ceil(len(_plan(recipe, features, epoch)) / recipe.batch.accumulation)
        for epoch in range(recipe.schedule.epochs)
    )


def _plan(recipe: Recipe, features: Features, epoch: int) -> list[Any]:
    """The batches of an epoch."""
    return plan_epoch(
        features.lengths, recipe.batch, choices=features.choices, seed=recipe.seed, epoch=epoch
    )
