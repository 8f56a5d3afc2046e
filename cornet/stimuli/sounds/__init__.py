"""Sounds: cochleagrams, embedded words and genres, folders of clips."""

from cornet.stimuli.sounds.cochleagram import COCHLEAGRAMS, Cochleagram, CochleagramSettings

__all__ = ["COCHLEAGRAMS", "Cochleagram", "CochleagramSettings"]
