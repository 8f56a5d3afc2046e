"""Decoding against Pillow's, on files of every kind that a folder of photographs may hold."""

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, TiffImagePlugin

from cornet.errors import CornetError
from cornet.stimuli import decode
from cornet.stimuli.decode import BadImage, decode_image
from tests.helpers.stimuli.pictures import encode, jpeg, picture, pillow, png, with_size


def same(data: bytes, tolerance: int = 1) -> np.ndarray:
    """Decode, and compare with Pillow."""
    found, expected = decode_image(data), pillow(data)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= tolerance
    return found


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("shape", [(48, 64), (33, 17), (1, 1), (1, 40)])
def test_jpeg(subsampling: str, shape: tuple[int, int]) -> None:
    same(jpeg(picture(*shape), subsampling))


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {"keep_rgb": True}])
def test_jpeg_variants(options: dict[str, bool]) -> None:
    same(encode(picture(), "JPEG", quality=90, **options))


def test_jpeg_is_close_to_what_was_encoded() -> None:
    image = picture(96, 96)
    assert np.abs(decode_image(jpeg(image, "444", 98)).astype(int) - image).mean() < 2


def test_grey_jpeg_has_three_equal_channels() -> None:
    found = same(encode(Image.fromarray(picture()[..., 0]), "JPEG"))
    assert (found == found[..., :1]).all()


def test_cmyk_jpeg() -> None:
    image = picture(32, 40)
    data = encode(Image.fromarray(image).convert("CMYK"), "JPEG", quality=98)
    assert simplejpeg.decode_jpeg_header(data)[2] in ("CMYK", "YCCK")
    assert np.abs(same(data).astype(int) - image).mean() < 3


def test_damaged_cmyk_jpeg() -> None:
    data = encode(Image.fromarray(picture()).convert("CMYK"), "JPEG")
    with pytest.raises(BadImage, match="damaged"):
        decode_image(data[: len(data) // 2])


def test_exif_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    data = encode(picture(20, 30), "JPEG", exif=exif)
    assert decode_image(data).shape == (20, 30, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_png(mode: str) -> None:
    image = Image.fromarray(picture()).convert(mode)
    found = same(encode(image), tolerance=0)
    assert (found == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode: str) -> None:
    image = Image.fromarray(picture()).convert(mode)
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    alpha[:, 0] = 128
    image.putalpha(Image.fromarray(alpha))
    found = decode_image(encode(image))
    opaque = np.asarray(Image.fromarray(picture()).convert(mode).convert("RGB"))
    assert (found[:, 1:32] == 255).all()
    assert (found[:, 32:] == opaque[:, 32:]).all()
    half = opaque[:, 0] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found[:, 0] - half).max() <= 1


def test_transparent_palette_lies_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    image.paste(1, (4, 0, 8, 8))
    found = decode_image(encode(image, transparency=0))
    assert (found[:, :4] == 255).all()
    assert (found[:, 4:] == [200, 100, 50]).all()


def test_16_bit_grey_png_is_scaled() -> None:
    wide = np.linspace(0, 65535, 32 * 32).round().astype(np.uint16).reshape(32, 32)
    found = decode_image(encode(Image.fromarray(wide)))
    assert (found == np.round(wide / 257).astype(np.uint8)[..., None]).all()


def test_16_bit_colour_png_is_scaled() -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (9, 7, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    found = decode_image(png(7, 9, 16, 2, rows))
    assert np.abs(found.astype(float) - wide / 257).max() <= 1


def test_first_frame_of_an_animation() -> None:
    frames = [Image.fromarray(picture(seed=seed)).quantize(64) for seed in range(3)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode_image(data) == np.asarray(frames[0].convert("RGB"))).all()
    data = encode(Image.fromarray(picture()), save_all=True, append_images=[Image.fromarray(picture(seed=1))])
    assert (decode_image(data) == picture()).all()


@pytest.mark.parametrize("format", ["BMP", "WEBP", "GIF", "TIFF"])
def test_other_formats(format: str) -> None:
    same(encode(picture(), format))


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw", "packbits"])
def test_tiff(compression: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(picture(), "TIFF", **({"compression": compression} if compression else {}))
    assert (decode_image(data) == picture()).all()
    for cut in (5, 30, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(BadImage):
            decode_image(data[:cut])


def test_16_bit_tiff_is_scaled_and_the_first_page_is_taken() -> None:
    wide = np.linspace(0, 65535, 32 * 32).round().astype(np.uint16).reshape(32, 32)
    data = encode(Image.fromarray(wide), "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])
    assert (decode_image(data) == np.round(wide / 257).astype(np.uint8)[..., None]).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_known_white_are_refused(kind: type) -> None:
    with pytest.raises(BadImage, match="its pixels are"):
        decode_image(encode(Image.fromarray(np.ones((8, 8), kind)), "TIFF"))


def test_huge_tiff_tiles_are_refused() -> None:
    tiled = TiffImagePlugin.ImageFileDirectory_v2()
    tiled[TiffImagePlugin.TILEWIDTH] = tiled[TiffImagePlugin.TILELENGTH] = 2**15
    tiled[TiffImagePlugin.TILEOFFSETS], tiled[TiffImagePlugin.TILEBYTECOUNTS] = 8, 100
    for tag, value in {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1}.items():
        tiled[tag] = value
    file = io.BytesIO()
    tiled.save(file)
    with pytest.raises(BadImage, match="32768 x 32768 pixels"):
        decode_image(file.getvalue() + bytes(200))


@pytest.mark.parametrize("colors", [2, 16, 256])
def test_palette_bmp(colors: int) -> None:
    image = Image.fromarray(picture()).quantize(colors)
    assert (decode_image(encode(image, "BMP")) == np.asarray(image.convert("RGB"))).all()


def test_first_frame_of_an_animated_webp() -> None:
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert (decode_image(data) == picture()).all()


def test_bytes_after_the_end_do_no_harm() -> None:
    same(jpeg(picture()) + b"\0" * 100)


@pytest.mark.parametrize("subsampling", ["444", "420"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_truncated_jpeg_is_refused(subsampling: str, progressive: bool) -> None:
    data = encode(
        picture(), "JPEG", quality=90, progressive=progressive, subsampling=0 if subsampling == "444" else 2
    )
    for cut in [*range(0, len(data), 37), len(data) - 2, len(data) - 1]:
        with pytest.raises(BadImage):
            decode_image(data[:cut])


def test_a_truncated_jpeg_with_an_end_marker_is_refused() -> None:
    """Pillow fills this one with grey, and says nothing."""
    data = jpeg(picture(200, 200))
    data = data[: len(data) // 2] + b"\xff\xd9"
    assert (pillow(data)[-1] == pillow(data)[-1, 0]).all()
    with pytest.raises(BadImage, match="damaged"):
        decode_image(data)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP"])
def test_other_truncated_files_are_refused(format: str) -> None:
    data = encode(picture(), format)
    for cut in (5, 30, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(BadImage):
            decode_image(data[:cut])


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    data = bytearray(encode(picture()))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BadImage):
        decode_image(bytes(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all\n" * 20, "not an image"),
        (b"\xff\xd8", "."),
        (b"\xff\xd8\xff\xe0" + b"\0" * 500, "."),
        (b"\0" * 1000, "not an image"),
        (b"<html>404 not found</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
    ],
)
def test_what_is_no_image(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode_image(data)
    assert issubclass(BadImage, CornetError)


def test_bombs_are_refused_by_their_header() -> None:
    bombs = [
        png(60_000, 60_000, 8, 2, b"\0"),
        png(10_001, 10_000, 8, 2, b"\0"),
        with_size(jpeg(picture()), 65_500, 65_500),
        with_size(encode(Image.fromarray(picture()).convert("CMYK"), "JPEG"), 30_000, 30_000),
        encode(picture(), "GIF")[:6] + struct.pack("<HH", 65_535, 65_535) + encode(picture(), "GIF")[10:],
    ]
    for data in bombs:
        with pytest.raises(BadImage, match=r"pixels|bomb"):
            decode_image(data)


def test_the_limit_includes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 48 * 64)
    for data in (jpeg(picture()), encode(picture())):
        assert decode_image(data).shape == (48, 64, 3)
    for data in (jpeg(picture(49, 64)), encode(picture(49, 64))):
        with pytest.raises(BadImage, match=re.escape("64 x 49 pixels")):
            decode_image(data)


def test_real_photographs(shared_data: Path) -> None:
    """All of them as Pillow decodes them, and none of them when half is missing."""
    archive = shared_data / "imagenet-100-originals.zip"
    if not archive.is_file():
        pytest.skip("the photographs are not here")
    with zipfile.ZipFile(archive) as file:
        members = [file.read(name) for name in file.namelist() if not name.endswith("/")]
    assert len(members) == 100
    for data in members:
        found, expected = decode_image(data), pillow(data)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 0.5
        with pytest.raises(BadImage):
            decode_image(data[: len(data) // 2])
