"""train.py -m seed=0,1: which runs belong together, and what is shown when the sweep ends."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins

from cornet.training.sweeps.jobs import seed_groups
from tests.helpers.training.swept import swept

pytestmark = pytest.mark.usefixtures("elsewhere")


def folders(*overrides: str) -> list[list[str]]:
    return [[str(run) for run in runs] for runs in seed_groups(swept(*overrides).jobs)]


@pytest.mark.slow  # composes many configurations
def test_the_runs_of_a_sweep():
    assert folders("-m", "seed=0,1,2") == [[f"runs/objects-cornet_s/default/seed{k}" for k in range(3)]]
    assert folders("-m", "seed=range(3,5)", "model.width=0.5,0.25", "root=there", "logger=csv") == [
        [f"there/objects-cornet_s/model.width-{width}/seed{k}" for k in (3, 4)] for width in (0.5, 0.25)
    ]
    assert folders("--multirun", "experiment=tiny_z", "seed=1,0") == [
        ["runs/tiny_z/default/seed1", "runs/tiny_z/default/seed0"]
    ]


@pytest.mark.parametrize("overrides", [["-m", "model.width=0.5,0.25"], ["-m", "seed=4"]])
def test_what_is_no_sweep_over_seeds(overrides: list[str]):
    assert folders(*overrides) == []


@pytest.mark.slow  # composes many configurations
def test_submitted_runs_are_checked_and_the_command_that_shows_them_is_printed(train, monkeypatch, tmp_path):
    Plugins.instance()  # its search would load the launcher once more, without the change below
    submitit = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
    submitted: list[Sequence[str]] = []

    def launch(self: Any, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        submitted.extend(job_overrides)
        return []

    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("srun", "sbatch"):
        (programs / name).touch(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(submitit.SlurmLauncher, "launch", launch)
    code, out, err = train("trainer=slurm", "seed=0,1", small=False)
    assert (code, err) == (0, "")
    assert out.startswith("sweep: 2 runs\n")
    assert "`cornet report runs/objects-cornet_s/default` shows the seeds together" in out
    assert [given[1] for given in submitted] == ["seed=0", "seed=1"]
    code, out, err = train("trainer=slurm", "model.times.V4=1,2,3,4,5", "seed=0,1", small=False)
    assert "model.times.v4-4+" in out.split("(and 1 more)")[0]
    assert out.startswith("sweep: 10 runs\n")
    code, out, err = train("trainer=slurm", "model.times.V4=2,0", small=False)
    assert code == 2
    assert err.startswith("times.V4=0: times.V4=0 must be a whole number")
    assert len(submitted) == 12
    assert not Path(tmp_path, "runs").exists()


@pytest.mark.slow  # trains twice
def test_a_sweep_ends_with_its_seeds_together(train, tmp_path):
    """With a seed that had been finished before, and with one that fails."""
    small = ("recipe.epochs=1", "name=try")
    code, out, err = train(*small, "seed=4")
    assert code == 0, err
    assert "interval" not in out
    home = tmp_path / "runs/try"
    (home / "seed5").mkdir()
    (home / "seed5" / "mine.txt").touch()
    code, out, err = train(*small, "-m", "seed=4,5")
    assert (code, "mine.txt" in err) == (1, True), err
    assert "cornet_s on objects, 1 seed" in out
    assert "Left out: seed5: it is not finished." in out
    (home / "seed5" / "mine.txt").unlink()
    code, out, err = train(*small, "--multirun", "seed=4,5")
    assert code == 0, err
    assert "cornet_s on objects, 2 seeds" in out
    assert "seed 4  seed 5" in out
    page = (home / "report.html").read_text()
    assert all(f'href="seed{k}/report.html"' in page for k in (4, 5))
    assert all((home / f"seed{k}" / "report.html").is_file() for k in (4, 5))
