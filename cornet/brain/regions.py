"""The regions of the ventral stream, in the order of processing. No other module lists them.

Names of further regions, such as FFA, are allowed wherever a region is named: in bundles, in the areas of a network,
and as keys of `layers`. Areas of a network are defined by its family (`cornet.models.area_table.Area`).
"""

__all__ = ["BEHAVIOUR", "REGIONS", "in_order"]

REGIONS = ("V1", "V2", "V4", "IT")
"""Regions with public data and in the simulated brain."""

BEHAVIOUR = "behaviour"
"""In place of a region, for benchmarks of choices."""


def in_order(region: str) -> int:
    """Sort key: the known regions from V1 on, then behaviour, then all others."""
    known = (*REGIONS, BEHAVIOUR)
    return known.index(region) if region in known else len(known)
