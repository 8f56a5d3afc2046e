"""An installed wheel in an empty folder: training, sweeps, a project of the user's own, reports."""

import json
import shlex
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.helpers.environments import Environment, borrow, install, uv
from tests.helpers.paths import ROOT
from tests.helpers.training.slurm_programs import install as install_slurm
from tests.helpers.training.small_runs import SMALL, only_run

ONE_EPOCH = [*SMALL, "recipe.epochs=1", "trainer.accelerator=cpu"]


@pytest.fixture(scope="module")
def borrowed(wheel, tmp_path_factory) -> Environment:
    return borrow(tmp_path_factory.mktemp("borrowed"), wheel)


@pytest.fixture(scope="module")
def trained(borrowed, tmp_path_factory) -> tuple[Path, CompletedProcess[str]]:
    """A folder with a run, which nothing changes, and what the command said."""
    folder = tmp_path_factory.mktemp("trained")
    done = borrowed.run("train", *ONE_EPOCH, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.mark.slow  # trains
def test_a_training_and_its_report(borrowed, trained, tmp_path):
    folder, done = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert "\n  cornet train --help  " in done.stdout
    versions = json.loads((only_run(tmp_path) / "versions.json").read_text())
    assert versions["commit"] is None, "it ran the checkout"
    again = borrowed.call(
        [str(borrowed.folder / "bin/python"), "-m", "cornet", "train", *ONE_EPOCH], tmp_path
    )
    assert "This run was already finished" in again.stdout
    assert "\n  python -m cornet train --help  " in again.stdout
    done = borrowed.run("report", "runs/objects-cornet_s", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "runs/objects-cornet_s/seed0/report.html\n"), done.stderr


@pytest.mark.parametrize(
    "module", [pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.longest)]
)
def test_a_sweep(borrowed, trained, tmp_path, module):
    """Each run that is not there yet is started as the sweep was: by the script, or with -m."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    program = (
        [str(borrowed.folder / "bin/python"), "-m", "cornet"]
        if module
        else [str(borrowed.folder / "bin/cornet")]
    )
    done = borrowed.call([*program, "train", *ONE_EPOCH, "-m", "seed=0,1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs, 1 finished before" in done.stdout
    assert "2 of 2 done, 0 failed" in done.stdout
    assert len(list(tmp_path.glob("runs/**/seed?/finished.json"))) == 2


@pytest.mark.longest
def test_jobs_on_a_cluster(borrowed, tmp_path):
    """The job's process imports the installed package, and gets the configuration of the user's own."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/short.yaml").write_text(
        "# @package _global_\nrecipe: {epochs: 1}\nname: short\n"
    )
    slurm = install_slurm(tmp_path / "cluster")
    asked = ["hydra.launcher.gpus_per_node=0", "hydra.launcher.tasks_per_node=1", "model=cornet_z"]
    small = [one for one in SMALL if not one.startswith("model.")]
    own = ["--config-dir", "mine", "experiment=short", "trainer=slurm", "trainer.accelerator=cpu", *asked]
    command = [
        "env",
        f"PATH={slurm}:{borrowed.folder / 'bin'}:/usr/bin:/bin",
        borrowed.folder / "bin/cornet",
        "train",
    ]
    done = borrowed.call([*map(str, command), *own, *small], tmp_path)
    logs = "".join(log.read_text() for log in tmp_path.glob("runs/.submitit/*/*_log.*"))
    assert done.returncode == 0, done.stderr[-2000:] + logs[-3000:]
    (finished,) = tmp_path.glob("runs/short/**/seed0/finished.json")
    assert json.loads(finished.read_text())["epochs"] == 1
    assert "\n  cornet train --help " in logs


@pytest.mark.longest
@pytest.mark.timeout(3000)  # minutes of one core, of which one compiles the packages to bytecode
def test_from_the_declared_dependencies(tmp_path):
    """A wheel of `uv build`, in an environment of its own; then all commands of a new project's README."""
    done = uv("build", "--wheel", "--offline", "--out-dir", str(tmp_path), str(ROOT))
    if done.returncode:
        done = uv("build", "--wheel", "--out-dir", str(tmp_path), str(ROOT))
    if done.returncode:
        pytest.skip(f"the wheel cannot be built without a network: {done.stderr.strip().splitlines()[0]}")
    (wheel,) = tmp_path.glob("*.whl")
    environment = install(tmp_path / "place", wheel)
    done = environment.run("init", "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    commands = in_blocks((tmp_path / "demo/README.md").read_text())
    assert len(commands) == 8
    for command in commands:
        done = environment.run(*shlex.split(command)[1:], cwd=tmp_path / "demo", timeout=600)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    check_extras(environment, tmp_path / "demo")
    runs = sorted(
        str(path.parent.relative_to(tmp_path / "demo/runs")) for path in tmp_path.rglob("finished.json")
    )
    assert runs == ["brain/seed0", "mine/seed0", "mine/seed0.rerun", "mine/seed1", "wider/seed0"]
    for words in (
        ["score", "--help"],
        ["train", "--help"],
        ["train", "--hydra-help"],
        ["train", "--cfg", "job"],
    ):
        done = environment.run(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(environment.folder)


def check_extras(environment: Environment, folder: Path) -> None:
    """What only an extra brings was not there all the time, and asking for it says what to install."""
    found = uv("pip", "freeze", "--python", str(environment.folder)).stdout
    absent = {"wandb", "tensorboard", "timm", "pot", "litdata", "hydra-submitit-launcher"}
    assert not absent.intersection(line.partition("==")[0].lower() for line in found.splitlines())
    for extra, words in (
        ("wandb", ["train", *ONE_EPOCH, "logger=wandb", "name=wandb"]),
        ("tensorboard", ["train", *ONE_EPOCH, "logger=tensorboard", "name=tensorboard"]),
        ("slurm", ["train", *ONE_EPOCH, "trainer=slurm"]),
        ("timm", ["score", "timm:resnet18", "--on", "simulated.V4", "--layers", "V4=layer2"]),
        ("matching", ["score", "pixels", "--on", "simulated.V4", "--metric", "soft"]),
    ):
        done = environment.run(*words, cwd=folder)
        assert done.returncode == 2, f"{words}\n{done.stdout}\n{done.stderr}"
        assert f"'cornet-ventral[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr


def in_blocks(text: str) -> list[str]:
    """The commands in the blocks of shell code of a Markdown file."""
    blocks = [part.partition("```")[0] for part in text.split("```sh\n")[1:]]
    return [line for block in blocks for line in block.splitlines()]
