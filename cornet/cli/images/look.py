"""`cornet look MODEL --image FILES`: what happens inside a network when it sees an image."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device

__all__ = ["look"]

MOST = 8
"""Images that are shown: a page of more is hard to read."""


def look(
    model: Annotated[
        str, typer.Argument(help="A network, as in `cornet score`.", autocompletion=completion.models)
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            help=f"Image files, folders, bundles (my-bundle:s01), or objects:2 for rendered objects; at most {MOST} "
            f"images.",
        ),
    ] = None,
    chosen: Annotated[
        str,
        typer.Option(
            "--class",
            help="The class whose saliency is shown, by name or number (default: the most probable).",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the weights of untrained networks.")] = 0,
    size: Size = None,
    device: Device = "auto",
    trust: Trust = False,
    out: Annotated[str, typer.Option(help="Folder for look.png and look.html.")] = ".",
) -> None:
    """Look inside a network: filters, maps of areas, saliency and read-out, step by step.

    Examples:

      cornet look runs/objects-cornet_s --image objects:2

      cornet look torchvision:resnet18?untrained --image photo.jpg --out look

      cornet look runs/mine --image my-bundle:s01 --class chair
    """
    from cornet.brain import open_subject
    from cornet.brain.subjects.networks import LOGITS
    from cornet.report.look.inside import first_filters, look_inside
    from cornet.report.look.report import write_look
    from cornet.report.model_names import short_names
    from cornet.runs.images import classes_of_model
    from cornet.synthesis.images import open_images
    from cornet.synthesis.stage import stage_site

    subject: Any = open_subject(model, prepare_device(device, trust), seed=seed, size=size, trust=trust)
    stage_site(subject, LOGITS)  # refuses a subject without a network before images are read
    shown = open_images(image or [], subject.size, MOST)
    trained = "untrained" not in model.partition("?")[2].split("&")
    classes = classes_of_model(model)
    seen = look_inside(subject, shown.pixels, shown.names, shown.labels, classes, chosen, trained)
    net = subject.net if hasattr(subject, "net") else subject.module
    path = write_look(
        short_names([model])[model], first_filters(net), seen, shown.notes, Path(out).expanduser()
    )
    for one in seen:
        if one.read is not None:
            best = int(one.read.probabilities[-1].argmax())
            typer.echo(f"{one.name}: {one.read.classes[best]} ({one.read.probabilities[-1, best]:.2f})")
    typer.echo(f"Written to {path}")
