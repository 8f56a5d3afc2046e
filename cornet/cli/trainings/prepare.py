"""`cornet prepare NAME SOURCE TARGET`: prepare photographs for faster training."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.errors import CornetError
from cornet.names import escaped

__all__ = ["prepare"]


def prepare(
    name: Annotated[str, typer.Argument(help="Name of the data set: imagenet, or a name of your own.")],
    source: Annotated[Path, typer.Argument(help="The folder with train/<class>/ and val/<class>/.")],
    target: Annotated[Path, typer.Argument(help="The folder to write to; an interrupted copy is resumed.")],
    short_side: Annotated[
        int | None, typer.Option(help="Pixels to reduce the short side to (default: 256).")
    ] = None,
    long_side: Annotated[
        int | None, typer.Option(help="Pixels to reduce the long side to instead, such as 500.")
    ] = None,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 90,
    workers: Annotated[int | None, typer.Option(help="Processes (default: one per core).")] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Write no images; check the existing files (damaged ones are marked for rewriting; damaged shards "
            "are removed).",
        ),
    ] = False,
    shards: Annotated[
        bool, typer.Option("--shards", help="Write the files unchanged into LitData shards.")
    ] = False,
    images_per_shard: Annotated[int, typer.Option(help="With --shards.")] = 512,
) -> None:
    """Write a smaller copy of photographs in class folders, or shards, for faster training.

    A copy keeps folders and file names; small images are copied unchanged. Shards, of
    originals or of a copy, are for many nodes and object storage. To resume after a stop,
    repeat the command. At the end all files are read back and checked.

    Examples:

      cornet prepare imagenet /data/imagenet /scratch/imagenet-256

      cornet prepare imagenet /data/imagenet /scratch/imagenet-500 --long-side 500

      cornet train data=imagenet data.folder=/scratch/imagenet-256

      cornet prepare imagenet /scratch/imagenet-256 /scratch/shards --shards

      cornet train data=imagenet_litdata data.folder=/scratch/shards
    """
    from cornet.stimuli.prepare import prepare_copy, verify_copy, verify_shards, write_shards

    if shards:
        if short_side is not None or long_side is not None:
            raise CornetError(
                "--shards writes files unchanged; make a smaller copy first, and then shards of that copy."
            )
        if verify:
            result = verify_shards(target, workers)
        else:
            result = write_shards(name, source, target, per_shard=images_per_shard, processes=workers)
        count = sum(map(result.images, result.counts)), sum(map(result.shards, result.counts))
        typer.echo(f"{escaped(str(target))} is complete: {count[0]:,} images in {count[1]:,} shards")
        return
    if short_side is not None and long_side is not None:
        raise CornetError("--short-side and --long-side exclude each other; give one of them.")
    side, pixels = ("short", short_side or 256) if long_side is None else ("long", long_side)
    if verify:
        copy = verify_copy(target, workers)
    else:
        copy = prepare_copy(
            name, source, target, side=side, pixels=pixels, quality=quality, processes=workers
        )
    left_out = f"; left out as unreadable: {len(copy.unreadable)}" if copy.unreadable else ""
    typer.echo(f"{escaped(str(target))} is complete: {sum(copy.images.values()):,} images{left_out}")
    for path, reason in list(copy.unreadable.items())[:10]:
        typer.echo(f"  {escaped(path)}: {reason}")
