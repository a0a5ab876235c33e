"""The training loop around a step that computes nothing: what it asks for, when, and what it keeps.

The loss of step n is n, so that every mean, best value and place can be said beforehand.
"""

import itertools

import numpy as np
import pytest

from distil.common.steps.batching import Features
from distil.common.steps.masking import Masking
from distil.common.steps.workers import Workers
from distil.errors import CheckpointError, Interrupted, TrainingError
from distil.training.checkpoints import load_state
from distil.training.interrupts import Stop
from distil.training.intervals import FILE_NAME as ROWS
from distil.training.log import Log, read_log
from distil.training.loop import Loop
from distil.training.position import Position
from distil.training.schedule import rate_factor
from support.training import recipe_for

EXAMPLES = 10  # of one to ten tokens
FEATURES = Features(
    ids=np.arange(55, dtype=np.int32) + 10,
    starts=np.array([0, *np.arange(1, EXAMPLES + 1).cumsum()]),
    targets={"labels": np.arange(EXAMPLES)},
)


class FakeStep:
    """Writes down what it is asked for; the loss of step n is n."""

    def __init__(self, done, losses):
        self.done, self.losses, self.calls = done, losses or {}, []

    def train(self, parts, learning_rate, place):
        number = place[1] + 1
        inputs = [{name: array.tolist() for name, array in one.inputs.items()} for one in parts]
        rows = [one.rows.tolist() for one in parts]
        self.calls.append((rows, inputs, learning_rate, list(place)))
        return {"loss": self.losses.get(number, float(number)), "gradient_norm": 2.0 * number}

    def state(self):
        return {"steps": np.array([self.done + len(self.calls)])}


class FakeJudge:
    """Metrics from a list, one for each judgement; None raises."""

    metric = "accuracy"
    is_better = staticmethod(lambda found, best: best is None or found > best)

    def __init__(self, values, step):
        self.values, self.fake, self.at = list(values), step, []

    @property
    def columns(self):
        return {"score": np.array([float(self.at[-1])])}

    def judge(self, step, workers):
        assert step is self.fake
        self.at.append(len(step.calls))
        value = self.values.pop(0)
        if value is None:
            raise TrainingError("the dev rows cannot be judged")
        return {"accuracy": value, "loss": 1 - value}


class Listener:
    """Keeps what it is told, and may tell the training to stop after a step."""

    def __init__(self, stop=None, after=None):
        self.steps, self.judgements, self.stop, self.after = [], [], stop, after

    def __call__(self, progress):
        self.steps.append(progress)
        if progress.step == self.after:
            self.stop.number = 2

    def judged(self, progress):
        self.judgements.append(progress)


TOTAL = 6  # steps: two epochs of five batches, two of which make a step
RATE = 0.5


def make_loop(folder, *, values=None, losses=None, position=None, after=None, masked=False, **also):
    """A loop over `FEATURES`, whose judge finds `values`; it is told to stop after a step."""
    recipe = recipe_for(
        "masked-lm" if masked else "sequence-classification",
        **{
            "batch.examples": 2, "batch.accumulation": 2, "optimizer.learning_rate": RATE,
            "schedule.epochs": 2, "schedule.warmup": 0.5, "seed": 7, **also,
        },
    )  # fmt: skip
    position, stop, kept = position or Position(), Stop(), []
    step = FakeStep(position.step, losses)
    masking = Masking.over(FEATURES.ids, recipe.masking, vocabulary=70, mask=1, special=[0])
    judged = not position.to_judge
    loop = Loop(
        recipe=recipe, step=step, features=FEATURES, pad=0, folder=folder,
        log=folder and Log(folder, step=position.step, judged=judged, tensorboard=False),
        judge=None if values is None else FakeJudge(values, step),
        masking=masking if masked else None, save_model=lambda: kept.append(len(step.calls)),
        identity={"who": "me"}, workers=Workers(), stop=stop, listener=Listener(stop, after),
        position=position,
    )  # fmt: skip
    return loop, kept


def curve(folder):
    points = read_log(folder)
    for point in points:
        point.pop("tokens_per_second", None)
    return points


def saved(folder):
    arrays, info = load_state(folder)
    assert info["identity"] == {"who": "me"}
    position = Position.read(info["position"])
    return int(arrays["steps"][0]), position


def test_what_each_step_is_asked_for(tmp_path):
    loop, _ = make_loop(tmp_path)
    end = loop.run()
    calls = loop.step.calls
    assert loop.total_steps() == len(calls) == end.step == TOTAL
    assert [place for *_, place in calls] == [[7, number] for number in range(TOTAL)]
    factors = [rate_factor(loop.recipe.schedule, number, TOTAL) for number in range(TOTAL)]
    assert [rate for _, _, rate, _ in calls] == [RATE * one for one in factors]
    assert [len(rows) for rows, *_ in calls] == [2, 2, 1] * 2
    epochs = [
        [row for rows, *_ in calls[begin : begin + 3] for part in rows for row in part]
        for begin in (0, 3)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [*range(EXAMPLES)]
    assert epochs[0] != epochs[1]
    for rows, inputs, *_ in calls:
        assert [one["labels"] for one in inputs] == rows
    assert end == Position(step=TOTAL, epoch=2, tokens=2 * 55)


def test_epochs_end_with_a_step_that_is_full_as_with_one_that_is_not(tmp_path):
    loop, _ = make_loop(tmp_path, **{"batch.examples": 1, "batch.accumulation": 5})
    end = loop.run()
    assert [len(rows) for rows, *_ in loop.step.calls] == [5] * 4
    assert (end.step, end.epoch, end.batch) == (4, 2, 0)


def test_masks_are_drawn_anew_for_every_batch_of_every_epoch(tmp_path):
    draws = []
    for _ in range(2):
        loop, _ = make_loop(tmp_path, masked=True, **{"batch.examples": 10})
        loop.run()
        draws.append([inputs for _, inputs, *_ in loop.step.calls])
    assert draws[0] == draws[1]
    first, second = (inputs[0] for inputs in draws[0])
    assert len(first["labels"]) > 5
    assert sorted(first["labels"]) != sorted(second["labels"])


def test_the_same_number_of_a_batch_masks_differently_with_another_seed(tmp_path):
    found = []
    for seed in (7, 8):
        loop, _ = make_loop(None, masked=True, seed=seed, **{"batch.examples": 10})
        loop.run()
        found.append(sorted(loop.step.calls[0][1][0]["labels"]))
    assert found[0] != found[1]


def test_the_log_has_means_since_its_last_point(tmp_path):
    loop, _ = make_loop(tmp_path, **{"log.every": 4})
    loop.run()
    first, last = curve(tmp_path)
    sizes = [sum(x + 1 for part in rows for x in part) for rows, *_ in loop.step.calls]
    rates = [rate for _, _, rate, _ in loop.step.calls]
    assert first == {
        "step": 4, "loss": 2.5, "gradient_norm": 5.0, "learning_rate": rates[3],
        "tokens": sum(sizes[:4]),
    }  # fmt: skip
    assert last == {
        "step": 6, "loss": 5.5, "gradient_norm": 11.0, "learning_rate": rates[5], "tokens": 110,
    }  # fmt: skip


def test_a_listener_is_told_of_every_step_and_judgement(tmp_path):
    loop, _ = make_loop(tmp_path, values=[0.5, 0.75], **{"evaluation.every": 4})
    loop.run()
    told = loop.listener.steps
    assert [(one.step, one.total, one.loss) for one in told] == [
        (number, TOTAL, float(number)) for number in range(1, TOTAL + 1)
    ]
    assert [one.learning_rate for one in told] == [rate for _, _, rate, _ in loop.step.calls]
    assert all(not one.metrics and one.tokens_per_second > 0 for one in told)
    assert told[0].seconds_left > 0 == told[-1].seconds_left
    assert [(one.step, one.metrics["accuracy"]) for one in loop.listener.judgements] == [
        (4, 0.5), (6, 0.75),
    ]  # fmt: skip


def test_the_speed_is_a_mean_of_the_last_twenty_steps(monkeypatch, tmp_path):
    """And the time left is that of the tokens still to come."""
    ticks = itertools.count(step=4.0)
    monkeypatch.setattr("distil.training.loop.time.perf_counter", lambda: next(ticks))
    loop, _ = make_loop(tmp_path, **{"schedule.steps": 60, "log.every": 60})
    loop.run()
    sizes = [sum(x + 1 for part in rows for x in part) for rows, *_ in loop.step.calls]
    speed, speeds = 0.0, []
    for number, size in enumerate(sizes, start=1):
        speed += (size / 4 - speed) / min(number, 20)
        speeds.append(speed)
    told = loop.listener.steps
    assert [one.tokens_per_second for one in told] == pytest.approx(speeds, rel=1e-12)
    left = [
        (60 - number) * sum(sizes[:number]) / number / speed
        for number, speed in enumerate(speeds, start=1)
    ]
    assert [one.seconds_left for one in told] == pytest.approx(left, rel=1e-12)
    assert read_log(tmp_path)[-1]["tokens_per_second"] == round(speeds[-1], 1)


@pytest.mark.parametrize(("every", "steps"), [(None, [3, 6]), (4, [4, 6]), (2, [2, 4, 6])])
def test_when_the_model_is_judged(tmp_path, every, steps):
    loop, _ = make_loop(tmp_path, values=[0.5] * 3, **{"evaluation.every": every})
    loop.run()
    assert loop.judge.at == steps
    points = [point["step"] for point in curve(tmp_path) if "dev_accuracy" in point]
    assert points == steps


def test_the_best_model_is_kept_with_its_rows(tmp_path):
    loop, kept = make_loop(tmp_path, values=[0.5, 0.75, 0.75], **{"evaluation.every": 2})
    end = loop.run()
    assert kept == [2, 4]
    with np.load(tmp_path / ROWS) as rows:
        assert rows["score"].tolist() == [4.0]
    assert (end.best, end.best_step, end.misses) == (0.75, 4, 1)
    assert end.best_metrics == end.metrics == {"accuracy": 0.75, "loss": 0.25}


def test_the_last_model_is_left_to_the_end_with_its_rows(tmp_path):
    changes = {"evaluation.every": 2, "checkpoints.model": "last"}
    loop, kept = make_loop(tmp_path, values=[0.5, 0.75, 0.25], **changes)
    end = loop.run()
    assert kept == []
    with np.load(tmp_path / ROWS) as rows:
        assert rows["score"].tolist() == [6.0]
    assert (end.best, end.best_step, end.misses) == (0.75, 4, 1)
    assert (end.metrics["accuracy"], end.best_metrics["accuracy"]) == (0.25, 0.75)


def test_patience_ends_it_early(tmp_path):
    changes = {"data.dev": "x", "evaluation.every": 1, "evaluation.patience": 2}
    loop, kept = make_loop(tmp_path, values=[0.5, 0.25, 0.75, 0.5, 0.75, 1.0], **changes)
    end = loop.run()
    assert (end.step, end.best_step, kept) == (5, 3, [1, 3])
    # What has given up does not go on.
    loop, _ = make_loop(tmp_path, values=[], position=end, **changes)
    assert loop.run() == end
    assert loop.step.calls == []


@pytest.mark.parametrize(("every", "step"), [(None, 3), (2, 4), (5, 5)])
def test_when_checkpoints_are_saved(tmp_path, every, step):
    loop, _ = make_loop(tmp_path, losses={step + 1: np.nan}, **{"checkpoints.every": every})
    with pytest.raises(TrainingError, match="loss is not finite") as caught:
        loop.run()
    assert caught.value.where.startswith(f"step {step + 1}, examples ")
    assert saved(tmp_path)[0] == saved(tmp_path)[1].step == step


def test_it_is_saved_before_it_is_judged(tmp_path):
    """A judgement that fails costs no step, and is made up for before the next one."""
    loop, _ = make_loop(tmp_path, values=[None], **{"evaluation.every": 6, "checkpoints.every": 9})
    with pytest.raises(TrainingError, match="cannot be judged"):
        loop.run()
    step, position = saved(tmp_path)
    assert (step, position.to_judge) == (TOTAL, True)
    loop, kept = make_loop(tmp_path, values=[0.5], position=position)
    assert loop.run().best_step == TOTAL
    assert (loop.judge.at, kept, loop.step.calls) == ([0], [0], [])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("after", range(1, TOTAL))
def test_a_training_that_is_stopped_goes_on_as_if_nothing_had_been(tmp_path, after, masked):
    options = {"masked": masked, "log.every": 4, "evaluation.every": 2, "checkpoints.every": 5}
    values = [0.5, 0.75, 0.25]
    unbroken, folder = tmp_path / "unbroken", tmp_path / "parts"
    unbroken.mkdir()
    folder.mkdir()
    whole, _ = make_loop(unbroken, values=values, **options)
    end = whole.run()
    first, _ = make_loop(folder, values=values, after=after, **options)
    with pytest.raises(Interrupted, match=rf"after step {after} of 6, and saved in .*parts;"):
        first.run()
    assert len(first.step.calls) == after
    step, position = saved(folder)
    assert step == position.step == after
    second, _ = make_loop(folder, values=first.judge.values, position=position, **options)
    assert second.run() == end
    assert first.step.calls + second.step.calls == whole.step.calls
    assert curve(folder) == curve(unbroken)


def test_a_signal_in_the_last_step_changes_nothing(tmp_path):
    loop, _ = make_loop(tmp_path, after=TOTAL)
    assert loop.run().step == TOTAL


def test_without_a_folder_nothing_is_said_to_be_saved():
    loop, _ = make_loop(None, after=2)
    with pytest.raises(Interrupted, match=r"after step 2 of 6; the same command"):
        loop.run()


@pytest.mark.parametrize(
    ("position", "found"), [(Position(step=7), "step 7"), (Position(batch=5), "batch 5")]
)
def test_a_place_beyond_the_end_is_refused(tmp_path, position, found):
    loop, _ = make_loop(tmp_path, position=position)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        loop.run()
    assert caught.value.found == found
    assert loop.step.calls == []
