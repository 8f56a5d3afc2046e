"""The table and the page of several seeds: their numbers, their links, that text stays text, what a browser shows."""

import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cornet.cli import app, main
from cornet.report.render import interval_text, number
from cornet.report.seeds.plots import draw_seeds
from cornet.report.seeds.read import read_seeds
from cornet.report.seeds.report import _page, print_seeds, print_seeds_summary, write_seeds_page
from cornet.report.statistics import Estimate
from tests.helpers.report.browser import find_browser, open_browser
from tests.helpers.report.made_up_runs import BENCHMARKS, scores
from tests.helpers.report.made_up_seeds import TWO, measure, seed_run
from tests.helpers.report.page import Page


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for seed, rise in ((0, 0.0), (1, 0.01), (2, 0.05)):
        folder = seed_run(tmp_path / "default" / f"seed{seed}", seed, rise, 0.4 + rise)
        (folder / "report.html").write_text("its own")
    return tmp_path / "default"


def printed(folder: Path, width: int = 100) -> str:
    console = Console(width=width, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        print_seeds(read_seeds(folder), console)
    return console.export_text()


def test_the_table(three: Path):
    text = printed(three)
    top1 = measure(read_seeds(three), "val/top1").final
    (line,) = [line.split() for line in text.splitlines() if line.startswith(" top-1")]
    assert line == [
        "top-1",
        "0.620",
        f"{top1.low:.3f}",
        "to",
        f"{top1.high:.3f}",
        "3",
        "0.600",
        "0.610",
        "0.650",
    ]
    (line,) = [line.split() for line in text.splitlines() if line.startswith(" best top-1")]
    assert line[2:3] + line[-3:] == ["0.520", "0.500", "0.510", "0.550"]
    assert "best mean brain score" in text
    assert "Brain scores are simulated: a check of the pipeline" in text
    assert "Note:" not in text
    (line,) = [line.split() for line in printed(three, 70).splitlines() if line.startswith(" top-1")]
    assert line[-3:] == ["0.600", "to", "0.650"]
    assert all(len(line) <= 80 for line in printed(three, 80).splitlines()[:12])


def test_what_is_not_there_is_a_dash():
    assert (number(math.nan), number(-0.0001), interval_text(Estimate(0.5, n=1))) == ("-", "0.000", "-")


@pytest.mark.slow
def test_recorded_scores_are_not_called_simulated(tmp_path: Path):
    real = [("majajhong2015.IT", "IT", "r^2/c", 0.8)]
    for seed in (0, 1):
        table = scores((0, 1, 2, 3), real, simulated=False)
        seed_run(tmp_path / f"seed{seed}", seed, scores=table)
    assert "imulated" not in printed(tmp_path)
    assert "imulated:" not in _page(read_seeds(tmp_path))


def test_the_page(three: Path):
    (seed_run(three / "seed3", 3) / "finished.json").unlink()
    seeds = read_seeds(three)
    path = write_seeds_page(seeds)
    assert path == three / "report.html"
    page = Page(path)
    assert [one["href"] for one in page.all("a")] == [f"seed{k}/report.html" for k in range(3)]
    assert all((three / one["href"]).read_text() == "its own" for one in page.all("a"))
    for one in seeds.measures:
        final = one.final
        assert f"{final.mean:.3f} {final.low:.3f} to {final.high:.3f} {final.sd:.3f}" in page.text
    for words in (
        "cornet_s on objects, 3 seeds",
        "Simulated: all brain scores on this page",
        "Left out: not included in the means. seed3 : it is not finished",
        "Configuration of seed 0",
    ):
        assert words in page.text
    assert page.all("script") == []
    assert all(one["src"].startswith("data:") for one in page.all("img"))
    assert "nan" not in page.text.lower()


def test_all_text_stays_text(tmp_path: Path):
    bad = "<script>alert('x')</script>&\"'[red]"
    home = tmp_path / "a<b>&[bold]"
    for seed in (0, 1):
        table = scores((0, 1, 2, 3), [(bad, f"IT{bad}", "raw", 0.8)])
        table["notes"] = f"note {bad}"
        table["value"] = table["value"].mask(table["epoch"] == 3)
        facts = {"network": bad, "data": bad, "brain_monitor": bad, "monitor": bad}
        folder = seed_run(home / f"seed{seed}", seed, scores=table, finished=facts, versions={bad: seed})
        (folder / "report.html").write_text("its own")
    (seed_run(home / "seed2", 2) / "finished.json").write_text(f'"{bad[:8]}')
    path = write_seeds_page(read_seeds(home))
    page = Page(path)
    assert page.all("script") == []
    assert "<script" not in path.read_text()
    for text in (bad, f"note {bad}", f"{bad} on {bad}", "a<b>&[bold]"):
        assert text in page.text
    assert f"{bad} on {bad}" in printed(home, 400)


@pytest.mark.slow  # draws fourteen
def test_pictures_of_all_that_may_be_there(tmp_path: Path):
    lost = scores((0, 1, 2, 3), TWO)
    lost.loc[lost["benchmark"] == "simulated.V1", "value"] = math.nan
    for name, tables in {
        "undefined": [lost, lost],
        "once": [scores((3,), TWO)] * 2,
        "start": [scores((0,), TWO)] * 2,
        "one": [scores((0, 1), TWO)],
        "apart": [scores((0, 1), TWO), scores((0, 1), TWO).assign(version=2)],
        "without": [None, None],
        "long": [scores(np.arange(0, 60), TWO)] * 4,
    }.items():
        for seed, table in enumerate(tables):
            seed_run(tmp_path / name / f"seed{seed}", seed, 0.01 * seed, scores=table)
        seeds = read_seeds(tmp_path / name)
        assert (draw_seeds(seeds, brain=True) is None) == (name == "without")
        assert draw_seeds(seeds, brain=False, columns=1) is not None
        assert printed(tmp_path / name)


def test_the_command(three: Path, tmp_path: Path):
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "cornet_s on objects, 3 seeds" in result.output
    assert result.output.splitlines()[-1] == str(three / "report.html")


@pytest.mark.slow  # writes two pages
def test_runs_named_one_by_one(three: Path, tmp_path: Path):
    runs = [str(three / "seed0"), str(seed_run(tmp_path / "there" / "seed7", 7))]
    result = CliRunner().invoke(app, ["report", "--together", *runs])
    assert result.exit_code == 0, result.output
    page = Page(tmp_path / "report.html")
    assert [one["href"] for one in page.all("a")] == ["default/seed0/report.html", "there/seed7/report.html"]
    assert (tmp_path / "there" / "seed7" / "report.html").is_file()


def test_mistakes_are_one_sentence(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    other = seed_run(tmp_path / "wide" / "seed1", 1, model={"width": 0.5})
    monkeypatch.setattr("sys.argv", ["cornet", "report", "--together", str(three / "seed0"), str(other)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "model.width is 0.25 in the first and 0.5 in the second" in capsys.readouterr().err


@pytest.mark.slow
def test_the_end_of_a_sweep(three: Path, tmp_path: Path, capsys):
    """Seeds from before are shown, too; those that have not begun are named; nothing finished is passed over."""
    (seed_run(tmp_path / "b" / "seed0") / "finished.json").unlink()
    print_seeds_summary(
        [
            [three / "seed1", three / "seed2", three / "seed4"],
            [tmp_path / "b" / "seed0", tmp_path / "b" / "seed1"],
        ],
        Console(width=100),
    )
    said = capsys.readouterr().out
    assert said.count("3 seeds") == 1
    assert "Left out: seed4: it has not started." in said
    assert f"Written to {three / 'report.html'}" in said
    assert str(tmp_path / "b") not in said


@pytest.mark.slow  # writes a page
def test_an_earlier_seed_of_another_configuration_is_not_shown(three: Path, capsys):
    seed_run(three / "seed9", 9, model={"width": 0.5})
    print_seeds_summary([[three / "seed1", three / "seed2"]], Console(width=100))
    assert "2 seeds" in capsys.readouterr().out


@pytest.mark.slow  # draws all panels, and starts a browser
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it(width: int, tmp_path: Path):
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium here")
    for seed in range(3):
        table = scores(
            (0, 1, 2, 3), [*BENCHMARKS, ("a_benchmark_with_a_very_long_name." * 4, "V4", "r^2/c", 0.8)]
        )
        folder = seed_run(tmp_path / "default" / f"seed{seed}", seed, 0.02 * seed, scores=table)
        (folder / "report.html").write_text("its own")
    path = write_seeds_page(read_seeds(tmp_path / "default"))
    (tmp_path / "profile").mkdir()
    with open_browser(program, tmp_path / "profile") as browser:
        browser.open(path, width)
        asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
        assert all(url.startswith(("file://", "data:")) for url in asked)
        assert browser.told("Network.loadingFailed") == []
        assert browser.told("Log.entryAdded") == []
        assert browser.evaluate("[...document.images].map(i => i.naturalWidth > 100)") == [True, True]
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("document.links[1].pathname").endswith("/default/seed1/report.html")
        assert browser.screenshot().shape[1] == width
