"""Pictures of the wiring: from known tables, wide and narrow, and read leniently."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cornet.brain.wiring.tables import claw_table, connection_table, measure_wiring
from cornet.models.fly.wiring import Wiring
from cornet.report.run.panels import PANELS
from cornet.report.run.plots import draw_pictures, read_brain_tables
from cornet.report.run.wiring import draw_connections, draw_measures

NAMES = ["wiring.png", "connections.png", "claws.png"]


def circuit(epoch):
    """Projection neurons of one type each after training, in another order; mixed before it."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(8, generator=generator)
    glomeruli = torch.eye(8)[order] if epoch else torch.rand(8, 8, generator=generator)
    claws = torch.rand(30, 8, generator=generator) * (torch.rand(30, 8, generator=generator) < 0.4)
    return Wiring(8, glomeruli, claws, threshold=0.1)


def tables():
    """The three tables of a training of two epochs."""
    wirings = {epoch: circuit(epoch) for epoch in (0, 2)}
    rows = [{"epoch": epoch, **measure_wiring(one)} for epoch, one in wirings.items()]
    kinds = {"connections": connection_table, "claws": claw_table}
    found = {"wiring": pd.DataFrame(rows)}
    for name, make in kinds.items():
        found[name] = pd.concat([make(one).assign(epoch=epoch) for epoch, one in wirings.items()])
    return found


def write(folder, found):
    for name, table in found.items():
        table.to_csv(folder / f"{name}.csv", index=False)


def test_drawn_wide_and_narrow(tmp_path):
    write(tmp_path, tables())
    pictures = draw_pictures(read_brain_tables(tmp_path), narrow=True)
    assert [one.name for one in pictures] == NAMES
    for one in pictures:
        wide, narrow = (Image.open(io.BytesIO(content)).size for content in (one.wide, one.narrow))
        assert wide[0] > narrow[0]
        assert one.heading
        assert one.caption


def test_the_matrix_is_sorted_by_its_largest_input(monkeypatch):
    drawn = []
    monkeypatch.setattr("cornet.report.run.wiring.png", lambda figure: drawn.append(figure) or b"png")
    draw_connections(tables()["connections"])
    after = drawn[0].axes[1].images[0].get_array()
    np.testing.assert_array_equal(after, np.eye(8))
    draw_measures(tables()["wiring"])
    assert [axes.get_title() for axes in drawn[1].axes][:2] == ["GloScore 1.00", "types covered 8 of 8"]


@pytest.mark.parametrize("panel", PANELS[:3], ids=lambda panel: panel.name)
def test_damaged_numbers_are_left_out(tmp_path, panel):
    table = tables()[panel.name]
    numbers = list(table.select_dtypes("number"))
    broken = table.astype(dict.fromkeys(numbers, float))
    for k, column in enumerate(numbers):
        broken.iloc[k :: 2 * len(numbers), broken.columns.get_loc(column)] = (np.nan, np.inf, -1.0)[k % 3]
    for one in (broken, table.drop(columns=["receptors", "claws_sd", "threshold"], errors="ignore")):
        write(tmp_path, {panel.name: one})
        drawn = panel.draw(panel.read(tmp_path), 3)
        assert drawn is None or drawn.startswith(b"\x89PNG")
    assert drawn is not None
