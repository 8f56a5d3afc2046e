"""What benchmarks/record.py writes of a command line."""

import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("/home/me/runs", "runs"),
        ("~/runs/x", "x"),
        ("data.folder=/home/me/tiny", "data.folder=tiny"),
        ("/data/cowley2023-V4:V4", "cowley2023-V4:V4"),
        ("--sessions=/a/b,/c/d", "--sessions=b,d"),
        ("runs/x", "runs/x"),
        ("experiment=[audio,sweeps/audio_branch]", "experiment=[audio,sweeps/audio_branch]"),
        ("--seeds", "--seeds"),
    ],
)
def test_folders_of_a_machine_are_left_out(argument, written, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from record import without_places

    assert without_places(argument) == written
    sys.modules.pop("record")
