"""The networks of the registry: the CORnet family, and arguments that make any of them small."""

from typing import Any

__all__ = ["CORNETS", "small_arguments"]

CORNETS = ("cornet_r", "cornet_rt", "cornet_s", "cornet_z")


def small_arguments(name: str, width: float = 0.1) -> dict[str, Any]:
    """Arguments of a network that is fast on images of 32 to 64 pixels. width: of networks that have one."""
    return {"size": 32, "per_size": 8} if name == "hmax" else {"width": width}
