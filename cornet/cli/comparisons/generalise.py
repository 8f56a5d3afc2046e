"""`cornet generalise MODEL... --on BUNDLE...`: scores on images, neuroids, sessions and people that no fit has seen."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli.comparisons.score import open_subjects, parse_bin
from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, parse_layers, prepare_device, with_layer_files
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write

__all__ = ["generalise"]


def generalise(
    models: Annotated[
        list[str], typer.Argument(help="Models, as in `cornet score`.", autocompletion=completion.models)
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            help="Folders with a bundle, or names of benchmarks; several are sessions.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    images_by: Annotated[
        str | None,
        typer.Option(
            "--images-by", help="Hold out whole groups of this column (default: clusters of similar images)."
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Column that names the kind of each image, for out of distribution.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(help="Coordinate of neuroids that names their session or animal, such as animal."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers", help="Layers of regions: V4=layer3 IT=layer4; or a file from cornet layers."
        ),
    ] = None,
    size: Size = None,
    metric: Annotated[
        str, typer.Option(help="A mapping: pls, ridge, ridgecv, linear or neuron_to_neuron.")
    ] = "pls",
    scale: Annotated[str, typer.Option(help="Scale of neural scores: r^2/c, (r/c)^2, r/c or raw.")] = "r^2/c",
    time_bin: Annotated[
        str, typer.Option(help="Time bin of local bundles in ms after onset, such as 70-170.")
    ] = "",
    groups: Annotated[
        str | None, typer.Option(help="Groups of the ordinary splits, as in `cornet score`.")
    ] = None,
    stratify: Annotated[
        str | None, typer.Option(help="Strata of the ordinary splits, as in `cornet score`.")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Local bundles: a coordinate that may differ within a stimulus; repeatable."),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also measure every network before training.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the weights of untrained networks.")] = 0,
    device: Device = "auto",
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[str, typer.Option(help="Write the rows to this file.")] = "",
) -> None:
    """Measure generalisation: the drop from the ordinary score on what no fit and no choice has seen.

    Neurons: new images (whole groups are held out), new neuroids (the layer is chosen on the
    others), new sessions (several bundles of one region, or --session), other kinds of images
    (--kind). Choices: new observers, other kinds of images. Dissimilarities: new subjects.
    Each row has the ceiling of the data tested, and a reference that the drop is from. What is
    not possible for a bundle is listed with its reason.

    Examples:

      cornet generalise cornet_s gabor --on my-bundle --kind category

      cornet generalise runs/mine/seed0 --on session1 session2 --layers V4=layer2

      cornet generalise gabor --on my-bundle --session animal --images-by object_name --csv new.csv
    """
    from cornet.brain.benchmarks import open_benchmarks
    from cornet.brain.generalisation import generalise as measure
    from cornet.report.generalisation_table import print_generalisation

    if not on:
        raise CornetError(
            f"--on is missing; name the brain data, as in cornet generalise {models[0]} --on my-bundle."
        )
    device = prepare_device(device, trust)
    local: dict[str, Any] = {"groups": groups, "stratify": stratify, "ignore": ignore or None}
    opened = open_benchmarks(
        on, metric=metric, scale=scale, device=device, time_bin=parse_bin(time_bin), **local
    )
    options: dict[str, Any] = {"device": device, "seed": seed, "trust": trust, "size": size}
    subjects = open_subjects(models, untrained, regions=parse_layers(layers or []), **options)
    subjects = with_layer_files(subjects, layers or [])
    interactive = sys.stderr.isatty()

    def show(message: str) -> None:
        if interactive:
            typer.echo(message, err=True)

    found = measure(
        subjects,
        opened,
        images_by=images_by,
        kind=kind,
        session=session,
        progress=interactive,
        log=show,
    )
    if csv:
        atomic_write(Path(csv).expanduser(), csv_text(found.table()))
    if not as_json:
        print_generalisation(found)
        return
    rows = [  # JSON has no NaN: write null
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in one.as_dict().items()}
        for one in found.rows
    ]
    names = ("model", "benchmark", "kind", "reason")
    missing = [dict(zip(names, one, strict=True)) for one in found.missing]
    agreement = found.agreement().to_dict("records")
    typer.echo(json.dumps({"rows": rows, "missing": missing, "agreement": agreement}, indent=2))
