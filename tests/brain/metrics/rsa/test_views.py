"""Structures of views and identities, their shares in similarities, and the bootstrap, against the public code."""

import zlib
from functools import cache

import numpy as np
import pytest

from cornet.brain.metrics.rsa.structure_bootstrap import bootstrap_correlations, bootstrap_decompositions
from cornet.brain.metrics.rsa.views import (
    STRUCTURES,
    VIEWS,
    decompose,
    mirror_blocks,
    resample,
    similarity_correlation,
    similarity_matrix,
    view_blocks,
    view_structures,
)
from cornet.errors import CornetError
from cornet.stimuli.objects.heads import HEAD_VIEWS
from tests.helpers.paths import GOLDEN

ORDER = ("front", "half left", "profile left", "half right", "profile right", "down", "up")
"""Of the rows of the golden matrices."""


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "inverse_graphics.npz") as file:
        return {name: file[name] for name in file.files}


def draw(key: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)


@cache
def features() -> tuple[np.ndarray, np.ndarray]:
    pose = draw("eig:pose", 7, 40)
    pose[3] = 0.8 * pose[0] + 0.6 * pose[3]
    parts = (
        np.tile(draw("eig:identity", 25, 30), (7, 1)),
        np.repeat(pose, 25, axis=0),
        draw("eig:noise", 175, 20),
    )
    first = np.concatenate(parts, axis=1)
    return first, first + 0.7 * draw("eig:other", *first.shape)


@cache
def structures() -> dict[str, np.ndarray]:
    return view_structures(np.repeat(ORDER, 25), np.tile(np.arange(25), 7))


def test_structures() -> None:
    sums = [each[np.triu_indices(175, 1)].sum() for each in structures().values()]
    np.testing.assert_array_equal(sums, golden()["basis_sums"])
    np.testing.assert_array_equal(view_blocks(), golden()["view_blocks"])
    np.testing.assert_array_equal(mirror_blocks(), golden()["mirror_blocks"])
    assert tuple(structures()) == STRUCTURES
    for each in structures().values():
        np.testing.assert_array_equal(each, each.T)
    assert set(VIEWS) == set(HEAD_VIEWS)


def test_coefficients_and_correlation() -> None:
    first, second = map(similarity_matrix, features())
    np.testing.assert_allclose(first[:10, :10], golden()["similarity_sample"], atol=1e-14)
    found = decompose(first, structures())
    np.testing.assert_allclose(list(found.values()), golden()["coefficients"], atol=1e-12)
    assert similarity_correlation(first, second) == pytest.approx(float(golden()["rsa"]), abs=1e-12)


def test_bootstrap_as_published() -> None:
    """Which takes similarities of exactly 1 for pairs of an image with itself: rounding hides 49 of 175 from it."""
    first, second = map(np.corrcoef, features())
    assert (np.diagonal(first) == 1).sum() == 126
    sample, order = golden()["bootstrap_sample"], golden()["row_order"]
    r = similarity_correlation(first, second, sample, published=True)
    assert r == pytest.approx(float(golden()["rsa_bootstrap"]), abs=1e-12)
    found = decompose(first, structures(), order[sample], published=True)
    np.testing.assert_allclose(list(found.values()), golden()["coefficients_bootstrap"], atol=1e-12)
    exact = similarity_matrix(features()[0])  # with 1 for every image with itself, both rules are one
    assert decompose(exact, structures(), sample, published=True) == decompose(exact, structures(), sample)
    assert decompose(exact, structures(), order[sample])["identity"] < found["identity"]


def test_the_order_of_the_images_does_not_matter() -> None:
    shuffled = np.random.default_rng(0).permutation(175)
    first = similarity_matrix(features()[0][shuffled])
    parts = view_structures(np.repeat(ORDER, 25)[shuffled], np.tile(np.arange(25), 7)[shuffled])
    np.testing.assert_allclose(list(decompose(first, parts).values()), golden()["coefficients"], atol=1e-12)
    wrong = list(decompose(first, structures()).values())  # labels of other images
    assert max(wrong[:3]) < 0.02


def test_many_samples_at_once_equal_one_by_one() -> None:
    matrices = [*map(similarity_matrix, features()), np.full((175, 175), np.nan)]
    references = [structures()["view"], matrices[1], structures()["background"]]
    coefficients = bootstrap_decompositions(matrices, structures(), draws=70, seed=4)
    correlations = bootstrap_correlations(matrices, references, draws=70, seed=4)
    assert coefficients.shape == (70, 3, 4)
    assert correlations.shape == (70, 3, 3)
    for k, sample in enumerate(resample(175, 70, seed=4)):
        if k in (0, 66, 69):
            for j in (0, 1):
                one = list(decompose(matrices[j], structures(), sample).values())
                np.testing.assert_allclose(coefficients[k, j], one, atol=1e-10)
                expected = [similarity_correlation(matrices[j], other, sample) for other in references[:2]]
                np.testing.assert_allclose(correlations[k, j, :2], expected, atol=1e-10)
    assert np.isnan(coefficients[:, 2]).all()
    assert np.isnan(correlations[:, 2]).all()
    assert np.isnan(correlations[:, :, 2]).all()  # a constant has no correlation


def test_intervals_cover_the_value_of_many_images() -> None:
    """Images drawn independently: 95 % intervals from 80 of them, against the value from 1,500."""
    rng = np.random.default_rng(5)
    codes = rng.standard_normal((len(VIEWS), 40))

    def measured(n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        view, head = rng.integers(0, len(VIEWS), n), rng.integers(0, 40, n)
        matrix = similarity_matrix(codes[view] + 1.2 * rng.standard_normal((n, 40)))
        return matrix, view_structures(np.array(VIEWS)[view], head)

    matrix, parts = measured(1500)
    truth = decompose(matrix, parts)["view"], similarity_correlation(matrix, parts["view"])
    covered = []
    for _ in range(40):
        matrix, parts = measured(80)
        drawn = (
            bootstrap_decompositions([matrix], parts, draws=200)[:, 0, 0],
            bootstrap_correlations([matrix], [parts["view"]], draws=200)[:, 0, 0],
        )
        covered.append(
            [
                low < true < high
                for true, (low, high) in zip(truth, np.percentile(drawn, [2.5, 97.5], axis=1).T, strict=True)
            ]
        )
    assert (np.mean(covered, axis=0) > 0.8).all()


def test_missing_similarities_are_not_zeros() -> None:
    values = features()[0].copy()
    values[3] = 1.0
    with np.errstate(invalid="ignore"):
        first = similarity_matrix(values)
    assert all(np.isnan(value) for value in decompose(first, structures()).values())
    assert np.isnan(similarity_correlation(first, structures()["view"]))


def test_what_is_wrong() -> None:
    with pytest.raises(CornetError, match=r"view='left' is unknown; choose one of profile left, half left"):
        view_structures(["front", "left"], [0, 1])
    with pytest.raises(
        CornetError, match=r"view of shape \(2,\) and identity of shape \(3,\) must be labels"
    ):
        view_structures(["front", "up"], [0, 1, 2])
    with pytest.raises(
        CornetError, match=r"matrices of shapes \(4, 4\), \(175, 175\) must all be \(image, image\)"
    ):
        decompose(np.eye(4), structures())
    with pytest.raises(CornetError, match="0 similarity matrices"):
        bootstrap_decompositions([], structures())
