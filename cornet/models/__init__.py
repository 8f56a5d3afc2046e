"""Networks of the ventral stream. Pure torch."""

from cornet.models.catalogue import list_models
from cornet.models.network import CORnet
from cornet.models.published import load_published, to_published
from cornet.models.registry import create_model
from cornet.models.summary import ModelSummary, count_macs, describe

__all__ = [
    "CORnet",
    "ModelSummary",
    "count_macs",
    "create_model",
    "describe",
    "list_models",
    "load_published",
    "to_published",
]
