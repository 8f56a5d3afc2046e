"""Words for the inputs and the areas of a run, from its finished.json."""

from collections.abc import Mapping
from typing import Any

__all__ = ["inputs_of", "span_of"]


def inputs_of(summary: Mapping[str, Any]) -> str:
    """What the network is shown: "images", or such as "odours"."""
    return str(summary.get("inputs") or "images")


def span_of(summary: Mapping[str, Any]) -> str:
    """The areas whose steps are listed, as "from V1 to IT", or "of output"."""
    areas = summary.get("areas")
    if not isinstance(areas, list) or not areas:
        return "from V1 to IT"
    return f"from {areas[0]} to {areas[-1]}" if len(areas) > 1 else f"of {areas[0]}"
