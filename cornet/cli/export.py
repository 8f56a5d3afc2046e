"""`cornet export MODEL... --to FORMAT`: take networks out of cornet."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.cli.shell import completion
from cornet.cli.subjects import Size, Trust, prepare_device
from cornet.errors import CornetError

__all__ = ["export"]


def export(
    model: Annotated[
        list[str],
        typer.Argument(
            help="Runs, checkpoints or networks of `cornet models`, as in `cornet score`.",
            autocompletion=completion.models,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="brainscore, onnx, safetensors or torch-export.",
            autocompletion=completion.export_formats,
        ),
    ],
    out: Annotated[str, typer.Option(help="Folder to write (default: NAME-FORMAT).")] = "",
    name: Annotated[
        str, typer.Option(help="What the export is called (default: the model and a hash of its weights).")
    ] = "",
    size: Size = None,
    licence: Annotated[
        str,
        typer.Option(
            help="safetensors: licence of the weights, as the hub names it, such as cc-by-4.0 (default: mit for a run "
            "that started untrained, else unknown)."
        ),
    ] = "",
    push: Annotated[
        str,
        typer.Option(
            metavar="USER/NAME",
            help="safetensors: also upload the folder to this repository of the Hugging Face hub, as the user of hf "
            "auth login.",
        ),
    ] = "",
    private: Annotated[
        bool, typer.Option("--private", help="With --push: nobody but you sees the repository.")
    ] = False,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="Every checkpoint of each run, not only its best.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Export networks for other programs.

    Examples:

      cornet export runs/objects-cornet_s/seed0 --to safetensors

      cornet export 'runs/mine?best_brain' --to onnx --out mine-onnx

      cornet export runs/mine/seed0 --to safetensors --push me/my-cornet --private

      cornet export runs/mine/seed0 runs/mine/seed1 --to brainscore --name my_cornet

      cornet export runs/mine/seed0 --all-checkpoints --to brainscore --name my_cornet
    """
    from cornet.export.formats import find_format
    from cornet.export.source import open_sources
    from cornet.export.write import write_export

    form = find_format(to)
    if private and not push:
        raise CornetError("--private needs --push USER/NAME; give both, or leave out --private.")
    if push and form.push is not None:
        from cornet.export.push import check_repository

        check_repository(push)  # before anything is written
    prepare_device("cpu", trust)  # makes the user's own modules importable
    sources = open_sources(model, size, all_checkpoints, trust)
    name = name or sources[0].identifier
    folder = Path(out or f"{name}-{form.name}").expanduser()
    options = {key: value for key, value in {"licence": licence, "repository": push}.items() if value}
    for line in write_export(form, sources, folder, name, options):
        typer.echo(line)
    typer.echo(f"Written to {folder}")
    if push and form.push is not None:
        for line in form.push(folder, push, private):
            typer.echo(line)
