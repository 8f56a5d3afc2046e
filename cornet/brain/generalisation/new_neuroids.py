"""New neuroids: a choice that was made on some neuroids is tested on others, on the same images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cornet.brain.generalisation.neural_case import Columns, NeuralCase
from cornet.brain.generalisation.rows import Measured, Row
from cornet.brain.metrics.by_subject import part_of
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError

__all__ = ["new_neuroids", "pooled"]

HALVINGS = 5


def new_neuroids(case: NeuralCase) -> Row:
    """Choose the site on half of the neuroids, and score it on the other half.

    A mapping is fitted for each neuroid, so it cannot be carried to another neuroid. The choice of the site (layer and
    step) can: it generalises if the site that is best for some neuroids of a region is best for others. Five random
    halvings of the neuroids are used in both directions, on the ordinary splits, and averaged.

    reference: the best site for the tested neuroids themselves, so the drop is at least 0, and is also the optimism of
    a score with a site that was chosen on the same neuroids. Each choice stays fixed while neuroids and stimuli are
    drawn. The ceiling is that of the tested neuroids.

    Raises CornetError for a model with one site, and for fewer than 4 neuroids.
    """
    neuroids = case.mean.shape[1]
    if len(case.candidates) < 2:
        raise CornetError(
            "the model has one site, so no choice is made on neuroids; use a model with several."
        )
    if neuroids < 4:
        raise CornetError(f"{case.benchmark.name} has {neuroids} neuroids, but two halves need at least 4.")
    rng = np.random.default_rng(0)
    chosen, best = [], []
    sites: list[Site] = []
    for _ in range(HALVINGS):
        order = rng.permutation(neuroids)
        halves = np.sort(order[: neuroids // 2]), np.sort(order[neuroids // 2 :])
        for choose, test in (halves, halves[::-1]):
            sites.append(case.best_site(choose))
            best.append(scored(case, own := case.best_site(test), test))
            chosen.append(best[-1] if sites[-1] == own else scored(case, sites[-1], test))
    names = sorted(set(map(str, sites)))
    return case.row(
        "new neuroids",
        dataclasses.replace(pooled(chosen), neuroids=neuroids),
        fitted="site chosen on half of the neuroids",
        tested="the other half",
        site=" ".join(names),
        against="best site of the tested half",
        reference=pooled(best),
    )


def scored(case: NeuralCase, site: Site, columns: Columns) -> Measured:
    """The ordinary score of a site for some neuroids, with their ceiling."""
    score = part_of(case.by_site[site], columns)
    return case.measured(score, case.ceiling(columns=columns), columns=columns)


def pooled(parts: Sequence[Measured]) -> Measured:
    """The mean of scores, of their ceilings, and of their draws."""
    scores = [part.score for part in parts]
    raw, ceiling, value = (
        float(np.mean([getattr(score, name) for score in scores])) for name in ("raw", "ceiling", "value")
    )
    notes = tuple(dict.fromkeys(note for score in scores for note in score.notes))
    # __post_init__ sets the value of the raw scale from `raw`.
    score = dataclasses.replace(scores[0], raw=raw, ceiling=ceiling, value=value, notes=notes)
    draws = np.mean([part.draws for part in parts], axis=0)
    return Measured(score, draws, parts[0].unit, max(part.neuroids for part in parts))
