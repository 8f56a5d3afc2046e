"""Lesions: silence the units of a network that one task needs most, and see what this costs another.

places = find_places(net, size=64)                          # layers, or areas and their steps
ranked = rank_units(LesionedImages(net, places[0], batches))
study = LesionStudy(train, test, {"faces": range(50), "objects": range(50, 106)})
table = study.run(net, places)

After Dobs, Martinez, Kell, Kanwisher 2022 (Science Advances 8:eabl8913). What differs: units of recurrent networks are
channels of an area's output, after norm and ReLU, at all of its steps or at one of them.
"""

from cornet.lesions.losses import LesionedImages
from cornet.lesions.measures import ByClass, Interval, proportional_drop, segregation
from cornet.lesions.places import Place, choose_places, find_places
from cornet.lesions.ranking import random_units, rank_units
from cornet.lesions.study import Images, LesionStudy, random_halves, segregation_table

__all__ = [
    "ByClass",
    "Images",
    "Interval",
    "LesionStudy",
    "LesionedImages",
    "Place",
    "choose_places",
    "find_places",
    "proportional_drop",
    "random_halves",
    "random_units",
    "rank_units",
    "segregation",
    "segregation_table",
]
