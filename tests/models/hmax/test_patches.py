"""Patches of HMAX: cut from images with a seed, read from files, and part of checkpoints."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from cornet import CornetError, create_model
from cornet.models.hmax.cells import BANDS
from cornet.models.hmax.patches import learn_patches, read_patches, save_patches
from cornet.runs.checkpoints import network_of_file
from cornet.stimuli.objects import RenderedObjects
from cornet.training.build import build, network_arguments
from tests.helpers.composed import composed
from tests.helpers.stimuli.pictures import encode, picture

IMAGES = [picture(40, 56, seed) for seed in range(3)]


def drawn(sizes=(2, 5), seed=0):
    rng = np.random.default_rng(seed)
    return {s: rng.random((3, 4, s, s)).astype(np.float32) for s in sizes}


def same(found, expected):
    return list(found) == list(expected) and all(np.array_equal(found[s], expected[s]) for s in expected)


def buffers(net):
    return {side: getattr(net, f"patches_{side}").numpy() for side in net.patch_counts}


def test_patches_depend_on_the_seed_alone():
    found = learn_patches(IMAGES, (2, 4), (30, 20), seed=1)
    assert {side: array.shape for side, array in found.items()} == {2: (30, 4, 2, 2), 4: (20, 4, 4, 4)}
    assert same(learn_patches(IMAGES, (2, 4), (30, 20), seed=1), found)
    assert not same(learn_patches(IMAGES, (2, 4), (30, 20), seed=2), found)
    assert all(0 <= array.min() < array.max() <= 1 for array in found.values())


def test_colour_is_converted_to_grey():
    grey = np.repeat(picture(40, 40)[..., :1], 3, axis=2)
    found = [learn_patches([image], (2,), 5)[2] for image in (grey, grey[..., 0])]
    np.testing.assert_allclose(*found, atol=1e-5)
    assert not np.allclose(learn_patches([picture(40, 40)], (2,), 5)[2], found[0], atol=1e-2)


def test_a_patch_comes_from_a_band_that_holds_it():
    """9 is the side of the first map of 32 pixels alone."""
    assert learn_patches([picture(32, 32)], (9,), 3, bands=BANDS["2007"])[9].shape == (3, 4, 9, 9)
    with pytest.raises(
        CornetError, match=r"size 10 does not fit into an image of 32 x 32 .* has 9 x 9 cells"
    ):
        learn_patches([picture(32, 32)], (10,), 3)


def test_npz_files(tmp_path):
    path = tmp_path / "mine.npz"
    save_patches(path, drawn())
    assert same(read_patches(path), drawn())
    assert same(buffers(create_model("hmax", patches=path)), drawn())
    assert same(buffers(create_model("hmax", patches=str(path), size=64)), drawn((2, 5)))
    assert same(buffers(create_model("hmax", patches=str(path), size=32)), drawn((2,)))


def test_matlab_files(tmp_path):
    cells = np.empty((1, 2), object)
    for index, array in enumerate(drawn().values()):
        cells[0, index] = array.transpose(2, 3, 1, 0).reshape(-1, 3, order="F")
    sizes = np.array([[2, 5], [2, 5], [4, 4], [3, 3]])
    savemat(tmp_path / "public.mat", {"patches": cells, "patchSizes": sizes})
    assert same(buffers(create_model("hmax", patches=tmp_path / "public.mat")), drawn())


def test_folders_of_images(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for seed, place in enumerate(("a/1.png", "a/b/2.png", "3.png")):
        (tmp_path / place).write_bytes(encode(picture(50, 70, seed)))
    (tmp_path / "notes.txt").write_text("not an image")
    arguments = {"patches": tmp_path, "size": 40, "sizes": [2, 4], "per_size": 20}
    found = buffers(create_model("hmax", **arguments))
    assert {side: array.shape for side, array in found.items()} == {2: (20, 4, 2, 2), 4: (20, 4, 4, 4)}
    assert same(buffers(create_model("hmax", **arguments)), found)
    assert not same(buffers(create_model("hmax", **arguments, patch_seed=1)), found)
    assert not same(buffers(create_model("hmax", **{**arguments, "patches": None})), found)
    (tmp_path / "3.png").write_bytes(b"damaged")
    with pytest.raises(CornetError, match=r"3.png cannot be read \(the data are not an image"):
        create_model("hmax", **arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"patches_2": np.zeros((3, 4, 2, 3))}, r"shape \(3, 4, 2, 3\) for size 2, which must be finite"),
        ({"patches_2": np.full((1, 4, 2, 2), np.nan)}, "which must be finite numbers"),
        ({"patches_2": np.zeros((0, 4, 2, 2))}, r"shape \(0, 4, 2, 2\)"),
        ({"other": np.zeros(3)}, "cannot be read .* give a .npz file of save_patches, a MATLAB file"),
        ({}, "has no patches; give at least one"),
    ],
)
def test_files_that_are_refused(content, message, tmp_path):
    np.savez(tmp_path / "file.npz", **content)
    with pytest.raises(CornetError, match=message):
        create_model("hmax", patches=tmp_path / "file.npz")


def test_files_that_are_missing_or_something_else(tmp_path):
    with pytest.raises(CornetError, match=r"nothing.npz cannot be read \(FileNotFoundError"):
        create_model("hmax", patches=tmp_path / "nothing.npz")
    for name in ("text.mat", "text.npz"):
        (tmp_path / name).write_text("not patches")
        with pytest.raises(CornetError, match=f"{name} cannot be read"):
            create_model("hmax", patches=tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        CornetError, match=r"has no images \(.jpg, .*give a folder of images, or a file of pat"
    ):
        create_model("hmax", patches=tmp_path / "empty")


def test_training_gives_the_network_what_it_must_know_of_its_images(tmp_path):
    source = RenderedObjects(train_images=8, val_images=8, size=48, cache=str(tmp_path))
    arguments = network_arguments(composed("model=hmax").model, source)
    assert (arguments["mean"], arguments["std"], arguments["size"]) == ([0.5] * 3, [0.19] * 3, 48)
    arguments = network_arguments(composed("model=hmax", "+model.size=96").model, source)
    assert arguments["size"] == 96
    assert "size" not in network_arguments(composed("model=cornet_z").model, source)


def test_training_on_single_images_is_refused(tmp_path):
    small = ("data.size=32", "data.train_images=8", "data.val_images=8", f"+data.cache={tmp_path}")
    save_patches(tmp_path / "mine.npz", drawn((2,)))
    own = ("model=hmax", f"model.patches={tmp_path}/mine.npz", "recipe.batch_size=1")
    config = composed(*own, *small)
    config.run_folder, config.run_id = str(tmp_path), "token"
    with pytest.raises(CornetError, match="one image at a time leaves batch norm one value per feature"):
        build(config)


def test_checkpoints_hold_the_patches_and_not_the_path(tmp_path):
    save_patches(tmp_path / "mine.npz", drawn((2, 4)))
    config = composed(
        *("model=hmax", f"model.patches={tmp_path}/mine.npz", "data.size=48", "data.train_images=64"),
        *("data.val_images=64", f"+data.cache={tmp_path}", "recipe.batch_size=8", "trainer.accelerator=cpu"),
    )
    config.run_folder, config.run_id = str(tmp_path), "token"
    module = build(config).module
    facts = {key: module.facts[f"model.{key}"] for key in ("patches", "sizes", "per_size")}
    assert facts == {"patches": None, "sizes": [2, 4], "per_size": [3, 3]}
    file = tmp_path / "some.ckpt"
    (tmp_path / "mine.npz").unlink()
    torch.save({"state_dict": module.state_dict(), "cornet": module.facts}, file)
    loaded = network_of_file(file, size=48).net
    assert same(buffers(loaded), drawn((2, 4)))
    assert torch.equal(loaded.decoder.linear.weight, module.net.decoder.linear.weight)
    torch.save({"state_dict": module.state_dict(), "cornet": {**module.facts, "model.patches": "x"}}, file)
    with pytest.raises(CornetError, match="names a network with patches='x', which cornet never writes"):
        network_of_file(file, size=48)
