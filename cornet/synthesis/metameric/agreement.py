"""Do people and other networks recognise the same metamers? The main statistic of Feather et al. 2023.

One point for each experiment, network and stage: people's mean accuracy, and the mean accuracy of all other networks,
both in the task with 16 classes. The unchanged photographs are left out.
"""

from dataclasses import dataclass, field

import pandas as pd
from scipy.stats import pearsonr, spearmanr

from cornet.errors import CornetError

__all__ = ["Agreement", "people_and_networks"]

NATURAL = "natural_image"
PEOPLE = ("experiment", "generator", "stage", "human_correct")
NETWORKS = ("generator", "evaluator", "stage", "correct_16")


@dataclass(frozen=True, eq=False)
class Agreement:
    """points: experiment, generator, stage, human_correct and correct_16 (mean of all other networks). spearman,
    pearson: correlations of these two. networks: number of generating networks."""

    points: pd.DataFrame = field(repr=False)
    spearman: float
    pearson: float
    networks: int


def people_and_networks(people: pd.DataFrame, networks: pd.DataFrame) -> Agreement:
    """Correlate people's recognition of metamers with that of other networks, over experiments, networks and stages.

    people: one row for each participant and stage, with the columns of `PEOPLE`. networks: one row for each generator,
    evaluator and stage, with the columns of `NETWORKS`. Accuracies are shares in 0..1.

    Raises CornetError for missing columns, and for fewer than three points in common.
    """
    for what, table, columns in (("people", people, PEOPLE), ("networks", networks, NETWORKS)):
        if missing := [name for name in columns if name not in table]:
            raise CornetError(
                f"the table of {what} has no column {missing[0]}; it needs {', '.join(columns)}."
            )
    shown = people[people["stage"] != NATURAL]
    theirs = shown.groupby(["experiment", "generator", "stage"], as_index=False)["human_correct"].mean()
    others = networks[networks["generator"] != networks["evaluator"]]
    mean = others.groupby(["generator", "stage"], as_index=False)["correct_16"].mean()
    points = theirs.merge(mean, on=["generator", "stage"])
    if len(points) < 3:
        raise CornetError(
            f"people and networks have {len(points)} stages of generators in common, but at least 3 are needed; give "
            "tables of the same networks."
        )
    rank = spearmanr(points["human_correct"], points["correct_16"]).statistic
    linear = pearsonr(points["human_correct"], points["correct_16"]).statistic
    return Agreement(points, float(rank), float(linear), points["generator"].nunique())
