"""`cornet init [FOLDER]`: write a small project with a network, images and a callback of the user's own."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cornet.errors import CornetError
from cornet.names import escaped

__all__ = ["FILES", "TEMPLATES", "init"]

TEMPLATES = Path(__file__).parents[1] / "project"

FILES = ("README.md", "conf/experiment/mine.yaml", "my_network.py", "my_images.py", "my_callback.py")


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one without these files.")] = Path("."),
) -> None:
    """Write a small project to edit: a network, images and a callback of your own, and a configuration with them.

    It trains in less than a minute, and overwrites no file.

    Examples:

      cornet init demo

      cd demo

      cornet train --config-dir conf experiment=mine
    """
    for name in FILES:
        if os.path.lexists(folder / name):
            raise CornetError(
                f"{folder / name} exists, and cornet init overwrites no file; choose another folder, or move the file."
            )
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write((TEMPLATES / name).read_text(encoding="utf-8"))
    typer.echo(f"Written to {escaped(str(folder))}: {', '.join(FILES)}\n\nNext")
    if folder != Path("."):
        typer.echo(f"  cd {escaped(str(folder))}")
    typer.echo("  cornet train --config-dir conf experiment=mine    train, in less than a minute")
    typer.echo("  cornet report runs/mine                           write the report of the run")
    typer.echo("  cornet train --help                               every choice and key")
