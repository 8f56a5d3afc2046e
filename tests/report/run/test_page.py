"""The report of a run: its numbers, that it needs nothing outside itself, and that a browser shows it."""

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from cornet.cli import app, main
from cornet.report.run.page import find_run_folder, stimuli_section, write_page
from cornet.report.run.plots import BrainTables
from cornet.report.run.sections import banner, evaluations, missing_scores, notes, summary_table, times_table
from cornet.stimuli.sheet import contact_sheet
from tests.helpers.report.browser import Browser, find_browser, open_browser
from tests.helpers.report.made_up_runs import BENCHMARKS, make_run, matrix, metrics, scores, times
from tests.helpers.report.page import Page

FEW = scores((0, 1), BENCHMARKS[:1])
"""Small, for what does not depend on the pictures."""

LONG = [*BENCHMARKS, ("a_benchmark_with_a_very_long_name." * 4, "V4", "r^2/c", 0.8)]


def add_stimuli(
    folder: Path, name: str = "objects", labels: Sequence[str] = tuple("abcdefgh"), **facts
) -> None:
    """What training leaves of a stimulus set: a sheet of noise, and what it is."""
    tiles = np.random.default_rng(0).integers(0, 256, (len(labels), 112, 112, 3), dtype=np.uint8)
    (folder / "stimuli").mkdir(exist_ok=True)
    contact_sheet(tiles, len(tiles), ["x"] * len(tiles), gap=4).save(folder / "stimuli" / "1-set.png")
    one = {
        "name": name,
        "count": 640,
        "degrees": 4.0,
        "simulated": True,
        "benchmarks": ["simulated.V4", "simulated.IT"],
        "column": "category_name",
        "kinds": 8,
        "ids": [f"id-{k}" for k in range(len(labels))],
        "labels": list(labels),
        "file": "1-set.png",
        "side": 112,
        "gap": 4,
    }
    content = {"screen": {"size": 64, "degrees": 8.0}, "sets": [one | facts]}
    (folder / "stimuli" / "sets.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report."""
    folder = make_run(tmp_path_factory.mktemp("run"), scores=scores(benchmarks=LONG))
    add_stimuli(folder, labels=["a label that is far too long for its place"] * 8)
    assert write_page(folder) == folder / "report.html"
    return folder


def test_the_numbers_are_on_the_page(folder: Path):
    table = scores(benchmarks=LONG)
    page = Page(folder / "report.html")
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


def test_the_page_needs_nothing_outside_itself(folder: Path):
    page = Page(folder / "report.html")
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
    style = (folder / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    images = page.all("img")
    assert len(images) == 5 + 8
    assert all(len(image["alt"]) > 20 for image in images)
    for image, name in zip(images, ("brain_scores.png", "brain_accuracy.png"), strict=False):
        assert base64.b64decode(image["src"].partition(",")[2]) == (folder / name).read_bytes()


BAD = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">&\"'$x{$"


def hostile_run(path: Path, bad: str = BAD) -> Path:
    """A run's folder in which every text is `bad`."""
    table = scores(benchmarks=[(bad, f"IT{bad}", "raw", 0.8)])
    table["notes"], table["weights"] = f"note {bad}", f"w{bad}"
    table.loc[0, "failure"] = f"failed {bad}"
    table.loc[1, "value"] = np.nan
    told_of_steps = matrix().assign(benchmark="<i>$x{$&")  # longer names leave a picture no room
    folder = make_run(path / "a<b>&", scores=table, step_matrix=told_of_steps, solution_times=None)
    (folder / "config.yaml").write_text(f"name: {bad}\n{bad}: {bad}\n")
    (folder / "versions.json").write_text(json.dumps({bad: [bad], "later": [{bad: bad}]}))
    told = json.loads((folder / "finished.json").read_text()) | {"network": bad, "data": bad}
    told |= {"monitor": bad, "best_epoch": bad, "steps": [bad], "overrides": [bad]}
    (folder / "finished.json").write_text(json.dumps(told))
    logged = {"epoch": [0], "step": [0], f"brain/{bad}/untrained": [0.1], bad: [1.0], f"val/{bad}": [2.0]}
    pd.DataFrame(logged).to_csv(folder / "metrics.csv")
    times(9).assign(benchmark=bad).to_csv(folder / "solution_times.csv")
    add_stimuli(folder, bad, [bad] * 8, benchmarks=[bad], column=bad, ids=[bad] * 8)
    return folder


@pytest.mark.slow  # draws pages
def test_all_text_stays_text(tmp_path: Path):
    bad, folder = BAD, hostile_run(tmp_path)
    path = write_page(folder)
    page = Page(path)
    assert page.all("script") == []
    assert "<script" not in path.read_text()
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not [name for image in page.all("img") for name in image if name.startswith("on")]
    assert any(bad in image["alt"] for image in page.all("img"))
    for text in (bad, f"note {bad}", f"failed {bad}", f"{bad} on {bad}", f"name: {bad}", "a<b>&"):
        assert text in page.text


@pytest.mark.slow
def test_a_browser_runs_nothing_of_it(browser: Browser, tmp_path: Path):
    """With and without the page's own rule against scripts, which is the second line."""
    path = write_page(hostile_run(tmp_path))
    without = path.with_name("without.html")
    without.write_text(path.read_text().replace("Content-Security-Policy", "none"))
    for page in (path, without):
        browser.open(page, 1000)
        assert (
            browser.call("Runtime.evaluate", expression="document.title")["result"]["value"]
            == f"{BAD} on {BAD}"
        )
        assert browser.told("Network.loadingFailed") == []
    without.write_text(without.read_text().replace("</main>", f"{BAD}</main>"))  # else this could not fail
    browser.open(without, 1000)
    assert browser.call("Runtime.evaluate", expression="document.title")["result"]["value"] == "ran"
    path.write_text(path.read_text().replace("</main>", f"{BAD}</main>"))
    browser.open(path, 1000)
    assert browser.call("Runtime.evaluate", expression="document.title")["result"]["value"] != "ran"


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


@pytest.mark.slow  # draws pages
def test_damaged_files_beside_the_tables_do_not_matter(tmp_path: Path):
    folder = make_run(tmp_path, scores=FEW, step_matrix=None, solution_times=None)
    (folder / "stimuli").mkdir()
    for name in ("versions.json", "finished.json", "stimuli/sets.json"):
        (folder / name).write_bytes(b"\x89PNG\xff{")
    assert "Sample stimuli" not in Page(write_page(folder)).text


@pytest.mark.parametrize("epochs", [(0,), (0, 1)])
def test_few_evaluations(epochs: tuple[float, ...], tmp_path: Path):
    page = Page(
        write_page(
            make_run(tmp_path, scores=scores(epochs, BENCHMARKS[:1]), step_matrix=None, solution_times=None)
        )
    )
    assert f"{len(epochs)} evaluation" in page.text


def test_failures_and_undefined_scores_are_said():
    table = scores()
    lost = table["benchmark"] == "simulated-ost"
    table.loc[lost, ["value", "value_error", "raw", "error", "ceiling", "n", "task_value"]] = np.nan
    table.loc[lost, "failure"] = "it solves 3 images and needs 10."
    table.loc[table["benchmark"] == "simulated.V4", "notes"] = "2 neuroids are constant"
    page = Page(missing_scores(table) + summary_table(table) + notes(table) + evaluations(table))
    assert (
        "Failed: the score could not be computed. simulated-ost simulated : it solves 3 images and needs 10"
        in page.text
    )
    assert "simulated.V4 simulated : 2 neuroids are constant (9 evaluations)" in page.text
    assert "failed epoch 0 failed epoch 6 - -" in page.text
    assert " nan" not in page.text.lower()


def test_an_undefined_score_is_neither_zero_nor_hidden_behind_an_earlier_one():
    table = scores((0, 6), BENCHMARKS[-1:])
    table.loc[1, ["value", "value_error", "raw", "error"]] = np.nan
    table.loc[1, "notes"] = "no split has a correlation"
    page = Page(missing_scores(table) + summary_table(table))
    first = f"{table['value'][0]:.3f} \u00b1 0.020 epoch 0"
    assert f"{first} undefined epoch 6 {first} - 1.000" in page.text
    assert (
        "not a score of zero. simulated-ost simulated : no split has a correlation (1 evaluation)"
        in page.text
    )
    assert " 0.000" not in page.text


def test_recorded_brains_have_no_banner_and_mixtures_are_named():
    real = [("majajhong2015.V4", "V4", "r^2/c", 0.8)]
    table = scores((0, 1), real, simulated=False)
    assert banner(BrainTables(table)) == ""
    both = pd.concat([table, scores((0, 1), BENCHMARKS[:2])])
    assert "Simulated: simulated.V1, simulated.V2." in Page(banner(BrainTables(both))).text
    page = Page(summary_table(both) + evaluations(both))
    assert len([a for a in page.all("span") if a.get("class") == "tag"]) == 2 * 2
    assert "all benchmarks on this page" in Page(banner(BrainTables(scores()))).text
    assert "simulated.V1, simulated.V2" in Page(banner(BrainTables(table, matrix()))).text


def test_sample_stimuli_are_shown_with_what_they_are(tmp_path: Path):
    folder = make_run(tmp_path, scores=FEW, step_matrix=None, solution_times=None)
    add_stimuli(folder)
    page = Page(write_page(folder))
    for words in (
        "objects simulated : 640 stimuli that span 4 degrees; used by simulated.V4, simulated.IT.",
        "The 8 samples, covering the 8 values of category_name, are shown as the network sees them",
        "screen of 64 x 64 pixels, which spans 8 degrees",
    ):
        assert words in page.text
    shown = [image for image in page.all("img") if image["alt"].startswith("stimulus ")]
    assert [image["alt"] for image in shown] == [
        f"stimulus id-{k}: {one}" for k, one in enumerate("abcdefgh")
    ]
    tiles = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), dtype=np.uint8)
    for image, tile in zip(shown, tiles, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))) as picture:
            assert np.array_equal(np.asarray(picture), tile)
    add_stimuli(folder, degrees=None, column=None, kinds=0, simulated=False)
    text = Page(stimuli_section(folder)).text
    assert "objects : 640 stimuli of unknown visual angle, shown over the full screen" in text
    assert "The 8 samples, at equal distances in the table" in text


@pytest.mark.parametrize(
    "facts",
    [
        {"file": "absent.png"},
        {"file": "../stimuli/../../outside.png"},
        {"side": 0},
        {"side": 200},
        {"ids": 8},
        {"ids": ["a"] * 7},
        {"count": "many"},
    ],
)
def test_a_damaged_sheet_of_stimuli_is_left_out(facts: dict, tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    add_stimuli(folder)
    assert "Sample stimuli" in stimuli_section(folder)
    add_stimuli(folder, **facts)
    Image.new("RGB", (2000, 200)).save(tmp_path / "outside.png")
    assert stimuli_section(folder) == ""


def test_both_kinds_of_weights_are_told_apart():
    table = scores((0, 1), BENCHMARKS[:1], weights=("raw", "averaged"))
    page = Page(summary_table(table))
    for row in table[table["epoch"] == 1].itertuples():
        assert f"{row.benchmark} ({row.weights} weights) simulated" in page.text
        assert f"{row.value:.3f} \u00b1 {row.value_error:.3f} epoch 1" in page.text
    assert "Scored weights: raw (as the optimiser left them) and averaged" in page.text


def test_what_evaluations_took_is_told():
    table = scores((0, 1), BENCHMARKS[:2])
    page = Page(evaluations(table, metrics()))
    assert "Scoring took 6.0 s in total, for the comparison only, without recording" in page.text
    logged = metrics().assign(**{"brain/seconds": np.nan})
    logged.loc[len(logged)] = {"epoch": 0, "step": 0, "brain/seconds": 4.25}
    logged.loc[len(logged)] = {"epoch": 0, "step": 128, "brain/seconds": 5.5}
    page = Page(evaluations(table, logged))
    assert (
        "Scoring took 9.8 s in total, including recording of the network; the median evaluation took 4.9 s"
        in page.text
    )
    assert "0 0.125 4.2 " in page.text


def test_what_solution_times_rest_on_is_told():
    facts = {"low": -0.125, "high": 0.5, "untrained": 0.0625, "images": 33.7, "share_solved": 0.75}
    steps = {"accuracy_step0": 0.25, "accuracy_step1": 0.5, "accuracy_step10": 0.625}
    logged = metrics()
    for name, value in (facts | steps).items():
        logged[f"brain/simulated-ost/{name}"] = [np.nan] * (len(logged) - 1) + [value]
    text = Page(times_table(times(3), logged)).text
    for words in (
        "simulated-ost simulated 95 % interval of the raw score, over images -0.125 to 0.500",
        "raw score before training 0.062",
        "mean number of images in a split's correlation 33.7",
        "accuracy of the decoder at each distinct state in turn 0.250, 0.500, 0.625",
    ):
        assert words in text
    assert "d'" not in text


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

    assert "is not a folder" in told(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no metrics.csv and no scores.csv" in told(empty)
    for seed in (0, 1):
        (tmp_path / "two" / f"seed{seed}").mkdir(parents=True)
        metrics().to_csv(tmp_path / "two" / f"seed{seed}" / "metrics.csv", index=False)
    assert "contains 2 runs" in told(tmp_path / "two")
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


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 400])
def test_a_browser_shows_it_without_a_network(width: int, browser: Browser, folder: Path):
    browser.open(folder / "report.html", width)
    asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    assert asked
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert browser.told("Network.loadingFailed") == []
    assert browser.told("Log.entryAdded") == []
    assert browser.evaluate("[...document.images].map(i => i.naturalWidth > 100)") == [True] * 13
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
