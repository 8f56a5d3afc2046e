"""Folders of pretrained weights: model.safetensors and config.json, here or on the Hugging Face hub.

The folder may come from anyone: nothing in it is executed, and no path is read from it.
"""

from cornet.models.pretrained.load import from_pretrained

__all__ = ["from_pretrained"]
