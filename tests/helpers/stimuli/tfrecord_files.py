"""Write TFRecord files of ClickMe's layout, with a checksum computed bit by bit."""

import struct
from pathlib import Path

import numpy as np
import simplejpeg

from tests.helpers.stimuli.pictures import jpeg, picture


def masked(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def number(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(place: int, data: bytes) -> bytes:
    return number(place << 3 | 2) + number(len(data)) + data


def example(**parts: bytes | int) -> bytes:
    entries = b""
    for key, value in parts.items():
        one = field(1, field(1, value)) if isinstance(value, bytes) else field(3, field(1, number(value)))
        entries += field(1, field(1, key.encode()) + field(2, one))
    return field(1, entries)


def clickme(label: int, heatmap: np.ndarray, side: int = 256) -> bytes:
    grey = simplejpeg.encode_jpeg(np.ascontiguousarray(heatmap[..., None]), 95, "GRAY")
    return example(heatmap=grey, image=jpeg(picture(side, side, label)), label=label)


def write(path: Path, *items: bytes) -> Path:
    path.write_bytes(b"".join(map(record, items)))
    return path
