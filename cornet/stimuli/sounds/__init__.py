"""Sounds: cochleagrams, embedded words and genres, folders of clips."""

from cornet.stimuli.sounds.cochleagram import COCHLEAGRAMS, Cochleagram, CochleagramSettings
from cornet.stimuli.sounds.embedded import Sounds
from cornet.stimuli.sounds.folders import SoundFolders

__all__ = ["COCHLEAGRAMS", "Cochleagram", "CochleagramSettings", "SoundFolders", "Sounds"]
