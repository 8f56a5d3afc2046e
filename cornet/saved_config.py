"""Reading the configuration that a run has left, which may be a stranger's: plain, bounded, never resolved."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.opening import read_bytes

__all__ = ["config_text", "read_config"]

LARGEST = 2**20
"""Bytes of a configuration; ours have some thousands."""

DEEPEST = 50
"""Levels of lists and keys in one another."""


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config.yaml as plain Python, references as written.

    Raises FileNotFoundError, and CornetError for one that is unreadable, no table of keys, too large or deep, or has
    aliases.
    """
    try:
        data = read_bytes(path)
        if len(data) > LARGEST:
            raise ValueError(f"it has {len(data):,} bytes, and {LARGEST:,} are the most that is read")
        text = data.decode()
        check_events(text)
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if not isinstance(content, dict):
            raise ValueError("it is no table of keys")
    except FileNotFoundError:
        raise
    except Exception as error:  # damage makes the YAML readers fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CornetError(f"{path} cannot be read ({reason}); restore it.") from None
    return {str(key): value for key, value in content.items()}


def config_text(folder: Path) -> str | None:
    """The text of a run's config.yaml, to be shown; None where it is absent, is no text, is large or is a link."""
    path = folder / "config.yaml"
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return None
        return read_bytes(path).decode()
    except (OSError, UnicodeDecodeError):
        return None


def check_events(text: str) -> None:
    """Raise ValueError for aliases and for depth, before anything is built of the text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it has the alias *{event.anchor}, and train.py writes none")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is deeper than {DEEPEST} levels")
