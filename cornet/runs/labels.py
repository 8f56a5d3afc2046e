"""What a run is called beside others, by Weights & Biases and TensorBoard."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from cornet.names import encodable
from cornet.runs.path import is_ignored, parse_overrides

__all__ = ["LONGEST_TAG", "RunLabels", "label_loggers", "run_labels"]

LONGEST_TAG = 64  # characters; Weights & Biases refuses a longer one
LONGEST_NAME = 128


class RunLabels(NamedTuple):
    """name: "mine width=0.5 seed=1"; group: "mine", or for a variant "mine/model.width-0.5"; tags: ["width=0.5"]."""

    name: str
    group: str
    tags: list[str]


def run_labels(path: Path, name: str, overrides: Sequence[str]) -> RunLabels:
    """The labels of a run.

    path: its folder; the group is that of all its seeds. overrides: those that make no other run are left out. Tags
    omit the configuration's group (`width=0.5`) unless keys clash; long ones end in a digest.
    """
    last = {o.key_or_group: encodable(o.input_line or "").lstrip("+") for o in parse_overrides(overrides)}
    kept = {key: text for key, text in sorted(last.items()) if not is_ignored(key)}
    bare = {key: key.partition(".")[2] or key for key in kept}
    tags = []
    for key, text in kept.items():
        unique = list(bare.values()).count(bare[key]) == 1
        tags.append(cut(text.replace(key, bare[key], 1) if unique else text, LONGEST_TAG))
    seed, variant = path.name.removeprefix("seed"), path.parent.name
    return RunLabels(
        cut(" ".join([name, *tags]), LONGEST_NAME - len(f" seed={seed}")) + f" seed={seed}",
        cut(name if variant == name else f"{name}/{variant}", LONGEST_NAME),
        tags,
    )


def label_loggers(loggers: DictConfig, path: Path, name: str, overrides: Sequence[str]) -> None:
    """Fill in the name, group and tags that a logger's configuration has as null; what was given stays."""
    labels = run_labels(path, name, overrides)
    for part in loggers.values():
        for key, value in labels._asdict().items():
            if key in part and part[key] is None:
                part[key] = value


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as there is room for with six digits of its SHA-256."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 7]}+{hashlib.sha256(text.encode()).hexdigest()[:6]}"
