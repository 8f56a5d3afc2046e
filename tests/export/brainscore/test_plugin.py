"""A written plugin: its own code, in a process without cornet, against the networks, screens and steps of cornet."""

import ast
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from cornet.brain.subjects import open_subject
from cornet.errors import CornetError
from cornet.export.formats import find_format
from cornet.export.formats.brainscore.check import check_plugin, imported_network
from cornet.export.formats.brainscore.entries import identifiers
from cornet.export.source import open_sources
from cornet.export.write import write_export
from cornet.stimuli.decode import decode_image
from cornet.stimuli.normalisation import normalise
from cornet.stimuli.screen import place_on_screen
from tests.helpers.export.brainscore_plugin import THREE, run_alone, write_plugin
from tests.helpers.paths import ROOT

pytestmark = (
    pytest.mark.slow
)  # writes plugins and starts processes; the command checks each plugin that it writes

STARTS = [float(start) for start in range(0, 400, 5)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "small-brainscore"
    return folder, write_plugin(folder, THREE)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = []
    for number, (mode, shape) in enumerate(
        [("RGB", (32, 32)), ("L", (40, 70)), ("RGBA", (61, 32)), ("P", (90, 90))]
    ):
        pixels = rng.integers(0, 256, (*shape, 4 if mode == "RGBA" else 3), dtype=np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).convert(mode).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def alone(written, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    torch.save({"paths": [str(path) for path in images], "starts": STARTS}, folder / "given.pt")
    run_alone(written[0], folder / "given.pt", folder / "found.pt")
    return torch.load(folder / "found.pt", weights_only=True)


def test_the_code_alone_gives_every_state_bit_for_bit(written, images, alone):
    _, sources = written
    for identifier, source in zip(identifiers(sources, "small"), sources, strict=True):
        screens = torch.stack(
            [place_on_screen(decode_image(p.read_bytes()), 8, 8, source.size) for p in images]
        )
        shown = normalise(screens, source.mean, source.std)
        with torch.no_grad():
            logits, states = source.net(shown, return_states=True)
        found = alone[identifier]
        wanted = {"images": shown, "logits": logits, "readout": states["IT"][-1].mean((2, 3))}
        for area, output in states.items():
            for step in range(source.net.first_driven_step(area), len(output)):
                wanted[f"{area}_t{step}"] = output[step]
        assert set(found) == set(wanted)
        assert [layer for layer in wanted if not torch.equal(found[layer], wanted[layer])] == []
        assert all(value.std() > 0 for value in found.values())
        assert len(wanted) == 3 + sum(
            steps - source.net.first_driven_step(area) for area, steps in source.net.steps.items()
        )


def test_time_bins_select_the_steps_of_cornet(written, alone):
    _, sources = written
    for identifier, source in zip(identifiers(sources, "small"), sources, strict=True):
        subject = open_subject(source.text)
        for region, layers in alone[f"{identifier} steps"].items():
            own = [subject.site(region, (start, start + 20)) for start in STARTS]
            assert layers == [f"{site.layer}_t{site.step}" for site in own]


def test_regions_have_the_layer_for_70_to_170_ms(written):
    """By the published times: S starts at 50, 70, 90, 100 ms; RT's clock is 50 + 30 t, V4 from 110, IT from 140."""
    folder, sources = written
    s, rt, z = (
        json.loads((folder / "region_layer_map" / f"{one}.json").read_text())
        for one in identifiers(sources, "small")
    )
    assert s == {"V1": "V1_t0", "V2": "V2_t0", "V4": "V4_t0", "IT": "IT_t0"}
    assert rt == {"V1": "V1_t1", "V2": "V2_t1", "V4": "V4_t2", "IT": "IT_t3"}
    assert z == {"V1": "V1_t0", "V2": "V2_t0", "V4": "V4_t0", "IT": "IT_t0"}
    times = json.loads((folder / "time_map" / f"{identifiers(sources, 'small')[0]}.json").read_text())
    assert times["V4"] == {"V4_t0": [90, 140], "V4_t1": [140, 190], "V4_t2": [190, 240], "V4_t3": [240, 290]}


def test_the_reference_finds_each_registration_by_searching_for_it(written):
    folder, sources = written
    names = identifiers(sources, "small")
    lines = (folder / "__init__.py").read_text().splitlines()
    for name, source in zip(names, sources, strict=True):
        assert name == f"small-{source.weights_hash[:8]}"
        found = [line for line in lines if f"model_registry['{name}']" in line.replace('"', "'")]
        assert found == [f'model_registry["{name}"] = lambda: commitment("{name}")']
    assert len(set(names)) == 3
    degrees = [entry["degrees"] for entry in json.loads((folder / "networks.json").read_text()).values()]
    assert degrees == [8, 6.5, 8]


def test_the_folder_has_no_more_than_it_needs(written):
    folder, _ = written
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert (folder / "cornet_code" / "LICENSE").read_text().endswith((ROOT / "LICENSE").read_text())
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    copied = {name for name in names if name.startswith("cornet_code/") and name.endswith(".py")}
    assert not [
        name for name in copied if re.search(r"weight_files|safe_load|fetch|create|brain|blt|hmax", name)
    ]
    for name in names:
        if name.endswith(".py"):
            ast.parse((folder / name).read_text(), feature_version=(3, 11))
    assert not {"setup.py", "requirements.txt"} & names


def test_a_changed_weight_is_noticed(written, tmp_path):
    folder, sources = written
    name = identifiers(sources, "small")[2]
    path = folder / "weights" / f"{name}.pth"
    content = path.read_bytes()
    weights = torch.load(io.BytesIO(content), weights_only=True)
    weights["areas.V4.conv.weight"][0, 0, 0, 0] += 1
    torch.save(weights, path)
    try:
        with pytest.raises(RuntimeError, match=r"V4_t0 of small-\w+ differs"):
            check_plugin(folder, {name: sources[2]})
    finally:
        path.write_bytes(content)
    check_plugin(folder, {name: sources[2]})


def test_weights_are_read_as_data(written):
    """A file that would run code is refused."""
    folder, sources = written
    assert "weights_only=True" in (folder / "network.py").read_text()
    with imported_network(folder) as module:
        network = module.load_network(identifiers(sources, "small")[2])
    assert not any(value.is_meta for value in network.state_dict().values())


@pytest.mark.parametrize("name", ["a.b", "-a", "a b", 'a"]', "", "a" * 130, "../a"])
def test_names_that_the_reference_cannot_search_for_are_refused(name):
    sources = open_sources(THREE[2:])
    with pytest.raises(CornetError, match=r"--name .* must begin with a letter or digit"):
        identifiers(sources, name)


def test_more_than_a_hundred_networks_are_refused():
    with pytest.raises(CornetError, match="at most 100 networks, not 101"):
        identifiers(open_sources(THREE[2:]) * 101, "many")


def test_a_folder_that_cannot_be_imported_is_refused(tmp_path):
    with pytest.raises(CornetError, match="has a dot"):
        write_export(find_format("brainscore"), open_sources(THREE[2:]), tmp_path / "my.net", "mine")
    assert list(tmp_path.iterdir()) == []


def test_the_default_name_has_the_hash_once():
    sources = open_sources(THREE[2:])
    assert identifiers(sources, sources[0].identifier) == [sources[0].identifier]
    assert sources[0].identifier == f"cornet_z-{sources[0].weights_hash[:8]}"
