"""What stands beside an exported graph: NAME.json for programs, and README.md for people."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cornet.brain.subjects.step_times import network_intervals
from cornet.export.agreement import expected_outputs
from cornet.export.graph import INPUT, LOGITS
from cornet.export.source import Source
from cornet.files import atomic_write
from cornet.models.base import Network

__all__ = ["graph_facts", "write_notes"]


def graph_facts(
    source: Source, net: Network, file: str, difference: float | None, program: str
) -> dict[str, Any]:
    """What a user needs to run a graph, as plain values.

    file: its name. difference: what `check_agreement` found under `program`; None: it was not checked.
    """
    sample: dict[str, Tensor] = expected_outputs(
        net, torch.zeros(1, net.in_channels, source.size, source.size)
    )
    intervals = network_intervals(net.area_table)
    outputs: dict[str, dict[str, Any]] = {}
    for name, value in sample.items():
        outputs[name] = {"shape": ["batch", *value.shape[1:]]}
        area, _, step = name.rpartition("_step")
        if area:
            start, end = intervals[area][int(step)] or (None, None)
            region = net.area_table[area].region
            more = {"area": area, "region": region, "step": int(step), "from_ms": start, "to_ms": end}
            outputs[name] |= more
    return {
        "file": file,
        "model": source.model,
        "arguments": {key: value for key, value in source.made_with.items() if key != "name"},
        "weights_sha256": source.weights_hash,
        "input": {
            "name": INPUT,
            "shape": ["batch", net.in_channels, source.size, source.size],
            "dtype": "float32",
            "pixels": "0..1, then (pixel - mean) / std for each channel",
            "mean": list(source.mean),
            "std": list(source.std),
            "degrees": source.degrees,
        },
        "outputs": outputs,
        "classes": source.classes,
        "neuronal_noise": "off" if net is not source.net else "none",
        "checked_under": program if difference is not None else None,
        "largest_relative_difference": difference,
    }


def write_notes(folder: Path, name: str, facts: dict[str, Any], how: str) -> None:
    """Write NAME.json and README.md. how: Python code that runs the file."""
    atomic_write(folder / f"{name}.json", json.dumps(facts, indent=1, default=str) + "\n")
    given, outputs = facts["input"], facts["outputs"]
    rows = "\n".join(
        f"| `{key}` | ({', '.join(map(str, value['shape']))}) | {described(key, value)} |"
        for key, value in outputs.items()
    )
    checked = (
        "It was not compared with the network after it was written."
        if facts["checked_under"] is None
        else f"Under {facts['checked_under']}, every output is within {facts['largest_relative_difference']:.1e} of "
        "the network's, relative to the largest value of the output."
    )
    noise = (
        "\nThe neuronal noise of V1 is off in this file, as no two programs would draw it alike.\n"
        if facts["neuronal_noise"] == "off"
        else ""
    )
    text = f"""# {name}

`{facts["file"]}` is the network {facts["model"]} of cornet (the package cornet-ventral), as a graph that needs
no cornet to run. {checked}
{noise}
* Input: `{given["name"]}`, ({", ".join(map(str, given["shape"]))}), {given["dtype"]}, any number of images in a batch.
* Normalisation: pixels from 0 to 1, then (pixel - mean) / std for each channel, with mean {given["mean"]} and std
  {given["std"]}.
* The image spans {given["degrees"]:g} degrees of visual angle where the network is compared with brains.

```python
{how.strip()}
```

| output | shape | what it is |
|---|---|---|
{rows}

`{name}.json` has the same facts for programs, and the names of the classes in their order where they are known.
"""
    atomic_write(folder / "README.md", text)


def described(name: str, output: dict[str, Any]) -> str:
    if "area" not in output:
        return (
            "what the decoder gives: one value for each class"
            if name == LOGITS
            else "what a decoder would read"
        )
    region = "" if output["region"] == output["area"] else f", which stands for {output['region']}"
    return (
        f"area {output['area']}{region}, step {output['step']}: {output['from_ms']:g} to {output['to_ms']:g} ms after "
        "the image appears"
    )
