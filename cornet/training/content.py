"""Identify a run's images and the user's own brain data by content, so that a copy gives the same run."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from cornet.brain.benchmarks.registry import local_identity
from cornet.stimuli.fingerprint import fingerprint, map_fingerprint
from cornet.stimuli.samples import ImageSource
from cornet.training.build import make

__all__ = ["Content", "content_of"]

MAP_FOLDERS = ("maps", "clickme")
"""Keys of data that name a folder of maps."""


@dataclass(frozen=True)
class Content:
    """values: replacements for paths in a run's name and identity, by configuration key, such as
    {"data.folder": "images-01234567890abcde"}. source: the images, if they are in a folder."""

    values: dict[str, Any] = field(default_factory=dict)
    source: ImageSource | None = None

    def overrides(self) -> list[str]:
        return [f"{key}={json.dumps(value)}" for key, value in self.values.items()]

    def in_place(self, config: DictConfig) -> DictConfig:
        """Return a copy of the configuration with these values."""
        config = copy.deepcopy(config)
        for key, value in self.values.items():
            OmegaConf.update(config, key, value)
        return config


def content_of(config: DictConfig, cache: dict[str, str] | None = None) -> Content:
    """Return fingerprints of the images in data.folder, and hashes of the bundles in brain.benchmarks and losses.

    Paths and modification times do not count. cache: names of images, shared by the runs of a sweep. Raises CornetError
    for unreadable data.
    """
    values: dict[str, Any] = {}
    for key, names in (OmegaConf.select(config, "brain.benchmarks") or {}).items():
        listed = list(names) if OmegaConf.is_list(names) else []
        hashes = [local_identity(name) if isinstance(name, str) else None for name in listed]
        if any(hashes):
            values[f"brain.benchmarks.{key}"] = [new or old for new, old in zip(hashes, listed, strict=True)]
    for name, loss in (config.get("losses") or {}).items():
        text = None if loss is None else loss.get("bundle")
        if isinstance(text, str) and (identity := local_identity(text)):
            values[f"losses.{name}.bundle"] = identity
    if not config.data.get("folder"):
        return Content(values)
    data = OmegaConf.to_container(config.data, resolve=True)
    assert isinstance(data, dict)
    ours = str(data.get("_target_")).startswith("cornet.")  # there the seed only affects crops and flips
    key = json.dumps({k: v for k, v in data.items() if not (ours and k == "seed")}, default=str)
    name, source = (cache or {}).get(key), None
    if name is None:
        # for sources that draw random numbers when created
        pl.seed_everything(config.seed, workers=True, verbose=False)
        source = make(config.data, "data")
        name = f"images-{fingerprint(source)}"
        if maps := next((one for one in MAP_FOLDERS if data.get(one)), None):
            name += f" {maps} maps-{map_fingerprint(source)}"
    if cache is not None:
        cache[key], source = name, None
    images, *about_maps = name.split(" ")
    if about_maps:
        values[f"data.{about_maps[0]}"] = about_maps[1]
    return Content({"data.folder": images, **values}, source)
