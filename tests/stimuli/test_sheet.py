"""Contact sheets."""

import numpy as np
import pytest
import torch
from PIL import Image

from cornet.errors import CornetError
from cornet.stimuli.sheet import contact_sheet


def test_contact_sheet() -> None:
    images = np.arange(5 * 8 * 8, dtype=np.uint16).astype(np.uint8).reshape(5, 8, 8)
    sheet = contact_sheet(images, 3)
    assert (sheet.mode, sheet.size) == ("L", (3 * 8 + 2 * 2, 2 * 8 + 2))
    laid = np.asarray(sheet)
    assert np.array_equal(laid[:8, 10:18], images[1])
    assert np.array_equal(laid[10:, :8], images[3])
    captioned = contact_sheet(images, 3, list("abcde"))
    assert captioned.mode == "RGB"
    assert captioned.width == sheet.width
    assert captioned.height > sheet.height
    # Colour in any layout, other sizes, tensors and PIL images side by side.
    colour = np.zeros((6, 4, 3), np.uint8)
    colour[..., 0] = 200
    mixed = [images[0], colour, torch.from_numpy(colour).permute(2, 0, 1), Image.fromarray(colour)]
    laid = np.asarray(contact_sheet(mixed, 4, gap=0))
    for k in (1, 2, 3):
        assert (laid[1:7, 8 * k + 2 : 8 * k + 6] == (200, 0, 0)).all()
    many = contact_sheet(
        [np.kron(images[0], np.ones((4, 4), np.uint8))] * 2, 2, ["a very long caption indeed", "b"]
    )
    assert many.width == 2 * 32 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 2), "images is empty"),
        (([np.zeros((4, 4), np.uint8)], 0), "columns=0"),
        (([np.zeros((4, 4))], 1), "Image 0 is float64"),
        (([np.zeros((4, 4), np.uint8)], 1, ["a", "b"]), "labels has 2 captions"),
    ],
)
def test_contact_sheet_bad_input(arguments: tuple, message: str) -> None:
    with pytest.raises(CornetError, match=message):
        contact_sheet(*arguments)
