"""The plot of alignment: only from numbers, and read leniently."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from cornet.report.run.alignment import LINES, draw_alignment
from cornet.report.run.data import read_alignment
from cornet.report.run.plots import draw_pictures, read_brain_tables


def table(epochs=3):
    rows = [
        {"epoch": epoch, "maps": name, "value": 0.1 * k + 0.05 * epoch, "error": 0.02, "ceiling": 1.0}
        for epoch in range(epochs)
        for k, name in enumerate(LINES)
    ]
    return pd.DataFrame(rows)


def test_drawn_wide_and_narrow(tmp_path):
    table().to_csv(tmp_path / "alignment.csv", index=False)
    (picture,) = draw_pictures(read_brain_tables(tmp_path), narrow=True)
    assert picture.name == "alignment.png"
    sizes = [Image.open(io.BytesIO(one)).size for one in (picture.wide, picture.narrow)]
    assert sizes[0][0] > sizes[1][0]


def test_lines_are_the_numbers(monkeypatch):
    drawn = {}

    def keep(figure):
        drawn.update({line.get_label(): line.get_ydata() for line in figure.axes[0].lines})
        return b"png"

    monkeypatch.setattr("cornet.report.style.png", keep)
    draw_alignment(table())
    expected = {f"{name} {0.1 * k + 0.1:.2f}": 0.1 * k + 0.05 * np.arange(3) for k, name in enumerate(LINES)}
    assert {name for name in drawn if not name.startswith("_")} >= set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(drawn[name], values)


def test_nothing_to_draw(tmp_path):
    assert read_alignment(tmp_path) is None
    unknown = table().assign(value=np.nan)
    assert draw_alignment(unknown) is None
