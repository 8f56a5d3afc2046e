"""A small folder with dissimilarities instead of responses."""

import numpy as np
from scipy.spatial.distance import squareform

from tests.helpers.brain.small_bundles import ids, make_table, make_zip

STIMULI = 8


def write(folder, names=None, **arrays):
    folder.mkdir()
    make_table(STIMULI).to_csv(folder / "stimulus_set.csv", index=False)
    make_zip(folder / "stimuli.zip", STIMULI)
    np.savez(folder / "rdms.npz", stimulus_id=ids(STIMULI) if names is None else names, **arrays)
    return folder


def dissimilarities(*shape, seed=0):
    rng = np.random.default_rng(seed)
    flat = [squareform(rng.random(STIMULI * (STIMULI - 1) // 2)) for _ in range(int(np.prod(shape)))]
    return np.array(flat).reshape(*shape, STIMULI, STIMULI)
