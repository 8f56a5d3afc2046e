"""What tests of the rendered objects look at: single traced shapes."""

import numpy as np

from cornet.stimuli.objects.solids import Solid
from cornet.stimuli.objects.tracing import Shape, Traced, trace

LIGHT = np.array([0.0, 0.6, 0.8])


def inside(solid: Solid, points: np.ndarray) -> np.ndarray:
    """By the definition: (..., 3) -> (...)."""
    ones = np.concatenate([points, np.ones((*points.shape[:-1], 1))], -1)
    result = (ones @ solid.planes.T <= 0).all(-1)
    if solid.quadric is not None:
        result &= np.einsum("...i,ij,...j->...", ones, solid.quadric, ones) <= 0
    return result


def shown(shape: Shape, **changes: object) -> Traced:
    settings = {
        "turn": np.eye(3),
        "diameter": 0.6,
        "x": 0.0,
        "y": 0.0,
        "light": LIGHT,
        "size": 96,
        "antialias": 3,
    }
    traced = trace(shape, **{**settings, **changes})  # type: ignore[arg-type]
    assert traced is not None
    return traced


def centroid(traced: Traced, size: int) -> np.ndarray:
    """(x, y) of the silhouette in image widths from the centre, y upwards."""
    rows, columns = np.mgrid[traced.rows, traced.columns] + 0.5
    weights = traced.coverage / traced.coverage.sum()
    return np.array([(columns * weights).sum() / size - 0.5, 0.5 - (rows * weights).sum() / size])
