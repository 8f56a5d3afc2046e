"""Whether PyTorch, torchvision and Lightning can be imported, and whether they reach the GPUs."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from cornet.cli.health.check import NOTE, OK, PROBLEM, Check, gibibytes

__all__ = ["driver_cuda", "gpus", "imports", "nvidia_gpus", "probed"]

SECONDS = 120
TITLES = {"torch": "PyTorch", "torchvision": "torchvision", "pytorch_lightning": "Lightning"}
INSTALL = {
    "torch": "torch torchvision",
    "torchvision": "torch torchvision",
    "pytorch_lightning": "pytorch-lightning",
}
OLDEST_BF16 = "8.0"


@cache
def probed() -> dict[str, Any]:
    """Return what `cornet.cli.health.probe` prints, or {"crash": why it could not}."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("probe.py"))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"crash": f"the import did not end within {SECONDS} s"}
    if done.returncode < 0:
        return {"crash": f"the import was ended by {signal.Signals(-done.returncode).name}"}
    try:
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"crash": last[:300]}


def imports() -> list[Check]:
    """Check that the three packages can be imported."""
    found = probed()
    if "crash" in found:
        again = "install PyTorch again: pip install --force-reinstall torch torchvision"
        return [Check("PyTorch", PROBLEM, found["crash"], again)]
    checks = []
    for name, title in TITLES.items():
        one = found.get(name)
        if one is None:
            checks.append(Check(title, NOTE, "not checked, as it needs PyTorch"))
        elif "version" in one:
            checks.append(Check(title, OK, f"{one['version']} can be imported", "", one))
        elif one["missing"]:
            checks.append(Check(title, PROBLEM, "missing", f"pip install {INSTALL[name]}", one))
        else:
            again = f"install matching versions again: pip install --force-reinstall {INSTALL[name]}"
            checks.append(Check(title, PROBLEM, f"cannot be imported ({one['error']})", again, one))
    return checks


def gpus() -> list[Check]:
    """Check the GPUs: what the driver lists, and what PyTorch reaches."""
    cards, cuda = nvidia_gpus(), probed().get("cuda")
    if cuda is None:
        text = (
            f"{len(cards)} of NVIDIA; not checked further, as PyTorch cannot be imported"
            if cards
            else "none found"
        )
        return [Check("GPU", NOTE, text)]
    return judged(cards, driver_cuda() if cards else None, cuda, os.environ.get("CUDA_VISIBLE_DEVICES"))


def judged(
    cards: list[dict[str, str]], driver: str | None, cuda: dict[str, Any], visible: str | None
) -> list[Check]:
    """Compare the driver's list with PyTorch's.

    cards: from `nvidia_gpus`. driver: the newest CUDA that the driver supports. cuda: from the probe. visible: the
    environment variable CUDA_VISIBLE_DEVICES.
    """
    values = {"driver": cards, "driver_cuda": driver, "torch": cuda}
    if cuda.get("available"):
        return [_device(number, one, cards, driver, cuda) for number, one in enumerate(cuda["devices"])]
    if not cards:
        built = (
            f"PyTorch is built for CUDA {cuda['built']}"
            if cuda.get("built")
            else "PyTorch is built for the CPU"
        )
        return [Check("GPU", NOTE, f"none found, so networks run on the CPU ({built})", "", values)]
    names = ", ".join(card["name"] for card in cards)
    if visible is not None and visible.strip() in ("", "-1"):
        remedy = "unset CUDA_VISIBLE_DEVICES to use them"
        return [Check("GPU", NOTE, f"{names}: hidden by CUDA_VISIBLE_DEVICES={visible!r}", remedy, values)]
    if not cuda.get("built"):
        reason, remedy = (
            "PyTorch is built for the CPU",
            "install a build for CUDA, see https://pytorch.org/get-started",
        )
    elif driver is not None and _major(driver) < _major(cuda["built"]):
        reason = f"the driver supports CUDA up to {driver}, and PyTorch is built for {cuda['built']}"
        remedy = f"update the driver, or install PyTorch for CUDA {_major(driver)}"
    else:
        reason = cuda.get("error") or "PyTorch does not reach it"
        remedy = "run nvidia-smi; in a container, start it with access to the GPUs (docker run --gpus all)"
    return [Check("GPU", PROBLEM, f"{names} cannot be used: {reason}", remedy, values)]


def _device(
    number: int, one: dict[str, Any], cards: list[dict[str, str]], driver: str | None, cuda: dict[str, Any]
) -> Check:
    version = cards[0]["driver"] if cards else "of unknown version"
    free = (
        next((card["free"] for card in cards if card["name"] == one["name"]), "") if len(cards) == 1 else ""
    )
    text = (
        f"{one['name']}, {gibibytes(one['memory'])}{f' ({free} free)' if free else ''}, driver {version} "
        f"(CUDA up to {driver or 'unknown'}), PyTorch for CUDA {cuda['built']}, bf16 {'yes' if one['bf16'] else 'no'}"
    )
    values = {**one, "driver": version, "driver_cuda": driver, "built": cuda["built"]}
    if not one["bf16"]:
        has = f"bf16 needs capability {OLDEST_BF16}, and it has {one['capability']}"
        remedy = f"set recipe.precision=16-mixed or 32-true: {has}"
        return Check(f"GPU {number}", NOTE, text, remedy, values)
    return Check(f"GPU {number}", OK, text, "", values)


def nvidia_gpus() -> list[dict[str, str]]:
    """Return name, memory, free memory and driver of the GPUs that nvidia-smi lists."""
    lines = _lines(
        "nvidia-smi", "--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader"
    )
    rows = [[part.strip() for part in line.split(",")] for line in lines]
    return [
        dict(zip(("name", "memory", "free", "driver"), row, strict=True)) for row in rows if len(row) == 4
    ]


def driver_cuda() -> str | None:
    """Return the newest CUDA version that the driver supports, from the head of nvidia-smi's table."""
    match = re.search(r"CUDA(?: UMD)? Version:\s*([\d.]+)", "\n".join(_lines("nvidia-smi")))
    return match[1] if match else None


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _lines(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line.strip()]
