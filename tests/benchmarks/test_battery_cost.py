"""benchmarks/battery_cost.py on few stimuli: the made-up files open under the public names, and every part is told."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cornet.brain.benchmarks import open_benchmarks
from tests.helpers.paths import BENCHMARKS


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))  # the program sets it; this puts it back
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("battery_cost")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("made_up_public")


def run(program: ModuleType, folder: Path, *arguments: str) -> dict:
    small = ["--device", "cpu", "--width", "0.125", "--size", "32", "--fraction", "0.01", "--rounds", "2"]
    program.main([*small, "--folder", str(folder), "--out", str(folder / "cost.json"), *arguments])
    return json.loads((folder / "cost.json").read_text())


@pytest.mark.slow
def test_an_evaluation_by_part(program, tmp_path, capsys):
    found = run(
        program, tmp_path, "--benchmarks", "majajhong2015", "rajalingham2018-i2n", "--epoch-seconds", "50"
    )
    (figures,) = found["runs"].values()
    later, names = figures["later"], ["majajhong2015.V4", "majajhong2015.IT", "rajalingham2018-i2n"]
    assert list(later["comparison"]) == list(later["raw"]) == list(later["ceiling"]) == names
    assert later["stimuli"] == {"hvm-public": 60, "objectome_public": 60}  # both regions share a recording
    assert (
        later["recording"].keys() == figures["images_per_second"].keys() == figures["pictures_alone"].keys()
    )
    assert all(np.isfinite(value) for value in (*later["raw"].values(), *later["ceiling"].values()))
    assert 0.2 < later["ceiling"]["majajhong2015.IT"] < 1
    parts = sum(later["recording"].values()) + sum(later["comparison"].values())
    assert min(later["each_s"]) <= later["seconds"] <= max(later["each_s"])
    assert 0.3 * later["seconds"] < parts < 1.5 * later["seconds"]
    assert figures["first"]["seconds"] > figures["first"]["evaluation"]
    assert figures["sites"]["majajhong2015.IT"] == ["IT[0]"]
    assert figures["fraction"] == 0.01
    assert "of an epoch of 50 s" in figures["epoch"]
    assert "with 0.01 of the stimuli, so this is not what the battery takes" in capsys.readouterr().out
    assert not list(tmp_path.glob("cornet-battery-*"))
    again = run(
        program, tmp_path, "--benchmarks", "rajalingham2018-i2n"
    )  # beside the first, not in its place
    assert len(again["runs"]) == 2


def test_the_weights_are_others_at_every_evaluation(program, tmp_path):
    import torch

    from cornet import create_model

    net = create_model("cornet_s", num_classes=10, width=0.125)
    before = [weight.detach().clone() for weight in net.parameters()]
    program.moved(net)
    change = [
        float((a - b.detach()).abs().max())
        for a, b in zip(before, net.parameters(), strict=True)
        if a.abs().any()
    ]
    assert min(change) > 0
    assert all(torch.isfinite(weight).all() for weight in net.parameters())


def test_without_a_length_the_epoch_is_not_guessed(program):
    assert program.share_of_epoch(12.0, 600.0) == "12.0 s are 2.0 % of an epoch of 600 s"
    told = program.share_of_epoch(12.0, None)
    assert "where that takes at least 300 s" in told
    assert "at most 4,271 images/s" in told


def test_published_sizes(data):
    count = 3200
    assert data._share(count, 1.0) == count
    assert count // 5 * 28 + (count - count // 5) * 51 == 148_480
    pool = data.render(data.draw_latents(4, seed=0), 256, antialias=1)
    many = np.tile(pool, (data.POOL // 4, 1, 1))  # alike in the pool: told apart by their shift alone
    pictures = {data._shifted(many, 256 * turn, 3).tobytes() for turn in range(13)}
    assert len(pictures) == 13


@pytest.mark.slow
def test_all_sets_open_under_their_public_names(data, tmp_path):
    made = data.make_public(tmp_path / "cache", fraction=0.01)
    assert made == dict.fromkeys(data.SETS, 60)
    shapes = {"V1": 102, "V2": 103, "V4": 88, "IT": 168}
    for one in open_benchmarks(["public"]):
        assert len(one.stimuli) == 60
        assert one.stimuli.pictures[0].shape == ((320, 320, 3) if one.degrees == 4 else (256, 256, 3))
        if one.region in shapes:
            assert one.responses.mean.shape == (60, shapes[one.region])
            assert 0.2 < one.ceiling.raw < 1
            assert len(one.splits) == 10
    assert len(one.data.labels) == 60
    assert len(set(one.data.labels)) == 10
