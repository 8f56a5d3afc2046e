"""The report of a sweep, from made-up folders of runs: what is read, what is refused, and what table and page say."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.models.costs import count_macs
from cornet.report.render import count_text, time_text
from cornet.report.statistics import mean_interval
from cornet.report.sweep.changes import change_text, changes_of, find_base, published_change
from cornet.report.sweep.report import report_sweep, sweep_page
from cornet.report.sweep.table import left_out_text, print_sweep, sweep_rows
from cornet.report.sweep.variants import Sweep, read_sweep
from tests.helpers.report.browser import find_browser, open_browser
from tests.helpers.report.made_up_sweeps import made_up_run, made_up_sweep
from tests.helpers.report.page import Page

V4, NECK = "model.times.V4", "model.bottleneck"


def planted(overrides) -> float:
    return 0.04 * math.log2(overrides.get(V4, 4))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """V4 steps times bottleneck, three seeds; nothing writes into it."""
    return made_up_sweep(tmp_path_factory.mktemp("sweep") / "made", {V4: [1, 4], NECK: [1, 2, 4]}, planted)


@pytest.fixture(scope="module")
def reported(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its table and page, which nothing changes."""
    folder = Path(shutil.copytree(kept, tmp_path_factory.mktemp("reported") / "made"))
    assert report_sweep(folder, console=Console(quiet=True)) == folder / "sweep.html"
    return folder


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "made"))


def printed(folder: Path) -> str:
    return printed_sweep(read_sweep(folder))


def printed_sweep(sweep: Sweep, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        print_sweep(sweep, find_base(sweep), console)
    return console.export_text()


@pytest.fixture(scope="module")
def sweep(kept: Path) -> Sweep:
    """What is read of it."""
    return read_sweep(kept)


def test_variants_factors_and_means(kept: Path, sweep: Sweep):
    assert [(f.key, f.name, f.family) for f in sweep.factors] == [
        (V4, "times.V4", "steps"),
        (NECK, "bottleneck", "bottleneck"),
    ]
    assert [tuple(one.values.values()) for one in sweep.variants] == [
        (v, n) for v in (1, 4) for n in (1, 2, 4)
    ]
    assert list(sweep.measures) == [
        "best top-1",
        "simulated mean brain score",
        "simulated.V4",
        "simulated.IT",
    ]
    one = sweep.variants[1]
    runs = [kept / "model.times.v4-1+model.bottleneck-2" / f"seed{k}" for k in range(3)]
    tops = [pd.read_csv(run / "metrics.csv")["val/top1"].max() for run in runs]
    assert one.estimate("best top-1") == pytest.approx(mean_interval(tops))
    last = [
        pd.read_csv(run / "scores.csv").query("epoch == 2 and benchmark == 'simulated.IT'") for run in runs
    ]
    assert one.estimate("simulated.IT") == pytest.approx(mean_interval([t["value"].item() for t in last]))


def test_costs_are_those_of_the_network(sweep: Sweep):
    one = sweep.variants[0]
    net = create_model("cornet_s", num_classes=8, width=0.25, bottleneck=1, times={"V2": 2, "V4": 1, "IT": 2})
    assert one.cost.macs == count_macs(net, 64)
    assert (one.cost.depth, one.cost.steps, one.cost.parameters) == (15, 6, 500_000)
    assert one.cost.seconds == pytest.approx(4096 * 2 / 500)


def test_the_base_differs_least_or_is_named(sweep: Sweep, tmp_path: Path):
    assert find_base(sweep).label == "times.V4 4, bottleneck 4"  # all differ alike: the published one
    told = published_change(sweep, find_base(sweep), sweep.variants[3])
    assert told == (-8, -1)
    assert published_change(sweep, sweep.variants[2], sweep.variants[0]) is None  # figure 4 had 2/4/2 steps
    for name in ("2", "times.V4 1, bottleneck 2", "model.times.v4-1+model.bottleneck-2"):
        assert find_base(sweep, name).number == 2
    with pytest.raises(
        CornetError, match=r"base=none names no variant of .*; give the number of one: 1: times"
    ):
        find_base(sweep, "none")
    for k, overrides in enumerate(({NECK: 2}, {NECK: 1}, {NECK: 2, "model.width": 0.5}, {NECK: 2, V4: 8})):
        made_up_run(tmp_path / "star" / f"v{k}" / "seed0", overrides, 0, 0.3, {})
    assert find_base(read_sweep(tmp_path / "star")).values[NECK] == 2  # the centre, although 4 was published


def test_steps_are_one_factor_as_in_figure_4(tmp_path: Path):
    for k, (v2, v4) in enumerate(((2, 4), (1, 1), (2, 2), (4, 8), (3, 3))):
        times = {"model.times.V2": v2, V4: v4, "model.times.IT": v2}
        for seed in (0, 1):
            made_up_run(tmp_path / f"v{k}" / f"seed{seed}", times, seed, 0.5 - 0.01 * seed * k, {})
    sweep = read_sweep(tmp_path)
    assert [(f.name, f.same) for f in sweep.factors] == [("times.V2", ("times.IT",)), ("times.V4", ())]
    base = find_base(sweep)
    found = {change_text(sweep, base, one.variant): one for one in changes_of(sweep, base)}
    assert set(found) == {"steps 1/1/1", "steps 2/2/2", "steps 3/3/3", "steps 4/8/4"}
    told = {text: published_change(sweep, base, one.variant) for text, one in found.items()}
    assert told == {
        "steps 1/1/1": (-7, -3),
        "steps 2/2/2": (-1, 0),
        "steps 3/3/3": None,
        "steps 4/8/4": (0, 0),
    }
    assert published_change(sweep, found["steps 1/1/1"].variant, base) is None  # another base than figure 4's


def test_defaults_words_and_truths_are_published_ones(tmp_path: Path):
    for k, overrides in enumerate(
        ({}, {"model.norm": "group"}, {"model.skip": False}, {"model.gate": "soft"})
    ):
        made_up_run(tmp_path / f"v{k}" / "seed0", overrides, 0, 0.3, {})
    sweep = read_sweep(tmp_path)
    base = find_base(sweep)
    assert base.label == "norm default, skip default, gate default"
    found = {
        change_text(sweep, base, one): published_change(sweep, base, one)
        for one in sweep.variants
        if one != base
    }
    assert found == {"norm group": (-1, 0), "skip false": (-2, -1), "gate soft": (0, 0)}


@pytest.mark.parametrize(("column", "value"), [("version", 2), ("brain_data", "b0b0"), ("metric", "ridge")])
def test_other_benchmarks_are_never_averaged(folder: Path, column: str, value: object):
    path = folder / "model.times.v4-4+model.bottleneck-2" / "seed1" / "scores.csv"
    pd.read_csv(path).assign(**{column: value}).to_csv(path, index=False)
    with pytest.raises(CornetError) as error:
        read_sweep(folder)
    text = str(error.value)
    assert text.startswith("simulated.V4 differs between runs (its " + column.replace("_", " "))
    assert "seed1" in text
    assert text.endswith("score the older runs again, or move them to another folder.")


@pytest.mark.slow  # draws a page
def test_half_finished_runs_are_counted_in_a_sentence(folder: Path):
    variant = folder / "model.times.v4-4+model.bottleneck-2"
    (variant / "seed0" / "finished.json").unlink()
    (variant / "seed1" / "finished.json").write_text("{")
    sweep = read_sweep(folder)
    assert sweep.variants[4].seeds == (2,)
    text = left_out_text(sweep)
    assert text.startswith(
        "2 runs are left out: 1 not finished (repeat the command that trains them); model.times.v4-4"
    )
    assert "finished.json cannot be read" in text
    assert "variant 5: a single seed has no interval" in sweep.notes
    assert "2 runs are left out" in printed(folder)


@pytest.mark.slow  # draws a page
def test_runs_stopped_early_are_marked_and_in_no_mean(folder: Path):
    for variant, seeds in (
        ("model.times.v4-1+model.bottleneck-1", (0,)),
        ("model.times.v4-1+model.bottleneck-2", (0, 1, 2)),
    ):
        for seed in seeds:
            path = folder / variant / f"seed{seed}" / "finished.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"stopped_early": 1}))
    sweep = read_sweep(folder)
    one, two = sweep.variants[:2]
    assert (one.seeds, dict(one.stopped)) == ((1, 2), {0: 1})
    assert two.seeds == ()
    assert math.isnan(two.estimate("best top-1").mean)
    assert one.estimate("best top-1").n == 2
    page = Page(sweep_page(sweep, find_base(sweep)))
    assert "4 runs were stopped early and left out of all means." in page.text
    assert "stopped early and left out of the means: seed 0 (epoch 1)" in page.text
    assert all(change.variant is not two for change in changes_of(sweep, find_base(sweep)))
    for path in folder.glob("*/*/finished.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"stopped_early": 1}))
    with pytest.raises(CornetError, match=r"every finished run in .* was stopped early"):
        read_sweep(folder)


def test_failed_benchmarks_stay_undefined(tmp_path: Path):
    for k, neck in enumerate((1, 4)):
        for seed in (0, 1):
            brain = {
                "simulated.IT": 0.2 + 0.1 * seed,
                "simulated-ost": math.nan if neck == 1 or seed else 0.1,
            }
            made_up_run(tmp_path / f"v{k}" / f"seed{seed}", {NECK: neck}, seed, 0.3, brain)
    sweep = read_sweep(tmp_path)
    assert [one.estimate("simulated-ost").n for one in sweep.variants] == [0, 1]
    rows = sweep_rows(sweep, sweep.variants[0])
    assert rows["simulated-ost"].isna().tolist() == [True, False]
    page = Page(sweep_page(sweep, sweep.variants[0]))
    assert "undefined in every seed of variant 1; undefined in some seeds of variant 2" in page.text
    assert "undefined" in page.text
    assert "RuntimeError: made up" in page.text


def test_seeds_and_settings_of_the_machine_make_no_variants(tmp_path: Path):
    for seed in (0, 1):
        for k in (1, 2):
            other = {NECK: k, "sweep.rung": seed, "loader.workers": seed, "name": f"n{seed}"}
            made_up_run(tmp_path / f"v{k}" / f"seed{seed}", other, seed, 0.3 + 0.1 * seed, {})
    sweep = read_sweep(tmp_path)
    assert [one.seeds for one in sweep.variants] == [(0, 1), (0, 1)]
    assert [f.key for f in sweep.factors] == [NECK]


def test_what_repeats_another_key_is_no_factor(tmp_path: Path):
    for k, size in enumerate((16, 32)):
        made_up_run(tmp_path / f"v{k}" / "seed0", {"recipe.batch_size": size}, 0, 0.3, {})
    assert [f.name for f in read_sweep(tmp_path).factors] == ["batch_size"]


def test_factors_that_go_together_are_not_taken_for_one(tmp_path: Path):
    """One change alone would be laid to the one or the other."""
    for k, value in enumerate((1, 4)):
        made_up_run(tmp_path / f"v{k}" / "seed0", {NECK: value, V4: value, "draw": k}, 0, 0.3, {})
    sweep = read_sweep(tmp_path)
    assert {f.name for f in sweep.factors} == {"times.V4", "bottleneck"}  # and draw names, but does nothing
    assert changes_of(sweep, sweep.variants[0]) == []
    assert "no change can be attributed to a single factor" in sweep_page(sweep, sweep.variants[0])


def test_many_factors_are_told_by_what_differs_from_the_base(tmp_path: Path):
    for k, overrides in enumerate(({}, {NECK: 2}, {V4: 1}, {"model.norm": "group"}, {"model.skip": False})):
        made_up_run(tmp_path / f"v{k}" / "seed0", overrides, 0, 0.3, {})
    sweep = read_sweep(tmp_path)
    text = Page(sweep_page(sweep, find_base(sweep))).text
    assert "differs in" in text
    for one in ("the base", "bottleneck 2", "steps 2/1/2", "norm group", "skip false"):
        assert one in text
    assert "skip false" in printed(tmp_path)


def test_what_is_no_sweep_is_told_in_a_sentence(folder: Path, tmp_path: Path):
    with pytest.raises(CornetError, match="is not a folder; name the folder of a sweep"):
        report_sweep(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        CornetError, match="contains 0 runs, 0 finished, of no variants, and a sweep needs two"
    ):
        report_sweep(tmp_path / "empty")
    with pytest.raises(CornetError, match="contains 3 runs, 3 finished, of 1 variant, and a sweep needs two"):
        report_sweep(folder / "model.times.v4-1+model.bottleneck-1")
    shutil.copytree(folder / "model.times.v4-1+model.bottleneck-1", folder / "copy")
    with pytest.raises(CornetError, match="have the same seed, 0"):
        report_sweep(folder)


def test_the_table_and_the_files(reported: Path):
    table = pd.read_csv(reported / "sweep.csv")
    assert table["variant"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table.loc[table["base"], NECK].tolist() == [4]
    sweep = read_sweep(reported)  # its own files are no runs
    told = [(one.estimate("best top-1").mean, one.estimate("best top-1").low) for one in sweep.variants]
    assert table[["best top-1", "best top-1, low"]].to_numpy() == pytest.approx(np.array(told))
    assert table["macs"].tolist() == [one.cost.macs for one in sweep.variants]
    half = sweep.variants[5].estimate("best top-1")
    for width in (80, 200):
        text = printed_sweep(sweep, width)
        (line,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["6"]]
        assert f"±{half.high - half.mean:.3f}".replace("±0.", "±.") in line
        assert all(len(one) <= width for one in text.splitlines() if "±" in one)
        assert "Brain scores are simulated: a check of the pipeline" in text
        assert ("Not shown" in text) == (width == 80)


def test_the_page_stands_alone_and_calls_simulated_so(reported: Path):
    page = Page(reported / "sweep.html")
    assert page.all("script") == page.all("link")[1:] == []
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or not value, (tag, value)
    assert "all brain scores on this page. No brain was recorded" in page.text
    assert "simulated mean brain score" in page.text
    assert re.search(r"(?<!simulated )mean brain score", page.text) is None
    assert "12 comparisons were tested, and p is corrected for all of them (Holm)" in page.text
    assert "top-1 -8, Brain-Score -1" in page.text
    assert "CORnet-S at full size on ImageNet" in page.text
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_text_stays_text(tmp_path: Path):
    nasty = "<script>alert(1)</script>&\"'$x$"
    for k, word in enumerate((nasty, "plain")):
        brain = {f"simulated<b>{nasty}": 0.2}
        made_up_run(tmp_path / f"v{k}" / "seed0", {"recipe.note": word, "model.name": "<i>"}, 0, 0.3, brain)
    page = Page(report_sweep(tmp_path, console=Console(quiet=True)))
    assert page.all("script") == page.all("b") == page.all("i") == []
    assert nasty in page.text
    assert "its cost is unknown" in page.text


def test_recorded_scores_are_not_called_simulated(tmp_path: Path):
    for k in (1, 4):
        made_up_run(tmp_path / f"v{k}" / "seed0", {NECK: k}, 0, 0.3, {"majajhong2015.IT": 0.2})
    sweep = read_sweep(tmp_path)
    assert "imulated" not in printed(tmp_path)
    assert "Simulated" not in sweep_page(sweep, sweep.variants[0])


def test_numbers_as_text():
    assert [count_text(v) for v in (15, 534_982, 999_600, 1_234_567, 16.43e9, math.nan)] == [
        "15",
        "534,982",
        "1 M",
        "1.23 M",
        "16.4 G",
        "-",
    ]
    assert [time_text(v) for v in (45.2, 720, 12_240, math.nan)] == ["45 s", "12 min", "3.4 h", "-"]


@pytest.mark.slow  # starts a browser
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it(width: int, tmp_path: Path):
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium here")
    long = "simulated.a_benchmark_with_a_very_long_name" * 3
    made_up_sweep(
        tmp_path / "made",
        {NECK: [1, 2], V4: [1, 4]},
        planted,
        seeds=(0, 1),
        benchmarks=(long, "simulated-ost"),
    )
    path = report_sweep(tmp_path / "made", console=Console(quiet=True))
    (tmp_path / "profile").mkdir()
    with open_browser(program, tmp_path / "profile") as browser:
        browser.open(path, width)
        asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
        assert all(url.startswith(("file://", "data:")) for url in asked)
        assert browser.told("Network.loadingFailed") == []
        assert browser.told("Log.entryAdded") == []
        assert browser.evaluate("document.querySelectorAll('svg.plot').length") == 10
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.screenshot().shape[1] == width
