"""The configuration that overrides of train.py give."""

from hydra import compose, initialize_config_dir

from tests.helpers.paths import CONF


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))
