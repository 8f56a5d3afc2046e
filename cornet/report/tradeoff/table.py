"""Print the trends of scores with accuracy, and compute the rows of tradeoff.csv."""

import math
from collections.abc import Sequence

import pandas as pd

from cornet.report.render import signed
from cornet.report.seeds.seed_runs import LeftOut
from cornet.report.terminal_tables import new_table, print_line, simulated_text
from cornet.report.tradeoff.analysis import Analysis, slope_text
from cornet.report.tradeoff.fit import Interval
from cornet.terminal import Terminal, cell

__all__ = ["point_rows", "print_tradeoff"]


def print_tradeoff(
    analyses: Sequence[Analysis],
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
    console: Terminal | None = None,
) -> None:
    """Print a row per score and part of the points, the readings, the harmonised points, and what is left out."""
    console = console or Terminal(highlight=False)
    table = new_table()
    table.add_column("score", overflow="fold", min_width=12, style="bold")
    table.add_column("points", justify="right", no_wrap=True)
    for heading in ("slope", "Pearson", "Spearman"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in analyses:
        for row in one.rows:
            name = cell(row.which or one.panel.title)
            table.add_row(
                f"  [not bold]{name}[/]" if row.which else name,
                f"{row.trend.n} ({row.trend.groups})",
                slope_text(row.trend).replace(" (", "\n("),
                _correlation(row.trend.pearson),
                _correlation(row.trend.spearman),
            )
    console.print(table, highlight=False)
    print_line(
        console,
        "Slope: change of the score for 10 points more accuracy. In brackets: the number of variants, and 95 % "
        "intervals by a bootstrap over variants.",
    )
    for one in analyses:
        print_line(console, f"{one.panel.title}: {one.reading}")
        last = {point.run: point.epoch for point, _ in sorted(one.distances, key=lambda pair: pair[0].epoch)}
        for point, far in one.distances:
            if point.epoch != last[point.run]:
                continue  # all epochs are in the CSV
            interval = (
                f", 95 % of new points: {far.low:+.3f} to {far.high:+.3f}" if math.isfinite(far.low) else ""
            )
            outside = ", outside the accuracies of the fit" if far.outside else ""
            print_line(
                console, f"  harmonised, {point.title}: {far.value:+.3f} from the line{interval}{outside}"
            )
    texts = [simulated_text([one.panel.simulated for one in analyses])]
    texts += [f"Left out: {one.path}: {one.why.rstrip('.')}." for one in left_out]
    for text in [*filter(None, texts), *(f"Note: {note.rstrip('.')}." for note in notes)]:
        print_line(console, text)


def point_rows(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return the content of tradeoff.csv, one row per point.

    Columns: kind (runs or published), score, scale, simulated, name, variant, epoch, accuracy, value, harmonised
    (such points are not in the fit), fitted (the value on the line), distance (from it), and for harmonised points the
    limits of the distances of 95 % of new points. Unknown values are empty.
    """
    rows = []
    for one in analyses:
        limits = {id(point): far for point, far in one.distances}
        for point in one.panel.points:
            fitted, far = one.whole.at(point.accuracy), limits.get(id(point))
            rows.append(
                {
                    "kind": one.panel.kind,
                    "score": one.panel.title,
                    "scale": one.panel.scale,
                    "simulated": one.panel.simulated,
                    "name": point.name,
                    "variant": point.variant,
                    "epoch": point.epoch,
                    "accuracy": point.accuracy,
                    "value": point.score,
                    "harmonised": point.harmonised,
                    "fitted": fitted,
                    "distance": point.score - fitted,
                    "low": far.low if far else math.nan,
                    "high": far.high if far else math.nan,
                }
            )
    return pd.DataFrame(rows)


def _correlation(one: Interval) -> str:
    """Format a correlation with its interval: .82, and below it (.79 to .86)."""
    interval = f"\n({signed(one.low)} to {signed(one.high)})" if math.isfinite(one.low) else ""
    return signed(one.value) + interval
