"""Crossnobis, comparisons, ceilings and inference against rsatoolbox and Brain-Score, closed forms, and coverage."""

from functools import cache

import numpy as np
import pytest

from cornet import brain
from cornet.brain.metrics.rsa.comparisons import COMPARISONS, compare_all, rdm_ceilings
from cornet.brain.metrics.rsa.crossnobis import mahalanobis
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@cache
def golden(part):
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {
            name.removeprefix(f"{part}/"): file[name] for name in file.files if name.startswith(f"{part}/")
        }


def triangle(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


def test_distances_without_a_precision():
    given = golden("crossnobis")
    measurements = given["measurements"].transpose(1, 0, 2)
    np.testing.assert_allclose(triangle(brain.crossnobis(measurements)), given["identity"], atol=1e-10)
    np.testing.assert_allclose(triangle(mahalanobis(measurements)), given["euclidean"], atol=1e-10)


@pytest.mark.parametrize("shrinkage", ["diag", "full", "shrinkage_eye", "shrinkage_diag"])
def test_distances_with_a_precision(shrinkage):
    given = golden("crossnobis")
    measurements = given["measurements"].transpose(1, 0, 2)
    precision = brain.noise_precision(measurements, shrinkage)
    np.testing.assert_allclose(precision, given[f"precision_{shrinkage}"], atol=1e-9)
    np.testing.assert_allclose(
        triangle(brain.crossnobis(measurements, precision)), given[shrinkage], atol=1e-10
    )
    np.testing.assert_allclose(
        triangle(mahalanobis(measurements, precision)), given[f"mahalanobis_{shrinkage}"], atol=1e-10
    )
    exact = brain.noise_precision(measurements, shrinkage, dof="exact")
    repetitions, stimuli, _ = measurements.shape
    if shrinkage != "shrinkage_diag":  # whose share depends on the degrees of freedom
        factor = stimuli * (repetitions - 1) / ((stimuli - 1) * repetitions)
        np.testing.assert_allclose(exact, precision * factor, rtol=1e-9)


def test_the_expectation_of_equal_patterns_is_zero():
    rng = np.random.default_rng(0)
    pattern = np.zeros((6, 50))
    pattern[3:] = rng.standard_normal(50)
    repeated = [brain.crossnobis(pattern + 2 * rng.standard_normal((4, 6, 50))) for _ in range(400)]
    mean = np.mean(repeated, axis=0)
    expected = np.square(pattern[3]).mean()
    same, other = mean[:3, :3][np.triu_indices(3, 1)], mean[:3, 3:]
    assert np.abs(same).max() < 0.05
    assert other.mean() == pytest.approx(expected, abs=0.05)
    assert (np.array(repeated) < 0).any()


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_comparisons_and_ceilings(comparison):
    given = golden("rsatoolbox")
    atol = 1e-5 if comparison.endswith("_cov") else 1e-8
    found = compare_all(given["model_rdms"], given["subject_rdms"], comparison)
    np.testing.assert_allclose(found, given[f"compare_{comparison}"], atol=atol)
    ceilings = rdm_ceilings(given["subject_rdms"], comparison)
    np.testing.assert_allclose(ceilings, given[f"noise_ceiling_{comparison}"], atol=atol)


def test_inference_over_subjects():
    given = golden("rsatoolbox")
    found = brain.rdm_inference(given["model_rdms"], given["subject_rdms"])
    np.testing.assert_allclose(found.values, given["eval_fixed_cosine"][0], atol=1e-8)
    np.testing.assert_allclose(found.variances, given["eval_fixed_variances"], atol=1e-10)
    np.testing.assert_allclose(found.p_pairs, given["t_pairwise"], atol=1e-8)
    np.testing.assert_allclose(found.p_zero, given["t_zero"], atol=1e-12)
    np.testing.assert_allclose(found.p_ceiling, given["t_ceiling"], atol=1e-8)
    assert (found.lower, found.upper) == pytest.approx(tuple(given["eval_fixed_noise_ceiling"]))
    assert found.freedom == int(given["eval_fixed_dof"])
    table = found.table()
    assert set(table["subjects"]) == {5}
    assert set(table["stimuli"]) == {12}
    both = brain.rdm_inference(
        given["model_rdms"], given["subject_rdms"], over="subjects and stimuli", draws=300
    )
    assert (both.variances > found.variances).all()
    np.testing.assert_allclose(both.variances, given["dual_bootstrap_model_var"], rtol=0.5)  # both are random


def simulated(rng, stimuli, subjects, model_noise):
    """RDMs of subjects and of two equally good models, from patterns of drawn stimuli."""
    truth = rng.standard_normal((stimuli, 30))

    def distances(patterns):
        return triangle(((patterns[:, None] - patterns) ** 2).mean(axis=2))

    people = [distances(truth + 0.8 * rng.standard_normal(truth.shape)) for _ in range(subjects)]
    models = [distances(truth + model_noise * rng.standard_normal(truth.shape)) for _ in range(2)]
    return np.array(models), np.array(people)


def coverage(over, runs):
    """Share of runs in which the 95 % interval of the first model covers its mean over all runs."""
    rng = np.random.default_rng(0)
    means, intervals = [], []
    for _ in range(runs):
        found = brain.rdm_inference(*simulated(rng, 20, 8, 1.0), comparison="corr", over=over, draws=100)
        means.append(found.means[0])
        intervals.append(found.intervals[0])
    truth = np.mean(means)
    return float(np.mean([low <= truth <= high for low, high in intervals]))


@pytest.mark.longest  # draws many samples
def test_coverage_over_subjects_and_stimuli():
    """Tests over subjects alone do not hold for other stimuli; those over both do."""
    assert 0.90 <= coverage("subjects and stimuli", 200) <= 0.995
    assert coverage("subjects", 100) < 0.7


def test_rdms_by_subject_as_in_brain_score():
    given = golden("rsa")
    score = brain.rdm_by_subject(given["X"], given["Y"], given["subject"])
    np.testing.assert_allclose(score.values, given["per_subject"], atol=1e-12)
    found = score.raw, score.value, score.ceiling, score.details["lower"], score.error
    keys = ("raw", "score", "upper", "lower_loo", "bootstrap_error_200")
    assert found == pytest.approx(tuple(float(given[key]) for key in keys), abs=1e-12)
    names = np.unique(given["subject"])
    for count in (2, 3):
        some = np.isin(given["subject"], names[:count])
        part = brain.rdm_by_subject(given["X"], given["Y"][:, some], given["subject"][some])
        ceilings = part.ceiling, part.details["lower"]
        expected = float(given[f"upper_N{count}"]), float(given[f"lower_loo_N{count}"])
        assert ceilings == pytest.approx(expected, abs=1e-12)
        assert f"of {count} subjects" in part.notes[0]


def test_what_is_wrong():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 5, 4))
    with pytest.raises(CornetError, match="with at least 2 repetitions and 2 stimuli"):
        brain.crossnobis(values[:1])
    with pytest.raises(CornetError, match="1 measurements are missing or infinite"):
        brain.crossnobis(np.where(np.arange(60).reshape(3, 5, 4) == 7, np.nan, values))
    with pytest.raises(CornetError, match=r"precision of shape \(3, 3\) must be \(4, 4\)"):
        brain.crossnobis(values, np.eye(3))
    constant = values.copy()
    constant[..., 0] = 1
    with pytest.raises(CornetError, match="has no inverse"):
        brain.noise_precision(constant, "full")
    rdms = rng.random((3, 10))
    with pytest.raises(CornetError, match="choose one of cosine, corr"):
        brain.rdm_inference(rdms, rdms, "euclid")
    with pytest.raises(CornetError, match="tests need RDMs of at least 2 subjects, but got 1"):
        brain.rdm_inference(rdms, rdms[:1])
    with pytest.raises(CornetError, match="RDMs of 9 pairs are not upper triangles"):
        brain.rdm_inference(rdms[:, :9], rdms)
    with pytest.raises(CornetError, match="models have 6 pairs and subjects 10"):
        brain.rdm_inference(rdms[:, :6], rdms)
    with pytest.raises(CornetError, match="at least 2 subjects with all responses, but there are 1"):
        brain.rdm_by_subject(values[0], rng.random((5, 6)), ["a"] * 6)
