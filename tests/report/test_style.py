"""Colours of regions."""

from cornet.report.style import MORE_COLOURS, OTHER, region_colours

KNOWN = {"V1": "#b07d2b", "V2": "#3c8d53", "V4": "#1b6ca8", "IT": "#d1495b", "behaviour": "#6b4c9a"}


def test_the_known_regions_have_their_colours_whatever_else_is_shown():
    assert region_colours(KNOWN) == KNOWN
    assert {**region_colours([*KNOWN, "FFA", "A"]), **KNOWN} == region_colours(["A", "FFA", *KNOWN])
    assert region_colours([""]) == {"": OTHER}


def test_up_to_eight_other_regions_have_distinct_colours():
    names = ["FFA", "A", "B", "V3", "LOC", "PIT", "EBA", "PPA"]
    colours = region_colours(names)
    assert set(colours.values()) == set(MORE_COLOURS)
    assert not set(MORE_COLOURS) & {*KNOWN.values(), OTHER}
    assert region_colours(reversed(names)) == colours
    assert len(region_colours([*names, "ninth"])) == 9


def test_the_colour_of_a_region_follows_from_its_name():
    alone = {name: region_colours([name])[name] for name in ("FFA", "A", "LOC")}
    assert alone == {"FFA": "#e08a4a", "A": "#7a3b1d", "LOC": "#2f4858"}
    assert region_colours(["IT", "FFA", "A"])["FFA"] == alone["FFA"]
