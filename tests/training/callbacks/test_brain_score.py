"""Brain scores while a network trains: what is logged, when, and that the training does not notice."""

import io
import logging
import math

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from cornet import CornetError, create_model
from cornet.instantiate import make
from cornet.runs.metrics import read_metrics
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import RenderedObjects
from cornet.training.callbacks.brain.metrics import averages, in_mean, mean_value, monitor_names
from cornet.training.callbacks.brain_checkpoint import BestCheckpoint
from cornet.training.callbacks.brain_score import BrainScore, Schedule
from cornet.training.callbacks.progress import Progress
from cornet.training.callbacks.step_matrix import StepMatrix
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training.object_training import train


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """60 stimuli, four neuroids of V4 and four of IT."""
    return str(write(tmp_path_factory.mktemp("bundle") / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return RenderedObjects(
        train_images=64, val_images=32, size=32, cache=str(tmp_path_factory.mktemp("objects"))
    )


def test_training_is_the_same_with_and_without(source, bundle, tmp_path):
    """Losses, weights, statistics and random state after three epochs, bit for bit."""
    states = []
    for number, callbacks in enumerate(([], [BrainScore([bundle], folder=tmp_path / "on", fractions=[0.5])])):
        folder = tmp_path / f"run{number}"
        _, module = train(source, folder, callbacks)
        losses = read_metrics(folder)[["train/loss", "val/loss", "val/top1"]]
        states.append((module.state_dict(), losses, torch.get_rng_state(), np.random.get_state()[1].copy()))  # noqa: NPY002
    (plain, losses, generator, numpy), (scored, scored_losses, scored_generator, scored_numpy) = states
    assert all(torch.equal(plain[key], scored[key]) for key in plain)
    columns = [c for c in losses if c in scored_losses]
    assert (
        losses.dropna(how="all")
        .reset_index(drop=True)[columns]
        .equals(scored_losses.dropna(how="all").reset_index(drop=True)[columns])
    )
    assert torch.equal(generator, scored_generator)
    assert (numpy == scored_numpy).all()
    assert len(read_scores(tmp_path / "on")) == 2 * 5  # before, half an epoch, three epochs


@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.slow  # trains with scores
def test_the_matrix_is_of_the_weights_that_are_scored(source, bundle, tmp_path, average):
    brain = BrainScore([bundle], folder=tmp_path)
    _, module = train(source, tmp_path, [brain, StepMatrix(tmp_path)], epochs=1, average=average)
    scores = read_scores(tmp_path)
    last = scores[(scores["epoch"] == 1) & (scores["benchmark"] == "mine.V4")].iloc[0]
    assert last["weights"] == ("averaged" if average else "raw")
    matrix = pd.read_csv(tmp_path / "step_matrix.csv")
    cells = matrix[(matrix["benchmark"] == "mine.V4") & (matrix["area"] == "V4")]
    assert last["raw"] in cells["raw"].to_numpy()
    assert module.scored_weights == "raw"


def test_rows_and_logs_hold_the_same_numbers(source, bundle, tmp_path):
    trainer, _ = train(
        source, tmp_path, [BrainScore([bundle], folder=tmp_path, every=2, task_metric="val/top1")]
    )
    scores = read_scores(tmp_path)
    assert list(scores["epoch"].unique()) == [0, 2, 3]
    assert list(scores["step"].unique()) == [0, 8, 12]
    assert set(scores["benchmark"]) == {"mine.V4", "mine.IT"}
    assert set(scores["scale"]) == {"r^2/c"}
    assert set(scores["weights"]) == {"raw"}
    assert scores[scores["epoch"] == 0]["task_value"].isna().all()
    metrics = read_metrics(tmp_path)
    assert scores["task_value"].iloc[-1] == pytest.approx(metrics["val/top1"].dropna().iloc[-1])
    logged = metrics.dropna(subset=["brain/mine.V4"])
    v4 = scores[scores["benchmark"] == "mine.V4"]
    assert list(logged["step"]) == [0, 8, 12]
    assert np.allclose(logged["brain/mine.V4"], v4["value"])
    assert np.allclose(logged["brain/mine.V4/raw"], v4["raw"])
    assert np.allclose(logged["brain/V4"], v4["value"])
    assert (logged["brain/seconds"] > 0).all()
    assert float(trainer.callback_metrics["brain/IT"]) == pytest.approx(
        scores[scores["benchmark"] == "mine.IT"]["value"].iloc[-1], abs=1e-6
    )


@pytest.mark.slow
def test_the_line_of_an_epoch_tells_only_what_was_measured_then(source, bundle, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    progress = Progress([["brain/V4", "V4"], ["brain/IT", "IT"]], console)
    score = BrainScore([bundle], metric="ridge", folder=tmp_path, every=2)
    train(source, tmp_path, [score, progress], enable_progress_bar=True, epochs=3)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("epoch ")]
    assert ["  V4 " in line for line in lines] == ["  IT " in line for line in lines] == [False, True, True]


def test_the_last_score_is_that_of_the_finished_network(source, bundle, tmp_path):
    from cornet.brain import NetworkSubject
    from cornet.brain.benchmarks import open_benchmarks

    _, module = train(source, tmp_path, [BrainScore([bundle], folder=tmp_path)], epochs=1)
    subject = NetworkSubject(module.net, mean=source.mean, std=source.std, size=32)
    for one in open_benchmarks([bundle]):
        row = read_scores(tmp_path).query("epoch == 1 and benchmark == @one.name").iloc[0]
        assert row["raw"] == pytest.approx(one.run(subject).raw, abs=1e-9)


@pytest.mark.slow  # trains with scores
def test_the_best_checkpoint_may_be_the_most_brain_like(source, bundle, tmp_path):
    keep = pl.callbacks.ModelCheckpoint(tmp_path / "best", filename="brain", monitor="brain/IT", mode="max")
    stop = pl.callbacks.EarlyStopping("brain/V4", mode="max", patience=50)
    train(
        source,
        tmp_path,
        [BrainScore([bundle], metric="ridge", folder=tmp_path), keep, stop],
        enable_checkpointing=True,
    )
    after = read_scores(tmp_path).query("benchmark == 'mine.IT' and epoch > 0")
    assert float(keep.best_model_score) == pytest.approx(after["value"].max(), abs=1e-6)
    assert float(stop.best_score) == pytest.approx(
        read_scores(tmp_path).query("benchmark == 'mine.V4' and epoch > 0")["value"].max(), abs=1e-6
    )


@pytest.mark.slow  # trains with scores
def test_the_most_brain_like_checkpoint_is_of_the_weights_that_were_scored(source, bundle, tmp_path):
    from cornet.brain import NetworkSubject
    from cornet.brain.benchmarks import open_benchmarks

    keep = BestCheckpoint(
        dirpath=tmp_path / "best", filename="brain", monitor="brain/mean", mode="max", optional=True
    )
    train(
        source,
        tmp_path,
        [BrainScore([bundle], metric="ridge", folder=tmp_path, every=2), keep],
        epochs=5,
        enable_checkpointing=True,
    )
    scores = read_scores(tmp_path).query("epoch > 0").groupby("epoch")["value"].mean()
    assert list(scores.index) == [2, 4, 5]  # what stood in the log of epochs 1 and 3 was another network's
    kept = torch.load(tmp_path / "best/brain.ckpt", weights_only=True)
    assert kept["epoch"] + 1 == scores.idxmax()
    assert float(keep.best_model_score) == pytest.approx(scores.max(), abs=1e-6)
    net = create_model("cornet_s", num_classes=8, width=0.125)
    prefix = "net."
    net.load_state_dict(
        {key.removeprefix(prefix): v for key, v in kept["state_dict"].items() if key.startswith(prefix)}
    )
    subject = NetworkSubject(net, mean=source.mean, std=source.std, size=32)
    values = [one.run(subject).value for one in open_benchmarks([bundle], metric="ridge")]
    assert np.mean(values) == pytest.approx(scores.max(), abs=1e-6)


def test_without_brain_scores_no_checkpoint_asks_for_one(source, tmp_path):
    keep = BestCheckpoint(dirpath=tmp_path / "best", monitor="brain/mean", mode="max", optional=True)
    train(source, tmp_path, [BrainScore({}, folder=tmp_path), keep], epochs=1, enable_checkpointing=True)
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize(
    ("benchmarks", "options", "words"),
    [
        (
            True,
            {"monitor": "brain/V5"},
            "^monitor=brain/V5 is not a computed score; choose one of brain/",
        ),
        (
            True,
            {"monitor": "brain/men", "optional": True},
            "brain.monitor=brain/men .* choose one of brain/mean",
        ),
        (False, {"monitor": "brain/IT"}, "monitor=brain/IT is a brain score, but none is computed"),
    ],
)
def test_a_monitor_that_is_never_logged(source, bundle, tmp_path, benchmarks, options, words):
    keep = BestCheckpoint(dirpath=tmp_path / "best", mode="max", **options)
    score = BrainScore([bundle] if benchmarks else {}, folder=tmp_path)
    with pytest.raises(CornetError, match=words):
        train(source, tmp_path, [score, keep], enable_checkpointing=True)
    assert not (tmp_path / "metrics.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"monitor": "val/top_1"},
            r"^monitor=val/top_1 was not measured; choose one of .*val/top1, val/top5\.$",
        ),
        (
            {"monitor": "brain/IT"},
            r"^monitor=brain/IT was not measured; choose one of .*val/top1",
        ),  # no BrainScore
        ({"monitor": "IT", "optional": True}, r"^brain\.monitor=IT was not measured; choose one of "),
    ],
)
def test_a_monitor_that_was_not_measured(source, tmp_path, options, words):
    keep = BestCheckpoint(dirpath=tmp_path / "best", mode="max", **options)
    with pytest.raises(CornetError, match=words):
        train(source, tmp_path, [keep], epochs=1, enable_checkpointing=True)


def test_other_callbacks_hear_of_every_evaluation(source, bundle, tmp_path):
    class Listener(pl.Callback):
        heard: list = []  # noqa: RUF012

        def on_brain_scores(self, trainer, pl_module, results, epoch):
            self.heard.append((epoch, [result.benchmark.name for result in results]))

    train(source, tmp_path, [BrainScore([bundle], metric="ridge", folder=tmp_path), Listener()], epochs=1)
    assert Listener.heard == [(0.0, ["mine.IT", "mine.V4"]), (1.0, ["mine.IT", "mine.V4"])]


def test_a_benchmark_that_fails_is_told_once_and_training_goes_on(
    source, bundle, tmp_path, monkeypatch, caplog
):
    from cornet.brain.benchmarks import NeuralBenchmark

    whole = NeuralBenchmark.compare

    def compare(self, recording, subject):
        if self.region == "IT":
            raise MemoryError("no room")
        return whole(self, recording, subject)

    monkeypatch.setattr(NeuralBenchmark, "compare", compare)
    with caplog.at_level(logging.WARNING, "cornet"):
        train(source, tmp_path / "a", [BrainScore([bundle], metric="ridge", folder=tmp_path / "a")], epochs=2)
    told = [record for record in caplog.records if "mine.IT could not be scored" in record.getMessage()]
    assert len(told) == 1
    scores = read_scores(tmp_path / "a")
    assert scores.query("benchmark == 'mine.IT'")["failure"].str.contains("does not fit in memory").all()
    assert scores.query("benchmark == 'mine.V4'")["raw"].notna().all()
    with pytest.raises(CornetError, match="IT could not be scored, and strict=true"):
        train(
            source,
            tmp_path / "b",
            [BrainScore([bundle], metric="ridge", folder=tmp_path / "b", strict=True)],
            epochs=2,
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"benchmarks": ["nowhere"]}, "'nowhere' is neither a benchmark nor a folder"),
        ({"benchmarks": ["majajhong2015.IT"]}, "cornet fetch majajhong2015"),
        ({"before": False, "end": False, "every": 9}, "never fires: every=9 epochs, and the training has 3"),
        ({"before": False, "end": False, "every": 0}, "never fires: before and end are false"),
        ({"fractions": [1.5]}, r"fractions=\[1.5\] of the first epoch must lie between 0 and 1"),
        ({"metric": "lasso"}, "metric='lasso' is unknown"),
        (
            {"time_bin": [0, 40]},
            "mine.IT is compared at 0 to 40 ms, before the image reaches IT .* 100 ms",
        ),
        ({"time_bin": [70, 200]}, r"time_bin=\(70, 200\) is not a bin of the assembly"),
        ({"time_bin": [70]}, r"time_bin=\(70,\) must be the start and end"),
    ],
)
def test_mistakes_are_told_before_the_first_batch(source, bundle, tmp_path, options, words):
    given = {"benchmarks": [bundle], **options}
    with pytest.raises(CornetError, match=words):
        train(source, tmp_path, [BrainScore(given.pop("benchmarks"), folder=tmp_path, **given)])
    assert not (tmp_path / "metrics.csv").exists()


def test_a_region_that_the_network_lacks_is_told_before_the_first_batch(source, tmp_path):
    folder = str(write(tmp_path / "alien", assembly(("PIT",) * 8)))
    with pytest.raises(CornetError, match="no region 'PIT'"):
        train(source, tmp_path, [BrainScore([folder], folder=tmp_path)])


@pytest.mark.slow
def test_a_benchmark_larger_than_memory_is_told_before_the_first_batch(source, tmp_path):
    """10 GB times 16 of responses in a file of 40 MB: HDF5 keeps no chunk that was never written."""
    import h5netcdf

    folder, many = write(tmp_path / "huge"), 100_000
    (folder / "assembly.nc").unlink()
    with h5netcdf.File(folder / "assembly.nc", "w") as file:
        file.dimensions = {"presentation": many, "neuroid": many}
        huge = file.create_variable(
            "huge", ("presentation", "neuroid"), np.float32, chunks=(1000, 1000), fillvalue=np.nan
        )
        huge[:1000, :10_000] = np.ones((1000, 10_000), np.float32)  # 40 MB: as little as such a file may hold
        columns = {
            "stimulus_id": ("presentation", np.array([f"im{i % 60:02d}" for i in range(many)], "S4")),
            "repetition": ("presentation", np.arange(many) // 60),
            "region": ("neuroid", np.full(many, b"IT")),
        }
        for name, (dimension, values) in columns.items():
            file.create_variable(name, (dimension,), values.dtype, data=values)
    said = (
        r"huge.IT needs about 160.0 GB of memory \(60 stimuli, 100,000 presentations to 100,000 neuroids\), "
        r"but \d+\.\d GB are free; remove it, score a part of it, or use a machine with more memory\."
    )
    with pytest.raises(CornetError, match=said):
        train(source, tmp_path, [BrainScore([str(folder)], folder=tmp_path)])
    assert not (tmp_path / "metrics.csv").exists()


def test_the_old_argument_ends(tmp_path, caplog):
    assert BrainScore({}, folder=tmp_path, ends=["mine.V4"]).start_and_end_only == ["mine.V4"]
    assert "ends of BrainScore was renamed to start_and_end_only" in caplog.text
    caplog.clear()
    config = {
        "_target_": "cornet.training.callbacks.brain_score.BrainScore",
        "benchmarks": {},
        "folder": str(tmp_path),
    }
    assert make({**config, "start_and_end_only": ["a"], "ends": None}, "x").start_and_end_only == ["a"]
    assert not caplog.text
    assert make({**config, "start_and_end_only": ["a"], "ends": ["b"]}, "x").start_and_end_only == ["b"]
    assert caplog.text.count("brain.ends was renamed to brain.start_and_end_only") == 1


def test_schedule():
    schedule = Schedule(fractions=(0.1, 0.5), every=5)
    assert [n for n in range(1, 13) if schedule.after_epoch(n, 12)] == [5, 10, 12]
    assert [n for n in range(1, 101) if schedule.after_batch(n, 100) is not None] == [10, 50]
    assert [n for n in range(1, 4) if schedule.after_batch(n, 3) is not None] == [1, 2]


def test_averages_are_of_one_origin_and_count_undefined_times_as_nothing():
    class Named:
        def __init__(self, name):
            self.name = name

    from cornet.brain import Score
    from cornet.brain.benchmarks import Result

    def result(name, raw, failure=""):
        return Result("net", Named(name), Score(raw=raw), failure=failure)

    parts = [result(f"simulated{word}", raw) for word, raw in ((".V4", 0.6), (".IT", 0.5), ("-i2n", 0.4))]
    late = result("simulated-ost", math.nan)
    assert averages(parts) == {"brain/simulated_average_2018": pytest.approx(0.5)}
    assert averages([*parts, late])["brain/simulated_average_2019"] == pytest.approx(0.375)
    assert averages([*parts, result("simulated-ost", 0.3)])["brain/simulated_average_2019"] == pytest.approx(
        0.45
    )
    assert averages(parts[:2]) == {}
    assert averages([*parts[:2], result("simulated-i2n", 0.4, "broken"), late]) == {}
    mixed = [result("majajhong2015.V4", 0.6), *parts[1:]]
    assert averages(mixed) == {}


def test_the_mean_is_of_recorded_brains_where_there_are_any_and_of_all_or_none():
    class Named:
        def __init__(self, name, simulated, region="V4"):
            self.name, self.simulated, self.region, self.in_means = name, simulated, region, True

    from cornet.brain import Score
    from cornet.brain.benchmarks import Result

    made, mine, yours = Named("simulated.V4", True), Named("mine.V4", False), Named("yours.IT", False, "IT")
    assert in_mean([made, mine, yours], start_and_end_only=["yours.IT"]) == ["mine.V4"]
    assert in_mean([made], start_and_end_only=[]) == ["simulated.V4"]
    results = [Result("net", one, Score(raw=raw)) for one, raw in ((made, 0.9), (mine, 0.2), (yours, 0.4))]
    assert mean_value(results, ["mine.V4", "yours.IT"]) == {"brain/mean": pytest.approx(0.3)}
    assert mean_value(results[:2], ["mine.V4", "yours.IT"]) == {}
    assert mean_value([], []) == {}
    assert monitor_names([made, mine, yours], []) == [
        "brain/simulated.V4",
        "brain/mine.V4",
        "brain/yours.IT",
        "brain/IT",
        "brain/mean",
    ]
