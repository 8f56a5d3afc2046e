"""Score a network on brain benchmarks in one call, as a pandas table."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from cornet.brain.benchmarks import Benchmark, open_benchmarks, run_battery
from cornet.brain.choosing import choose
from cornet.brain.subjects import open_subject
from cornet.brain.subjects.any_network import Milliseconds, subject_of
from cornet.brain.subjects.layer_file import is_layer_file, read_layers
from cornet.brain.subjects.record.on_device import device_of
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["AUTO", "check_layers", "opened_benchmarks", "score", "with_times"]

log = logging.getLogger("cornet")

AUTO = "auto"

Layers = Mapping[str, str | Site] | str | None


def score(
    model: nn.Module | str | Subject,
    on: str | Sequence[str | Benchmark[Any]],
    layers: Layers = None,
    *,
    size: int | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    degrees: float | None = None,
    step_ms: Milliseconds | None = None,
    onset_ms: Milliseconds | None = None,
    choose_on: str = "",
    device: torch.device | str | None = None,
    precision: str = "auto",
    strict: bool = True,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Score a network on brain benchmarks: a table with one row per benchmark.

    cornet.score(model, on=["my-bundle", "simulated"], layers={"V4": "layer3", "IT": "layer4"}, size=64)

    model: any torch.nn.Module that takes images (batch, 3, size, size); text as for `cornet score`, such as "cornet_s",
        "torchvision:resnet18", a run's folder or "my_package.nets:build"; or a subject.
    on: names of benchmarks or groups, folders with a bundle, or benchmarks from `cornet.brain.open_benchmarks`. Open
        them once and pass them to score repeatedly in a loop: their data are then loaded once.
    layers: the layer for each region, as in `cornet.brain.subjects.any_network.subject_of`. "auto": for each region the
        layer that compares best with the bundle `choose_on`, by the first metric. The path of a file that
        `cornet layers` has written: the layers in it. Cornet's networks need none.
        Benchmarks of a group or a bundle whose region has no layer are left out, with a line in the log.
    size: pixels per side of the input; None: 224, or for text that of the model. mean, std: per channel, of images
        scaled to 0..1; default: ImageNet's. Text has its own.
    degrees: visual angle of the input; None: 8.
    step_ms, onset_ms: times of layers that run several times in a forward pass, see `subject_of`.
    device: where to record and compare; None: that of the module, or for text a GPU if there is one.
    precision: as in `NetworkSubject`.
    strict: raise the error of a benchmark that cannot be scored; False: describe it in the column `failure`.
    progress: show progress on a terminal.
    options: metric, scale, decoder, time_bin, groups, stratify, ignore, as in `cornet.brain.open_benchmarks`. With
        metric=["pls", "cka"] there is a row for each metric of a benchmark.

    Columns: model, benchmark, version, region, simulated, sites (layers compared), metric, split_rule, brain_data
    (hash), value (on `scale`), value_error, scale, raw, error, ceiling, n, splits, neuroids, notes, seconds, failure.

    The network keeps its weights, training flags, buffers and random state, so that this can be called during training.
    Recordings of a network given as text are cached; those of a module are not, since its weights may change.

    Raises CornetError for unknown benchmarks, layers (with near names) and options.
    """
    if device is None and isinstance(model, nn.Module):
        device = device_of(model)
    elif device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = [on] if isinstance(on, str) else list(on)
    opened = opened_benchmarks(names, device, options)
    check_layers(layers, choose_on)
    given = None if isinstance(layers, str) else layers
    if isinstance(model, str):
        regions = {region: str(layer) for region, layer in (given or {}).items()}
        subject: Any = open_subject(
            model, device, size=size, degrees=degrees, regions=regions, precision=precision
        )
        if step_ms is not None:
            subject = with_times(subject, step_ms, onset_ms)
    elif isinstance(model, nn.Module):
        screen: Any = {"size": 224 if size is None else size, "mean": mean, "std": std}
        screen["degrees"] = 8.0 if degrees is None else degrees
        times: Any = {"step_ms": step_ms, "onset_ms": onset_ms}
        place: Any = {"device": device, "precision": precision}
        subject = subject_of(model, given, name=type(model).__name__, **screen, **times, **place)
        subject.caches = False
    else:
        subject = model.with_regions(given) if given else model
    if is_layer_file(layers):
        subject = subject.with_regions(read_layers(str(layers), subject))
    if layers == AUTO:
        subject = subject.with_regions(choose(subject, choose_on, options, device).regions)
    results = run_battery([subject], opened, strict=strict, progress=progress, named=names)
    return pd.DataFrame([result.row() for result in results])


def opened_benchmarks(
    on: Sequence[str | Benchmark[Any]], device: torch.device | str, options: Mapping[str, Any]
) -> list[Benchmark[Any]]:
    """Open the benchmarks that are given by name; others are open already."""
    found: dict[str, Benchmark[Any]] = {one.name: one for one in on if isinstance(one, Benchmark)}
    names = [one for one in on if not isinstance(one, Benchmark)]
    if names or not found:
        try:
            opened = open_benchmarks(names, device=device, **options)
        except TypeError as error:
            raise CornetError(
                f"{str(error).partition('() ')[2] or error}; score takes metric, scale, decoder, time_bin, groups, "
                "stratify and ignore."
            ) from None
        found |= {one.name: one for one in opened}
    return list(found.values())


def check_layers(layers: Layers, choose_on: str) -> None:
    """Raise CornetError for text other than a file or "auto", and unless "auto" and `choose_on` come together."""
    if isinstance(layers, str) and layers != AUTO and not is_layer_file(layers):
        raise CornetError(
            f"layers={layers!r} must give a layer for each region, such as {{'V4': 'layer3'}}, be \"auto\", or name a "
            "file .json of cornet layers."
        )
    if (layers == AUTO) != bool(choose_on):
        raise CornetError(
            'layers="auto" and choose_on, a bundle on which to choose the layers, need each other; give both, or '
            "neither."
        )


def with_times(subject: Any, step_ms: Milliseconds, onset_ms: Milliseconds | None) -> Any:
    """The subject with times of its recurrent layers. Raises CornetError if its layers have times already."""
    if not hasattr(subject, "with_times"):
        raise CornetError(f"step_ms={step_ms} does not apply to {subject.name}; leave it out.")
    return subject.with_times(step_ms, onset_ms)
