"""Runs to kill, and the one that nothing disturbs."""

from pathlib import Path

import pytest

from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training.small_runs import SMALL

EPOCHS = 4


@pytest.fixture(scope="module")
def overrides(starter) -> list[str]:
    """A run with brain scores within an epoch and averaged weights, and checkpoints at every moment."""
    bundle = write(starter.folder / "to-kill", assembly(("V4",) * 4 + ("IT",) * 4))
    return [
        *SMALL,
        f"recipe.epochs={EPOCHS}",
        "recipe.average=0.9",
        "data.train_images=256",
        "trainer.log_every_n_steps=1",
        "brain=local",
        f"brain.benchmarks.local=[{bundle}]",
        "brain.metric=ridge",
        "brain.fractions=[0.5]",
        "callbacks.last_checkpoint.minutes=0.001",
    ]


@pytest.fixture(scope="module")
def whole(starter, overrides) -> Path:
    """The run that nothing disturbs."""
    run = starter.start(*overrides, "root=not-killed")
    assert starter.wait() == 0, run.said.read_text()
    (path,) = (path.parent for path in starter.folder.glob("not-killed/**/seed*/config.yaml"))
    return path
