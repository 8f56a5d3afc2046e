"""The report of a run: its numbers, that it needs nothing outside itself, and that a browser shows it."""

import base64
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from brain_runs import BENCHMARKS, make_run, metrics, scores
from browser import Browser, find_browser, open_browser
from PIL import Image
from typer.testing import CliRunner

from cornet.cli import app, main
from cornet.errors import CornetError
from cornet.report.page import find_run_folder, write_page
from cornet.report.sample_sheet import sample_sheet

FEW = scores((0, 1), BENCHMARKS[:1])
"""Small, for what does not depend on the pictures."""

VOID = {"meta", "link", "img", "br", "source", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text; every element must be closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(path.read_text())
        assert self.stack == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_numbers_are_on_the_page(tmp_path: Path):
    table = scores()
    path = write_page(make_run(tmp_path))
    page = Page(path)
    assert path == tmp_path / "report.html"
    assert "cornet_s on objects" in page.text
    for name, _, scale, ceiling in BENCHMARKS:
        rows = table[table["benchmark"] == name]
        best = rows.loc[rows["value"].idxmax()]
        for row in (rows.iloc[0], rows.iloc[-1], best):
            assert f"{row['value']:.3f} \u00b1 {row['value_error']:.3f} epoch {row['epoch']:g}" in page.text
        assert f"{ceiling:.3f}" in page.text
        assert scale in page.text
    for value in table["value"]:
        assert f"{value:.3f}" in page.text
    for text in (
        "Simulated:",
        "all benchmarks on this page",
        "3,317,432 parameters",
        "name: cornet_s",
        "3.11.7",
    ):
        assert text in page.text


def test_the_page_needs_nothing_outside_itself(tmp_path: Path):
    page = Page(write_page(make_run(tmp_path)))
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
    style = (tmp_path / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    images = page.all("img")
    assert len(images) == 5
    assert all(len(image["alt"]) > 20 for image in images)
    for image, name in zip(images, ("brain_scores.png", "brain_accuracy.png"), strict=False):
        assert base64.b64decode(image["src"].partition(",")[2]) == (tmp_path / name).read_bytes()


def test_all_text_stays_text(tmp_path: Path):
    bad = "<script>alert('x')</script>&\"'"
    table = scores(benchmarks=[(bad, f"IT{bad}", "raw", 0.8)])
    table["notes"], table["weights"] = f"note {bad}", f"w{bad}"
    table.loc[0, "failure"] = f"failed {bad}"
    folder = make_run(tmp_path / "a<b>&", scores=table, step_matrix=None, solution_times=None)
    (folder / "config.yaml").write_text(f"name: {bad}\n")
    (folder / "versions.json").write_text(json.dumps({bad: [bad], "later": [{bad: bad}]}))
    told = json.loads((folder / "finished.json").read_text()) | {"network": bad, "data": bad}
    (folder / "finished.json").write_text(json.dumps(told))
    path = write_page(folder, stimuli=[(bad, np.zeros((2, 16, 16, 3), np.uint8))])
    page = Page(path)
    assert page.all("script") == []
    assert "<script" not in path.read_text()
    for text in (bad, f"note {bad}", f"failed {bad}", f"{bad} on {bad}", f"name: {bad}", "a<b>&"):
        assert text in page.text


@pytest.mark.slow  # draws a page for each
@pytest.mark.parametrize(
    "absent",
    ["metrics", "scores", "step_matrix", "solution_times", "config.yaml", "versions.json", "finished.json"],
)
def test_what_is_missing_is_left_out(absent: str, tmp_path: Path):
    folder = make_run(tmp_path, scores=FEW)
    for path in (folder / absent, folder / f"{absent}.csv"):
        path.unlink(missing_ok=True)
    page = Page(write_page(folder))
    assert "nan" not in page.text.lower().replace("dominant", "")
    images = {"scores": 3, "metrics": 4, "step_matrix": 4, "solution_times": 4}
    assert len(page.all("img")) == images.get(absent, 5)
    assert ("not finished" in page.text) == (absent == "finished.json")
    assert ("No brain scores" in page.text) == (absent == "scores")


def test_damaged_files_beside_the_tables_do_not_matter(tmp_path: Path):
    folder = make_run(tmp_path, scores=FEW, step_matrix=None, solution_times=None)
    for name in ("versions.json", "finished.json", "stimuli.png"):
        (folder / name).write_bytes(b"\x89PNG\xff{")
    assert "Sample stimuli" not in Page(write_page(folder)).text


@pytest.mark.parametrize("epochs", [(0,), (0, 1)])
def test_few_evaluations(epochs: tuple[float, ...], tmp_path: Path):
    page = Page(
        write_page(
            make_run(tmp_path, scores=scores(epochs, BENCHMARKS[:2]), step_matrix=None, solution_times=None)
        )
    )
    assert f"{len(epochs)} evaluation" in page.text


def test_failures_and_undefined_scores_are_said(tmp_path: Path):
    table = scores()
    lost = table["benchmark"] == "simulated-ost"
    table.loc[lost, ["value", "value_error", "raw", "error", "ceiling", "n", "top1"]] = np.nan
    table.loc[lost, "failure"] = "it solves 3 images and needs 10."
    table.loc[table["benchmark"] == "simulated.V4", "notes"] = "2 neuroids are constant"
    page = Page(write_page(make_run(tmp_path, scores=table, step_matrix=None, solution_times=None)))
    assert "Not everything was scored" in page.text
    assert "simulated-ost : it solves 3 images and needs 10 (9 evaluations)" in page.text
    assert "simulated.V4 : 2 neuroids are constant (9 evaluations)" in page.text
    assert "no score" in page.text
    assert " nan" not in page.text.lower()


def test_recorded_brains_have_no_banner_and_mixtures_are_named(tmp_path: Path):
    real = [("majajhong2015.V4", "V4", "r^2/c", 0.8)]
    options = {"step_matrix": None, "solution_times": None}
    table = scores(benchmarks=real, simulated=False)
    page = Page(write_page(make_run(tmp_path / "real", scores=table, **options)))
    assert "Simulated:" not in page.text
    both = pd.concat([table, scores((0, 1), BENCHMARKS[:2])])
    page = Page(write_page(make_run(tmp_path / "both", scores=both, **options)))
    assert "Simulated: simulated.V1, simulated.V2." in page.text
    assert len([a for a in page.all("span") if a.get("class") == "tag"]) == 2 * 2


def test_given_stimuli_are_kept_for_later_reports(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    folder = make_run(tmp_path, scores=FEW, step_matrix=None, solution_times=None)
    assert "objects seen" in Page(write_page(folder, stimuli=[("objects seen", images)])).text
    again = Page(write_page(folder))
    assert (
        base64.b64decode(again.all("img")[-1]["src"].partition(",")[2])
        == (folder / "stimuli.png").read_bytes()
    )


def test_a_sheet_of_samples():
    red = np.zeros((30, 20, 24, 3), np.uint8)
    red[..., 0] = np.arange(30)[:, None, None] * 8
    gray = [np.full((9, 9), 99, np.uint8)] * 2
    with Image.open(io.BytesIO(sample_sheet([("red", red), ("g", gray)], across=4, side=40))) as image:
        pixels = np.asarray(image)
    assert pixels.shape[0] == 2 * 40 + 4
    left = pixels.shape[1] - (4 * 40 + 3 * 4)
    assert [int(pixels[20, left + 20 + 44 * k, 0]) for k in range(4)] == [0, 80, 152, 232]
    assert (pixels[64, left + 20] == 99).all()
    assert (pixels[64, left + 20 + 44 * 3] == 255).all()
    with pytest.raises(CornetError, match="no images at all"):
        sample_sheet([("none", [])])


def test_the_command(tmp_path: Path):
    options = {"scores": FEW, "step_matrix": None, "solution_times": None}
    folder = make_run(tmp_path / "runs" / "objects" / "default" / "seed0", **options)
    make_run(tmp_path / "runs" / "objects" / "default" / "seed0.old1", **options)
    result = CliRunner().invoke(app, ["report", str(tmp_path / "runs"), str(folder)])
    assert result.exit_code == 0
    assert result.output.split() == [str(folder / "report.html")] * 2
    assert not (folder.parent / "seed0.old1" / "report.html").exists()


def test_mistakes_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def told(path: Path) -> str:
        monkeypatch.setattr("sys.argv", ["cornet", "report", str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    assert "is no folder" in told(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no metrics.csv and no scores.csv" in told(empty)
    for seed in (0, 1):
        (tmp_path / "two" / f"seed{seed}").mkdir(parents=True)
        metrics().to_csv(tmp_path / "two" / f"seed{seed}" / "metrics.csv", index=False)
    assert "holds 2 runs" in told(tmp_path / "two")
    (empty / "scores.csv").write_text("epoch,benchmark,value\n")
    assert "with numbers" in told(empty)
    assert find_run_folder(tmp_path / "two" / "seed1") == tmp_path / "two" / "seed1"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium here")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    long = [*BENCHMARKS, ("a_benchmark_with_a_very_long_name." * 4, "V4", "r^2/c", 0.8)]
    folder = make_run(tmp_path_factory.mktemp("run"), scores=scores(benchmarks=long))
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    write_page(folder, stimuli=[("noise", images)])
    return folder


@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it_without_a_network(width: int, browser: Browser, folder: Path):
    browser.open(folder / "report.html", width)
    asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    assert asked
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert browser.told("Network.loadingFailed") == []
    assert browser.told("Log.entryAdded") == []
    assert browser.evaluate("[...document.images].map(i => i.naturalWidth > 100)") == [True] * 6
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    pixels = browser.screenshot().astype(int)
    assert pixels.shape[1] == width
    assert len(pixels) > 2000
    dark = (pixels.sum(-1) < 300).mean()
    assert 0.005 < dark < 0.5
    assert (pixels.min(-1) > 250).mean() > 0.4
    inked = (pixels.min(-1) < 200).any(1)
    blank = max(len(gap) for gap in re.findall("0+", "".join("01"[int(one)] for one in inked)))
    assert blank < 250  # no picture is missing


def test_the_browser_would_notice(browser: Browser, tmp_path: Path):
    """The same checks find a page that asks for what is not there."""
    (tmp_path / "bad.html").write_text(
        "<!doctype html><img src='missing.png'><img src='http://example.org/a.png'>"
    )
    browser.open(tmp_path / "bad.html", 400)
    assert browser.told("Network.loadingFailed")
    assert browser.evaluate("[...document.images].map(i => i.naturalWidth > 100)") == [False, False]
