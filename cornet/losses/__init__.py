"""Terms that are added to the loss of a task, one a file."""

from cornet.losses.base import Loss
from cornet.losses.readouts import Readouts

__all__ = ["Loss", "Readouts"]
