"""Recurrent models of the primate ventral stream, trained and compared with brains.

`import cornet` is fast: PyTorch is imported only when the first network is created.
"""

from typing import TYPE_CHECKING, Any

from cornet.errors import CornetError
from cornet.models.timm_api.hook import watch_timm

if TYPE_CHECKING:
    from cornet import brain as brain
    from cornet.brain.scoring import score as score
    from cornet.export.pretrained import save_pretrained as save_pretrained
    from cornet.models import create_model as create_model
    from cornet.models import list_models as list_models
    from cornet.models import load_published as load_published
    from cornet.models import to_published as to_published
    from cornet.models.pretrained import from_pretrained as from_pretrained
    from cornet.runs.folder import load_run as load_run
    from cornet.training.callbacks.brain_score import BrainScore as BrainScore
    from cornet.training.callbacks.solution_times import ObjectSolutionTimes as ObjectSolutionTimes
    from cornet.training.callbacks.step_matrix import StepMatrix as StepMatrix
    from cornet.training.callbacks.time_matrix import TimeMatrix as TimeMatrix

    __version__: str

MODELS = ("create_model", "list_models", "load_published", "to_published")

ELSEWHERE = {
    "BrainScore": "cornet.training.callbacks.brain_score",
    "ObjectSolutionTimes": "cornet.training.callbacks.solution_times",
    "StepMatrix": "cornet.training.callbacks.step_matrix",
    "TimeMatrix": "cornet.training.callbacks.time_matrix",
    "from_pretrained": "cornet.models.pretrained",
    "load_run": "cornet.runs.folder",
    "save_pretrained": "cornet.export.pretrained",
    "score": "cornet.brain.scoring",
    **dict.fromkeys(MODELS, "cornet.models"),
}
"""Public names, and the module that defines each; it is imported on first use."""

__all__ = ["CornetError", "__version__", "brain", *ELSEWHERE]


def __getattr__(name: str) -> Any:
    value: Any
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value = version("cornet-ventral")
        except PackageNotFoundError:  # run from the source tree
            value = "unknown"
    elif name == "brain":
        from importlib import import_module

        value = import_module("cornet.brain")
    elif name in ELSEWHERE:
        from importlib import import_module

        value = getattr(import_module(ELSEWHERE[name]), name)
    else:
        raise AttributeError(f"module 'cornet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


watch_timm()
