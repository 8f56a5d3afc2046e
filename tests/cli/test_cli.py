"""The `cornet` command."""

import importlib.metadata
import json
import platform
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import cornet
from cornet.cli import app, main


def run(*arguments, columns=80):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "TERM": "dumb"})


@pytest.mark.parametrize("columns", [80, 120])
def test_table_of_models(columns):
    result = run("models", columns=columns)
    assert result.exit_code == 0
    for text in (
        "53,416,616",
        "5,208,936",
        "2,071,656",
        "16.432 G",
        "3.154 G",
        "0.812 G",
        "1/2/4/2",
        "73.1%",
    ):
        assert text in result.output
    for name in cornet.list_models():
        assert name in result.output
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any(mark in result.output for mark in ("…", "..."))
    assert "squashed to 224 x 224" in result.output


def test_table_of_other_networks():
    result = run("models", "--size", "64", "--width", "0.25", "--classes", "10")
    assert "images of 64 x 64" in " ".join(result.output.split()) or "per image of 64 x 64" in result.output
    assert "73.1%" not in result.output


def test_json():
    rows = json.loads(run("models", "--json").output)
    assert [row["name"] for row in rows] == cornet.list_models()
    s = next(row for row in rows if row["name"] == "cornet_s")
    assert s["parameters"] == 53_416_616
    assert s["steps"] == {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
    assert s["top1"] == 0.731
    others = json.loads(run("models", "--json", "--classes", "10").output)
    assert [row["top1"] for row in others] == [None] * len(rows)


def test_version_and_help():
    python, torch = platform.python_version(), importlib.metadata.version("torch")
    assert run("--version").output == f"cornet {cornet.__version__} (PyTorch {torch}, Python {python})\n"
    text = run("models", "--help").output
    assert "cornet models --size 64 --width 0.25 --classes 10" in text
    assert "models" in run("--help").output
    assert run("nothing").exit_code == 2


@pytest.mark.parametrize(("option", "value"), [("--width", "0"), ("--classes", "-1"), ("--size", "0")])
def test_a_mistake_is_one_line_and_status_2(option, value, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cornet", "models", option, value])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cornet: ")
    assert captured.err.count("\n") == 1


def test_python_dash_m():
    command = [sys.executable, "-m", "cornet", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cornet {cornet.__version__} (PyTorch ")


def test_import_is_quick():
    """import cornet and cornet --version load no PyTorch."""
    script = "import sys, cornet, cornet.cli; cornet.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
