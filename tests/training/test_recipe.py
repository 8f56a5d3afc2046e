"""Recipes: schedules against PyTorch's own schedulers, weight decay by module type, refusals."""

import pytest
import torch
from torch import nn

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.training.recipe import Recipe, learning_rate_factor, parameter_groups


def recipe(**changes) -> Recipe:
    return Recipe(**{"epochs": 6, "batch_size": 4, "learning_rate": 0.1, "divide_every": 2, **changes})


def scheduled(recipe: Recipe, steps: int) -> list[float]:
    return [learning_rate_factor(recipe, step, 10) for step in range(steps)]


def test_divide_is_step_lr():
    ours = scheduled(recipe(), 60)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.StepLR(optimiser, 2)
    expected = []
    for _ in range(6):
        expected += [optimiser.param_groups[0]["lr"]] * 10
        optimiser.step()
        oracle.step()
    assert ours == pytest.approx(expected)


def test_cosine_is_cosine_annealing_after_the_warmup():
    ours = scheduled(recipe(schedule="cosine", divide_every=None, warmup=1), 60)
    assert ours[:10] == pytest.approx([(k + 1) / 11 for k in range(10)])
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 50)
    for value in ours[10:]:
        assert value == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        oracle.step()


def test_a_recipe_ends_where_it_should():
    assert scheduled(recipe(schedule="cosine", divide_every=None), 61)[-1] == pytest.approx(0, abs=1e-12)
    assert scheduled(recipe(schedule="constant", divide_every=None), 61)[-1] == 1


@pytest.mark.parametrize("name", ["cornet_z", "cornet_rt", "cornet_s"])
def test_decay_leaves_out_norms_and_biases_by_type(name):
    net = create_model(name, num_classes=3, width=0.1)
    decayed, plain = parameter_groups(net, 0.1, decay_all=False)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in plain["params"])
    together = {id(p) for group in (decayed, plain) for p in group["params"]}
    assert together == {id(p) for p in net.parameters()}
    assert len(together) == len(decayed["params"]) + len(plain["params"])


def test_published_decay_is_on_everything():
    net = create_model("cornet_s", width=0.1)
    (group,) = parameter_groups(net, 1e-4, decay_all=True)
    assert len(group["params"]) == len(list(net.parameters()))


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch_size": 2.5},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"schedule": "cosin"},
        {"divide_every": None},
        {"precision": "bf17"},
        {"warmup": 6},
        {"label_smoothing": 1},
        {"accumulate": 0},
        {"accumulate": 3},
        {"memory_budget": 0.5},
        {"memory_budget": 2, "compile": True},
        {"average": 1},
        {"average": "ema"},
        {"step_loss": -1},
        {"algorithm": "adamw"},
        {"momentum": 1.0, "algorithm": "adam"},
        {"second_moment": 1.0, "algorithm": "adam"},
        {"nesterov": True, "algorithm": "adam"},
        {"step_loss": float("nan")},
        {"sizes": [128]},
        {"sizes": [[128, 2, 1]]},
        {"sizes": [[128, 0]]},
        {"sizes": [[64, 3], [96, 3]]},
    ],
)
def test_impossible_values_are_refused_by_name(changes):
    with pytest.raises(CornetError, match=f"recipe.{next(iter(changes))}"):
        recipe(**changes)


@pytest.mark.parametrize(
    ("changes", "fused"),
    [({}, True), ({"precision": "16-mixed"}, True), ({"precision": "16-mixed", "clip": 1.0}, False)],
)
def test_sgd_is_fused_where_gradients_are_not_scaled_when_clipped(changes, fused):
    optimiser = recipe(**changes).optimiser(create_model("cornet_z", num_classes=3, width=0.1))
    assert optimiser.param_groups[0]["fused"] is fused


def test_fused_sgd_is_sgd():
    nets = [create_model("cornet_z", num_classes=3, width=0.05).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ours = recipe(weight_decay=0.01).optimiser(nets[0])
    oracle = torch.optim.SGD(nets[1].parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, foreach=False)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for _ in range(3):
        for net, optimiser in zip(nets, (ours, oracle), strict=True):
            optimiser.zero_grad()
            net(images).square().sum().backward()
            optimiser.step()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_adam_is_adam():
    nets = [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    made = recipe(algorithm="adam", momentum=0.8, second_moment=0.9, weight_decay=0.01, rates={"0": 2})
    ours = made.optimiser(nets[0])
    oracle = torch.optim.Adam(
        [{"params": nets[1][0].parameters(), "lr": 0.2}, {"params": nets[1][2].parameters()}],
        **{"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.01, "foreach": False},
    )
    for group in ours.param_groups:  # as the module does at every step
        group["lr"] = made.learning_rate * group.get("factor", 1.0)
    inputs = torch.randn(5, 3, dtype=torch.float64)
    for _ in range(4):
        for net, optimiser in zip(nets, (ours, oracle), strict=True):
            optimiser.zero_grad()
            net(inputs).square().sum().backward()
            optimiser.step()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_rate_falls_after_the_epochs_given():
    recipe = Recipe(epochs=9, batch_size=8, learning_rate=0.7, divide_at=[3, 6], warmup=1)
    found = [learning_rate_factor(recipe, step, 10) for step in (10, 29, 30, 59, 60, 89)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    for changes in (
        {"divide_at": [0]},
        {"divide_at": [3], "divide_every": 2},
        {"divide_at": [3], "schedule": "cosine"},
    ):
        with pytest.raises(CornetError, match=r"divide_at=\[[03]\] must be whole epochs"):
            Recipe(epochs=9, batch_size=8, learning_rate=0.7, **changes)
