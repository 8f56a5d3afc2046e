"""train.py -m seed=0,1: which runs belong together, and what is shown when the sweep ends."""

from pathlib import Path

import pytest

from cornet.training.sweeps.sweep import Job, Sweep, find_sweep, start_message
from tests.helpers.paths import CONF

pytestmark = pytest.mark.usefixtures("elsewhere")


def folders(*overrides: str) -> list[list[str]]:
    sweep = find_sweep(overrides, CONF)
    return [[str(run) for run in runs] for runs in sweep.seeds] if sweep else []


def test_the_runs_of_a_sweep():
    assert folders("-m", "seed=0,1,2") == [[f"runs/objects-cornet_s/default/seed{k}" for k in range(3)]]
    assert folders("-m", "seed=range(3,5)", "model.width=0.5,0.25", "root=there", "logger=csv") == [
        [f"there/objects-cornet_s/model.width-{width}/seed{k}" for k in (3, 4)] for width in (0.5, 0.25)
    ]
    assert folders("--multirun", "experiment=tiny_z", "seed=1,0") == [
        ["runs/tiny_z/default/seed1", "runs/tiny_z/default/seed0"]
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=1"],
        ["-m", "model.width=0.5,0.25"],
        ["-m", "seed=0,1", "plan=true"],
        ["-m", "seed=4"],
        ["--help"],
    ],
)
def test_what_is_no_sweep_over_seeds(overrides: list[str]):
    assert folders(*overrides) == []


def test_for_submitted_runs_the_command_is_told():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    sweep = find_sweep(["trainer=slurm", "seed=0,1"], CONF)
    assert sweep is not None
    assert sweep.place == "elsewhere"
    told = start_message(sweep)
    assert told.startswith("sweep: 2 runs\n")
    assert "`cornet report runs/objects-cornet_s/default` shows the seeds together" in told
    jobs = [
        Job((f"x={k}", f"seed={s}"), "", Path(f"runs/{k}/seed{s}"), k == 0) for k in range(6) for s in (0, 1)
    ]
    told = start_message(Sweep(jobs, place="elsewhere"))
    assert "runs/3` (and 2 more)" in told
    assert told.startswith("sweep: 12 runs, 2 finished before\n")


@pytest.mark.slow  # trains twice
def test_a_sweep_ends_with_its_seeds_together(train, tmp_path):
    """With a seed that had been finished before, and with one that fails."""
    small = ("recipe.epochs=1", "name=try")
    code, out, err = train(*small, "seed=4")
    assert code == 0, err
    assert "interval" not in out
    (home,) = tmp_path.glob("runs/try/*")
    (home / "seed5").mkdir()
    (home / "seed5" / "mine.txt").touch()
    code, out, err = train("hydra.mode=MULTIRUN", *small, "seed=4,5")
    assert (code, "mine.txt" in err) == (1, True), err
    assert "cornet_s on objects, 1 seed" in out
    assert "Left out: seed5: it is not finished." in out
    (home / "seed5" / "mine.txt").unlink()
    code, out, err = train("hydra.mode=MULTIRUN", *small, "seed=4,5")
    assert code == 0, err
    assert "cornet_s on objects, 2 seeds" in out
    assert "seed 4  seed 5" in out
    page = (home / "report.html").read_text()
    assert all(f'href="seed{k}/report.html"' in page for k in (4, 5))
    assert all((home / f"seed{k}" / "report.html").is_file() for k in (4, 5))
