"""What is computed, counted: steps that cannot reach the read-out and steps before the image cost nothing."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cornet import create_model

AREAS = ["V1", "V2", "V4", "IT"]
BATCH, SIZE = 8, 64


def macs(net, **options):
    """Multiply-adds of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(BATCH, 3, SIZE, SIZE), **options)
    return counter.get_total_flops() // 2


def expected(net, last_of):
    """From the definition: (area, step) pairs up to `last_of`, undriven ones on one image instead of the batch."""
    total, size = BATCH * net.decoder.weight.numel(), (SIZE, SIZE)
    for position, (name, area) in enumerate(net.areas.items()):
        drive, _ = area.work(size, 1, 0)
        step, size = area.work(size, 0, 1)
        for k in range(last_of[name] + 1):
            images = BATCH if k >= net.first_driven_step(name) else 1
            runs = (
                k == 0 if position == 0 else k > 0
            )  # V1's input does not change; nothing reaches the others at 0
            total += images * (step + drive * runs)
    return total


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "lag"), [("cornet_r", 0), ("cornet_rt", 1)])
def test_only_what_the_logits_depend_on_is_computed(name, lag, training):
    net = create_model(name, num_classes=5, width=0.25).train(training)
    needed = {area: 4 - lag * (3 - position) for position, area in enumerate(AREAS)}
    assert macs(net) == expected(net, needed)
    assert macs(net, readouts=True) == expected(net, needed) + BATCH * net.decoder.weight.numel() * (
        len(range(net.first_driven_step("IT"), 5)) - 1
    )
    assert macs(net, return_states=True) == expected(net, dict.fromkeys(AREAS, 4))


def test_leaving_out_is_a_good_part_of_the_work():
    """Of RT, 4 of 20 steps are before the image, and 6 cannot reach the read-out."""
    net = create_model("cornet_rt", num_classes=5, width=0.25)
    assert macs(net) < 0.75 * macs(net, return_states=True)
