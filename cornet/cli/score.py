"""`cornet score MODEL... --on BENCHMARK...`: networks compared with brains."""

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
    """A command whose --on takes all that follows, up to the next option: --on one two three."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        taking = False
        for word in args:
            if word.startswith("-"):
                taking = word == "--on"
                spread += [] if taking else [word]
            else:
                spread += ["--on", word] if taking else [word]
        return super().parse_args(ctx, spread)


def score(
    models: Annotated[
        list[str], typer.Argument(help="A name, a run's folder, a checkpoint, pixels, gabor, ...")
    ],
    on: Annotated[
        list[str], typer.Option("--on", help="Benchmarks, groups of them, or folders with a bundle.")
    ],
    area: Annotated[
        str, typer.Option(help="V1, V2, V4, IT or a layer, for all regions; auto: chosen on --choose-on.")
    ] = "",
    choose_on: Annotated[
        str,
        typer.Option(help="With --area auto: a bundle set aside, on which each region's layer is chosen."),
    ] = "",
    metric: Annotated[str, typer.Option(help="pls, ridge, linear or neuron_to_neuron.")] = "pls",
    scale: Annotated[str, typer.Option(help="Of neural scores: r^2/c, (r/c)^2, r/c or raw.")] = "r^2/c",
    decoder: Annotated[str, typer.Option(help="Of solution times: reference or optimum.")] = "reference",
    time_bin: Annotated[
        str,
        typer.Option(help="Of local bundles, in ms after onset, as 70-170; of several, one must be named."),
    ] = "",
    groups: Annotated[
        str | None,
        typer.Option(help="Of local bundles: stimuli equal in this column stay together; none: not so."),
    ] = None,
    stratify: Annotated[
        str | None,
        typer.Option(help="Of local bundles: shares of this column are equal in splits; none: not so."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Of local bundles: a coordinate that may differ within a stimulus; repeatable."),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Score every network before training, too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of untrained networks' weights.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on where a benchmark cannot be scored, and say why.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Import and run the network's own code that a run or a checkpoint names."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[str, typer.Option(help="Write the scores to this file, one row each.")] = "",
) -> None:
    """Compare networks with brains.

    MODEL is a network's name (published weights), a run's folder, a checkpoint, torchvision:NAME,
    timm:NAME, pixels, gabor, or recorded features; options follow a question mark:
    cornet_s?untrained&seed=3, torchvision:resnet18?V4=layer2.

    Each stimulus set is shown once to each model, and what was recorded is kept in the cache.

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
    compared = open_benchmarks(
        on, metric=metric, scale=scale, area=site, decoder=decoder, device=device, **local
    )
    subjects = open_subjects(models, device, untrained, seed, trust)
    if (area == "auto") != bool(choose_on):
        raise CornetError("--area auto and --choose-on BUNDLE go together; give both, or neither.")
    if choose_on:
        subjects = [with_chosen_layers(subject, choose_on, metric, device, local) for subject in subjects]
    shown = sys.stderr.isatty()

    def tell(words: str) -> None:
        if shown:
            typer.echo(words, err=True)

    results = []
    for result in run_battery(subjects, compared, strict=not keep_going, progress=shown, log=tell):
        results.append(result)
        if csv:
            import pandas as pd

            table = pd.DataFrame(scored_rows(results, subjects))
            atomic_write(Path(csv).expanduser(), csv_text(table))
    if as_json:  # which has no NaN
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
    """The subjects, each followed by itself before training where that is asked for and there is such a thing."""
    from cornet.brain import open_subject
    from cornet.runs.checkpoints import KINDS

    found = []
    for model in models:
        found.append(open_subject(model, device=device, seed=seed, trust=trust))
        plain, _, options = model.partition("?")
        chosen = [option for option in options.split("&") if option and option not in KINDS]
        if untrained and "untrained" not in chosen and plain not in ("pixels", "gabor"):
            text = f"{plain}?{'&'.join([*chosen, 'untrained'])}"
            found.append(open_subject(text, device=device, seed=seed, trust=trust))
    return found


def with_chosen_layers(
    subject: "Subject", folder: str, metric: str, device: str, local: dict[str, Any]
) -> "Subject":
    """The subject with the layer of each region that predicts the set-aside bundle best, split as that is scored.

    local: what was asked of bundles, time_bin, groups, stratify and ignore.
    """
    from cornet.brain import choose_layers, load_bundle
    from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule

    bundle = load_bundle(folder)
    asked = SplitOptions(local["groups"], local["stratify"], local["ignore"] and tuple(local["ignore"]))
    rule = split_rule(bundle, read_rule_file(Path(folder).expanduser()), asked)
    if rule.fixed:
        raise CornetError(
            f"{folder} states one fixed split, and layers are chosen on several; give --groups or --stratify."
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
    """The scores as rows that say what they were made of: a hash of the model's weights and preprocessing, and the
    versions that compared them; brain_data is in them already."""
    from cornet.runs.provenance import Provenance, versions

    made_of = Provenance(versions=versions()).columns()
    identities = {subject.name: subject.identity for subject in subjects}
    common = {key: made_of[key] for key in ("commit", "versions")}
    return [{**one.row(), "model_identity": identities[one.subject], **common} for one in results]


def parse_bin(text: str) -> tuple[float, float] | None:
    """70-170 -> (70, 170); "" -> None. Raises CornetError for anything else."""
    if not text:
        return None
    try:
        start, end = (float(edge) for edge in text.split("-"))
    except ValueError:
        raise CornetError(f"--time-bin {text} must be start and end in ms, such as 70-170.") from None
    return start, end
