"""`cornet score MODEL... --on BENCHMARK...`: score networks on brain benchmarks."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write

if TYPE_CHECKING:
    from cornet.brain import Subject
    from cornet.brain.benchmarks import Result

__all__ = ["SeveralValues", "score"]


class SeveralValues(TyperCommand):
    """A command whose option --on takes all words up to the next option: --on one two three."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        expanded: list[str] = []
        after_on = False
        for word in args:
            if word.startswith("-"):
                after_on = word == "--on"
                expanded += [] if after_on else [word]
            else:
                expanded += ["--on", word] if after_on else [word]
        return super().parse_args(ctx, expanded)


def score(
    models: Annotated[
        list[str], typer.Argument(help="A name, a run's folder, a checkpoint, pixels, gabor, ...")
    ],
    on: Annotated[
        list[str], typer.Option("--on", help="Names of benchmarks or groups, or folders with a bundle.")
    ],
    area: Annotated[
        str, typer.Option(help="V1, V2, V4, IT or a layer, for all regions; auto: choose it on --choose-on.")
    ] = "",
    choose_on: Annotated[
        str,
        typer.Option(help="With --area auto: a separate bundle on which to choose each region's layer."),
    ] = "",
    metric: Annotated[str, typer.Option(help="pls, ridge, linear or neuron_to_neuron.")] = "pls",
    scale: Annotated[str, typer.Option(help="Scale of neural scores: r^2/c, (r/c)^2, r/c or raw.")] = "r^2/c",
    decoder: Annotated[
        str, typer.Option(help="Decoder of solution times: reference or optimum.")
    ] = "reference",
    time_bin: Annotated[
        str,
        typer.Option(
            help="Time bin of local bundles in ms after onset, such as 70-170; required for several bins."
        ),
    ] = "",
    groups: Annotated[
        str | None,
        typer.Option(
            help="Local bundles: keep stimuli with equal values of this column on the same side of each split; "
            "none: no groups (default: the bundle's rule)."
        ),
    ] = None,
    stratify: Annotated[
        str | None,
        typer.Option(
            help="Local bundles: balance the values of this column between training and test sets; "
            "none: no strata (default: the bundle's rule)."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Local bundles: a coordinate that may differ within a stimulus; repeatable."),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also score every network before training.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the weights of untrained networks.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda; auto uses a GPU if available.")] = "auto",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="If a benchmark fails, report the reason and continue.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import and run custom network code that a run or a checkpoint names."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[str, typer.Option(help="Write the scores to this file, one row per score.")] = "",
) -> None:
    """Compare networks with brains.

    MODEL is a network's name (published weights), a run's folder, a checkpoint, torchvision:NAME,
    timm:NAME, pixels, gabor, or recorded features; options follow a question mark:
    cornet_s?untrained&seed=3, torchvision:resnet18?V4=layer2.

    Each stimulus set is shown once to each model, and the recorded features are cached.

    Examples:

      cornet score gabor pixels --on simulated

      cornet score runs/objects-cornet_s --on simulated my-bundle --untrained

      cornet score cornet_s cornet_rt --on majajhong2015 rajalingham2018-i2n --csv scores.csv

      cornet score torchvision:resnet18 --on my-bundle --area auto --choose-on other-bundle
    """
    from cornet.brain.benchmarks import open_benchmarks, run_battery
    from cornet.brain.subjects.base import site_or_layer

    if trust:
        from cornet.instantiate import find_own_modules

        find_own_modules()
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    site = None if area in ("", "auto") else site_or_layer(area)
    local: dict[str, Any] = {"time_bin": parse_bin(time_bin), "groups": groups, "stratify": stratify}
    local["ignore"] = ignore or None
    opened = open_benchmarks(
        on, metric=metric, scale=scale, area=site, decoder=decoder, device=device, **local
    )
    subjects = open_subjects(models, device, untrained, seed, trust)
    if (area == "auto") != bool(choose_on):
        raise CornetError("--area auto and --choose-on BUNDLE need each other; give both, or neither.")
    if choose_on:
        subjects = [with_chosen_layers(subject, choose_on, metric, device, local) for subject in subjects]
    interactive = sys.stderr.isatty()

    def show(message: str) -> None:
        if interactive:
            typer.echo(message, err=True)

    results = []
    for result in run_battery(subjects, opened, strict=not keep_going, progress=interactive, log=show):
        results.append(result)
        if csv:
            import pandas as pd

            table = pd.DataFrame(scored_rows(results, subjects))
            atomic_write(Path(csv).expanduser(), csv_text(table))
    if as_json:  # JSON has no NaN: write null
        rows = [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
            for row in scored_rows(results, subjects)
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        from cornet.report.terminal_tables import print_scores

        print_scores(results)
    if any(result.failure for result in results):
        raise typer.Exit(1)


def open_subjects(
    models: list[str], device: str, untrained: bool, seed: int, trust: bool = False
) -> "list[Subject]":
    """Open the subjects. untrained: also open each network's untrained version, placed after it."""
    from cornet.brain import open_subject
    from cornet.runs.checkpoints import KINDS

    subjects = []
    for model in models:
        subjects.append(open_subject(model, device=device, seed=seed, trust=trust))
        name, _, text = model.partition("?")
        options = [option for option in text.split("&") if option and option not in KINDS]
        if untrained and "untrained" not in options and name not in ("pixels", "gabor"):
            untrained_name = f"{name}?{'&'.join([*options, 'untrained'])}"
            subjects.append(open_subject(untrained_name, device=device, seed=seed, trust=trust))
    return subjects


def with_chosen_layers(
    subject: "Subject", folder: str, metric: str, device: str, local: dict[str, Any]
) -> "Subject":
    """Return the subject with, for each region, the layer that predicts the separate bundle best.

    local: the options time_bin, groups, stratify and ignore. The bundle is split as it is for scoring. Raises
    CornetError if the bundle has one fixed split.
    """
    from cornet.brain import choose_layers, load_bundle
    from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule

    bundle = load_bundle(folder)
    asked = SplitOptions(local["groups"], local["stratify"], local["ignore"] and tuple(local["ignore"]))
    rule = split_rule(bundle, read_rule_file(Path(folder).expanduser()), asked)
    if rule.fixed:
        raise CornetError(
            f"{folder} defines one fixed split, but choosing layers needs several; give --groups or --stratify."
        )
    choice = choose_layers(
        subject,
        bundle,
        time_bin=local["time_bin"],
        metric=metric,
        stratify=rule.stratify,
        groups=rule.groups,
        ignore=rule.ignore,
        device=device,
    )
    layers = ", ".join(f"{region}: {site}" for region, site in choice.regions.items())
    typer.echo(f"{subject.name}: chosen on {choice.bundle}: {layers} ({rule})", err=True)
    for note in choice.notes:
        typer.echo(f"  {note}", err=True)
    return subject.with_regions(choice.regions)


def scored_rows(results: "list[Result]", subjects: "list[Subject]") -> "list[dict[str, object]]":
    """Return the scores as rows with a hash of the model's weights and preprocessing, commit and versions."""
    from cornet.runs.provenance import Provenance, versions

    provenance = Provenance(versions=versions()).columns()
    identities = {subject.name: subject.identity for subject in subjects}
    common = {key: provenance[key] for key in ("commit", "versions")}
    return [{**result.row(), "model_identity": identities[result.subject], **common} for result in results]


def parse_bin(text: str) -> tuple[float, float] | None:
    """Parse 70-170 to (70, 170), and "" to None. Raises CornetError for other text."""
    if not text:
        return None
    try:
        start, end = (float(edge) for edge in text.split("-"))
    except ValueError:
        raise CornetError(f"--time-bin {text} must be start and end in ms, such as 70-170.") from None
    return start, end
