"""Tables of a circuit's wiring: measures, matrices, and distributions of weights and claws."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.wiring.claws import ClawCount, count_claws, has_peak
from cornet.brain.wiring.glomeruli import glo_score, similarity_score, type_weights, types_covered
from cornet.models.fly.wiring import Wiring

__all__ = ["claw_table", "connection_table", "measure_wiring"]

GLOMERULI, CLAWS = "glomeruli", "claws"
MOST = 100
"""Rows of a matrix in a table."""
BINS = 60
Floats = NDArray[np.float64]


def measure_wiring(wiring: Wiring, seed: int = 0) -> dict[str, Any]:
    """Measures of a circuit, by column of wiring.csv.

    glo: GloScore. types: receptor types that are the largest input of some projection neuron; types_chance: what as
    many independent choices cover. glo_shuffled: GloScore after the receptor neurons of each projection neuron were
    shuffled, a control where a type has several copies. glo_signed: with the weights in place of their magnitudes.
    similarity: of the copies of a type. claws, claws_sd: K and its standard deviation. no_claws: share of cells without
    connection. threshold, inferred: of connections. peak: whether connections have a peak of their own. Of a circuit
    that learns which receptors its neurons express: glo and types of the product, and glo_expression.
    seed: of shuffles.
    """
    types, weights = by_type(wiring)
    raw = wiring.glomeruli.double().cpu().numpy()
    shuffled = np.random.default_rng(seed).permuted(np.abs(raw), axis=1)
    copies_only = wiring.expression is None
    found: dict[str, Any] = {
        "receptors": types,
        "glo": glo_score(weights)[0],
        "types": types_covered(weights),
        "types_chance": types * (1 - (1 - 1 / types) ** len(weights)),
        "glo_shuffled": glo_score(type_weights(shuffled, types))[0] if copies_only else np.nan,
        "glo_signed": glo_score(type_weights(raw, types, signed=True))[0] if copies_only else np.nan,
        "glo_expression": np.nan,
        "similarity": similarity_score(raw, types)[0] if copies_only else np.nan,
    }
    if wiring.expression is not None:
        found["glo_expression"] = glo_score(wiring.expression.double().cpu().numpy())[0]
    claws = claw_count(wiring)
    return found | {
        "claws": claws.mean,
        "claws_sd": claws.sd,
        "no_claws": claws.none,
        "threshold": claws.threshold,
        "inferred": claws.inferred,
        "peak": has_peak(wiring.claws.double().cpu().numpy(), claws.threshold),
    }


def by_type(wiring: Wiring) -> tuple[int, Floats]:
    """Number of receptor types, and the weight from each to each projection neuron, (PN, type)."""
    weights = wiring.glomeruli.double().cpu().numpy()
    if wiring.expression is None:
        return wiring.receptors, type_weights(weights, wiring.receptors)
    product: Floats = np.abs(weights) @ wiring.expression.double().cpu().numpy()
    return wiring.receptors, product


def claw_count(wiring: Wiring) -> ClawCount:
    """The claws of each Kenyon cell."""
    return count_claws(wiring.claws.double().cpu().numpy(), wiring.threshold)


def connection_table(wiring: Wiring) -> pd.DataFrame:
    """Both matrices: columns layer (glomeruli: PN from types; claws: KC from PN), to, from, weight.

    Weights to Kenyon cells below the threshold are 0. Of a larger matrix, 100 evenly spaced rows.
    """
    _, weights = by_type(wiring)
    claws = np.abs(wiring.claws.double().cpu().numpy())
    claws = np.where(claws > claw_count(wiring).threshold, claws, 0)
    return pd.concat([matrix_rows(GLOMERULI, weights), matrix_rows(CLAWS, claws)], ignore_index=True)


def matrix_rows(layer: str, matrix: Floats) -> pd.DataFrame:
    """The rows of a matrix (to, from) as a table."""
    chosen = np.unique(np.linspace(0, len(matrix) - 1, min(MOST, len(matrix))).astype(int))
    columns = matrix.shape[1]
    return pd.DataFrame(
        {
            "layer": layer,
            "to": np.repeat(chosen, columns),
            "from": np.tile(np.arange(columns), len(chosen)),
            "weight": matrix[chosen].ravel().round(6),
        }
    )


def claw_table(wiring: Wiring) -> pd.DataFrame:
    """Histograms: columns kind (weights, or claws), low, high (of the bin), count, threshold (of weights).

    Weights are in 60 bins of equal width on a logarithmic axis, without those of 0 (column zeros).
    """
    weights, claws = np.abs(wiring.claws.double().cpu().numpy()).ravel(), claw_count(wiring)
    positive = weights[weights > 0]
    rows = []
    if len(positive):
        low, high = np.log10(positive.min()), np.log10(positive.max())
        edges = np.logspace(low, max(high, low + 1e-6), BINS + 1)
        edges[0], edges[-1] = positive.min(), max(positive.max(), edges[-2])
        counts, _ = np.histogram(positive, edges)
        rows += [("weights", *bin_) for bin_ in zip(edges[:-1], edges[1:], counts, strict=True)]
    counts = np.bincount(claws.counts)
    rows += [(CLAWS, k - 0.5, k + 0.5, count) for k, count in enumerate(counts)]
    table = pd.DataFrame(rows, columns=["kind", "low", "high", "count"])
    return table.assign(threshold=claws.threshold, zeros=len(weights) - len(positive))
