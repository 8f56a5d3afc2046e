"""What commands share that open models: common options, the device, and layers from the command line or a file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cornet.cli.shell import completion
from cornet.errors import CornetError

if TYPE_CHECKING:
    from cornet.brain import Subject

__all__ = ["Device", "Size", "Trust", "parse_layers", "prepare_device", "with_layer_files"]

Size = Annotated[
    int | None, typer.Option(help="Pixels per side of the input (default: the model's own, or 224).")
]
Device = Annotated[
    str, typer.Option(help="cpu or cuda; auto uses a GPU if available.", autocompletion=completion.devices)
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import and run custom network code that a run or a checkpoint names."),
]


def prepare_device(device: str, trust: bool) -> str:
    """Return the device, with auto resolved. trust: make the user's own modules importable."""
    if trust:
        from cornet.instantiate import find_own_modules

        find_own_modules()
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def parse_layers(words: Sequence[str]) -> dict[str, str]:
    """Parse V4=layer3 IT=layer4; auto and files of layers are left out. Raises CornetError for other words."""
    found = {}
    for word in (part for given in words for part in given.split(",")):
        if word == "auto" or word.endswith(".json"):
            continue
        region, equals, layer = word.partition("=")
        if not (region and equals and layer):
            raise CornetError(
                f"--layers {word} must be a region and its layer, such as V4=layer3, a file of cornet layers, or auto."
            )
        found[region] = layer
    return found


def with_layer_files(subjects: "Sequence[Subject]", words: Sequence[str]) -> "list[Subject]":
    """The subjects with the layers of all files among the words: each file is for the subjects with the same layers.

    Raises CornetError for a file that fits none of the subjects.
    """
    from cornet.brain.subjects.layer_file import is_layer_file, read_layers

    found = list(subjects)
    for path in filter(is_layer_file, words):
        problems = []
        for place, subject in enumerate(found):
            try:
                found[place] = subject.with_regions(read_layers(path, subject))
            except CornetError as problem:
                problems.append(problem)
        if len(problems) == len(found):
            raise problems[0]
    return found
