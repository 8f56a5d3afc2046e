"""Words that a shell offers when the user presses TAB: models, benchmarks, runs, formats. Imports no PyTorch.

Each function takes the incomplete word and returns the words that begin with it. With nothing to offer, bash completes
the names of files. An option of a command that takes several values (`SeveralValues`) completes all of them.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import typer

from cornet.errors import CornetError

__all__ = [
    "benchmarks",
    "bundles_to_convert",
    "card_formats",
    "decoders",
    "devices",
    "export_formats",
    "metrics",
    "models",
    "networks",
    "overrides",
    "public_data",
    "runs",
    "scales",
]

WORDS = "cornet.words"
"""Key of `Context.meta` under which a command with options of several values keeps its words."""

MOST_FOLDERS = 2000
"""Maximum number of folders that are searched for runs, so that a key press stays short."""

RUN_FILES = ("identity.json", "finished.json", "metrics.csv")


def completes(words: Callable[[str], Iterator[str] | list[str]]) -> Callable[[typer.Context, str], list[str]]:
    """Make a function for `autocompletion=` that also knows the option whose values the user is typing."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        other = of_open_option(ctx, incomplete)
        found = words(incomplete) if other is None else other
        return [word for word in dict.fromkeys(found) if word.startswith(incomplete)]

    return complete


def of_open_option(ctx: typer.Context, incomplete: str) -> list[str] | None:
    """Return the words for a further value of the last option, as in --on one two; None if it takes one value."""
    given = ctx.meta.get(WORDS, [])
    last = next((word for word in reversed(given) if word.startswith("-")), "")
    if not last or last not in getattr(ctx.command, "SEVERAL", ()):
        return None
    ctx.meta[WORDS] = []  # the option's own completion must not ask again
    option = next((one for one in ctx.command.params if last in one.opts), None)
    return [] if option is None else [item.value for item in option.shell_complete(ctx, incomplete)]


@completes
def models(incomplete: str) -> list[str]:
    """Networks, the models without a network, and folders of runs."""
    from cornet.models.registry import list_models

    return [*list_models(), "gabor", "pixels", *run_folders(incomplete)]


@completes
def networks(incomplete: str) -> list[str]:
    """Networks by name."""
    from cornet.models.registry import list_models

    return list_models()


@completes
def runs(incomplete: str) -> Iterator[str]:
    """Folders of runs, and folders that contain one or several seeds."""
    return run_folders(incomplete)


@completes
def benchmarks(incomplete: str) -> list[str]:
    """Benchmarks and their groups."""
    from cornet.brain.benchmark_names import BENCHMARKS, GROUPS

    return [*GROUPS, *BENCHMARKS]


@completes
def metrics(incomplete: str) -> list[str]:
    """Metrics of neural benchmarks, which may be several with commas: pls,cka."""
    start, comma, _ = incomplete.rpartition(",")
    return [f"{start}{comma}{name}" for name in decorated("brain/metrics/neural", "register")]


def overrides(ctx: typer.Context, incomplete: str) -> list[str]:
    """Overrides of `cornet train`, also from the folder of --config-dir."""
    from cornet.cli.program import conf_folder
    from cornet.cli.shell.override_words import override_words

    words = [part for word in ctx.args for part in (word.split("=", 1) if word.startswith("--") else [word])]
    given = [Path(after).expanduser() for word, after in pairwise(words) if word in ("--config-dir", "-cd")]
    with contextlib.suppress(CornetError, OSError):  # a key press prints no error
        return override_words([conf_folder(), *given], ctx.args, incomplete)
    return []


@completes
def public_data(incomplete: str) -> list[str]:
    """Data sets of `cornet fetch`."""
    from cornet.brain.data.public.listing import PUBLIC

    return list(PUBLIC)


@completes
def bundles_to_convert(incomplete: str) -> list[str]:
    """Data sets of `cornet convert`."""
    return decorated("brain/data/convert", "converter")


@completes
def export_formats(incomplete: str) -> list[str]:
    """Formats of `cornet export`."""
    from cornet.export.formats import format_names

    return format_names()


@completes
def card_formats(incomplete: str) -> list[str]:
    from cornet.report.card.blocks import FORMATS

    return list(FORMATS)


@completes
def devices(incomplete: str) -> list[str]:
    return ["auto", "cpu", "cuda"]


@completes
def scales(incomplete: str) -> list[str]:
    from cornet.brain.scales import SCALES

    return list(SCALES)


@completes
def decoders(incomplete: str) -> list[str]:
    return ["reference", "optimum"]


def decorated(folder: str, decorator: str) -> list[str]:
    """Return the names that the files of a folder of cornet give to a decorator, read from their source."""
    name = re.compile(rf"""^@{decorator}\(\s*["']([\w-]+)["']""", re.MULTILINE)
    paths = sorted((Path(__file__).parents[2] / folder).glob("*.py"))
    paths = [path for path in paths if path.stem not in ("base", "registry")]  # these define the decorators
    return sorted(word for path in paths for word in name.findall(path.read_text(encoding="utf-8")))


def run_folders(incomplete: str) -> Iterator[str]:
    """Yield the runs below the folder that the incomplete word names (else below runs/), and their parents."""
    folder, slash, _ = incomplete.rpartition("/")
    start = (folder or "/") if slash else "runs"
    seen = 0
    todo = [(os.path.expanduser(start), start, 0)]
    while todo and seen < MOST_FOLDERS:
        path, shown, depth = todo.pop(0)
        try:
            names = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
        except OSError:
            continue
        for name in names:
            seen += 1
            below, word = os.path.join(path, name), f"{shown.rstrip('/')}/{name}"
            if any(os.path.isfile(os.path.join(below, file)) for file in RUN_FILES):
                if depth:
                    yield shown
                yield word
            elif depth < 2 and not name.startswith("."):
                todo.append((below, word, depth + 1))
