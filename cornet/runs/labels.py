"""Derive a run's name, group and tags for Weights & Biases and TensorBoard."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from cornet.names import encodable
from cornet.runs.path import is_ignored, parse_overrides

__all__ = ["MAX_TAG_LENGTH", "RunLabels", "label_loggers", "run_labels"]

MAX_TAG_LENGTH = 64  # characters; Weights & Biases refuses longer tags
MAX_NAME_LENGTH = 128


class RunLabels(NamedTuple):
    """Such as name "mine width=0.5 seed=1", group "mine" (a variant: "mine/model.width-0.5"), tags ["width=0.5"]."""

    name: str
    group: str
    tags: list[str]


def run_labels(path: Path, name: str, overrides: Sequence[str]) -> RunLabels:
    """Return the labels of a run.

    path: the run's folder; all its seeds have the same group. overrides: ignored keys are left out. Tags omit the
    configuration's group (`width=0.5`) unless two keys would then be equal. Long labels end in a digest.
    """
    last = {o.key_or_group: encodable(o.input_line or "").lstrip("+") for o in parse_overrides(overrides)}
    shown = {key: text for key, text in sorted(last.items()) if not is_ignored(key)}
    short = {key: key.partition(".")[2] or key for key in shown}
    tags = []
    for key, text in shown.items():
        unique = list(short.values()).count(short[key]) == 1
        tags.append(shorten(text.replace(key, short[key], 1) if unique else text, MAX_TAG_LENGTH))
    seed, variant = path.name.removeprefix("seed"), path.parent.name
    return RunLabels(
        shorten(" ".join([name, *tags]), MAX_NAME_LENGTH - len(f" seed={seed}")) + f" seed={seed}",
        shorten(name if variant == name else f"{name}/{variant}", MAX_NAME_LENGTH),
        tags,
    )


def label_loggers(loggers: DictConfig, path: Path, name: str, overrides: Sequence[str]) -> None:
    """Set name, group and tags in the configuration of each logger where they are null."""
    labels = run_labels(path, name, overrides)
    for part in loggers.values():
        for key, value in labels._asdict().items():
            if key in part and part[key] is None:
                part[key] = value


def shorten(text: str, max_length: int) -> str:
    """Return the text; if too long, its start followed by six digits of its SHA-256."""
    if len(text) <= max_length:
        return text
    return f"{text[: max_length - 7]}+{hashlib.sha256(text.encode()).hexdigest()[:6]}"
