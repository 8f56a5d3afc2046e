"""A bundle: stimuli and the responses to them, in the layout of Brain-Score's public data."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from cornet.brain.cache import file_hash
from cornet.brain.data.bundle_files import assembly_path, checked_folder
from cornet.brain.data.columns import check_facts, refuse_misspelt
from cornet.brain.data.netcdf import load_assembly
from cornet.brain.data.responses import Responses, make_responses
from cornet.brain.data.stimulus_files import load_stimuli
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Bundle", "load_bundle"]

LOOKED_FOR = ("region", "repetition", "time_bin_start", "time_bin_end", "condition", "truth", "subject")
"""Coordinates that may be absent, and whose absence changes what is computed."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Stimuli and an assembly, joined by stimulus_id.

    name: of the data, e.g. "cowley2023.V4.210325".
    assembly: (presentation, neuroid[, time_bin]) with flat coordinates along each dimension, or (presentation,) for
        choices.
    identity: a hash of the assembly's file and of the stimulus ids; "" for none, and nothing is then kept on disk.

    Raises CornetError where the assembly has presentations of stimuli that the stimulus set lacks, and where the two
    state different things of a stimulus (see `cornet.brain.data.columns`). Stimuli that were never presented
    may be there; they have no responses.
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
                f"{str(unknown[0])!r}, are not among the {len(self.stimuli)} of the stimulus set {self.stimuli.name}, "
                f"such as {str(self.stimuli.ids[0])!r}; the assembly and the stimulus set must belong together."
            )
        check_facts(self.assembly, self.stimuli.table, f"{self.name} (assembly and stimulus set together)")

    def responses(
        self,
        region: str | None = None,
        time_bin: tuple[float, float] | None = None,
        ignore: Sequence[str] = (),
    ) -> Responses:
        """Responses of a region in a time bin (ms after onset), averaged and by repetition; see `make_responses`.

        Cached where the assembly is as in its file. Raises CornetError too where that file has changed since.
        """
        loaded = self.assembly.encoding
        with contextlib.suppress(OSError):  # it was moved: what was opened is still there
            if "sha256" in loaded and file_hash(loaded["source"]) != loaded["sha256"]:
                raise CornetError(f"{loaded['source']} was changed after it was loaded; load it again.")
        return make_responses(self.assembly, self.stimuli, region, time_bin, ignore, self.identity)


def load_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read a bundle: a folder with a table of stimuli, an archive of images, and an assembly.

    The files are called stimulus_set.csv, stimuli.zip and assembly.nc, or by the names under which the public data
    are downloaded (see `cornet.brain.data.bundle_files`). Images and values are read when they are asked for.

    Raises CornetError as `load_stimuli` and `load_assembly` do, where the two do not belong together, and for a
    coordinate whose name is nearly that of one that is looked for.
    """
    root = checked_folder(folder)
    path = assembly_path(root, remedy=" (load_stimuli reads stimuli alone)")
    stimuli = load_stimuli(root)
    assembly = load_assembly(path)
    refuse_misspelt(LOOKED_FOR, map(str, assembly.coords), f"the assembly {path}")
    content = assembly.encoding["sha256"] = file_hash(path)
    return Bundle(_name(assembly, path), stimuli, assembly, digest(content, stimuli.ids))


def _name(assembly: xr.DataArray, path: Path) -> str:
    """What the file calls itself, or its data variable, or else the name under which it was downloaded or lies."""
    identifier = assembly.attrs.get("identifier")
    if isinstance(identifier, str) and identifier:
        return identifier
    if assembly.name and not str(assembly.name).startswith("__xarray"):
        return str(assembly.name)
    return path.absolute().parent.name if path.name == "assembly.nc" else path.stem.removeprefix("assy_")
