"""Write the table and page of `cornet report tradeoff`."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.page_path import page_path
from cornet.report.published.numbers import HIGH
from cornet.report.render import page, part, simulated_banner
from cornet.report.seeds.seed_runs import LeftOut
from cornet.report.tradeoff.analysis import Analysis, analyse, short_accuracy, slope_text
from cornet.report.tradeoff.fit import FEW_GROUPS
from cornet.report.tradeoff.networks import published_panels
from cornet.report.tradeoff.plots import HARMONISED, LINE, draw_panel
from cornet.report.tradeoff.points import Panel, Runs, find_runs, read_runs
from cornet.report.tradeoff.table import point_rows, print_tradeoff
from cornet.terminal import Terminal

__all__ = ["report_tradeoff"]

NAME = "tradeoff.html"
NOTHING = Runs((), (), (), (), 0, 0)


def report_tradeoff(
    runs: Sequence[Path] = (),
    scores: Sequence[str] = (),
    epochs: bool = False,
    published: bool = False,
    at: float | None = None,
    target: Path | None = None,
    console: Terminal | None = None,
) -> Path:
    """Print the trends of brain scores with accuracy, write tradeoff.html and tradeoff.csv, and return the page's path.

    runs: folders of runs, of several seeds, or of sweeps. scores: names of scores; empty for all. epochs: a point for
    every epoch. published: also the published networks, as without runs. at: an accuracy to break the lines at; None:
    .70 for the published networks and no break for runs. target: an .html file or a folder for the files; None: the
    folder of the runs, or the current one.

    Raises CornetError if `at` is not between 0 and 1, a score is unknown, no score has three points of different
    accuracy, benchmarks differ between runs, or the files cannot be written.
    """
    if at is not None and not 0 < at < 1:
        raise CornetError(f"break={at:g} must be an accuracy between 0 and 1, such as .70.")
    path = page_path(list(runs), target, NAME)
    read = read_runs(find_runs(runs), epochs) if runs else NOTHING
    networks, notes = published_panels() if published or not runs else ([], [])
    panels = _chosen([*read.panels, *networks], scores)
    analyses, skipped = _analyses(panels, at, bool(scores), read)
    found = dict.fromkeys(note for one in analyses for note in one.notes)
    all_notes = [*read.notes, *notes, *skipped, *found]
    print_tradeoff(analyses, read.left_out, all_notes, console)
    atomic_write(path, _page(analyses, read, all_notes, epochs))
    atomic_write(path.with_suffix(".csv"), csv_text(point_rows(analyses)))
    return path


def _chosen(panels: Sequence[Panel], scores: Sequence[str]) -> list[Panel]:
    """Return the panels of the given scores, or all. Raises CornetError for a score that no panel has."""
    if not scores:
        return list(panels)
    titles = list(dict.fromkeys(one.title for one in panels))
    for score in scores:
        if score not in titles:
            near = [one for one in titles if one.lower().endswith(score.lower())]
            near = near or difflib.get_close_matches(score, titles, 3) or titles
            if not near:
                raise CornetError(f"score={score!r} is unknown: no run has a brain score; name other runs.")
            raise CornetError(f"score={score!r} is unknown; choose one of {', '.join(near)}.")
    return [one for one in panels if one.title in scores]


def _analyses(
    panels: Sequence[Panel], at: float | None, asked: bool, read: Runs
) -> tuple[list[Analysis], list[str]]:
    """Analyse the panels, and say which could not be. Raises CornetError if that is all, or one that was asked for."""
    found: list[Analysis] = []
    skipped: list[str] = []
    for panel in panels:
        broken = HIGH if at is None and panel.kind == "published" else at
        try:
            found.append(analyse(panel, broken))
        except CornetError as error:
            if asked:
                raise _with_reasons(str(error), read.left_out) from None
            skipped.append(f"not shown: {error}")
    if not found:
        first = skipped[0].removeprefix("not shown: ") if skipped else _nothing(read)
        raise _with_reasons(first, read.left_out)
    return found, skipped


def _nothing(read: Runs) -> str:
    count = f"{read.count} run{'' if read.count == 1 else 's'}"
    return f"{count} can be read that {'has' if read.count == 1 else 'have'} an accuracy and a brain score; name more."


def _with_reasons(text: str, left_out: Sequence[LeftOut]) -> CornetError:
    """Add why runs are left out, the first few."""
    if not left_out:
        return CornetError(text)
    shown = "; ".join(f"{one.path}: {one.why.rstrip('.')}" for one in left_out[:3])
    more = f"; {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return CornetError(f"{text.rstrip('.')} (left out: {shown}{more}).")


def _page(analyses: Sequence[Analysis], read: Runs, notes: Sequence[str], epochs: bool) -> str:
    own = [one for one in analyses if one.panel.kind == "runs"]
    others = [one for one in analyses if one.panel.kind == "published"]
    simulated = [one.panel.title for one in analyses if one.panel.simulated]
    names = [one.panel.title for one in analyses]
    distances = [(one.panel, point, far) for one in analyses for point, far in one.distances]
    parts = [
        part("tradeoff.lede", own=own, others=others, read=read, epochs=epochs),
        simulated_banner(names, simulated, "all brain scores on this page"),
        part("parts.left_out", runs=[{"name": str(one.path), "why": one.why} for one in read.left_out]),
        part("tradeoff.readings", analyses=analyses),
        part(
            "tradeoff.key",
            line=LINE,
            harmonised=HARMONISED,
            distances=distances,
            epochs=epochs,
            analyses=analyses,
        ),
        *(_grid(heading, several, k) for k, (heading, several) in enumerate(_sections(own, others))),
        part("tradeoff.trends", analyses=analyses, slope=slope_text),
        part("tradeoff.distances", distances=distances),
        part(
            "tradeoff.method", few=FEW_GROUPS, epochs=epochs, own=own, others=others, at=short_accuracy(HIGH)
        ),
        part("parts.notes", texts=notes),
    ]
    return page("Accuracy against brain scores", parts)


def _sections(own: list[Analysis], others: list[Analysis]) -> list[tuple[str, list[Analysis]]]:
    sections = [("Runs", own), ("The published networks of 2019", others)]
    return [(heading, several) for heading, several in sections if several]


def _grid(heading: str, analyses: Sequence[Analysis], number: int) -> Markup:
    drawings = [(one, Markup(draw_panel(one, f"t{number}-{k}"))) for k, one in enumerate(analyses)]
    return part("tradeoff.grid", heading=heading, drawings=drawings)
