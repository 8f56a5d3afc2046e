"""Build the objects that train a network from a configuration."""

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
from cornet.losses import Loss
from cornet.models import CORnet, Network, create_model
from cornet.models.own_network import OwnNetwork, make_network
from cornet.models.registry import NO_ARGUMENTS, registered
from cornet.old_names import with_current_arguments
from cornet.stimuli.samples import ImageSource, input_shape
from cornet.tasks import Task
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.ranks.processes import RankInfo, find_ranks
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
"""Lightning arguments that are set by other keys."""

OURS = ("plugins", "use_distributed_sampler", "enable_model_summary")
"""Lightning arguments that cannot be set."""


@dataclass
class Training:
    """The objects of one run."""

    source: ImageSource
    net: Network | OwnNetwork
    module: Learner
    data: ImageLoaders
    trainer: pl.Trainer


def build(config: DictConfig, source: ImageSource | None = None) -> Training:
    """Build source, network, Lightning module, loaders and trainer from a composed configuration.

    config: with `name`, `run_folder` and `run_id` filled in. source: the images, if they are already open.
    Raises CornetError for an invalid configuration.
    """
    check_once(config)
    recipe = make(config.recipe, "recipe")
    source = make(config.data, "data") if source is None else source
    arguments = network_arguments(config.model, source)
    frozen = arguments.pop("freeze", None) or ()
    is_own = "_target_" in arguments
    net = make_network(arguments, len(source.classes)) if is_own else create_model(**arguments)
    recorded = arguments if is_own else net.recorded_arguments(arguments)
    facts = {f"model.{key}": value for key, value in recorded.items() if key not in NO_ARGUMENTS}
    facts["data.classes"] = describe_classes(source.classes)
    if not len(source.mean):  # the inputs are not images
        facts["data.shape"] = list(input_shape(source))
    task = make_task(config)
    parts: dict[str, Any] = {"task": task, "losses": make_losses(config), "source": source, "frozen": frozen}
    if config.get("diet") is not None:
        parts["diet"] = make(config.diet, "diet")
    module = Learner(net, recipe, source.mean, source.std, source.views, facts, **parts)
    loader = as_dict(config.loader)
    loader["batch_size"] //= recipe.accumulate  # the loader's batch goes through the network at once
    data = ImageLoaders(source, **loader)
    check_batch_norm(net, data.batch_size // find_ranks().world, source, recipe)
    steps = len(data.train_images) // data.batch_size
    return Training(source, net, module, data, make_trainer(config, recipe, steps))


def make_task(config: DictConfig) -> Task:
    """Build the task. Raises CornetError for something else than a Task."""
    task = make(config.task, "task")
    if not isinstance(task, Task):
        raise CornetError(
            f"task._target_={config.task.get('_target_')} returns a {type(task).__name__}, not a cornet.tasks.Task; "
            "name a subclass of it."
        )
    return task


def make_losses(config: DictConfig) -> dict[str, Loss]:
    """Build the losses beside the task's, by name. Raises CornetError for something else than a Loss."""
    losses = {
        str(name): make(part, f"losses.{name}") for name, part in config.losses.items() if part is not None
    }
    for name, loss in losses.items():
        if not isinstance(loss, Loss):
            raise CornetError(
                f"losses.{name} is a {type(loss).__name__}, not a cornet.losses.Loss; name a subclass of it."
            )
    return losses


def check_once(config: DictConfig) -> None:
    """Raise CornetError for a key that would be recorded but ignored."""
    for name in (*INSTEAD, *OURS):
        if config.trainer.get(name) is not None:
            if name in OURS:
                raise CornetError(f"trainer.{name} is set by cornet; leave it out.")
            raise CornetError(f"trainer.{name} would have no effect; give {INSTEAD[name]} instead.")
    loader, recipe = config.loader.batch_size, config.recipe.batch_size
    if loader != recipe:
        raise CornetError(
            f"loader.batch_size={loader} differs from recipe.batch_size={recipe}; give recipe.batch_size alone."
        )


def check_batch_norm(net: nn.Module, batch: int, source: Any, recipe: Recipe) -> None:
    """Raise CornetError if a batch norm would see one value per channel in training. batch: images per pass."""
    size = getattr(source, "size", None)
    if batch > 1:
        return
    if isinstance(net, Network) and any(isinstance(module, nn.BatchNorm1d) for module in net.modules()):
        raise CornetError(
            "one image at a time leaves batch norm one value per feature, which has no variance; set recipe.batch_size "
            "to at least 2 times recipe.accumulate (and the ranks)."
        )
    if not isinstance(net, CORnet) or not isinstance(size, int):
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


def describe_classes(classes: Sequence[str]) -> str:
    """Describe the classes, distinct for other classes: 8 classes, animal to table (5c427c9c)."""
    digest = hashlib.sha256("\n".join(classes).encode()).hexdigest()[:8]
    return f"{len(classes)} classes, {classes[0]} to {classes[-1]} ({digest})"


def network_arguments(config: DictConfig, source: ImageSource) -> dict[str, Any]:
    """Return the arguments of `create_model`, or of the user's own network, that fit the images' classes and scale."""
    arguments, classes = as_dict(config), len(source.classes)
    own = "_target_" in arguments
    if not own:
        arguments = with_current_arguments(arguments, warn=True, where="model.")
    normalised = {"mean": [float(m) for m in source.mean], "std": [float(s) for s in source.std]}
    if not own:  # a network that computes with pixels asks for the normalisation, to undo it
        images = {**normalised, "size": getattr(source, "size", None)}
        accepts = registered(arguments["name"]).accepts
        arguments = {**{k: v for k, v in images.items() if k in accepts and v is not None}, **arguments}
    for v1, options in (
        ("v1", "v1_options"),
        ("front", "front_options"),
    ):  # own subclasses of CORnet may take either
        if arguments.get(v1) is not None and (options in arguments or not own):
            arguments[options] = {**normalised, **(arguments.get(options) or {})}
    if own and "num_classes" not in arguments:
        return arguments
    if arguments["num_classes"] in ("auto", None):
        arguments["num_classes"] = classes
    elif arguments["num_classes"] != classes:
        raise CornetError(
            f"model.num_classes={arguments['num_classes']} does not match the data, which have {classes} classes; "
            "set it to auto."
        )
    return arguments


def make_trainer(config: DictConfig, recipe: Recipe, steps: int) -> pl.Trainer:
    """Build the trainer for the recipe's epochs and precision, with one device per rank.

    It writes only in the run's folder. steps: per epoch; every epoch logs its training loss at least once.
    """
    info = find_ranks()
    devices = devices_of(config.trainer, info)
    environment = LightningEnvironment() if info.world == 1 else TorchElasticEnvironment()
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
        plugins=[AtomicCheckpointIO(), environment],
        **devices,
        use_distributed_sampler=False,
        enable_model_summary=False,
    )


def devices_of(config: DictConfig, info: RankInfo) -> dict[str, Any]:
    """Return the trainer's devices, nodes and strategy. Raises CornetError if they do not match the ranks."""
    if "strategy" not in config:  # single-process trainer
        devices = config.devices
        if info.world > 1:
            raise CornetError(
                f"{info.launcher} started {info.world} ranks, but this trainer uses one process; add trainer=ddp."
            )
        if devices not in (1, "1", "auto") and not (OmegaConf.is_list(devices) and len(devices) == 1):
            raise CornetError(
                f"trainer.devices={devices} needs one rank per device; start them with "
                f"torchrun --nproc-per-node={devices} train.py trainer=ddp ..."
            )
        return {}
    if info.launcher is None:
        raise CornetError(
            "trainer=ddp and trainer=slurm need ranks that a launcher has started: torchrun --nproc-per-node=<devices> "
            "train.py trainer=ddp ... (or srun); omit the trainer to train on one device."
        )
    for name, started in (("devices", info.local_world), ("num_nodes", info.nodes)):
        if config[name] not in (None, started):
            raise CornetError(
                f"trainer.{name}={config[name]}, but {info.launcher} started ranks for {started}; omit it."
            )
    single = {"strategy": "auto"} if info.world == 1 else {}
    return {"devices": info.local_world, "num_nodes": info.nodes, **single}


def as_dict(config: DictConfig) -> dict[str, Any]:
    """Convert a part of the configuration to a plain dictionary. Raises CornetError if it is not a group of keys."""
    content = OmegaConf.to_container(config, resolve=True)
    if not isinstance(content, Mapping):
        raise CornetError(f"the configuration has {content!r} where a group of keys is required.")
    return {str(key): value for key, value in content.items()}
