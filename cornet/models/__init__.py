"""Models of the ventral stream: CORnet-Z, -R, -RT and -S, in pure PyTorch."""

from cornet.models.catalogue import list_models
from cornet.models.cornet.network import CORnet
from cornet.models.cornet.published import load_published, to_published
from cornet.models.costs import ModelSummary, count_macs, describe
from cornet.models.registry import create_model

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
