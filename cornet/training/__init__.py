"""Training: the Lightning module, loaders, recipes, callbacks, loggers, the folder of a run.

`run.run` is one run of a composed configuration; `build.build` makes its objects.
"""

from cornet.compiled import keep_compiled_code

keep_compiled_code()  # before PyTorch is imported, which asks for the folder at once
