"""`cornet score MODEL... --on BENCHMARK...`: score networks on brain benchmarks."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, parse_layers, prepare_device, with_layer_files
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write

if TYPE_CHECKING:
    from cornet.brain import Subject
    from cornet.brain.benchmarks import Result

__all__ = ["SeveralValues", "open_subjects", "parse_bin", "score", "untrained_name"]


class SeveralValues(TyperCommand):
    """A command whose options in `SEVERAL` take all words up to the next option: --on one two three."""

    SEVERAL: tuple[str, ...] = ("--on", "--layers", "--models")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[completion.WORDS] = list(args)
        expanded: list[str] = []
        option = ""
        for word in args:
            if word.startswith("-"):
                option = word if word in self.SEVERAL else ""
                expanded += [] if option else [word]
            else:
                expanded += [option, word] if option else [word]
        return super().parse_args(ctx, expanded)


def score(
    models: Annotated[
        list[str],
        typer.Argument(
            help="A name, a run's folder, a checkpoint, your code as MODULE:FUNCTION, pixels, ...",
            autocompletion=completion.models,
        ),
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            help="Names of benchmarks or groups, or folders with a bundle.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            help="Layers of regions: V4=layer3 IT=layer4; a file from cornet layers; auto: choose them on --choose-on.",
        ),
    ] = None,
    size: Size = None,
    step_ms: Annotated[
        float | None,
        typer.Option(
            "--step-ms", help="Duration of a step in ms, of layers that run several times in a forward pass."
        ),
    ] = None,
    area: Annotated[
        str, typer.Option(help="An area or layer to compare with all regions; auto: as --layers auto.")
    ] = "",
    choose_on: Annotated[
        str,
        typer.Option(help="With --layers auto: a separate bundle on which to choose each region's layer."),
    ] = "",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Comparison with neurons: pls (default), ridge, ridgecv, linear, neuron_to_neuron, cka or rdm; "
            "several: --metric pls,cka, or repeated. Names of cka and rdm scores end in -cka and -rdm.",
            autocompletion=completion.metrics,
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="Scale of neural scores: r^2/c, (r/c)^2, r/c or raw.", autocompletion=completion.scales
        ),
    ] = "r^2/c",
    decoder: Annotated[
        str,
        typer.Option(
            help="Decoder of solution times: reference or optimum.", autocompletion=completion.decoders
        ),
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
    device: Device = "auto",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="If a benchmark fails, report the reason and continue.")
    ] = False,
    trust: Trust = False,
    as_rank: Annotated[
        bool,
        typer.Option(
            "--rank", help="Rank the models: paired intervals, groups that cannot be told apart, and a page."
        ),
    ] = False,
    out: Annotated[
        str, typer.Option(help="With --rank: folder for ranking.html, ranking.csv and scores.csv.")
    ] = ".",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[str, typer.Option(help="Write the scores to this file, one row per score.")] = "",
) -> None:
    """Compare networks with brains.

    MODEL is a network's name (published weights), a run's folder, a checkpoint, torchvision:NAME,
    timm:NAME, MODULE:FUNCTION (your own code), pixels, gabor, or recorded features; options follow a
    question mark: cornet_s?untrained&seed=3, torchvision:resnet18?V4=layer2.

    Each stimulus set is shown once to each model, and the recorded features are cached.

    Examples:

      cornet score gabor pixels --on simulated

      cornet score runs/objects-cornet_s --on simulated my-bundle --untrained

      cornet score cornet_s cornet_rt --on majajhong2015 rajalingham2018-i2n --csv scores.csv

      cornet score my_package.nets:build --on my-bundle --layers V4=layer3 IT=layer4 --size 64

      cornet score torchvision:resnet18 --on my-bundle --layers auto --choose-on other-bundle

      cornet score torchvision:resnet18 --on my-bundle --layers layers.json

      cornet score cornet_s --on my-bundle --metric pls,cka,rdm

      cornet score pixels gabor runs/*/seed0 torchvision:resnet18 --on my-bundle simulated --rank
    """
    from cornet.brain.benchmarks import open_benchmarks, run_battery
    from cornet.brain.choosing import choose
    from cornet.brain.scoring import AUTO, with_times
    from cornet.brain.subjects.base import site_or_layer

    if not on:
        raise CornetError(
            f"--on is missing; name the benchmarks, as in cornet score {models[0]} --on simulated (`cornet benchmarks` "
            "lists them)."
        )
    device = prepare_device(device, trust)
    site = None if area in ("", "auto") else site_or_layer(area)
    local: dict[str, Any] = {"time_bin": parse_bin(time_bin), "groups": groups, "stratify": stratify}
    local["ignore"] = ignore or None
    opened = open_benchmarks(
        on, metric=metric or "pls", scale=scale, area=site, decoder=decoder, device=device, **local
    )
    by_region = parse_layers(layers or [])
    automatic = AUTO in (area, *(layers or []))
    subjects = open_subjects(
        models, untrained, device=device, seed=seed, trust=trust, size=size, regions=by_region
    )
    if automatic != bool(choose_on):
        raise CornetError("--layers auto and --choose-on BUNDLE need each other; give both, or neither.")
    subjects = with_layer_files(subjects, layers or [])
    if step_ms is not None:
        subjects = [with_times(subject, step_ms, None) for subject in subjects]
    if choose_on:
        asked = {**local, "metric": metric or "pls"}
        subjects = [
            subject.with_regions(choose(subject, choose_on, asked, device).regions) for subject in subjects
        ]
    interactive = sys.stderr.isatty()

    def show(message: str) -> None:
        if interactive:
            typer.echo(message, err=True)

    if as_rank:
        show_ranking(subjects, opened, on, out, {"progress": interactive, "log": show})
        return
    results = []
    options: dict[str, Any] = {"strict": not keep_going, "progress": interactive, "log": show, "named": on}
    for result in run_battery(subjects, opened, **options):
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


def show_ranking(
    subjects: "list[Subject]", opened: list[Any], named: list[str], out: str, options: dict[str, Any]
) -> None:
    """Rank the subjects, print the table, and write the page."""
    from cornet.brain.ranking import rank
    from cornet.report.ranking.report import accuracy_of, print_ranking, write_ranking

    accuracies = {
        subject.name: accuracy_of(subject.name) for subject in subjects
    }  # the name is the user's text
    ranking = rank(subjects, opened, named=named, **options)
    print_ranking(ranking, accuracies)
    typer.echo(f"Written to {write_ranking(ranking, accuracies, Path(out).expanduser())}")


def open_subjects(models: list[str], untrained: bool, seed: int, **options: Any) -> "list[Subject]":
    """Open the subjects. untrained: also open each network's untrained version, placed after it."""
    from cornet.brain import open_subject

    subjects = []
    for model in models:
        subjects.append(open_subject(model, seed=seed, **options))
        if untrained and (twin := untrained_name(model)):
            subjects.append(open_subject(twin, seed=seed, **options))
    return subjects


def untrained_name(model: str) -> str:
    """Return the name of a network's untrained version; "" for an untrained network or a filter."""
    from cornet.runs.checkpoints import KINDS

    name, _, text = model.partition("?")
    given = [option for option in text.split("&") if option and option not in KINDS]
    if "untrained" in given or name in ("pixels", "gabor"):
        return ""
    return f"{name}?{'&'.join([*given, 'untrained'])}"


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
