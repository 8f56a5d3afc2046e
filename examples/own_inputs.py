"""Inputs of your own that are not images, with a network for them: low and high tones in noise.

A source with an empty mean and std gives floats of any shape, which it states; the network gets them as they are.

cd examples
python ../train.py data=own data._target_=own_inputs.Tones +data.noise=0.5 \
    model=own model._target_=own_inputs.Perceptron brain=none
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from cornet.stimuli.samples import InMemory, Key, Sample

TIME = 32


class Tones:
    """Two or five cycles of a sine of random phase. count: sounds of a split. noise: its standard deviation."""

    name, views, in_memory = "tones", ("whole",), True
    classes = ("low", "high")
    mean, std = (), ()
    shape = (TIME,)  # of a training input

    def __init__(self, count: int = 512, noise: float = 0.5) -> None:
        self.count, self.noise = count, noise

    def train(self) -> "Split":
        return Split(*self.draw(seed=0))

    def val(self) -> "Split":
        return Split(*self.draw(seed=1), validation=True)

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return sounds (sound, time), float32, and labels."""
        rng = np.random.default_rng(seed)
        labels, phase = rng.integers(2, size=self.count), rng.uniform(0, 2 * np.pi, (self.count, 1))
        cycles = np.where(labels == 0, 2, 5)[:, None]
        sounds = np.sin(2 * np.pi * cycles * np.arange(TIME) / TIME + phase)
        return (sounds + self.noise * rng.standard_normal(sounds.shape)).astype(np.float32), labels


class Split(InMemory):
    """A split. Inputs of the validation have one view, (view, time)."""

    def __init__(self, sounds: np.ndarray, labels: np.ndarray, validation: bool = False) -> None:
        self.images, self.labels = sounds[:, None] if validation else sounds, labels

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [Sample(torch.from_numpy(self.images[k.index]), self.labels[k.index], k.index) for k in keys]


class Perceptron(nn.Sequential):
    """One hidden layer: sounds (batch, time) to logits."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Linear(TIME, 16), nn.ReLU(), nn.Linear(16, num_classes))
