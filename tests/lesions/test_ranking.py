"""Ranking units: against networks whose units are known."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.lesions import LesionedImages, find_places, random_units, rank_units
from cornet.lesions.ranking import units_at
from tests.helpers.hand_made import GROUPS, one_hot_images, redundant_units, separate_units


def images_of(net, group=range(8), size=5):
    images, labels = one_hot_images()
    here = torch.isin(labels, torch.tensor(list(group)))
    images, labels = images[here], labels[here]
    batches = [(images[k : k + size], labels[k : k + size]) for k in range(0, len(labels), size)]
    return LesionedImages(net, find_places(net, 1)[0], batches, rows=8)


@pytest.mark.parametrize(("task", "expected"), [("faces", {0, 1, 2, 3}), ("objects", {4, 5, 6, 7})])
def test_each_task_ranks_its_own_units(task, expected):
    images = images_of(separate_units(), GROUPS[task])
    assert set(rank_units(images, 0.5)) == set(rank_units(images, 0.5, group=None)) == expected


def test_greedy_ranking_finds_redundant_units_together_and_a_single_ranking_does_not():
    net = redundant_units()
    images = LesionedImages(net, find_places(net, 1)[0], [(torch.eye(2), torch.arange(2))])
    assert rank_units(images, 1.0, group=None).tolist() == [2, 3, 0, 1]
    assert rank_units(images, 1.0, group=0.016).tolist() == [2, 0, 1, 3]


def test_loss_of_a_lesion_is_that_of_the_network_with_weights_set_to_zero():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).eval()
    x, labels = torch.randn(7, 6), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    images = LesionedImages(net, find_places(net, 6)[0], [(x[:4], labels[:4]), (x[4:], labels[4:])], rows=8)
    found = images.mean_losses(images.masks([[], [3], [0, 3]]))
    for value, units in zip(found, ([], [3], [0, 3]), strict=True):
        copy = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
        copy.load_state_dict(net.state_dict())
        with torch.no_grad():
            copy[0].weight[units], copy[0].bias[units] = 0, 0
            expected = torch.nn.functional.cross_entropy(copy(x), labels)
        assert float(value) == pytest.approx(float(expected), abs=1e-6)


def test_random_units_depend_on_the_seed_alone():
    assert random_units(64, 0.2, 3).tolist() == random_units(64, 0.2, 3).tolist()
    assert random_units(64, 0.2, 3).tolist() != random_units(64, 0.2, 4).tolist()
    assert len(set(random_units(64, 0.2, 3).tolist())) == units_at(0.2, 64) == 13


@pytest.mark.parametrize(("units", "rounds"), [(64, 13), (512, 102 // 8 + 1)])
def test_the_published_shares_need_thirteen_rounds(units, rounds):
    wanted, at_a_time = units_at(0.2, units), max(1, int(units * 0.016))
    assert -(-wanted // at_a_time) == rounds == 13


def test_wrong_shares_are_refused():
    images = images_of(separate_units())
    for share in (0, 1.5, True):
        with pytest.raises(CornetError, match=r"must be a share of the units"):
            rank_units(images, share)
    assert np.array_equal(rank_units(images, 1.0), rank_units(images, 1.0))
