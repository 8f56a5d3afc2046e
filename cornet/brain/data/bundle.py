"""Read and check bundles: stimuli and the responses to them, in the layout of Brain-Score's public data."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from cornet.brain.cache import file_hash
from cornet.brain.data.columns import check_coordinates, check_spelling
from cornet.brain.data.files.bundle_files import assembly_path, checked_folder
from cornet.brain.data.files.netcdf import load_assembly
from cornet.brain.data.files.stimulus_files import load_stimuli
from cornet.brain.data.responses import Responses, make_responses
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Bundle", "load_bundle", "without_stimuli"]

OPTIONAL_COORDINATES = (
    "region",
    "repetition",
    "time_bin_start",
    "time_bin_end",
    "condition",
    "truth",
    "subject",
)
"""Optional coordinates that change the computation, so a misspelt one must not count as absent."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Stimuli and an assembly, joined by stimulus_id.

    name: name of the data, e.g. "cowley2023.V4.210325".
    assembly: (presentation, neuroid[, time_bin]) with flat coordinates along each dimension, or (presentation,) for
        choices.
    identity: hash of the assembly's file and the stimulus ids; "" disables the disk cache.

    The stimulus set may contain stimuli that were never presented. Raises CornetError if the assembly contains stimuli
    that are missing from the stimulus set, or if the two contradict each other (see `cornet.brain.data.columns`).
    """

    name: str
    stimuli: StimulusSet
    assembly: xr.DataArray
    identity: str

    def __post_init__(self) -> None:
        presented = pd.unique(self.assembly.coords["stimulus_id"].values.astype(str))
        unknown = presented[~np.isin(presented, self.stimuli.ids)]
        if len(unknown):
            raise CornetError(
                f"{len(unknown)} of the {len(presented)} stimuli presented in {self.name}, such as "
                f"{str(unknown[0])!r}, are missing from the {len(self.stimuli)} of the stimulus set "
                f"{self.stimuli.name}, such as {str(self.stimuli.ids[0])!r}; use the stimulus set of this assembly."
            )
        check_coordinates(
            self.assembly, self.stimuli.table, f"{self.name} (assembly and stimulus set together)"
        )

    def responses(
        self,
        region: str | None = None,
        time_bin: tuple[float, float] | None = None,
        ignore: Sequence[str] = (),
        *,
        subject_by: str | None = None,
        keep_above: Mapping[str, float] | None = None,
        ceiling_by: str | None = None,
        repeated: Sequence[str] | None = None,
    ) -> Responses:
        """Return the responses of a region in a time bin (ms after onset); see `make_responses`.

        Cached on disk unless the assembly was modified in memory. Raises CornetError also if its file has changed.
        """
        loaded = self.assembly.encoding
        with contextlib.suppress(OSError):  # the file was moved; the open handle still works
            if "sha256" in loaded and file_hash(loaded["source"]) != loaded["sha256"]:
                raise CornetError(f"{loaded['source']} changed after it was loaded; load it again.")
        chosen: Any = {"subject_by": subject_by, "keep_above": keep_above, "ceiling_by": ceiling_by}
        chosen["repeated"] = repeated
        return make_responses(self.assembly, self.stimuli, region, time_bin, ignore, self.identity, **chosen)


def without_stimuli(bundle: Bundle, ids: Sequence[str]) -> Bundle:
    """The bundle without some of its stimuli and their presentations, whose values are still read on first use."""
    shown = bundle.assembly.coords["stimulus_id"].values.astype(str)
    kept = np.flatnonzero(~np.isin(shown, [*ids]))
    stimuli = bundle.stimuli.subset(np.flatnonzero(~np.isin(bundle.stimuli.ids, [*ids])))
    identity = digest(bundle.identity, sorted(ids)) if bundle.identity else ""
    assembly = bundle.assembly.isel(presentation=kept)
    assembly.encoding = dict(bundle.assembly.encoding)
    return Bundle(bundle.name, stimuli, assembly, identity)


def load_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read a bundle: a folder with a stimulus table, an archive of images, and an assembly.

    The files are named stimulus_set.csv, stimuli.zip and assembly.nc, or keep the names of the public downloads (see
    `cornet.brain.data.files.bundle_files`). Images and values are read on first use.

    Raises CornetError as `load_stimuli` and `load_assembly` do, if the two do not match, and for a misspelt coordinate.
    """
    root = checked_folder(folder)
    path = assembly_path(root, remedy=" (load_stimuli reads stimuli alone)")
    stimuli = load_stimuli(root)
    assembly = load_assembly(path)
    check_spelling(OPTIONAL_COORDINATES, map(str, assembly.coords), f"the assembly {path}")
    content = assembly.encoding["sha256"] = file_hash(path)
    return Bundle(_name(assembly, path), stimuli, assembly, digest(content, stimuli.ids))


def _name(assembly: xr.DataArray, path: Path) -> str:
    """Return the file's identifier, else the name of its data variable, else the name of the file or folder."""
    identifier = assembly.attrs.get("identifier")
    if isinstance(identifier, str) and identifier:
        return identifier
    if assembly.name and not str(assembly.name).startswith("__xarray"):
        return str(assembly.name)
    return path.absolute().parent.name if path.name == "assembly.nc" else path.stem.removeprefix("assy_")
