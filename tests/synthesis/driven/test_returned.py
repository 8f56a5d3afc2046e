"""Responses that come back: no bias from the choice of the best image, known values, and malformed recordings."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import softmax

from cornet.errors import CornetError
from cornet.synthesis.driven.image_folder import SETTINGS
from cornet.synthesis.driven.returned import Trials, evaluate, half_means
from cornet.synthesis.driven.returned_files import read_trials
from tests.helpers.brain.small_bundles import write_assembly


def trials(means, repetitions=10, noise=0.0, mode="stretch", seed=0):
    """means: (neuroid, 10), of five synthesised images and five natural ones, each neuroid's own."""
    means = np.asarray(means, float)
    neuroids = len(means)
    values = np.zeros((repetitions, 10 * neuroids, neuroids))
    for k, own in enumerate(means):
        values[:, 10 * k : 10 * k + 10, k] = own
    values += noise * np.random.default_rng(seed).standard_normal(values.shape)
    images = [np.arange(10 * k, 10 * k + 5) for k in range(neuroids)]
    files = np.array([f"image{k}.png" for k in range(10 * neuroids)])
    names = np.array([f"n{k}" for k in range(neuroids)])
    return Trials(files, names, values, images, [one + 5 for one in images], mode)


def test_the_choice_of_the_best_of_equal_images_has_no_bias():
    """The largest of five means of the same trials is too large by 1.163 sd / sqrt(trials); ours is not."""
    noise = np.random.default_rng(0).standard_normal((4, 10, 300))
    images, names = np.arange(10), np.arange(300).astype(str)
    own = [images[:5]] * 300, [images[5:]] * 300
    data = Trials(images.astype(str), names, 20 + 2 * noise, *own)
    means = data.values.mean(axis=0)
    naive = np.array([means[own, k].max() for k, own in enumerate(data.synthetic)])
    assert naive.mean() - 20 == pytest.approx(1.163 * 2 / 2, abs=0.1)
    found = evaluate(data, halves=10)
    assert found.synthetic.mean() == pytest.approx(20, abs=0.12)  # standard error: .05
    assert found.natural.mean() == pytest.approx(20, abs=0.12)
    share, low, high = found.beyond
    assert low <= 0.5 <= high
    assert share == pytest.approx(0.5, abs=0.1)
    _, low, high = found.median
    assert low < 0 < high


def test_known_means():
    """Without noise the best image is found, and its response is exact."""
    means = [[10, 20, 30, 25, 5, 10, 20, 15, 1, 2], [8, 2, 3, 4, 5, 16, 1, 1, 1, 1]]
    found = evaluate(trials(means, repetitions=3))
    np.testing.assert_allclose(found.synthetic, [30, 8])
    np.testing.assert_allclose(found.natural, [20, 16])
    np.testing.assert_allclose(found.stretch, [50, -50])
    assert list(found.chosen) == ["image2.png", "image10.png"]
    assert found.beyond[0] == 0.5
    assert found.median[0] == pytest.approx(0)
    assert list(found.table()["beyond"]) == [True, False]


def test_a_negative_natural_maximum_has_no_stretch():
    found = evaluate(trials([[1, 1, 1, 1, 1, -1, -1, -1, -1, -1]], repetitions=2))
    assert np.isnan(found.stretch[0])
    assert np.isnan(found.median[0])
    assert found.beyond[0] == 1


def test_one_hot_is_measured_by_the_softmax():
    data = trials(np.random.default_rng(1).uniform(1, 9, (3, 10)), repetitions=2, mode="log_one_hot")
    means = data.values.mean(axis=0)
    shown = means[np.concatenate(data.natural)]
    shares = softmax((means - shown.mean(axis=0)) / shown.std(axis=0), axis=1)
    found = evaluate(data)
    for k in range(3):
        assert found.synthetic[k] == pytest.approx(shares[data.synthetic[k], k].max())
        assert found.natural[k] == pytest.approx(shares[data.natural[k], k].max())


def test_halves_share_no_trial():
    values = np.random.default_rng(2).standard_normal((5, 4, 2))
    values[3:, 1] = np.nan
    first, second = half_means(values, np.random.default_rng(0))
    counts = np.isfinite(values).sum(axis=0)
    sizes = [counts // 2, (counts + 1) // 2]
    total = values[:3].sum(axis=0) + np.nan_to_num(values[3:]).sum(axis=0)
    sums = [first * a + second * (counts - a) for a in sizes]
    assert np.minimum(*[np.abs(one - total) for one in sums]).max() < 1e-9


FILES = ["a-start0.png", "a-start1.png", "b-start0.png", "b-start1.png", "natural-0.png", "natural-1.png"]


@pytest.fixture
def folder(tmp_path):
    """What `cornet drive` writes for two neuroids, two starts each, that share natural images."""
    out = tmp_path / "drive"
    out.mkdir()
    (out / SETTINGS).write_text('{"mode": "stretch"}')
    rows = [(f, "synthetic", f[0]) for f in FILES[:4]] + [(f, "natural", n) for f in FILES[4:] for n in "ab"]
    pd.DataFrame(rows, columns=["file", "kind", "neuroid"]).to_csv(out / "images.csv", index=False)
    return out


def recording(repetitions=4, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (image.removesuffix(".png") if k % 2 else image, neuroid, repetition, rng.uniform(1, 9))
        for k, image in enumerate(FILES)
        for neuroid in "ab"
        for repetition in range(repetitions)
    ]
    return pd.DataFrame(rows, columns=["stimulus_id", "neuroid_id", "repetition", "response"])


def test_a_csv_and_an_assembly_are_equal(folder, tmp_path):
    table = recording()
    table.to_csv(tmp_path / "r.csv", index=False)
    wide = table.pivot_table("response", ["stimulus_id", "repetition"], "neuroid_id", sort=False)
    data = xr.DataArray(
        wide.to_numpy(),
        dims=("presentation", "neuroid"),
        coords={
            "stimulus_id": ("presentation", wide.index.get_level_values(0).to_numpy(str)),
            "repetition": ("presentation", wide.index.get_level_values(1).to_numpy()),
            "neuroid_id": ("neuroid", wide.columns.to_numpy(str)),
        },
        name="returned",
    )
    (tmp_path / "bundle").mkdir()
    write_assembly(data, tmp_path / "bundle" / "assembly.nc")
    one, other = (read_trials(folder, tmp_path / name) for name in ("r.csv", "bundle"))
    first, second = evaluate(one).table(), evaluate(other).table()
    means = table.groupby(["stimulus_id", "neuroid_id"])["response"].mean()
    assert one.values.mean(axis=0)[1, 0] == pytest.approx(means["a-start1", "a"])
    # The order of images and repetitions is that of each file, so only the number of halves limits the agreement.
    np.testing.assert_allclose(first["synthetic"], second["synthetic"], rtol=0.2)
    assert list(first["neuroid"]) == list(second["neuroid"]) == ["a", "b"]
    assert [sorted(one.files[k]) for k in one.synthetic] == [FILES[:2], FILES[2:4]]


def change(table, **words):
    """A recording with one fault."""
    if "drop" in words:
        return table[table["stimulus_id"] != words["drop"]]
    if "repetitions" in words:
        return table[table["repetition"] < words["repetitions"]]
    if "columns" in words:
        return table.drop(columns=words["columns"])
    table = table.astype(str)
    column, value = next(iter(words.items()))
    table.loc[5, column] = value
    return table


WRONG = {
    "missing image": ({"drop": "a-start0.png"}, "no responses of a to 1 of its 2 synthetic images"),
    "missing natural": ({"drop": "natural-0.png"}, "no responses of a to 1 of its 2 natural images"),
    "one repetition": ({"repetitions": 1}, "has 1 repetition of .* but at least 2 are needed"),
    "unknown neuroid": ({"neuroid_id": "c"}, "has the neuroid 'c', which .* has not; choose one of a, b"),
    "unknown image": ({"stimulus_id": "a-start9"}, "has the stimulus 'a-start9', .*did you mean a-start"),
    "text": ({"response": "high"}, "has the response 'high' in row 7"),
    "infinite": ({"response": "inf"}, "infinite"),
    "twice": ({"repetition": "0"}, "has two responses of b to a-start0.png at repetition 0"),
    "no column": ({"columns": "repetition"}, "has no column repetition"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_recordings(folder, tmp_path, name):
    words, message = WRONG[name]
    change(recording(), **words).to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(CornetError, match=message):
        read_trials(folder, tmp_path / "r.csv")


def test_what_is_no_recording_or_no_folder(folder, tmp_path):
    with pytest.raises(CornetError, match="does not exist"):
        read_trials(folder, tmp_path / "none.csv")
    with pytest.raises(CornetError, match="does not exist"):
        read_trials(folder, tmp_path / "none")
    (tmp_path / "r.csv").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(CornetError, match="cannot be read as a UTF-8 CSV"):
        read_trials(folder, tmp_path / "r.csv")
    with pytest.raises(CornetError, match="give the folder of an earlier cornet drive"):
        read_trials(tmp_path, tmp_path / "r.csv")
    (folder / SETTINGS).write_text('{"mode": "up"}')
    with pytest.raises(CornetError, match="='up' is unknown; choose one of stretch"):
        read_trials(folder, tmp_path / "r.csv")
    (folder / SETTINGS).write_text("[1")
    with pytest.raises(CornetError, match="is not JSON with settings"):
        read_trials(folder, tmp_path / "r.csv")


def test_a_neuroid_that_was_not_recorded_is_a_note(folder, tmp_path):
    table = recording()
    table[table["neuroid_id"] == "a"].to_csv(tmp_path / "r.csv", index=False)
    found = read_trials(folder, tmp_path / "r.csv")
    assert found.notes == ("1 of 2 neuroids of drive were not recorded",)
    assert list(found.neuroids) == ["a"]
