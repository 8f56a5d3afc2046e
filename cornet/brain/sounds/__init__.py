"""Networks for sounds and fMRI of human auditory cortex: a noise-corrected regression, and public data."""

from cornet.brain.sounds.corrected_r2 import CorrectedR2, corrected_r2
from cornet.brain.sounds.natural_sounds import NaturalSounds, read_natural_sounds

__all__ = ["CorrectedR2", "NaturalSounds", "corrected_r2", "read_natural_sounds"]
