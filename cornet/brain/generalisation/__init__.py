"""Generalisation: scores on images, neuroids, sessions, observers and kinds of images that a fit has not seen.

| file | what is new |
|---|---|
| new_images | groups of images |
| new_neuroids | neuroids: the choice of the layer is tested |
| new_sessions | animals or sessions: the choice of the layer, the fitted mapping, and brain predicts brain |
| new_kinds | the kind of the images: out of distribution |
| new_observers, new_subjects | people who answer, and subjects with dissimilarities |
"""

from cornet.brain.generalisation.generalise import generalise
from cornet.brain.generalisation.result import Generalisation
from cornet.brain.generalisation.rows import Row

__all__ = ["Generalisation", "Row", "generalise"]
