"""The `cornet` command."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cornet.cli_prepare import prepare
from cornet.cli_report import report
from cornet.cli_score import SeveralValues, score
from cornet.compiled import keep_compiled_code
from cornet.errors import CornetError
from cornet.files import file_error
from cornet.terminal import steady_streams

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent models of the primate ventral stream, trained and compared with brains.",
)


def show_version(wanted: bool) -> None:
    if wanted:
        import cornet

        typer.echo(f"cornet {cornet.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    size: Annotated[int, typer.Option(help="Pixels a side of the images that MACs are counted for.")] = 224,
    width: Annotated[float, typer.Option(help="Multiplies the channels of every area.")] = 1.0,
    classes: Annotated[int, typer.Option(help="Outputs of the decoder.")] = 1000,
    variant: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [KEY=VALUE]...", help="A network, and what differs from the published."
        ),
    ] = None,
) -> None:
    """List the networks: parameters, multiply-adds per image (MACs), steps, depth, published accuracy.

    With a name and keys of the configuration's part `model`: that variant, and the milliseconds that its steps
    stand for.

    Examples:

      cornet models

      cornet models --size 64 --width 0.25 --classes 10

      cornet models cornet_s bottleneck=2 gate=soft 'times={V2: 2, V4: 8, IT: 2}'

      cornet models --json
    """
    from cornet.models import describe, list_models
    from cornet.report.tables import print_intervals, print_models

    names, given = [word for word in variant or [] if "=" not in word], parse_variant(variant or [])
    if len(names) > 1 or (given and not names):
        raise CornetError(f"{' '.join(variant or [])}: name one network, such as cornet_s, before its keys.")
    arguments = {"width": width, "num_classes": classes, **given}
    rows = [describe(name, size=size, **arguments) for name in names or list_models()]
    if as_json:
        typer.echo(
            json.dumps([{**dataclasses.asdict(row), "depth": row.depth._asdict()} for row in rows], indent=2)
        )
        return
    print_models(rows)
    if names:
        print_intervals(names[0], arguments)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets, as --list names them.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the data sets, and where they lie.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A folder (for kar2019 a file) or another address that has the files."),
    ] = None,
    target: Annotated[str | None, typer.Option("--to", help="The folder to put the files in.")] = None,
) -> None:
    """Fetch public brain data, verified by their hashes.

    What broke off is continued by the same command. Of the environment variables,
    CORNET_DATA_URL names a mirror (an address or a folder) once for all, and
    CORNET_CACHE the folder below which the data are kept.

    Examples:

      cornet fetch --list

      cornet fetch majajhong2015 freemanziemba2013

      cornet fetch kar2019 --from ~/Downloads/dataset.h5
    """
    from cornet.brain.data.fetching import VARIABLE, data_folder, fetch
    from cornet.brain.data.public_data import PUBLIC, public_data

    if listed:
        from cornet.report.tables import print_public_data

        print_public_data()
        return
    if not names:
        raise CornetError(f"no data set is named; name any of {', '.join(PUBLIC)}, or see --list.")
    if target and len(names) > 1:
        raise CornetError(
            f"--to takes one folder for one data set, not for {len(names)}; fetch them one by one."
        )
    status = 0
    for data in [public_data(name) for name in names]:
        path = data_folder(data, target) / data.files[0].name
        if data.by_hand and not (source or os.environ.get(VARIABLE) or path.exists()):
            typer.echo(data.by_hand.format(path=path), err=True)
            status = 2
        else:
            typer.echo(f"{data.name}: {fetch(data, source, target)}")
    raise typer.Exit(status)


@app.command()
def benchmarks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the benchmarks: region, data, splits, time bin, visual degrees, scale.

    Examples:

      cornet benchmarks

      cornet score cornet_s --on majajhong2015.IT
    """
    from cornet.brain.benchmarks import GROUPS, list_benchmarks

    found = list_benchmarks()
    if not as_json:
        from cornet.report.tables import print_benchmarks

        print_benchmarks(found, GROUPS)
        return
    columns = ("name", "version", "region", "what", "simulated", "time_bin", "degrees", "split_rule", "scale")
    typer.echo(json.dumps([{column: getattr(one, column) for column in columns} for one in found], indent=2))


app.command(cls=SeveralValues)(score)
app.command()(prepare)


@app.command()
def plan(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="As of train.py: experiment=NAME, key=value.")
    ] = None,
) -> None:
    """Tell what a training would take, before it starts.

    Some seconds of it are run here, on one device; the rest is a stated model, for the hardware at hand or
    described: hardware.devices=8 hardware.cores=64 hardware.images_per_second=3000 (of one device).

    Examples:

      cornet plan experiment=tiny_s data.folder=/data/tiny

      cornet plan experiment=imagenet_s_fast data.folder=/data/imagenet hardware.devices=8
    """
    from cornet.report.tables import print_plan
    from cornet.training.command_line import reading
    from cornet.training.plan import plan_training
    from cornet.training.sweep import without_hydra

    conf = Path(__file__).parents[1] / "conf"
    if not conf.is_dir():
        raise CornetError(
            f"there is no folder {conf} with train.py's configuration; run from a checkout of cornet."
        )
    with reading(list(overrides or []), conf) as command:
        config = without_hydra(command.compose(command.arguments.overrides))
    print_plan(plan_training(config))


app.add_typer(report, name="report")


@app.command()
def rerun(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    target: Annotated[
        Path | None, typer.Option("--to", help="Where to; beside the run as seed0.rerun unless told.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Build whatever its configuration names: it can run any program.")
    ] = False,
) -> None:
    """Repeat a run from what it recorded, and say whether the result is the same.

    It is trained once more from its config.yaml, with as many threads; then the last weights, metrics.csv
    and scores.csv are compared bit for bit. Where they differ it says by how much, and which versions, commit,
    hardware, threads or images do. The exit status is 0 where all is the same, else 1. Stopped, the same
    command goes on. On several ranks: torchrun --no-python --nproc-per-node=2 cornet rerun RUN.

    Examples:

      cornet rerun runs/objects-cornet_s

      cornet rerun runs/objects-cornet_s/default/seed0 --to again/seed0
    """
    import logging

    from cornet.report.run.page import find_run_folder
    from cornet.report.tables import print_rerun
    from cornet.training.rerun import rerun as repeat
    from cornet.training.stop_signals import Stopped

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        done = repeat(find_run_folder(folder), target, trust)
    except Stopped as stopped:
        typer.echo(f"\n{stopped}. The same command goes on from where it was.", err=True)
        raise typer.Exit(stopped.code) from None
    if done is not None:
        print_rerun(done)
        raise typer.Exit(0 if done.same else 1)


def parse_variant(words: list[str]) -> dict[str, Any]:
    """KEY=VALUE words as arguments of a network; values as in the configuration's files."""
    import yaml

    given = {}
    for key, _, text in (word.partition("=") for word in words if "=" in word):
        try:
            given[key.removeprefix("model.")] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise CornetError(f"{key}={text} cannot be read; give a number, a word, or {{V4: 8}}.") from None
    return given


def main() -> None:
    """Run the command; a mistake in what came in is one line and exit status 2."""
    steady_streams()
    keep_compiled_code()
    try:
        app()
    except (CornetError, OSError) as error:
        told = file_error(error) if isinstance(error, OSError) else error
        from cornet.training.secrets import message_without_secrets

        print(f"cornet: {message_without_secrets(str(told))}", file=sys.stderr)
        sys.exit(2)
