"""The noise-corrected regression against the public code, and what it must give for planted voxels."""

import zlib

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cornet.brain.sounds import corrected_r2
from cornet.brain.sounds.corrected_r2 import ridge
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


def draw(key, shape):
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)


@pytest.fixture(scope="module")
def golden():
    found = np.load(GOLDEN / "sound.npz")
    return {key.removeprefix("fmri/"): found[key] for key in found.files if key.startswith("fmri/")}


@pytest.fixture(scope="module")
def planted(golden):
    features = np.abs(draw("fmri:features", (165, 60)))
    signal = features @ (draw("fmri:weights", (60, 8)) / np.sqrt(60))
    signal = (signal - signal.mean(0)) / signal.std(0)
    share, noise = golden["share"], golden["noise_sd"]
    own = draw("fmri:own", (165, 8))
    clean = np.sqrt(share) * signal + np.sqrt(1 - share) * own
    return features, clean[:, :, None] + noise[:, None] * draw("fmri:noise", (165, 8, 3))


def test_it_equals_the_public_code(golden, planted):
    found = corrected_r2(*planted)
    np.testing.assert_array_equal(found.train, golden["train_mask"])
    small = golden["log10_alpha"] < 10
    np.testing.assert_array_equal(found.log10_penalty[small], golden["log10_alpha"][small])
    assert (found.log10_penalty[~small] >= 10).all()
    np.testing.assert_allclose(found.r2, golden["raw_r2"], atol=1e-6)
    np.testing.assert_allclose(found.corrected, golden["corrected_r2"], atol=1e-6)
    medians = [0.8864, 0.4265, 0.4792, 0.3172, 0.0705, 0.0497, 0, 0]
    np.testing.assert_allclose(found.by_voxel, medians, atol=5e-5)
    assert found.value == np.median(found.by_voxel)


@pytest.mark.parametrize("features", [5, 20, 60])
def test_the_ridge_equals_scikit_learn(features):
    x, weights = draw("ridge:x", (40, features)), draw("ridge:w", (features, 3))
    y = x @ weights + draw("ridge:noise", (40, 3)) * np.sqrt(features) + 2
    found, best = ridge(x[:20], y[:20], x[20:])
    penalties = 10.0 ** np.arange(10, -6, -1)
    compared = [target for target in range(3) if -5 <= best[target] < 10]
    assert compared
    for target in compared:
        oracle = RidgeCV(penalties).fit(x[:20], y[:20, target])
        assert oracle.alpha_ == pytest.approx(10.0 ** best[target])
        np.testing.assert_allclose(found[:, target], oracle.predict(x[20:]), rtol=1e-6, atol=1e-8)


def test_shuffled_sounds_explain_nothing(planted):
    features, voxels = planted
    order = np.random.default_rng(0).permutation(165)
    assert np.median(corrected_r2(features[order], voxels[:, :4], splits=5).r2) < 0.02


def test_a_voxel_that_is_a_feature_and_noise_is_explained_after_correction():
    features = draw("corrected:features", (165, 20))
    signal = features @ draw("corrected:weights", (20, 20))
    signal /= signal.std(0)
    voxels = signal[:, :, None] + draw("corrected:noise", (165, 20, 3))
    found = corrected_r2(features, voxels)
    assert found.value == pytest.approx(1, abs=0.05)
    assert np.median(found.r2) < 0.75


@pytest.mark.parametrize(
    ("features", "voxels", "words"),
    [
        (np.ones((9, 2)), np.ones((8, 3, 3)), "must be"),
        (np.ones((4, 2)), np.ones((4, 3, 3)), "too few"),
        (np.ones((9, 2)), np.ones((9, 3, 1)), "too few"),
        (np.full((9, 2), np.nan), np.ones((9, 3, 3)), "features have values that are not finite"),
    ],
)
def test_wrong_data(features, voxels, words):
    with pytest.raises(CornetError, match=words):
        corrected_r2(features, voxels)


def test_constant_voxels_give_0():
    found = corrected_r2(draw("constant:x", (20, 3)), np.ones((20, 2, 3)), splits=2)
    assert not found.corrected.any()
