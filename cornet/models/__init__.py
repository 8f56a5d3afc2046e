"""Models of the ventral stream: CORnet-Z, -R, -RT and -S, in pure PyTorch, and further families.

Names are imported on first use, so that listing the models needs no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cornet.models.area_table import Area as Area
    from cornet.models.base import Network as Network
    from cornet.models.cornet.network import CORnet as CORnet
    from cornet.models.cornet.published import load_published as load_published
    from cornet.models.cornet.published import to_published as to_published
    from cornet.models.costs import ModelSummary as ModelSummary
    from cornet.models.costs import count_macs as count_macs
    from cornet.models.costs import describe as describe
    from cornet.models.create import create_model as create_model
    from cornet.models.registry import list_models as list_models
    from cornet.models.registry import register as register

_MODULES = {
    "Area": "area_table",
    "CORnet": "cornet.network",
    "ModelSummary": "costs",
    "Network": "base",
    "count_macs": "costs",
    "create_model": "create",
    "describe": "costs",
    "list_models": "registry",
    "load_published": "cornet.published",
    "register": "registry",
    "to_published": "cornet.published",
}
"""Public names, and the module of this package that defines each."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cornet.models' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
