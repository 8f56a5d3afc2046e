"""Rendered objects: eight categories of simple solids on naturalistic backgrounds, with known latents."""

from cornet.stimuli.objects.categories import CATEGORIES, OBJECTS
from cornet.stimuli.objects.latents import COLUMNS, draw_latents
from cornet.stimuli.objects.rendering import RENDERER_VERSION, render
from cornet.stimuli.objects.source import RenderedObjects

__all__ = [
    "CATEGORIES",
    "COLUMNS",
    "OBJECTS",
    "RENDERER_VERSION",
    "RenderedObjects",
    "draw_latents",
    "render",
]
