"""Read the weights of files as they are found in practice, and choose those that fit a network."""

from cornet.models.weight_files.extraction import Weights, extract_weights
from cornet.models.weight_files.reading import read_weight_file

__all__ = ["Weights", "extract_weights", "read_weight_file"]
