"""From a configuration to the objects that train."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch import nn

from cornet.errors import CornetError
from cornet.instantiate import make
from cornet.models import CORnet, create_model
from cornet.models.own_network import OwnNetwork, make_network
from cornet.stimuli.samples import ImageSource
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.classifier import Classifier
from cornet.training.loaders import ImageLoaders
from cornet.training.ranks.processes import Place, find_ranks
from cornet.training.recipe import Recipe

__all__ = ["Training", "build"]

INSTEAD = {
    "max_epochs": "recipe.epochs",
    "precision": "recipe.precision",
    "gradient_clip_val": "recipe.clip",
    "gradient_clip_algorithm": "recipe.clip",
    "accumulate_grad_batches": "recipe.accumulate",
    "default_root_dir": "root",
    "callbacks": "callbacks",
    "logger": "logger",
}
"""Arguments of Lightning's trainer that other keys of the configuration give."""

OURS = ("plugins", "use_distributed_sampler", "enable_model_summary")
"""Arguments of Lightning's trainer that no key gives."""


@dataclass
class Training:
    """Everything that a run needs."""

    source: ImageSource
    net: CORnet | OwnNetwork
    module: Classifier
    data: ImageLoaders
    trainer: pl.Trainer


def build(config: DictConfig, source: ImageSource | None = None) -> Training:
    """Build source, network, Lightning module, loaders and trainer of a composed configuration.

    config: has `run_folder` and `run_id` besides what conf/config.yaml names. source: that of the configuration, where
    it is open already. Raises CornetError for anything in it that cannot be.
    """
    check_once(config)
    recipe = make(config.recipe, "recipe")
    source = make(config.data, "data") if source is None else source
    arguments = network_arguments(config.model, source)
    own = "_target_" in arguments
    net = make_network(arguments, len(source.classes)) if own else create_model(**arguments)
    facts = {f"model.{key}": value for key, value in arguments.items() if key != "pretrained"}
    facts["data.classes"] = told(source.classes)
    module = Classifier(net, recipe, source.mean, source.std, source.views, facts)
    loader = plain(config.loader)
    loader["batch_size"] //= recipe.accumulate  # a batch is what goes through the network at once
    data = ImageLoaders(source, **loader)
    check_batch_norm(net, data.batch_size // find_ranks().world, source, recipe)
    steps = len(data.train_images) // data.batch_size
    return Training(source, net, module, data, make_trainer(config, recipe, steps))


def check_once(config: DictConfig) -> None:
    """Raise CornetError for a key that would be recorded, but would not be what the training follows."""
    for name in (*INSTEAD, *OURS):
        if config.trainer.get(name) is not None:
            remedy = f"give {INSTEAD[name]} instead" if name in INSTEAD else "leave it out"
            raise CornetError(f"trainer.{name} would have no effect; {remedy}.")
    loader, recipe = config.loader.batch_size, config.recipe.batch_size
    if loader != recipe:
        raise CornetError(
            f"loader.batch_size={loader} differs from recipe.batch_size={recipe}; give recipe.batch_size alone."
        )


def check_batch_norm(net: nn.Module, batch: int, source: Any, recipe: Recipe) -> None:
    """Raise CornetError where a batch norm would see one value per channel in training. batch: images at once."""
    size = getattr(source, "size", None)
    if batch > 1 or not isinstance(net, CORnet) or not isinstance(size, int):
        return
    if not any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        return
    side = size = min([size, *(pixels for pixels, _ in recipe.sizes)])
    for area in net.areas.values():
        side = area.work((side, side), 1, 1)[1][0]  # type: ignore[operator]
    if side == 1:
        raise CornetError(
            f"one image of {size} pixels at a time leaves batch norm one value per channel, which has no variance; "
            "set recipe.batch_size to at least 2 times recipe.accumulate (and the ranks), or model.norm=group."
        )


def told(classes: Sequence[str]) -> str:
    """The classes in few words that differ for other classes: 8 classes, animal to table (5c427c9c)."""
    digest = hashlib.sha256("\n".join(classes).encode()).hexdigest()[:8]
    return f"{len(classes)} classes, {classes[0]} to {classes[-1]} ({digest})"


def network_arguments(config: DictConfig, source: ImageSource) -> dict[str, Any]:
    """Of `create_model`, or of the user's own network, with as many outputs as there are classes, for images normalised
    as these are."""
    arguments, classes = plain(config), len(source.classes)
    if arguments.get("front") is not None:
        normalised = {"mean": [float(m) for m in source.mean], "std": [float(s) for s in source.std]}
        arguments["front_options"] = {**normalised, **(arguments["front_options"] or {})}
    if "_target_" in arguments and "num_classes" not in arguments:
        return arguments
    if arguments["num_classes"] in ("auto", None):
        arguments["num_classes"] = classes
    elif arguments["num_classes"] != classes:
        raise CornetError(
            f"model.num_classes={arguments['num_classes']} does not fit the data, which have {classes} classes; "
            "leave it at auto."
        )
    return arguments


def make_trainer(config: DictConfig, recipe: Recipe, steps: int) -> pl.Trainer:
    """A trainer for the recipe's epochs and precision, on as many devices as there are ranks.

    It writes in the run's folder only. steps: in an epoch; each epoch logs its training loss at least once.
    """
    place = find_ranks()
    devices = devices_of(config.trainer, place)
    around = LightningEnvironment() if place.world == 1 else TorchElasticEnvironment()
    callbacks = [
        make(part, f"callbacks.{name}") for name, part in config.callbacks.items() if part is not None
    ]
    loggers = [make(part, f"logger.{name}") for name, part in config.logger.items() if part is not None]
    return make(
        config.trainer,
        "trainer",
        max_epochs=recipe.epochs,
        log_every_n_steps=min(config.trainer.log_every_n_steps, steps),
        precision=recipe.precision,
        gradient_clip_val=recipe.clip,
        accumulate_grad_batches=recipe.accumulate,
        default_root_dir=str(Path(config.run_folder)),
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO(), around],
        **devices,
        use_distributed_sampler=False,
        enable_model_summary=False,
    )


def devices_of(config: DictConfig, place: Place) -> dict[str, Any]:
    """Devices, nodes and strategy of the trainer. Raises CornetError where the configuration wants other ranks."""
    if "strategy" not in config:  # a trainer of one process
        devices = config.devices
        if place.world > 1:
            raise CornetError(
                f"{place.launcher} started {place.world} ranks, and this trainer is of one process; add trainer=ddp."
            )
        if devices not in (1, "1", "auto") and not (OmegaConf.is_list(devices) and len(devices) == 1):
            raise CornetError(
                f"trainer.devices={devices} needs as many ranks, started from outside: "
                f"torchrun --nproc-per-node={devices} train.py trainer=ddp ..."
            )
        return {}
    if place.launcher is None:
        raise CornetError(
            "trainer=ddp and trainer=slurm need ranks started from outside: torchrun --nproc-per-node=<devices> "
            "train.py trainer=ddp ... (or srun); leave the trainer out to train on one device."
        )
    for name, found in (("devices", place.local_world), ("num_nodes", place.nodes)):
        if config[name] not in (None, found):
            raise CornetError(
                f"trainer.{name}={config[name]}, but {place.launcher} started ranks for {found}; leave it out."
            )
    alone = {"strategy": "auto"} if place.world == 1 else {}
    return {"devices": place.local_world, "num_nodes": place.nodes, **alone}


def plain(config: DictConfig) -> dict[str, Any]:
    """A part of the configuration as plain Python."""
    content = OmegaConf.to_container(config, resolve=True)
    if not isinstance(content, Mapping):
        raise CornetError(f"the configuration has {content!r} where a group of keys is needed.")
    return {str(key): value for key, value in content.items()}
