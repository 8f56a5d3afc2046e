"""Ridge with a penalty chosen by leave-one-out: against the reference, scikit-learn, and explicit refits."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV

from cornet.brain.metrics.mapping.ridge_cv import PENALTIES, as_penalties, smallest
from cornet.brain.metrics.mapping.spectrum import GroupErrors, Spectrum
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@cache
def expected():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {
            name: file[name]
            for name in file.files
            if name.split("/")[0] in ("split", "cv", "bench") or "alpha" in name
        }


def data(name):
    """Features, responses and the fixed split of the golden values: more features than training stimuli, or fewer."""
    X, n = expected()["split/X"], int(expected()["split/n_train"])
    features = X if name == "wide" else X[:, :20]
    return features, expected()["split/Y"], [(np.arange(n), np.arange(n, len(X)))]


def test_the_lists_of_penalties():
    np.testing.assert_allclose(as_penalties(None), expected()["alpha_list"], rtol=1e-12)
    np.testing.assert_allclose(as_penalties("reduced"), expected()["alpha_list_gifford"], rtol=1e-12)
    assert [len(values) for values in PENALTIES.values()] == [99, 23, 21]


@pytest.mark.parametrize(
    ("name", "method", "alphas"),
    [
        ("wide", "ridgecv_split", None),
        ("wide", "ridgecv_split_gifford", "reduced"),
        ("wide", "dual_ridgecv_split", None),
        ("wide", "dual_ridgecv_split_21", "powers"),
        ("tall", "ridgecv_split", None),
        ("tall", "dual_ridgecv_split", None),
    ],
)
def test_equal_to_the_reference_on_a_fixed_split(name, method, alphas):
    features, responses, splits = data(name)
    score = neural_predictivity(features, responses, "ridgecv", splits=splits, alphas=alphas)
    key = f"split/{name}/{method}"
    np.testing.assert_allclose(score.values[0], expected()[f"{key}/r"], atol=1e-9)
    assert score.raw == pytest.approx(float(expected()[f"{key}/median"]), abs=1e-9)
    assert set(score.details["alphas"].ravel()) == {float(expected()[f"{key}/alpha"])}


@pytest.mark.parametrize("name", ["wide", "tall"])
def test_errors_of_left_out_stimuli_and_a_penalty_for_each_neuroid(name):
    features, responses, splits = data(name)
    fit = splits[0][0]
    X, Y = (torch.from_numpy(one[fit].astype(float)) for one in (features, responses))
    X, Y = X - X.mean(dim=0), Y - Y.mean(dim=0)
    alphas = as_penalties(None)
    key = f"split/{name}"
    spectra = [Spectrum.of_gram(X @ X.T)] + ([Spectrum.of_features(X)] if name == "tall" else [])
    for spectrum in spectra:
        errors = spectrum.left_out_errors(Y, alphas) / len(fit)
        np.testing.assert_allclose(errors.mean(axis=1), expected()[f"{key}/loo_mse"], rtol=1e-7)
        np.testing.assert_allclose(errors.T, expected()[f"{key}/loo_mse_per_target"], rtol=1e-7)
    together = neural_predictivity(features, responses, "ridgecv", splits=splits)
    each = neural_predictivity(features, responses, "ridgecv", splits=splits, alpha_per="neuroid")
    np.testing.assert_array_equal(each.details["alphas"][0], expected()[f"{key}/alpha_per_target"])
    for score, found in ((together, "prediction"), (each, "prediction_alpha_per_target")):
        given = expected()[f"{key}/{found}"] - responses[fit].mean(axis=0)
        np.testing.assert_allclose(score.details["predictions"][0], given, atol=1e-8)


def test_equal_to_the_reference_over_ten_splits():
    features, responses, _ = data("wide")
    tests = expected()["cv/test_indices"]
    splits = [(np.setdiff1d(np.arange(len(features)), test), test) for test in tests]
    score = neural_predictivity(features, responses, "ridgecv", splits=splits)
    np.testing.assert_allclose(score.values, expected()["cv/ridgecv/r"], atol=1e-9)
    assert score.error == pytest.approx(float(expected()["cv/ridgecv/error"]), abs=1e-9)


@pytest.mark.parametrize("name", ["all", "filtered"])
def test_a_penalty_for_each_subject(name):
    """The reference fits each subject alone; one factorisation gives the same."""
    keep = expected()[f"bench/{name}/keep"]
    features, n = expected()["bench/X"], int(expected()["split/n_train"])
    responses = np.concatenate([expected()["bench/Y_train"], expected()["bench/Y_test_rep"].mean(axis=1)])[
        :, keep
    ]
    subjects = expected()["bench/subject"][keep]
    splits = [(np.arange(n), np.arange(n, len(features)))]
    score = neural_predictivity(
        features, responses, "ridgecv", splits=splits, alpha_per="subject", subjects=subjects
    )
    for number, subject in enumerate(("a", "b")):
        own = subjects == subject
        alphas = set(score.details["alphas"][0, own])
        assert alphas == {expected()[f"bench/{name}/by_subject/explained/alpha"][number]}
        raw = expected()[f"bench/{name}/by_subject/explained/raw"][number]
        assert np.median(score.values[0, own]) == pytest.approx(raw, abs=1e-9)
        alone = neural_predictivity(features, responses[:, own], "ridgecv", splits=splits)
        np.testing.assert_allclose(score.values[:, own], alone.values, atol=1e-12)
    pooled = neural_predictivity(features, responses, "ridgecv", splits=splits)
    assert pooled.raw == pytest.approx(float(expected()[f"bench/{name}/pooled/raw"]), abs=1e-9)


@pytest.mark.parametrize("width", [12, 80])
def test_scikit_learn_and_explicit_refits(width):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((50, width)), rng.standard_normal((50, 3)) * [1, 5, 0.2]
    Y += X[:, :3]
    alphas = np.array([0.3, 3.0, 30.0, 300.0])
    fit, check = np.arange(40), np.arange(40, 50)
    score = neural_predictivity(X, Y, "ridgecv", splits=[(fit, check)], alphas=alphas)
    oracle = RidgeCV(alphas).fit(X[fit], Y[fit])
    assert set(score.details["alphas"][0]) == {oracle.alpha_}
    predicted = score.details["predictions"][0] + Y[fit].mean(axis=0)
    np.testing.assert_allclose(predicted, oracle.predict(X[check]), atol=1e-10)
    centred = torch.from_numpy(X[fit] - X[fit].mean(axis=0)), torch.from_numpy(Y[fit] - Y[fit].mean(axis=0))
    spectrum = Spectrum.of_gram(centred[0] @ centred[0].T)
    errors = spectrum.left_out_errors(centred[1], alphas)
    for k, alpha in enumerate(alphas):
        squares = np.zeros(3)
        for left in fit:
            rest = fit[fit != left]
            model = Ridge(alpha).fit(X[rest], Y[rest])
            squares += (model.predict(X[[left]])[0] - Y[left]) ** 2
        np.testing.assert_allclose(errors[k], squares, rtol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_not_all_penalties_are_computed_but_the_same_is_chosen(seed):
    rng = np.random.default_rng(seed)
    width, level = int(rng.integers(5, 120)), 10.0 ** rng.uniform(-1, 3)
    X = rng.standard_normal((60, width)) * rng.pareto(1, width) * level
    Y = X @ rng.standard_normal((width, 12)) / X.std() + 10.0 ** rng.uniform(-1, 2) * rng.standard_normal(
        (60, 12)
    )
    X, Y = (torch.from_numpy(one - one.mean(axis=0)) for one in (X, Y))
    spectrum, alphas = Spectrum.of_gram(X @ X.T), as_penalties(None)
    computed = []

    def errors_of(some):
        computed.extend(some)
        return spectrum.left_out_errors(Y, some)

    expected = spectrum.left_out_errors(Y, alphas).argmin(axis=0)
    for columns in (slice(None), slice(0, 1)):
        computed.clear()
        found = smallest(lambda some, own=columns: errors_of(some)[:, own], alphas)
        np.testing.assert_array_equal(found, expected[columns])
    assert len(computed) == len(set(computed))
    together = spectrum.left_out_errors(Y, alphas).sum(axis=1, keepdims=True)
    assert smallest(lambda some: errors_of(some).sum(axis=1, keepdims=True), alphas)[0] == together.argmin()


def test_a_second_minimum_is_not_missed():
    alphas = as_penalties(None)
    curve = np.ones(99)
    curve[[8, 62]] = 0.5, 0.4  # 62 is between two of every fourth, 8 is one of them

    def errors_of(some):
        return curve[np.searchsorted(alphas, some)][:, None] + 0.01 * np.log10(some)[:, None] ** 2

    full = errors_of(alphas).argmin(axis=0)
    smooth = np.minimum(1, 0.4 + 0.001 * (np.arange(99) - 62) ** 2)
    curve[:] = np.minimum(curve, smooth)
    full = errors_of(alphas).argmin(axis=0)
    np.testing.assert_array_equal(smallest(errors_of, alphas), full)


def test_missing_responses_share_one_penalty():
    """By the sum of squared errors over all observed responses; each neuroid is fitted on its own stimuli."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 90))
    Y = X[:, :4] + rng.standard_normal((60, 4))
    Y[:20, 0] = np.nan
    Y[5, 1:3] = np.nan
    fit, check = np.arange(50), np.arange(50, 60)
    alphas = as_penalties("powers")
    score = neural_predictivity(X, Y, "ridgecv", splits=[(fit, check)], alphas=alphas)
    errors = np.zeros(len(alphas))
    for column in range(4):
        known = fit[np.isfinite(Y[fit, column])]
        A, b = (torch.from_numpy(one - one.mean(axis=0)) for one in (X[known], Y[known, column : column + 1]))
        errors += Spectrum.of_gram(A @ A.T).left_out_errors(b, alphas)[:, 0]
    assert set(score.details["alphas"][0]) == {alphas[errors.argmin()]}
    known = fit[np.isfinite(Y[fit, 0])]
    model = Ridge(alphas[errors.argmin()]).fit(X[known], Y[known, 0])
    r = np.corrcoef(model.predict(X[check]), Y[check, 0])[0, 1]
    assert score.values[0, 0] == pytest.approx(r, abs=1e-9)


def test_notes_and_what_is_wrong():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 60)), rng.standard_normal((40, 5))
    Y[:, 4] = 1.0
    score = neural_predictivity(X, Y, "ridgecv", splits=3, alphas=[1e-6, 1e-5])
    assert any(
        "penalty is the smallest or the largest of the list for 5 of 5 neuroids" in note
        for note in score.notes
    )
    assert np.isnan(score.values[:, 4]).all()
    shuffled = neural_predictivity(X, Y[rng.permutation(40)], "ridgecv", splits=20)
    assert abs(shuffled.raw) < 0.25
    for options, message in (
        ({"alphas": [1.0, 0.0]}, "must be numbers above 0"),
        ({"alphas": "long"}, "is unknown; give numbers, or choose one of standard, reduced, powers"),
        ({"alpha_per": "subject"}, "needs subjects, the name of the subject of each of the 5 neuroids"),
        ({"alpha_per": "area"}, "choose one of all, subject, neuroid"),
    ):
        with pytest.raises(CornetError, match=message):
            neural_predictivity(X, Y, "ridgecv", **options)


def test_many_neuroids_have_the_errors_of_few():
    """More neuroids than stimuli are compared by quadratic forms, in blocks of 256 rows."""
    rng = np.random.default_rng(1)
    X = torch.from_numpy(rng.standard_normal((300, 320)))
    Y = X[:, :40] @ torch.from_numpy(rng.standard_normal((40, 330))) + 3 * torch.from_numpy(
        rng.standard_normal((300, 330))
    )
    Y = Y - Y.mean(dim=0)
    spectrum, alphas = Spectrum.of_gram(X @ X.T), as_penalties(None)
    direct = spectrum.left_out_errors(Y, alphas)
    groups = np.repeat([0, 1, 2], 110)
    parts = [(group, Y[:, groups == group]) for group in (0, 1, 2)]
    found = GroupErrors(spectrum, parts, 3).left_out_errors(alphas)
    expected = np.stack([direct[:, groups == group].sum(axis=1) for group in (0, 1, 2)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_penalties_of_many_subjects_are_those_of_each_alone():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 80))
    Y = X[:, :10] @ rng.standard_normal((10, 90)) + 2 * rng.standard_normal((60, 90))
    Y[:, 30:60] *= 30
    subjects = np.repeat(["a", "b", "c"], 30)
    splits = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    options = {"splits": splits, "metric": "ridgecv"}
    together = neural_predictivity(X, Y, alpha_per="subject", subjects=subjects, **options)
    for name in "abc":
        alone = neural_predictivity(X, Y[:, subjects == name], **options)
        np.testing.assert_allclose(together.values[:, subjects == name], alone.values, atol=1e-10)
        np.testing.assert_array_equal(
            together.details["alphas"][:, subjects == name], alone.details["alphas"]
        )
    train, test = splits[0]
    model = RidgeCV(as_penalties(None)).fit(X[train], Y[train])  # one penalty for 90 neuroids
    shared = neural_predictivity(X, Y, **options)
    assert shared.details["alphas"][0, 0] == model.alpha_
    predicted = model.predict(X[test])
    r = [np.corrcoef(predicted[:, k], Y[test, k])[0, 1] for k in range(90)]
    np.testing.assert_allclose(shared.values[0], r, atol=1e-9)
