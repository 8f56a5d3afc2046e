"""Names and groups of the benchmarks, for messages and for the completion of command lines. Imports no PyTorch."""

from cornet.brain.regions import REGIONS

__all__ = ["BENCHMARKS", "GROUPS"]

GROUPS = {
    "public": (
        "freemanziemba2013.V1",
        "freemanziemba2013.V2",
        "majajhong2015.V4",
        "majajhong2015.IT",
        "rajalingham2018-i2n",
        "kar2019-ost",
    ),
    "majajhong2015": ("majajhong2015.V4", "majajhong2015.IT"),
    "freemanziemba2013": ("freemanziemba2013.V1", "freemanziemba2013.V2"),
    "simulated": (*(f"simulated.{region}" for region in REGIONS), "simulated-i2n", "simulated-ost"),
}
"""Benchmarks of each group."""

BENCHMARKS = (
    *GROUPS["public"],
    *GROUPS["simulated"],
    "rajalingham2018-i2n-heldout",
    "simulated-i2n-heldout",
    "simulated.V1-activity_maps",
    "simulated.V2-activity_maps",
    "geirhos-error-consistency",
    "cowley2026.V4-pls",
)
"""Every benchmark with a name, as `cornet.brain.list_benchmarks` opens them."""
