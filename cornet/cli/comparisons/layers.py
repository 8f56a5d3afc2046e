"""`cornet layers MODEL --on BUNDLE`: choose the layer and step that stand for each region, and write them to a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device
from cornet.errors import CornetError

__all__ = ["layers"]


def layers(
    model: Annotated[
        str, typer.Argument(help="A model, as in `cornet score`.", autocompletion=completion.models)
    ],
    on: Annotated[
        str,
        typer.Option(
            help="The bundle to choose on, or benchmarks such as majajhong2015 or simulated; score on another one "
            "afterwards.",
            autocompletion=completion.benchmarks,
        ),
    ] = "",
    region: Annotated[
        list[str] | None,
        typer.Option(help="Choose for this region; repeatable (default: all regions of the bundle)."),
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="Consider only this layer; repeatable (default: all layers and steps)."),
    ] = None,
    out: Annotated[str, typer.Option(help="The file to write.")] = "layers.json",
    plot: Annotated[
        str, typer.Option(help="Also draw the scores of all layers by region, as this .png or .svg.")
    ] = "",
    metric: Annotated[
        str, typer.Option(help="Comparison: pls, ridge, ridgecv, linear, neuron_to_neuron, cka or rdm.")
    ] = "pls",
    seeds: Annotated[
        int, typer.Option(min=1, help="Seeds of splits; the choice is by the mean over them.")
    ] = 5,
    sketch: Annotated[
        int,
        typer.Option(
            min=0,
            help="Record larger layers as this many random sums of their features, so that memory and disk do not grow "
            "with the layers; 0: all features.",
        ),
    ] = 4096,
    time_bin: Annotated[
        str, typer.Option(help="Time bin of the responses in ms after onset, such as 70-170.")
    ] = "",
    groups: Annotated[str | None, typer.Option(help="As in `cornet score`.")] = None,
    stratify: Annotated[str | None, typer.Option(help="As in `cornet score`.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="As in `cornet score`; repeatable.")] = None,
    size: Size = None,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """Choose the layer that compares best with each region of a bundle.

    All layers are recorded in one pass and compared over several seeds of splits. The file has the
    choice, the scores of all candidates, and in how many seeds the chosen layer is the best. Every
    command that takes --layers, and brain.layers in a configuration, takes the file.

    Examples:

      cornet layers torchvision:vgg16 --on my-bundle

      cornet score torchvision:vgg16 --on other-bundle --layers layers.json

      cornet layers cornet_rt --on my-bundle --region IT --metric cka --out it.json

      cornet layers hcnn --on simulated --plot layers.png
    """
    from cornet.brain import open_subject
    from cornet.brain.choosing import choose
    from cornet.brain.subjects.base import to_site
    from cornet.brain.subjects.layer_choice import ALL_COMPONENTS
    from cornet.brain.subjects.layer_file import write_layers
    from cornet.cli.comparisons.score import parse_bin
    from cornet.report.terminal_tables import print_layers

    if not on:
        raise CornetError(f"--on is missing; name the bundle, as in cornet layers {model} --on my-bundle.")
    if plot and not plot.lower().endswith((".png", ".svg")):
        raise CornetError(f"--plot {plot} must end in .png or .svg.")
    device = prepare_device(device, trust)
    subject = open_subject(model, device, size=size, trust=trust)
    options: dict[str, Any] = {"metric": metric, "time_bin": parse_bin(time_bin), "groups": groups}
    options |= {"stratify": stratify, "ignore": ignore}
    more: dict[str, Any] = {"seeds": seeds, "sketch": sketch or None, "label": subject.name}
    more["components"] = ALL_COMPONENTS
    if candidate:
        more["sites"] = [site for text in candidate for site in sites_of(subject, to_site(text), text)]
    choice = choose(subject, on, options, device, regions=region, **more)
    path = Path(out).expanduser()
    write_layers(choice, subject, metric, path)
    print_layers(choice)
    typer.echo(f"Written to {path}")
    if plot:
        from cornet.report.layer_scores import draw_layer_scores

        typer.echo(f"Written to {draw_layer_scores([choice], Path(plot).expanduser(), subject.name)}")


def sites_of(subject: Any, site: Any, text: str) -> list[Any]:
    """The site, or all steps of a layer that is named without one."""
    if text.endswith("]"):
        return [site]
    return [one for one in subject.sites() if one.layer == site.layer] or [site]
