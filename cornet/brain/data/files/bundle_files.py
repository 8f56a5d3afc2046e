"""Find a bundle's files by their plain names or by the names of the public downloads.

| file | plain name | as downloaded |
|---|---|---|
| stimulus table | stimulus_set.csv | stimulus_<identifier>.csv; before 2022 image_<identifier>.csv |
| images | stimuli.zip | stimulus_<identifier>.zip; before 2022 image_<identifier>.zip |
| responses | assembly.nc | assy_<identifier>.nc |
"""

import os
from pathlib import Path

from cornet.errors import CornetError

__all__ = ["assembly_path", "checked_folder", "images_path", "table_path"]


def table_path(folder: Path) -> Path:
    """Return the path of the stimulus table. Raises CornetError unless there is exactly one."""
    return _single_file(folder, "stimulus table", "stimulus_set.csv", "stimulus_*.csv", "image_*.csv")


def images_path(folder: Path) -> Path:
    """Return the path of the image archive. Raises CornetError unless there is exactly one."""
    return _single_file(folder, "image archive", "stimuli.zip", "stimulus_*.zip", "image_*.zip")


def assembly_path(folder: Path, remedy: str = "") -> Path:
    """Return the path of the assembly. Raises CornetError (with the remedy if missing) unless there is exactly one."""
    return _single_file(folder, "assembly", "assembly.nc", "assy_*.nc", remedy=remedy)


def checked_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the bundle's folder as a path. Raises CornetError if it is not a folder."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CornetError(
            f"the bundle {path} {what}; give a folder with stimulus_set.csv, stimuli.zip and assembly.nc."
        )
    return path


def _single_file(folder: Path, what: str, *patterns: str, remedy: str = "") -> Path:
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if not paths:
        raise CornetError(f"the bundle {folder} has no {what}; add {' or '.join(patterns)}{remedy}.")
    if len(paths) > 1:
        raise CornetError(
            f"the bundle {folder} has {len(paths)} candidates for its {what} "
            f"({', '.join(path.name for path in paths)}); keep one of them."
        )
    return paths[0]
