"""Which neuroids and stimuli are left out where responses are missing."""

import numpy as np
import pytest

from cornet.brain.metrics.neural.complete_data import complete_data


def present(missing, shape=(6, 4)):
    mask = np.ones(shape, bool)
    for place in missing:
        mask[place] = False
    return mask


@pytest.mark.parametrize(
    ("missing", "stimuli", "neuroids", "counts"),
    [
        ([], range(6), range(4), (0, 0, 0, 0)),
        ([(2, 1)], range(6), (0, 2, 3), (0, 0, 1, 0)),
        ([2], (0, 1, 3, 4, 5), range(4), (1, 0, 0, 0)),  # a stimulus without responses spoils no neuroid
        ([2, (0, 3)], (0, 1, 3, 4, 5), range(3), (1, 0, 1, 0)),
        ([(slice(None), 0)], range(6), (1, 2, 3), (0, 1, 0, 0)),
        ([(0, 0), (0, 1), (1, 2)], range(2, 6), range(4), (0, 0, 0, 2)),  # one complete neuroid is too few
        ([(0, 0), (1, 1)], range(6), (2, 3), (0, 0, 2, 0)),
        ([(slice(None), slice(1, None))], range(6), (0,), (0, 3, 0, 0)),  # the only neuroid
        ([(slice(None), slice(1, None)), (3, 0)], (0, 1, 2, 4, 5), (0,), (1, 3, 0, 0)),
        ([slice(None)], (), (), (6, 4, 0, 0)),
    ],
)
def test_what_is_left_out(missing, stimuli, neuroids, counts):
    data = complete_data(present(missing))
    assert data.stimuli.tolist() == list(stimuli)
    assert data.neuroids.tolist() == list(neuroids)
    found = (data.silent_stimuli, data.silent_neuroids, data.incomplete_neuroids, data.incomplete_stimuli)
    assert found == counts
    assert len(data.notes((6, 4))) == sum(count > 0 for count in counts)


def test_what_remains_is_complete():
    rng = np.random.default_rng(0)
    for share in (0.01, 0.1, 0.3):
        mask = rng.random((30, 8)) > share
        data = complete_data(mask)
        assert mask[np.ix_(data.stimuli, data.neuroids)].all()
