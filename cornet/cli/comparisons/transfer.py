"""`cornet transfer MODEL... --to cifar100|FOLDER`: how well frozen features classify other images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device, with_layer_files
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write

if TYPE_CHECKING:
    from cornet.brain.score import Score

__all__ = ["transfer"]


def transfer(
    models: Annotated[
        list[str], typer.Argument(help="Models, as in `cornet score`.", autocompletion=completion.models)
    ],
    to: Annotated[
        str,
        typer.Option(
            help="Folder with train/<class>/ and val/<class>/, or with the files of CIFAR; cifar10 or cifar100."
        ),
    ] = "",
    layer: Annotated[
        str,
        typer.Option(
            help="Layer that is read, such as IT or layer4 (default: the features below the classifier); or a file of "
            "cornet layers, and one of its regions: layers.json:V4 (without :V4, its last region)."
        ),
    ] = "",
    classes: Annotated[
        list[str] | None, typer.Option(help="Use only this class; repeatable (default: all classes).")
    ] = None,
    shots: Annotated[
        str, typer.Option(help="Also fit on this many training images per class, such as 1,5,10.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=2, help="Random choices of the images for --shots.")] = 10,
    strengths: Annotated[
        str,
        typer.Option(
            help="Candidates for C, the inverse strength of the L2 penalty, such as 0.001,0.01,0.1."
        ),
    ] = "",
    size: Size = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also score every network before training.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of the held-out images, and of the weights of untrained networks.")
    ] = 0,
    device: Device = "auto",
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[str, typer.Option(help="Write the results to this file, one row per model and k.")] = "",
) -> None:
    """Measure transfer: fit a linear read-out of frozen features to other images.

    The read-out is a logistic regression with an L2 penalty, whose strength is chosen on a fifth
    of the training images. The accuracy is that on val/ (or CIFAR's test images). Recorded
    features are cached.

    During training, the benchmark transfer:FOLDER does the same after every epoch:
    +brain.benchmarks.transfer=[transfer:FOLDER].

    Examples:

      cornet transfer runs/objects-cornet_s/seed0 --to photographs --untrained

      cornet transfer cornet_s torchvision:resnet18 --to cifar100 --shots 1,5,10

      cornet transfer my_package.nets:build --to photographs --layer layer4 --size 64

      cornet transfer torchvision:vgg16 --to photographs --layer layers.json:IT
    """
    from cornet.brain.benchmarks import run_battery
    from cornet.brain.benchmarks.transfer import TransferBenchmark
    from cornet.brain.metrics.transfer import STRENGTHS
    from cornet.cli.comparisons.score import open_subjects
    from cornet.report.terminal_tables import print_transfer

    if not to:
        raise CornetError(
            f"--to is missing; name the images, as in cornet transfer {models[0]} --to cifar100, or --to FOLDER."
        )
    device = prepare_device(device, trust)
    file, region = split_layer_file(layer)
    benchmark = TransferBenchmark(
        to,
        layer=None if file else layer or None,
        region=region or None,
        shots=tuple(int(k) for k in numbers("--shots", shots)),
        seeds=seeds,
        strengths=tuple(numbers("--strengths", strengths)) or STRENGTHS,
        seed=seed,
        classes=tuple(classes or ()),
        device=device,
    )
    options: dict[str, Any] = {"device": device, "seed": seed, "trust": trust, "size": size, "regions": {}}
    subjects = with_layer_files(open_subjects(models, untrained, **options), [file])
    rows: list[dict[str, Any]] = []
    for result in run_battery(subjects, [benchmark], progress=True):
        rows += rows_of(result.subject, str(result.sites[0]), result.score)
        if csv:
            import pandas as pd

            atomic_write(Path(csv).expanduser(), csv_text(pd.DataFrame(rows)))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        print_transfer(benchmark.name, rows)


def split_layer_file(text: str) -> tuple[str, str]:
    """Split layers.json:V4 into the file and the region; without one, the file's last region. ("", "") for a layer."""
    from cornet.brain.subjects.base import suggestion
    from cornet.brain.subjects.layer_file import is_layer_file, regions_in

    path, colon, region = text.rpartition(":")
    if not (colon and is_layer_file(path)):
        path, region = text, ""
    if not is_layer_file(path):
        return "", ""
    known = regions_in(path)
    if region and region not in known:
        raise CornetError(f"{path} has no region {region!r}; {suggestion(region, known)}")
    return path, region or known[-1]


def numbers(option: str, text: str) -> list[float]:
    """Parse 1,5,10. Raises CornetError for other text, and for numbers that are not above 0."""
    try:
        found = [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        found = [0.0]
    if any(not 0 < value < float("inf") for value in found):
        raise CornetError(f"{option} {text} must be numbers above 0, such as 1,5,10.")
    if option == "--shots" and any(value != int(value) for value in found):
        raise CornetError(f"{option} {text} must be whole numbers of images, such as 1,5,10.")
    return found


def rows_of(model: str, layer: str, score: "Score") -> list[dict[str, Any]]:
    """A row with all training images (k empty), and one for each k."""
    details = score.details
    common = {"model": model, "layer": layer, "classes": details["classes"], "images": score.n}
    whole = {"k": None, "top1": score.raw, "low": details["low"], "high": details["high"], "C": details["C"]}
    few = [
        {"k": one.k, "top1": one.accuracy, "low": one.low, "high": one.high, "C": one.C, "seeds": one.seeds}
        for one in details.get("few_shot", ())
    ]
    notes = {"notes": "; ".join(score.notes)}
    return [{**common, "seeds": None, **row, **notes} for row in (whole, *few)]
