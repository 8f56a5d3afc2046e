"""`cornet prepare NAME SOURCE TARGET`: photographs made ready for faster training."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.errors import CornetError
from cornet.names import escaped

__all__ = ["prepare"]


def prepare(
    name: Annotated[str, typer.Argument(help="What to call the data set: imagenet, or a name of your own.")],
    source: Annotated[Path, typer.Argument(help="The folder with train/<class>/ and val/<class>/.")],
    target: Annotated[Path, typer.Argument(help="The folder to write; what broke off there is continued.")],
    short_side: Annotated[
        int | None, typer.Option(help="Reduce the short side to so many pixels (256 unless told).")
    ] = None,
    long_side: Annotated[int | None, typer.Option(help="Reduce the long side instead, as to 500.")] = None,
    quality: Annotated[int, typer.Option(help="Of the JPEG files, 1 to 100.")] = 90,
    workers: Annotated[int | None, typer.Option(help="Processes; one per core unless told.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Write nothing; check what is there.")] = False,
    shards: Annotated[
        bool, typer.Option("--shards", help="Write the files as they are into LitData shards.")
    ] = False,
    images_per_shard: Annotated[int, typer.Option(help="With --shards.")] = 512,
) -> None:
    """Write a smaller copy of photographs in class folders, or shards of them, for faster training.

    In a copy files keep their folders and names; small images are copied as they are. Shards, of
    originals or of a copy, are for many nodes and object storage. The same command goes on where
    it was stopped, and at the end everything is read back and checked.

    Examples:

      cornet prepare imagenet /data/imagenet /scratch/imagenet-256

      cornet prepare imagenet /data/imagenet /scratch/imagenet-500 --long-side 500

      train.py data=imagenet data.folder=/scratch/imagenet-256

      cornet prepare imagenet /scratch/imagenet-256 /scratch/shards --shards

      train.py data=imagenet_litdata data.folder=/scratch/shards
    """
    from cornet.stimuli.prepare import prepare_copy, verify_copy, verify_shards, write_shards

    if shards:
        if short_side is not None or long_side is not None:
            raise CornetError(
                "--shards takes files as they are; make a smaller copy first, and shards of that."
            )
        if verify:
            held = verify_shards(target, workers)
        else:
            held = write_shards(name, source, target, per_shard=images_per_shard, processes=workers)
        count = sum(map(held.images, held.counts)), sum(map(held.shards, held.counts))
        typer.echo(f"{escaped(str(target))} is complete: {count[0]:,} images in {count[1]:,} shards")
        return
    if short_side is not None and long_side is not None:
        raise CornetError("--short-side and --long-side exclude each other; give one of them.")
    side, pixels = ("short", short_side or 256) if long_side is None else ("long", long_side)
    if verify:
        made = verify_copy(target, workers)
    else:
        made = prepare_copy(
            name, source, target, side=side, pixels=pixels, quality=quality, processes=workers
        )
    left_out = f"; left out as unreadable: {len(made.unreadable)}" if made.unreadable else ""
    typer.echo(f"{escaped(str(target))} is complete: {sum(made.images.values()):,} images{left_out}")
    for path, reason in list(made.unreadable.items())[:10]:
        typer.echo(f"  {escaped(path)}: {reason}")
