"""`cornet export MODEL... --to FORMAT`: take networks out of cornet."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.cli.subjects import Size

__all__ = ["export"]


def export(
    model: Annotated[
        list[str],
        typer.Argument(help="Runs, checkpoints or networks of `cornet models`, as in `cornet score`."),
    ],
    to: Annotated[str, typer.Option("--to", help="brainscore, onnx, safetensors or torch-export.")],
    out: Annotated[str, typer.Option(help="Folder to write (default: NAME-FORMAT).")] = "",
    name: Annotated[
        str, typer.Option(help="What the export is called (default: the model and a hash of its weights).")
    ] = "",
    size: Size = None,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="Every checkpoint of each run, not only its best.")
    ] = False,
) -> None:
    """Export networks for other programs.

    Examples:

      cornet export runs/objects-cornet_s/seed0 --to safetensors

      cornet export 'runs/mine?best_brain' --to onnx --out mine-onnx

      cornet export runs/mine/seed0 runs/mine/seed1 --to brainscore --name my_cornet

      cornet export runs/mine/seed0 --all-checkpoints --to brainscore --name my_cornet
    """
    from cornet.export.formats import find_format
    from cornet.export.source import open_sources
    from cornet.export.write import write_export

    form = find_format(to)
    sources = open_sources(model, size, all_checkpoints)
    name = name or sources[0].identifier
    folder = Path(out or f"{name}-{form.name}").expanduser()
    for line in write_export(form, sources, folder, name):
        typer.echo(line)
    typer.echo(f"Written to {folder}")
