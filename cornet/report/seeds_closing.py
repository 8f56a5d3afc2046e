"""What is said of several seeds together: at the end of a sweep over seeds, and by `cornet report`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cornet.errors import CornetError
from cornet.report.page import find_run_folder, write_page
from cornet.report.seeds import Seeds, read_seeds
from cornet.report.seeds_page import write_seeds_page
from cornet.report.seeds_runs import find_seeds, seed_folders
from cornet.report.seeds_table import print_seeds
from cornet.terminal import Terminal

__all__ = ["close_seeds", "report_runs"]


def close_seeds(configurations: Sequence[Sequence[Path]], console: Terminal | None = None) -> None:
    """Print a table of each configuration of a sweep, and write its page beside the seeds' folders.

    configurations: the folders of the runs of each, in the order of the sweep; those of which none is finished are
    passed over. Seeds that the same folder holds from before are shown with them. What goes wrong is told in a
    sentence, and nothing is raised: the numbers are in the runs' folders.
    """
    console = console or Terminal()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for runs in configurations:
        if not any((run / "finished.json").is_file() for run in runs):
            continue
        try:
            seeds = _with_earlier(runs)
        except CornetError as error:
            say(f"\nNo means over seeds: {error}")
            continue
        console.print()
        print_seeds(seeds, console)
        try:
            say(f"Written to {write_seeds_page(seeds)}")
        except (CornetError, OSError) as error:
            say(f"The report could not be written: {error}")


def report_runs(runs: Sequence[Path], together: bool = False) -> Iterator[Path]:
    """Write the pages of `cornet report` and yield their paths: of one run, or of several seeds with their table.

    together: the runs named are seeds of one configuration, and get one page. Raises CornetError as `find_run_folder`,
    `read_seeds` and the pages do, before anything is written for a folder that cannot be found.
    """
    found = [(run, find_seeds(run)) for run in runs]
    if together:
        each = [seed_folders(seeds) if seeds else [find_run_folder(run)] for run, seeds in found]
        yield _report(read_seeds([folder for folders in each for folder in folders]))
        return
    for folder, several in [
        (seeds, True) if seeds else (find_run_folder(run), False) for run, seeds in found
    ]:
        yield _report(read_seeds(folder)) if several else write_page(folder)


def _report(seeds: Seeds) -> Path:
    print_seeds(seeds)
    return write_seeds_page(seeds)


def _with_earlier(runs: Sequence[Path]) -> Seeds:
    """With the seeds that the folder holds from before; without where one of those is of another configuration."""
    earlier = [folder for folder in seed_folders(runs[0].parent) if folder not in runs]
    try:
        return read_seeds([*runs, *earlier])
    except CornetError:
        if not earlier:
            raise
        return read_seeds(runs)
