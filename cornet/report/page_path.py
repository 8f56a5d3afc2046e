"""Choose the path of a page that is about several folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from cornet.errors import CornetError

__all__ = ["page_path"]


def page_path(folders: Sequence[Path], target: Path | None, name: str) -> Path:
    """Return the path of the page `name`.

    target: an .html file, or a folder for the page; None: the only folder, the folder that several have in common, or
    the current one if there are none. Raises CornetError if the target is something else, or if there is no common one.
    """
    if target is not None:
        target = Path(target).expanduser()
        if target.is_dir():
            return target / name
        if target.suffix.lower() not in (".html", ".htm"):
            raise CornetError(f"{target} is neither a folder nor an .html file; name one of these.")
        return target
    if len(folders) < 2:
        return (folders[0] if folders else Path()) / name
    common = Path(os.path.commonpath([folder.absolute().parent for folder in folders]))
    if common == Path(common.anchor):
        raise CornetError(
            f"{folders[0]} and {folders[-1]} have no common folder for the page; give a target folder."
        )
    return common / name
