"""A disk that is full: what was there stays whole, one sentence says so, and with room the same command goes on."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cornet.cli import main
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.faults.full_disk import disk_of, fill
from tests.helpers.faults.run_results import alike, finished, refused, run_of
from tests.helpers.faults.starter import until
from tests.helpers.training.small_runs import SMALL, checkpoint

OURS = [*SMALL, "data.train_images=256", "recipe.epochs=3", "trainer.log_every_n_steps=1"]


@pytest.mark.slow
def test_a_disk_that_fills_up_in_mid_run(starter):
    ours = [*OURS, "callbacks.last_checkpoint.minutes=0.001"]
    with disk_of(starter.folder / "full", "64m") as root:
        run = starter.start(*ours, f"root={root}")
        until(lambda: any(root.glob("**/seed*/checkpoints/previous.ckpt")))
        ballast = fill(root)
        said = refused(starter, run)
        assert "make room and run again" in said or "mend that, and repeat the command" in said
        assert checkpoint(run_of(root))["global_step"] > 0  # whole
        ballast.unlink()
        whole = finished(starter, *ours, root=starter.folder / "full-whole")
        alike(whole, finished(starter, *ours, root=root))


@pytest.mark.longest
def test_every_file_of_a_run_meets_a_full_disk(starter):
    """With a little more room at every start: whatever is written comes upon the end of the disk once."""
    bundle = write(starter.folder / "mine", assembly(("V4",) * 4 + ("IT",) * 4))
    ours = [
        *OURS,
        *("brain=local", f"brain.benchmarks.local=[{bundle}]", "brain.metric=ridge", "brain.fractions=[0.5]"),
        *("recipe.average=0.9", "callbacks.last_checkpoint.minutes=0.001"),
    ]
    whole = finished(starter, *ours, root=starter.folder / "sweep-whole")
    refusals = set()
    with disk_of(starter.folder / "sweep", "64m") as root:
        ballast = fill(root)
        for count in range(60):
            run = starter.start(*ours, f"root={root}")
            if starter.wait() == 0:
                break
            starter_said = run.said.read_text()
            assert "Traceback" not in starter_said, starter_said
            refusals.add(starter_said.strip().splitlines()[-1])
            room = 4096 * (1 + count) if count < 8 else 1 << 20
            os.truncate(ballast, max(0, ballast.stat().st_size - room))
        ballast.unlink()
        alike(whole, finished(starter, *ours, root=root))
    assert len(refusals) > 3, refusals


@pytest.mark.slow
def test_a_report_that_finds_no_room_is_made_by_the_same_command(starter):
    with disk_of(starter.folder / "report", "64m") as root:
        ours = [*OURS, f"root={root}"]
        run = starter.start(*ours)
        assert starter.wait() == 0, run.said.read_text()
        page = run_of(root) / "curves.png"
        page.unlink()
        ballast = fill(root)
        assert "make room" in refused(starter, starter.start(*ours))
        assert not page.exists()
        ballast.unlink()
        third = starter.start(*ours)
        assert starter.wait() == 0, third.said.read_text()
        assert page.stat().st_size > 0


@pytest.mark.parametrize("kind", ["copy", "shards"])
def test_a_copy_and_shards_that_find_no_room_are_gone_on_with(tmp_path, kind, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            folder = tmp_path / "originals" / split / name
            folder.mkdir(parents=True)
            for k in range(20):
                Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
                    folder / f"{k}.jpg", quality=95
                )
    more = ["--shards", "--images-per-shard", "8"] if kind == "shards" else ["--short-side", "48"]

    def prepare(goal: Path) -> tuple[int, str]:
        command = [
            "cornet",
            "prepare",
            "mine",
            str(tmp_path / "originals"),
            str(goal),
            *more,
            "--workers",
            "1",
        ]
        monkeypatch.setattr(sys, "argv", command)
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    assert prepare(tmp_path / "whole")[0] == 0
    with disk_of(tmp_path / "small", "2m") as disk:
        goal = disk / "copy"
        for left in (0, 4096, 8192, 20_000, 60_000):
            ballast = fill(disk, left)
            code, said = prepare(goal)
            assert code == 2, said
            assert re.search("the disk is full|No space left|disk full", said), said
            ballast.unlink()
        assert prepare(goal)[0] == 0
        for path in (tmp_path / "whole").rglob("*.jpg" if kind == "copy" else "*.bin"):
            assert (goal / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
