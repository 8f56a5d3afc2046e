"""Two sources in one: classes, numbers, splits, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from cornet.errors import CornetError
from cornet.stimuli.samples import ImageSource, Key
from cornet.stimuli.two_tasks import RenderedExemplars, TwoTasks, heads_and_objects, two_folders
from cornet.stimuli.two_tasks.labelled import ShiftedImages, ShownImages
from cornet.stimuli.two_tasks.splits import JoinedSplit, Part, choose_evenly, halved, without_colour


class Made:
    """A source whose images hold their number: image k of a split is all k."""

    views, in_memory, mean, std = ("center",), True, (0.5,) * 3, (0.5,) * 3

    def __init__(self, name, classes, train, val, size=4):
        self.name, self.classes, self.size = name, [f"{name}{k}" for k in range(classes)], size
        self.labels = {"train": np.arange(train) % classes, "val": np.arange(val) % classes}

    def pixels(self, split):
        count = len(self.labels[split])
        return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, self.size, self.size))

    def train(self):
        return ShiftedImages(self.pixels("train"), self.labels["train"], shift=0, flip=False, seed=0)

    def val(self):
        return ShownImages(self.pixels("val"), self.labels["val"])


def joined(**settings):
    sources = {"faces": Made("f", 3, 30, 12), "objects": Made("o", 2, 20, 8)}
    return TwoTasks(sources, **settings)


def all_of(split):
    return split.__getitems__([Key(k, 0) for k in range(len(split))])


def test_both_tasks_have_the_same_number_of_training_images_spread_over_their_classes():
    source = joined()
    assert isinstance(source, ImageSource)
    assert source.classes == ["f0", "f1", "f2", "o0", "o1"]
    assert source.groups == {"faces": range(3), "objects": range(3, 5)}
    labels = np.array([one.label for one in all_of(source.train())])
    assert np.bincount(labels).tolist() == [7, 7, 6, 10, 10]  # 20 of each task
    assert labels.tolist() == source.train().labels.tolist()


def test_samples_are_those_of_their_source():
    source = joined(train_images=10)
    for sample, number in zip(all_of(source.train()), [*range(10), *range(10)], strict=True):
        assert set(sample.image.unique().tolist()) == {number}
    assert [one.index for one in all_of(source.train())] == list(range(20))
    one, other = (source.train().__getitems__([Key(k, 1)])[0] for k in (3, 15))
    mixed = source.train().__getitems__([Key(15, 1), Key(3, 1)])
    assert torch.equal(mixed[0].image, other.image)
    assert torch.equal(mixed[1].image, one.image)


def test_test_images_are_no_validation_images_and_all_are_used():
    source = joined()
    val, test = (all_of(split) for split in (source.val(), source.test()))
    for task in (0, 1):
        numbers = [
            {int(one.image.max()) for one in split if (one.label >= 3) == task} for split in (val, test)
        ]
        assert not numbers[0] & numbers[1]
        assert numbers[0] | numbers[1] == set(range(8 if task else 12))


def test_the_network_of_one_task_sees_the_same_images():
    both, alone = joined(), joined(only="objects")
    assert (alone.classes, alone.groups) == (["o0", "o1"], {"objects": range(2)})
    theirs = [one for one in all_of(both.train()) if one.label >= 3]
    for a, b in zip(all_of(alone.train()), theirs, strict=True):
        assert torch.equal(a.image, b.image)
        assert a.label == b.label - 3
    assert len(alone.val()) + len(alone.test()) == 8


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], 4, [2, 2]),
        ([0, 0, 0, 1, 1, 1], 5, [3, 2]),
        ([0, 1, 1, 1, 1, 2], 5, [1, 3, 1]),  # classes with too few give what they have
        ([0, 1], 9, [1, 1]),
    ],
)
def test_images_are_chosen_evenly(labels, count, expected):
    chosen = choose_evenly(np.array(labels), count)
    assert np.bincount(np.array(labels)[chosen]).tolist() == expected
    assert (np.diff(chosen) > 0).all()


def test_halves_are_disjoint_in_each_class():
    labels = np.array([0, 1, 0, 1, 0, 2])
    first, second = halved(labels)
    assert (first.tolist(), second.tolist()) == ([0, 1, 4, 5], [2, 3])


def test_a_share_of_training_images_is_grey():
    colours = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    colours[:, 0], colours[:, 1], colours[:, 2] = 200, 100, 50
    assert without_colour(colours).unique().tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]

    class Coloured:
        def __len__(self):
            return 400

        def __getitems__(self, keys):
            made = ShownImages(np.zeros((400, 1, 1), np.uint8), np.zeros(400, int))
            return [one._replace(image=colours[0]) for one in made.__getitems__(keys)]

    split = JoinedSplit([Part(Coloured(), np.arange(400), 0, np.zeros(400, np.int64))], grey=0.2)
    grey = [bool((one.image[0] == one.image[1]).all()) for one in all_of(split)]
    assert 50 < sum(grey) < 110
    assert grey == [bool((one.image[0] == one.image[1]).all()) for one in all_of(split)]


@pytest.mark.parametrize(
    ("sources", "settings", "message"),
    [
        ({"a": Made("x", 2, 9, 4), "b": Made("x", 3, 9, 4)}, {}, r"classes x0, x1 belong to both a and b"),
        (
            {"a": Made("x", 9, 20, 9), "b": Made("y", 2, 4, 4)},
            {},
            r"4 training images .* too few for the 9 classes",
        ),
        (
            {"a": Made("x", 2, 9, 4), "b": Made("y", 2, 9, 4)},
            {"train_images": 10},
            r"but a has 9; give at most 9",
        ),
        ({"a": Made("x", 2, 9, 4), "b": Made("y", 2, 9, 4, size=8)}, {}, r"one size, not 4 of a and 8 of b"),
        ({"a": Made("x", 2, 9, 4)}, {}, r"1 tasks are given .* must be two"),
        (
            {"a": Made("x", 2, 9, 4), "b": Made("y", 2, 9, 4)},
            {"only": "c"},
            r"only='c' is unknown; choose one of a, b",
        ),
        ({"a": Made("x", 2, 9, 4), "b": Made("y", 2, 9, 4)}, {"grey": 2}, r"grey=2 must be a share"),
    ],
)
def test_wrong_tasks_are_refused_in_one_sentence(sources, settings, message):
    with pytest.raises(CornetError, match=message):
        TwoTasks(sources, **settings)


def test_two_folders_of_photographs(tmp_path):
    rng = np.random.default_rng(0)
    for task, names, count in (("one", ("ann", "bob"), 4), ("two", ("cup", "fox", "hat"), 2)):
        for split in ("train", "val"):
            for name in names:
                (tmp_path / task / split / name).mkdir(parents=True)
                for k in range(count):
                    pixels = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(tmp_path / task / split / name / f"{k}.png")
    source = two_folders({"faces": tmp_path / "one", "objects": tmp_path / "two"}, size=8)
    assert source.classes == ["ann", "bob", "cup", "fox", "hat"]
    assert np.bincount(source.train().labels).tolist() == [3, 3, 2, 2, 2]
    assert (len(source.val()), len(source.test())) == (4 + 3, 4 + 3)
    assert source.train()[Key(0, 0)].image.shape == (3, 8, 8)
    with pytest.raises(CornetError, match="must name two tasks and their folders"):
        two_folders({"faces": tmp_path / "one"})


def test_rendered_exemplars_are_classes_with_three_disjoint_splits():
    source = RenderedExemplars(
        train_images=9, val_images=4, test_images=4, categories=["car", "fruit"], size=16, cache=False
    )
    assert len(source.classes) == 16
    assert source.labels("train").max() < 16
    backgrounds = [set(source.latents(split)["background_seed"]) for split in ("train", "val", "test")]
    assert (
        not backgrounds[0] & backgrounds[1]
        | backgrounds[0] & backgrounds[2]
        | backgrounds[1] & backgrounds[2]
    )
    names = source.latents("train")["object_name"]
    assert [source.classes[k] for k in source.labels("train")] == list(names)
    with pytest.raises(CornetError, match=r"categories=\[\] must name"):
        RenderedExemplars(categories=[])


def test_heads_and_objects_have_equal_numbers_and_a_test_split():
    source = heads_and_objects(
        identities=2, train_images=60, val_images=3, test_images=2, size=16, cache=False
    )
    assert (len(source.classes), source.per_task) == (2 + 56, 60)
    assert source.groups == {"faces": range(2), "objects": range(2, 58)}
    assert {one.label for one in all_of(source.test()) if one.label < 2} == {0, 1}
