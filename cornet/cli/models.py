"""`cornet models`: list the networks and their cost."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cornet.cli.shell import completion
from cornet.errors import CornetError

if TYPE_CHECKING:
    from cornet.models import ModelSummary

__all__ = ["models"]


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    size: Annotated[int, typer.Option(help="Image size in pixels per side, for counting MACs.")] = 224,
    width: Annotated[float, typer.Option(help="Multiplies the channels of every area.")] = 1.0,
    classes: Annotated[int, typer.Option(help="Outputs of the decoder.")] = 1000,
    variant: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [KEY=VALUE]...",
            help="A network, and changes to the published version.",
            autocompletion=completion.networks,
        ),
    ] = None,
) -> None:
    """List the networks: parameters, multiply-adds per image (MACs), steps, depth, published accuracy.

    With a name, and optionally keys of the configuration's part `model`, it shows this variant and the milliseconds
    that its steps represent.

    Examples:

      cornet models

      cornet models --size 64 --width 0.25 --classes 10

      cornet models cornet_s bottleneck=2 gate=soft 'times={V2: 2, V4: 8, IT: 2}'

      cornet models --json
    """
    from cornet.models import describe, list_models
    from cornet.models.registry import registered
    from cornet.report.terminal_tables import print_intervals, print_models

    names, changes = [word for word in variant or [] if "=" not in word], parse_variant(variant or [])
    if len(names) > 1 or (changes and not names):
        raise CornetError(f"{' '.join(variant or [])}: name one network, such as cornet_s, before its keys.")
    rows = []
    for name in names or list_models():
        arguments = {**common_arguments(name, width, classes), **changes}
        unknown = [word for word in arguments if word not in registered(name).accepts]
        if unknown and not names:
            typer.echo(f"{name} is left out, as it has no argument {unknown[0]!r}.", err=True)
            continue
        rows.append(describe(name, size=size, **arguments))
    if as_json:
        typer.echo(json.dumps([as_plain(row) for row in rows], indent=2))
        return
    print_models(rows)
    if names:
        print_intervals(names[0], arguments)


def common_arguments(name: str, width: float, classes: int) -> dict[str, Any]:
    """The arguments for --width and --classes, without those at their default that a network does not take."""
    from cornet.models.registry import registered

    given = {"width": (width, 1.0), "num_classes": (classes, 1000)}
    accepts = registered(name).accepts
    return {word: value for word, (value, default) in given.items() if word in accepts or value != default}


def as_plain(row: "ModelSummary") -> dict[str, Any]:
    """A network's row as plain data for JSON."""
    return {**dataclasses.asdict(row), "depth": row.depth and row.depth._asdict()}


def parse_variant(words: list[str]) -> dict[str, Any]:
    """Parse KEY=VALUE words, with YAML values, into arguments of a network. Raises CornetError for invalid YAML."""
    import yaml

    arguments = {}
    for key, _, text in (word.partition("=") for word in words if "=" in word):
        try:
            arguments[key.removeprefix("model.")] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise CornetError(f"{key}={text} cannot be read; give a number, a word, or {{V4: 8}}.") from None
    return arguments
