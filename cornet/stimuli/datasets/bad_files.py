"""Files that could not be read while training: a few are told at the end, many stop the run."""

import math
import os
from collections.abc import Iterable, Mapping

from cornet.errors import CornetError

__all__ = ["BadFiles"]


class BadFiles:
    """A tally of unreadable files. sizes: files of each split, such as {"train": 1281167, "val": 50000}.

    Training goes on while a split has at most `few` such files, or at most `share` of all its files.
    """

    def __init__(self, sizes: Mapping[str, int], *, few: int = 10, share: float = 0.001) -> None:
        self.sizes = dict(sizes)
        self.few = few
        self.share = share
        self.paths: dict[str, set[str]] = {split: set() for split in self.sizes}

    def add(self, split: str, paths: Iterable[str]) -> None:
        """Count files of a split; one that was met before counts once."""
        self.paths[split].update(paths)

    def limit(self, split: str) -> int:
        """How many bad files a split may have."""
        return max(self.few, math.floor(self.share * self.sizes[split] + 1e-9))

    def check(self) -> None:
        """Raise CornetError if a split has too many bad files."""
        for split, bad in self.paths.items():
            if len(bad) > self.limit(split):
                raise CornetError(
                    f"{len(bad)} of the {self.sizes[split]} images of {split} cannot be read, and at most "
                    f"{self.limit(split)} may be: {self._names(bad)}; replace or remove them, or see "
                    "whether the disk is at fault"
                )

    def summary(self) -> str:
        """One line per split with bad files; empty if there are none."""
        return "\n".join(
            f"{len(bad)} of the {self.sizes[split]} images of {split} could not be read: {self._names(bad)}"
            for split, bad in self.paths.items()
            if bad
        )

    @staticmethod
    def _names(paths: set[str]) -> str:
        first = sorted(paths)[:3]
        shown = [
            os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path)) for path in first
        ]
        return ", ".join(shown) + (", ..." if len(paths) > len(first) else "")
