"""Measures of the wiring of an olfactory circuit, to compare with the anatomy of the fly."""

from cornet.brain.wiring.claws import ClawCount as ClawCount
from cornet.brain.wiring.claws import count_claws as count_claws
from cornet.brain.wiring.claws import has_peak as has_peak
from cornet.brain.wiring.glomeruli import glo_score as glo_score
from cornet.brain.wiring.glomeruli import similarity_score as similarity_score
from cornet.brain.wiring.glomeruli import type_weights as type_weights
from cornet.brain.wiring.glomeruli import types_covered as types_covered
from cornet.brain.wiring.threshold import infer_threshold as infer_threshold

__all__ = [
    "ClawCount",
    "count_claws",
    "glo_score",
    "has_peak",
    "infer_threshold",
    "similarity_score",
    "type_weights",
    "types_covered",
]
