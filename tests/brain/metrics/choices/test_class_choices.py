"""The published mapping of ImageNet's classes to 16 categories, checked by the classes' own names; and read-outs."""

import csv

import numpy as np
import pytest

from cornet import brain
from cornet.brain.metrics.choices.class_choices import (
    CATEGORIES,
    category_probabilities,
    mapped_choices,
    readout_choices,
)
from cornet.errors import CornetError

ALL_DOGS, ALL_BIRDS = set(range(151, 269)), {*range(7, 25), *range(80, 101), *range(127, 147)}

NAMES = {
    "airplane": "airliner",
    "bear": "brown bear|American black bear|ice bear|sloth bear",
    "bicycle": "bicycle-built-for-two|mountain bike",
    "boat": "canoe|fireboat|lifeboat|speedboat|yawl",
    "bottle": "beer bottle|pill bottle|pop bottle|water bottle|water jug|whiskey jug|wine bottle",
    "car": "beach wagon|convertible|sports car",
    "cat": "tabby|tiger cat|Persian cat|Siamese cat|Egyptian cat|cougar",
    "chair": "barber chair|folding chair|rocking chair|throne",
    "clock": "analog clock|digital clock|wall clock",
    "elephant": "Indian elephant|African elephant",
    "keyboard": "computer keyboard|typewriter keyboard",
    "knife": "cleaver",
    "oven": "rotisserie",
    "truck": "fire engine|garbage truck|minivan|moving van|pickup|police van|tow truck|trailer truck",
}


def test_sixteen_categories_in_alphabetical_order_share_no_class() -> None:
    assert list(CATEGORIES) == sorted(CATEGORIES)
    assert len(CATEGORIES) == 16
    classes = [k for each in CATEGORIES.values() for k in each]
    assert len(classes) == len(set(classes)) == 207
    assert set(CATEGORIES["dog"]) < ALL_DOGS
    assert len(CATEGORIES["dog"]) == 109
    assert set(CATEGORIES["bird"]) < ALL_BIRDS
    assert len(CATEGORIES["bird"]) == 49


def test_classes_have_the_names_that_the_mapping_means() -> None:
    timm = pytest.importorskip("timm.data")
    info = timm.ImageNetInfo("imagenet-1k")
    for category, names in NAMES.items():
        for name, k in zip(names.split("|"), CATEGORIES[category], strict=True):
            assert info.index_to_description(k).split(",")[0] == name
    # WordNet numbers its synsets by their place in a file: dogs and birds stand in rows there.
    for category, first, last in (("dog", "n02085620", "n02113978"), ("bird", "n01514668", "n02058221")):
        assert all(first <= info.index_to_label_name(k) <= last for k in CATEGORIES[category])
    assert [info.index_to_description(k).split(",")[0] for k in (151, 268)] == [
        "Chihuahua",
        "Mexican hairless",
    ]
    left_out = sorted(ALL_DOGS - set(CATEGORIES["dog"]))
    assert [info.index_to_description(k).split(",")[0] for k in left_out] == [
        *("Chihuahua", "cairn", "Lhasa", "kelpie", "boxer", "dalmatian", "Samoyed", "chow", "Cardigan")
    ]


def test_two_hundred_classes_named_elsewhere_agree(shared_data) -> None:
    timm = pytest.importorskip("timm.data")
    info = timm.ImageNetInfo("imagenet-1k")
    position = {info.index_to_label_name(k): k for k in range(1000)}
    with open(shared_data / "tiny-imagenet-75.classes.csv", newline="") as file:
        words = {
            position[row["wnid"]]: row["words"] for row in csv.DictReader(file) if row["wnid"] in position
        }
    assert len(words) > 150
    for k, text in words.items():
        assert text.split(",")[0] == info.index_to_description(k).split(",")[0]
    mapped = {category: [words[k] for k in CATEGORIES[category] if k in words] for category in CATEGORIES}
    assert all(
        "dog" in w or "retriever" in w or "terrier" in w or "poodle" in w or "shepherd" in w
        for w in mapped["dog"]
    )
    assert {w.split(",")[0] for w in mapped["cat"]} == {"tabby", "Persian cat", "Egyptian cat", "cougar"}


def test_the_category_with_the_highest_mean_wins_not_the_one_with_the_highest_sum() -> None:
    p = np.zeros((3, 1000))
    p[0, 404] = 0.1  # airliner, the only airplane
    p[0, list(CATEGORIES["dog"])] = 0.9 / 109
    p[1, 499], p[1, 7] = 0.01, 0.99  # a cleaver; most goes to the cock, which no category has
    p[2, [281, 282]] = 0.5
    choices = mapped_choices(p)
    assert choices.choice.tolist() == ["airplane", "knife", "cat"]
    assert "published mapping" in choices.way
    means = category_probabilities(p)
    assert means.shape == (3, 16)
    for column, classes in enumerate(CATEGORIES.values()):
        np.testing.assert_allclose(means[:, column], p[:, classes].mean(axis=1))


def test_a_readout_answers_in_the_observers_names_and_says_so() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(["bear", "cat", "oven"], 20)
    x = np.eye(3)[np.repeat(range(3), 20)] * 4 + random.normal(size=(60, 3))
    choices = readout_choices(x, labels, folds=5, C=1.0)
    assert (choices.choice == labels).mean() > 0.9
    assert choices.way == "choices by a linear read-out fitted on other images (5 folds, C = 1)"
    score = brain.error_consistency(choices, [["bear"] * 20 + ["cat"] * 40, ["oven"] * 60], labels)
    assert choices.way in score.notes


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        (np.zeros((2, 200)), "must be .image, 1000."),
        (np.full((2, 1000), -3.0), "range from -3 to -3, but must be between 0 and 1"),
        (np.full((2, 1000), np.nan), "must be between 0 and 1"),
    ],
)
def test_other_networks_and_logits_are_refused(probabilities, sentence: str) -> None:
    with pytest.raises(CornetError, match=sentence):
        mapped_choices(probabilities)
