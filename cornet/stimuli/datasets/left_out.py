"""Classify and count entries of class folders that are skipped, or are duplicates."""

import errno
import os
from collections import Counter

__all__ = [
    "AGAIN",
    "BOTH",
    "EMPTY",
    "LOOSE",
    "LOST",
    "SPECIAL",
    "TWICE",
    "describe_left_out",
    "extension_of",
    "kind_of",
]

LOOSE = "images outside class folders, skipped"
EMPTY = "empty folders, skipped"
SPECIAL = "pipes, sockets and devices, skipped"
AGAIN = "links to folders that the class already contains, not followed"
LOST = "broken links, counted as unreadable images if they have an image extension"
TWICE = "links to images of the same split, counted as separate images"
BOTH = "files in both splits"

_NO_EXTENSION = ".none"


def kind_of(entry: "os.DirEntry[str] | os.DirEntry[bytes]") -> str:
    """Return "folder", "file", SPECIAL or LOST; follows links. Needs no system call unless it is a link."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return LOST if entry.is_symlink() and not os.path.exists(entry.path) else SPECIAL


def extension_of(name: str) -> str:
    """Extension for a message, such as .txt; ".none" if there is none, or no short alphanumeric one."""
    extension = os.path.splitext(name)[1].lower()
    return extension if len(extension) <= 12 and extension[1:].isalnum() else _NO_EXTENSION


def describe_left_out(left_out: Counter[str], most: int = 5) -> str:
    """Summary of skipped and duplicate entries with counts, the same on every machine; "" without any."""
    parts = []
    if others := sorted((-n, key) for key, n in left_out.items() if n and key.startswith(".")):
        shown = [f"{'none' if key == _NO_EXTENSION else key} {-n:,}" for n, key in others[:most]]
        shown += ["..."] if len(others) > most else []
        parts.append(
            f"files with other extensions, skipped: {-sum(n for n, _ in others):,} ({', '.join(shown)})"
        )
    kinds = (LOOSE, EMPTY, SPECIAL, AGAIN, LOST, TWICE, BOTH)
    return "; ".join([*parts, *(f"{kind}: {left_out[kind]:,}" for kind in kinds if left_out[kind])])
