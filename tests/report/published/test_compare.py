"""Runs among the published networks: what is compared, what is refused, and the page. All scores here are made up."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from cornet.errors import CornetError
from cornet.report.published.comparable import ComparedRun, differing_benchmarks, open_run
from cornet.report.published.numbers import CURVE, PANELS, published_models, published_training
from cornet.report.published.plots import draw_panel
from cornet.report.published.report import compare_page, compare_runs
from cornet.report.render import part
from tests.helpers.report.browser import Browser, find_browser, open_browser
from tests.helpers.report.made_up_runs import FINISHED, make_run, metrics, scores
from tests.helpers.report.page import Page

PUBLIC = (
    ("freemanziemba2013.V1", "V1", "r^2/c", 0.68),
    ("majajhong2015.V4", "V4", "r^2/c", 0.9),
    ("majajhong2015.IT", "IT", "r^2/c", 0.82),
    ("rajalingham2018-i2n", "behaviour", "r/sqrt(c)", 0.48),
    ("kar2019-ost", "behaviour", "r/c", 0.79),
)
CONFIG = "model:\n  name: cornet_s\n  num_classes: auto\n  width: 0.25\n  times:\n    V2: 2\n    V4: 4\n    IT: 2\n"


def public_scores(epochs=(0, 1, 2, 4), benchmarks=PUBLIC) -> pd.DataFrame:
    """Made-up scores on the public benchmarks; solution times at both ends alone."""
    table = scores(epochs, benchmarks, simulated=False).assign(brain_data="0123456789abcdef")
    table.loc[~table["benchmark"].str.contains(r"\."), "metric"] = ""
    ends = table["epoch"].isin([min(epochs), max(epochs)])
    return table[ends | (table["benchmark"] != "kar2019-ost")]


def made(folder: Path, table: pd.DataFrame | None, imagenet: bool = True, seed: int = 0) -> Path:
    make_run(folder, scores=table, step_matrix=None, solution_times=None, metrics=metrics(4))
    data = "imagenet" if imagenet else "objects"
    (folder / "config.yaml").write_text(f"{CONFIG}data:\n  name: {data}\nseed: {seed}\n")
    finished = FINISHED | {"data": data, "classes": 1000 if imagenet else 8, "epochs": 4}
    (folder / "finished.json").write_text(json.dumps(finished))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """On ImageNet, on other images, and with simulated scores alone."""
    folder = tmp_path_factory.mktemp("runs")
    lower = public_scores()
    return [
        made(folder / "a", public_scores()),
        made(folder / "b", lower.assign(raw=lower["raw"] - 0.1), imagenet=False, seed=1),
        made(folder / "c", scores((0, 1, 4)), imagenet=False, seed=2),
    ]


@pytest.fixture(scope="module")
def page(runs: list[Path]) -> Path:
    return compare_runs(runs)


def drawings(path: Path | str) -> dict[str, ElementTree.Element]:
    """The page's drawings, by the beginning of their words for who cannot see them."""
    text = path.read_text() if isinstance(path, Path) else path
    found = [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    return {one.get("aria-label", "").partition(". ")[0]: one for one in found}


def titles(drawing: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in drawing.iter("title")]


def words(drawing: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()).strip() for one in drawing.iter("text")]


def test_the_numbers_of_a_run(runs: list[Path]):
    run, table = open_run(runs[0], 1), public_scores()
    last = table[table["epoch"] == 4].set_index("benchmark")
    assert run.values["v4"] == last.loc["majajhong2015.V4", "raw"]
    assert run.values["behaviour"] == last.loc["rajalingham2018-i2n", "raw"]
    parts = ["majajhong2015.V4", "majajhong2015.IT", "rajalingham2018-i2n", "kar2019-ost"]
    assert run.values["brain_score"] == pytest.approx(last.loc[parts, "raw"].mean())
    assert run.values["imagenet"] == last["task_value"].iloc[0]
    assert (run.values["depth"], run.parameters, run.epoch) == (15, FINISHED["parameters"], 4)
    assert (run.own_images, run.finished, run.scored) == (False, True, True)
    assert run.title == "cornet_s on imagenet, seed 0"


def test_curves_are_on_the_published_scales(runs: list[Path]):
    run, table = open_run(runs[0], 1), public_scores()
    assert set(run.curves) == set(CURVE) - {"v2"}
    for name, make in {
        "v4": lambda row: (row["raw"] / row["ceiling"]) ** 2,
        "behaviour": lambda row: row["raw"] / math.sqrt(row["ceiling"]),
        "ost": lambda row: row["raw"],
    }.items():
        rows = table[table["benchmark"] == CURVE[name].benchmark]
        np.testing.assert_allclose(run.curves[name], rows.apply(make, axis=1))
        assert list(run.curves[name].index) == list(rows["epoch"])
    assert list(run.curves["top1"].index) == [1, 2, 3, 4]  # epochs completed
    np.testing.assert_allclose(run.curves["top1"], [0.3, 0.39, 0.48, 0.57])


def test_a_negative_score_keeps_its_sign(tmp_path: Path):
    table = public_scores()
    assert (open_run(made(tmp_path, table.assign(raw=-0.3)), 1).curves["v4"] < 0).all()


def test_squashed_images_are_what_was_published(tmp_path: Path):
    folder = made(tmp_path, None)
    table = pd.read_csv(folder / "metrics.csv")
    table.assign(**{"val/top1_squash": table["val/top1"] - 0.05}).to_csv(folder / "metrics.csv", index=False)
    run = open_run(folder, 1)
    np.testing.assert_allclose(run.curves["top1"], [0.25, 0.34, 0.43, 0.52])
    assert run.values["imagenet"] == pytest.approx(0.57)
    assert not any("squashed" in note for note in run.notes)


@pytest.mark.slow  # draws a page
def test_simulated_scores_stand_on_no_axis(page: Path, runs: list[Path]):
    run = open_run(runs[2], 3)
    assert not run.scored
    assert all(math.isnan(run.values[name]) for name in ("v4", "it", "behaviour", "ost", "brain_score"))
    assert set(run.curves) == {"top1"}
    found = drawings(page)
    for panel in PANELS:
        assert not any("run 3" in one for one in titles(found[panel.heading])), panel.key
    assert "run 3: no score" in words(found["Depth against Brain-Score"])
    text = Page(page).text
    assert "Run 3 has no score on the public recordings (majajhong2015.V4," in text
    assert "Run 1" not in text


@pytest.mark.slow  # draws a page
def test_runs_are_drawn_where_they_have_numbers(page: Path):
    found = drawings(page)
    for heading in ("ImageNet against Brain-Score", "ImageNet against IT", "ImageNet against solution times"):
        (first,) = {one for one in titles(found[heading]) if one.startswith("run 1")}
        assert re.match(r"run 1, cornet_s on imagenet, seed 0: ImageNet top-1 0\.\d+, ", first)
        (second,) = {one for one in titles(found[heading]) if one.startswith("run 2")}
        assert "top-1 on its own images 0." in second
        assert {"run 1", "run 2, own", "CORnet-S"} <= set(words(found[heading]))
    for heading in ("CIFAR-100 transfer", "Generalisation: new images"):
        assert not any(one.startswith("run") for one in titles(found[heading]))
        assert "CORnet-S" in words(found[heading])
    text = Page(page).text
    assert text.count("own images") >= 3
    for value in open_run(page.parent / "a", 1).values.values():
        assert f"{value:.3f}" in text or f"{value:,.0f}" in text


def test_every_published_point_is_named(page: Path):
    found, models = drawings(page), published_models()
    for panel in PANELS:
        there = models[models[panel.x].notna() & models[panel.y].notna()]
        told = [one.partition(":")[0] for one in titles(found[panel.heading]) if not one.startswith("run")]
        inset = models[(models["imagenet"] >= 0.7) & models[panel.y].notna()] if panel.inset else there[:0]
        assert sorted(told) == sorted([*there["model"], *inset["model"]])
        assert len(told) > 30
    epochs = [one for one in titles(found["V4 predictivity by epoch"]) if one.startswith("CORnet-S")]
    curve = published_training()["v4"].dropna()
    assert epochs[-1] == f"CORnet-S, epoch 43: {curve.iloc[-1]:.3f}"
    assert len(epochs) == len(curve)


def test_a_point_is_named_at_its_place(runs: list[Path]):
    """The names are put on afterwards, in the order of the marks: the farther right, the larger the number."""
    drawing, checked = ElementTree.fromstring(draw_panel(PANELS[2], [], "")), 0
    for group in drawing.iter("g"):
        marks = [one for one in group.iter() if one.find("title") is not None]
        if group.get("class") == "points" and len(marks) > 5:
            shown = [float(one.get("x", "nan")) for one in marks]
            told = [float(re.search(r"top-1 ([\d.e-]+)", one.find("title").text)[1]) for one in marks]
            assert np.corrcoef(shown, told)[0, 1] > 0.9999
            checked += len(marks)
    assert checked == 237  # all that have an IT score but CORnet-S


def test_correlations_are_told(page: Path):
    text = Page(page).text
    for words_ in (
        "r = .90 (below .70), 95 % interval .87 to .92, n = 214, p < 0.001",
        "r = .35 (from .70 on, without CORnet-S), 95 % interval -.08 to .66, n = 23, p = 0.105, Holm = 0.176",
        "r = .11, 95 % interval -.02 to .23, n = 243",
        "11 correlations were computed",
        "181 of the 243 are checkpoints of 24 BaseNets",
    ):
        assert words_ in text


def test_it_needs_nothing_outside_itself(page: Path):
    text, parsed = page.read_text(), Page(page)
    assert not re.search(r"<script|(src|href)=[\"'](?!data:|#)|url\((?!#)|@import", text)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20
    links = set(re.findall(r"(?:href=\"|url\()#([\w.-]+)", text))
    assert links == set(ids)
    assert "default-src 'none'" in text
    assert len(text) < 900_000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metric": "ridge"}, "majajhong2015.IT is not compared: it was mapped by ridge"),
        ({"metric": ""}, "majajhong2015.IT is not compared: it was mapped by an unknown metric"),
        ({"simulated": True}, "kar2019-ost is not compared: it is simulated"),
        (
            {"notes": "optimum decoder; more"},
            "kar2019-ost is not compared: it was decoded by the optimum decoder",
        ),
    ],
)
def test_what_was_not_measured_alike_is_refused(change: dict[str, Any], why: str, tmp_path: Path):
    run = open_run(made(tmp_path, public_scores().assign(**change)), 1)
    assert any(note.startswith(why) for note in run.notes)
    assert sum(note.startswith(why) for note in run.notes) == 1
    assert math.isnan(run.values["brain_score"])
    part = "ost" if "ost" in why else "it"
    assert math.isnan(run.values[part])
    assert part not in run.curves


def test_the_held_out_read_out_is_another_benchmark(tmp_path: Path):
    table = public_scores()
    table["benchmark"] = table["benchmark"].replace("rajalingham2018-i2n", "rajalingham2018-i2n-heldout")
    run = open_run(made(tmp_path, table), 1)
    assert math.isnan(run.values["behaviour"])
    assert "no Brain-Score of 2019, which needs rajalingham2018-i2n at the last evaluation" in run.notes


def test_solution_times_that_were_not_scored_make_no_brain_score(tmp_path: Path):
    """Not scored, or failed, is not 0; undefined is, as in the paper."""
    table = public_scores()
    run = open_run(made(tmp_path / "a", table[table["benchmark"] != "kar2019-ost"]), 1)
    assert math.isnan(run.values["brain_score"])
    assert math.isfinite(run.values["it"])
    assert "no Brain-Score of 2019, which needs kar2019-ost at the last evaluation" in run.notes
    undefined = table["benchmark"] == "kar2019-ost"
    run = open_run(made(tmp_path / "b", table.assign(raw=table["raw"].where(~undefined))), 1)
    parts = [run.values[name] for name in ("v4", "it", "behaviour")]
    assert run.values["brain_score"] == pytest.approx(sum(parts) / 4)
    assert any("count as 0" in note for note in run.notes)
    failed = table.assign(
        raw=table["raw"].where(~undefined), failure=np.where(undefined, "out of memory.", "")
    )
    run = open_run(made(tmp_path / "c", failed), 1)
    assert math.isnan(run.values["brain_score"])
    assert "kar2019-ost has no score at the last evaluation: out of memory" in run.notes


def test_a_score_of_another_epoch_is_not_taken(tmp_path: Path):
    table = public_scores()
    unscored = (table["benchmark"] == "majajhong2015.IT") & (table["epoch"] == 4)
    table.loc[unscored, ["raw", "value"]] = np.nan
    table.loc[unscored, "failure"] = "out of memory"
    run = open_run(made(tmp_path, table), 1)
    assert math.isnan(run.values["it"])
    assert "majajhong2015.IT has no score at the last evaluation: out of memory" in run.notes
    assert list(run.curves["it"].index) == [0, 1, 2]


def test_scores_and_accuracy_are_of_one_epoch(tmp_path: Path):
    """Scored before training alone, and trained for four epochs since."""
    table = public_scores().assign(task_value=math.nan)
    run = open_run(made(tmp_path / "a", table[table["epoch"] == 0]), 1)
    assert math.isnan(run.values["imagenet"])
    assert "no accuracy was measured at epoch 0, at which the brain was scored" in run.notes
    run = open_run(made(tmp_path / "b", table[table["epoch"] <= 2]), 1)
    assert run.values["imagenet"] == pytest.approx(0.39)
    assert open_run(made(tmp_path / "c", None), 1).values["imagenet"] == pytest.approx(0.57)


def test_a_lacking_ceiling_is_told(tmp_path: Path):
    table = public_scores()
    run = open_run(made(tmp_path, table.assign(ceiling=math.nan)), 1)
    assert {"v4", "it"} & set(run.curves) == set()
    assert math.isfinite(run.values["v4"])
    assert any("majajhong2015.V4 has no value as (r/c)^2" in note for note in run.notes)


def test_other_brain_data_are_told(runs: list[Path], tmp_path: Path):
    first, second = open_run(runs[0], 1), open_run(runs[1], 2)
    assert differing_benchmarks([first, second]) == []
    table = public_scores()
    other = table["benchmark"] == "majajhong2015.V4"
    changed = made(tmp_path, table.assign(brain_data=table["brain_data"].where(~other, "another")))
    third = open_run(changed, 3)
    assert differing_benchmarks([first, second, third]) == ["majajhong2015.V4"]
    assert "splits of majajhong2015.V4 differ between the runs" in part(
        "compare.differing", names=differing_benchmarks([first, third])
    )
    assert part("compare.differing", names=differing_benchmarks([first, second])) == ""


@pytest.mark.slow  # draws a page
def test_where_nothing_matches_the_published_curves_stand_alone(runs: list[Path]):
    text = compare_page([open_run(runs[2], 1)])
    found = drawings(text)
    for one in CURVE.values():
        assert f"{one.title} by epoch" in found
    assert "No run was scored on a benchmark of the published training" in text
    assert {one[:5] for one in titles(found["IT predictivity by epoch"])} == {"CORne"}
    assert any(one.startswith("run 1, ") for one in titles(found["ImageNet top-1, images squashed by epoch"]))


def test_what_matches_is_laid_over(page: Path):
    found = drawings(page)
    assert "V2 predictivity by epoch" not in found
    assert "Also published, but not scored in any run: V2 predictivity." in Page(page).text
    told = titles(found["V1 predictivity by epoch"])
    assert sum(one.startswith("run 1, ") for one in told) == 4
    assert "score, (r / ceiling)^2" in words(found["V1 predictivity by epoch"])


BAD = '<script>alert(1)</script>$x_{1}$&"'


@pytest.mark.slow
def test_text_stays_text(tmp_path: Path):
    table = public_scores()
    table.loc[table["benchmark"] == "kar2019-ost", ["raw", "failure"]] = [np.nan, BAD]
    folder = made(tmp_path / "<b>&", table.assign(weights=BAD, brain_data=BAD))
    finished = json.loads((folder / "finished.json").read_text()) | {"network": BAD, "data": BAD}
    (folder / "finished.json").write_text(json.dumps(finished))
    (folder / "config.yaml").write_text(f"model:\n  name: {json.dumps(BAD)}\ndata:\n  name: imagenet\n")
    path = compare_runs([folder, made(tmp_path / "c", public_scores())])
    text = path.read_text()
    assert "<script" not in text
    assert "<b>&" not in text
    assert BAD in Page(path).text
    assert any(BAD in one for one in titles(drawings(path)["ImageNet against IT"]))


@pytest.mark.parametrize(
    "config",
    [
        "model: [1, 2]\n",
        "model:\n  name: no_such_network\n",
        "model:\n  name: cornet_s\n  width: wide\n",
        "model:\n  name: cornet_s\n  times: 100000000\n",
        "model:\n  name: cornet_s\n  nonsense: 1\n",
        "a: &a [1]\nb: *a\n",
        "\x00",
    ],
)
def test_a_strange_configuration_is_no_matter(config: str, tmp_path: Path):
    folder = made(tmp_path, public_scores())
    (folder / "config.yaml").write_text(config)
    run = open_run(folder, 1)
    assert math.isnan(run.values["depth"])
    assert run.own_images
    assert any(note.startswith("depth is unknown") for note in run.notes)


def test_an_unfinished_run_is_said_to_be_one(tmp_path: Path):
    folder = made(tmp_path, public_scores())
    (folder / "finished.json").unlink()
    run = open_run(folder, 1)
    assert not run.finished
    assert run.notes[0] == "not finished: values are those so far"
    assert math.isfinite(run.values["v4"])
    assert run.own_images  # how many classes there were is not known
    assert run.values["depth"] == 15


@pytest.mark.slow
def test_bad_input(runs: list[Path], tmp_path: Path):
    with pytest.raises(CornetError, match="a run is missing; name the folders"):
        compare_runs([])
    with pytest.raises(CornetError, match="is not a folder"):
        compare_runs([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CornetError, match="and no run below it"):
        compare_runs([tmp_path / "empty"])
    broken = made(tmp_path / "broken", public_scores())
    (broken / "scores.csv").write_text("nothing,of,it\n1,2,3\n")
    with pytest.raises(CornetError, match=r"scores\.csv has no column epoch"):
        compare_runs([broken])
    assert not (broken / "compare.html").exists()
    with pytest.raises(CornetError, match=r"neither a folder nor an \.html file"):
        compare_runs(runs[:1], tmp_path / "page.pdf")
    path = compare_runs([broken, runs[2]], tmp_path)
    text = Page(path).text
    assert "Left out:" in text
    assert "scores.csv has no column epoch" in text
    assert "run 1 is " in text


def test_where_the_page_goes(runs: list[Path], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "cornet.report.published.report.compare_page", lambda opened, left: f"{len(opened)} runs"
    )
    assert page == runs[0].parent / "compare.html"
    assert compare_runs(runs[:1]) == runs[0] / "compare.html"
    assert compare_runs(runs[:1], tmp_path / "my.html") == tmp_path / "my.html"
    assert compare_runs(runs, tmp_path) == tmp_path / "compare.html"
    assert (tmp_path / "compare.html").read_text() == "3 runs"
    again = [runs[0], runs[0].parent / "b" / ".." / "a"]
    assert compare_runs(again, tmp_path).read_text() == "1 runs"
    for seed in (0, 1):
        made(tmp_path / "default" / f"seed{seed}", None, seed=seed)
    assert compare_runs([tmp_path / "default"]) == tmp_path / "default" / "compare.html"
    assert (tmp_path / "default" / "compare.html").read_text() == "2 runs"


def test_many_runs_keep_their_labels_apart():
    """Twenty runs at nearly one place: every label is there, and none lies on another."""
    crowd = [
        ComparedRun(k + 1, Path("."), f"run {k}", {"imagenet": 0.7, "it": 0.55 + 0.0001 * k}, {}, False)
        for k in range(20)
    ]
    drawing = ElementTree.fromstring(draw_panel(PANELS[2], crowd, ""))
    labels = {
        text: (float(one.get("x", "nan")), float(one.get("y", "nan")), one.get("style", ""))
        for one in drawing.iter("text")
        if (text := "".join(one.itertext()).strip()) in map(str, range(1, 21))
    }
    assert len(labels) == 20
    near = [
        (a, b)
        for a, (x, y, style) in labels.items()
        for b, (u, v, other) in labels.items()
        if a < b
        and style.split("anchor")[1][:5] == other.split("anchor")[1][:5]
        and abs(x - u) < 6.5
        and abs(y - v) < 9
    ]
    assert near == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no browser is installed")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 400])
def test_a_browser_shows_it_without_a_network(width: int, browser: Browser, page: Path):
    browser.open(page, width)
    asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    assert asked
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert browser.told("Network.loadingFailed") == []
    assert browser.told("Log.entryAdded") == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    drawn = browser.evaluate(
        "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)"
    )
    assert len(drawn) == 16
    assert min(drawn) > 350
    cut = browser.evaluate(
        "[...document.querySelectorAll('svg text')].filter(t => { const a = t.getBoundingClientRect(),"
        " b = t.closest('svg').getBoundingClientRect(); return a.left < b.left - 1 || a.right > b.right + 1"
        " || a.top < b.top - 2 || a.bottom > b.bottom + 2 }).map(t => t.textContent)"
    )
    assert cut == []
    small = (
        "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
    )
    assert browser.evaluate(small) > 9
    under_the_mouse = browser.evaluate(
        "scrollTo(0, 0), [...document.querySelectorAll('svg .points title')].filter(t => {"
        " t.closest('svg').scrollIntoView(); const m = t.parentElement.getBoundingClientRect(), found ="
        " document.elementFromPoint(m.x + m.width / 2, m.y + m.height / 2);"
        " return found?.querySelector(':scope > title'); }).length"
    )
    assert under_the_mouse == browser.evaluate("document.querySelectorAll('svg .points title').length") > 1500
