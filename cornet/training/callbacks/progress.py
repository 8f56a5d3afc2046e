"""Print a live progress line during training, and a permanent line after every validation."""

import math
import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Live
from torch import Tensor

from cornet.terminal import Terminal, duration
from cornet.training.callbacks.pace import Pace

__all__ = ["Progress"]

_REFRESH = 0.2  # seconds between updates of the live line
_READ_LOSS = 1.0  # seconds between reads of the loss, which wait for the device


class Progress(ProgressBar):
    """Shows one live line on a terminal, and prints a permanent line after every validation:

    `epoch 3/6  top-1 .412  top-5 .880  loss 1.62 (train 1.70)  832 images/s  12 s`

    Without a terminal there is no live line; ranks other than 0 print nothing. After the validation loss, the training
    loss follows in brackets: its mean over the epoch's batches (after a resume, those since then) and over the ranks.
    Images per second exclude an epoch's first batch and validation. extra: (key, label) of more metrics, such as
    `[["brain/IT", "IT"]]`, shown when they are new. console: None for the standard output.
    """

    def __init__(self, extra: Sequence[Sequence[str]] = (), console: Terminal | None = None) -> None:
        super().__init__()
        self.extra = tuple((key, label) for key, label in extra)
        self._own_console, self._console = console, console
        self._enabled = True
        self._live: Live | None = None
        self._task = TaskID(0)
        self._pace = Pace()
        self._drawn_at = self._read_at = 0.0
        self._loss: float | None = None
        self._losses: Tensor | None = None  # sum over the epoch's batches, on the device
        self._batches = 0
        self._position = ""
        self._validated = 0.0
        self._printed = False

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print a permanent line above the live one."""
        if self._enabled:
            text = str(kwargs.get("sep", " ")).join(map(str, args))
            (self._console or Terminal()).print(text, markup=False, highlight=False, soft_wrap=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._console = self._own_console or Terminal()
        self._pace = Pace(world_size=trainer.world_size)
        self._loss, self._read_at = None, 0.0
        if self._enabled and self._console.is_terminal and not self._console.is_dumb_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[text]}"))
            self._live = Live(
                *columns, console=self._console, expand=True, transient=True, auto_refresh=False
            )
            self._task = self._live.add_task("starting", total=None, text="")
            self._live.start()
        self.on_train_epoch_start(trainer, pl_module)  # which Lightning leaves out within an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._pace.begin_epoch(time.perf_counter())
        self._printed = False
        self._losses, self._batches = None, 0
        self._position = f"epoch {trainer.current_epoch + 1}{_of(self._epochs(trainer))}"
        self._draw(trainer, 0, force=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        self._pace.add_batch(now, _batch_size(batch))
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            loss = loss.detach() * trainer.accumulate_grad_batches  # Lightning divided it by that number
            self._losses = loss if self._losses is None else self._losses + loss
            self._batches += 1
            if self._live is not None and now - self._read_at > _READ_LOSS:
                self._loss = float(loss)
                self._read_at = time.perf_counter()
        self._draw(trainer, batch_idx + 1)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if pl_module.device.type == "cuda":  # the device lags behind the host: wait for it, once per epoch
            torch.cuda.synchronize(pl_module.device)
        self._validated = time.perf_counter()
        self._pace.pause(self._validated)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._live is None or trainer.sanity_checking or time.perf_counter() - self._drawn_at < _REFRESH:
            return
        batches = trainer.num_val_batches
        total = batches[dataloader_idx] if isinstance(batches, list) else batches
        self._show(f"validating {batch_idx + 1}{_of(total)}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        now = time.perf_counter()
        if trainer.state.fn != "fit":
            self.print(
                "  ".join(["validation", *self._numbers(trainer, None), duration(now - self._validated)])
            )
            return
        self._pace.resume(now)
        self._print_line(trainer, now)
        if self._live is not None:  # the next callbacks may take a while
            self._show("validated")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._printed:  # an epoch without validation
            now = time.perf_counter()
            self._pace.pause(now)
            self._print_line(trainer, now)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print_line(self, trainer: pl.Trainer, now: float) -> None:
        rate = self._pace.epoch_rate
        speed = [f"{_rounded(rate)} images/s"] if rate else []
        elapsed = duration(self._pace.epoch_seconds(now))
        numbers = self._numbers(trainer, self._mean_loss(trainer))
        self.print("  ".join([self._position, *numbers, *speed, elapsed]))
        self._printed = True

    def _mean_loss(self, trainer: pl.Trainer) -> float | None:
        """Return the mean training loss of this epoch so far; must be called on every rank."""
        if self._losses is None:
            return None
        return float(trainer.strategy.reduce(self._losses / self._batches, reduce_op="mean"))

    def _numbers(self, trainer: pl.Trainer, training_loss: float | None) -> list[str]:
        metrics = trainer.callback_metrics
        task = getattr(trainer.lightning_module, "task", None)
        main = getattr(task, "shown", ())
        shown = [f"{label} {_fraction(metrics[key])}" for key, label in main if key in metrics]
        train = None if training_loss is None else f"{training_loss:.2f}"
        if "val/loss" in metrics:
            shown.append(f"loss {float(metrics['val/loss']):.2f}" + (f" (train {train})" if train else ""))
        elif train:
            shown.append(f"train loss {train}")
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        outdated = {key for callback in callbacks for key in getattr(callback, "outdated", ())}
        fresh = [(key, label) for key, label in self.extra if key in metrics and key not in outdated]
        return shown + [f"{label} {_fraction(metrics[key])}" for key, label in fresh]

    def _draw(self, trainer: pl.Trainer, batches: int, force: bool = False) -> None:
        now = time.perf_counter()
        if self._live is None or (now - self._drawn_at < _REFRESH and not force):
            return
        per_epoch, all_batches = trainer.num_training_batches, self._all_batches(trainer)
        done = batches if math.isinf(per_epoch) else trainer.current_epoch * int(per_epoch) + batches
        parts = [f"{batches}{_of(per_epoch)}"]
        if self._pace.rate:
            parts.append(f"{_rounded(self._pace.rate)} images/s")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.2f}")
        epoch_left = self._pace.seconds_left(per_epoch - batches, 1)
        if all_batches is not None and epoch_left is not None:
            epochs = self._epochs(trainer) - trainer.current_epoch
            run_left = self._pace.seconds_left(all_batches - done, epochs)
            parts.append(f"{duration(epoch_left)} left, run {duration(run_left or 0.0)}")
        total = None if all_batches is None else int(all_batches)
        self._live.update(self._task, completed=done, total=total)
        self._show("  ".join(parts))

    def _show(self, text: str) -> None:
        assert self._live is not None
        self._live.update(self._task, description=self._position, text=text)
        self._live.refresh()
        self._drawn_at = time.perf_counter()

    def _all_batches(self, trainer: pl.Trainer) -> float | None:
        """Return the number of training batches of the whole run, or None if the run has no known end."""
        epochs, steps = trainer.max_epochs, trainer.max_steps
        limits = [] if epochs in (None, -1) else [epochs * trainer.num_training_batches]
        limits += [steps * trainer.accumulate_grad_batches] if steps and steps > 0 else []
        end = min(limits, default=math.inf)
        return None if math.isinf(end) else end

    def _epochs(self, trainer: pl.Trainer) -> float:
        end = self._all_batches(trainer)
        if end is None or not trainer.num_training_batches:
            return math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
        return max(1, math.ceil(end / trainer.num_training_batches))


def _batch_size(batch: Any) -> int:
    images = getattr(batch, "images", None)
    images = batch[0] if images is None and isinstance(batch, list | tuple) else images
    return int(images.shape[0]) if isinstance(images, Tensor) else 0


def _of(total: float) -> str:
    return "" if math.isinf(total) else f"/{int(total)}"


def _fraction(value: Any) -> str:
    """Format a fraction: .412, -.034, 1.000; "-" where there is none."""
    if math.isnan(float(value)):
        return "-"
    return f"{float(value):.3f}".replace("0.", ".", 1) if abs(float(value)) < 1 else f"{float(value):.3f}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
