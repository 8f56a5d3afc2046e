"""What a network learns: heads, loss and metrics, one task a file."""

from cornet.tasks.base import Outputs, Task
from cornet.tasks.classification import Classification

__all__ = ["Classification", "Outputs", "Task"]
