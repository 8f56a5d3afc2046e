"""Start from another run's checkpoint (`ckpt_path=PATH`): where it starts, and which settings may change."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.old_names import with_current_names
from cornet.runs.config import flat

__all__ = ["begin_at", "check_continuation", "check_start", "position_now", "record_start", "steps_per_epoch"]

RECORD = "started_from.json"
MISSING = "missing"
TAKES_EFFECT = "takes effect"
WHOLE_EPOCHS = "takes effect at the end of an epoch, refused within one"
REFUSED = "refused"
NO_INFLUENCE = "does not influence training"

OUTCOMES = {
    key: outcome
    for outcome, keys in {
        TAKES_EFFECT: "recipe task.label_smoothing losses data.folder deterministic trainer callbacks brain monitor",
        WHOLE_EPOCHS: "recipe.batch_size recipe.accumulate data seed loader trainer.limit_train_batches "
        "trainer.overfit_batches",
        REFUSED: "recipe._target_ recipe.algorithm recipe.decay_norms_and_biases recipe.rates model task",
        NO_INFLUENCE: "data.cache data.cache_gb data.storage_options loader.val_batch_size loader.workers "
        "trainer.limit_val_batches trainer.log_every_n_steps trainer.num_sanity_val_steps name root run_folder "
        "run_id ckpt_path fresh plan sweep hardware logger",
    }.items()
    for key in keys.split()
}
"""The effect of a changed setting, by key; the longest matching key counts.

data.folder may change because it is only where the images are: other images are detected by their fingerprint.
"""

WHY = {
    "recipe._target_": "another optimiser cannot use the state of this one",
    "recipe.algorithm": "another optimiser cannot use the state of this one",
    "recipe.decay_norms_and_biases": "the checkpoint stores the momentum in other parameter groups",
    "recipe.rates": "the checkpoint stores the momentum in other parameter groups",
    "model": "the network and its weights are the checkpoint's",
    "task": "the heads and the metrics are the checkpoint's",
}


class Position(NamedTuple):
    """The position of a training. epochs: trained epochs, with a fraction within one. steps: optimiser steps."""

    epochs: float
    steps: int

    @property
    def within_epoch(self) -> bool:
        return self.epochs != math.floor(self.epochs)


def outcome_of(key: str) -> str:
    """Return the effect of a changed setting; `TAKES_EFFECT` for a key that is not in the table."""
    parts = key.split(".")
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((OUTCOMES[name] for name in found if name in OUTCOMES), TAKES_EFFECT)


def steps_per_epoch(trainer: pl.Trainer) -> int:
    """Return the optimiser steps per epoch; the last one may have fewer parts of a batch than the others."""
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def position_now(trainer: pl.Trainer) -> dict[str, Any]:
    """Return the position of a running training in the form that checkpoints store."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    whole, part = epochs.processed, 0.0
    if epochs.ready > whole:
        batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        part = batches.processed / trainer.num_training_batches
    return {
        "epochs": whole + part,
        "steps": trainer.global_step,
        "steps_per_epoch": steps_per_epoch(trainer) if trainer.num_training_batches < math.inf else None,
    }


def position_in(checkpoint: Mapping[str, Any]) -> Position:
    """Return the position in a checkpoint, or, in old ones, from Lightning's counters.

    Raises KeyError, TypeError, ValueError or ZeroDivisionError.
    """
    if "position" in checkpoint:
        held = checkpoint["position"]
        return Position(float(held["epochs"]), int(held["steps"]))
    loop = checkpoint["loops"]["fit_loop"]
    epochs, batches = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]
    whole, part = int(epochs["processed"]), 0.0
    if epochs["ready"] > whole:
        done, ready = batches["current"]["processed"], batches["current"]["ready"]
        loaders = checkpoint["ImageLoaders"]
        part = done / (loaders["images"] // loaders["batch_size"])
        if batches["is_last_batch"] and done == ready:
            part = 1.0
    return Position(whole + part, int(checkpoint["global_step"]))


def check_continuation(
    path: Path, checkpoint: Mapping[str, Any], config: Mapping[str, Any], images: Callable[[], str]
) -> Position:
    """Return the position at which a training with the resolved `config` continues another run's checkpoint.

    images: returns the fingerprint of the training images. Raises CornetError if nothing is left to train, or if a
    setting has changed that cannot change.
    """
    try:
        position = position_in(checkpoint)
        provenance = checkpoint.get("provenance", {})
        old = as_json(with_current_names(provenance.get("config", {})))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise CornetError(
            f"ckpt_path={path} does not record its epoch ({error!r}); start from its weights with "
            f"model.pretrained={path}."
        ) from error
    epochs, max_steps = config["recipe"]["epochs"], config["trainer"].get("max_steps")
    if position.epochs >= epochs:
        raise CornetError(
            f"ckpt_path={path} is at epoch {position.epochs:g} of {epochs}: nothing is left to train; set "
            f"recipe.epochs={math.floor(position.epochs) + 1} or more."
        )
    if max_steps is not None and 0 <= max_steps <= position.steps:
        raise CornetError(
            f"ckpt_path={path} is at step {position.steps} and trainer.max_steps={max_steps}: nothing is left to "
            "train; raise trainer.max_steps."
        )
    new = as_json(with_current_names(config))
    leading = ("model.name", "recipe", "seed")
    for key in sorted({*old, *new} if old else (), key=lambda key: (not key.startswith(leading), key)):
        if old.get(key, MISSING) != new.get(key, MISSING):
            check_key(key, old.get(key, MISSING), new.get(key, MISSING), position, path)
    held = provenance.get("images")
    if position.within_epoch and held and held != images():
        raise CornetError(
            f"ckpt_path={path} was written within an epoch ({position.epochs:.3g}) of other images, so the epoch "
            "cannot be completed; use the same images, or a checkpoint from the end of an epoch."
        )
    return position


def check_key(key: str, old: str, new: str, position: Position, path: Path) -> None:
    """Raise CornetError if this setting cannot change."""
    outcome = outcome_of(key)
    changed = f"ckpt_path={path} was written with {key}={old}, which cannot become {new}"
    class_count = key == "model.num_classes"  # auto and the number of classes are the same
    if outcome == REFUSED and old != MISSING and not class_count:
        why = WHY.get(key) or WHY[key.split(".")[0]]
        raise CornetError(
            f"{changed}, because {why}; restore it, or start from the weights with model.pretrained={path}."
        )
    if outcome == WHOLE_EPOCHS and position.within_epoch:
        raise CornetError(
            f"{changed} within an epoch ({position.epochs:.3g}), because images would be repeated or skipped; "
            "restore it, or use a checkpoint from the end of an epoch."
        )


def begin_at(checkpoint: dict[str, Any], trainer: pl.Trainer, seed: int) -> None:
    """Change another run's checkpoint into a start of this run: keep weights, optimiser, loss scale and position.

    The state of callbacks is dropped. Lightning's counters stay within an epoch; the random state stays for the same
    seed.
    """
    position = position_in(checkpoint)
    checkpoint["callbacks"] = {}
    checkpoint.pop("epoch_metrics", None)
    if checkpoint.get("provenance", {}).get("seed", seed) != seed:
        checkpoint.pop("random_state", None)
    if position.within_epoch:
        return
    del checkpoint["loops"]
    loop, epochs = trainer.fit_loop, round(position.epochs)
    for counter in (loop.epoch_progress.total, loop.epoch_progress.current):
        counter.ready = counter.started = counter.processed = counter.completed = epochs  # type: ignore[attr-defined]
    loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.increment_by(position.steps)
    loop.epoch_loop._batches_that_stepped = position.steps


def record_start(folder: Path, path: Path, position: Position) -> None:
    """Record the start checkpoint in the run's folder. Raises CornetError if the record cannot be written."""
    content = {"checkpoint": str(path), "sha256": sha256(path), **position._asdict()}
    atomic_write(folder / RECORD, json.dumps(content, indent=1) + "\n")


def check_start(folder: Path, path: Any, record: Mapping[str, Any] | None) -> None:
    """Raise CornetError if the checkpoint `path` that a run started from has changed since `record` was written."""
    if path in (None, "auto"):
        return
    if not Path(path).is_file() or record is None or sha256(Path(path)) != record.get("sha256"):
        raise CornetError(
            f"{folder} started from ckpt_path={path}, which is missing or has changed since, so the run cannot be "
            "repeated; restore that file, or repeat the run that wrote it."
        )


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_json(config: Mapping[str, Any]) -> dict[str, str]:
    """Return {dotted key: value as JSON}, so that tuples and lists compare equal. Empty mappings are left out."""
    return {key: json.dumps(value, default=str) for key, value in flat(config) if value != {}}
