"""What a run is called where many are shown together: its name, the group of its seeds, tags of what was overridden."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from cornet.training.overrides import parse_overrides
from cornet.training.run_path import is_ignored

__all__ = ["RunLabels", "label_loggers", "run_labels"]

LONGEST_TAG = 64  # characters; Weights & Biases refuses a longer one
LONGEST_NAME = 128


class RunLabels(NamedTuple):
    """name: "objects-cornet_s width=0.5 seed=1"; group: "objects-cornet_s/model.width-0.5"; tags: ["width=0.5"]."""

    name: str
    group: str
    tags: list[str]


def run_labels(path: Path, overrides: Sequence[str]) -> RunLabels:
    """The labels of a run.

    path: `<root>/<name>/<what was overridden>/seed<k>`; the group is that of all seeds. overrides: those that make no
    other run are left out. Tags omit the configuration's group (`width=0.5`) unless keys clash; long ones end in a
    digest.
    """
    last = {o.key_or_group: (o.input_line or "").lstrip("+") for o in parse_overrides(overrides)}
    kept = {key: text for key, text in sorted(last.items()) if not is_ignored(key)}
    bare = {key: key.partition(".")[2] or key for key in kept}
    tags = []
    for key, text in kept.items():
        unique = list(bare.values()).count(bare[key]) == 1
        tags.append(cut(text.replace(key, bare[key], 1) if unique else text, LONGEST_TAG))
    name, seed = path.parts[-3], path.name.removeprefix("seed")
    return RunLabels(
        cut(" ".join([name, *tags]), LONGEST_NAME - len(f" seed={seed}")) + f" seed={seed}",
        cut(f"{name}/{path.parts[-2]}", LONGEST_NAME),
        tags,
    )


def label_loggers(loggers: DictConfig, path: Path, overrides: Sequence[str]) -> None:
    """Fill in the name, group and tags that a logger's configuration has as null; what was given stays."""
    labels = run_labels(path, overrides)
    for part in loggers.values():
        for key, value in labels._asdict().items():
            if key in part and part[key] is None:
                part[key] = value


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as there is room for with six digits of its SHA-256."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 7]}+{hashlib.sha256(text.encode()).hexdigest()[:6]}"
