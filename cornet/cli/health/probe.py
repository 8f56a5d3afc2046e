"""Import PyTorch, torchvision and Lightning and print as JSON what they say. Run in a process of its own.

A broken installation can end the process that imports it. Imports nothing of cornet, so that it can be run as a file.
"""

import importlib
import json
import sys
import warnings
from typing import Any

MODULES = ("torch", "torchvision", "pytorch_lightning")


def probe() -> dict[str, Any]:
    """Return {module: {version or error}}, and "cuda": what PyTorch says about GPUs."""
    found: dict[str, Any] = {}
    for name in MODULES:
        try:
            found[name] = {"version": str(importlib.import_module(name).__version__)}
        except BaseException as error:  # an import of a broken installation raises anything
            lines = [line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
            missing = isinstance(error, ModuleNotFoundError) and error.name == name
            found[name] = {"error": lines[0][:300], "missing": missing}
            if name == "torch":
                return found
    found["cuda"] = cuda()
    return found


def cuda() -> dict[str, Any]:
    """Return the CUDA version that PyTorch was built for, and its devices."""
    import torch

    answer: dict[str, Any] = {
        "built": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "devices": [],
    }
    try:
        answer["available"] = torch.cuda.is_available()
        for number in range(torch.cuda.device_count() if answer["available"] else 0):
            facts = torch.cuda.get_device_properties(number)
            answer["devices"].append(
                {
                    "name": facts.name,
                    "memory": facts.total_memory,
                    "capability": f"{facts.major}.{facts.minor}",
                    "bf16": facts.major >= 8,
                    "architectures": torch.cuda.get_arch_list(),
                }
            )
    except Exception as error:  # the driver refuses
        answer |= {"available": False, "error": str(error).splitlines()[0][:300]}
    return answer


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n" + json.dumps(probe()))
    sys.stdout.flush()
