"""What a run will take, told before it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.training.brain_score import BrainScore
from cornet.training.build import Training, build
from cornet.training.command_line import reading
from cornet.training.overrides import check_missing
from cornet.training.plan_measure import cores, measure, stimuli_of
from cornet.training.plan_model import Hardware, Measured, Plan, make_plan
from cornet.training.run import quieten
from cornet.training.sweep import without_hydra

__all__ = ["Told", "plan_command", "plan_training"]

CONF = Path(__file__).parents[2] / "conf"

FORWARD = 1 / 3
"""Share of a training step that its forward pass takes, where only images per second are given."""


@dataclass(frozen=True)
class Told:
    """A plan, what it rests on, and what was not measured but given."""

    plan: Plan
    measured: Measured
    hardware: Hardware
    name: str
    train_images: int
    val_images: int
    epochs: int
    evaluations: float
    given: tuple[str, ...]


def plan_command(overrides: list[str]) -> None:
    """Compose train.py's configuration with these overrides, plan it, and print the table.

    Raises CornetError where there is no checkout with a conf folder, and for overrides that cannot be.
    """
    from cornet.report.plan_table import print_plan

    if not CONF.is_dir():
        raise CornetError(
            f"there is no folder {CONF} with train.py's configuration; run from a checkout of cornet."
        )
    with reading(overrides, CONF) as command:
        config = without_hydra(command.compose(command.arguments.overrides))
    print_plan(plan_training(config))


def plan_training(config: DictConfig) -> Told:
    """Measure a composed configuration for some seconds on one device here, and plan it for the hardware it names.

    config.hardware: devices, per_machine, cores, storage, link, network (bytes per second) and images_per_second (of
    one device, instead of what is measured here); null: as here. The batch is shared among the devices.

    Raises CornetError for hardware that cannot be, a batch that does not divide among the devices, and all that a run
    of the configuration would raise.
    """
    check_missing(config)
    quieten()
    given = {str(key): value for key, value in (config.get("hardware") or {}).items() if value is not None}
    hardware = hardware_of(given)
    batch = config.recipe.batch_size
    if batch % hardware.devices:
        raise CornetError(
            f"recipe.batch_size={batch} does not divide among hardware.devices={hardware.devices}; choose a multiple."
        )
    config = config.copy()
    with open_dict(config):  # nothing is written in the run's folder
        config.name = config.name or f"{config.data.get('name', 'objects')}-{config.model.name}"
        config.run_folder, config.run_id, config.logger = str(cache_folder() / "plan"), "plan", {}
        config.recipe.batch_size = batch // hardware.devices
    training = build(config)
    measured = measure(training)
    rate = given.get("images_per_second")
    if rate is not None:
        measured = replace(measured, step=measured.batch / rate, forward=FORWARD / rate, memory=math.nan)
    brains = [c for c in training.trainer.callbacks if isinstance(c, BrainScore) and c.names]  # type: ignore[attr-defined]
    epochs = training.module.recipe.epochs
    evaluations = sum(evaluations_of(brain, epochs) for brain in brains) / epochs
    plan = make_plan(
        measured,
        hardware,
        train_images=len(training.data.train_images),
        val_images=len(training.data.val_images),
        epochs=epochs,
        stimuli=sum(
            stimuli_of(one for one in brain.open("cpu") if one.name not in brain.ends) for brain in brains
        ),
        evaluations=evaluations,
    )
    return Told(
        plan=plan,
        measured=measured,
        hardware=hardware,
        name=name_of(training, config),
        train_images=len(training.data.train_images),
        val_images=len(training.data.val_images),
        epochs=epochs,
        evaluations=evaluations,
        given=tuple(sorted(given)),
    )


def hardware_of(given: Mapping[str, Any]) -> Hardware:
    """What is described, and what is here for the rest."""
    known = {"devices", "per_machine", "cores", "storage", "link", "network", "images_per_second"}
    if unknown := sorted(set(given) - known):
        raise CornetError(f"hardware.{unknown[0]} is unknown; there are {', '.join(sorted(known))}.")
    return Hardware(**{"cores": cores(), **{k: v for k, v in given.items() if k != "images_per_second"}})


def evaluations_of(brain: BrainScore, epochs: int) -> int:
    """How often a training of so many epochs takes brain scores."""
    schedule = brain.schedule
    after = sum(bool(schedule.after_epoch(epoch, epochs)) for epoch in range(1, epochs + 1))
    return after + int(schedule.before) + len(schedule.fractions)


def name_of(training: Training, config: DictConfig) -> str:
    return f"{OmegaConf.select(config, 'model.name')} on {training.source.name}"
