"""Render objects of eight categories from simple solids on naturalistic backgrounds, with known latents.

latents = draw_latents(64, seed=0, variation=0.5)      # a table with one row per image
images = render(latents, 64)                           # (64, 64, 64) uint8
source = RenderedObjects(train_images=4096)            # training images, cached on disk

After the stimuli of Majaj, Hong, Solomon, DiCarlo (2015, J Neurosci 35:13402); shapes and code are our own.
"""

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
