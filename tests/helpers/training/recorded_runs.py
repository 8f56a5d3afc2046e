"""Configurations as runs record them, and folders that claim to hold a finished run."""

import json
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.helpers.paths import ROOT

SMALL = (
    *("data.train_images=16", "data.val_images=8", "data.size=32", "recipe.batch_size=16", "recipe.epochs=1"),
    *("trainer=cpu", "brain=none", "loader.workers=0", "model.width=0.125", "callbacks.progress=null"),
)


def recorded(*overrides: str) -> dict[str, Any]:
    """A configuration as a run records it."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*SMALL, "run_folder=runs/x/default/seed0", "name=x", *overrides])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return plain


def run_folder(path: Path, config: dict[str, Any], **files: Any) -> Path:
    """A folder that claims to hold a finished run."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "metrics.csv").write_text("epoch,step\n0,1\n")
    for name, content in {"finished": {"epochs": 1}, "versions": {}, "identity": {}, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path
