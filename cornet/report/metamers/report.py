"""Write pictures, tables and the page of `cornet metamers`."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.report.metamers.plots import (
    draw_closeness,
    draw_losses,
    draw_recognition,
    has_published,
)
from cornet.report.model_names import short_names
from cornet.report.render import data_address, page, part
from cornet.synthesis.metameric.results import Study
from cornet.synthesis.metameric.study import file_name
from cornet.terminal import duration

__all__ = [
    "facts",
    "findings",
    "median",
    "metamers_page",
    "note_texts",
    "with_short_names",
    "write_pictures",
    "write_study",
]

MOST = 12
"""Images on the sheet of the page; all are in the folder."""

SIDE = 112
"""Largest side of a picture on the page, in pixels."""

NAMES = {"spearman": "Spearman", "pearson": "Pearson", "snr": "SNR (dB)"}


def write_study(study: Study, folder: Path) -> Path:
    """Write the pictures, metamers.csv, stages.csv and metamers.html into a folder, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(study, folder)
    atomic_write(folder / "metamers.csv", csv_text(study.table()))
    atomic_write(folder / "stages.csv", csv_text(study.stage_table()))
    path = folder / "metamers.html"
    atomic_write(path, metamers_page(study))
    return path


def write_pictures(study: Study, folder: Path) -> None:
    """Write PNGs, numbered as the images: original/, start/, and a folder for each stage of each network."""
    shown = {"original": study.shown.pixels, "start": study.start}
    for place, generator in enumerate(study.generators):
        before = f"{place}-" if place else ""
        shown |= {f"{before}{file_name(str(one.stage))}": one.images for one in study.of(generator)}
    for name, images in shown.items():
        (folder / name).mkdir(exist_ok=True)
        for place, image in enumerate(images):
            atomic_write(folder / name / f"{place:03}.png", png_of(image.permute(1, 2, 0).numpy()))


def png_of(pixels: NDArray[np.uint8], side: int | None = None) -> bytes:
    """A PNG of pixels (y, x, 3). side: reduce larger images to this."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if side is not None:
        image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def metamers_page(study: Study) -> str:
    """Render the self-contained page."""
    study = with_short_names(study)
    generators = list(study.generators)
    closeness = [
        (name, Markup(draw_closeness(study, name, f"close{k}")), Markup(draw_losses(study, name, f"loss{k}")))
        for k, name in enumerate(generators)
    ]
    return page(
        f"Metamers of {generators[0]}",
        [
            part(
                "metamers.lede", facts=facts(study), findings=findings(study), simulated=study.shown.simulated
            ),
            part(
                "metamers.recognition",
                drawing=Markup(draw_recognition(study, "recognition")),
                caption=recognition_caption(study),
            ),
            *(part("metamers.sheet", **sheet(study, name)) for name in generators),
            part(
                "metamers.closeness", drawings=closeness, several=len(generators) > 1, null=null_text(study)
            ),
            part("metamers.table", rows=table_rows(study), few=any(one.few_units for one in study.results)),
            part("metamers.judges", **judge_table(study)) if study.judges else Markup(),
            part("metamers.method", texts=method(study)),
            part("parts.notes", texts=note_texts(study)),
        ],
    )


def with_short_names(study: Study) -> Study:
    return study.renamed(short_names(list(dict.fromkeys([*study.generators, *study.judges]))))


def note_texts(study: Study) -> list[str]:
    return [f"{name}: {text}" if name else text for name, text in study.notes]


def facts(study: Study) -> list[str]:
    count, side = len(study.shown.names), study.shown.pixels.shape[-1]
    schedule = study.schedule
    found = [f"{count} image{'s' * (count != 1)} of {side} x {side} pixels", schedule_text(study)]
    found.append(f"{study.null_pairs:,} null pairs of {study.null_name}")
    if schedule.published:
        found.append("the published schedule")
    return found


def schedule_text(study: Study) -> str:
    one = study.schedule
    return f"{one.blocks} blocks of {one.steps:,} steps, the first of length {one.first:g}, halved after each block"


def findings(study: Study) -> list[str]:
    """The passed share of every network, which says what may be concluded."""
    found = []
    for name in study.generators:
        shares = ", ".join(f"{one.stage} {one.passed.sum()} of {len(one.passed)}" for one in study.of(name))
        found.append(f"Passed, {name}: {shares}.")
    low = [str(one.stage) for one in study.results if one.passed.mean() < 0.5]
    if low:
        found.append(
            f"Fewer than half passed at {', '.join(dict.fromkeys(low))}: recognition there says little. More or "
            f"longer steps "
            "(--iterations, --eta) may help."
        )
    return found


def recognition_caption(study: Study) -> str:
    counted = "Only metamers that passed are counted; bars are standard errors by bootstrap over images."
    if len(study.generators) > 1:
        counted += f" Dashed: metamers of {list(study.generators)[1]}."
    if has_published(study):
        counted += (
            " Grey: published, CORnet-S trained on ImageNet, its metamers at 224 pixels shown to people and to other "
            "networks, which chose among 16 classes (Feather et al. 2023); the task and the images differ from yours."
        )
    return counted


def sheet(study: Study, generator: str) -> dict[str, Any]:
    """The rows of pictures of one network."""
    results = study.of(generator)
    rows = []
    for place, name in enumerate(study.shown.names[:MOST]):
        cells = [
            picture(study.shown.pixels[place], "original", study.shown.labels[place]),
            picture(study.start[place], "start", ""),
        ]
        cells += [
            picture(
                one.images[place],
                f"metamer of {one.stage}",
                "" if one.answers is None else str(one.answers[place]),
                passed=bool(one.passed[place]),
            )
            for one in results
        ]
        rows.append({"name": name, "cells": cells})
    columns = ["original", "start", *(str(one.stage) for one in results)]
    more = len(study.shown.names) - len(rows)
    return {"generator": generator, "columns": columns, "rows": rows, "more": more}


def picture(pixels: Any, name: str, text: str, passed: bool = True) -> dict[str, Any]:
    address = data_address(png_of(pixels.permute(1, 2, 0).numpy(), SIDE))
    return {"address": address, "name": name, "text": text, "passed": passed}


def table_rows(study: Study) -> list[dict[str, Any]]:
    """A row for each stage: medians with minima, and what must be surpassed."""
    rows = []
    for one in study.results:
        row: dict[str, Any] = {"generator": one.generator, "stage": str(one.stage), "units": one.found.units}
        row |= {
            "start": median(one.losses[0]),
            "loss": median(one.losses[-1]),
            "saved": median(one.saved_loss),
        }
        for name in NAMES:
            values = getattr(one.found, name)
            row[name] = {"median": median(values), "low": float(np.min(values, initial=math.inf))}
            row[name]["limit"] = one.thresholds.get(name)
        row |= {"passed": int(one.passed.sum()), "images": len(one.passed), "pixel_r": median(one.pixel_r)}
        row |= {"closer": int(one.closer.sum()), "kept": None if one.kept is None else int(one.kept.sum())}
        row |= {"time": duration(one.seconds), "resumed": one.resumed == len(one.losses) - 1}
        rows.append(row)
    return rows


def median(values: NDArray[np.float64]) -> float:
    """The median; an infinite SNR counts as the largest value."""
    return float(np.median(values)) if len(values) else math.nan


def judge_table(study: Study) -> dict[str, Any]:
    """Shares by stage and judge, for each network whose metamers are shown."""
    groups = []
    for generator in study.generators:
        columns = [
            name for name in dict.fromkeys([generator, *study.judges]) if study.judged(generator, name)
        ]
        said = {(one.judge, one.stage): one for name in columns for one in study.judged(generator, name)}
        stages = [None, *(one.stage for one in study.of(generator))]
        rows = [
            {"stage": str(stage or "unchanged images"), "cells": [said[name, stage] for name in columns]}
            for stage in stages
        ]
        groups.append({"generator": generator, "columns": columns, "rows": rows})
    choices = {**study.generators, **study.judges}
    return {"groups": groups, "choices": choices, "labelled": any(study.shown.labels)}


def null_text(study: Study) -> str:
    return (
        f"Bars across: the largest value of {study.null_pairs:,} pairs of different images ({study.null_name}), which "
        f"each "
        "metamer must surpass; it grows with the number of pairs (published: 1,000,000)."
    )


def method(study: Study) -> list[str]:
    """How the metamers were made and counted."""
    longer = (
        " The published schedule has 24,000 steps (--published); with fewer steps they must be longer: by default "
        "those of the first block together are 3.6 times the usual distance from start to original."
    )
    schedule = f"Schedule: {schedule_text(study)}.{'' if study.schedule.published else longer}"
    return [
        "An image is changed from grey noise until the activations of a stage equal those of the original: the loss "
        "is the length of their difference over the length of the original's, the gradient is scaled to length 1 for "
        "each image, "
        "pixels are clipped to 0..1, and the last image is kept. All stages start from the same noise. If a stage is "
        "the "
        "output of a ReLU, that ReLU passes the gradient unchanged.",
        schedule,
        "A metamer passes if (i) the network gives it the class of the original, and (ii) Spearman's r, Pearson's r "
        "and the "
        "signal-to-noise ratio (10 log10 of a ratio of norms) of its activations each surpass the largest value of "
        f"{study.null_pairs:,} pairs of different images ({study.null_name}). Both are measured on the saved PNG of 8 "
        f"bits, "
        "whose grey levels are rounded, not truncated. Others are not counted.",
        "Networks see the images with their own normalisation and size. Networks of 1,000 unnamed classes choose "
        "among 16 "
        "categories, by the highest of the classes that belong to one. Standard errors: 1,000 bootstrap samples of "
        "images.",
        "Source: Feather, Leclerc, Madry & McDermott 2023, Nature Neuroscience 26:2017.",
    ]
