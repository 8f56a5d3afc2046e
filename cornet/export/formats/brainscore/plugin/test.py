"""Each model loads, and records every region at the step of a time bin."""

import brainscore_vision
import numpy as np
import pytest
from PIL import Image

from .network import load_network, read_json

IDENTIFIERS = list(read_json("networks.json"))


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_the_model_records_its_regions(identifier, tmp_path):
    model = brainscore_vision.load_model(identifier)
    assert model.identifier == identifier
    images = []
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        images.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(images[-1])
    for region in read_json("region_layer_map", f"{identifier}.json"):
        model.start_recording(region, [(70, 170), (170, 270)])
        responses = model.look_at([str(path) for path in images])
        assert dict(responses.sizes)["presentation"] == 2
        assert list(responses["time_bin_start"].values) == [70, 170]
        assert np.isfinite(responses.values).all()


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_the_network_has_no_values_left_out(identifier):
    network = load_network(identifier)
    assert not any(value.is_meta for value in network.state_dict().values())
