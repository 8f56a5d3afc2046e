"""Count unreadable files while training: a few are reported at the end, many stop the run."""

import math
import os
from collections.abc import Iterable, Mapping

from cornet.errors import CornetError

__all__ = ["BadFiles"]


class BadFiles:
    """Counts unreadable files. sizes: number of files per split, such as {"train": 1281167, "val": 50000}.

    Training continues while a split has at most `few` unreadable files, or at most `share` of its files.
    """

    def __init__(self, sizes: Mapping[str, int], *, few: int = 10, share: float = 0.001) -> None:
        self.sizes = dict(sizes)
        self.few = few
        self.share = share
        self.paths: dict[str, set[str]] = {split: set() for split in self.sizes}

    def add(self, split: str, paths: Iterable[str]) -> None:
        """Add unreadable files of a split; each path counts once."""
        self.paths[split].update(paths)

    def limit(self, split: str) -> int:
        """Largest number of unreadable files that a split may have."""
        return max(self.few, math.floor(self.share * self.sizes[split] + 1e-9))

    def check(self) -> None:
        """Raise CornetError if a split has too many unreadable files."""
        for split, bad in self.paths.items():
            if len(bad) > self.limit(split):
                raise CornetError(
                    f"{len(bad)} of the {self.sizes[split]} images of {split} cannot be read, but at most "
                    f"{self.limit(split)} may be unreadable: {self._names(bad)}; replace or remove them, or "
                    "check the disk."
                )

    def summary(self) -> str:
        """One line per split with unreadable files; "" if there are none."""
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
