"""A benchmark of your own: does IT respond to the same object at another place as it does at the first?

    cd examples
    python ../train.py brain=none '+brain.benchmarks.mine=[{_target_: own_benchmark.PositionTolerance}]'

It has no brain data; a benchmark with data returns them in `load` beside the stimuli, and compares in `score`.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from cornet.brain.benchmarks import Benchmark
from cornet.brain.score import Score
from cornet.brain.simulated.stimuli import stimulus_set
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.stimuli.objects.latents import draw_latents
from cornet.stimuli.objects.rendering import render


class PositionTolerance(Benchmark[Any]):
    """Correlation of the responses to 64 objects at two places: the median over units. Area: IT, at its last step."""

    def __init__(self, shift: float = 0.15) -> None:
        self.shift = shift  # in image widths
        super().__init__("position-tolerance", "IT", "64 objects at two places", self.load, scale="raw")

    def load(self) -> Any:
        """64 objects in the middle, then the same to the right."""
        middle = draw_latents(64, variation=0.0, background="plain")
        right = middle.assign(x=self.shift, stimulus_id=middle["stimulus_id"] + "-right")
        table = pd.concat([middle, right], ignore_index=True)
        return SimpleNamespace(stimuli=stimulus_set(table, render(table, size=64)))

    def fingerprint_parts(self) -> list[Any]:
        return [self.shift]

    def sites(self, subject: Subject) -> list[Site]:
        return [subject.site("IT", (170, 270))]

    def exclusions(self) -> list[str]:
        return []

    def score(self, recording: Recording, subject: Subject) -> Score:
        (site,) = self.sites(subject)
        middle, right = np.split(np.asarray(recording[site], float), 2)
        varies = (middle.std(axis=0) > 0) & (right.std(axis=0) > 0)
        pairs = zip(middle[:, varies].T, right[:, varies].T, strict=True)
        values = np.array([[np.corrcoef(a, b)[0, 1] for a, b in pairs]])
        left_out = int((~varies).sum())
        notes = [f"{left_out} of {len(varies)} units do not vary and are left out"] * bool(left_out)
        return Score.of_splits(values, n=64, notes=notes)
