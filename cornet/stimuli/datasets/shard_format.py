"""Read and write photographs in LitData's shard format, and the index files of the shards.

A shard ("chunk") is a table of 32-bit offsets followed by items. An item has the sizes of its fields, then `image` (the
file's bytes), `index` and `label` (int64) and `name` (text), little-endian. Each split has LitData's `index.json`; the
folder above has `cornet-index.json`, with the name of the data set, the image counts and the hashes.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.hashing import content_hash
from cornet.stimuli.draws import bits

__all__ = [
    "DESCRIPTION",
    "Item",
    "ShardSet",
    "item_at",
    "item_offsets",
    "litdata_index",
    "pack",
    "shard_name",
]

DESCRIPTION = "cornet-index.json"

LARGEST = 2**32 - 1


class Item(NamedTuple):
    """One image: bytes of the file, index in the split, class label, and path in the original folder."""

    image: bytes
    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    label: int
    name: str


def pack(items: Sequence[Item]) -> bytes:
    """Encode a shard. Raises CornetError if it exceeds the format's limit."""
    encoded = [_encode(item) for item in items]
    header = 4 * (len(items) + 2)
    ends = header + np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] > LARGEST:
        raise CornetError(
            f"a shard of {len(items)} images would have {ends[-1]:,} bytes, but LitData allows at most "
            f"{LARGEST:,}; reduce --images-per-shard."
        )
    table = np.concatenate([[len(items)], ends]).astype("<u4")
    return b"".join([table.tobytes(), *encoded])


def _encode(item: Item) -> bytes:
    name = item.name.encode("utf-8", "replace")
    sizes = np.array([len(item.image), 8, 8, len(name)], "<u4")
    return sizes.tobytes() + item.image + np.array([item.index, item.label], "<i8").tobytes() + name


def item_offsets(table: bytes) -> NDArray[np.uint32]:
    """Offsets of a shard's items and of its end, (items + 1,), from its first bytes."""
    count = int(np.frombuffer(table, "<u4", 1)[0])
    return np.frombuffer(table, "<u4", count + 1, offset=4)


def item_at(data: bytes) -> Item:
    """Decode an item. Raises ValueError if the bytes are not an item."""
    sizes = np.frombuffer(data, "<u4", 4).astype(np.int64)
    a, _, c, d = 16 + np.cumsum(sizes)
    if d != len(data) or sizes[1] != 8 or sizes[2] != 8:
        raise ValueError("not an item of a shard")
    index, label = np.frombuffer(data, "<i8", 2, offset=int(a))
    return Item(data[16:a], int(index), int(label), data[c:d].decode("utf-8"))


def shard_name(number: int) -> str:
    """LitData's name of a shard."""
    return f"chunk-0-{number}.bin"


def litdata_index(sizes: Sequence[int], counts: Sequence[int]) -> str:
    """LitData's index.json. sizes: bytes per shard; counts: images per shard."""
    leaf: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
    fields = ["image", "index", "label", "name"]
    spec = [
        1,
        {"type": "builtins.dict", "context": json.dumps(fields), "children_spec": [leaf] * len(fields)},
    ]
    kinds = ["bytes", "int", "int", "str"]
    config = {
        "chunk_bytes": None,
        "chunk_size": max(counts, default=0),
        "compression": None,
        "compression_batch_size": None,
        "compression_level": None,
        "data_format": kinds,
        "data_spec": json.dumps(spec),
        "encryption": None,
        "ipc_compression": None,
        "item_loader": "PyTreeLoader",
        "types": dict(zip(fields, kinds, strict=True)),
    }
    chunks = [
        {"chunk_bytes": size, "chunk_size": count, "dim": None, "filename": shard_name(number)}
        for number, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]
    return json.dumps({"chunks": chunks, "config": config}, sort_keys=True)


@dataclass
class ShardSet:
    """Content of `cornet-index.json`.

    name: of the data set. source: the original folder. classes: in label order. counts: images of each class, per
    split. per_shard: images per shard (the last one of a split has the rest). sizes, hashes: of each shard, per split.
    digest: hash of all of these. complete: all shards were written and verified.
    """

    name: str
    source: str
    classes: list[str]
    counts: dict[str, list[int]]
    per_shard: int
    sizes: dict[str, list[int]] = field(default_factory=dict)
    hashes: dict[str, list[str]] = field(default_factory=dict)
    digest: str = ""
    complete: bool = False

    @classmethod
    def parse(cls, data: bytes, where: str) -> "ShardSet":
        """Parse the file. Raises CornetError, which names `where`, for invalid content."""
        try:
            return cls(**json.loads(data)).checked()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CornetError(
                f"{where} does not describe shards ({error}); write them again with `cornet prepare ... --shards`."
            ) from None

    def checked(self) -> "ShardSet":
        """Return self. Raises TypeError, ValueError or KeyError for invalid or inconsistent fields."""
        if not isinstance(self.name, str) or not isinstance(self.source, str):
            raise TypeError("name and source must be text")
        if not isinstance(self.classes, list) or not all(isinstance(name, str) for name in self.classes):
            raise TypeError("classes must be a list of text")
        if type(self.per_shard) is not int or self.per_shard < 1:
            raise TypeError(f"per_shard is {self.per_shard!r}")
        for split in ("train", "val"):
            counts, sizes = self.counts[split], self.sizes[split] if self.complete else []
            if not all(type(number) is int and 0 <= number < 2**40 for number in (*counts, *sizes)):
                raise TypeError(f"the counts or sizes of {split} are not whole numbers")
            if len(counts) != len(self.classes):
                raise ValueError(f"{split} has {len(counts)} counts for {len(self.classes)} classes")
            if self.complete and (self.shards(split) != len(sizes) or self.images(split) * 8 > sum(sizes)):
                raise ValueError(f"{split} has {len(sizes)} shards, too few or too small for its images")
            hashes = self.hashes[split] if self.complete else []
            if len(hashes) != len(sizes) or not all(map(re.compile("[0-9a-f]{16}").fullmatch, hashes)):
                raise ValueError(f"{split} has {len(sizes)} shards, but not a valid hash for each")
        return self

    def dump(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def fingerprint(self) -> str:
        """Hash of the images in their order, class names and shard layout."""
        content = [self.name, self.classes, self.counts, self.per_shard, self.hashes]
        return content_hash(json.dumps(content, sort_keys=True).encode())

    def images(self, split: str) -> int:
        return sum(self.counts[split])

    def shards(self, split: str) -> int:
        return -(-self.images(split) // self.per_shard)

    def order(self, split: str) -> NDArray[np.int64]:
        """Image indices in the order of the shards. Training images are shuffled once."""
        count = self.images(split)
        if split != "train":
            return np.arange(count)
        return np.argsort(bits("shards", np.arange(count, dtype=np.uint64)), kind="stable")
