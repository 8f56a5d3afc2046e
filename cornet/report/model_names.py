"""Short names of models for tables and plots: runs without the folders that they have in common."""

import os
from collections.abc import Sequence

__all__ = ["short_names"]


def short_names(models: Sequence[str]) -> dict[str, str]:
    """A short name for each model, different for different models.

    runs/cornet_z/seed0?untrained becomes "cornet_z (untrained)" beside runs/cornet_s/seed0: paths lose the folders in
    common at their start, and the last part if all have the same. Other names stay.
    """
    paths = {model: model.partition("?")[0] for model in models if is_path(model)}
    parts = {model: os.path.normpath(path).split(os.sep) for model, path in paths.items()}
    found = {model: model for model in models}
    if parts:
        distinct = {tuple(one) for one in parts.values()}
        columns = enumerate(zip(*distinct, strict=False))
        start = next((k for k, names in columns if len(set(names)) > 1), min(map(len, distinct)) - 2)
        same_end = len({one[-1] for one in distinct}) == 1
        for model, one in parts.items():
            rest = one[max(0, min(start, len(one) - 1)) :]
            if same_end and len(rest) > 1:
                rest = rest[:-1]
            found[model] = "/".join(rest) + with_options(model)
    for model in models:
        if found[model] == model and not is_path(model):
            found[model] = (
                model.removesuffix("?untrained") + " (untrained)" if model.endswith("?untrained") else model
            )
    return found if len(set(found.values())) == len(found) else {model: model for model in models}


def is_path(model: str) -> bool:
    return os.sep in model.partition("?")[0] and ":" not in model


def with_options(model: str) -> str:
    """ " (untrained)" or the options as they are."""
    options = model.partition("?")[2]
    return " (untrained)" if options == "untrained" else f"?{options}" if options else ""
