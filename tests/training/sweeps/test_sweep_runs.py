"""Which runs a sweep is made of, and how they are gone through: with real processes, small ones for the most part."""

import json
import os
import signal
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.runs.folder import RunFolder
from cornet.runs.path import identity_of
from cornet.training.content import Content
from cornet.training.run import place_of, resolved
from cornet.training.sweeps import random_network
from cornet.training.sweeps.jobs import Job, seed_groups
from cornet.training.sweeps.local import LocalSweep, environment, saved_epochs
from cornet.training.sweeps.random_network import MOST_PARAMETERS, draw_network
from tests.helpers.faults.starter import until
from tests.helpers.paths import CONF
from tests.helpers.training.swept import swept


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def composed(overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides, "hydra.mode=RUN"])


# what runs there are


@pytest.mark.slow  # composes many configurations
def test_the_runs_of_a_command(tmp_path):
    sweep = swept(
        "-m", "model.times.V4=1,2", "seed=0,1", "name=try", "sweep.at_once=2", "hydra.verbose=false"
    )
    assert [job.label for job in sweep.jobs] == [f"times.V4={v} seed={s}" for v in (1, 2) for s in (0, 1)]
    assert sweep.jobs[3].overrides == ("model.times.V4=2", "seed=1", "name=try", "sweep.at_once=2")
    assert (sweep.at_once, sweep.repeated, len({job.folder for job in sweep.jobs})) == (2, 0, 4)
    assert sweep.command[-2:] == ["hydra.verbose=false", "hydra.mode=RUN"]
    assert seed_groups(sweep.jobs) == [[sweep.jobs[k].folder, sweep.jobs[k + 1].folder] for k in (0, 2)]
    one = swept("-m", "seed=0,1", "trainer=auto,cpu", "sweep.at_once=2", "sweep.halving.first=2")
    assert ([str(job.folder) for job in one.jobs], one.repeated) == (
        [f"runs/objects-cornet_s/default/seed{k}" for k in (0, 1)],
        2,
    )
    assert not any(tmp_path.iterdir()), "Hydra left files in the user's folder"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-m", "model.times.V4=2,0"], r"^times\.V4=0: times\.V4=0 must be a whole number"),
        (["-m", "model.loop=1,3", "seed=0,1"], r"^loop=3 seed=0: loop=3"),
        (["-m", "model.areas=4,6"], r"^areas=6: "),
        (["-m", "recipe.epochs=1,0"], r"^epochs=0: recipe\.epochs=0 must be"),
        (["-m", "model=glob(resnet*)"], r"model=glob\(resnet\*\): the sweep has no runs"),
        (["seed=0,1"], r"Ambiguous value for argument 'seed=0,1' .* add --multirun"),
        (["model.tims=1", "--cfg", "job"], r"did you mean model\.times\?"),
        (["-m", "model.tims=1,2"], r"there is no model\.tims; did you mean model\.times\?"),
        (["-m", "experiment/variants=gate_soft,gate_sof"], r"gate_sof: .*did you mean gate_soft"),
        (["-m", "model.width=interval(0.1,0.5)"], r"does not support sweep type"),
        (["-m", "data=imagenet", "seed=0,1"], r"data\.folder has no value yet"),
        (["-m", "seed=0,1", "sweep.at_once=0"], r"^sweep\.at_once=0 must be a whole number"),
        (
            ["-m", "seed=0,1", "hydra.sweeper.max_batch_size=1"],
            r"max_batch_size=1 would .*set sweep\.at_once",
        ),
        (["-m", "seed=0,1", "sweep.halving.factor=1"], r"sweep\.halving\.factor=1 must be a whole number, 2"),
        (["-m", "seed=0,1", "sweep.halving=often"], r"sweep\.halving=often must be true, false"),
        (["experiment=sweeps/random", "draw=-1"], r"draw=-1 must be a whole number, 0 or more"),
    ],
)
@pytest.mark.slow  # composes many configurations
def test_what_cannot_be_is_refused_before_anything_runs(argv, said, tmp_path):
    with pytest.raises(CornetError, match=said) as refused:
        swept(*argv)
    assert "\n" not in str(refused.value)
    assert not any(tmp_path.iterdir())


def test_a_file_that_sweeps_over_what_is_not_there(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {model.tims: '1,2'}}}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    with pytest.raises(CornetError, match=r"^tims=1: there is no model\.tims; did you mean model\.times\?"):
        swept("--config-dir", str(tmp_path), "experiment=mine")


# the sweeps that are there

FIGURE_4 = {
    "steps_1_1_1": {"times": {"V2": 1, "V4": 1, "IT": 1}},
    "steps_2_2_2": {"times": {"V2": 2, "V4": 2, "IT": 2}},
    "steps_4_4_4": {"times": {"V2": 4, "V4": 4, "IT": 4}},
    "steps_4_8_4": {"times": {"V2": 4, "V4": 8, "IT": 4}},
    "steps_10_10_10": {"times": {"V2": 10, "V4": 10, "IT": 10}},
    "loop_second": {"loop": 2},
    "gate_soft": {"gate": "soft"},
    "bottleneck_1": {"bottleneck": 1},
    "bottleneck_2": {"bottleneck": 2},
    "bottleneck_6": {"bottleneck": 6},
    "convolutions_2": {"convolutions": 2},
    "skip_absent": {"skip": False},
    "norm_group": {"norm": "group"},
    "areas_5": {"areas": 5},
    "base": {},
}
"""Every row of the figure of the 2019 paper, and the base."""


@pytest.mark.slow  # composes thirty configurations
def test_figure_4_has_every_row_three_times():
    sweep = swept("experiment=sweeps/figure4")
    names = [job.overrides[0].removeprefix("experiment/variants=") for job in sweep.jobs]
    assert sorted(names) == sorted([*FIGURE_4] * 3)
    assert {len(seeds) for seeds in seed_groups(sweep.jobs)} == {3}
    told_of("figure4", 45)
    plain = OmegaConf.to_container(composed([]).model)
    for job in sweep.jobs[::3]:
        changed = FIGURE_4[job.overrides[0].removeprefix("experiment/variants=")]
        assert OmegaConf.to_container(composed(job.overrides).model) == {**plain, **changed}, job.label


@pytest.mark.parametrize(
    ("name", "configurations", "seeds"),
    [
        ("bottleneck", 4, 3),
        pytest.param("recurrence", 6, 3, marks=pytest.mark.slow),
        pytest.param("recurrence_bottleneck", 12, 3, marks=pytest.mark.slow),
        pytest.param("random", 20, 1, marks=pytest.mark.slow),
        pytest.param("hcnn_search", 20, 1, marks=pytest.mark.slow),
    ],
)
def test_every_sweep_opens_with_its_facts_and_has_so_many_runs(name, configurations, seeds):
    sweep = swept(f"experiment=sweeps/{name}")
    assert len(sweep.jobs) == configurations * seeds
    assert len(seed_groups(sweep.jobs)) == (configurations if seeds > 1 else 0)
    assert {job.folder.parts[:2] for job in sweep.jobs} == {("runs", name)}
    assert not any("experiment" in str(job.folder) for job in sweep.jobs)
    told_of(name, len(sweep.jobs))


def told_of(name: str, runs: int) -> None:
    text = (CONF / "experiment" / "sweeps" / f"{name}.yaml").read_text()
    for fact in (f"# Command:  train.py experiment=sweeps/{name}\n", "# Asks:     ", "# Time:     "):
        assert fact in text
    line = next(line for line in text.splitlines() if line.startswith("# Runs:     "))
    assert str(runs) in line


@pytest.mark.slow  # composes many configurations
def test_a_sweep_on_other_images():
    sweep = swept("experiment=[tiny_s,sweeps/bottleneck]", "data.folder=x", "seed=7")
    assert [job.label for job in sweep.jobs] == [f"bottleneck={k}" for k in (1, 2, 4, 6)]
    assert composed(sweep.jobs[0].overrides).data.folder == "x"


def test_variants_are_chosen_in_three_ways():
    for overrides in (
        ["experiment=variants/gate_soft"],
        ["experiment=[tiny_s,variants/gate_soft]"],
        ["experiment=tiny_s", "experiment/variants=gate_soft"],
    ):
        assert composed(overrides).model.gate == "soft"
    assert composed(["experiment=tiny_s", "experiment/variants=gate_soft"]).name == "tiny_s"
    assert composed(["experiment/variants=feedback"]).model.name == "cornet_rt"


def test_random_networks_are_compact_always_the_same_and_written_down(monkeypatch):
    drawn = [draw_network(k) for k in range(20)]
    assert len({json.dumps(one) for one in drawn}) == 20
    for key in ("gate", "convolutions", "skip", "areas", "norm", "bottleneck", "loop"):
        assert len({str(one[key]) for one in drawn}) > 1, key
    assert {steps for one in drawn for steps in one["times"].values()} == set(range(1, 7))
    for one in drawn[:6]:
        with torch.device("meta"):
            net = create_model("cornet_s", num_classes=10, **one)
        assert sum(p.numel() for p in net.parameters()) <= MOST_PARAMETERS
    config = composed(["experiment=sweeps/random", "draw=5"])
    held = resolved(config)["model"]
    assert {key: held[key] for key in drawn[5]} == drawn[5]
    monkeypatch.setattr(random_network, "TRIALS", 5)
    with pytest.raises(CornetError, match="in 5 trials; choose another draw"):
        draw_network(0, most_parameters=10)


# whether a run is finished


@pytest.mark.slow  # composes many configurations
def test_a_finished_run_is_known_by_its_folder(tmp_path):
    given = ("-m", "seed=0,1", "model.width=0.1", f"root={tmp_path}")
    sweep = swept(*given)
    assert not any(job.finished for job in sweep.jobs)
    config = composed(sweep.jobs[1].overrides)
    with open_dict(config):
        path, _, _ = place_of(config, sweep.jobs[1].overrides, Content(), sweep=True)
    assert path == sweep.jobs[1].folder
    content = resolved(config)
    folder = RunFolder.open(path, content, identity_of(content))
    assert not any(job.finished for job in swept(*given).jobs)
    folder.finish({"epochs": 1})
    assert [job.finished for job in swept(*given).jobs] == [False, True]
    assert [job.finished for job in swept(*given, "sweep.at_once=2", "sweep.halving=true").jobs] == [
        False,
        True,
    ]
    assert not any(job.finished for job in swept(*given, "fresh=true").jobs)
    held = json.loads((path / "identity.json").read_text())
    (path / "identity.json").write_text(json.dumps({**held, "deterministic": True}))
    assert not any(job.finished for job in swept(*given).jobs), "a run of another configuration"
    (path / "finished.json").write_text("{")
    assert not any(job.finished for job in swept(*given).jobs)


# going through them

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
folder, what = Path(sys.argv[1].split("=")[1]), sys.argv[2].split("=")[1]
folder.mkdir(parents=True, exist_ok=True)
if what != "anew":
    for name in ("identity.json", "config.yaml"):
        (folder / name).write_text("{}")
with open(folder / "starts", "a") as file:
    file.write("x")
print("epoch 1", os.environ.get("OMP_NUM_THREADS"), flush=True)
once = folder / "once"
if what == "anew":
    folder.rename(folder.with_name(folder.name + ".old1"))
    folder.mkdir()
    for name in ("identity.json", "config.yaml"):
        (folder / name).write_text("{}")
if what == "fails":
    print("Traceback", file=sys.stderr)
    sys.exit("OSError: that is all")
if what == "dies_once" and not once.exists():
    once.touch()
    os.kill(os.getpid(), signal.SIGKILL)
if what == "meets":
    other = folder.with_name({"seed0": "seed1", "seed1": "seed0"}[folder.name])
    for _ in range(1000):
        if (other / "starts").exists():
            break
        time.sleep(0.01)
    else:
        sys.exit(3)
if what == "waits" and not once.exists():
    def stop(signum, frame):
        with open(folder / "signals", "a") as file:
            file.write(signal.Signals(signum).name)
        once.touch()
        sys.exit(128 + signum)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, stop)
    (folder / "ready").touch()
    time.sleep(60)
early = {"stopped_early": 1} if what == "early" else {}
(folder / "finished.json").write_text(json.dumps({"epochs": 4, **early}))
"""
"""What stands in for train.py where only the processes count."""


@pytest.fixture
def program(tmp_path) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return [sys.executable, "-I", "-S", str(path)]


def sweep_of(root: Path, *whats: str, at_once: int = 1) -> tuple[list[Job], int]:
    jobs = []
    for k, what in enumerate(whats):
        folder = root / f"seed{k}"
        done = (folder / "finished.json").exists()
        jobs.append(Job((f"folder={folder}", f"what={what}"), f"what={what} seed={k}", folder, done))
    return jobs, at_once


def run_sweep(sweep: tuple[list[Job], int], program: list[str]) -> int:
    return LocalSweep(sweep[0], program, sweep[1]).run()


@pytest.mark.parametrize("at_once", [1, 2])
def test_it_survives_a_run_that_fails_and_one_that_is_killed(program, tmp_path, capfd, at_once):
    whats = ("well", "dies_once", "fails", "well", "early")
    assert run_sweep(sweep_of(tmp_path, *whats, at_once=at_once), program) == 1
    out, err = capfd.readouterr()
    assert "3 of 5 done, 2 failed, 0 left" in out
    table = out[out.index("2 of 5 runs failed:") :]
    assert "what=dies_once seed=1  killed by SIGKILL  epoch 1" in table
    assert "what=fails seed=2      exit code 1        OSError: that is all" in table
    assert str(tmp_path / "seed2" / "sweep.log") in table
    assert "Traceback\nOSError: that is all" in (tmp_path / "seed2" / "sweep.log").read_text()
    assert "stopped 1 run early and saved 3 of 12 epochs" in saved_epochs(
        tmp_path / f"seed{k}" for k in range(5)
    )
    prefix = "[3/5 what=fails seed=2] " if at_once == 2 else ""
    assert f"{prefix}OSError: that is all\n" in err
    assert f"{prefix.replace('3/5', '1/5').replace('fails seed=2', 'well seed=0')}epoch 1" in out
    assert run_sweep(sweep_of(tmp_path, *whats, at_once=at_once), program) == 1
    out, _ = capfd.readouterr()
    assert "5 runs, 3 finished before" in out
    assert "4 of 5 done, 1 failed" in out
    starts = [len((tmp_path / f"seed{k}" / "starts").read_text()) for k in range(5)]
    assert starts == [1, 2, 2, 1, 1]
    whats = ("well", "dies_once", "well", "well", "early")
    assert run_sweep(sweep_of(tmp_path, *whats), program) == 0
    assert run_sweep(sweep_of(tmp_path, *whats), program) == 0
    assert len((tmp_path / "seed2" / "starts").read_text()) == 3
    assert (tmp_path / "seed2" / "sweep.log").read_text().count("---") == 3


def test_so_many_at_once_with_a_part_of_the_cores_each(program, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("cornet.training.sweeps.local.os.sched_getaffinity", lambda process: range(7))
    assert run_sweep(sweep_of(tmp_path / "a", "meets", "meets", at_once=2), program) == 0
    assert capfd.readouterr().out.count("epoch 1 3\n") == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert run_sweep(sweep_of(tmp_path / "b", "meets", "meets", at_once=3), program) == 0
    assert capfd.readouterr().out.count("epoch 1 5\n") == 2


def test_gpus_in_turn(monkeypatch):
    """Of the environment alone: there are no GPUs here."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5")
    assert [environment(k, 3)["CUDA_VISIBLE_DEVICES"] for k in range(3)] == ["4", "GPU-5", "4"]
    assert environment(0, 1) == {}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_stops_all_and_the_same_command_goes_on(program, tmp_path, capfd, signum):
    whats = ("waits", "waits", "well")

    def ask():
        until(lambda: all((tmp_path / f"seed{k}" / "ready").exists() for k in (0, 1)), 60)
        os.kill(os.getpid(), signum)

    asking = threading.Thread(target=ask)
    asking.start()
    before = signal.getsignal(signum)
    assert run_sweep(sweep_of(tmp_path, *whats, at_once=2), program) == 128 + signum
    asking.join()
    assert signal.getsignal(signum) == before
    out, _ = capfd.readouterr()
    assert f"Stopped by {signum.name} with 3 runs left. Repeat the command to resume." in out
    assert "failed:" not in out
    assert [(tmp_path / f"seed{k}" / "signals").read_text() for k in (0, 1)] == [signum.name] * 2
    assert not (tmp_path / "seed2").exists()
    assert run_sweep(sweep_of(tmp_path, *whats, at_once=2), program) == 0


def test_a_log_waits_until_the_folder_is_the_runs_own(program, tmp_path):
    """With fresh=true the folder of an earlier run is still there when the new one begins to print."""
    folder = tmp_path / "seed0"
    folder.mkdir()
    (folder / "config.yaml").touch()
    os.utime(folder / "config.yaml", (0, 0))
    assert run_sweep(sweep_of(tmp_path, "anew"), program) == 0
    assert "epoch 1" in (folder / "sweep.log").read_text()
    assert not (tmp_path / "seed0.old1" / "sweep.log").exists()


def test_a_name_that_is_not_utf8_is_in_the_log_too(program, tmp_path):
    root = tmp_path / os.fsdecode(b"caf\xe9")
    assert run_sweep(sweep_of(root, "well", "well"), program) == 0
    assert r"caf\udce9/seed1" in (root / "seed1/sweep.log").read_text()


def test_a_run_that_could_not_begin_leaves_no_log(program, tmp_path, capfd):
    (tmp_path / "program.py").write_text("import sys\nsys.exit('it cannot begin')\n")
    (tmp_path / "seed0").mkdir()
    assert run_sweep(sweep_of(tmp_path, "well"), program) == 1
    assert "exit code 1  it cannot begin\n" in capfd.readouterr().out
    assert not any((tmp_path / "seed0").iterdir())
