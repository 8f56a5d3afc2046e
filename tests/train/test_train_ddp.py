"""train.py on two real ranks (gloo, CPU): the numbers of one process, one folder, one voice, and no endless waiting."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cornet.brain.benchmarks import open_benchmarks, run_battery
from cornet.brain.subjects import NetworkSubject
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import RenderedObjects
from cornet.training.build import devices_of
from cornet.training.ranks.processes import RankInfo
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.composed import composed
from tests.helpers.paths import ROOT
from tests.helpers.stimuli.pictures import class_folders
from tests.helpers.training.small_runs import only_run, wait_for_epoch, weights
from tests.helpers.training.two_ranks import FEED_FORWARD, RANKS, SMALL, torchrun


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    place = {"CORNET_CACHE": str(tmp_path / "cache"), "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **place}


@pytest.fixture
def bundle(tmp_path) -> str:
    return str(write(tmp_path / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


def alone(*overrides: str) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), *SMALL, "trainer.accelerator=cpu", *overrides]


def done(command: list[str], folder: Path, environment: dict[str, str], code: int = 0) -> tuple[str, str]:
    """Output and errors of a program that ends as expected, without torchrun's own lines."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its ranks then; killed, it would leave them
        out, err = process.communicate()
    assert process.returncode == code, out[-2000:] + err[-4000:]
    lines = [line for line in err.splitlines() if "torch/distributed" not in line]
    return out, "\n".join(lines)


def ranks_by_hand(folder: Path, environment: dict[str, str], *each: list[str]) -> list[tuple[int, str]]:
    """Exit status and errors of ranks that are started one by one, each with overrides of its own, as srun does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(len(each)), "SLURM_STEP_NUM_NODES": "1"}
    shared |= {
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_JOB_ID": "7",
        "MASTER_PORT": port,
        "SLURM_NTASKS": "2",
    }
    started = []
    for rank, overrides in enumerate(each):
        own = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        command = [sys.executable, str(ROOT / "train.py"), *SMALL, *RANKS, *overrides]
        started.append(
            subprocess.Popen(
                command, cwd=folder, env={**environment, **shared, **own}, stderr=subprocess.PIPE, text=True
            )
        )
    said = [process.communicate(timeout=240)[1] for process in started]
    return [(process.returncode, text) for process, text in zip(started, said, strict=True)]


def scored(run: Path, bundle: str, folder: Path, network: str, **arguments: float) -> list[float]:
    """Raw scores of a run's last checkpoint, by one process."""
    held = {key.removeprefix("net."): value for key, value in weights(run).items() if key.startswith("net.")}
    net = create_model(network, num_classes=8, **arguments)
    net.load_state_dict(held)
    net.to(memory_format=torch.channels_last)  # as the recipe has it
    source = RenderedObjects(train_images=64, val_images=33, size=32, cache=str(folder / "again"))
    subject = NetworkSubject(net.eval(), "network", mean=source.mean, std=source.std, size=32)
    benchmarks = open_benchmarks([bundle], metric="ridge")  # pls of so few stimuli magnifies the last digit
    return [float(found.score.raw) for found in run_battery([subject], benchmarks)]


@pytest.mark.slow
def test_two_ranks_train_as_one_process_does(tmp_path, environment, bundle):
    """Same weights, losses, accuracies and brain scores, in one folder of the same name; and everything said once."""
    overrides = [
        *FEED_FORWARD,
        "brain=local",
        f"brain.benchmarks.local=[{bundle}]",
        "brain.metric=ridge",
        "recipe.epochs=1",
    ]
    with ThreadPoolExecutor() as pool:
        single = pool.submit(done, alone(*overrides, "root=one"), tmp_path, environment)
        out, err = done(torchrun(*overrides), tmp_path, environment)
        single.result()
    two, (one,) = only_run(tmp_path), (path.parent for path in tmp_path.glob("one/**/seed*/config.yaml"))
    assert two.relative_to(tmp_path / "runs") == one.relative_to(tmp_path / "one")
    assert len(re.findall(r"^epoch 1/1 ", out, re.MULTILINE)) == out.count("Written to") == 1
    assert re.fullmatch(r"Brain scores: 2 benchmarks took .*", err.strip()), err
    kept = ("last", "best", "best_brain")
    assert {path.stem for path in (two / "checkpoints").iterdir()} == set(kept)
    for which in kept:  # fp32, sums in another order
        expected, ours = weights(one, which), weights(two, which)
        assert max(float((expected[k] - ours[k]).abs().max()) for k in expected) < 1e-6
    first, second = (pd.read_csv(run / "metrics.csv") for run in (one, two))
    assert second["step"].tolist() == first["step"].tolist() == [0, 1, 2, 3, 4]
    exact = {"val/top1": 0, "val/top5": 0, "train/top1": 0, "train/learning_rate": 0}
    for name, tolerance in {**exact, "train/loss": 1e-6, "val/loss": 1e-6}.items():
        assert np.allclose(first[name], second[name], rtol=0, atol=tolerance, equal_nan=True), name
    summaries = [json.loads((run / "finished.json").read_text()) for run in (one, two)]
    assert summaries[0]["val_images"] == summaries[1]["val_images"] == 33
    scores = [read_scores(run) for run in (one, two)]
    assert scores[0]["epoch"].tolist() == scores[1]["epoch"].tolist() == [0, 0, 1, 1]
    assert np.abs(scores[0]["raw"] - scores[1]["raw"])[:2].max() < 1e-6  # with the first weights
    assert np.abs(scores[1]["raw"].to_numpy()[2:] - scored(two, bundle, tmp_path, "cornet_z")).max() < 1e-5


@pytest.mark.slow
def test_two_ranks_harmonise_as_one_process_does(tmp_path, environment):
    """Gradients of gradients are averaged over the ranks like others, and alignment is scored once."""
    overrides = [*FEED_FORWARD, "recipe.epochs=1", "data.maps=true", "callbacks.alignment.images=16"]
    overrides += ["+losses.harmonisation._target_=cornet.losses.Harmonisation"]
    with ThreadPoolExecutor() as pool:
        single = pool.submit(done, alone(*overrides, "root=one"), tmp_path, environment)
        done(torchrun(*overrides), tmp_path, environment)
        single.result()
    two, (one,) = only_run(tmp_path), (path.parent for path in tmp_path.glob("one/**/seed*/config.yaml"))
    expected, ours = weights(one), weights(two)
    assert max(float((expected[k] - ours[k]).abs().max()) for k in expected) < 1e-5
    first, second = (pd.read_csv(run / "metrics.csv") for run in (one, two))
    losses = [table["train/loss_harmonisation"].to_numpy() for table in (first, second)]
    assert np.allclose(*losses, rtol=1e-4, equal_nan=True)
    scores = [pd.read_csv(run / "alignment.csv") for run in (one, two)]
    assert scores[0]["epoch"].tolist() == scores[1]["epoch"].tolist() == [0] * 5 + [1] * 5
    assert np.allclose(scores[0]["raw"], scores[1]["raw"], atol=1e-3)


@pytest.mark.longest
def test_ranks_of_srun_that_disagree_are_told_in_one_sentence(tmp_path, environment):
    both = ranks_by_hand(tmp_path, environment, FEED_FORWARD, [*FEED_FORWARD, "recipe.momentum=0.8"])
    assert [code for code, _ in both] == [2, 2]
    (said,) = [text.strip() for _, text in both if text.strip()]
    expected = "recipe.momentum is 0.9 on rank 0 and 0.8 on rank 1"
    assert expected in said
    assert said.count("\n") == 0
    assert not (tmp_path / "runs").exists()
    both = ranks_by_hand(tmp_path, environment, FEED_FORWARD, [*FEED_FORWARD, "recipe.momentun=0.8"])
    assert [code for code, _ in both] == [2, 2]
    (said,) = [text.strip() for _, text in both if text.strip()]
    assert "did you mean recipe.momentum?" in said
    both = ranks_by_hand(tmp_path, environment, FEED_FORWARD, FEED_FORWARD)
    assert [code for code, _ in both] == [0, 0], both
    assert (only_run(tmp_path) / "finished.json").exists()


@pytest.mark.slow
def test_files_that_any_rank_cannot_read_are_listed_once(tmp_path, environment):
    photographs = class_folders(tmp_path / "photographs", train=20, val=4)
    bad = sorted((photographs / "train").glob("*/*"))[:5]
    for path in bad:
        path.write_bytes(b"no image")
    photographic = ["data=imagefolder", f"data.folder={photographs}", "loader.workers=0"]
    kept = [given for given in SMALL if not given.startswith(("data.train_images", "data.val_images"))]
    command = torchrun(*FEED_FORWARD)[: -len([*SMALL, *RANKS, *FEED_FORWARD])]
    _, err = done([*command, *kept, *RANKS, *FEED_FORWARD, *photographic], tmp_path, environment)
    listed = pd.read_csv(only_run(tmp_path) / "bad_files.csv")
    assert listed["path"].tolist() == [str(path) for path in bad]
    assert [err.count(f"{path} cannot be read") for path in bad] == [1] * len(bad), err


@pytest.mark.longest
def test_batch_statistics_are_those_of_all_ranks_and_scores_those_of_the_checkpoint(
    tmp_path, environment, bundle
):
    """One rank has a validation batch less than the other, and both have their own batches in training."""
    overrides = [
        "model.width=0.1",
        "brain=local",
        f"brain.benchmarks.local=[{bundle}]",
        "brain.metric=ridge",
        "brain.fractions=[0.5]",
    ]
    done(torchrun(*overrides), tmp_path, environment)
    run = only_run(tmp_path)
    scores = read_scores(run)
    assert scores["epoch"].tolist() == [0, 0, 0.5, 0.5, 1, 1, 2, 2]
    again = scored(run, bundle, tmp_path, "cornet_s", width=0.1)
    assert np.abs(scores["raw"].to_numpy()[-2:] - again).max() < 1e-4  # fp32


@pytest.mark.longest
def test_an_accumulated_batch_is_one_step_on_two_ranks_too(tmp_path, environment):
    overrides = [*FEED_FORWARD, "recipe.epochs=1"]
    done(torchrun(*overrides, "recipe.accumulate=2", "root=two"), tmp_path, environment)
    done(alone(*overrides, "root=one"), tmp_path, environment)
    two, one = (
        weights(next(tmp_path.glob(f"{root}/**/seed*/config.yaml")).parent) for root in ("two", "one")
    )
    assert max(float((one[k] - two[k]).abs().max()) for k in one) < 1e-6


@pytest.mark.longest
@pytest.mark.parametrize(
    "network",
    [
        ["model=cornet_rt", "model.width=0.25", "model.norm=per_step"],
        ["model=cornet_r", "model.width=0.25"],
        ["model=cornet_rt", "model.width=0.25", "recipe.accumulate=2"],
    ],
)
def test_parameters_without_a_gradient_do_not_stop_a_static_graph(network, tmp_path, environment):
    done(torchrun(*network), tmp_path, environment)
    assert (only_run(tmp_path) / "finished.json").exists()


@pytest.mark.longest
@pytest.mark.parametrize("restarts", [0, 1])
def test_when_a_rank_is_killed_the_others_do_not_wait(restarts, tmp_path, environment):
    """torchrun ends them, or with --max-restarts starts all anew; and the run goes on from its last checkpoint."""
    many = [*FEED_FORWARD, "recipe.epochs=20", "data.train_images=128"]
    options = (f"--max-restarts={restarts}",)
    process = subprocess.Popen(
        torchrun(*many, options=options),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_epoch(process, tmp_path, 8)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (victim,) = [c for c in children if b"RANK=1" in Path(f"/proc/{c}/environ").read_bytes().split(b"\0")]
    killed = time.monotonic()
    os.kill(int(victim), signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    run = only_run(tmp_path)
    if not restarts:
        assert process.returncode != 0
        assert time.monotonic() - killed < 40
        assert not (run / "finished.json").exists()
        done(torchrun(*many), tmp_path, environment)
    assert (run / "finished.json").exists(), err
    metrics = pd.read_csv(run / "metrics.csv")
    assert metrics["step"].tolist() == list(range(20 * 8))
    if not restarts:  # once is enough for an uninterrupted run beside it
        done(torchrun(*many, "root=whole"), tmp_path, environment)
        (whole,) = (path.parent for path in tmp_path.glob("whole/**/seed*/config.yaml"))
        expected, ours = weights(whole), weights(run)
        assert all(torch.equal(expected[k], ours[k]) for k in expected)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer=ddp"], "torchrun --nproc-per-node"),
        (["trainer.devices=2"], "torchrun --nproc-per-node=2 train.py trainer=ddp"),
    ],
)
def test_ranks_that_nothing_started_are_refused(overrides, said):
    with pytest.raises(CornetError, match=said):
        devices_of(composed(*overrides).trainer, RankInfo())


def test_torchrun_without_trainer_ddp_is_refused():
    with pytest.raises(CornetError, match=r"torchrun started 2 ranks.*add trainer=ddp"):
        devices_of(composed().trainer, RankInfo(1, 2, 1, 2, "torchrun"))
    with pytest.raises(CornetError, match=r"trainer.devices=8, but torchrun started ranks for 2"):
        devices_of(composed("trainer=ddp", "trainer.devices=8").trainer, RankInfo(1, 2, 1, 2, "torchrun"))
    found = devices_of(composed("trainer=ddp").trainer, RankInfo(9, 16, 1, 8, "srun"))
    assert found == {"devices": 8, "num_nodes": 2}
