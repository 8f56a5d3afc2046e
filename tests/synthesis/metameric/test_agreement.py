"""Do people and networks recognise the same metamers: the published statistic, and a table made by hand."""

import pandas as pd
import pytest

from cornet.errors import CornetError
from cornet.report.published.numbers import published_metamers
from cornet.synthesis.metameric.agreement import people_and_networks


def test_the_published_statistic(shared_data):
    folder = shared_data / "feather2023-metamers"
    if not folder.is_dir():
        pytest.skip("the published data are not here")
    found = people_and_networks(pd.read_csv(folder / "human.csv"), pd.read_csv(folder / "model_on_model.csv"))
    assert (len(found.points), found.networks) == (185, 20)
    assert found.spearman == pytest.approx(0.911, abs=0.001)
    assert found.pearson == pytest.approx(0.932, abs=0.001)


def test_the_table_of_cornet_s_is_that_of_the_data(shared_data):
    folder = shared_data / "feather2023-metamers"
    if not folder.is_dir():
        pytest.skip("the published data are not here")
    table = published_metamers()
    data = pd.read_csv(folder / "model_on_model.csv")
    of_cornet = data[data["generator"] == "cornet_s"].set_index(["evaluator", "stage_index"])["correct_16"]
    names = {"CORnet-S itself": "cornet_s", "ResNet50": "resnet50", "VGG19": "vgg_19", "AlexNet": "alexnet"}
    for shown, name in names.items():
        assert table.loc[shown].iloc[1:].tolist() == pytest.approx(of_cornet[name].tolist(), abs=0.0006)
    people = pd.read_csv(folder / "human.csv")
    people = people[(people["generator"] == "cornet_s") & (people["experiment"] == 1)]
    means = people.groupby("stage_index")["human_correct"].mean()
    assert table.loc["people"].drop("input").tolist() == pytest.approx(means.tolist(), abs=0.0006)


def tables():
    people = pd.DataFrame(
        {
            "experiment": 1,
            "generator": "a",
            "stage": ["natural_image", "x", "x", "y", "z"],
            "human_correct": [0.0, 0.8, 1.0, 0.5, 0.1],
        }
    )
    networks = pd.DataFrame(
        {
            "generator": "a",
            "evaluator": ["a", "b", "c"] * 3,
            "stage": ["x"] * 3 + ["y"] * 3 + ["z"] * 3,
            "correct_16": [1, 0.9, 0.7, 1, 0.5, 0.5, 1, 0.0, 0.4],
        }
    )
    return people, networks


def test_points_are_means_of_people_and_of_other_networks():
    found = people_and_networks(*tables())
    assert found.points["human_correct"].tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert found.points["correct_16"].tolist() == pytest.approx([0.8, 0.5, 0.2])  # without a itself
    assert found.spearman == pytest.approx(1)
    assert found.pearson == pytest.approx(1)


def test_bad_tables_are_refused():
    people, networks = tables()
    with pytest.raises(CornetError, match="the table of people has no column stage"):
        people_and_networks(people.drop(columns="stage"), networks)
    with pytest.raises(CornetError, match="have 0 stages of generators in common"):
        people_and_networks(people, networks.assign(generator="b"))
