"""Read TFRecord files of protobuf Examples without TensorFlow.

A record is a length (uint64), the masked CRC-32C of the length, the data, and their masked CRC-32C, little-endian. The
data are an Example: field 1, Features; in it field 1, map entries: key (1) and Feature (2), which holds a list of
bytes (1), floats (2) or integers (3).
"""

import os
import struct
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.files import file_error
from cornet.opening import open_regular

__all__ = ["MAX_RECORD", "crc32c", "masked_crc", "parse_example", "read_record", "record_index"]

MAX_RECORD = 16 * 2**20
"""Largest record in bytes that is read; ClickMe's have about 30,000."""

_BLOCK = 512
_HEADER = 12
_FOOTER = 4
_REMEDY = "download it again"


def record_index(path: Path) -> NDArray[np.int64]:
    """Return position and length of the data of each record, (record, 2), from the headers alone.

    Raises CornetError if a header is damaged, a record is too long, or the file ends within a record.
    """
    found: list[tuple[int, int]] = []
    place = 0
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            while place < size:
                file.seek(place)
                header = file.read(_HEADER)
                if len(header) < _HEADER:
                    raise CornetError(f"{path} ends within record {len(found)}; {_REMEDY}.")
                length, crc = struct.unpack("<QI", header)
                if masked_crc(header[:8]) != crc:
                    raise CornetError(
                        f"{path} is damaged at byte {place}: the checksum of the length of record {len(found)} "
                        f"differs; {_REMEDY}."
                    )
                if length > MAX_RECORD:
                    raise CornetError(
                        f"record {len(found)} of {path} has {length:,} bytes, but at most {MAX_RECORD:,} are read; "
                        "check that it is a file of images."
                    )
                if place + _HEADER + length + _FOOTER > size:
                    raise CornetError(f"{path} ends within record {len(found)}; {_REMEDY}.")
                found.append((place + _HEADER, length))
                place += _HEADER + length + _FOOTER
    except OSError as error:
        raise file_error(error) from None
    return np.array(found, np.int64).reshape(-1, 2)


def read_record(path: Path, place: int, length: int) -> bytes:
    """Return the data of a record from `record_index`. Raises CornetError if their checksum differs."""
    try:
        with open_regular(path) as file:
            file.seek(place)
            data = file.read(length + _FOOTER)
    except OSError as error:
        raise file_error(error) from None
    if len(data) < length + _FOOTER or masked_crc(data[:length]) != int.from_bytes(data[length:], "little"):
        raise CornetError(
            f"{path} is damaged: the checksum of the record at byte {place} differs; {_REMEDY}."
        )
    return data[:length]


def parse_example(data: bytes) -> dict[str, list[bytes] | list[int]]:
    """Decode the lists of bytes and of integers of an Example, by key. Raises ValueError for other data.

    Lists of floats are left out.
    """
    found: dict[str, list[bytes] | list[int]] = {}
    for features in _chosen(data, 1):
        for entry in _chosen(features, 1):
            key = b"".join(_chosen(entry, 1)[-1:]).decode("utf-8")
            for feature in _chosen(entry, 2):
                for number, value in _fields(feature):
                    if number == 1 and isinstance(value, bytes):
                        found[key] = _chosen(value, 1)
                    elif number == 3 and isinstance(value, bytes):
                        found[key] = _integers(value)
    return found


def _chosen(data: bytes, number: int) -> list[bytes]:
    """The values with a length of one field."""
    return [value for one, value in _fields(data) if one == number and isinstance(value, bytes)]


def _integers(data: bytes) -> list[int]:
    """The int64 values of an Int64List, packed or not."""
    values: list[int] = []
    for number, value in _fields(data):
        if number != 1:
            continue
        if isinstance(value, int):
            values.append(value)
            continue
        place = 0
        while place < len(value):
            one, place = _varint(value, place)
            values.append(one)
    return [value - 2**64 if value >= 2**63 else value for value in values]


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a message. Raises ValueError if it ends within a field."""
    found: list[tuple[int, int | bytes]] = []
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            found.append((tag >> 3, value))
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {kind}")
        if place + length > len(data):
            raise ValueError("it ends within a field")
        found.append((tag >> 3, data[place : place + length]))
        place += length
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and the place after it."""
    value = 0
    for k in range(10):
        if place + k >= len(data):
            raise ValueError("it ends within a number")
        value |= (data[place + k] & 127) << 7 * k
        if data[place + k] < 128:
            return value & (2**64 - 1), place + k + 1
    raise ValueError("it has a number of more than 64 bits")


def masked_crc(data: bytes) -> int:
    """The checksum that TFRecord files store: CRC-32C, rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return CRC-32C (Castagnoli) of bytes.

    A CRC is linear: what a byte adds depends only on its value and its distance from the end. A table of 512 distances
    reduces each block to one number; blocks are then combined one after the other (100 MB/s or more).
    """
    table = _table()
    lead = -len(data) % _BLOCK  # zeros in front add nothing
    padded = np.zeros(lead + len(data), np.uint8)
    padded[lead:] = np.frombuffer(data, np.uint8)
    blocks = padded.reshape(-1, _BLOCK)
    parts = np.bitwise_xor.reduce(table[np.arange(_BLOCK), blocks], axis=1)
    start, crc = _shifted(0xFFFFFFFF, len(data)), 0
    for part in parts.tolist():
        crc = _shifted(crc, _BLOCK) ^ part
    return crc ^ start ^ 0xFFFFFFFF


def _shifted(crc: int, zeros: int) -> int:
    """The CRC after further zero bytes."""
    table = _rows()
    while zeros >= 4:
        step = min(zeros, _BLOCK)
        first, second, third, fourth = table[step - 4 : step]
        crc = fourth[crc & 255] ^ third[crc >> 8 & 255] ^ second[crc >> 16 & 255] ^ first[crc >> 24]
        zeros -= step
    for _ in range(zeros):
        crc = crc >> 8 ^ table[0][crc & 255]
    return crc


@cache
def _rows() -> list[list[int]]:
    """CRC of a byte that is followed by 0, 1, ... 511 zeros, by value."""
    values: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> np.uint32(1)) ^ (values & np.uint32(1)) * np.uint32(0x82F63B78)
    rows = [values]
    while len(rows) < _BLOCK:
        rows.append(rows[-1] >> 8 ^ values[rows[-1] & 255])
    return [row.tolist() for row in rows]


@cache
def _table() -> NDArray[np.uint32]:
    """The same by place in a block, (512, 256)."""
    return np.array(_rows()[::-1], np.uint32)
