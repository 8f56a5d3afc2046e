"""Checkpoints in which a piece of a pickle, of our choice, stands beside the weights or among them."""

import io
from pathlib import Path
from typing import Any

import torch

from tests.helpers.faults.malformed import members, packed

PLACE = "PLACE-OF-THE-PIECE"


def text(value: str) -> bytes:
    """The operation that pushes a text."""
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def content_with(value: Any, state: dict[str, torch.Tensor], inside: bool = False) -> dict[str, Any]:
    """A value beside the weights, or inside the dict of weights."""
    return (
        {"state_dict": {**state, "odd": value}} if inside else {"state_dict": state, "odd": value, "epoch": 3}
    )


def file_with(
    piece: bytes, path: Path, state: dict[str, torch.Tensor], inside: bool = False, old: bool = False
) -> Path:
    """Write a file of torch.save whose pickle holds `piece`, operations that push one value."""
    out = io.BytesIO()
    torch.save(content_with(PLACE, state, inside), out, _use_new_zipfile_serialization=not old)
    whole = out.getvalue()
    if old:
        path.write_bytes(put(piece, whole))
        return path
    records = members(whole)
    inner = next(name for name in records if name.endswith("data.pkl"))
    records[inner] = put(piece, records[inner])
    path.write_bytes(packed([[name, data, 0, 0] for name, data in records.items()]))
    return path


def put(piece: bytes, pickled: bytes) -> bytes:
    assert pickled.count(text(PLACE)) == 1
    return pickled.replace(text(PLACE), piece)
