"""Maps of activity, against scikit-learn, scipy and plain loops, and with known truths."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression

from cornet.brain.metrics.activity_maps import (
    best_pair_ceiling,
    map_ceiling,
    map_features,
    map_predictivity,
)
from cornet.errors import CornetError


def made(
    images: int = 5, size: int = 6, channels: int = 40, neuroids: int = 7, noise: float = 0.5, seed: int = 0
):
    """Features (image, y, x, channel), and maps that are linear in them with noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, size, size, channels))
    maps = features @ rng.normal(size=(channels, neuroids)) / np.sqrt(channels)
    return features, 3 + maps + noise * rng.normal(size=maps.shape)


@pytest.mark.filterwarnings("ignore:.*maximum number of iterations.*", "ignore:y residual")
def test_scikit_learn_gives_the_same():
    features, maps = made()
    found = map_predictivity(features, maps)
    expected = np.empty((5, 7))
    spearman = []
    for k in range(5):
        rest = np.arange(5) != k
        model = PLSRegression(25, scale=False)
        model.fit(features[rest].reshape(-1, 40), maps[rest].reshape(-1, 7))
        predicted, own = model.predict(features[k].reshape(-1, 40)), maps[k].reshape(-1, 7)
        expected[k] = [np.corrcoef(predicted[:, n], own[:, n])[0, 1] for n in range(7)]
        spearman.append(spearmanr(predicted.mean(axis=1), own.mean(axis=1)).statistic)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-8)
    assert found.raw == pytest.approx(np.median(expected, axis=1).mean(), abs=1e-8)
    assert found.error == pytest.approx(np.median(expected, axis=1).std() / np.sqrt(5), abs=1e-8)
    assert found.details["spearman"] == pytest.approx(np.mean(spearman), abs=1e-8)
    assert found.n == 5


def test_linear_maps_are_predicted_and_shuffled_ones_are_not():
    features, maps = made(images=8, size=8, noise=0.2)
    assert map_predictivity(features, maps).raw > 0.95
    rng = np.random.default_rng(1)
    shuffled = np.stack([rng.permutation(one.reshape(64, -1)).reshape(one.shape) for one in maps])
    assert abs(map_predictivity(features, shuffled).raw) < 0.05


def test_a_number_added_to_an_image_or_a_scale_of_a_neuron_changes_no_correlation():
    features, maps = made()
    first = map_predictivity(features, maps)
    other = map_predictivity(features, maps + 1000)
    np.testing.assert_allclose(other.values, first.values, atol=1e-8)


def test_channels_are_averaged():
    rng = np.random.default_rng(0)
    for channels, group in ((600, 1), (768, 3), (1024, 4), (1001, 4)):
        features = rng.normal(size=(3, channels, 4, 4))
        found = map_features(features, (4, 4))
        averaged = np.stack(
            [features[:, i : i + group].mean(axis=1) for i in range(0, channels, group)], axis=-1
        )
        low, high = (end(averaged, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
        np.testing.assert_allclose(found, (averaged - low) / (high - low), atol=1e-12)


def enlarged(line: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with half-pixel centres along the first axis, by numpy."""
    places = (np.arange(size) + 0.5) * len(line) / size - 0.5
    return np.interp(places, np.arange(len(line)), line)


def test_maps_are_enlarged_and_reduced():
    rng = np.random.default_rng(0)
    features = rng.random((2, 3, 4, 12))
    found = map_features(features, (7, 6))
    expected = np.empty((2, 7, 6, 3))
    for i in range(2):
        for c in range(3):
            blocks = features[i, c].reshape(4, 6, 2).mean(axis=2)
            expected[i, :, :, c] = np.stack([enlarged(column, 7) for column in blocks.T], axis=1)
    low, high = (end(expected, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
    np.testing.assert_allclose(found, (expected - low) / (high - low), atol=1e-12)
    assert found.min() == 0
    assert found.max() == 1
    assert (map_features(features, (7, 6), published=True)[..., -1] == 0).all()
    same = map_features(features, (4, 6))  # not enlarged
    np.testing.assert_array_equal(map_features(features, (4, 6), published=True), same)
    assert (map_features(np.ones((2, 3, 4, 4)), (8, 8)) == 0).all()


def test_the_best_pair():
    _, maps = made(neuroids=5)
    largest = []
    for one in maps:
        together = np.corrcoef(one.reshape(-1, 5).T)
        largest.append(np.mean([np.delete(together[n], n).max() for n in range(5)]))
    found = best_pair_ceiling(maps)
    np.testing.assert_allclose(found.values, largest, atol=1e-12)
    assert found.raw == pytest.approx(np.mean(largest))
    published = best_pair_ceiling(maps, published=True)
    np.testing.assert_allclose(published.values, best_pair_ceiling(maps[..., :-1]).values)
    assert published.raw != found.raw


def test_reliability_is_that_of_the_averaged_maps():
    """Signal of variance 1 and noise of variance 4 over 8 trials: 1 / (1 + 4 / 8)."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(6, 20, 20, 9))
    trials = signal + 2 * rng.normal(size=(8, *signal.shape))
    found = map_ceiling(trials)
    assert found.raw == pytest.approx(1 / 1.5, abs=0.01)
    assert found.values.shape == (6, 9)
    perfect = [
        np.corrcoef(signal[0, ..., n].ravel(), trials.mean(0)[0, ..., n].ravel())[0, 1] for n in range(9)
    ]
    assert np.median(perfect) ** 2 == pytest.approx(found.raw, abs=0.05)


@pytest.mark.parametrize(
    ("images", "change", "words"),
    [
        (2, lambda maps: maps, "maps of 2 images, and leaving one out needs 3"),
        (4, lambda maps: maps[:, :, :3], "do not match"),
        (4, lambda maps: 0 * maps + 1, "all maps are constant"),
        (4, lambda maps: np.where(maps > 3, np.nan, maps), "must be finite numbers"),
        (4, lambda maps: maps[..., 0], "must be finite numbers"),
    ],
)
def test_what_is_refused(images, change, words):
    features, maps = made(images)
    with pytest.raises(CornetError, match=words):
        map_predictivity(features, change(maps))


def test_features_that_are_no_maps_are_refused():
    with pytest.raises(CornetError, match="must be maps"):
        map_features(np.ones((3, 8)), (4, 4))
    with pytest.raises(CornetError, match="not finite"):
        map_features(np.full((3, 8, 4, 4), np.inf), (4, 4))
    with pytest.raises(CornetError, match="needs 2 neurons"):
        best_pair_ceiling(made(neuroids=2)[1], published=True)
    with pytest.raises(CornetError, match="repetition, image, y, x"):
        map_ceiling(np.ones((3, 4, 4, 2)))
