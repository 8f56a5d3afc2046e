"""Inference on fixed models: do their RDMs agree with those of subjects, which one better, and is any at the ceiling?

Over subjects: t tests of the comparisons with each subject; values equal those of rsatoolbox 0.3.2. Over subjects and
stimuli: a bootstrap of both, whose variances are combined so that neither is counted twice (Schuett et al. 2023, eLife
12:e82566): 2 (var_subjects + var_stimuli) - var_both, at least each of the first two and at most the third.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from cornet.brain.metrics.rsa.comparisons import (
    COMPARISONS,
    compare_all,
    rdm_ceilings,
    rdm_vectors,
    stimuli_of,
)
from cornet.errors import CornetError, check_choice

__all__ = ["RdmInference", "rdm_inference"]

Over = Literal["subjects", "subjects and stimuli"]


@dataclass(frozen=True, eq=False)
class RdmInference:
    """Results of `rdm_inference`.

    values: (model, subject). variances: (model,), of the mean over subjects. gap_variances: (model, model), of the
    difference of two means. lower, upper: the ceilings; ceiling_gap_variances: (model,), of the lower ceiling minus the
    model, the ceiling taken as constant over subjects. freedom: degrees of freedom of the t tests.
    """

    values: NDArray[np.float64] = field(repr=False)
    variances: NDArray[np.float64]
    gap_variances: NDArray[np.float64] = field(repr=False)
    lower: float
    upper: float
    freedom: int
    comparison: str
    over: str
    stimuli: int

    @property
    def means(self) -> NDArray[np.float64]:
        """(model,), over subjects."""
        return self.values.mean(axis=1)

    @property
    def p_zero(self) -> NDArray[np.float64]:
        """(model,), one-sided: whether a model agrees better than chance."""
        return student.sf(ratio(self.means, self.variances), self.freedom)

    @property
    def p_pairs(self) -> NDArray[np.float64]:
        """(model, model), two-sided: whether two models differ; 1 on the diagonal."""
        gaps = self.means[:, None] - self.means
        found = 2 * student.sf(np.abs(ratio(gaps, self.gap_variances)), self.freedom)
        np.fill_diagonal(found, 1.0)
        return found

    @property
    def p_ceiling(self) -> NDArray[np.float64]:
        """(model,), two-sided: whether a model differs from the lower ceiling."""
        return 2 * student.sf(np.abs(ratio(self.means - self.lower, self.variances)), self.freedom)

    @property
    def intervals(self) -> NDArray[np.float64]:
        """(model, 2), 95 % of the mean."""
        reach = student.ppf(0.975, self.freedom) * np.sqrt(self.variances)
        return np.stack([self.means - reach, self.means + reach], axis=1)

    def table(self) -> pd.DataFrame:
        """One row per model: mean, low, high, p_zero, p_ceiling, both ceilings, numbers of subjects and stimuli."""
        low, high = self.intervals.T
        return pd.DataFrame(
            {
                "mean": self.means,
                "low": low,
                "high": high,
                "p_zero": self.p_zero,
                "p_ceiling": self.p_ceiling,
                "lower": self.lower,
                "upper": self.upper,
                "subjects": self.values.shape[1],
                "stimuli": self.stimuli,
            }
        )


def ratio(values: NDArray[np.float64], variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """values / sqrt(variances); 0 where both are 0."""
    root = np.sqrt(variances)
    found: NDArray[np.float64] = np.divide(values, root, out=np.zeros_like(values), where=root > 0)
    return np.where((root == 0) & (values != 0), np.copysign(np.inf, values), found)


def rdm_inference(
    models: ArrayLike,
    subjects: ArrayLike,
    comparison: str = "cosine",
    over: Over = "subjects",
    draws: int = 1000,
    seed: int = 0,
) -> RdmInference:
    """Compare the RDMs of models with those of subjects, with tests that hold for other subjects, or stimuli too.

    models, subjects: (rdm, stimulus, stimulus) or (rdm, pair), of the same stimuli, without missing values. comparison:
    see `cornet.brain.metrics.rsa.comparisons`. over: what the tests generalise to; "subjects and stimuli" draws both
    with replacement, `draws` times, and leaves out pairs of one stimulus with itself.

    Raises CornetError for fewer than two subjects, unknown names, and shapes that do not match.
    """
    check_choice("comparison", comparison, tuple(COMPARISONS))
    check_choice("over", over, get_args(Over))
    model, subject = rdm_vectors(models, "models"), rdm_vectors(subjects, "subjects")
    if len(subject) < 2:
        raise CornetError(f"tests need RDMs of at least 2 subjects, but got {len(subject)}; add more.")
    values = compare_all(model, subject, comparison)
    lower, upper = rdm_ceilings(subject, comparison)
    count, stimuli = len(subject), stimuli_of(subject.shape[1])
    freedom = count - 1
    covariance = np.atleast_2d(np.cov(values)) / count
    if over != "subjects":
        covariance = two_factor(model, subject, comparison, draws, seed)
        freedom = min(count, stimuli) - 1
    variances = np.diagonal(covariance).copy()
    gaps = np.clip(variances[:, None] + variances - covariance - covariance.T, 0, None)
    return RdmInference(values, variances, gaps, lower, upper, freedom, comparison, over, stimuli)


def two_factor(
    models: NDArray[np.float64], subjects: NDArray[np.float64], comparison: str, draws: int, seed: int
) -> NDArray[np.float64]:
    """Covariance (model, model) of the means, over draws of subjects and stimuli."""
    rng = np.random.default_rng(seed)
    count, stimuli = len(subjects), stimuli_of(subjects.shape[1])
    how = COMPARISONS[comparison]
    rows, columns = np.triu_indices(stimuli, 1)
    place = np.zeros((stimuli, stimuli), np.int64)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))

    def means(who: NDArray[np.int64], shown: NDArray[np.int64] | None) -> NDArray[np.float64]:
        pairs = slice(None)
        if shown is not None:
            a, b = shown[rows], shown[columns]
            pairs = place[a, b][a != b]
        unique, weight = np.unique(who, return_counts=True)
        found = np.array([[how(model[pairs], subjects[one][pairs]) for one in unique] for model in models])
        return found @ weight / len(who)

    every = np.arange(count)
    parts = []
    for some_subjects, some_stimuli in ((True, False), (False, True), (True, True)):
        drawn = []
        for _ in range(draws):
            who = rng.integers(count, size=count) if some_subjects else every
            shown = rng.integers(stimuli, size=stimuli) if some_stimuli else None
            drawn.append(means(who, shown))
        known = np.array(drawn)
        parts.append(np.atleast_2d(np.cov(known[np.isfinite(known).all(axis=1)].T)))
    own, other, both = parts
    own = own * (count / (count - 1))
    other = other * (stimuli / (stimuli - 1))
    combined = 2 * (own + other) - both
    least, most = np.maximum(np.diagonal(own), np.diagonal(other)), np.diagonal(both)
    wanted = np.clip(np.diagonal(combined), least, np.maximum(most, least))
    scale = np.sqrt(
        np.divide(wanted, np.diagonal(combined), out=np.ones(len(wanted)), where=np.diagonal(combined) > 0)
    )
    result: NDArray[np.float64] = combined * scale[:, None] * scale
    np.fill_diagonal(result, wanted)
    return result
