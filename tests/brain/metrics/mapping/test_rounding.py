"""Variation that float32 cannot hold beside an offset is counted; what is constant by nature is not."""

import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain.metrics.mapping.rounding import rounding_notes
from cornet.brain.subjects import LayerSubject
from cornet.brain.subjects.subject import Site
from cornet.stimuli.stimulus_set import StimulusSet


def features(images=40, width=6):
    return np.random.default_rng(0).standard_normal((images, width))


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 1e9), (np.float32, 1e7), (np.float64, 1e18), (np.float16, 6e4)]
)
def test_lost_variation_is_counted(dtype, size):
    given = features()
    given[:, :2] += size
    (note,) = rounding_notes(given.astype(dtype), Site("V4"))
    assert note.startswith(f"2 of 6 features of V4[0] vary less than {np.dtype(dtype).name} can resolve")


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 0), (np.float32, 1e4), (np.float64, 1e9), (np.float16, 10)]
)
def test_what_is_resolved_is_not_counted(dtype, size):
    given = features() + size
    given[:, 0] = 0
    given[:, 1] = 7.5
    given[:30, 2] = given[0, 2]
    assert not rounding_notes(given.astype(dtype), Site("V4"))


def test_a_feature_that_varies_between_the_probed_stimuli_is_not_lost():
    given = features(400).astype(np.float32) + np.float32(1e8)
    given[1] = -5  # no probe
    assert not rounding_notes(given, "V4")
    assert not rounding_notes(np.ones((4, 3), np.uint8), "V4")


class Shifted(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :5].double() + 1e9


def test_a_network_in_float64_loses_it_when_it_is_recorded():
    rng = np.random.default_rng(0)
    import pandas as pd

    pictures = list(rng.integers(0, 255, (8, 4, 4, 3), dtype=np.uint8))

    class Pictures(list):
        identity = "drawn"

    stimuli = StimulusSet("drawn", pd.DataFrame({"stimulus_id": list("abcdefgh")}), Pictures(pictures))
    subject = LayerSubject(Shifted(), size=4, device="cpu")
    site = Site("logits")
    recorded = subject.record(stimuli, [site], cache=False)[site]
    assert recorded.dtype == np.float32
    assert "5 of 5 features" in rounding_notes(recorded, site)[0]
    assert torch.isfinite(torch.from_numpy(recorded)).all()
