"""Training continued from another run's checkpoint (`ckpt_path=PATH`): what may change, and where it begins."""

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
ABSENT = "absent"
TAKES_EFFECT = "takes effect"
WHOLE_EPOCHS = "takes effect at the end of an epoch, refused within one"
REFUSED = "refused"
NO_INFLUENCE = "does not influence training"

OUTCOMES = {
    key: outcome
    for outcome, keys in {
        TAKES_EFFECT: "recipe data.folder deterministic trainer callbacks brain monitor",
        WHOLE_EPOCHS: "recipe.batch_size recipe.accumulate data seed loader trainer.limit_train_batches "
        "trainer.overfit_batches",
        REFUSED: "recipe._target_ recipe.decay_norms_and_biases model",
        NO_INFLUENCE: "data.cache data.cache_gb data.storage_options loader.val_batch_size loader.workers "
        "trainer.limit_val_batches trainer.log_every_n_steps trainer.num_sanity_val_steps name root run_folder "
        "run_id ckpt_path fresh plan sweep hardware logger",
    }.items()
    for key in keys.split()
}
"""What becomes of a setting that another value was given to, by key; the longest key that fits counts.

data.folder is where the same images lie: others are found by their fingerprint."""

WHY = {
    "recipe._target_": "another optimiser has no use for the state of this one",
    "recipe.decay_norms_and_biases": "the checkpoint keeps the momentum in other groups of parameters",
    "model": "the network and its weights are the checkpoint's",
}


class Position(NamedTuple):
    """Where a training stands. epochs: epochs trained, with a fraction within one. steps: optimiser steps."""

    epochs: float
    steps: int

    @property
    def within_epoch(self) -> bool:
        return self.epochs != math.floor(self.epochs)


def outcome_of(key: str) -> str:
    """What becomes of a changed setting; `TAKES_EFFECT` for one that is not in the table."""
    parts = key.split(".")
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((OUTCOMES[name] for name in found if name in OUTCOMES), TAKES_EFFECT)


def steps_per_epoch(trainer: pl.Trainer) -> int:
    """Optimiser steps in an epoch; the last one may have fewer parts of a batch than the others."""
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def position_now(trainer: pl.Trainer) -> dict[str, Any]:
    """The position of a running training, as its checkpoints keep it."""
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
    """The position in a checkpoint, or what Lightning's counters say. Raises KeyError, TypeError, ValueError or
    ZeroDivisionError.
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
    """Where the training of the resolved `config` begins, which continues another run's checkpoint.

    images: gives the fingerprint of the training images. Raises CornetError where nothing is left to train, and for
    each setting that cannot change.
    """
    try:
        position = position_in(checkpoint)
        made_of = checkpoint.get("provenance", {})
        before = as_json(with_current_names(made_of.get("config", {})))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise CornetError(
            f"ckpt_path={path} does not say at which epoch it was written ({error!r}); start from its weights with "
            f"model.pretrained={path}."
        ) from error
    epochs, most = config["recipe"]["epochs"], config["trainer"].get("max_steps")
    if position.epochs >= epochs:
        raise CornetError(
            f"ckpt_path={path} is at epoch {position.epochs:g} of {epochs}: nothing is left to train; give "
            f"recipe.epochs={math.floor(position.epochs) + 1} or more."
        )
    if most is not None and 0 <= most <= position.steps:
        raise CornetError(
            f"ckpt_path={path} is at step {position.steps} and trainer.max_steps={most}: nothing is left to train; "
            "give more steps."
        )
    now = as_json(with_current_names(config))
    first = ("model.name", "recipe", "seed")
    for key in sorted({*before, *now} if before else (), key=lambda key: (not key.startswith(first), key)):
        if before.get(key, ABSENT) != now.get(key, ABSENT):
            check_key(key, before.get(key, ABSENT), now.get(key, ABSENT), position, path)
    held = made_of.get("images")
    if position.within_epoch and held and held != images():
        raise CornetError(
            f"ckpt_path={path} was written within an epoch ({position.epochs:.3g}) of other images, so that the rest "
            "of the epoch cannot be shown; give the same images, or a checkpoint from the end of an epoch."
        )
    return position


def check_key(key: str, before: str, now: str, position: Position, path: Path) -> None:
    """Raise CornetError where this setting cannot change."""
    outcome = outcome_of(key)
    changed = f"ckpt_path={path} was written with {key}={before}, which cannot become {now}"
    as_many = key == "model.num_classes"  # auto, or as many as there are
    if outcome == REFUSED and before != ABSENT and not as_many:
        why = WHY.get(key) or WHY[key.split(".")[0]]
        raise CornetError(
            f"{changed}, because {why}; leave it as it was, or start from the weights with model.pretrained={path}."
        )
    if outcome == WHOLE_EPOCHS and position.within_epoch:
        raise CornetError(
            f"{changed} within an epoch ({position.epochs:.3g}), because images would be shown twice or left out; "
            "leave it as it was, or give a checkpoint from the end of an epoch."
        )


def begin_at(checkpoint: dict[str, Any], trainer: pl.Trainer, seed: int) -> None:
    """Another run's checkpoint made a beginning of this run: weights, optimiser, scale and position stay.

    Callbacks' state is dropped. Lightning's counters stay within an epoch; the random state stays for the same seed.
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
    """Note in the run's folder from which file it began. Raises CornetError when that cannot be written."""
    content = {"checkpoint": str(path), "sha256": sha256(path), **position._asdict()}
    atomic_write(folder / RECORD, json.dumps(content, indent=1) + "\n")


def check_start(folder: Path, path: Any, record: Mapping[str, Any] | None) -> None:
    """Raise CornetError where the checkpoint `path` that a run began from has changed since `record` was made."""
    if path in (None, "auto"):
        return
    if not Path(path).is_file() or record is None or sha256(Path(path)) != record.get("sha256"):
        raise CornetError(
            f"{folder} began from ckpt_path={path}, which is missing or has changed since, so that it cannot be "
            "repeated; restore that file, or repeat the run that wrote it."
        )


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_json(config: Mapping[str, Any]) -> dict[str, str]:
    """{dotted key: value as JSON}, so that tuples and lists are equal."""
    return {key: json.dumps(value, default=str) for key, value in flat(config)}
