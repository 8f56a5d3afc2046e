"""The configuration that overrides of train.py give."""

import copy
from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from tests.helpers.paths import CONF


def composed(*overrides: str) -> DictConfig:
    """A configuration of the caller's own: conf/ stays as it is, so that each is composed once."""
    return copy.deepcopy(_composed(*overrides))


@cache
def _composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))
