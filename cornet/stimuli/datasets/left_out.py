"""Files in class folders that are no images, or are images twice: told apart while folders are scanned, and counted."""

import errno
import os
from collections import Counter

__all__ = ["AGAIN", "BOTH", "EMPTY", "LOOSE", "LOST", "SPECIAL", "TWICE", "extension_of", "kind_of", "told"]

LOOSE = "images in no class folder, left out"
EMPTY = "empty folders, left out"
SPECIAL = "pipes, sockets and devices, left out"
AGAIN = "links to folders that the class has already, not followed"
LOST = "links that lead nowhere, taken as images that cannot be read where they are named as images"
TWICE = "links to files that are images of the split already, taken as images of their own"
BOTH = "files that are images of both splits"

_NO_EXTENSION = ".none"


def kind_of(entry: "os.DirEntry[str] | os.DirEntry[bytes]") -> str:
    """folder, file, SPECIAL or LOST; links are followed. Costs nothing for what is no link."""
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
    """For a message: .txt; "none" where there is none, or no short plain one."""
    extension = os.path.splitext(name)[1].lower()
    return extension if len(extension) <= 12 and extension[1:].isalnum() else _NO_EXTENSION


def told(odd: Counter[str], most: int = 5) -> str:
    """What was left out or taken in twice, with counts, in the same words on every machine; "" for nothing."""
    parts = []
    if others := sorted((-n, key) for key, n in odd.items() if n and key.startswith(".")):
        shown = [f"{'none' if key == _NO_EXTENSION else key} {-n:,}" for n, key in others[:most]]
        shown += ["..."] if len(others) > most else []
        parts.append(
            f"files with other extensions, left out: {-sum(n for n, _ in others):,} ({', '.join(shown)})"
        )
    kinds = (LOOSE, EMPTY, SPECIAL, AGAIN, LOST, TWICE, BOTH)
    return "; ".join([*parts, *(f"{kind}: {odd[kind]:,}" for kind in kinds if odd[kind])])
