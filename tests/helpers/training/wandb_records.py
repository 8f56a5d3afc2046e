"""Reading back what Weights & Biases wrote to disk."""

import json
import struct
import time
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2


def end_of_process() -> None:
    """What wandb does when a process ends."""
    wandb.finish()
    wandb.teardown()


def records(path: Path):
    """What a .wandb file holds: protobuf records in LevelDB's log format (blocks of 32 KiB; crc, length, kind)."""
    data, position, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if position + 7 + length > len(data):
            return  # it is still being written
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def finished(path: Path) -> list[Any]:
    """All records, once the last is written: that is a moment after `wandb.finish` has returned."""
    for _ in range(200):
        found = [*records(path)]
        if found and found[-1].HasField("exit"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} has no end")


def row(history: Any) -> dict[str, str]:
    return {item.key or "/".join(item.nested_key): item.value_json for item in history.item}


def rows(found: list[Any]) -> list[dict[str, str]]:
    """Everything that was logged, a row a call: JSON by name."""
    return [row(r.history) for r in found if r.HasField("history")]


def media(found: list[Any]) -> dict[str, dict[str, Any]]:
    """Pictures and tables: what is told of each, by name."""
    told: dict[str, dict[str, Any]] = {}
    for item in (item for r in found if r.HasField("history") for item in r.history.item):
        if len(item.nested_key) == 2:
            told.setdefault(item.nested_key[0], {})[item.nested_key[1]] = json.loads(item.value_json)
    return told


def definitions(found: list[Any]) -> dict[str, Any]:
    """How metrics are plotted, by name."""
    told = [r.metric for r in found if r.HasField("metric")]
    return {m.glob_name or m.name.replace("\\.", "."): m for m in told}


def configuration(found: list[Any]) -> dict[str, str]:
    """JSON by the first key."""
    updates = [r.config if r.HasField("config") else r.run.config for r in found]
    return {item.key or item.nested_key[0]: item.value_json for update in updates for item in update.update}


def run_of(found: list[Any]) -> Any:
    """How the run is called."""
    return next(r.run for r in found if r.WhichOneof("record_type") == "run")
