"""ClickMe: TFRecord files, damage to them, and maps that follow the crops of their images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet import CornetError
from cornet.stimuli.datasets import importance_maps
from cornet.stimuli.datasets.clickme import ClickMe, decode_item, evaluation_image
from cornet.stimuli.datasets.importance_maps import blur, evaluation_map, training_map
from cornet.stimuli.datasets.tfrecords import crc32c, read_record, record_index
from cornet.stimuli.geometry import Box
from cornet.stimuli.samples import Key, collate
from tests.helpers.models.harmonised import golden
from tests.helpers.stimuli.tfrecord_files import clickme, example, write

Y, X = np.mgrid[:256, :256]
BUMP = np.round(255 * np.exp(-((X - 150) ** 2 / 1800 + (Y - 90) ** 2 / 648))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train-0", clickme(7, BUMP), clickme(999, np.zeros_like(BUMP)))
    write(tmp_path / "train-1", clickme(3, BUMP))
    write(tmp_path / "val-0.tfrecords", clickme(5, BUMP))
    return tmp_path


def test_checksum():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"") == 0


def test_evaluation_map():
    want, heatmap = golden(), torch.from_numpy(BUMP.astype(np.float32))
    heatmap[200:210, 20:40] = 200
    small = torch.from_numpy(want["heatmap_64"])
    torch.testing.assert_close(
        blur(small), torch.from_numpy(want["heatmap_blurred_64"]), rtol=2e-6, atol=1e-4
    )
    found = evaluation_map(heatmap)
    torch.testing.assert_close(
        found[::7, ::7], torch.from_numpy(want["heatmap_224_every7"]), rtol=2e-6, atol=1e-4
    )
    assert float(found.double().mean()) == pytest.approx(want["heatmap_224_mean"], abs=1e-5)


def test_the_sample_file(shared_data):
    path, want = shared_data / "clickme-format" / "sample.tfrecords", golden()
    items = [decode_item(read_record(path, *map(int, one))) for one in record_index(path)]
    assert [item.label for item in items] == [7, 999, 0]
    for k, item in enumerate(items):
        shown = evaluation_map(torch.from_numpy(item.heatmap).float())
        assert float(shown.mean()) == pytest.approx(want["clickme/heatmap_mean"][k], abs=0.05)
        image = evaluation_image(item.image)
        assert float(image.mean()) == pytest.approx(want["clickme/image_mean"][k], abs=0.05)


def test_samples(folder):
    train = ClickMe(folder, size=64)
    assert len(train) == 3
    batch = collate(train.__getitems__([Key(0, 0), Key(1, 0), Key(2, 0)]))
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.labels.tolist() == [7, 999, 3]
    assert batch.targets["map"].shape == (3, 64, 64)
    assert batch.targets["map_token"].tolist()[1] == 0
    assert not batch.targets["map"][1].any()
    assert torch.equal(train[Key(0, 4)].image, train[Key(0, 4)].image)
    assert not torch.equal(train[Key(0, 4)].image, train[Key(0, 5)].image)
    val = ClickMe(folder, split="val", size=64)[Key(0, 0)]
    assert val.image.shape == (1, 3, 64, 64)
    assert val.label == 5


def test_the_map_follows_the_crop():
    heatmap = torch.from_numpy(BUMP.astype(np.float32))
    box = Box(30, 90, 120, 140)
    shown, token = training_map(heatmap, box, 224)
    peak = np.unravel_index(int(shown.argmax()), shown.shape)
    assert token == 1
    assert (float(shown.min()), float(shown.max())) == (0, 1)
    np.testing.assert_allclose(peak, [(90 - 30) / 120 * 224, (150 - 90) / 140 * 224], atol=8)
    mirrored = training_map(heatmap.flip(-1), Box(30, 256 - 90 - 140, 120, 140), 224, flip=True)[0]
    torch.testing.assert_close(mirrored, shown, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [64, 224])
def test_blank_maps_have_no_token(size):
    one = torch.zeros(256, 256)
    one[1, 1] = 1  # between the pixels that are sampled at 64
    for heatmap in (torch.zeros(256, 256), torch.full((256, 256), 93.0), one):
        shown, token = training_map(heatmap, Box(0, 0, 250, 211), size)
        assert torch.isfinite(shown).all()
        assert (token > 0) == bool(shown.any())
    assert training_map(torch.full((256, 256), 93.0), Box(0, 0, 250, 211), size)[1] == 0


def test_bicubic_is_keys():
    heatmap = torch.from_numpy(BUMP.astype(np.float64))[:100, 60:160]
    keys = F.interpolate(heatmap[None, None], size=(224, 224), mode="bicubic", antialias=True)[0, 0]
    torch.testing.assert_close(importance_maps._bicubic(heatmap, 224), keys, rtol=0, atol=1e-9)


def test_damage(folder):
    path = folder / "train-0"
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 4, 5):
        path.write_bytes(whole[:size])
        with pytest.raises(CornetError, match=r"train-0 ends within record \d; download it again"):
            ClickMe(folder)
    path.write_bytes(whole[:2] + b"\x09" + whole[3:])
    with pytest.raises(
        CornetError, match="damaged at byte 0: the checksum of the length of record 0 differs"
    ):
        ClickMe(folder)
    path.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(CornetError, match="damaged: the checksum of the record at byte 12 differs"):
        ClickMe(folder)[Key(0, 0)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (example(label=3), "lacks an image, a heatmap or a label"),
        (example(image=b"a", heatmap=b"b", label=1000), "label 1000 is not 0 to 999"),
        (clickme(3, BUMP, side=128), "128 x 128 pixels instead of 256 x 256"),
        (example(image=b"a", heatmap=b"b", label=1), "is not an image of ClickMe"),
        (b"\x0a\x7fab", "ends within a field"),
    ],
)
def test_other_content(tmp_path, data, message):
    write(tmp_path / "train-0", data)
    with pytest.raises(CornetError, match=message):
        ClickMe(tmp_path)[Key(0, 0)]


def test_missing_files(folder):
    (folder / "train-0").unlink()
    with pytest.raises(CornetError, match="has no file train-0; download"):
        ClickMe(folder)
    with pytest.raises(CornetError, match="split='test' is unknown"):
        ClickMe(folder, split="test")
