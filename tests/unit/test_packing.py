"""Packs hold every sequence once, and say where it is."""

import numpy as np
import pytest

from distil.common.inference.packing import packs, portions

LENGTHS = (5, 1, 9, 9, 20, 3, 5, 5, 12)


@pytest.mark.parametrize("budget", [1, 12, 25, 1000])
def test_packs_hold_every_sequence_once(budget):
    sequences = [list(range(100 * row, 100 * row + length)) for row, length in enumerate(LENGTHS)]
    seen = []
    for pack in packs(sequences, budget=budget):
        assert len(pack.ids) <= max(budget, *LENGTHS)
        for group in pack.groups:
            for number in range(group.count):
                row = pack.rows[group.first + number]
                start = group.start + number * group.length
                assert pack.starts[group.first + number] == start
                tokens = slice(start, start + group.length)
                assert pack.ids[tokens].tolist() == sequences[row]
                assert pack.positions[tokens].tolist() == list(range(group.length))
                seen.append(int(row))
    assert sorted(seen) == list(range(len(LENGTHS)))


@pytest.mark.parametrize("lengths", [(512, 2, 2, 1), (9,) * 40, tuple(range(1, 90)), (700, 3), ()])
def test_portions_hold_no_more_padding_than_they_may(lengths):
    lengths = np.array(lengths, np.int64)
    found = list(portions(lengths, 300, most_padding=2000))
    assert sorted(np.concatenate([[], *found])) == list(range(len(lengths)))
    for rows in found:
        own = lengths[rows]
        assert own.sum() <= 300 or len(own) == 1
        assert len(own) * own.max() ** 2 - (own**2).sum() <= 2000
    free = list(portions(lengths, 300))
    assert len(free) <= len(found)
