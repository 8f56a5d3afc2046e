"""Brain data and comparisons with them: numpy and torch, on a CPU or a GPU.

from cornet import brain
bundle = brain.load_bundle("my-bundle")
score = brain.neural_predictivity(features, responses, metric="pls")

Each name is loaded with its first use, so that `import cornet` stays quick.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Recording": "subject",
    "Score": "score",
    "Site": "subject",
    "Subject": "subject",
}
"""Public names, each with the module of this package that it lives in."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cornet.brain' has no attribute {name!r}")
    value = getattr(import_module(f"cornet.brain.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
