"""`cornet neuron BUNDLE --neuroid N --models A B`: predict one neuroid, or each, from every layer of networks."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli.comparisons.score import open_subjects, parse_bin, untrained_name
from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device
from cornet.errors import CornetError, check_choice

__all__ = ["neuron"]


def neuron(
    bundle: Annotated[
        str,
        typer.Argument(
            help="A folder with a bundle (my-bundle:V4 for one of its regions), or a neural benchmark."
        ),
    ],
    neuroid: Annotated[
        str, typer.Option(help="The neuroid's id, or its position from 0; all: every neuroid of the region.")
    ] = "",
    models: Annotated[
        list[str] | None,
        typer.Option("--models", help="Models, as in `cornet score`.", autocompletion=completion.models),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            help="Layers such as V4 or features.28, one step, V4[2], or a file of cornet layers (default: all layers "
            "and steps).",
        ),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also compare every network before training.")
    ] = False,
    method: Annotated[str, typer.Option(help="kernel_ridge, pls, ridge or lasso.")] = "kernel_ridge",
    penalty: Annotated[
        str,
        typer.Option(
            help="How kernel ridge chooses its penalty: folds (inner folds) or gcv (generalised cross-validation)."
        ),
    ] = "folds",
    project: Annotated[
        bool,
        typer.Option(
            "--project", help="Reduce layers to 1000 features by a sparse random projection (default: exact)."
        ),
    ] = False,
    groups: Annotated[
        str | None,
        typer.Option(
            help="Keep stimuli with equal values of this column in one fold; none: no groups (default: the "
            "bundle's rule)."
        ),
    ] = None,
    sqrt: Annotated[
        bool,
        typer.Option("--sqrt", help="Predict square roots of the responses, for rates that are skewed."),
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds of the outer cross-validation.")] = 10,
    time_bin: Annotated[
        str, typer.Option(help="Time bin in ms after onset, such as 70-170; required for several bins.")
    ] = "",
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="A coordinate that may differ within a stimulus; repeatable."),
    ] = None,
    size: Size = None,
    seed: Annotated[
        int, typer.Option(help="Seed of folds and permutations, and of the weights of untrained networks.")
    ] = 0,
    device: Device = "auto",
    trust: Trust = False,
    out: Annotated[str, typer.Option(help="Folder for neuron.html and neuron.csv.")] = ".",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Predict single neurons from every layer and step.

    Each layer predicts the responses to images that it was not fitted to (nested
    cross-validation, kernel ridge). The score is the explained part of the explainable variance.
    neuron.html has the profile over layers, predicted against measured responses, the stimuli
    that the neuron likes best and least, and a control with shuffled responses.

    Examples:

      cornet neuron my-bundle --neuroid 3 --models pixels gabor cornet_s --untrained

      cornet neuron my-bundle:V4 --neuroid all --models torchvision:vgg16 --layers features.1 features.28

      cornet neuron my-bundle --neuroid C65b --models runs/mine --groups family --method lasso
    """
    from cornet.brain.neuron.estimators import METHODS, PENALTIES
    from cornet.brain.neuron.layers import choose_sites
    from cornet.brain.neuron.profile import profile
    from cornet.brain.neuron.target import open_target
    from cornet.report.neuron.report import print_profile, write_profile

    if not models:
        raise CornetError(
            f"--models is missing; name them, as in cornet neuron {bundle} --neuroid all --models pixels gabor."
        )
    if not neuroid:
        raise CornetError(
            f"--neuroid is missing; name one, or all: cornet neuron {bundle} --neuroid all --models {models[0]}."
        )
    check_choice("--method", method, METHODS)
    check_choice("--penalty", penalty, PENALTIES)
    device = prepare_device(device, trust)
    options: dict[str, Any] = {"groups": groups, "time_bin": parse_bin(time_bin), "ignore": ignore}
    target = open_target(bundle, neuroid, square_roots=sqrt, folds=folds, seed=seed, **options)
    models = list(dict.fromkeys(models))
    subjects = open_subjects(models, untrained, device=device, seed=seed, trust=trust, size=size, regions={})
    subjects = list({subject.name: subject for subject in subjects}.values())
    sites = choose_sites(subjects, layers or [])
    names = [subject.name for subject in subjects]
    twins = {name: twin for name in names if (twin := untrained_name(name)) in names}
    interactive = sys.stderr.isatty()

    def show(message: str) -> None:
        if interactive:
            typer.echo(message, err=True)

    found = profile(
        target,
        subjects,
        sites,
        method=method,
        penalty=penalty,
        project=project,
        twins=twins,
        device=device,
        seed=seed,
        progress=interactive,
        log=show,
    )
    path = write_profile(found, Path(out).expanduser())
    if as_json:  # JSON has no NaN: write null
        rows = found.table().to_dict("records")
        plain = [
            {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in row.items()
            }
            for row in rows
        ]
        typer.echo(json.dumps(plain, indent=2))
        return
    print_profile(found)
    typer.echo(f"Written to {path}")
