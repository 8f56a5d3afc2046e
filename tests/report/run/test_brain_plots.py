"""Plots of brain scores: right numbers in, no crash on what real runs leave, and nothing simulated unsaid."""

import io
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.stats import spearmanr

from cornet.errors import CornetError
from cornet.report import style as brain_style
from cornet.report.run import score_panels as brain_scores
from cornet.report.run.data import read_matrix, read_scores, read_times
from cornet.report.run.matrix import draw_matrix
from cornet.report.run.plots import draw_pictures, draw_times, read_brain_tables
from cornet.report.run.score_panels import draw_accuracy, draw_scores, top_of_scale
from cornet.report.style import wrapped
from tests.helpers.report.made_up_runs import BENCHMARKS, make_run, matrix, metrics, scores, times

FILES = ["brain_scores.png", "brain_accuracy.png", "step_matrix.png", "solution_times.png"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved."""
    found: list[Figure] = []
    save = Figure.savefig

    def remember(figure: Figure, *arguments, **options):
        found.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return found


def draw_brain_plots(folder: Path) -> list[Path]:
    """All pictures, written into the run's folder."""
    paths = []
    for picture in draw_pictures(read_brain_tables(folder)):
        paths.append(folder / picture.name)
        paths[-1].write_bytes(picture.wide)
    return paths


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.slow  # draws all panels
def test_every_picture_is_drawn_and_says_that_it_is_simulated(tmp_path: Path, figures: list[Figure]):
    paths = draw_brain_plots(make_run(tmp_path))
    assert [path.name for path in paths] == FILES
    for path, figure in zip(paths, figures, strict=True):
        with Image.open(path) as image:
            assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            assert np.asarray(image.convert("L")).std() > 10
        assert "simulated: no brain was recorded" in " ".join(figure.get_suptitle().split())
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow  # draws all panels
def test_real_data_are_not_called_simulated(tmp_path: Path, figures: list[Figure]):
    real = [("majajhong2015.V4", "V4", "r^2/c", 0.8), ("kar2019-ost", "IT", "r/c", 0.79)]
    one = matrix()
    one["benchmark"] = one["benchmark"].str.replace("simulated", "majajhong2015")
    ost = times(truth=False).assign(benchmark="kar2019-ost", simulated=False)
    draw_brain_plots(
        make_run(
            tmp_path, scores=scores(benchmarks=real, simulated=False), step_matrix=one, solution_times=ost
        )
    )
    assert len(figures) == 4
    assert not any("simulated" in words(figure) for figure in figures)


def test_the_curve_is_the_table(figures: list[Figure]):
    table = scores()
    draw_scores(table)
    axes = figures[0].axes[3]
    rows = table[table["benchmark"] == "simulated.IT"]
    curve = axes.lines[0]
    assert np.array_equal(curve.get_xdata(), rows["epoch"])
    assert np.array_equal(curve.get_ydata(), rows["value"])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((rows["value"] + rows["value_error"]).max())
    assert band.min() == pytest.approx((rows["value"] - rows["value_error"]).min())
    levels = [line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1]
    assert {0.0, 1.0, rows["value"].iloc[0]} <= set(levels)


def test_accuracy_is_drawn_as_a_path_in_the_order_of_epochs(figures: list[Figure]):
    table = scores()
    table.loc[table["epoch"] == 2, "task_value"] = np.nan
    draw_accuracy(table)
    rows = table[(table["benchmark"] == "simulated.V1") & (table["epoch"] != 2)]
    path = figures[0].axes[0].lines[0]
    assert np.array_equal(path.get_xdata(), rows["task_value"])
    assert np.array_equal(path.get_ydata(), rows["value"])
    assert "epoch 6" in words(figures[0])


def test_without_any_accuracy_there_is_no_such_picture(tmp_path: Path):
    table = scores((0, 1), BENCHMARKS[:1]).assign(task_value=np.nan)
    paths = draw_brain_plots(make_run(tmp_path, scores=table, step_matrix=None, solution_times=None))
    assert "brain_accuracy.png" not in [path.name for path in paths]


def test_a_perfect_model_reaches_the_ceiling():
    assert top_of_scale("r^2/c", 0.7) == top_of_scale("r/sqrt(c)", 0.5) == top_of_scale("r/c", 0.79) == 1
    assert top_of_scale("raw", 0.7) == 0.7
    assert math.isnan(top_of_scale("r^2/c", math.nan))


def test_a_ceiling_far_above_is_named_instead(figures: list[Figure]):
    table = scores()
    table["value"] *= brain_scores.NEAR * 0.9 / table["value"].max()
    table["value_error"] = 0.0
    draw_scores(table)
    assert "ceiling 1.00, above" in words(figures[0])
    assert figures[0].axes[0].get_ylim()[1] < 0.5


@pytest.mark.parametrize("epochs", [(0,), (3,), (0, 1), (0.25, 0.5)])
@pytest.mark.slow  # draws all panels
def test_few_evaluations(epochs: tuple[float, ...], tmp_path: Path, figures: list[Figure]):
    folder = make_run(
        tmp_path, scores=scores(epochs, BENCHMARKS[:2]), step_matrix=matrix(epochs), solution_times=times(3)
    )
    assert len(draw_brain_plots(folder)) == 4
    low, high = figures[0].axes[0].get_xlim()
    assert low < min(epochs) <= max(epochs) < high


def test_what_failed_is_said_in_its_panel(tmp_path: Path, figures: list[Figure]):
    table = scores()
    lost = table["benchmark"] == "simulated-ost"
    table.loc[lost, ["value", "raw", "value_error", "error", "ceiling", "task_value"]] = np.nan
    table.loc[lost, "failure"] = "the decoder solves 3 images and at least 10 are needed."
    once = (table["benchmark"] == "simulated.V4") & (table["epoch"] == 1)
    table.loc[once, ["value", "raw"]] = np.nan
    table.loc[once, "notes"] = "too few stimuli"
    draw_brain_plots(make_run(tmp_path, scores=table, step_matrix=None, solution_times=None))
    for figure in figures:
        assert "no score: the decoder solves 3" in " ".join(words(figure).split())
    assert "1 of 9 without a score: too few stimuli" in " ".join(words(figures[0]).split())


def test_names_stay_in_their_panels(figures: list[Figure]):
    long = [
        ("a-laboratory.with-a_very-long_name-of-textures_and-noise.V2", "V2", "r^2/c", 0.8),
        ("x" * 200, "V4", "r^2/c", 0.8),
        ("many words " * 9 + "$x^2$ \\frac", "IT", "raw", 0.8),
    ]
    draw_scores(scores(benchmarks=long))
    figure = figures[0]
    boxes = [axes.title.get_window_extent() for axes in figure.axes] + [
        axes._left_title.get_window_extent() for axes in figure.axes
    ]
    boxes = [box for box in boxes if box.width > 0]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("text", ["short", "x" * 300, "a.b-c_d/" * 40, "words of many letters " * 20, ""])
def test_wrapping_keeps_to_its_lines(text: str):
    lines = wrapped(text, 20, 2).split("\n")
    assert len(lines) <= 2
    assert all(len(line) <= 20 for line in lines)
    if len(text) > 40:
        assert "..." in "".join(lines)
        assert "".join(lines).replace(" ", "")[-4:] == text.replace(" ", "")[-4:]


def test_signs_that_the_font_lacks_are_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_scores(scores(benchmarks=[("\u731b\u7378", "V4", "raw", 0.8)]))


def test_the_best_step_of_each_region_is_marked(figures: list[Figure]):
    table = matrix()
    table.loc[(table["area"] == "V2"), "raw"] = np.nan
    draw_matrix(table)
    axes = figures[0].axes[1]
    sites = [label.get_text() for label in axes.get_yticklabels()]
    assert sites == ["V1[0]", "V2[0]", "V2[1]", "V4[0]", "V4[1]", "V4[2]", "V4[3]", "IT[0]", "IT[1]"]
    last = table[table["epoch"] == 6]
    for x, region in enumerate(("V1", "V2", "V4", "IT")):
        best = last.loc[last.loc[last["region"] == region, "raw"].idxmax()]
        boxed = [p for p in axes.patches if not p.get_fill() and round(p.get_x() + 0.46) == x]
        assert len(boxed) == 1
        assert sites[round(boxed[0].get_y() + 0.44)] == f"{best['area']}[{best['step']}]"
    assert f"{last['raw'].max():.2f}" in words(figures[0])


def test_solution_times_tell_their_correlation_and_share(figures: list[Figure]):
    table = times()
    draw_times(table.assign(tested=np.nan))
    solved = table.dropna()
    left, right = figures[0].axes
    shown = left.get_title(loc="left")
    assert f"Spearman {spearmanr(solved['target_ms'], solved['predicted_ms'])[0]:.2f}" in shown
    assert f"with a time: {len(solved)} of 640 ({len(solved) / 640:.0%})" in shown
    truth = spearmanr(table["truth_ms"], table["target_ms"])[0]
    assert f"Spearman {truth:.2f}" in right.get_title(loc="left")
    assert left.get_xlim() == left.get_ylim()


def test_images_that_no_split_tested_are_not_called_unsolved(tmp_path: Path, figures: list[Figure]):
    table = times(100, truth=False).assign(tested=1)
    table.loc[:29, ["predicted_ms", "tested"]] = [np.nan, 0]
    solved = int(table["predicted_ms"].notna().sum())
    read = read_times(make_run(tmp_path, scores=None, step_matrix=None, metrics=None, solution_times=table))
    assert read is not None
    draw_times(read)
    assert f"solved when tested: {solved} of 70" in figures[0].axes[0].get_title(loc="left")


@pytest.mark.slow  # draws many panels
def test_many_benchmarks_make_further_tables(figures: list[Figure]):
    one = matrix((6,))
    one = pd.concat(
        [
            one[one["region"] == "V4"].assign(benchmark=f"laboratory-{k}.V4", raw=k / 20 + one["raw"] / 99)
            for k in range(20)
        ]
    )
    draw_matrix(one)
    draw_matrix(one, columns=1)
    for figure, most in zip(figures, (8, 4), strict=True):
        named = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
        assert ["".join(name.split()) for part in named for name in part] == [
            f"laboratory-{k}.V4" for k in range(20)
        ]
        assert max(map(len, named)) <= most
        assert figure.get_figwidth() < 10
    assert "0.95 " in words(figures[0])


def test_long_names_in_the_matrix_stay_apart(figures: list[Figure]):
    one = matrix((6,))
    one = one[one["region"] == "V4"]
    names = [f"a_laboratory_with_a_very_long_name.{k}-recording-of-the-year-2026.V4" for k in range(3)]
    draw_matrix(pd.concat([one.assign(benchmark=name) for name in names]))
    assert len({tick.get_text() for tick in figures[0].axes[0].get_xticklabels()}) == 3


def test_the_untrained_start_and_errors_are_on_the_plot_against_accuracy(figures: list[Figure]):
    table = scores((0, 1, 2), BENCHMARKS[:1])
    table.loc[table["epoch"] == 0, "task_value"] = np.nan
    draw_accuracy(table)
    axes = figures[0].axes[0]
    assert table["value"].iloc[0] in [line.get_ydata()[0] for line in axes.lines]
    bars = next(one for one in axes.collections if hasattr(one, "get_segments"))
    assert len(bars.get_segments()) == 2


def test_nothing_solved(figures: list[Figure]):
    draw_times(times(20).assign(predicted_ms=np.nan, tested=np.nan))
    assert "none of 20 images is solved" in " ".join(words(figures[0]).split())


def test_tables_are_read_leniently(tmp_path: Path):
    folder = make_run(tmp_path, step_matrix=None, solution_times=None)
    file = folder / "scores.csv"
    twice = pd.concat([scores((0, 1)), scores((1,)).assign(value=0.5)])[["epoch", "benchmark", "value"]]
    file.write_text(twice.to_csv(index=False) + "2.0,simul")
    table = read_scores(folder)
    assert table is not None
    assert len(table) == 12
    assert (table.loc[table["epoch"] == 1, "value"] == 0.5).all()
    assert not table["simulated"].any()
    assert table["ceiling"].isna().all()
    assert read_matrix(folder) is None
    assert read_times(folder) is None
    assert len(draw_brain_plots(folder)) == 1


def test_of_several_evaluations_the_latest_times_are_drawn(tmp_path: Path):
    both = pd.concat([times(9).assign(epoch=0), times(7).assign(epoch=6)])
    table = read_times(make_run(tmp_path, solution_times=both))
    assert table is not None
    assert len(table) == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch,benchmark\n1,a\n", "no column value"),
        ("epoch,benchmark,value\n1,a,2,3\n", "cannot be read as a table"),
    ],
)
def test_a_file_that_is_no_table(text: str, told: str, tmp_path: Path):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(CornetError, match=told) as caught:
        read_brain_tables(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_picture_is_a_png():
    figure, _ = brain_style.grid(1, 3)
    with Image.open(io.BytesIO(brain_style.png(figure))) as image:
        assert image.format == "PNG"


def test_metrics_alone_give_no_pictures(tmp_path: Path):
    folder = make_run(tmp_path, scores=None, step_matrix=None, solution_times=None, metrics=metrics())
    assert draw_brain_plots(folder) == []
