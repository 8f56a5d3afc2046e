"""An early area without those above it: the same states."""

import pytest
import torch

import cornet
from tests.helpers.models.named import small_arguments


@pytest.mark.parametrize("name", ["cornet_z", "cornet_s", "cornet_r", "cornet_rt", "hcnn"])
def test_states_up_to_an_area_are_those_of_the_whole_network(name):
    torch.manual_seed(0)
    net = cornet.create_model(name, num_classes=4, **small_arguments(name, 0.125)).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        whole = net.run_areas(images, net.steps, True)
        for area in net.steps:
            part = net.run_up_to(area, images, net.steps)
            assert len(part[area]) == net.steps[area]
            for own, other in zip(part[area], whole[area], strict=True):
                torch.testing.assert_close(own, other, rtol=0, atol=0)
    if name in ("cornet_z", "cornet_s"):
        assert list(net.run_up_to("V2", images, net.steps)) == ["V1", "V2"]
