"""The page and tables of metamers: what failed is marked, names are text, published curves are where stages fit."""

import numpy as np
import pytest
import torch

from cornet.report.metamers.plots import has_published
from cornet.report.metamers.printed import print_study
from cornet.report.metamers.report import metamers_page, write_study
from cornet.report.published.numbers import published_metamers
from cornet.synthesis.images import Shown
from cornet.synthesis.metameric.observers import Share
from cornet.synthesis.metameric.results import Judgement, Schedule, StageResult, Study
from cornet.synthesis.metameric.stages import StageName
from cornet.synthesis.metamers import Closeness
from tests.helpers.report.page import Page

BAD = "<script>a()</script>"


def result(generator, stage, passed):
    values = np.array([0.9, 0.8])
    null = Closeness(np.full(3, 0.5), np.full(3, 0.6), np.full(3, 2.0), 100)
    return StageResult(
        generator,
        stage,
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        np.linspace(1, 0.1, 6).reshape(3, 2),
        values,
        Closeness(values, values, np.array([9.0, np.inf]), 100),
        null,
        np.array(["car", BAD]),
        np.array([True, passed]),
        np.array([True, True]),
        values,
        3.0,
    )


def made_up(areas=("V1", "IT"), generator="mine", passed=False):
    stages = [StageName(area) for area in areas]
    said = [
        Judgement(judge, generator, stage, Share(0.5, 0.1, 2), Share(1.0, 0.0, 2))
        for judge in (generator, f"other{BAD}")
        for stage in (None, *stages)
    ]
    pixels = torch.full((2, 3, 8, 8), 90, dtype=torch.uint8)
    return Study(
        Shown([f"a{BAD}", "b"], ["car", "boat"], pixels, []),
        pixels,
        {generator: 8},
        {f"other{BAD}": 16},
        [result(generator, stage, passed) for stage in stages],
        said,
        Schedule(4.0, 20, 2),
        f"images{BAD}",
        3,
        0,
        [("", f"note {BAD}")],
    )


def test_what_failed_is_marked_and_names_are_text():
    html = metamers_page(made_up(generator=f"net{BAD}"))
    page = Page(html)
    assert not page.all("script")
    assert "a()" in page.text
    assert (
        sum("faded" in one.get("class", "") for one in page.all("img")) == 2
    )  # the second image of each stage
    assert page.text.count("not passed") == 2
    assert "V1 1 of 2, IT 1 of 2" in page.text
    assert "published: people" in page.text
    assert "chance of 16, published" in page.text
    assert "chance of 8" in page.text
    assert "note <script>" in page.text


def test_published_curves_need_stages_of_their_names():
    assert has_published(made_up(["V1", "IT"]))
    assert not has_published(made_up(["S1", "C1"]))
    assert "published: people" not in Page(metamers_page(made_up(["S1", "C1"]))).text
    table = published_metamers()
    assert list(table) == ["photographs", "input", "V1", "V2", "V4", "IT", "logits"]
    assert table.loc["people", "IT"] == 0.254


def test_tables_and_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    study = made_up()
    path = write_study(study, tmp_path / "out")
    assert path.is_file()
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        *("IT", "V1", "metamers.csv", "metamers.html", "original", "stages.csv", "start")
    ]
    print_study(study)
    text = capsys.readouterr().out
    assert "1/2" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("measure", ["spearman", "pearson", "snr"])
def test_thresholds_are_shown(measure):
    limit = {"spearman": "null 0.500", "pearson": "null 0.600", "snr": "null 2.0"}[measure]
    assert limit in Page(metamers_page(made_up())).text
