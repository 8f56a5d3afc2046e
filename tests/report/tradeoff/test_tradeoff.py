"""The report of accuracy against brain scores: published networks, made-up sweeps with a known trend, and refusals."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from cornet.cli import app
from cornet.errors import CornetError
from cornet.report.published.numbers import published_models
from cornet.report.tradeoff.analysis import analyse
from cornet.report.tradeoff.networks import published_panels
from cornet.report.tradeoff.points import Panel, Point, find_runs, read_runs
from cornet.report.tradeoff.report import report_tradeoff
from tests.helpers.report.made_up_sweeps import made_up_run, made_up_sweep
from tests.helpers.report.page import Page

WIDTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
QUIET = {"console": Console(quiet=True)}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Accuracy .3 + width, scores .2 + width / 2: a slope of .05 for 10 points."""
    folder = tmp_path_factory.mktemp("trade") / "sweep"
    return made_up_sweep(folder, {"model.width": WIDTHS}, lambda o: o["model.width"], seeds=(0, 1))


def harmonise(run: Path, weight: float = 1.0, target: str = "cornet.losses.Harmonisation") -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["losses"] = {"mine": {"_target_": target, "weight": weight}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def test_published_networks_agree_with_the_known_correlations():
    panels, notes = published_panels()
    found = {one.title: analyse(one, 0.7) for one in panels}
    assert list(found) == ["V4", "IT", "behaviour", "Brain-Score"]
    assert found["IT"].whole.pearson.value == pytest.approx(0.823, abs=5e-4)
    assert found["IT"].whole.n == 238
    assert found["behaviour"].whole.pearson.value == pytest.approx(0.952, abs=5e-4)
    assert found["behaviour"].whole.n == 242
    assert found["Brain-Score"].broken.below.pearson.value == pytest.approx(0.90, abs=5e-3)
    models = published_models()
    base = models["model"].str.startswith("BaseNet")
    distinct = models["model"].str.replace(r"--\d+$", "", regex=True)[models["it"].notna()].nunique()
    assert base.sum() > 100
    assert found["IT"].whole.groups == distinct
    assert found["IT"].reading.startswith("Below .70 the score rises with accuracy; from .70 on neither")
    assert "OST" in notes[0]


def test_points_are_read_with_variants_and_epochs(sweep: Path):
    read = read_runs(find_runs([sweep]))
    assert (read.count, read.variants) == (12, 6)
    panel = next(one for one in read.panels if one.title == "simulated.IT")
    assert panel.simulated
    assert len(panel.points) == 12
    assert len({one.variant for one in panel.points}) == 6
    table = pd.read_csv(sweep / "model.width-0.1" / "seed0" / "scores.csv")
    value = table[(table["epoch"] == 2) & (table["benchmark"] == "simulated.IT")]["value"].item()
    logged = pd.read_csv(sweep / "model.width-0.1" / "seed0" / "metrics.csv")
    point = next(one for one in panel.points if one.name == "width 0.1, seed 0")
    assert point.score == value
    assert point.accuracy == logged[logged["epoch"] == 1]["val/top1"].dropna().item()
    assert find_runs([sweep, sweep / "model.width-0.1"]) == find_runs([sweep])


def test_the_planted_slope_is_found(sweep: Path):
    panel = next(one for one in read_runs(find_runs([sweep])).panels if one.title == "simulated.IT")
    found = analyse(panel, None)
    assert found.whole.slope.low < 0.05 < found.whole.slope.high
    assert found.whole.slope.value == pytest.approx(0.05, abs=0.005)
    assert found.reading == "Over all points the score rises with accuracy."
    assert "6 variants" in found.notes[0]


def test_every_epoch_is_a_point_and_runs_are_drawn_whole(tmp_path: Path):
    folder = made_up_sweep(tmp_path / "s", {"model.width": WIDTHS}, lambda o: o["model.width"], seeds=(0,))
    for run in folder.glob("*/seed0"):
        table = pd.read_csv(run / "scores.csv")
        early = table[table["epoch"] == 0].assign(epoch=1, step=10)
        pd.concat([table, early]).to_csv(run / "scores.csv", index=False)
    panel = read_runs(find_runs([folder]), epochs=True).panels[0]
    assert len(panel.points) == 12  # before training there is a score and no accuracy
    found = analyse(panel, None)
    assert (found.whole.n, found.whole.groups) == (12, 6)
    page = report_tradeoff([folder], epochs=True, **QUIET).read_text()
    assert "never of single epochs" in page


def test_harmonised_runs_are_not_in_the_fit(tmp_path: Path):
    folder = made_up_sweep(tmp_path / "s", {"model.width": WIDTHS}, lambda o: o["model.width"], seeds=(0,))
    plain = read_runs(find_runs([folder])).panels[0]
    whole = analyse(plain, None).whole
    high = dict.fromkeys(("simulated.V4", "simulated.IT"), 0.9)
    run = made_up_run(folder / "harmonised" / "seed0", {"model.width": 9}, 0, 0.6, high)
    harmonise(run)
    harmonise(folder / "model.width-0.1" / "seed0", weight=0)
    harmonise(folder / "model.width-0.2" / "seed0", target="cornet.losses.Readouts")
    found = analyse(read_runs(find_runs([folder])).panels[0], None)
    assert found.whole == whole
    ((point, far),) = found.distances
    assert point.name == "width 9, seed 0"
    assert far.value == pytest.approx(0.9 - whole.at(point.accuracy))
    assert far.low < 0 < far.high < far.value
    page = report_tradeoff([folder], ["simulated.V4"], **QUIET)
    assert "Harmonised networks" in page.read_text()
    table = pd.read_csv(page.with_suffix(".csv"))
    row = table[table["harmonised"]].iloc[0]
    assert row["distance"] == pytest.approx(far.value)
    assert row["high"] == pytest.approx(far.high)
    assert table["low"].notna().sum() == 1


@pytest.mark.parametrize(
    ("below", "above", "words"),
    [
        (0.5, -0.5, "rises and then falls"),
        (0.5, 0.0, "ends or flattens"),
        (0.0, 0.0, "neither a rise nor a fall is shown; from .500 on neither"),
        (-0.5, -0.5, "Below .500 the score falls"),
    ],
)
def test_readings(below: float, above: float, words: str):
    points = []
    for k in range(60):
        x, noise = k / 60, 0.01 * math.cos(7 * k)
        y = 0.3 + (below * (x - 0.5) if x < 0.5 else above * (x - 0.5)) + noise
        points.append(Point(str(k), str(k), str(k), x, y))
    reading = analyse(Panel("mine", tuple(points), "runs", "top-1"), 0.5).reading
    assert words.replace(".500", ".50") in reading


def test_the_page(sweep: Path, tmp_path: Path):
    path = report_tradeoff([sweep], published=True, target=tmp_path, **QUIET)
    assert path == tmp_path / "tradeoff.html"
    page = Page(path)
    text = " ".join(page.text.split())
    assert "Simulated:" in text
    assert "12 runs of 6 variants" in text
    assert "The published networks of 2019" in text
    source = path.read_text()
    assert len(re.findall("<svg", source)) == 7  # two regions and their mean; four of the published networks
    assert source.count("width 0.1, seed 0, epoch 2: accuracy") == 3
    table = pd.read_csv(tmp_path / "tradeoff.csv")
    assert (table["kind"] == "published").sum() == 238 + 238 + 242 + 238
    assert table[table["kind"] == "runs"]["simulated"].all()


def test_what_is_refused(sweep: Path, tmp_path: Path):
    def refused(*arguments, **options) -> str:
        with pytest.raises(CornetError) as error:
            report_tradeoff(*arguments, target=tmp_path, **QUIET, **options)
        return str(error.value)

    assert "choose one of simulated.IT." in refused([sweep], ["IT"])
    assert "choose one of simulated.V4, " in refused([sweep], ["simulated.V5"])
    one = sweep / "model.width-0.1"
    assert "are known of 2 points, and a line needs 3" in refused([one])
    assert "between 0 and 1" in refused([sweep], at=70.0)
    assert "is not a folder" in refused([tmp_path / "none"])
    same = made_up_sweep(tmp_path / "same", {"model.width": WIDTHS}, lambda o: 0.0, (0,), noise=0)
    assert "all accuracies beside simulated.V4 are 0.25" in refused([same], ["simulated.V4"])
    for run in same.glob("*/seed0"):
        summary = json.loads((run / "finished.json").read_text())
        (run / "finished.json").write_text(json.dumps(summary | {"task_metric": "val/r2"}))
    text = refused([same])
    assert "0 runs can be read" in text
    assert "it has no accuracy: its metric is R^2" in text
    assert not list(tmp_path.glob("tradeoff*"))


def test_runs_that_cannot_be_read_are_left_out_with_the_reason(sweep: Path, tmp_path: Path):
    folder = made_up_sweep(tmp_path / "s", {"model.width": WIDTHS}, lambda o: o["model.width"], seeds=(0,))
    (folder / "model.width-0.1" / "seed0" / "scores.csv").write_text("epoch,benchmark\n1,a\n")
    (folder / "model.width-0.2" / "seed0" / "finished.json").unlink()
    (folder / "model.width-0.3" / "seed0" / "metrics.csv").unlink()
    text = " ".join(Page(report_tradeoff([folder], **QUIET)).text.split())
    assert "3 runs of 3 variants" in text
    assert "has no column value" in text
    assert "it is not finished" in text
    assert "it has no accuracy" in text
    assert "a slope without an interval, which needs 5 variants and has 3" in text


def test_different_benchmarks_are_refused(tmp_path: Path):
    folder = made_up_sweep(tmp_path / "s", {"model.width": WIDTHS}, lambda o: o["model.width"], seeds=(0,))
    path = folder / "model.width-0.1" / "seed0" / "scores.csv"
    pd.read_csv(path).assign(version=2).to_csv(path, index=False)
    with pytest.raises(CornetError, match="version differs"):
        report_tradeoff([folder], **QUIET)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["report", "tradeoff", "--score", "IT", "--break", "0.6"])
    assert result.exit_code == 0
    assert "from .60 on" in result.output
    assert "+0.0189" in result.output
    assert max(map(len, result.output.partition("Slope:")[0].splitlines())) <= 80
    assert (tmp_path / "tradeoff.csv").is_file()
