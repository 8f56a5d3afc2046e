"""The plot of view_structure.csv: its marks are the numbers, and it is read leniently."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cornet.errors import CornetError
from cornet.report.run.panels import PANELS, read_panels
from cornet.report.run.plots import draw_pictures, read_brain_tables
from cornet.report.run.view_structure import MOST, draw_view_structure, sites_of

STRUCTURES = {"coefficient": ("view", "mirror", "identity", "background"), "correlation": ("view", "image")}


def rows(kind: str, epoch: float, sites: dict[str, int], start: float) -> list[dict[str, object]]:
    found = []
    for measure, structures in STRUCTURES.items():
        for area, steps in sites.items():
            for step in range(steps):
                for k, structure in enumerate(structures):
                    value = start + 0.1 * k + 0.01 * step
                    key = {"epoch": epoch, "kind": kind, "area": area, "step": step, "measure": measure}
                    found.append(
                        {
                            **key,
                            "structure": structure,
                            "value": value,
                            "low": value - 0.02,
                            "high": value + 0.03,
                        }
                    )
    return found


def table() -> pd.DataFrame:
    areas = {"output": 1, "IT": 2, "V1": 1}
    whole = rows("pixels", np.nan, {"image": 1}, 0.3) + rows("simulated", np.nan, {"identity": 1}, 0.5)
    return pd.DataFrame(whole + rows("network", 0, areas, 0.1) + rows("network", 2, areas, 0.2))


def test_marks_are_the_numbers(monkeypatch):
    figures = []
    monkeypatch.setattr("cornet.report.style.png", lambda figure: figures.append(figure) or b"png")
    draw_view_structure(table())
    coefficients, correlations, simulated = figures[0].axes[:3]
    names = [text.get_text() for text in coefficients.get_xticklabels()]
    assert names == ["pixels", "V1[0]", "IT[0]", "IT[1]", "output"]
    assert [text.get_text() for text in simulated.get_xticklabels()] == ["identity"]
    shown = {one.get_label(): one.lines[0].get_ydata() for one in coefficients.containers}
    np.testing.assert_allclose(shown["mirror"], [0.4, 0.3, 0.3, 0.31, 0.3])
    assert set(shown) == {"view", "mirror", "identity"}  # not the background
    assert {one.get_label() for one in correlations.containers} == {"view", "pixels"}
    open_marks = [line.get_ydata() for line in coefficients.lines if line.get_markerfacecolor() == "none"]
    np.testing.assert_allclose(open_marks[0], [np.nan, 0.1, 0.1, 0.11, 0.1])
    assert "some are simulated" in figures[0].get_suptitle()


def test_drawn_wide_and_narrow(tmp_path):
    table().to_csv(tmp_path / "view_structure.csv", index=False)
    heading = next(one.heading for one in PANELS if one.name == "view_structure")
    (picture,) = draw_pictures(read_brain_tables(tmp_path), narrow=True)
    assert (picture.name, picture.heading) == ("view_structure.png", heading)
    sizes = [Image.open(io.BytesIO(one)).size for one in (picture.wide, picture.narrow)]
    assert sizes[0][0] > sizes[1][0]


def test_read_leniently(tmp_path):
    assert read_panels(tmp_path) == {}
    path = tmp_path / "view_structure.csv"
    damaged = table().assign(step=np.inf, low="many")
    damaged.to_csv(path, index=False)
    assert draw_view_structure(read_panels(tmp_path)["view_structure"]) is None
    table().drop(columns=["step", "low", "high"]).to_csv(path, index=False)
    assert draw_view_structure(read_panels(tmp_path)["view_structure"]).startswith(b"\x89PNG")
    table().drop(columns="value").to_csv(path, index=False)
    with pytest.raises(CornetError, match="has no column value"):
        read_panels(tmp_path)
    path.write_text("epoch,area,measure,structure,value\n")
    assert read_panels(tmp_path) == {}


def test_many_sites_are_thinned():
    many = pd.DataFrame(rows("network", 1, {f"layer{k}": 1 for k in range(500)}, 0.0))
    assert 40 < len(sites_of(many)) <= MOST
