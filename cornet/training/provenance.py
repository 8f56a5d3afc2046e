"""Where a number comes from: the configuration, versions, commit, images and seed that every result carries along."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COLUMNS", "Provenance"]

COLUMNS = ("seed", "images", "commit", "versions", "config")
"""What `Provenance.columns` adds to a row of scores."""


@dataclass(frozen=True)
class Provenance:
    """What a run was made of, in every checkpoint and every row of scores.csv.

    config: resolved. identity: its part that can change a number. versions: with the commit. images: fingerprint of
    those trained on.
    """

    seed: int = 0
    images: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As plain data, for a checkpoint."""
        return {
            "seed": self.seed,
            "images": self.images,
            "versions": dict(self.versions),
            "config": dict(self.config),
        }

    def columns(self) -> dict[str, Any]:
        """For a row of a table, which may be copied elsewhere and then is all that is known: versions and the identity
        are JSON. A commit with a + had changes that are in no commit."""
        commit = self.versions.get("commit") or ""
        return {
            "seed": self.seed,
            "images": self.images,
            "commit": commit + ("+" if self.versions.get("dirty") else ""),
            "versions": compact(self.versions),
            "config": compact(self.identity),
        }


def compact(node: Mapping[str, Any]) -> str:
    """JSON on one line, keys in order."""
    return json.dumps(node, default=str, sort_keys=True, separators=(",", ":"))
