"""Where a training step's time goes: data, transfer, forward, backward, optimiser, checkpoints, logging.

    python benchmarks/step_breakdown.py experiment=imagenet_s_fast data.folder=/path/to/imagenet      # a GPU
    OMP_NUM_THREADS=2 python benchmarks/step_breakdown.py                                             # the demo

Takes what train.py takes, and trains with it for --steps steps in Lightning's own loop; nothing is kept. Between any
two parts the device is waited for, so that each part's time is its own; the sum is then a little more than a step
takes in a training, where the host runs ahead. Checkpoints come at the end of an epoch, so that their share depends on
how long epochs are. `logging` is all that is in none of the others: Lightning's loop, metrics, callbacks, loggers.
Writes results/step_breakdown.json.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from record import write_record
from rich.console import Console
from rich.table import Table

from cornet.training.build import build
from cornet.training.run import quieten, set_precision

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "step_breakdown.json"
PARTS = ("data", "transfer", "forward", "backward", "optimiser", "checkpoints", "logging")


class Stopwatch:
    """Seconds of each part, step by step; what no part claims is logging."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = [dict.fromkeys(PARTS, 0.0)]
        self.device = torch.device("cpu")
        self.now, self.part = time.perf_counter(), "logging"

    def begin(self, part: str) -> str:
        """The part that begins now; returns the one that ends."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now, ended = time.perf_counter(), self.part
        self.steps[-1][ended] += now - self.now
        self.now, self.part = now, part
        return ended

    def next_step(self) -> None:
        self.begin(self.part)
        self.steps.append(dict.fromkeys(PARTS, 0.0))

    def around(self, owner: Any, method: str, part: str) -> None:
        """From now on, a method's time is that part's, but for what other parts claim inside."""
        inner = getattr(owner, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            before = self.begin(part)
            try:
                return inner(*arguments, **options)
            finally:
                self.begin(before)

        setattr(owner, method, timed)


class Marks(pl.Callback):
    """Where Lightning's loop passes from one part to the next."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        watch = self.watch
        watch.device = pl_module.device
        watch.around(trainer.strategy, "batch_to_device", "transfer")
        watch.around(pl_module, "loss", "forward")
        watch.around(trainer.strategy, "backward", "backward")
        watch.around(trainer, "save_checkpoint", "checkpoints")
        watch.around(trainer.optimizers[0], "step", "optimiser")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.watch.next_step()


class TimedLoader:
    """A loader whose waiting is the part `data`."""

    def __init__(self, loader: Any, watch: Stopwatch) -> None:
        self.loader, self.watch = loader, watch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        iterator = iter(self.loader)
        while True:
            before = self.watch.begin("data")
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self.watch.begin(before)
            yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("overrides", nargs="*", help="as of train.py")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    quieten()
    warnings.filterwarnings("ignore", message=".*optimizer.step.*")  # it is wrapped, not left out
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")  # nothing is validated
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*arguments.overrides, "brain=none"])
    with tempfile.TemporaryDirectory() as folder:
        with open_dict(config):
            config.run_folder, config.run_id, config.name = folder, "breakdown", "breakdown"
            config.trainer.max_steps = arguments.warm_up + arguments.steps
        watch = Stopwatch()
        training = build(config)
        set_precision(training)
        trainer = training.trainer
        trainer.callbacks.append(Marks(watch))
        trainer.limit_val_batches = 0
        make = training.data.train_dataloader
        training.data.train_dataloader = lambda: TimedLoader(make(), watch)  # type: ignore[method-assign]
        trainer.fit(training.module, datamodule=training.data)
    kept = watch.steps[arguments.warm_up : arguments.warm_up + arguments.steps]
    medians = {part: statistics.median(step[part] for step in kept) for part in PARTS}
    means = {part: statistics.mean(step[part] for step in kept) for part in PARTS}
    whole = sum(means.values())
    table = Table("part", "median ms", "mean ms", "share")
    for part in PARTS:
        table.add_row(
            part,
            f"{1e3 * medians[part]:.2f}",
            f"{1e3 * means[part]:.2f}",
            f"{100 * means[part] / whole:.1f} %",
        )
    Console().print(table)
    device = watch.device
    write_record(
        arguments.out,
        device,
        arguments.beside,
        steps=len(kept),
        median_seconds=medians,
        mean_seconds=means,
        share={part: means[part] / whole for part in PARTS},
    )


if __name__ == "__main__":
    main()
