"""Subjects to compare with brains: cornet's networks, other networks, image filters, recorded features."""

from cornet.brain.subjects.filters import GaborSubject, PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.open import open_subject
from cornet.brain.subjects.recorded import RecordedSubject

__all__ = [
    "GaborSubject",
    "LayerSubject",
    "NetworkSubject",
    "PixelSubject",
    "RecordedSubject",
    "open_subject",
]
