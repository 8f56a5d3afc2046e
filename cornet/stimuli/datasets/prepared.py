"""Describe a reduced copy of a data set.

`prepared.json` says whether the copy is complete; training refuses an incomplete one (`check_complete`, `check_count`).
`prepared.jsonl` lists the finished images, one per line. Folders without these files are originals.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.opening import open_regular, read_bytes

__all__ = ["DESCRIPTION", "JOURNAL", "Prepared", "check_complete", "check_count", "read_journal"]

DESCRIPTION = "prepared.json"
JOURNAL = "prepared.jsonl"


@dataclass
class Prepared:
    """A reduced copy of a data set.

    name: of the data set. source: the original folder. side: "short" or "long", the side with at most `pixels`
    pixels. quality: of the JPEG files. images: expected number per split. unreadable: {path: reason} for images of the
    source that could not be read and are not in the copy. complete: all images were written and verified.
    """

    name: str
    source: str
    side: str
    pixels: int
    quality: int
    images: dict[str, int]
    unreadable: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    @classmethod
    def read(cls, folder: Path) -> "Prepared | None":
        """Read the description in a folder; None if there is none, as in a folder of originals."""
        try:
            content = json.loads(read_bytes(folder / DESCRIPTION))
            return cls(**content).checked()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise CornetError(
                f"{folder / DESCRIPTION} cannot be read ({error}); remove it and run `cornet prepare` again."
            ) from None

    def checked(self) -> "Prepared":
        """Return self. Raises TypeError for a field of a wrong type."""
        for word, kind in (("name", str), ("source", str), ("images", dict), ("unreadable", dict)):
            if not isinstance(getattr(self, word), kind):
                raise TypeError(f"{word} is {getattr(self, word)!r}")
        if not all(type(count) is int for count in self.images.values()):
            raise TypeError(f"images is {self.images!r}")
        return self

    def write(self, folder: Path) -> None:
        atomic_write(folder / DESCRIPTION, json.dumps(asdict(self), indent=2) + "\n")

    def command(self, folder: Path) -> str:
        """Command that completes the copy."""
        return (
            f"cornet prepare {self.name} {self.source} {folder} --{self.side}-side {self.pixels} "
            f"--quality {self.quality}"
        )


def read_journal(folder: Path) -> dict[str, list[Any]]:
    """Read {path: [size and time of the original, size and hash of the copy]}.

    The last line of each path counts. Truncated lines are skipped.
    """
    rows: dict[str, list[Any]] = {}
    try:
        with open_regular(folder / JOURNAL) as file:
            for line in file:
                try:
                    path, *row = json.loads(line)
                except (ValueError, TypeError, RecursionError):
                    continue
                if isinstance(path, str) and len(row) == 4 and isinstance(row[2], int):
                    rows[path] = row
    except FileNotFoundError:
        pass
    return rows


def check_complete(folder: str | os.PathLike[str]) -> None:
    """Raise CornetError, with the command that completes it, for an incomplete copy."""
    root = Path(folder).expanduser()
    prepared = Prepared.read(root)
    if prepared is None or prepared.complete:
        return
    done, total = sum(row[2] >= 0 for row in read_journal(root).values()), sum(prepared.images.values())
    unverified = ", which were not verified" if done >= total else ""
    raise CornetError(
        f"{root} is an incomplete copy of {prepared.name}, with {done} of {total} images{unverified}; "
        f"complete it with `{prepared.command(root)}`."
    )


def check_count(folder: str | os.PathLike[str], found: dict[str, int]) -> None:
    """Raise CornetError if images were removed from or added to a complete copy."""
    root = Path(folder).expanduser()
    prepared = Prepared.read(root)
    if prepared is None or found == prepared.images:
        return
    there = ", ".join(
        f"{found[split]} of {count} images of {split}" for split, count in prepared.images.items()
    )
    raise CornetError(
        f"{root} is a copy of {prepared.name} that has changed since it was made ({there}); check it with "
        f"`{prepared.command(root)} --verify`, which prints the command that repairs it."
    )
