"""Photographs in LitData's shards: the bytes of a shard, and the files beside the shards.

A shard ("chunk") is a table of 32-bit offsets, then items; an item is the sizes of its fields, then `image` (the file's
bytes), `index` and `label` (int64), `name` (text), little-endian. LitData's `index.json` lies beside a split's shards;
`cornet-index.json` beside the splits names the data set and has the order of images and hashes.
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

__all__ = ["DESCRIPTION", "Item", "ShardSet", "item_at", "litdata_index", "pack", "places", "shard_name"]

DESCRIPTION = "cornet-index.json"

LARGEST = 2**32 - 1


class Item(NamedTuple):
    """One image: its file's bytes, its position in the split and class, and its path in the original folder."""

    image: bytes
    index: int  # type: ignore[assignment]  # tuples have a method of that name, which nobody calls here
    label: int
    name: str


def pack(items: Sequence[Item]) -> bytes:
    """The bytes of a shard. Raises CornetError where they are more than the format can hold."""
    encoded = [_encode(item) for item in items]
    header = 4 * (len(items) + 2)
    ends = header + np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] > LARGEST:
        raise CornetError(
            f"a shard of {len(items)} images would have {ends[-1]:,} bytes, and LitData's have at most {LARGEST:,}; "
            "make --images-per-shard smaller."
        )
    table = np.concatenate([[len(items)], ends]).astype("<u4")
    return b"".join([table.tobytes(), *encoded])


def _encode(item: Item) -> bytes:
    name = item.name.encode("utf-8", "replace")
    sizes = np.array([len(item.image), 8, 8, len(name)], "<u4")
    return sizes.tobytes() + item.image + np.array([item.index, item.label], "<i8").tobytes() + name


def places(table: bytes) -> NDArray[np.uint32]:
    """Where the items of a shard begin and the last one ends, from its first bytes: (items + 1,)."""
    count = int(np.frombuffer(table, "<u4", 1)[0])
    return np.frombuffer(table, "<u4", count + 1, offset=4)


def item_at(data: bytes) -> Item:
    """An item from its own bytes. Raises ValueError where they are not an item's."""
    sizes = np.frombuffer(data, "<u4", 4).astype(np.int64)
    a, _, c, d = 16 + np.cumsum(sizes)
    if d != len(data) or sizes[1] != 8 or sizes[2] != 8:
        raise ValueError("not an item of a shard")
    index, label = np.frombuffer(data, "<i8", 2, offset=int(a))
    return Item(data[16:a], int(index), int(label), data[c:d].decode("utf-8"))


def shard_name(number: int) -> str:
    """As LitData calls its files."""
    return f"chunk-0-{number}.bin"


def litdata_index(sizes: Sequence[int], counts: Sequence[int]) -> str:
    """LitData's index.json of shards of so many bytes with so many images."""
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
    """What `cornet-index.json` says.

    name: of the data set. source: the folder of which they were made. classes: in label order. counts: images of
    each class, per split. per_shard: images a shard, the last one of a split having what is left. sizes, hashes: of
    each shard, per split. digest: of all of it. complete: all are there and were verified.
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
        """where: named in the CornetError that is raised where these are no such bytes."""
        try:
            return cls(**json.loads(data)).checked()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CornetError(
                f"{where} is no description of shards ({error}); write them again with `cornet prepare ... --shards`."
            ) from None

    def checked(self) -> "ShardSet":
        """Itself. Raises TypeError, ValueError or KeyError for parts that do not belong together."""
        if not isinstance(self.name, str) or not isinstance(self.source, str):
            raise TypeError("name and source must be text")
        if not isinstance(self.classes, list) or not all(isinstance(one, str) for one in self.classes):
            raise TypeError("classes must be a list of text")
        if type(self.per_shard) is not int or self.per_shard < 1:
            raise TypeError(f"per_shard is {self.per_shard!r}")
        for split in ("train", "val"):
            counts, sizes = self.counts[split], self.sizes[split] if self.complete else []
            if not all(type(one) is int and 0 <= one < 2**40 for one in (*counts, *sizes)):
                raise TypeError(f"the counts or sizes of {split} are no whole numbers")
            if len(counts) != len(self.classes):
                raise ValueError(f"{split} has {len(counts)} counts for {len(self.classes)} classes")
            if self.complete and (self.shards(split) != len(sizes) or self.images(split) * 8 > sum(sizes)):
                raise ValueError(f"{split} has {len(sizes)} shards, too few or too small for its images")
            hashes = self.hashes[split] if self.complete else []
            if len(hashes) != len(sizes) or not all(map(re.compile("[0-9a-f]{16}").fullmatch, hashes)):
                raise ValueError(f"{split} has {len(sizes)} shards, and not a hash for each")
        return self

    def dump(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def fingerprint(self) -> str:
        """Of the images in their order: differs where any image, name of a class or place does."""
        told = [self.name, self.classes, self.counts, self.per_shard, self.hashes]
        return content_hash(json.dumps(told, sort_keys=True).encode())

    def images(self, split: str) -> int:
        return sum(self.counts[split])

    def shards(self, split: str) -> int:
        return -(-self.images(split) // self.per_shard)

    def order(self, split: str) -> NDArray[np.int64]:
        """The images in the order of the shards. Training images are shuffled once."""
        count = self.images(split)
        if split != "train":
            return np.arange(count)
        return np.argsort(bits("shards", np.arange(count, dtype=np.uint64)), kind="stable")
