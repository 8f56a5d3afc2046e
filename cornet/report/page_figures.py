"""Pictures on a report: inside the page, at one scale, with a caption and words for who cannot see them."""

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

from cornet.opening import read_bytes
from cornet.report.brain_plots import Picture

__all__ = ["brain_figure", "data_address", "figure", "whole_picture"]

CAPTIONS = {
    "brain_scores.png": (
        "Score against epoch",
        "Each panel is one benchmark: a line that climbs from its untrained start (open circle, dotted) towards the "
        "dashed ceiling says that training made the network more brain-like there; bands are one standard error.",
    ),
    "brain_accuracy.png": (
        "Score against accuracy",
        "The path of training, from yellow (start) to dark (end): where it bends flat or down, the network still "
        "learnt to classify but did not become more brain-like; the dashed line is the ceiling, the dotted one the "
        "score before training, and bars are one standard error.",
    ),
    "step_matrix.png": (
        "Which area and step predicts which region",
        "Rows are the network's areas with the step in brackets (from 0), columns are the benchmarks' regions, "
        "numbers raw scores with standard error; a red box marks the best of a column, and shading runs from zero to "
        "the best of the column in all tables.",
    ),
    "solution_times.png": (
        "Solution times",
        "Each dot is an image: the later the brain solves it (right), the later the network should (up); the dashed "
        "line is where both agree, and red ticks along the top are images without a predicted time, which the network "
        "does not solve or no split tested; Spearman is of the dots as drawn, whereas the score averages over splits. "
        "Solved means that the behaviour's i1 of that very image is reached, which is low for hard images: a network "
        "that finds all images about alike solves those sooner, and scores below zero.",
    ),
}
"""Heading and how to read it, of every picture."""


def brain_figure(picture: Picture) -> str:
    """HTML: a plot of brain scores under its heading."""
    heading, caption = CAPTIONS[picture.name]
    return f"<h2>{heading}</h2>\n" + figure(picture.wide, f"{heading}. {caption}", caption, picture.narrow)


def figure(content: bytes, alt: str, caption: str, narrow: bytes | None = None) -> str:
    """HTML: a PNG. narrow: taken instead on narrow screens; without it a picture is scrolled there."""
    # All pictures at one scale, so that their letters are of one size; 1040 px are 9 inches.
    with Image.open(io.BytesIO(content)) as picture:
        width = round(picture.width * 1040 / 1350)
    image = f'<img src="{data_address(content)}" alt="{escape(alt)}" width="{width}">'
    if narrow is None:
        inner = f'<div class="scroll wide" tabindex="0">{image}</div>'
    else:
        source = f'<source media="(max-width: 600px)" srcset="{data_address(narrow)}">'
        inner = f"<picture>{source}{image}</picture>"
    return f"<figure>{inner}<figcaption>{escape(caption)}</figcaption></figure>"


def data_address(content: bytes) -> str:
    """A PNG as an address that holds all of it."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def whole_picture(path: Path) -> bytes | None:
    """A picture's file; None where it is absent or damaged."""
    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        return content
    except Exception:  # a damaged picture fails in many ways
        return None
