"""`cornet export --to safetensors`: a run comes back as it was, and scores as it did."""

import pytest
import torch

from cornet import CornetError, from_pretrained, load_run
from cornet.brain.benchmarks import open_benchmarks, run_battery
from cornet.brain.subjects import open_subject
from cornet.export.formats import find_format
from cornet.export.source import open_sources
from cornet.export.write import write_export
from cornet.models.weight_files.reading import read_safetensors
from tests.helpers.brain import rdm_bundle
from tests.helpers.export import finished_runs


@pytest.fixture
def run(tmp_path):
    """A finished run; its best checkpoint is of the network that `load_run` opens."""
    finished_runs.write(tmp_path / "run", scores=[{}])
    return tmp_path / "run"


@pytest.fixture
def export(cornet):
    """Calls `cornet export --to safetensors`, which must succeed; returns its output."""

    def call(*words):
        code, out, err = cornet("export", *map(str, words), "--to", "safetensors")
        assert code == 0, err
        return out

    return call


def test_the_command_writes_three_files(run, tmp_path, export):
    out = export(run, "--out", tmp_path / "x")
    assert out.splitlines()[-1] == f"Written to {tmp_path / 'x'}"
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_a_run_comes_back_bit_for_bit(run, tmp_path, export):
    export(run, "--out", tmp_path / "x")
    expected, found = load_run(run).model().state_dict(), from_pretrained(tmp_path / "x").state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    settings = from_pretrained(tmp_path / "x").image_settings
    subject = open_subject(str(run))
    assert (settings.size, settings.mean, settings.std) == (subject.size, subject.mean, subject.std)
    assert len(settings.classes) == 8


def test_each_checkpoint_is_another_export(run, tmp_path, export):
    export(f"{run}?last", "--out", tmp_path / "last")
    export(run / "checkpoints" / "best.ckpt", "--out", tmp_path / "best")
    last, best = (read_safetensors(tmp_path / name / "model.safetensors") for name in ("last", "best"))
    assert torch.equal(last["decoder.bias"], best["decoder.bias"] + 1)
    assert "after 60 optimiser steps" in (tmp_path / "last" / "README.md").read_text()
    assert "after 40 optimiser steps" in (tmp_path / "best" / "README.md").read_text()


def test_the_network_of_a_task_with_heads_of_its_own(tmp_path, export):
    finished_runs.write(tmp_path / "run", decoder=False)
    export(tmp_path / "run", "--out", tmp_path / "x")
    again = from_pretrained(tmp_path / "x")
    assert isinstance(again.decoder, torch.nn.Identity)
    assert "pipeline_tag" not in finished_runs.header_of(tmp_path / "x")
    assert finished_runs.config_of(tmp_path / "x")["decoder"] is False


def test_a_folder_scores_as_the_run_does(run, tmp_path, export, monkeypatch):
    """With caches of their own, so that nothing is looked up; also by the hash that caches use."""
    export(run, "--out", tmp_path / "x")
    rdm_bundle.write(
        tmp_path / "rdms", V4=rdm_bundle.dissimilarities(3), IT=rdm_bundle.dissimilarities(3, seed=1)
    )
    scores = {}
    for name in ("run", "x"):
        monkeypatch.setenv("CORNET_CACHE", str(tmp_path / f"cache-{name}"))
        subject = open_subject(str(tmp_path / name))
        results = run_battery([subject], open_benchmarks([str(tmp_path / "rdms")]))
        scores[name] = [(one.benchmark.name, one.score.value, one.score.raw) for one in results]
        identity = subject.identity
    assert scores["run"] == scores["x"]
    assert len(scores["x"]) == 2
    assert open_subject(str(run)).identity == identity


def test_the_visual_angle_is_that_of_the_folder(tmp_path):
    from cornet import create_model, save_pretrained

    net = create_model("cornet_z", width=0.02, num_classes=3)
    folder = save_pretrained(net, tmp_path / "x", size=32, degrees=5, mean=(0.1, 0.2, 0.3))
    subject = open_subject(str(folder))
    assert (subject.degrees, subject.size, subject.mean) == (5, 32, (0.1, 0.2, 0.3))
    assert open_subject(f"{folder}?degrees=7&size=64").degrees == 7
    assert open_subject(f"{folder}?size=64").size == 64
    untrained = open_subject(f"{folder}?untrained&seed=4")
    assert untrained.identity == open_subject(str(folder), untrained=True, seed=4).identity
    assert untrained.identity != subject.identity
    with pytest.raises(CornetError, match="takes no option 'best'"):
        open_subject(f"{folder}?best")


def test_a_folder_can_be_exported_again(run, tmp_path, export):
    export(run, "--out", tmp_path / "x")
    export(tmp_path / "x", "--out", tmp_path / "again")
    first, second = (finished_runs.config_of(tmp_path / name) for name in ("x", "again"))
    assert first == second
    assert "Read from a folder that was exported before" in (tmp_path / "again" / "README.md").read_text()
    assert finished_runs.header_of(tmp_path / "again")["license"] == "unknown"


def test_options_of_one_format_are_refused_for_others(run, tmp_path):
    plain = find_format("safetensors")
    other = type(plain)("onnx", "", False, plain.write)
    with pytest.raises(CornetError, match="--to onnx has no option --licence; leave it out"):
        write_export(other, open_sources([str(run)]), tmp_path / "x", "x", {"licence": "mit"})
    assert not (tmp_path / "x").exists()


def test_refused_in_one_sentence(run, tmp_path, cornet):
    for words, message in (
        ((run, "--private"), "--private needs --push"),
        ((run, "--licence", "MY OWN"), "--licence MY OWN must be an identifier"),
        ((run, f"{run}?last"), "takes one network, not 2"),
        (("pixels",), "is not a network with a name"),
        ((run, "--push", "me"), "--push me must be USER/NAME"),
    ):
        code, _, err = cornet("export", *map(str, words), "--to", "safetensors", "--out", str(tmp_path / "x"))
        assert code == 2
        assert message in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "x").exists()
