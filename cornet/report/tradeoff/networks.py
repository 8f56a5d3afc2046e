"""The panels of the 243 published networks of the CORnet-S paper."""

import re

import numpy as np

from cornet.report.published.numbers import published_models
from cornet.report.tradeoff.fit import LEAST_POINTS
from cornet.report.tradeoff.points import Panel, Point

__all__ = ["SCORES", "published_panels"]

SCORES = {"V4": "v4", "IT": "it", "behaviour": "behaviour", "Brain-Score": "brain_score", "OST": "ost"}
"""{title of the panel: column of `published_models`}."""

_CHECKPOINT = re.compile(r"--\d+$")


def published_panels() -> tuple[list[Panel], list[str]]:
    """Return a panel for each score, and notes.

    Checkpoints of one BaseNet are a variant; every other network is a variant of its own. A network without solution
    times has 0 for them in the source and no point here, so there is no panel of OST unless several networks have them.
    """
    models = published_models()
    panels, notes = [], []
    for title, column in SCORES.items():
        values = models[column].where(models[column] != 0) if column == "ost" else models[column]
        known = models[np.isfinite(values) & np.isfinite(models["imagenet"])]
        if len(known) < LEAST_POINTS:
            named = f" ({known['model'].iloc[0]})" if len(known) == 1 else ""
            notes.append(
                f"{title} of the published networks is not shown: {len(known)} of {len(models)}{named} has solution "
                "times, and the others count as 0"
            )
            continue
        points = [
            Point(str(name), _CHECKPOINT.sub("", str(name)), str(name), float(accuracy), float(score))
            for name, accuracy, score in zip(known["model"], known["imagenet"], known[column], strict=True)
        ]
        region = {"V4": "V4", "IT": "IT", "behaviour": "behaviour"}.get(title, "")
        panels.append(Panel(title, tuple(points), "published", "ImageNet top-1", "raw", region))
    return panels, notes
