"""`cornet convert NAME PATH`: convert published recordings to bundles."""

import re
from pathlib import Path
from typing import Annotated

import typer

from cornet.cli.shell import completion
from cornet.errors import CornetError

__all__ = ["convert"]

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def convert(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of the data set, see --list.", autocompletion=completion.bundles_to_convert
        ),
    ] = None,
    path: Annotated[Path | None, typer.Argument(help="The folder (or file) of the published data.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="The folder with the images, or the published file that contains them."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--to", help="The folder to write (default: one of the data set's name, here)."),
    ] = None,
    memory: Annotated[str, typer.Option(help="Maximum memory for reading, such as 512M or 2G.")] = "512M",
    window: Annotated[
        str | None, typer.Option(help="dandi: ms after onset, START-END (default: 70-170).")
    ] = None,
    bin_ms: Annotated[
        float | None, typer.Option(help="dandi: width of the time bins in ms (default: one bin).")
    ] = None,
    bins: Annotated[
        bool, typer.Option("--bins", help="dandi: short for --bin-ms 10; the default window is then 0-300.")
    ] = False,
    column: Annotated[str | None, typer.Option(help="dandi: the column that names the image.")] = None,
    table: Annotated[str | None, typer.Option(help="dandi: the table of presentations.")] = None,
    region_column: Annotated[str | None, typer.Option(help="dandi: the column with the region.")] = None,
    degrees: Annotated[float | None, typer.Option(help="Visual angle of the images in degrees.")] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the data sets: licences, access, addresses, files needed.")
    ] = False,
) -> None:
    """Convert published recordings to a bundle, which `cornet score --on` reads.

    Nothing is downloaded. To continue after a stop, repeat the command. The finished
    bundle is read back and compared with what was read from the published files.

    Examples:

      cornet convert --list

      cornet convert tvsd ~/TVSD --images ~/THINGS/object_images

      cornet convert nsd ~/nsd --to nsd-shared --memory 2G

      cornet convert dandi sub-01.nwb --column image_name --window 0-300 --bin-ms 10

      cornet score cornet_s --on tvsd
    """
    from cornet.brain.data.convert.base import Options, converters, find_converter
    from cornet.brain.data.convert.writer import convert as write
    from cornet.names import escaped

    if listed:
        from cornet.report.terminal_tables import print_converters

        print_converters(converters().values())
        return
    if name is None:
        raise CornetError(f"a data set is missing; name one of {', '.join(converters())}, or see --list.")
    chosen = find_converter(name)
    if path is None:
        raise CornetError(f"the path of {name} is missing; it needs {chosen.files}.")
    path = path.expanduser()
    if not path.exists():
        raise CornetError(f"{path} does not exist; give the folder or file of the published data.")
    given = {"--window": window, "--bin-ms": bin_ms, "--bins": bins or None, "--column": column}
    given |= {"--table": table, "--region-column": region_column}
    if not chosen.spikes and (used := [option for option, value in given.items() if value is not None]):
        raise CornetError(
            f"{used[0]} is only for recordings with spike times (dandi), not for {name}; omit it."
        )
    if bins and bin_ms is not None:
        raise CornetError("--bins and --bin-ms exclude each other; give one of them.")
    span = _window(window) if window is not None else (0.0, 300.0) if bins else None
    options = Options(
        path,
        images.expanduser() if images else None,
        span,
        10.0 if bins else bin_ms,
        column,
        table,
        region_column,
        degrees,
    )
    result = write(chosen, options, (target or Path(name)).expanduser(), _bytes(memory))
    presentations, neuroids, time_bins = result.shape
    what = f"{presentations:,} presentations of {result.stimuli:,} stimuli x {neuroids:,} neuroids"
    what += f" x {time_bins} time bin{'' if time_bins == 1 else 's'}"
    if result.existed:
        typer.echo(f"{escaped(str(result.folder))} is complete already: {what}")
        return
    kept = result.blocks - result.read
    continued = f"; continued after {kept} of {result.blocks} blocks" if kept else ""
    typer.echo(f"{escaped(str(result.folder))} is complete: {what}{continued}")
    for note in result.notes:
        typer.echo(f"  {escaped(note)}")


def _bytes(text: str) -> int:
    """Parse an amount of memory, such as 512M."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise CornetError(f"--memory {text} is not an amount of memory; write it as 512M or 2G.")
    return int(float(match[1]) * UNITS[match[2].upper()])


def _window(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)", text.strip())
    if not match or not float(match[1]) < float(match[2]):
        raise CornetError(f"--window {text} is not a range of ms after onset; write it as 70-170.")
    return float(match[1]), float(match[2])
