"""The model of what a training takes, against figures worked out by hand."""

import math
import time
from dataclasses import replace

import pytest
import torch

from cornet.errors import CornetError
from cornet.losses import Loss
from cornet.training.plan import BUCKET, Hardware, Measured, Plan, loss_shares
from tests.helpers.training.small_trainings import batches, classifier

GIGA = 10**9
ONE = Measured(step=0.5, batch=100, forward=0.001, gradient_bytes=400 * 10**6, memory=5e9)


def test_one_device_that_nothing_holds_up():
    plan = Plan(measured=ONE, hardware=Hardware(), train_images=10_050, val_images=500, epochs=4)
    assert (plan.steps, plan.step, plan.bottleneck) == (100, 0.5, "compute")
    assert plan.images_per_second == 200
    assert (plan.training, plan.validation, plan.brain) == (50, 0.5, 0)
    assert plan.total == 4 * plan.epoch == 4 * 50.5


def test_slow_cores_and_slow_storage():
    slow = Measured(step=0.5, batch=100, forward=0.001, core=50, image_bytes=1e5)
    plan = Plan(measured=slow, hardware=Hardware(cores=2), train_images=1000, val_images=100, epochs=1)
    assert plan.parts["decode"] == 1.0  # 100 images at 2 x 50 a second
    assert (plan.step, plan.bottleneck) == (1.0, "decode")
    assert plan.validation == 1.0
    plan = Plan(
        measured=slow, hardware=Hardware(cores=8, storage=5e6), train_images=1000, val_images=0, epochs=1
    )
    assert plan.parts["storage"] == 2.0  # 100 images of 0.1 MB at 5 MB/s
    assert (plan.step, plan.bottleneck) == (2.0, "storage")


def test_on_a_processor_decoding_takes_its_time_from_computing():
    own = Measured(step=0.5, batch=100, forward=0.001, core=50, on_cores=True)
    assert (
        Plan(measured=own, hardware=Hardware(cores=4), train_images=1000, val_images=0, epochs=1).step == 1.0
    )


def test_a_machine_feeds_all_of_its_devices():
    slow = Measured(step=0.5, batch=100, forward=0.0, core=50)
    plan = Plan(
        measured=slow,
        hardware=Hardware(devices=16, per_machine=8, cores=4),
        train_images=16_000,
        val_images=0,
        epochs=1,
    )
    assert plan.parts["decode"] == 4.0  # 8 x 100 images at 4 x 50 a second
    assert plan.steps == 10
    assert plan.images_per_second == 16 * 100 / 4


def test_gradients_hide_behind_the_backward_pass_but_for_the_last_bucket():
    fast = Plan(
        measured=ONE, hardware=Hardware(devices=8, link=300 * GIGA), train_images=8000, val_images=0, epochs=1
    )
    assert fast.parts["gradients"] == pytest.approx(2 * 7 / 8 * BUCKET / (300 * GIGA))
    slow = Plan(
        measured=ONE, hardware=Hardware(devices=8, link=GIGA), train_images=8000, val_images=0, epochs=1
    )
    assert slow.parts["gradients"] == pytest.approx(2 * 7 / 8 * 0.4 - 0.5 * 2 / 3)
    two = Hardware(devices=16, link=300 * GIGA, network=GIGA)
    assert Plan(measured=ONE, hardware=two, train_images=16_000, val_images=0, epochs=1).parts[
        "gradients"
    ] == pytest.approx(2 * 15 / 16 * 0.4 - 0.5 * 2 / 3)
    compiled = replace(ONE, at_once=True)
    whole = Plan(
        measured=compiled, hardware=Hardware(devices=8, link=GIGA), train_images=8000, val_images=0, epochs=1
    )
    assert whole.parts["gradients"] == pytest.approx(2 * 7 / 8 * 0.4)
    crawling = Plan(
        measured=ONE, hardware=Hardware(devices=2, link=GIGA / 100), train_images=800, val_images=0, epochs=1
    )
    assert crawling.bottleneck == "gradients"


def test_brain_scores_are_recorded_by_all_and_compared_by_one():
    scored = Measured(step=0.5, batch=100, forward=0.001, record=0.01, compare=3.0)
    plan = Plan(
        measured=scored,
        hardware=Hardware(devices=4),
        train_images=4000,
        val_images=0,
        epochs=1,
        stimuli=1000,
        evaluations=0.5,
    )
    assert plan.brain == 0.5 * (1000 * 0.01 / 4 + 3)
    assert plan.brain_share == plan.brain / plan.epoch


def test_more_devices_are_never_slower_in_all_and_never_better_than_in_proportion():
    hardware = Hardware(per_machine=8, cores=64, link=300 * GIGA, network=25 * GIGA)
    plans = [
        Plan(
            measured=ONE,
            hardware=replace(hardware, devices=count),
            train_images=10**9,
            val_images=0,
            epochs=1,
        )
        for count in (1, 8, 64, 1024)
    ]
    rates = [plan.images_per_second for plan in plans]
    assert rates == sorted(rates)
    assert all(
        rate <= count * rates[0] * (1 + 1e-12) for rate, count in zip(rates, [1, 8, 64, 1024], strict=True)
    )
    assert math.isclose(plans[-1].epoch, 10**9 // (1024 * 100) * plans[-1].step)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"devices": 0}, "hardware.devices=0 must be a whole"), ({"link": -1.0}, "hardware.link=-1.0")],
)
def test_hardware_that_cannot_be(given, said):
    with pytest.raises(CornetError, match=said):
        Hardware(**given)


def test_what_each_loss_costs():
    module = classifier()
    module.losses["idle"], module.losses["slow"] = Slow(0.0), Slow(0.02)
    shares = loss_shares(module, batches(1)[0], torch.device("cpu"))
    assert shares["slow"] > 0.3 > shares["idle"]
    assert list(module.losses) == ["idle", "slow"]
    assert loss_shares(classifier(), batches(1)[0], torch.device("cpu")) == {}


class Slow(Loss):
    """Takes some time, and adds nothing."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, net, task, batch, outputs):
        time.sleep(self.seconds)
        return next(iter(outputs.predictions.values())).sum() * 0
