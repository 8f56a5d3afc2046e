"""Every code block of the README and of docs/ runs, or says why not.

Python runs in order, in one namespace for each page, in a folder with a small bundle, `my-bundle`, and a finished run.
Of shell blocks, options are parsed by the real program and overrides composed; what is cheap is run, and its output
compared with the page, where "..." stands for anything.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from typer.testing import CliRunner

from cornet.brain.metrics.neural.registry import METRICS
from cornet.cli.command import app
from cornet.models import registry
from tests.helpers.brain import drawn_bundle
from tests.helpers.command_lines import check, program_of
from tests.helpers.pages import PAGES, Block, blocks, commands, page_name, snippet
from tests.helpers.paths import ROOT
from tests.helpers.training.recorded_runs import recorded, run_folder

SHELL = ("sh", "console", "bash")
PYTHON = ("python", "set-up")
READ = {"json": json.loads, "yaml": yaml.safe_load, "text": str, "csv": str, "bibtex": str}
"""Other languages, and what reads a block."""

CHEAP = ("init", "convert --list", "models cornet_s", "benchmarks --coverage", "report tradeoff --score IT")
"""Beginnings of `cornet` commands that are run in the default tests; they need neither data nor a trained network."""


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Networks and metrics that a page registers are forgotten after it; so is the configuration that was read."""
    yield
    for known in (registry.REGISTERED, METRICS):
        for name in [
            name for name, entry in known.items() if getattr(entry, "make", type(entry)).__module__ == "page"
        ]:
            del known[name]
    GlobalHydra.instance().clear()


@pytest.fixture
def folder(tmp_path, monkeypatch, small_brain) -> Path:
    """The current folder, with a bundle and a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "110")
    drawn_bundle.write(tmp_path / "my-bundle")
    run_folder(tmp_path / "runs/objects-cornet_s/seed0", recorded())
    return tmp_path


def with_python(page: Path) -> bool:
    return any(block.language in PYTHON for block in blocks(page))


def run_python(page: Path, slow: bool) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if block.language not in PYTHON or block.reason or (block.slow and not slow):
            continue
        code = block.code
        if (file := snippet(block)) is not None:
            assert file.parent == ROOT / "examples", f"{block.place}: tests/examples runs files of examples/"
            code = f"import ast\nast.parse({file.read_text()!r})"
        lines = "\n" * (block.line - 1)  # so that a traceback has the line of the page
        exec(compile(lines + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if with_python(page)], ids=page_name)
def test_python(page, folder):
    run_python(page, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(one.slow and one.language in PYTHON for one in blocks(page))],
    ids=page_name,
)
def test_slow_python(page, folder):
    run_python(page, slow=True)


@pytest.mark.slow  # reads every command of every page
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(one.language in SHELL for one in blocks(page))], ids=page_name
)
def test_commands(page, folder, monkeypatch):
    """A project made by `cornet init` in a block is there for the commands below it."""
    mistakes = []
    for block in blocks(page):
        if block.language not in SHELL or block.reason:
            continue
        for words, output in commands(block):
            if words[0] == "cd":
                monkeypatch.chdir(words[1])
                continue
            try:
                check(words)
                if is_cheap(words):
                    assert_prints(block, program_of(words)[1], output)
            except Exception as error:  # all mistakes of a page at once
                mistakes.append(f"{block.place}: {' '.join(words)}\n    {type(error).__name__}: {error}")
    assert not mistakes, "\n".join(mistakes)


def is_cheap(words: list[str]) -> bool:
    program, arguments = program_of(words)
    return program == "cornet" and " ".join(arguments).startswith(CHEAP)


def assert_prints(block: Block, arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    pattern = r"[\s\S]*?".join(re.escape(part.strip()) for part in folded(expected).split("..."))
    assert re.search(pattern, folded(done.output)), f"it prints\n{done.output}"


def folded(text: str) -> str:
    """Return a text with its spaces, line ends and rules of tables folded: they depend on the terminal's width."""
    return re.sub(r"[\s─]+", " ", text)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_block_has_a_language_that_can_be_checked(page):
    for block in blocks(page):
        assert block.language in (*SHELL, *PYTHON, *READ), f"{block.place}: {block.language!r}"
        if block.language in READ:
            READ[block.language](block.code)
        if block.language in PYTHON and not snippet(block):
            ast.parse(block.code)


def test_a_wrong_command_is_noticed():
    """The oracle of the checks: each of these is wrong."""
    for line, error in (
        ("cornet score gabor --onn my-bundle", "No such option"),
        ("cornet scroe gabor", "No such command"),
        ("uv run train.py model.widht=2", "widht"),
        ("uv run train.py data=imagefolder", "data.folder has no value yet"),
        ("uv run train.py -m model=cornet_q,cornet_s", "cornet_q"),
        ("cornet plan recipe.epoch=3", "epoch"),
        ("python benchmarks/none.py", "does not exist"),
        ("python benchmarks/scaling.py --wrong", "has no --wrong"),
        ("curl https://example.org", "neither checked nor in NOT_RUN"),
    ):
        with pytest.raises(Exception, match=error):
            check(line.split())


def test_an_unknown_marker_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.helpers.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    for text, error in (
        ("<!-- skip -->\n```sh\nls\n```\n", "unknown marker"),
        ("<!-- not run: -->\n```sh\nls\n```\n", "unknown marker"),
        ("<!-- slow -->\n", "no block follows"),
    ):
        page.write_text(text)
        with pytest.raises(AssertionError, match=error):
            list(blocks(page))
    shutil.rmtree(tmp_path)
