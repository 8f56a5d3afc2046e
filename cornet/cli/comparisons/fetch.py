"""`cornet fetch NAME...`: fetch public brain data and verify their hashes."""

import os
from typing import Annotated

import typer

from cornet.cli.shell import completion
from cornet.errors import CornetError

__all__ = ["fetch"]


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of data sets, see --list.", autocompletion=completion.public_data),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the data sets and their locations.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A folder (for kar2019: a file) or address that has the files."),
    ] = None,
    target: Annotated[str | None, typer.Option("--to", help="The folder to write the files to.")] = None,
) -> None:
    """Fetch public brain data and verify their hashes.

    To resume a broken download, repeat the command. The environment variable
    CORNET_DATA_URL sets a mirror (an address or a folder) for all data sets, and
    CORNET_CACHE sets the cache folder that contains the data.

    Examples:

      cornet fetch --list

      cornet fetch majajhong2015 freemanziemba2013

      cornet fetch kar2019 --from ~/Downloads/dataset.h5
    """
    from cornet.brain.data.public.fetching import VARIABLE, data_folder, fetch
    from cornet.brain.data.public.listing import PUBLIC, public_data

    if listed:
        from cornet.report.terminal_tables import print_public_data

        print_public_data()
        return
    if not names:
        raise CornetError(f"a data set is missing; name one or more of {', '.join(PUBLIC)}, or see --list.")
    if target and len(names) > 1:
        raise CornetError(f"--to allows only one data set, and you gave {len(names)}; fetch them one by one.")
    status = 0
    for data in [public_data(name) for name in names]:
        path = data_folder(data, target) / data.files[0].name
        if data.by_hand and not (source or os.environ.get(VARIABLE) or path.exists()):
            typer.echo(data.by_hand.format(path=path), err=True)
            status = 2
        else:
            typer.echo(f"{data.name}: {fetch(data, source, target)}")
    raise typer.Exit(status)
