"""Print what `cornet metamers` found."""

import math

from cornet.report.metamers.plots import share_name, shown_share
from cornet.report.metamers.report import facts, findings, median, note_texts, with_short_names
from cornet.report.render import number
from cornet.report.terminal_tables import new_table
from cornet.synthesis.metameric.results import StageResult, Study
from cornet.terminal import Terminal, cell

__all__ = ["print_study"]


def print_study(study: Study) -> None:
    """Print a row for each stage, and a table of the judges."""
    study = with_short_names(study)
    console = Terminal(highlight=False)
    for generator in study.generators:
        table = new_table()
        table.add_column("stage", no_wrap=True)
        for heading in ("loss", "rho (null)", "r (null)", "dB (null)", "own class", "passed", "pixel r"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in study.of(generator):
            table.add_row(cell(str(one.stage)), *row_cells(one))
        if len(study.generators) > 1:
            console.print(f"[bold]{cell(generator)}[/]")
        console.print(table)
    if study.judges:
        print_judges(console, study)
    console.print(cell(f"{'; '.join(facts(study))}."))
    console.print("Medians of the saved images; in brackets what each metamer must surpass.")
    for text in [*findings(study)[len(study.generators) :], *note_texts(study)]:
        console.print(cell(text.rstrip(".") + "."))


def row_cells(one: StageResult) -> list[str]:
    found = [short(median(one.saved_loss), 3)]
    for name, digits in (("spearman", 2), ("pearson", 2), ("snr", 1)):
        limit = one.thresholds.get(name)
        middle = short(median(getattr(one.found, name)), digits)
        found.append(f"{middle} ({'-' if limit is None else short(limit, digits)})")
    found.append("-" if one.kept is None else short(float(one.kept.mean()), 2))
    return [*found, f"{one.passed.sum()}/{len(one.passed)}", short(median(one.pixel_r), 2)]


def short(value: float, digits: int) -> str:
    """A number without the zero before the point."""
    if value == math.inf:
        return "inf"
    text = number(value, digits)
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def print_judges(console: Terminal, study: Study) -> None:
    """Print the share that each network recognises, a row for each stage and a column for each network."""
    for generator in study.generators:
        judges = [name for name in dict.fromkeys([generator, *study.judges]) if study.judged(generator, name)]
        table = new_table()
        table.add_column(
            "recognised by" if len(study.generators) == 1 else f"{cell(generator)}, by", no_wrap=True
        )
        for judge in judges:
            table.add_column(cell(judge), justify="right", overflow="fold")
        for stage in (None, *(one.stage for one in study.of(generator))):
            shares = [
                shown_share(study, one)
                for name in judges
                for one in study.judged(generator, name)
                if one.stage == stage
            ]
            table.add_row(cell(str(stage or "unchanged")), *(short(one.value, 2) for one in shares))
        console.print(table)
    console.print(f"Of those that passed: {share_name(study)}.")
