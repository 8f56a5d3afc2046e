"""Terms that are added to the loss of a task, one a file."""

from cornet.losses.base import Loss
from cornet.losses.harmonisation import Harmonisation
from cornet.losses.readouts import Readouts
from cornet.losses.recordings import RecordingAlignment
from cornet.losses.weight_penalty import WeightPenalty

__all__ = ["Harmonisation", "Loss", "Readouts", "RecordingAlignment", "WeightPenalty"]
