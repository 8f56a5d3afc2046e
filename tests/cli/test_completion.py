"""Completion in a shell: what is offered, in a real bash, without PyTorch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cornet
from cornet import brain
from cornet.brain.benchmark_names import BENCHMARKS, GROUPS
from cornet.brain.data.convert.base import converters
from cornet.cli.shell.completion import decorated, run_folders
from cornet.cli.shell.override_words import override_words
from tests.helpers.paths import CONF, ROOT
from tests.helpers.report.made_up_seeds import seed_run

PROGRAM = (
    f"#!{sys.executable}\nimport sys\nsys.path[0] = {str(ROOT)!r}\nfrom cornet.cli import main\nmain()\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the program `cornet`, two seeds of a run, and one run of another name."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cornet").write_text(PROGRAM)
    (tmp_path / "bin/cornet").chmod(0o755)
    for name in ("mine/seed0", "mine/seed1", "other/variant/seed0"):
        seed_run(tmp_path / "runs" / name, int(name[-1]))
    (tmp_path / "runs/empty").mkdir()
    return tmp_path


def pressed(place: Path, *lines: str) -> list[list[str]]:
    """Press TAB after each line in one bash; "|" separates the words as bash does."""
    script = 'eval "$(cornet --show-completion bash)"\n'
    for line in lines:
        words = line.split("|")
        quoted = " ".join(f"'{word}'" for word in words)
        script += f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _cornet_completion cornet\n"
        script += "IFS='|'; echo \"${COMPREPLY[*]}\"; unset IFS\n"
    environment = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place, check=True)
    assert done.stderr == ""
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_real_bash(place):
    found = pressed(place, "cornet|score|cornet_r", "cornet|train|model|=|cornet_s")
    assert found == [["cornet_r", "cornet_rt"], ["cornet_s", "cornet_s_narrow"]]


@pytest.mark.slow  # starts Python for each line
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_more_lines_in_a_real_bash(place):
    found = pressed(
        place,
        "cornet|sc",
        "cornet|score|x|--on|simulated|maj",
        "cornet|card|runs/m",
        "cornet|report|runs/o",
        "cornet|fetch|k",
        "cornet|score|--dev",
        "cornet|score|x|--device|c",
        "cornet|score|x|--metric|pls,ck",
        "cornet|train|--conf",
        "cornet|train|recipe.neste",
    )
    assert found == [
        ["score"],
        ["majajhong2015", "majajhong2015.V4", "majajhong2015.IT"],
        ["runs/mine", "runs/mine/seed0", "runs/mine/seed1"],
        ["runs/other/variant", "runs/other/variant/seed0"],
        ["kar2019"],
        ["--device"],
        ["cpu", "cuda"],
        ["pls,cka"],
        ["--config-dir"],
        ["recipe.nesterov=true", "recipe.nesterov=false"],
    ]


def test_a_key_press_loads_no_pytorch(place):
    """Nor anything else that takes long: a key press must not take half a second."""
    heavy = ("torch", "numpy", "pandas", "hydra", "omegaconf", "matplotlib", "rich.console")
    script = (
        "import os, sys\nos.environ |= {'_CORNET_COMPLETE': 'complete_bash', 'COMP_WORDS': 'cornet score ', "
        "'COMP_CWORD': '2'}\nsys.argv = ['cornet']\nfrom cornet.cli import main\ntry:\n    main()\nexcept SystemExit:\n"
        f"    pass\nprint('loaded:', *(name for name in {heavy} if name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=place
    )
    *words, last = done.stdout.splitlines()
    assert last.split() == ["loaded:"], done.stderr
    assert set(words) > {*cornet.list_models(), "gabor", "pixels", "runs/mine", "runs/mine/seed0"}


def test_names_are_those_of_the_benchmarks_metrics_and_converters():
    assert set(BENCHMARKS) == {one.name for one in brain.list_benchmarks()}
    assert {name for names in GROUPS.values() for name in names} <= set(BENCHMARKS)
    assert decorated("brain/metrics/neural", "register") == sorted(brain.list_metrics())
    assert decorated("brain/data/convert", "converter") == sorted(converters())


def test_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    every = [
        "runs/mine",
        "runs/mine/seed0",
        "runs/mine/seed1",
        "runs/other/variant",
        "runs/other/variant/seed0",
    ]
    assert list(dict.fromkeys(run_folders(""))) == every
    assert list(dict.fromkeys(run_folders(f"{place}/runs/mine/s"))) == [
        f"{place}/runs/mine/seed{k}" for k in (0, 1)
    ]
    monkeypatch.chdir(place / "bin")
    assert list(run_folders("")) == []


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "mod", ["model=", "model."]),
        ([], "model=cornet_r", ["model=cornet_r", "model=cornet_rt"]),
        (["model", "="], "hm", ["hmax"]),
        (
            ["model"],
            "",
            ["b", "bl", "blt", "cornet_r", "cornet_rt", "cornet_s", "cornet_s_narrow", "cornet_z"],
        ),
        ([], "brain=[simulated,pu", ["brain=[simulated,public"]),
        ([], "+losses=weight", ["+losses=weight_penalty"]),
        ([], "recipe.tf", ["recipe.tf32=true", "recipe.tf32=false"]),
        (["seed=1", "recipe.schedule", "="], "div", ["divide"]),
        ([], "brain.end=f", ["brain.end=false"]),
        ([], "experiment=sweeps/fig", ["experiment=sweeps/figure4"]),
        ([], "nothing.x", []),
    ],
)
def test_overrides(words, incomplete, expected):
    found = override_words([CONF], words, incomplete)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_every_override_that_is_offered_has_a_key_of_the_configuration():
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(CONF), version_base="1.3"):
        recipe = compose("config").recipe
    offered = {word.removeprefix("recipe.").rstrip("=.") for word in override_words([CONF], [], "recipe.")}
    assert set(recipe) - {"_target_"} <= offered


def test_configuration_files_of_the_users_own(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine_first.yaml").write_text("# @package _global_\n")
    (tmp_path / "experiment/damaged.yaml").write_text("{")
    assert override_words([CONF, tmp_path], [], "experiment=mine") == ["experiment=mine_first"]
    assert override_words([CONF, tmp_path / "missing"], [], "experiment=mine") == []
