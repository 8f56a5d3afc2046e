"""Losses beside the task's: their weight, their name, and what they need of the network."""

import pytest
import torch

from cornet import CornetError
from cornet.losses import Loss, Readouts
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.training.small_trainings import MEAN, STD, batches, classifier, fit


class Sparse(Loss):
    """The mean activity of V1."""

    needs_states = True

    def forward(self, net, task, batch, outputs):
        return outputs.states["V1"].abs().mean()


def learner(losses, **recipe):
    net = classifier().net
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant", **recipe}
    return Learner(net, Recipe(**settings), MEAN, STD, losses=losses)


def test_a_term_is_weighted_added_and_logged():
    module, batch = learner({"sparse": Sparse(0.3)}), batches(1)[0]
    loss, outputs, terms = module.loss(batch, batch.inputs)
    plain = module.task.loss(outputs.predictions, batch.targets)
    assert terms["loss_sparse"] == outputs.states["V1"].abs().mean()
    torch.testing.assert_close(loss, plain + 0.3 * terms["loss_sparse"])
    assert {"train/loss", "train/loss_sparse"} <= fit(module, batches(2)).logged_metrics.keys()


def test_mistakes():
    with pytest.raises(
        CornetError, match=r"step_loss=0\.5 adds a loss named readouts, but losses\.readouts is there"
    ):
        learner({"readouts": Readouts(1.0)}, step_loss=0.5)
    with pytest.raises(CornetError, match="weight -1 of the loss Sparse must be a number, at least 0"):
        Sparse(-1)
