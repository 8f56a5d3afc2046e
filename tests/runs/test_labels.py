"""What a run is called beside others."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cornet.runs.labels import label_loggers, run_labels

NAME = "objects-cornet_s"
FOLDER = Path("runs/objects-cornet_s/model.width-0.5/seed1")


@pytest.mark.parametrize(
    ("overrides", "tags"),
    [
        ([], []),
        (["seed=1", "logger=wandb", "trainer.devices=2", "name=mine"], []),
        (["model=cornet_rt", "model.width=0.5"], ["model=cornet_rt", "width=0.5"]),
        (
            ["+model.times.V4=8", "~callbacks.progress", "recipe.epochs=2", "recipe.epochs=3"],
            ["times.V4=8", "epochs=3"],
        ),
        (["data.size=96", "brain.size=64"], ["brain.size=64", "data.size=96"]),
        (["brain=[simulated,local]"], ["brain=[simulated,local]"]),
    ],
)
def test_tags_are_what_makes_this_run(overrides, tags):
    assert sorted(run_labels(FOLDER, NAME, overrides).tags) == sorted(tags)


def test_seeds_differ_in_name_only():
    one = run_labels(FOLDER, NAME, ["model.width=0.5", "seed=1"])
    two = run_labels(FOLDER.with_name("seed2"), NAME, ["model.width=0.5", "seed=2"])
    assert one.name == "objects-cornet_s width=0.5 seed=1"
    assert two.name == "objects-cornet_s width=0.5 seed=2"
    assert one.group == two.group == "objects-cornet_s/model.width-0.5"
    first = run_labels(Path("runs/mine/seed1"), "mine", ["model.width=0.5"])
    assert first == ("mine width=0.5 seed=1", "mine", ["width=0.5"])


def test_long_ones_are_cut_and_stay_different():
    folder = Path("runs") / ("n" * 100) / ("s" * 100) / "seed12"
    told = [run_labels(folder, "n" * 100, [f"data.folder={'x' * 90}{end}"]) for end in "ab"]
    for labels in told:
        assert len(labels.tags[0]) == 64
        assert len(labels.name) <= 128
        assert len(labels.group) == 128
        assert labels.name.endswith(" seed=12")
    assert told[0].tags != told[1].tags


@pytest.mark.parametrize("more", [0, 200])
def test_what_is_not_utf8_is_escaped(more):
    labels = run_labels(FOLDER, NAME, ['model.pretrained="caf\udce9' + "x" * more + '"'])
    assert labels.tags[0].startswith(r'pretrained="caf\xe9')
    for text in (labels.name, labels.group, *labels.tags):
        assert text.encode()


def test_given_labels_stay():
    config = OmegaConf.create(
        {"csv": {"folder": "x"}, "wandb": {"name": None, "group": "ours", "tags": []}}, flags={"struct": True}
    )
    label_loggers(config, FOLDER, NAME, ["model.width=0.5"])
    assert config == {
        "csv": {"folder": "x"},
        "wandb": {"name": "objects-cornet_s width=0.5 seed=1", "group": "ours", "tags": []},
    }
