"""Render heads with continuous shape parameters, poses and lights, with known latents.

latents = draw_heads(64, identities=16)                # a table with one row per image
images = render_heads(latents, 64)                     # (64, 64, 64) uint8
source = RenderedHeads(identities=50)                  # training images, cached on disk

After the stimuli of Yildirim, Belledonne, Freiwald, Tenenbaum (2020, Science Advances 6:eaax5979), whose heads come
from a morphable model of scanned faces; shapes and code are our own.
"""

from cornet.stimuli.objects.heads.latents import LATENTS, draw_heads, head_identities
from cornet.stimuli.objects.heads.rendering import render_heads
from cornet.stimuli.objects.heads.shape import PARAMETERS
from cornet.stimuli.objects.heads.source import RenderedHeads
from cornet.stimuli.objects.heads.views import HEAD_VIEWS, head_views

__all__ = [
    "HEAD_VIEWS",
    "LATENTS",
    "PARAMETERS",
    "RenderedHeads",
    "draw_heads",
    "head_identities",
    "head_views",
    "render_heads",
]
