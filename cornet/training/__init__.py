"""Training: the Lightning module, loaders, recipes, callbacks, loggers, the folder of a run.

`run.run` is one run of a composed configuration; `build.build` makes its objects.
"""
