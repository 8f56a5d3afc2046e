"""Write a ZIP archive of stored (uncompressed) entries that can be continued after a killed process.

Each entry is written completely, with its size and CRC, before the next. What is in the archive is known from the list
of entries, which the caller keeps; the central directory is written at the end. Entries have no time, so that equal
images give equal archives. ZIP64 is used where sizes or counts need it.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["StoredEntry", "finish", "write_entry"]

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
END = struct.Struct("<4s4H2IH")
DATE = (1980 - 1980) << 9 | 1 << 5 | 1
"""1 January 1980, the earliest date of a ZIP archive."""

UTF8 = 0x800
REGULAR = 0o100644 << 16
LARGE, MANY = 0xFFFFFFFF, 0xFFFF


@dataclass(frozen=True)
class StoredEntry:
    """An entry of the archive. offset: of its local header."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def start(self) -> int:
        """Position of its data."""
        return self.offset + LOCAL.size + len(self.name.encode())

    @property
    def end(self) -> int:
        return self.start + self.size


def write_entry(file: BinaryIO, name: str, data: bytes, offset: int) -> StoredEntry:
    """Write an entry at `offset` of an open file. Raises OSError."""
    entry = StoredEntry(name, len(data), zlib.crc32(data), offset)
    text = name.encode()
    head = LOCAL.pack(b"PK\3\4", 20, UTF8, 0, 0, DATE, entry.crc, entry.size, entry.size, len(text), 0)
    file.seek(offset)
    file.write(head + text)
    file.write(data)
    return entry


def finish(file: BinaryIO, entries: list[StoredEntry]) -> None:
    """Write the central directory after the last entry, and end the file there."""
    start = entries[-1].end if entries else 0
    file.seek(start)
    for entry in entries:
        text, far = entry.name.encode(), entry.offset >= LARGE
        extra = struct.pack("<2HQ", 1, 8, entry.offset) if far else b""
        version = 45 if far else 20
        numbers = (entry.crc, entry.size, entry.size, len(text), len(extra), 0, 0, 0, REGULAR)
        offset = LARGE if far else entry.offset
        file.write(CENTRAL.pack(b"PK\1\2", 3 << 8 | version, version, UTF8, 0, 0, DATE, *numbers, offset))
        file.write(text + extra)
    size, count = file.tell() - start, len(entries)
    if start >= LARGE or size >= LARGE or count >= MANY:
        position = file.tell()
        file.write(END64.pack(b"PK\6\6", END64.size - 12, 45, 45, 0, 0, count, count, size, start))
        file.write(LOCATOR.pack(b"PK\6\7", 0, position, 1))
    shown = min(count, MANY)
    file.write(END.pack(b"PK\5\6", 0, 0, shown, shown, min(size, LARGE), min(start, LARGE), 0))
    file.truncate()
