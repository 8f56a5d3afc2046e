"""Two sets of images learned at once: one network, one classifier over all classes.

source = heads_and_objects(train_images=2048)                              # rendered: needs no download
source = two_folders({"faces": "/path/one", "objects": "/path/two"})       # photographs in class folders
source.groups                                                              # {"faces": labels, "objects": labels}

After Dobs, Martinez, Kell, Kanwisher 2022 (Science Advances 8:eabl8913).
"""

from cornet.stimuli.two_tasks.choices import heads_and_objects, two_folders
from cornet.stimuli.two_tasks.exemplars import RenderedExemplars
from cornet.stimuli.two_tasks.source import TwoTasks

__all__ = ["RenderedExemplars", "TwoTasks", "heads_and_objects", "two_folders"]
