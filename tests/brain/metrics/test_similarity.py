"""RDMs and CKA against the reference's values, scipy, and loops written from the formulas."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from cornet import brain
from cornet.brain.metrics.similarity import cka, compare_rdms, rdm, rdm_noise_ceiling, rdm_similarity
from cornet.errors import CornetError
from tests.helpers.brain.golden_comparisons import golden

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
shapes = st.tuples(st.integers(0, 10**6), st.integers(4, 9), st.integers(2, 30), st.integers(2, 12))


def pair(shape):
    seed, stimuli, width, other = shape
    random = np.random.default_rng(seed)
    a = random.normal(size=(stimuli, width)) + 3 * random.normal(size=width)
    return a, a[:, :1] * random.normal(size=other) + random.normal(size=(stimuli, other))


@pytest.mark.parametrize("device", DEVICES)
def test_gives_the_references_values(device: str) -> None:
    g = golden("neural")
    a, b = g["features"], g["responses"]
    assert brain.rdm_similarity(a, b, device=device) == pytest.approx(float(g["rdm"]), abs=1e-10)
    assert brain.cka(a, b, device=device) == pytest.approx(float(g["cka"]), abs=1e-10)
    assert brain.cka(a, b, unbiased=False, device=device) == pytest.approx(float(g["cka_biased"]), abs=1e-10)


@settings(deadline=None, max_examples=30)
@given(shapes)
def test_rdms_equal_scipy(shape) -> None:
    a, b = pair(shape)
    expected = pdist(a, "correlation")
    np.testing.assert_allclose(rdm(a), squareform(expected), atol=1e-9)
    if (
        min(a.shape[1], b.shape[1]) > 2
    ):  # with two features all correlations are 1 or -1, and rounding breaks the ties
        other = pdist(b, "correlation")
        assert rdm_similarity(a, b) == pytest.approx(spearmanr(expected, other).statistic, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.tuples(st.integers(0, 10**6), st.integers(4, 7), st.integers(2, 12), st.integers(2, 6)))
def test_unbiased_cka_equals_the_average_over_all_quadruples(shape) -> None:
    """HSIC's estimator is the mean over ordered quadruples of different stimuli of k(s,t) (l(s,t) + l(u,v) - 2 l(s,u))
    (Song et al. 2012, equation 4)."""
    a, b = pair(shape)

    def hsic(x, y):
        k, m = x @ x.T, y @ y.T
        terms = [k[s, t] * (m[s, t] + m[u, v] - 2 * m[s, u]) for s, t, u, v in permutations(range(len(x)), 4)]
        return np.mean(terms)

    own = hsic(a, a) * hsic(b, b)
    found = cka(a, b)
    if hsic(a, a) > 1e-6 and hsic(b, b) > 1e-6:
        assert found == pytest.approx(hsic(a, b) / own**0.5, rel=1e-6, abs=1e-8)


@settings(deadline=None, max_examples=30)
@given(shapes)
def test_biased_cka_equals_its_formula_and_does_not_change_under_rotation_and_scale(shape) -> None:
    a, b = pair(shape)
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    expected = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert cka(a, b, unbiased=False) == pytest.approx(expected, abs=1e-10)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(a.shape[1], a.shape[1])))[0]
    assert cka(a @ rotation * 3 + 1, b, unbiased=False) == pytest.approx(expected, abs=1e-9)
    assert cka(a, a) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("unbiased", [True, False])
def test_wide_and_narrow_ways_agree(unbiased: bool) -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(40, 30)) + 5, random.normal(size=(40, 10))
    b[:, 0] += a[:, 0]
    padded = np.concatenate(
        [a, np.full((40, 20), 7.3)], axis=1
    )  # more features than stimuli, the same Gram matrix
    assert cka(padded, b, unbiased) == pytest.approx(cka(a, b, unbiased), abs=1e-12)


def test_unbiased_cka_of_unrelated_wide_features_is_near_zero_where_the_biased_one_is_not() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(60, 2000)), random.normal(size=(60, 2000))
    assert abs(cka(a, b)) < 0.1
    assert cka(a, b, unbiased=False) > 0.9


def test_maps_and_small_blocks_give_the_same(tmp_path) -> None:
    a, b = pair((0, 30, 200, 50))
    np.save(tmp_path / "a.npy", a)
    kept = np.load(tmp_path / "a.npy", mmap_mode="r")
    for function in (cka, rdm_similarity):
        assert function(kept, b, memory=1) == pytest.approx(function(a, b), abs=1e-12)
        assert function(torch.from_numpy(a), b) == pytest.approx(function(a, b), abs=1e-12)


def test_a_stimulus_with_constant_features_is_left_out_of_the_comparison() -> None:
    a, b = pair((1, 12, 20, 10))
    a[4] = 0.1
    dissimilarity = rdm(a)
    assert np.isnan(dissimilarity[4]).all()
    assert np.isnan(dissimilarity[:, 4]).all()
    assert np.isfinite(np.delete(np.delete(dissimilarity, 4, 0), 4, 1)).all()
    rest = np.delete(np.arange(12), 4)
    assert rdm_similarity(a, b) == pytest.approx(rdm_similarity(a[rest], b[rest]), abs=1e-12)
    assert np.isnan(rdm_similarity(np.ones((6, 3)), b[:6]))
    for unbiased in (True, False):
        assert np.isnan(cka(np.full((6, 3), 0.1), b[:6], unbiased))
        assert np.isnan(cka(np.full((6, 30), 0.1), b[:6], unbiased))


def test_ready_made_rdms_are_compared_square_or_as_triangles() -> None:
    a, b = (pdist(np.random.default_rng(k).normal(size=(10, 4))) for k in range(2))
    expected = spearmanr(a, b).statistic
    for first in (a, squareform(a), squareform(a).astype(np.float32)):
        assert compare_rdms(first, squareform(b)) == pytest.approx(expected, abs=1e-12)
    holes = a.copy()
    holes[:3] = np.nan
    assert compare_rdms(holes, b) == pytest.approx(spearmanr(a[3:], b[3:]).statistic, abs=1e-12)
    assert np.isnan(compare_rdms(np.ones(6), np.arange(6)))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(3, 8))
def test_noise_ceiling_equals_a_loop(seed: int, subjects: int, stimuli: int) -> None:
    random = np.random.default_rng(seed)
    shared = random.random(stimuli * (stimuli - 1) // 2)
    rdms = np.stack([squareform(shared + random.random(len(shared))) for _ in range(subjects)])
    triangles = np.array([squareform(each) for each in rdms])
    lower = np.mean(
        [spearmanr(t, np.delete(triangles, s, 0).mean(0)).statistic for s, t in enumerate(triangles)]
    )
    upper = np.mean([spearmanr(t, triangles.mean(0)).statistic for t in triangles])
    assert rdm_noise_ceiling(rdms) == pytest.approx((lower, upper), abs=1e-9)
    assert rdm_noise_ceiling(triangles) == pytest.approx((lower, upper), abs=1e-9)


def test_human_it_and_judgements(shared_data) -> None:
    with np.load(shared_data / "kriegeskorte2008-92images" / "rdms.npz") as file:
        subjects = file["human_it_subject_session"].mean(axis=1, dtype=float)
        group, judgements = file["human_it"], file["human_similarity_judgement"]
    assert rdm_noise_ceiling(subjects) == pytest.approx((0.3786, 0.6607), abs=1e-3)
    assert rdm_noise_ceiling(judgements) == pytest.approx((0.4776, 0.5751), abs=1e-3)
    assert compare_rdms(group, subjects.mean(axis=0)) > 0.9999
    assert compare_rdms(group, judgements.mean(axis=0)) == pytest.approx(0.392, abs=1e-3)


X = np.random.default_rng(0).normal(size=(8, 5))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: rdm_similarity(X, X[:7]), "features of 8 and 7 stimuli"),
        (lambda: cka(X, X[:7]), "features of 8 and 7 stimuli"),
        (lambda: cka(X[:3], X[:3]), "needs at least 4 stimuli, but got 3"),
        (lambda: cka(X * np.nan, X), "contain nan"),
        (lambda: rdm(X[:, :1]), "must have at least 2 stimuli and 2 features"),
        (lambda: rdm(X[0]), "must be .stimulus, feature."),
        (lambda: compare_rdms(X, X), "must be square"),
        (lambda: compare_rdms(X[:5], X[:5]), "must be symmetric"),
        (
            lambda: compare_rdms(np.corrcoef(X), rdm(X)),
            "has 1 on its diagonal, but dissimilarities have 0",
        ),
        (lambda: rdm_noise_ceiling([np.corrcoef(X), np.corrcoef(X)]), "has 1 on its diagonal"),
        (lambda: compare_rdms(np.ones(3), np.ones(6)), "RDMs with 3 and 6 pairs"),
        (lambda: rdm_noise_ceiling(np.zeros((1, 4, 4))), "at least 2 subjects"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence: str) -> None:
    with pytest.raises(CornetError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
