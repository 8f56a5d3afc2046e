"""Networks of the ventral stream. Pure torch."""

from cornet.models.network import CORnet
from cornet.models.registry import create_model, list_models

__all__ = ["CORnet", "create_model", "list_models"]
