"""What brain scores need from a LightningModule: its network, which weights it holds, and provenance."""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pytorch_lightning as pl
from torch import nn

from cornet.brain.benchmarks import Benchmark
from cornet.errors import CornetError

__all__ = [
    "Network",
    "ScoredModule",
    "averaged_weights",
    "find_network",
    "provenance_columns",
    "weights_held",
]

Network = str | Callable[[Any], nn.Module] | None
"""The network of a module: an attribute's name, a function of the module, or None for the module itself."""


class ScoredModule(Protocol):
    """Attributes that a LightningModule may have, for `BrainScore` and `StepMatrix`; all are optional."""

    scored_network: str
    """Name of the attribute with the network, if the callback has no argument `network`."""

    scored_weights: str
    """The weights that the network holds now, for the column `weights`: "raw" or "averaged"."""

    task_metric: str
    """Name of the logged metric to write beside the scores."""

    own_benchmarks: Sequence[Benchmark[Any]]
    """Benchmarks to score besides those of the callback, such as held-out data of a loss."""

    def averaged_weights(self) -> contextlib.AbstractContextManager[None]:
        """A context in which the network holds the averaged weights that validation uses, if there are any."""
        ...

    def provenance_columns(self) -> Mapping[str, Any]:
        """Columns for every row of scores.csv: seed, images, commit, versions and config (all text or numbers)."""
        ...


def find_network(module: Any, network: Network) -> nn.Module:
    """Return the network to score. Raises CornetError if there is none of that name, or it is not a torch.nn.Module."""
    network = getattr(module, "scored_network", None) if network is None else network
    if network is None:
        return module
    if isinstance(network, str):
        found = module
        for part in network.split("."):
            if not hasattr(found, part):
                children = (
                    [name for name, _ in found.named_children()] if isinstance(found, nn.Module) else []
                )
                near = difflib.get_close_matches(part, children, 3) or children
                raise CornetError(
                    f"network={network!r} is not an attribute of {type(module).__name__}; "
                    f"choose one of {', '.join(near) or '(it has no modules)'}."
                )
            found = getattr(found, part)
        source = f"network={network!r}"
    else:
        found, source = network(module), "the function given as network"
    if not isinstance(found, nn.Module):
        raise CornetError(f"{source} gives a {type(found).__name__}, but must give a torch.nn.Module.")
    return found


def weight_averaging(trainer: pl.Trainer) -> Any:
    """Return Lightning's callback that averages weights, once it has an average; None without one."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if any(kind.__name__ == "WeightAveraging" for kind in type(callback).__mro__):
            return callback if getattr(callback, "_average_model", None) is not None else None
    return None


def weights_held(module: Any) -> str:
    """Return which weights the network holds now: "raw", or "averaged" if the module says so."""
    return str(getattr(module, "scored_weights", "raw"))


@contextlib.contextmanager
def averaged_weights(trainer: pl.Trainer, module: Any, validated_by: Any = None) -> Iterator[str]:
    """A context in which the network holds the weights that validation uses. Gives their kind: "averaged" or "raw".

    These are the averaged ones of the module (`ScoredModule.averaged_weights`) or of Lightning's WeightAveraging.
    validated_by: the callback that calls this in on_validation_epoch_end; None: called outside a validation.
    """
    if hasattr(module, "averaged_weights"):
        with module.averaged_weights():
            yield weights_held(module)
        return
    averaging = weight_averaging(trainer)
    if averaging is None:
        yield weights_held(module)
        return
    order = list(trainer.callbacks)  # type: ignore[attr-defined]
    # During a validation, WeightAveraging holds the average until its own on_validation_epoch_end.
    held = validated_by is not None and order.index(averaging) > order.index(validated_by)
    if not held:
        averaging._swap_models(module)
    try:
        yield "averaged"
    finally:
        if not held:
            averaging._swap_models(module)


def provenance_columns(module: Any) -> dict[str, Any]:
    """Return the provenance columns of a row of scores.csv. Without those of the module: seed, commit and versions."""
    if hasattr(module, "provenance_columns"):
        return dict(module.provenance_columns())
    return dict(default_provenance())


def default_provenance() -> Mapping[str, Any]:
    import os

    from cornet.runs.provenance import Provenance, versions

    seed = os.environ.get("PL_GLOBAL_SEED", "")
    return Provenance(seed=int(seed) if seed.isdigit() else 0, versions=versions()).columns()
