"""Batches: rows of like length, hardly any padding, the same from the same place in the data."""

import threading

import numpy as np
import pytest

from distil.common.steps.batching import (
    Batch,
    Features,
    collate,
    cut,
    padding_share,
    plan_epoch,
    plan_evaluation,
    prefetched,
)
from distil.common.steps.recipe_data import BatchSection


def ragged(rows=2000, seed=0):
    """Features with lengths like those of sentences: their logarithms are normal."""
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(3.0, 0.6, rows), 3, 128).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Features(
        ids=random.integers(1, 99, starts[-1]).astype(np.int32),
        starts=starts,
        targets={"labels": random.integers(0, 2, rows).astype(np.int32)},
    )


def batches(features, section, seed=0, epoch=0):
    plan = plan_epoch(features.lengths, section, choices=features.choices, seed=seed, epoch=epoch)
    return [collate(features, rows, pad=0) for rows in plan]


@pytest.mark.parametrize(
    ("section", "most"),
    [(BatchSection(examples=32), 0.03), (BatchSection(tokens=1024), 0.02)],
)
def test_every_row_once_and_hardly_any_padding(section, most):
    features = ragged(20_000)
    made = batches(features, section)
    rows = np.concatenate([batch.rows for batch in made])
    assert sorted(rows) == list(range(len(features)))
    assert padding_share(made) < most
    # In random order the batches would be padded by more than half.
    assert padding_share(batches(features, BatchSection(examples=32, window=1))) > 0.4


def test_a_budget_of_tokens_is_kept():
    made = batches(ragged(), BatchSection(tokens=1024))
    assert max(batch.size for batch in made) <= 1024
    assert np.median([batch.size for batch in made]) > 900


def test_a_row_over_the_budget_is_alone():
    lengths = np.array([9, 2, 2, 30])
    assert [rows.tolist() for rows in cut(np.arange(4), lengths, tokens=8)] == [[0], [1, 2], [3]]


def test_epochs_differ_and_are_the_same_again():
    features, section = ragged(200), BatchSection(examples=8)

    def order(**place):
        return [batch.rows.tolist() for batch in batches(features, section, **place)]

    assert order() == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=1)


def test_what_is_in_a_batch():
    features = Features(
        ids=np.array([5, 6, 7, 8, 9, 4], np.int32),
        starts=np.array([0, 2, 5, 6]),
        targets={"labels": np.array([3, 1, 2], np.int32)},
        token_targets={"tags": np.array([0, 1, 0, 1, 1, 0], np.int32)},
    )
    batch = collate(features, np.array([1, 0]), pad=99)
    assert batch.inputs.keys() == {"input_ids", "attention_mask", "labels", "tags"}
    assert all(array.dtype == np.int32 for array in batch.inputs.values())
    assert batch.inputs["input_ids"].tolist() == [[7, 8, 9], [5, 6, 99]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.inputs["labels"].tolist() == [1, 3]
    assert batch.inputs["tags"].tolist() == [[0, 1, 1], [0, 1, -100]]
    assert (batch.tokens, batch.size, batch.counted) == (5, 6, 2)
    assert "attention_mask" not in collate(features, np.array([1]), pad=99).inputs


def test_choices_stay_together():
    features = Features(
        ids=np.arange(9, dtype=np.int32), starts=np.array([0, 1, 3, 6, 9]), choices=2
    )
    assert len(features) == 2
    assert features.lengths.tolist() == [2, 3]
    batch = collate(features, np.array([1, 0]), pad=0)
    assert batch.inputs["input_ids"].tolist() == [[[3, 4, 5], [6, 7, 8]], [[0, 0, 0], [1, 2, 0]]]


def test_labels_that_are_ignored_do_not_count():
    features = Features(
        ids=np.arange(4, dtype=np.int32), starts=np.array([0, 1, 4]),
        token_targets={"labels": np.array([1, -100, 0, -100], np.int32)},
    )  # fmt: skip
    assert collate(features, np.array([0, 1]), pad=0).counted == 2


def test_evaluation_takes_the_longest_first():
    plan = plan_evaluation(np.array([3, 9, 4, 4]), tokens=9)
    assert [rows.tolist() for rows in plan] == [[1], [2, 3], [0]]


def test_prefetched_keeps_the_order_and_works_ahead():
    asked = []

    def prepare(job):
        asked.append((job, threading.current_thread() is threading.main_thread()))
        return 2 * job

    found = prefetched(range(10), prepare)
    assert next(found) == 0
    assert list(found) == list(range(2, 20, 2))
    assert [job for job, _ in asked] == list(range(10))
    assert not any(in_main_thread for _, in_main_thread in asked)


def test_prefetched_raises_where_the_job_stands():
    def prepare(job):
        if job == 2:
            raise ValueError("no")
        return job

    found = prefetched(range(4), prepare)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ValueError, match="no"):
        next(found)


def test_padding_share_by_hand():
    def batch(tokens, size):
        return Batch(inputs={}, rows=np.zeros(0, int), tokens=tokens, size=size, counted=1)

    assert padding_share([batch(3, 4), batch(6, 8)]) == pytest.approx(0.25)
