"""Trials and probabilities for the tests of behaviour: the golden ones, and small ones drawn from a seed."""

import numpy as np
import pandas as pd

from tests.helpers.brain.golden_comparisons import golden


def golden_trials() -> pd.DataFrame:
    g = golden("behavior")
    names = {"stimulus_id": "stimulus", "sample": "sample", "distractor": "distractor", "choice": "choice"}
    return pd.DataFrame({column: g[f"trial_{name}"] for column, name in names.items()})


def drawn(seed: int, images: int, objects: int, trials: int, shuffled: bool = True):
    """(probabilities, choices, stimulus_ids, truth, trials); every image has at least one trial."""
    random = np.random.default_rng(seed)
    choices = np.array([f"object {k}" for k in random.permutation(objects)])
    ids = np.array([f"s{k:03d}" for k in random.permutation(images)])
    truth = np.arange(images) % objects
    probabilities = random.dirichlet(np.ones(objects), images)
    image = np.concatenate([np.arange(images), random.integers(0, images, trials - images)])
    if shuffled:
        image = random.permutation(image)
    distractor = (truth[image] + random.integers(1, objects, len(image))) % objects
    # The observers are wrong more often where the model is, so that there is something to find.
    taken = probabilities[image, distractor]
    wrong = random.random(len(image)) < taken / (taken + probabilities[image, truth[image]])
    table = pd.DataFrame(
        {
            "stimulus_id": ids[image],
            "sample": choices[truth[image]],
            "distractor": choices[distractor],
            "choice": choices[np.where(wrong, distractor, truth[image])],
        }
    )
    return probabilities, choices, ids, choices[truth], table
