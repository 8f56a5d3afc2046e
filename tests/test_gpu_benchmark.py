"""benchmarks/gpu.py on the CPU, with tiny sizes: every part runs, results are kept, failures stop nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks" / "gpu.py"

pytestmark = pytest.mark.slow  # each part is a process of its own


def run(tmp_path, *arguments, small=True):
    command = [sys.executable, PROGRAM, "--out", tmp_path / "out", "--work", tmp_path / "work", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *(["--small"] if small else [])], capture_output=True, text=True, env=environment
    )


@pytest.mark.timeout(900)
def test_every_part_runs(tmp_path):
    done = run(tmp_path, "--minutes", "14")
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout, done.stdout
    assert "skipped: CUDA graphs need a GPU" in done.stdout
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert [name for name, result in found.items() if "rows" not in result] == ["cuda_graphs"]
    values = {row["what"]: row["value"] for result in found.values() for row in result.get("rows", ())}
    assert all(value >= 0 for value in values.values())
    assert values["strict fp32: distance of gradients, over their norm"] < 0.01
    assert values["deterministic=true: five losses the same in two trainings"] == 1
    assert "Tiny sizes" in (tmp_path / "out" / "gpu.md").read_text()
    assert "convolution" in (tmp_path / "out" / "kernels.txt").read_text()
    again = run(tmp_path)  # nothing is left to measure
    assert again.returncode == 0
    assert "left)" not in again.stdout


@pytest.mark.timeout(300)
def test_a_part_that_fails_stops_no_other_and_is_tried_again(tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    done = run(tmp_path, "--photographs", broken, "--only", "start_up", "pls")
    assert done.returncode == 0
    assert "failed: zipfile.BadZipFile" in done.stdout
    assert "V4 and IT by PLS" in done.stdout
    again = run(tmp_path, "--photographs", broken, "--only", "start_up", "pls", "--minutes", "0.3")
    assert "1/1 start_up" in again.stdout
    assert not list((tmp_path / "work").glob("photographs"))


def test_without_a_gpu_it_says_what_to_do(tmp_path):
    done = run(tmp_path, "--device", "cpu", small=False)
    assert done.returncode == 1
    assert "give --small" in done.stderr
