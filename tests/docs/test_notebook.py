"""docs/notebook/demo.ipynb, run from top to bottom with few images."""

import os

import pytest

from tests.helpers.paths import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient is in the group dev; run uv sync")

NOTEBOOK = ROOT / "docs" / "notebook" / "demo.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_outputs_are_not_in_git(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.slow  # trains
@pytest.mark.filterwarnings("ignore")  # those of Jupyter
def test_it_runs(notebook, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the group dev; run uv sync")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (sizes,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert sizes.source.startswith("IMAGES, EPOCHS = 1280, 3")
    sizes.source = "IMAGES, EPOCHS = 128, 1"
    nbclient.NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    texts = [
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    everything = "\n".join(texts)
    assert "V4: 4 steps, 90 to 290 ms" in everything
    assert "V4 (4, 2, 64, 4, 4)" in everything
    assert "simulated.IT" in everything
    assert (tmp_path / "look" / "look.png").is_file()
    assert list(tmp_path.glob("runs/notebook/**/report.html"))
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[-2].outputs)
