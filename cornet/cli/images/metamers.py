"""`cornet metamers MODEL --image FILES --area AREAS`: images that a stage of a network cannot tell apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cornet.cli.comparisons.score import SeveralValues, untrained_name
from cornet.cli.shell import completion
from cornet.cli.subjects import Device, Size, Trust, prepare_device
from cornet.errors import CornetError, check_choice
from cornet.sizes import check_positive, check_positive_int, is_seed

if TYPE_CHECKING:
    from cornet.synthesis.metameric.null import Pairs

__all__ = ["SeveralImages", "metamers"]

MAX_IMAGES = 1000
MAX_PAIRS = 10_000_000


class SeveralImages(SeveralValues):
    """A command whose options take all words up to the next option: --image one.png two.png."""

    SEVERAL = ("--image", "--area", "--judges")


def metamers(
    model: Annotated[
        str, typer.Argument(help="A network, as in `cornet score`.", autocompletion=completion.models)
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            help="Image files, folders, bundles (my-bundle:s01,s07 for some stimuli), or objects:16 for rendered "
            "objects.",
        ),
    ] = None,
    area: Annotated[
        list[str] | None,
        typer.Option(
            "--area",
            help="Areas or layers: V4, V4[1] for one step, input, logits; all: every area at every step (default: "
            "input, every area at its last step, logits).",
        ),
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="Time step of the areas, from 0 (default: the last).")
    ] = None,
    steps: Annotated[str, typer.Option(help="all: every time step that the image reaches.")] = "",
    judges: Annotated[
        list[str] | None,
        typer.Option(
            "--judges", help="Other networks, which classify the metamers.", autocompletion=completion.models
        ),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Also make metamers of the network before training.")
    ] = False,
    iterations: Annotated[int, typer.Option(help="Steps of the gradient descent in each block.")] = 20,
    blocks: Annotated[int, typer.Option(help="Blocks; each halves the length of the steps.")] = 8,
    eta: Annotated[
        float | None,
        typer.Option(help="Length of the first steps (default: by the image size, 4 at 64 pixels)."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="The published schedule: 24,000 steps, the first of length 1.")
    ] = False,
    null: Annotated[int, typer.Option(help="Number of random image pairs of the null distribution.")] = 500,
    null_from: Annotated[
        str,
        typer.Option(
            help="Images of the pairs, as for --image (default: the run's training images, or else those of --image)."
        ),
    ] = "",
    most: Annotated[int, typer.Option(help="Use at most this number of images.")] = MAX_IMAGES,
    batch: Annotated[int | None, typer.Option(help="Images at a time (default: by their size).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise, the pairs, and of untrained networks.")] = 0,
    size: Size = None,
    device: Device = "auto",
    trust: Trust = False,
    out: Annotated[str, typer.Option(help="Folder for pictures, tables and metamers.html.")] = "metamers",
) -> None:
    """Make metamers of the stages of a network.

    A metamer is changed from noise until a stage responds to it as to the original. It counts if
    the network gives it the same class, and if its activations are more similar to those of the
    original than in any pair of different images. The page shows which other networks recognise it,
    and published results of people. A command that was stopped continues where it was.

    Examples:

      cornet metamers runs/objects-cornet_s --image objects:16

      cornet metamers runs/mine --image photos --area V1 IT --steps all --judges runs/other --untrained

      cornet metamers cornet_s --image my-bundle:s01,s07 --area IT --published --null-from photos
    """
    import torch

    from cornet.brain import open_subject
    from cornet.report.metamers.printed import print_study
    from cornet.report.metamers.report import write_study
    from cornet.runs.images import classes_of_model
    from cornet.synthesis.images import open_images
    from cornet.synthesis.metameric.stages import choose_stages
    from cornet.synthesis.metameric.study import PUBLISHED, default_schedule, make_metamers
    from cornet.terminal import work_bar

    if steps:
        check_choice("--steps", steps, ["all"])
    check_positive_int("--iterations", iterations)
    check_positive_int("--blocks", blocks, 30)
    check_positive_int("--most", most, MAX_IMAGES)
    check_positive_int("--null", null, MAX_PAIRS)
    if batch is not None:
        check_positive_int("--batch", batch)
    if not is_seed(seed):
        raise CornetError(f"--seed {seed} must be a whole number from 0 to {2**32 - 1}.")
    if eta is not None:
        check_positive("--eta", eta)
    if published and (eta is not None or iterations != 20 or blocks != 8):
        raise CornetError("--published sets --eta, --iterations and --blocks; leave these out.")
    device = prepare_device(device, trust)
    opened: Any = {"device": device, "seed": seed, "trust": trust}
    names = [model, *([untrained_name(model)] if untrained and untrained_name(model) else [])]
    generators = [open_subject(name, size=size, **opened) for name in names]
    stages = {one.name: choose_stages(one, area or [], step, steps == "all") for one in generators}
    seen = [open_subject(name, **opened) for name in dict.fromkeys(judges or []) if name not in names]
    first: Any = generators[0]
    shown = open_images(image or [], first.size, most)
    pairs = null_pairs(model, image or [], null_from, null, first.size, seed)
    classes = {one.name: found for one in [*generators, *seen] if (found := classes_of_model(one.name))}
    schedule = PUBLISHED if published else default_schedule(first.size, iterations, blocks, eta)
    folder = Path(out).expanduser()
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    count = sum(map(len, stages.values()))
    with work_bar(count * len(shown.names) * schedule.steps * schedule.blocks) as (describe, advance):
        study = make_metamers(
            generators,
            stages,
            shown,
            pairs,
            judges=seen,
            classes=classes,
            schedule=schedule,
            device=torch.device(device),
            batch=batch or max(1, min(64, 8 * 224**2 // first.size**2)),
            seed=seed,
            folder=state,
            stage_starts=describe,
            advance=advance,
        )
    path = write_study(study, folder)
    print_study(study)
    again = sum(one.resumed == schedule.blocks for one in study.results)
    if again:
        typer.echo(f"{again} of {count} stages were made before, with the same settings.")
    typer.echo(f"Written to {path}")


def null_pairs(model: str, image: list[str], null_from: str, pairs: int, size: int, seed: int) -> "Pairs":
    """Pairs of the images named, or of the run's training images, or else of the images to match."""
    from cornet.runs.images import run_of_model, source_of_run
    from cornet.synthesis.images import joined, open_source
    from cornet.synthesis.metameric.null import pairs_of_source, pairs_of_training

    run = None if null_from else run_of_model(model)
    source = None if run is None else source_of_run(run)
    if run is not None and source is not None:
        return pairs_of_training(source, f"{run.parent.name}/{run.name}", pairs, size, seed)
    words = [null_from] if null_from else image
    return pairs_of_source(joined([open_source(word, size) for word in words]), pairs, size, seed)
