"""What a network learns: heads, loss and metrics, one task a file."""

from cornet.tasks.base import Outputs, Task
from cornet.tasks.classification import Classification
from cornet.tasks.multitask import ClassHead, Multitask
from cornet.tasks.regression import Regression

__all__ = ["ClassHead", "Classification", "Multitask", "Outputs", "Regression", "Task"]
