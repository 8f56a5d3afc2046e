"""Images made through a network: stimuli that drive neurons, and metamers.

from cornet import synthesis
stages = {subject.name: synthesis.choose_stages(subject)}
study = synthesis.make_metamers([subject], stages, images, pairs, schedule=synthesis.default_schedule(64))

Names are imported on first use.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "FactorisedMapping": "driven.factorised",
    "choose_stages": "metameric.stages",
    "closeness": "metamers",
    "default_schedule": "metameric.study",
    "drive": "driving",
    "fit_ridge": "driven.mapping",
    "make_metamers": "metameric.study",
    "open_images": "images",
    "open_source": "images",
    "pairs_of_source": "metameric.null",
    "people_and_networks": "metameric.agreement",
    "Stage": "stage",
    "stage_site": "stage",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"cornet.synthesis.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
