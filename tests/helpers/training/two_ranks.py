"""Small runs of train.py on two ranks of the CPU."""

import sys

from tests.helpers.paths import ROOT

SMALL = [
    "data.train_images=64",
    "data.val_images=33",  # rank 0 validates 17 images, rank 1 16: one batch less
    "data.size=32",
    "recipe.batch_size=16",
    "loader.val_batch_size=2",
    "recipe.precision=32-true",
    "recipe.epochs=2",
    "trainer.log_every_n_steps=1",
    "brain=none",
]
RANKS = ["trainer=ddp", "trainer.accelerator=cpu"]
FEED_FORWARD = ["model=cornet_z"]  # no batch statistics


def torchrun(*overrides: str, options: tuple[str, ...] = ()) -> list[str]:
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return [*program, *options, str(ROOT / "train.py"), *SMALL, *RANKS, *overrides]
