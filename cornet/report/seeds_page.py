"""report.html of several seeds: their means with intervals, their curves, and the way to each one's own report."""

import os
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from cornet.files import atomic_write
from cornet.opening import read_bytes
from cornet.report.page import chance_fact, training_facts, write_page
from cornet.report.render import page, part, picture, simulated_banner
from cornet.report.seeds import Seeds
from cornet.report.seeds_plots import draw_seeds

__all__ = ["write_seeds_page"]


def write_seeds_page(seeds: Seeds) -> Path:
    """Write report.html into the folder that holds the seeds, and each seed's own where it has none; return its path.

    It opens from disk, and needs nothing but the seeds' reports that it links to. Raises CornetError when it cannot be
    written.
    """
    for run in seeds.runs:
        if not (run.path / "report.html").is_file():
            write_page(run.path)
    path = seeds.folder / "report.html"
    atomic_write(path, _page(seeds))
    return path


def _page(seeds: Seeds) -> str:
    left_out = [{"name": one.path.name, "why": one.why} for one in seeds.left_out]
    parts = [_lede(seeds), _banner(seeds), part("parts.left_out", runs=left_out, what=" not averaged in.")]
    parts.append(part("seeds.means", measures=seeds.measures, monitors=_monitors(seeds)))
    for brain in (False, True):
        content = draw_seeds(seeds, brain)
        if content is not None:
            narrow = draw_seeds(seeds, brain, 1)
            several = len(seeds.runs) > 1
            parts.append(picture("seeds.picture", content, narrow, brain=brain, several=several))
    parts += [_each(seeds), part("parts.notes", texts=seeds.notes), _configuration(seeds)]
    return page(seeds.title, parts)


def _lede(seeds: Seeds) -> Markup:
    summary = seeds.runs[0].summary
    numbers = f"seed{'s' if len(seeds.runs) > 1 else ''} {', '.join(map(str, seeds.numbers))}"
    return part(
        "parts.facts",
        what="The same training, begun from different random numbers: what all seeds have in common, and how far one "
        "of them may be from it.",
        told="; ".join([*training_facts(summary), *chance_fact(summary), numbers]),
        label="Runs",
        folder=str(seeds.folder),
    )


def _banner(seeds: Seeds) -> Markup:
    brain = [one for one in seeds.measures if one.kind == "brain"]
    simulated = [one.label for one in brain if one.simulated]
    return simulated_banner([one.label for one in brain], simulated, "all brain scores on this page")


def _monitors(seeds: Seeds) -> str:
    summary = seeds.runs[0].summary
    told = [f"{summary.get('monitor', 'val/top1')} (accuracies, losses)"]
    if summary.get("brain_best") is not None:
        told.append(f"{summary.get('brain_monitor', 'brain/mean')} (brain scores)")
    return " or ".join(told)


def _each(seeds: Seeds) -> Markup:
    """Last and best values, a seed a column, whose head leads to the seed's own report."""
    paths = [Path(os.path.relpath(run.path / "report.html", seeds.folder)) for run in seeds.runs]
    runs = [(run.seed, quote(path.as_posix())) for run, path in zip(seeds.runs, paths, strict=True)]
    return part("seeds.each", runs=runs, measures=seeds.measures)


def _configuration(seeds: Seeds) -> Markup:
    run = seeds.runs[0]
    try:
        config = read_bytes(run.path / "config.yaml").decode()
    except (OSError, UnicodeDecodeError):
        return Markup()
    return part("seeds.configuration", seed=run.seed, text=config)
