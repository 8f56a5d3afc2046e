"""The read-out of inputs averaged over their last axis: planted classes, chance, and inputs of other tasks."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, InMemory, Sample
from cornet.training.callbacks.inputs.readout import readout_accuracy


class Split(InMemory):
    """Clips whose mean (planted) or only order in time (timed) tells the class; odd clips have no class."""

    def __init__(self, seed, planted, view):
        rng = np.random.default_rng(seed)
        self.labels = np.arange(80) // 2 % 2
        clips = rng.standard_normal((80, 1, 6, 20))
        if planted:
            clips[:, 0, 2] += 2 * self.labels[:, None]
        else:
            clips += 2 * np.where(self.labels == 0, -1, 1)[:, None, None, None] * np.linspace(-1, 1, 20)
        self.images = torch.tensor(clips[:, None] if view else clips, dtype=torch.float32)

    def __len__(self):
        return len(self.images)

    def __getitems__(self, keys):
        found = []
        for key in keys:
            k = key.index
            target = self.labels[k] if k % 2 == 0 else IGNORED
            found.append(Sample(self.images[k], int(self.labels[k]), k, targets={"tone": target}))
        return found


@pytest.mark.parametrize(("planted", "low", "high"), [(True, 0.99, 1.0), (False, 0.3, 0.7)])
def test_it_reads_means_but_not_the_order_in_time(planted, low, high):
    train, val = Split(0, planted, view=False), Split(1, planted, view=True)
    assert low <= readout_accuracy(train, val, ["tone"])["tone"] <= high


def test_a_target_that_the_data_do_not_have():
    train, val = Split(0, True, view=False), Split(1, True, view=True)
    with pytest.raises(CornetError, match="needs the target 'word', but the data have label, tone"):
        readout_accuracy(train, val, ["word"])
