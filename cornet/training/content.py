"""The images and the user's own brain data of a run by what they contain, so that a copy of them is the same run."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from cornet.brain.benchmarks.registry import local_identity
from cornet.stimuli.fingerprint import fingerprint
from cornet.stimuli.samples import ImageSource
from cornet.training.build import make

__all__ = ["Content", "content_of"]


@dataclass(frozen=True)
class Content:
    """values: what stands in a run's name and identity in the place of paths, by the key of the configuration, such as
    {"data.folder": "images-01234567890abcde"}. source: the images, where they lie in a folder."""

    values: dict[str, Any] = field(default_factory=dict)
    source: ImageSource | None = None

    def overrides(self) -> list[str]:
        return [f"{key}={json.dumps(value)}" for key, value in self.values.items()]

    def in_place(self, config: DictConfig) -> DictConfig:
        """A copy of the configuration with these values."""
        config = copy.deepcopy(config)
        for key, value in self.values.items():
            OmegaConf.update(config, key, value)
        return config


def content_of(config: DictConfig, known: dict[str, str] | None = None) -> Content:
    """What is in the folders named by data.folder and brain.benchmarks: fingerprints of images, hashes of bundles.

    Paths and times of change do not count. known: a cache for the runs of a sweep. Raises CornetError.
    """
    values: dict[str, Any] = {}
    for key, names in (OmegaConf.select(config, "brain.benchmarks") or {}).items():
        listed = list(names) if OmegaConf.is_list(names) else []
        told = [local_identity(one) if isinstance(one, str) else None for one in listed]
        if any(told):
            values[f"brain.benchmarks.{key}"] = [one or name for one, name in zip(told, listed, strict=True)]
    if not config.data.get("folder"):
        return Content(values)
    given = OmegaConf.to_container(config.data, resolve=True)
    assert isinstance(given, dict)
    ours = str(given.get("_target_")).startswith("cornet.")  # of which the seed draws crops and flips only
    key = json.dumps({k: v for k, v in given.items() if not (ours and k == "seed")}, default=str)
    name, source = (known or {}).get(key), None
    if name is None:
        # for sources that draw when they are made
        pl.seed_everything(config.seed, workers=True, verbose=False)
        source = make(config.data, "data")
        name = f"images-{fingerprint(source)}"
    if known is not None:
        known[key], source = name, None
    return Content({"data.folder": name, **values}, source)
