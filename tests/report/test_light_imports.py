"""Reports are drawn from tables alone: their commands load no library for training."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.report.made_up_runs import BENCHMARKS, make_run, metrics, scores
from tests.helpers.report.made_up_seeds import seed_run

HEAVY = ("torch", "torchvision", "pytorch_lightning", "lightning", "sklearn", "torchmetrics", "wandb")

REPORT = f"""
import sys
from cornet.cli import app
app(["report", sys.argv[1]], standalone_mode=False)
print("loaded:", *(name for name in {HEAVY} if name in sys.modules))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", scores=scores((0, 1), BENCHMARKS[:1]), metrics=metrics(1))


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    for seed in (0, 1):
        folder = seed_run(tmp_path / "seeds" / f"seed{seed}", seed)
        (folder / "report.html").write_text("its own")
    return tmp_path / "seeds"


@pytest.mark.slow  # starts Python
@pytest.mark.parametrize("kind", ["run", "seeds"])
def test_a_report_loads_no_library_for_training(kind: str, request: pytest.FixtureRequest):
    folder = request.getfixturevalue(kind)
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]
    assert (folder / "report.html").is_file()
