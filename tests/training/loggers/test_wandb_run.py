"""Whole runs of train.py with logger=wandb, read back from what it wrote, and a server that dies."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import wandb

from cornet.runs.metrics import read_metrics
from cornet.training.loggers import wandb_run as wandb_logger
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training.interrupt import Interrupt
from tests.helpers.training.small_runs import SMALL_WITH_BRAIN
from tests.helpers.training.wandb_records import (
    configuration,
    definitions,
    end_of_process,
    finished,
    media,
    rows,
    run_of,
)
from tests.helpers.training.wandb_server import WandbServer, serve

pytestmark = pytest.mark.usefixtures("no_account")


KEY = "5ec2e7" + "0" * 34


INTERRUPT = "+callbacks.interrupt._target_=tests.helpers.training.interrupt.Interrupt"


@pytest.fixture
def call(train, monkeypatch, tmp_path):
    """Calls train.py's main with logger=wandb: (exit status, standard error, seconds)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))

    def run(*overrides):
        flags = [given for given in overrides if given.startswith("-")]
        given = [given for given in overrides if given not in flags]
        start = time.monotonic()
        code, _, err = train(*flags, *SMALL_WITH_BRAIN, "logger=wandb", *given, small=False)
        return code, err, time.monotonic() - start

    return run


def run_folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("runs/**/seed*/config.yaml"))


def sessions(run: Path) -> list[Path]:
    return sorted(run.glob("wandb/offline-run-*/run-*.wandb"))


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Missing cells are None, whatever else stands in their column."""
    return table.astype(object).where(table.notna(), None)


@pytest.mark.parametrize(
    "simulated",
    [pytest.param(None, marks=pytest.mark.slow), pytest.param("simulated", marks=pytest.mark.longest)],
)
def test_a_run_is_read_back_whole(call, monkeypatch, tmp_path, simulated):
    """Axes, pictures, tables, configuration, group and tags; no key; and a finished run logs nothing more."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    bundle = str(write(tmp_path / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))
    brain = "brain=[local,simulated]" if simulated else "brain=local"
    given = [brain, f"brain.benchmarks.local=[{bundle}]", "recipe.epochs=2", "seed=3"]
    code, err, _ = call(*given, "logger.wandb.offline=true")
    assert code == 0, err
    assert "wandb" not in err.lower().replace("weights & biases", "")
    (run,) = run_folders(tmp_path)
    (file,) = sessions(run)
    found = finished(file)

    metrics = read_metrics(run).set_index("step")
    axes, seen, brains = definitions(found), set(), []
    for row in rows(found):
        step = json.loads(row["trainer/global_step"])
        for name in row:
            if name.startswith("val/"):
                assert json.loads(row["epoch"]) == metrics.loc[step, "epoch"]
                assert axes[name].step_metric == "epoch"
            if name.startswith("brain/") and name != "brain/epoch":
                seen.add(name)
                assert json.loads(row["brain/epoch"]) == metrics.loc[step, "brain/epoch"], name
                assert json.loads(row[name]) == pytest.approx(metrics.loc[step, name]), name
                assert axes[name].step_metric == "brain/epoch"
                assert (axes[name].summary.max, axes[name].summary.last) == (True, True)
        if "brain/mine.V4" in row:
            brains.append(json.loads(row["brain/epoch"]))
    assert brains == [0, 1, 2]
    assert seen == {c for c in metrics if c.startswith("brain/") and c != "brain/epoch"}
    assert "brain/mine.IT/raw" in seen
    panels = {name for name in seen if not axes[name].options.hidden}
    if simulated:
        assert "brain/simulated-ost/share_solved" in seen
        names = ("simulated.V1", "simulated.IT", "simulated-i2n", "simulated-ost", "simulated_average_2019")
        assert {f"brain/{name}" for name in names} < panels
        assert len(panels) <= 2 + 6 + 2
    else:
        assert panels == {"brain/mine.V4", "brain/mine.IT"}
    assert axes["epoch"].options.hidden
    assert axes["brain/epoch"].options.hidden
    assert (axes["val/top1"].summary.max, axes["val/loss"].summary.min) == (True, True)

    logged = media(found)
    expected = {f"pictures/{path.stem}": path for path in run.glob("*.png")}
    expected |= {f"pictures/stimuli_{path.stem}": path for path in run.glob("stimuli/*.png")}
    assert {"pictures/curves", "pictures/brain_scores", "pictures/step_matrix"} <= set(expected)
    assert {"pictures/solution_times", "pictures/brain_accuracy"} <= set(expected) or not simulated
    assert set(logged) == {*expected, "scores", "step_matrix"}
    for name, path in expected.items():
        kept = (file.parent / "files" / str(logged[name]["path"])).read_bytes()
        assert kept.startswith(b"\x89PNG")
        assert kept == path.read_bytes()
        assert logged[name]["caption"]
    for name in ("scores", "step_matrix"):
        table = json.loads((file.parent / "files" / str(logged[name]["path"])).read_text())
        ours = pd.DataFrame(table["data"], columns=table["columns"])
        assert len(ours) > 0
        pd.testing.assert_frame_equal(plain(ours), plain(pd.read_csv(run / f"{name}.csv")))
    assert (file.parent / "files" / "report.html").read_bytes() == (run / "report.html").read_bytes()

    config = {key: json.loads(value) for key, value in configuration(found).items()}
    assert (config["model"]["width"], config["recipe"]["epochs"], config["seed"]) == (0.1, 2, 3)
    assert config["versions"] == json.loads((run / "versions.json").read_text())
    assert config["versions"]["torch"]
    assert KEY not in json.dumps(config)
    assert not [path for path in run.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    told = run_of(found)
    assert told.run_group == run.parent.name == "objects-cornet_s"
    assert told.display_name.startswith("objects-cornet_s ")
    assert told.display_name.endswith(" seed=3")
    assert {"width=0.1", "epochs=2", brain, "size=32"} <= set(told.tags)
    assert not [tag for tag in told.tags if "logger" in tag or "seed" in tag or len(tag) > 64]

    assert call(*given, "logger.wandb.offline=true")[0] == 0
    assert sessions(run) == [file]
    assert wandb.run is None


@pytest.mark.slow
def test_a_sweep_and_a_run_that_was_stopped(call, monkeypatch, tmp_path):
    """Two seeds in one process are two runs of one group; stopped and continued, a run keeps its id and its best."""
    given = ["brain=none", "recipe.epochs=3", INTERRUPT, "logger.wandb.tags=[mine]"]
    code, err, _ = call("-m", "seed=0,1", *given)
    assert code == 0, err
    told = [run_of(finished(file)) for run in run_folders(tmp_path) for file in sessions(run)]
    assert len({one.run_id for one in told}) == 2
    assert len({one.run_group for one in told}) == 1
    assert [one.display_name[-6:] for one in told] == ["seed=0", "seed=1"]
    assert [list(one.tags) for one in told] == [["mine"], ["mine"]]

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(Interrupt, "after", {2: stop})  # the second epoch is not kept
    assert call("seed=2", *given)[0] == 130
    end_of_process()
    monkeypatch.setattr(Interrupt, "after", {})
    code, err, _ = call("seed=2", *given)
    assert (code, "resuming from" in err) == (0, True)
    run = run_folders(tmp_path)[-1]
    both = [finished(file) for file in sessions(run)]
    assert len({run_of(found).run_id for found in both}) == 1
    epochs = [[json.loads(r["epoch"]) for r in rows(found) if "val/top1" in r] for found in both]
    assert (epochs[0][0], epochs[1]) == (0, [1, 2])
    summary = [r.summary for r in both[1] if r.HasField("summary")]
    ends = [item for one in summary for item in one.update if "val/loss" in (item.key, *item.nested_key)]
    losses = read_metrics(run)["val/loss"].dropna()
    assert {"min": losses.min(), "last": losses.iloc[-1]} in [json.loads(item.value_json) for item in ends]


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["refused", "silent"])
def test_no_network_at_the_start(call, monkeypatch, tmp_path, manner):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb_logger, "START_TIMEOUT", 2)
    with serve() as server:
        server.silent = True
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9" if manner == "refused" else server.url)
        code, err, seconds = call("brain=none", "recipe.epochs=1")
        assert code == 0, err
        assert seconds < 30
        (run,) = run_folders(tmp_path)
        (told,) = [line for line in err.splitlines() if "Weights & Biases" in line]
        assert told.endswith(
            f"upload it later with `wandb sync {run.relative_to(tmp_path)}/wandb/offline-run-*`"
        )
        assert "wandb:" not in err
        (file,) = sessions(run)
        assert [r for r in rows(finished(file)) if "val/top1" in r]
        assert (run / "finished.json").exists()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb_logger, "FINISH_TIMEOUT", 4)
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 2)
    with serve() as one:
        monkeypatch.setenv("WANDB_BASE_URL", one.url)
        yield one
        end_of_process()


def shown(server: WandbServer) -> list[float]:
    (run,) = server.runs
    return [row["epoch"] for row in server.history(run) if "val/top1" in row]


@pytest.mark.slow
def test_a_server_that_answers_gets_everything(call, server, tmp_path):
    """This server is ours: the test holds what wandb sends, which the next one takes away."""
    code, err, _ = call("brain=none", "recipe.epochs=2")
    assert code == 0, err
    assert "Weights & Biases" not in err
    (name,) = server.runs
    losses = read_metrics(run_folders(tmp_path)[0])["val/loss"].dropna()
    assert shown(server) == [0, 1]
    assert server.complete == {name: 0}
    assert server.summary(name)["val/loss"] == {"min": losses.min(), "last": losses.iloc[-1]}
    assert [path for path in server.files if path.startswith(f"{name}/media/images/pictures/curves")]
    assert server.runs[name]["groupName"].startswith("objects-cornet_s")


@pytest.mark.slow
def test_a_network_that_dies_in_mid_run(call, server, monkeypatch, tmp_path):
    """Training goes on, the end is soon, and what is on the disk can be uploaded when the network is back."""

    def die():
        server.silent = True

    monkeypatch.setattr(Interrupt, "after", {1: die})
    code, err, seconds = call("brain=none", "recipe.epochs=3", INTERRUPT)
    assert code == 0, err
    assert seconds < 40
    (told,) = [line for line in err.splitlines() if "Weights & Biases" in line]
    place = Path(told.rpartition("`wandb sync ")[2].removesuffix("`"))
    (run,) = run_folders(tmp_path)
    assert place.resolve().parent == run / "wandb"
    assert (run / "finished.json").exists()
    assert len(read_metrics(run)["val/top1"].dropna()) == 3
    server.silent = False
    sync = [str(Path(sys.executable).with_name("wandb")), "sync", "--include-online", str(place)]
    done = subprocess.run(sync, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert shown(server) == [0, 1, 2]
    assert [path for path in server.files if "media/images/pictures/curves" in path]
