"""What is driven, and through what: neuroids, the layer to map from, and the settings that images depend on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.neuron.target import ALL, Target
from cornet.brain.subjects.base import site_or_layer
from cornet.brain.subjects.layer_file import is_layer_file, read_layers
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.hashing import code_version, digest
from cornet.synthesis.driven.control import Settings
from cornet.synthesis.driven.study import ReadOut
from cornet.synthesis.stage import stage_site

__all__ = ["default_folder", "positions", "settings_of", "site_of"]


def positions(target: Target, names: Sequence[str]) -> NDArray[np.int64]:
    """Positions of neuroids in the target. names: ids, positions, or all (those that can be predicted).

    Raises CornetError for an unknown neuroid (with near names), and for one that cannot be predicted.
    """
    if ALL in names and len(names) > 1:
        raise CornetError(f"--neuroid {' '.join(names)} names all and others; give one or the other.")
    if ALL in names:
        return np.flatnonzero(~np.isin(target.neuroids, list(target.reasons)))
    ids = dict.fromkeys(str(target.neuroid(name).neuroids[0]) for name in names)
    return np.array([int(np.flatnonzero(target.neuroids == one)[0]) for one in ids], dtype=np.int64)


def site_of(subject: Subject, target: Target, words: Sequence[str]) -> Site:
    """The site to map from.

    words: none for the layer of the target's region, at the step for its time bin; or one: a layer, a site with a step
    ("V4[2]"), or a file of `cornet layers`.

    Raises CornetError for several words, and as `stage_site` does, for a subject without a network too.
    """
    if len(words) > 1:
        raise CornetError(f"--layers {' '.join(words)} names {len(words)} layers; name one to map from.")
    if words and not is_layer_file(words[0]):
        found = site_or_layer(words[0].partition("=")[2] or words[0])  # V4=layer3, as in other commands
        return stage_site(subject, *(found if isinstance(found, Site) else (found, None)))
    if words:
        subject = subject.with_regions(read_layers(words[0], subject))
    stage_site(subject, subject.sites()[0].layer)  # refuses a subject without a network
    return subject.site(target.region, target.step_bin)


def settings_of(
    own: ReadOut,
    target: Target,
    columns: NDArray[np.int64],
    settings: Settings,
    mapping: str,
    side: int,
    colour: bool,
) -> dict[str, Any]:
    """Plain data that the images depend on; no paths."""
    return {
        **settings.as_dict(),
        "mapping": mapping,
        "site": str(own.site),
        "side": side,
        "colour": colour,
        "bundle": target.name,
        "neuroids": [str(name) for name in target.neuroids[columns]],
        "model_identity": own.identity,
        "responses": digest(target.responses[:, columns], target.folds, target.degrees or 0.0),
        "stimuli": target.stimuli.identity,
        "code": code_version("cornet.synthesis.driven.study")[:16],
    }


def default_folder(model: str) -> str:
    """The folder drive inside a run's folder, or else here."""
    run = Path(model.partition("?")[0]).expanduser()
    return str(run / "drive") if (run / "config.yaml").is_file() else "drive"
