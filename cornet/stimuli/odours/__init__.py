"""Odours: activities of receptors, with classes by the nearest of some prototypes."""

from cornet.stimuli.odours.draws import OdourSet as OdourSet
from cornet.stimuli.odours.draws import draw_odours as draw_odours
from cornet.stimuli.odours.source import Odours as Odours

__all__ = ["OdourSet", "Odours", "draw_odours"]
