"""What a plugin says of each network: its identifier, layers, regions, and the times of its steps."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cornet.brain.subjects.networks import NetworkSubject
from cornet.errors import CornetError
from cornet.export.source import Source
from cornet.runs.checkpoints import KINDS

__all__ = ["MOST", "identifiers", "layer_name", "network_entry", "region_layers", "time_map"]

MOST = 100
"""Networks of one folder: its metadata.yaml may have no more."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}")


def identifiers(sources: Sequence[Source], name: str) -> list[str]:
    """The identifier of each network: `name`, for several networks also run and checkpoint, and a hash of the weights.

    Raises CornetError for a name of other characters than letters, digits, _ and -, and for more than MOST networks.
    """
    if not PLAIN.fullmatch(name):
        raise CornetError(
            f"--name {name} must begin with a letter or digit and have letters, digits, _ and - only, at most 121."
        )
    if len(sources) > MOST:
        raise CornetError(
            f"a Brain-Score plugin has at most {MOST} networks, not {len(sources)}; export them in parts."
        )
    own = name == sources[0].identifier  # the user gave none
    found = []
    for source in sources:
        hashed = source.weights_hash[:8]
        words = [source.model if own else name, *(label(source) if len(sources) > 1 else [])]
        found.append("-".join([*words, *([] if words[0].endswith(hashed) else [hashed])]))
    return found


def label(source: Source) -> list[str]:
    """The run and checkpoint of a network, as far as its text names them: ["seed0", "epoch_003"]."""
    text, _, options = source.text.partition("?")
    kinds = [kind for kind in KINDS if kind in options.split("&")]
    checkpoint = [Path(text).stem] if text.endswith(".ckpt") else kinds
    words = [*([] if source.run is None else [source.run.path.resolve().name]), *checkpoint]
    return [word for word in (re.sub(r"[^A-Za-z0-9_]+", "_", word)[:40] for word in words) if word]


def layer_name(area: str, step: int) -> str:
    """The name of a plugin's module for an area at a step. Names of modules have no dots."""
    return f"{area.replace('.', '_')}_t{step}"


def subject_of_source(source: Source) -> NetworkSubject:
    return NetworkSubject(
        source.net, source.text, source.mean, source.std, source.size, source.degrees, precision="float32"
    )


def network_entry(source: Source) -> dict[str, Any]:
    """The entry of `networks.json`: how to build the network, its images, and the area and step of each layer."""
    subject = subject_of_source(source)
    layers: dict[str, tuple[str, int]] = {
        layer_name(site.layer, site.step): (site.layer, site.step)
        for site in subject.region_sites()  # the steps that the image reaches
    }
    layers["readout"] = (list(subject.steps)[-1], subject.readout_site().step)
    arguments = {key: value for key, value in source.made_with.items() if key != "name"}
    return {
        "model": source.model,
        "arguments": arguments,
        "decoder": not isinstance(source.net.decoder, nn.Identity),
        "size": source.size,
        "mean": source.mean,
        "std": source.std,
        "degrees": int(source.degrees) if source.degrees == int(source.degrees) else source.degrees,
        "layers": layers,
    }


def region_layers(source: Source) -> dict[str, str]:
    """{region: layer} of each region that an area stands for, at the step for 70 to 170 ms."""
    subject = subject_of_source(source)
    sites = {area.region: subject.site(area.region) for area in subject.areas.values()}
    return {region: layer_name(*site) for region, site in sites.items()}


def time_map(source: Source) -> dict[str, dict[str, tuple[float, float]]]:
    """{region: {layer: (start, end)}}: the intervals in ms after stimulus onset of the steps that the image reaches."""
    subject = subject_of_source(source)
    return {
        area.region: {
            layer_name(name, step): interval
            for step, interval in enumerate(subject.intervals[name])
            if interval is not None
        }
        for name, area in subject.areas.items()
    }
