"""The table of images for the laboratory: what to show, synthesised and natural images together."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.neuron.target import Target
from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.synthesis.driven.image_folder import ImageFolder, file_stem, png_of
from cornet.synthesis.driven.study import Study

__all__ = ["NATURAL", "SYNTHETIC", "TABLE", "best_natural", "write_images"]

TABLE = "images.csv"
SYNTHETIC, NATURAL = "synthetic", "natural"


def best_natural(responses: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """(neuroid, image), the natural images with the largest measured responses, best first."""
    order = np.argsort(np.where(np.isfinite(responses), -responses, np.inf), axis=0, kind="stable")
    return order[: min(count, len(responses))].T.astype(np.int64)


def natural_pixels(target: Target, image: int, colour: bool) -> NDArray[np.uint8]:
    """A natural image, (y, x, 1 or 3)."""
    pixels = target.stimuli.pictures[image]
    return pixels if colour else pixels[..., :1]


def write_images(study: Study, folder: ImageFolder) -> Path:
    """Write the best natural images of each neuroid, as many as starts, and images.csv; return the path of the table.

    The natural images are shown in the same session as the synthesised ones. A row is an image for a neuroid; a natural
    image can be that of several neuroids.
    """
    target, settings = study.target, study.settings
    chosen = best_natural(study.responses, settings.starts)
    mean, deviation = (
        study.read_out.predictor.mean.cpu().numpy(),
        study.read_out.predictor.deviation.cpu().numpy(),
    )
    true = None
    if study.truth is not None:
        flat = study.images.pixels.mean(axis=4).round().astype(np.uint8)
        true = study.truth.respond(flat.reshape(-1, *flat.shape[2:]))[:, study.columns]
        true = true.reshape(*flat.shape[:2], -1)
    rows: list[dict[str, Any]] = []
    for image in np.unique(chosen):
        path = folder.folder / natural_file(target, int(image))
        atomic_write(path, png_of(natural_pixels(target, int(image), study.colour)))
    for place, column in enumerate(study.columns):
        best = int(study.natural_best[place])
        common = {
            "neuroid": str(target.neuroids[column]),
            "mode": settings.mode,
            "natural_max": float(study.measured_max[place]),
            "natural_max_image": str(target.stimuli.ids[best]),
            "natural_mean": float(mean[place]),
            "natural_sd": float(deviation[place]),
            "held_out_r": float(study.read_out.fitted.r[place]),
            "mapping": study.read_out.fitted.method,
            "site": str(study.read_out.site),
            "model": study.read_out.model,
            "identity": study.read_out.identity,
            "degrees": study.degrees,
        }
        for start in range(settings.starts):
            row = {
                "file": folder.path(place, start).name,
                "kind": SYNTHETIC,
                "start": start,
                "seed": settings.seed,
                "chosen": bool(start == study.images.best[place]),
                "prediction": float(study.images.predictions[place, start, place]),
                "variation": float(study.images.variation[place, start]),
                "size": study.side,
            }
            if true is not None:
                row["true_response"] = float(true[place, start, place])
            rows.append(row | common)
        for image in chosen[place]:
            row = {
                "file": natural_file(target, int(image)),
                "kind": NATURAL,
                "stimulus_id": str(target.stimuli.ids[image]),
                "chosen": bool(image == best),
                "response": float(study.responses[image, place]),
                "size": int(target.stimuli.pictures[int(image)].shape[0]),
            }
            if study.truth is not None:
                row["true_response"] = float(study.truth.shown[image, column])
            rows.append(row | common)
    order = ["file", "kind", "neuroid", "mode", "start", "seed", "chosen", "prediction", "response"]
    order += ["true_response"] * (study.truth is not None)
    order += [
        "natural_max",
        "natural_max_image",
        "stimulus_id",
        "natural_mean",
        "natural_sd",
        "held_out_r",
        "variation",
    ]
    order += ["size", "degrees", "site", "mapping", "model", "identity"]
    path = folder.folder / TABLE
    table = pd.DataFrame(rows)[order].astype({"start": "Int64", "seed": "Int64"})
    atomic_write(path, csv_text(table))
    return path


def natural_file(target: Target, image: int) -> str:
    return f"natural-{file_stem(image, str(target.stimuli.ids[image]))}.png"
