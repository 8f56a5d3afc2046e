"""Training: the Lightning module, data loaders, recipes, callbacks, loggers and resuming.

`run.run` trains one composed configuration; `build.build` builds its objects.
"""

from cornet.compiled import keep_compiled_code

keep_compiled_code()  # before the import of PyTorch, which reads the folder's path then
