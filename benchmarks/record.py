"""What the programs that time training steps share: their device, and the record that they leave."""

import datetime
import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

import torch

from cornet.files import atomic_write
from cornet.runs.provenance import versions


def device_named(name: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def processor() -> str:
    """The model's name, as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "CPU"


def without_places(argument: str) -> str:
    """An argument without the folders of a machine: /a/b/runs as runs, data.folder=/a/b as data.folder=b."""
    return re.sub(r"(?<![\w.~])~?/(?:[^/\s=:,]+/)*(?=[^/\s=:,]+)", "", argument)


def write_record(path: Path, device: torch.device, beside: str, **content: Any) -> None:
    """JSON with date, command, hardware and versions before what was found. beside: what else ran on the machine."""
    program = Path(sys.argv[0]).name
    about = {
        "date": str(datetime.date.today()),
        "command": " ".join(["python", f"benchmarks/{program}", *map(without_places, sys.argv[1:])]),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "beside": beside,
        "made_with": versions(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({**about, **content}, indent=1) + "\n")
