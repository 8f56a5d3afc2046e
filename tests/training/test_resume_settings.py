"""Settings changed on `ckpt_path=PATH`, and what becomes of each: the table of docs/resume.md, tried on real runs."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir

from cornet.errors import CornetError
from cornet.runs.folder import RunFolder
from cornet.runs.path import identity_of, variant_name
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from cornet.training.rerun import rerun
from cornet.training.resume import OUTCOMES, REFUSED, WHOLE_EPOCHS, check_continuation, flat, outcome_of
from cornet.training.run import run
from tests.helpers.paths import ROOT
from tests.helpers.training.two_ranks import torchrun
from train import CONF

TINY = [
    "data.train_images=24",
    "data.val_images=8",
    "data.size=32",
    "model=cornet_z",
    "model.width=0.03",
    "recipe.batch_size=8",
    "recipe.precision=32-true",
    "recipe.channels_last=false",
    "recipe.epochs=2",
    "brain=none",
    "loader.workers=0",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
]


def go(place: Path, *overrides: str, **options):
    """A run in `place`: its folder."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*TINY, *overrides])
    outcome = run(config, overrides, folder=place, **options)
    assert outcome is not None
    return outcome


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A run of two epochs; middle.ckpt is a copy of its checkpoint after a step of the second."""
    place = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(place / "cache"))
        save = LastCheckpoint.save

        def copied(callback, trainer, moment):
            save(callback, trainer, moment)
            if trainer.global_step == 4 and trainer.current_epoch == 1:
                shutil.copy(callback.path, place / "middle.ckpt")

        patch.setattr(LastCheckpoint, "save", copied)
        go(place / "run/seed0", "callbacks.last_checkpoint.minutes=1e-9")
    shutil.copy(place / "run/seed0/checkpoints/last.ckpt", place / "end.ckpt")
    return place


@pytest.fixture(autouse=True)
def cache(first, monkeypatch, elsewhere) -> None:
    monkeypatch.setenv("CORNET_CACHE", str(first / "cache"))


IN_EFFECT = {
    "more epochs": ["recipe.epochs=4"],
    "batch": ["recipe.batch_size=12"],
    "accumulation": ["recipe.accumulate=2"],
    "schedule": ["recipe.schedule=constant"],
    "learning rate": ["recipe.learning_rate=0.5"],
    "momentum": ["recipe.momentum=0.5"],
    "weight decay": ["recipe.weight_decay=0.1"],
    "label smoothing": ["recipe.label_smoothing=0.2"],
    "averaging": ["recipe.average=0.9"],
    "precision": ["recipe.precision=bf16-mixed"],
    "memory layout": ["recipe.channels_last=true"],
    "sizes": ["recipe.sizes=[[16,2]]"],
    "seed": ["seed=1"],
    "monitor": ["monitor=train/top1"],
    "recipe": ["recipe=z_2018", "recipe.batch_size=8", "recipe.decay_norms_and_biases=false"],
}


SLOW = ("momentum", "weight decay", "label smoothing", "memory layout", "sizes", "seed", "monitor")


@pytest.mark.parametrize(
    "setting", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in IN_EFFECT]
)
def test_what_takes_effect_is_what_is_recorded(first, tmp_path, setting):
    changes = ["recipe.epochs=3", *IN_EFFECT[setting]]
    outcome = go(tmp_path / "seed0", f"ckpt_path={first}/end.ckpt", *changes)
    config = RunFolder(outcome.folder).config
    recipe, held = config["recipe"], torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    assert held["provenance"]["config"]["recipe"] == recipe
    group = held["optimizer_states"][0]["param_groups"][0]
    for name in ("momentum", "weight_decay", "nesterov"):
        assert group[name] == recipe[name]
    per_epoch = 24 // recipe["batch_size"]
    assert held["position"]["epochs"] == recipe["epochs"]
    metrics = pd.read_csv(outcome.folder / "metrics.csv").dropna(subset=["train/learning_rate"])
    rates = metrics["train/learning_rate"].tolist()
    assert len(rates) == (recipe["epochs"] - 2) * per_epoch
    assert min(rates) > 0
    assert rates[-1] == pytest.approx(group["lr"], rel=1e-6)
    assert ("raw_weights" in held) == (recipe["average"] is not None)
    before = torch.load(first / "end.ckpt", weights_only=True)["state_dict"]
    assert any(not torch.equal(before[key], held["state_dict"][key]) for key in before)
    record = json.loads((outcome.folder / "started_from.json").read_text())
    assert (record["epochs"], record["steps"]) == (2, 6)


REFUSALS = {
    "no epochs left": ("end", [], "is at epoch 2 of 2: nothing is left to train; set recipe.epochs=3"),
    "fewer epochs": (
        "end",
        ["recipe.epochs=1", "recipe.warmup=0"],
        "at epoch 2 of 1: nothing is left to train",
    ),
    "no steps left": ("end", ["recipe.epochs=3", "+trainer.max_steps=6"], "max_steps=6: nothing is left"),
    "decay groups": (
        "end",
        ["recipe.epochs=3", "recipe.decay_norms_and_biases=true"],
        "decay_norms_and_biases=false, which cannot become true, because",
    ),
    "network": ("end", ["recipe.epochs=3", "model.width=0.05"], "model.width=0.03, which cannot become 0.05"),
    "published weights": ("end", ["recipe.epochs=3", "model.pretrained=w.ckpt"], "model.pretrained"),
    "batch within an epoch": (
        "middle",
        ["recipe.batch_size=12"],
        " recipe.batch_size=8, which cannot become 12",
    ),
    "accumulation within an epoch": ("middle", ["recipe.accumulate=2"], "recipe.accumulate=1, which cannot"),
    "seed within an epoch": ("middle", ["seed=1"], " seed=0, which cannot become 1 within an epoch"),
    "images within an epoch": ("middle", ["data.train_images=48"], "data.train_images=24, which cannot"),
    "a key of Lightning's": (
        "end",
        ["recipe.epochs=3", "+trainer.max_epochs=5"],
        "give recipe.epochs instead",
    ),
    "a batch beside the recipe's": (
        "end",
        ["recipe.epochs=3", "loader.batch_size=12"],
        "loader.batch_size=12 differs from recipe.batch_size=8; give recipe.batch_size alone",
    ),
    "image size within an epoch": ("middle", ["data.size=48"], "data.size=32, which cannot become 48 within"),
}


@pytest.mark.parametrize("setting", REFUSALS)
def test_what_is_refused_is_so_in_one_sentence_and_leaves_nothing(first, tmp_path, setting):
    which, changes, said = REFUSALS[setting]
    if setting == "published weights":  # the last checkpoint holds its weights
        shutil.copy(first / "end.ckpt", "w.ckpt")
    with pytest.raises(CornetError) as raised:
        go(tmp_path / "seed0", f"ckpt_path={first}/{which}.ckpt", *changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "seed0").exists()


def test_within_an_epoch_the_rest_is_trained_and_equals_the_uninterrupted_run(first, tmp_path):
    outcome = go(tmp_path / "seed0", f"ckpt_path={first}/middle.ckpt")
    ours, theirs = (
        torch.load(path, weights_only=True)["state_dict"]
        for path in (outcome.folder / "checkpoints/last.ckpt", first / "end.ckpt")
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    rows = [
        pd.read_csv(run / "metrics.csv").dropna(subset=["train/loss"])
        for run in (outcome.folder, first / "run/seed0")
    ]
    names = ["epoch", "step", "train/loss", "train/learning_rate"]
    pd.testing.assert_frame_equal(
        rows[0][names].reset_index(drop=True),
        rows[1][names].iloc[-2:].reset_index(drop=True),
        check_exact=True,
    )


@pytest.mark.slow  # trains three times
def test_the_same_command_goes_on_from_its_own_checkpoint_and_a_rerun_repeats_it(first, tmp_path):
    start = tmp_path / "start.ckpt"
    shutil.copy(first / "end.ckpt", start)
    given = [f"ckpt_path={start}", "recipe.epochs=4", "recipe.batch_size=12"]
    place = tmp_path / "seed0"
    whole = go(place, *given)
    own = place / "checkpoints/last.ckpt"
    again = rerun(place)
    assert again is not None
    assert again.same, again.results
    assert go(place, *given).already
    (place / "finished.json").unlink()
    start.unlink()  # not needed any more: the run has checkpoints of its own
    assert go(place, *given).summary == whole.summary
    assert torch.load(own, weights_only=True)["position"]["epochs"] == 4
    with pytest.raises(CornetError, match=r"started from ckpt_path=.*missing or has changed since"):
        rerun(place, tmp_path / "other")
    start.write_bytes((first / "middle.ckpt").read_bytes())
    with pytest.raises(CornetError, match=r"started from ckpt_path=.*missing or has changed since"):
        rerun(place, tmp_path / "other")


def test_an_empty_mapping_is_as_no_key():
    networks = ({"name": "cornet_s", "v1_options": {}}, {"name": "cornet_s"})
    for old, new in (networks, networks[::-1]):
        checkpoint = {"position": {"epochs": 1, "steps": 3}, "provenance": {"config": {"model": old}}}
        config = {"model": new, "recipe": {"epochs": 2}, "trainer": {}}
        assert check_continuation(Path("a.ckpt"), checkpoint, config, str).epochs == 1


def test_a_start_elsewhere_makes_another_run():
    given = ["recipe.epochs=4"]
    plain = variant_name(given)
    assert variant_name([*given, "ckpt_path=auto"]) == plain
    assert variant_name([*given, "ckpt_path=null"]) == plain
    assert len({plain, *(variant_name([*given, f"ckpt_path={p}"]) for p in ("a.ckpt", "b.ckpt"))}) == 3
    assert identity_of({"ckpt_path": "auto", "a": 1}) == identity_of({"ckpt_path": None, "a": 1}) == {"a": 1}
    assert identity_of({"ckpt_path": "a.ckpt"}) == {"ckpt_path": "a.ckpt"}


def test_the_best_checkpoint_is_known_after_the_folder_was_moved(tmp_path):
    from cornet.training.callbacks.brain_checkpoint import BestCheckpoint

    old, new = (BestCheckpoint(tmp_path / name / "checkpoints") for name in ("old", "new"))
    path = f"{old.dirpath}/best.ckpt"
    old.best_model_path = old.kth_best_model_path = path
    old.best_model_score = old.kth_value = torch.tensor(0.7)
    old.best_k_models = {path: old.kth_value}
    new.load_state_dict(old.state_dict())
    assert float(new.best_model_score) == pytest.approx(0.7)
    assert new.best_model_path == f"{new.dirpath}/best.ckpt"
    assert list(new.best_k_models) == [new.best_model_path]


def test_every_setting_has_an_outcome_and_the_document_names_it():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config")
    text = (ROOT / "docs/resume.md").read_text()
    groups = {key.split(".")[0] for key in OUTCOMES}
    for key, _ in flat({name: config[name] for name in config}):
        assert key.split(".")[0] in groups, key
    for key in config.recipe:
        assert f"`{key}`" in text, key
    for key, outcome in OUTCOMES.items():
        if outcome in (REFUSED, WHOLE_EPOCHS):
            assert f"`{key.removeprefix('recipe.')}`" in text, key
    assert outcome_of("model.times.V2") == REFUSED
    assert outcome_of("data.crop_scale") == WHOLE_EPOCHS
    assert outcome_of("recipe.epochs") == outcome_of("data.folder") == "takes effect"


@pytest.mark.slow
def test_two_ranks_go_on_from_what_one_process_began(first, tmp_path):
    import subprocess

    environment = {**os.environ, "CORNET_CACHE": str(first / "cache"), "OMP_NUM_THREADS": "1"}
    changes = ["recipe.epochs=4", "recipe.batch_size=12", "root=two", f"ckpt_path={first}/end.ckpt"]
    command = torchrun(*TINY, *changes)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (path.parent for path in tmp_path.glob("two/**/seed*/finished.json"))
    one = go(tmp_path / "one/seed0", *changes[:2], changes[3])
    rates = [
        pd.read_csv(place / "metrics.csv")["train/learning_rate"].dropna().tolist()
        for place in (folder, one.folder)
    ]
    assert len(rates[0]) == 4
    assert rates[0] == rates[1]
    assert min(rates[0]) > 0
