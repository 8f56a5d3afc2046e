"""The names of a bundle's files: the plain ones, and those under which the public data are downloaded.

| what | plain | as downloaded |
|---|---|---|
| table of the stimuli | stimulus_set.csv | stimulus_<identifier>.csv; before 2022 image_<identifier>.csv |
| their images | stimuli.zip | stimulus_<identifier>.zip; before 2022 image_<identifier>.zip |
| responses | assembly.nc | assy_<identifier>.nc |
"""

import os
from pathlib import Path

from cornet.errors import CornetError

__all__ = ["assembly_path", "checked_folder", "images_path", "table_path"]


def table_path(folder: Path) -> Path:
    """The folder's table of stimuli. Raises CornetError where there is none, or more than one."""
    return _one(folder, "table of stimuli", "stimulus_set.csv", "stimulus_*.csv", "image_*.csv")


def images_path(folder: Path) -> Path:
    """The folder's archive of images. Raises CornetError where there is none, or more than one."""
    return _one(folder, "archive of images", "stimuli.zip", "stimulus_*.zip", "image_*.zip")


def assembly_path(folder: Path, remedy: str = "") -> Path:
    """The folder's assembly. Raises CornetError where there is none (then with the remedy), or more than one."""
    return _one(folder, "assembly", "assembly.nc", "assy_*.nc", remedy=remedy)


def checked_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder as a path. Raises CornetError where it is none."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CornetError(
            f"the bundle {path} {what}; give a folder with stimulus_set.csv, stimuli.zip and assembly.nc."
        )
    return path


def _one(folder: Path, what: str, *patterns: str, remedy: str = "") -> Path:
    found = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if not found:
        raise CornetError(f"the bundle {folder} has no {what}; it must hold {' or '.join(patterns)}{remedy}.")
    if len(found) > 1:
        raise CornetError(
            f"the bundle {folder} has {len(found)} files that may be its {what} "
            f"({', '.join(path.name for path in found)}); keep one of them."
        )
    return found[0]
