"""benchmarks/gpu.py on the CPU, with tiny sizes: every part runs, results are kept, failures stop nothing."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

PROGRAM = ROOT / "benchmarks" / "gpu.py"

QUICK = ("kernels", "cuda_graphs")
ALL = (
    *(
        "start_up",
        "make_battery",
        "battery",
        "equivalence",
        "deterministic",
        "memory_budget",
        "training",
        "pls",
    ),
    *("solution_times", *QUICK),
)


def run(tmp_path, *arguments, small=True):
    command = [sys.executable, PROGRAM, "--out", tmp_path / "out", "--work", tmp_path / "work", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *(["--small"] if small else [])], capture_output=True, text=True, env=environment
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "parts", [pytest.param(QUICK, marks=pytest.mark.slow), pytest.param(ALL, marks=pytest.mark.longest)]
)
def test_every_part_runs(tmp_path, parts):
    """Each in a process of its own."""
    done = run(tmp_path, "--only", *parts, "--minutes", "14")
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout, done.stdout
    assert "skipped: CUDA graphs need a GPU" in done.stdout
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert found.keys() == {*parts}
    assert [name for name, result in found.items() if "rows" not in result] == ["cuda_graphs"]
    values = {row["what"]: row["value"] for result in found.values() for row in result.get("rows", ())}
    assert all(value >= 0 for value in values.values())
    assert values.get("strict fp32: distance of gradients, over their norm", 0) < 0.01
    assert values.get("deterministic=true: five losses the same in two trainings", 1) == 1
    assert "Tiny sizes" in (tmp_path / "out" / "gpu.md").read_text()
    assert "convolution" in (tmp_path / "out" / "kernels.txt").read_text()
    again = run(tmp_path, "--only", *parts)  # nothing is left to measure
    assert again.returncode == 0
    assert "left)" not in again.stdout


@pytest.mark.timeout(300)
@pytest.mark.longest  # a minute
def test_a_part_that_fails_stops_no_other_and_is_tried_again(tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    done = run(tmp_path, "--photographs", broken, "--only", "start_up", "cuda_graphs")
    assert done.returncode == 0
    assert "failed: zipfile.BadZipFile" in done.stdout
    assert "skipped: CUDA graphs need a GPU" in done.stdout
    again = run(tmp_path, "--photographs", broken, "--only", "start_up", "cuda_graphs", "--minutes", "0.15")
    assert "1/1 start_up" in again.stdout
    assert not list((tmp_path / "work").glob("photographs"))


@pytest.mark.slow
def test_without_a_gpu_it_says_what_to_do(tmp_path):
    done = run(tmp_path, "--device", "cpu", small=False)
    assert done.returncode == 1
    assert "give --small" in done.stderr
