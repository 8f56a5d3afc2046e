"""A bundle of 60 stimuli whose responses follow a subject's features, and that subject."""

import numpy as np
import pandas as pd
import xarray as xr

from cornet import CornetError, brain
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.small_bundles import ids, make_zip, write_assembly

STIMULI, NEUROIDS, REPETITIONS = 60, 8, 6


class Drawn:
    """A subject whose V4 drives the neuroids of `bundle`, and which counts how often it is recorded."""

    name = "drawn"
    identity = "drawn"

    def __init__(self):
        self.features = np.random.default_rng(1).standard_normal((STIMULI, 12)).astype(np.float32)
        self.shown = []

    def sites(self):
        return [Site("V4"), Site("IT"), Site("IT", 1)]

    def site(self, region, time_bin=None):
        if region not in ("V4", "IT"):
            raise CornetError(f"drawn has no region {region!r}; name V4 or IT.")
        return Site(region, int(region == "IT" and time_bin is not None and time_bin[0] >= 150))

    def readout_site(self):
        return Site("IT", 1)

    def record(self, stimuli, sites, degrees=None, label=""):
        self.shown.append((stimuli.name, tuple(sites), degrees))
        noise = np.random.default_rng(2).standard_normal(self.features.shape).astype(np.float32)
        place = {"V4[0]": self.features, "IT[0]": noise, "IT[1]": noise + self.features}
        rows = [list(ids(STIMULI)).index(i) for i in stimuli.ids]
        return brain.Recording(stimuli.ids, {site: place[str(site)][rows] for site in sites})


def assembly(regions=("V4",) * NEUROIDS, repetitions=REPETITIONS):
    """Responses that are a linear function of `Drawn`'s V4, with noise; presentations in a shuffled order."""
    rng = np.random.default_rng(0)
    signal = Drawn().features @ rng.standard_normal((12, NEUROIDS))
    stimulus = np.repeat(np.arange(STIMULI), repetitions)
    order = rng.permutation(len(stimulus))
    values = (signal[stimulus] + 2 * rng.standard_normal((len(stimulus), NEUROIDS)))[order]
    return xr.DataArray(
        values[..., None].astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "stimulus_id": ("presentation", ids(STIMULI)[stimulus][order]),
            "repetition": ("presentation", np.tile(np.arange(repetitions), STIMULI)[order]),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(NEUROIDS)]),
            "region": ("neuroid", list(regions)),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        name="test.assembly",
    )


def write(folder, data=None, **columns):
    folder.mkdir(parents=True)
    table = pd.DataFrame(
        {"stimulus_id": ids(STIMULI), "filename": [f"{i}.png" for i in ids(STIMULI)], **columns}
    )
    table.sample(frac=1, random_state=0).to_csv(folder / "stimulus_set.csv", index=False)
    make_zip(folder / "stimuli.zip", 25)
    if len(table) > 25:  # more images than greys
        import zipfile

        from tests.helpers.brain.small_bundles import png

        with zipfile.ZipFile(folder / "stimuli.zip", "a") as archive:
            for k, name in enumerate(ids(STIMULI)[25:]):
                archive.writestr(f"{name}.png", png(10 * (k % 25) + 3 + k // 25))
    write_assembly(assembly() if data is None else data, folder / "assembly.nc")
    return folder
