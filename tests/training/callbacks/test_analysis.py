"""AnalysisTable during training: its rows, equal to a computation by hand, its schedule, and no effect on the training."""

import numpy as np
import pandas as pd
import pytest
import torch

from cornet.brain.metrics.rsa.views import decompose, similarity_matrix
from cornet.brain.view_structure import ViewStructure
from cornet.errors import CornetError
from cornet.report.run.panels import files_of_panels
from cornet.report.run.plots import draw_pictures, read_brain_tables
from cornet.stimuli.objects.heads import PARAMETERS, RenderedHeads
from cornet.tasks import Regression
from cornet.training.callbacks.analysis import AnalysisTable, output_names
from tests.helpers.report.page import Page
from tests.helpers.training.object_training import train

TARGETS = ["yaw", *PARAMETERS]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> RenderedHeads:
    cache = tmp_path_factory.mktemp("heads")
    return RenderedHeads(
        identities=None, targets=TARGETS, train_images=32, val_images=8, size=32, cache=cache
    )


@pytest.fixture(scope="module")
def analysis() -> ViewStructure:
    return ViewStructure(identities=3, size=32, draws=20)


def test_rows_and_values(source, analysis, tmp_path):
    callback = AnalysisTable(analysis, tmp_path, every=2)
    _, module = train(source, tmp_path, [callback], epochs=3, task=Regression(TARGETS))
    table = pd.read_csv(tmp_path / "view_structure.csv")
    network = table[table["kind"] == "network"]
    assert network["epoch"].unique().tolist() == [0, 2, 3]
    assert table[table["kind"] != "network"]["epoch"].isna().all()
    assert (table["kind"] == "pixels").sum() == 8
    sites = network[network["epoch"] == 3][["area", "step"]].drop_duplicates()
    assert sites["area"].iloc[-1] == "output"
    assert set(sites["area"]) == {"V1", "V2", "V4", "IT", "output"}
    module.eval()
    images = torch.from_numpy(analysis.images)[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        scaled = (images / 255 - source.mean[0]) / source.std[0]
        predicted = module.task(module.net, scaled).predictions["numbers"].numpy()
        _, states = module.net(scaled, return_states=True)
    assert output_names(module) == {"numbers": TARGETS}
    last = network[(network["epoch"] == 3) & (network["measure"] == "coefficient")]
    for area, features in (("output", predicted[:, 1:]), ("V4", states["V4"][-1].flatten(1).numpy())):
        rows = last[last["area"] == area]
        rows = rows[rows["step"] == rows["step"].max()]
        expected = decompose(similarity_matrix(features), analysis.structures)
        np.testing.assert_allclose(rows["value"], list(expected.values()), atol=1e-3)
    assert files_of_panels(tmp_path) == ["view_structure.csv"]
    (picture,) = draw_pictures(read_brain_tables(tmp_path), narrow=True)
    assert picture.name == "view_structure.png"
    assert picture.heading


def test_it_does_not_change_the_training(source, analysis, tmp_path):
    found = []
    for name, callbacks in (("with", [AnalysisTable(analysis, tmp_path / "with")]), ("without", [])):
        _, module = train(source, tmp_path / name, callbacks, epochs=1, task=Regression(TARGETS))
        found.append(module.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_a_resumed_training_keeps_earlier_rows(source, analysis, tmp_path):
    earlier = pd.DataFrame({"epoch": [np.nan, 0, 1, 2], "kind": ["pixels", *["network"] * 3], "area": "V9"})
    earlier.to_csv(tmp_path / "view_structure.csv", index=False)
    callback = AnalysisTable(analysis, tmp_path)
    callback.on_train_start = lambda *_: None  # as where the step is not 0
    train(source, tmp_path, [callback], epochs=1, task=Regression(TARGETS))
    table = pd.read_csv(tmp_path / "view_structure.csv")
    assert table[table["area"] == "V9"]["epoch"].tolist() == [0]


def test_an_analysis_that_fails_costs_one_warning(source, analysis, tmp_path, caplog):
    class Broken:
        name, stimuli, baselines = "broken", analysis.stimuli, analysis.baselines

        def table(self, *_):
            raise CornetError("heads=0 must be more; give some.")

    train(source, tmp_path, [AnalysisTable(Broken())], epochs=1, task=Regression(TARGETS))
    assert "broken.csv has no rows of epoch 1: heads=0 must be more; give some." in caplog.text
    assert not (tmp_path / "broken.csv").exists()


def test_what_is_wrong(analysis):
    with pytest.raises(CornetError, match="every=0"):
        AnalysisTable(analysis, every=0)


def test_the_page_shows_it(source, analysis, tmp_path):
    from cornet.report.run.page import write_page

    train(source, tmp_path, [AnalysisTable(analysis, tmp_path)], epochs=1, task=Regression(TARGETS))
    text = Page(write_page(tmp_path).read_text()).text
    assert "View, mirror image, identity: what makes heads similar" in text
    assert "Freiwald & Tsao 2010" in text
