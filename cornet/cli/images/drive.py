"""`cornet drive MODEL --on BUNDLE --neuroid N`: images that drive neurons, and the responses that come back."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli.comparisons.score import SeveralValues, open_subjects, parse_bin
from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device
from cornet.errors import CornetError, check_choice

__all__ = ["SeveralNeuroids", "drive"]


class SeveralNeuroids(SeveralValues):
    """A command whose option --neuroid takes all words up to the next option."""

    SEVERAL = ("--neuroid",)


def drive(
    model: Annotated[
        str,
        typer.Argument(
            help="A model, as in `cornet score`, with a network; with --responses, the folder of earlier images.",
            autocompletion=completion.models,
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help="A folder with a bundle (my-bundle:V4 for one of its regions), or simulated.V1.",
            autocompletion=completion.benchmarks,
        ),
    ] = "",
    neuroid: Annotated[
        list[str] | None,
        typer.Option("--neuroid", help="Ids of neuroids, or their positions from 0; all: every neuroid."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            help="The layer to map from: V4, V4[2], features.28, or a file of cornet layers (default: the region's, "
            "at the step for the time bin).",
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="stretch: one neuroid up; log_one_hot: one up, the others of --neuroid down; one_hot saturates."
        ),
    ] = "stretch",
    mapping: Annotated[str, typer.Option(help="ridge, or factorised (positions times channels).")] = "ridge",
    starts: Annotated[int, typer.Option(help="Images for each neuroid, each from other noise.")] = 5,
    iterations: Annotated[int, typer.Option(help="Steps of the gradient ascent.")] = 200,
    step_size: Annotated[
        float,
        typer.Option(help="Size of a step: pixels are -1 to 1, and gradients are divided by their SD."),
    ] = 0.01,
    variation: Annotated[
        float | None,
        typer.Option(
            help="Weight of the total variation, in standard deviations of a response (default: 200 for stretch, "
            "5 for one-hot)."
        ),
    ] = None,
    grey: Annotated[
        bool | None,
        typer.Option("--grey/--colour", help="Grey or colour images (default: grey if all stimuli are)."),
    ] = None,
    natural: Annotated[
        int | None,
        typer.Option(help="Simulated brain: compare with this many natural images too, such as 4096."),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also drive through the network before training.")
    ] = False,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls/--no-controls", help="With known truth: also a mapping of shuffled responses."
        ),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Also drive neuroids that the mapping does not predict.")
    ] = False,
    groups: Annotated[
        str | None,
        typer.Option(help="Keep stimuli with equal values of this column in one fold; none: no groups."),
    ] = None,
    time_bin: Annotated[str, typer.Option(help="Time bin in ms after onset, such as 70-170.")] = "",
    ignore: Annotated[
        list[str] | None, typer.Option(help="A coordinate that may differ within a stimulus; repeatable.")
    ] = None,
    responses: Annotated[
        str,
        typer.Option(
            "--responses",
            help="Responses to earlier images: a folder with assembly.nc, or a CSV with stimulus_id, neuroid_id, "
            "repetition and response.",
        ),
    ] = "",
    size: Size = None,
    seed: Annotated[
        int, typer.Option(help="Seed of starts, shifts, folds, and of the weights of untrained networks.")
    ] = 0,
    device: Device = "auto",
    trust: Trust = False,
    out: Annotated[
        str,
        typer.Option(
            help="Folder for the images and drive.html (default: drive, in the run's folder or here)."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Synthesise images that drive neurons beyond the best natural images.

    A mapping from a network's layer to the neuroids is fitted; images are changed from noise so
    that the predicted response rises. The folder has the images as PNG, the best natural images
    to show beside them, images.csv and drive.html. With the simulated V1 and V2 the true
    responses are known; otherwise show the images, and evaluate what comes back.

    Examples:

      cornet drive runs/mine/seed0 --on simulated.V1 --neuroid 0 1 2 --untrained

      cornet drive cornet_s --on my-bundle:V4 --neuroid all --layers V4[2] --mapping factorised

      cornet drive runs/mine/seed0 --on my-bundle --neuroid a b c --mode log_one_hot --out one-hot

      cornet drive one-hot --responses recorded.csv
    """
    if responses:
        evaluate_responses(Path(model).expanduser(), responses, parse_bin(time_bin), seed, as_json)
        return
    if not on:
        raise CornetError(
            f"--on is missing; name the brain data, as in cornet drive {model} --on simulated.V1."
        )
    if not neuroid:
        raise CornetError(
            f"--neuroid is missing; name some, or all: cornet drive {model} --on {on} --neuroid all."
        )
    from cornet.brain.neuron.target import ALL, open_target
    from cornet.report.drive.report import plain_study, print_study, write_study
    from cornet.synthesis.driven.choice import default_folder, positions, settings_of, site_of
    from cornet.synthesis.driven.control import Settings
    from cornet.synthesis.driven.image_folder import ImageFolder
    from cornet.synthesis.driven.lab_table import write_images
    from cornet.synthesis.driven.mapping import check_held_out
    from cornet.synthesis.driven.study import (
        MAPPINGS,
        controlled,
        picture_format,
        read_out,
        run_study,
        side_of,
    )
    from cornet.synthesis.driven.truth import known_truth
    from cornet.terminal import counting_bar

    check_choice("--mapping", mapping, MAPPINGS)
    settings = Settings(mode, variation, iterations, step_size, starts, seed)  # type: ignore[arg-type]
    device = prepare_device(device, trust)
    local: dict[str, Any] = {"groups": groups, "time_bin": parse_bin(time_bin), "ignore": ignore or None}
    target = open_target(on, seed=seed + 1, **local)
    columns = positions(target, neuroid)
    settings.check_population(len(columns))
    opening: dict[str, Any] = {"device": device, "seed": seed, "trust": trust, "size": size, "regions": {}}
    subjects: list[Any] = open_subjects([model], untrained, **opening)
    if untrained and len(subjects) < 2:
        raise CornetError(f"{model} is untrained already; leave --untrained out.")
    subject, site = subjects[0], site_of(subjects[0], target, layers or [])
    truth = known_truth(target, natural)
    colour = picture_format(target) if grey is None else not grey
    side, degrees = side_of(target, subject, truth, colour)
    interactive = sys.stderr.isatty()
    own = read_out(subject, site, target, columns, mapping, subject.name if interactive else "")
    notes = target.notes
    if neuroid == [ALL] and not force:
        own, columns, left = own.predicted_only(target, columns)
        notes = (*notes, *left)
    check_held_out(target.neuroids[columns], own.fitted.r, force)
    folder = Path(out or default_folder(model)).expanduser()
    store = ImageFolder(
        folder, target.neuroids, columns, settings_of(own, target, columns, settings, mapping, side, colour)
    )
    with counting_bar("images" if interactive else "", len(columns) * starts) as bar:
        study = run_study(own, target, columns, settings, side, degrees, colour, truth, store, bar, notes)
    write_images(study, store)
    if controls and study.truth is not None:
        twin = subjects[1] if untrained else None
        with counting_bar("controls" if interactive else "", len(columns) * starts * (1 + untrained)) as bar:
            study = controlled(study, subject, mapping, twin, bar)
    page = write_study(study, folder)
    if as_json:
        typer.echo(json.dumps(plain_study(study), indent=2))
        return
    print_study(study)
    typer.echo(f"Written to {page}")


def evaluate_responses(
    folder: Path, recorded: str, time_bin: tuple[float, float] | None, seed: int, as_json: bool
) -> None:
    """Read the responses to the images of a folder, print what they say, and write responses.csv and responses.html."""
    from cornet.report.drive.returned import print_returned, returned_rows, write_returned
    from cornet.synthesis.driven.returned import evaluate
    from cornet.synthesis.driven.returned_files import read_trials

    found = evaluate(read_trials(folder, Path(recorded).expanduser(), time_bin), seed=seed)
    page = write_returned(found, folder)
    if as_json:
        typer.echo(json.dumps(returned_rows(found), indent=2))
        return
    print_returned(found)
    typer.echo(f"Written to {page}")
