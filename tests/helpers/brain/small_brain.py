"""A simulated brain of few small images, generated once for a process."""

from functools import cache

from cornet.brain.simulated import SimulatedBrain

SIZE, IMAGES = 32, 128


@cache
def small_brain() -> SimulatedBrain:
    return SimulatedBrain(images=IMAGES, size=SIZE)
