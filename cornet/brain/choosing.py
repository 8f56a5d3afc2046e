"""Choose the layers of a subject on a bundle or on named benchmarks, with their split rules."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.data.bundle import load_bundle
from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule
from cornet.brain.metrics.neural.registry import metric_names
from cornet.brain.subjects.base import suggestion
from cornet.brain.subjects.layer_choice import LayerChoice, choose_layers
from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError

__all__ = ["choose"]

log = logging.getLogger("cornet")


def choose(
    subject: Subject,
    on: str,
    options: Mapping[str, Any],
    device: torch.device | str,
    cache: bool = True,
    *,
    regions: Sequence[str] | None = None,
    **more: Any,
) -> LayerChoice:
    """Choose for each region the layer that compares best with a separate bundle, and log the choice.

    on: a folder with a bundle, or neural benchmarks by name or group, such as simulated or majajhong2015. options:
    metric (of several, the first is used), and for a folder time_bin, groups, stratify and ignore. regions: None: all.
    more: further arguments of `choose_layers`. Splits are those of scoring. Raises CornetError if a bundle has one
    fixed split, and for unknown regions.
    """
    metric = metric_names(options.get("metric") or "pls")[0]
    more["cache"] = cache and getattr(subject, "caches", True)
    more |= {"metric": metric, "device": device}
    if Path(on).expanduser().exists():
        choice, rules = on_bundle(subject, on, options, regions, more)
    else:
        choice, rules = on_benchmarks(subject, on, options, regions, more)
    layers = ", ".join(f"{region}: {site}" for region, site in choice.regions.items())
    log.warning("%s: chosen on %s: %s (%s)", subject.name, choice.bundle, layers, rules)
    for note in choice.notes:
        log.warning("  %s", note)
    return choice


def on_bundle(
    subject: Subject,
    folder: str,
    options: Mapping[str, Any],
    regions: Sequence[str] | None,
    more: Mapping[str, Any],
) -> tuple[LayerChoice, str]:
    """The choice on a folder with a bundle, and its split rule."""
    bundle = load_bundle(folder)
    ignore = options.get("ignore")
    asked = SplitOptions(options.get("groups"), options.get("stratify"), tuple(ignore) if ignore else None)
    rule = split_rule(bundle, read_rule_file(Path(folder).expanduser()), asked)
    if rule.fixed:
        raise CornetError(
            f"{folder} defines one fixed split, but choosing layers needs several; give groups or stratify."
        )
    time_bin = options.get("time_bin")
    columns: Any = {"stratify": rule.stratify, "groups": rule.groups, "ignore": rule.ignore}
    columns["time_bin"] = None if time_bin is None else tuple(time_bin)
    return choose_layers(subject, bundle, regions, **columns, **more), str(rule)


def on_benchmarks(
    subject: Subject,
    name: str,
    options: Mapping[str, Any],
    regions: Sequence[str] | None,
    more: Mapping[str, Any],
) -> tuple[LayerChoice, str]:
    """The choice on the neural benchmarks of a name or group, region by region, and their split rules."""
    given = [key for key in ("time_bin", "groups", "stratify", "ignore") if options.get(key)]
    if given:
        raise CornetError(
            f"{', '.join(given)} only apply to folders with a bundle, but the split rules of {name} are fixed; leave "
            "these options out."
        )
    neural = {one.region: one for one in open_benchmarks([name]) if isinstance(one, NeuralBenchmark)}
    if not neural:
        raise CornetError(f"{name} has no responses of neuroids to choose layers on; name another benchmark.")
    for region in regions or []:
        if region not in neural:
            raise CornetError(f"{name} has no region {region!r}; {suggestion(region, neural)}")
    choices = []
    for region in regions or list(neural):
        one = neural[region]
        columns: Any = {"stratify": one.stratify, "groups": one.groups, "time_bin": one.time_bin}
        choices.append(choose_layers(subject, one.data, [region], degrees=one.degrees, **columns, **more))
    found = LayerChoice(
        {region: site for choice in choices for region, site in choice.regions.items()},
        pd.concat([choice.table for choice in choices], ignore_index=True),
        name,
        seeds=choices[0].seeds,
        simulated=any(one.simulated for one in neural.values()),
    )
    return found, "; ".join(dict.fromkeys(one.split_rule for one in neural.values()))
