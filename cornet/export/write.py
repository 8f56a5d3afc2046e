"""Write an export into a folder: all of it, or nothing."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.export.formats import FLAGS, Format
from cornet.export.source import Source

__all__ = ["write_export"]


def write_export(
    form: Format, sources: Sequence[Source], folder: Path, name: str, options: Mapping[str, Any] | None = None
) -> list[str]:
    """Write `sources` in a format into a new folder and return lines for the user.

    options: keyword arguments of the format (`cornet.export.formats`). The folder appears when it is complete. Raises
    CornetError if it exists and is not empty, if it cannot be written, for several networks in a format that takes one,
    for an option that the format does not have, and for a name that is not a file's.
    """
    for option in options or {}:
        if option not in form.options:
            raise CornetError(f"--to {form.name} has no option {FLAGS[option]}; leave it out.")
    if len(sources) > 1 and not form.several:
        raise CornetError(
            f"--to {form.name} takes one network, not {len(sources)}; export each into a folder of its own."
        )
    if not re.fullmatch(r"[\w-][\w.-]*", name, re.ASCII):
        raise CornetError(
            f"--name {name!r} must consist of letters, digits, _, - and ., as files are named after it."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CornetError(f"{folder} exists already; give another --out, or remove it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            lines = form.write(sources, made, name, **(options or {}))
            if folder.exists():
                folder.rmdir()
            shutil.move(made, folder)
    except OSError as error:
        raise CornetError(
            f"{folder} cannot be written: {error.strerror or error}; give another --out."
        ) from None
    return lines
