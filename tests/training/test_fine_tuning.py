"""Fine-tuning: a trunk for other classes, frozen areas, and learning rates of areas."""

import logging

import pytest
import torch

from cornet import CornetError, create_model
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.training.small_trainings import MEAN, STD, batches, fit


def learner(frozen=(), name="cornet_s", **recipe):
    torch.manual_seed(0)
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant", **recipe}
    net = create_model(name, num_classes=5, width=0.125)
    return Learner(net, Recipe(**settings), MEAN, STD, frozen=frozen)


def changed(module, frozen=()):
    """The areas whose weights, and those whose statistics, a training changed."""
    before = {name: value.clone() for name, value in module.net.state_dict().items()}
    fit(module, batches(3))
    after = module.net.state_dict()
    names = {name for name in before if not torch.equal(before[name], after[name])}
    part = {name: name.split(".")[1] if name.startswith("areas.") else name.split(".")[0] for name in names}
    return {part[name] for name in names if "running" not in name and "num_batches" not in name}, {
        part[name] for name in names if "running" in name
    }


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
def test_frozen_areas_keep_weights_and_statistics():
    assert changed(learner()) == ({"V1", "V2", "V4", "IT", "decoder"}, {"V1", "V2", "V4", "IT"})
    assert changed(learner(["V1", "V2"])) == ({"V4", "IT", "decoder"}, {"V4", "IT"})
    assert changed(learner(["V1", "V2", "V4", "IT"])) == ({"decoder"}, set())


def test_areas_have_learning_rates_of_their_own():
    weights, _ = changed(learner(rates={"V1": 0, "V2": 0}, momentum=0.0))
    assert weights == {"V4", "IT", "decoder"}
    module = learner(rates={"V1": 0.1, "decoder": 10}, decay_norms_and_biases=False)
    trainer = fit(module, batches(1))
    groups = trainer.optimizers[0].param_groups
    assert sorted({(group["factor"], round(group["lr"], 9)) for group in groups}) == [
        (0.1, 0.005),
        (1.0, 0.05),
        (10.0, 0.5),
    ]
    assert sum(len(group["params"]) for group in groups) == len(list(module.net.parameters()))


def test_a_factor_of_one_changes_no_bit():
    plain, other = learner(), learner(rates={"V4": 1.0})
    for module in (plain, other):
        fit(module, batches(2))
    assert all(map(torch.equal, plain.net.state_dict().values(), other.net.state_dict().values()))


@pytest.mark.parametrize("name", ["cornet_s", "cornet_rt", "cornet_z"])
def test_a_trunk_for_other_classes_is_loaded_and_said(name, tmp_path, caplog):
    caplog.set_level(logging.INFO, "cornet")
    first = create_model(name, num_classes=5, width=0.125)
    torch.save({"state_dict": first.state_dict()}, tmp_path / "first.pth")
    second = create_model(name, num_classes=7, width=0.125, pretrained=tmp_path / "first.pth")
    theirs, ours = first.state_dict(), second.state_dict()
    assert all(torch.equal(theirs[key], ours[key]) for key in ours if not key.startswith("decoder."))
    assert (
        "the decoder has 5 classes in the file, not 7; it was not loaded and starts untrained" in caplog.text
    )
    caplog.clear()
    create_model(name, num_classes=5, width=0.125, pretrained=tmp_path / "first.pth")
    assert "decoder" not in caplog.text
    with pytest.raises(CornetError):
        create_model(name, num_classes=7, width=0.25, pretrained=tmp_path / "first.pth")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: learner(["V3"]),
            "model.freeze names 'V3', which the network does not have; choose one of V",
        ),
        (lambda: learner(["V1", "V2", "V4", "IT", "decoder"]), "leaves nothing to train"),
        (lambda: learner(rates={"V9": 1}), "recipe.rates names 'V9'"),
        (lambda: learner(rates={"V1": -1}), r"recipe.rates.V1=-1 must be a factor"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(CornetError, match=message):
        make()
