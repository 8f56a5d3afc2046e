"""A whole study: what counts is the saved image, only what passed is shown to judges, and finished stages are kept."""

import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.synthesis.images import open_images, open_source
from cornet.synthesis.metameric.null import pairs_of_source
from cornet.synthesis.metameric.results import Schedule
from cornet.synthesis.metameric.stages import choose_stages, stage_module
from cornet.synthesis.metameric.study import default_schedule, file_name, make_metamers, rounded
from cornet.synthesis.metamers import closeness

CPU = torch.device("cpu")
CLASSES = ["animal", "boat", "car", "chair"]


def network(name="net", seed=0, classes=4):
    torch.manual_seed(seed)
    return NetworkSubject(create_model("cornet_z", num_classes=classes, width=0.1), name=name, size=32)


@pytest.fixture(scope="module")
def shown():
    return open_images(["objects:4"], 32)


@pytest.fixture(scope="module")
def pairs():
    return pairs_of_source(open_source("objects:12", 32), 20, 32)


def study(shown, pairs, generators=(), words=("input", "V1"), **options):
    generators = generators or [network()]
    options.setdefault("schedule", Schedule(4.0, 6, 6))
    options.setdefault("classes", {"net": CLASSES})
    stages = {one.name: choose_stages(one, words) for one in generators}
    return make_metamers(generators, stages, shown, pairs, **options)


def test_what_is_measured_is_the_saved_image(shown, pairs):
    subject = network()
    found = study(shown, pairs, [subject], judges=[network("other", seed=1)])
    for one in found.results:
        assert one.images.dtype == torch.uint8
        states = stage_module(subject, one.stage, CPU)
        expected = closeness(states(one.images.float() / 255), states(shown.scaled))
        np.testing.assert_allclose(one.found.spearman, expected.spearman)
        np.testing.assert_allclose(one.found.snr, expected.snr)
        answers = [CLASSES[k] for k in subject_logits(subject, one.images).argmax(1)]
        assert one.answers.tolist() == answers
        original = [CLASSES[k] for k in subject_logits(subject, shown.pixels).argmax(1)]
        assert one.kept.tolist() == [a == b for a, b in zip(answers, original, strict=True)]
        limits = {name: np.max(getattr(one.null, name)) for name in ("spearman", "pearson", "snr")}
        assert one.thresholds == pytest.approx(limits)
        for place in range(4):
            above = all(getattr(one.found, name)[place] > limit for name, limit in limits.items())
            assert one.passed[place] == (above and one.kept[place])
    assert found.results[0].passed.all()  # the input is matched
    assert (found.results[0].pixel_r > 0.98).all()


def subject_logits(subject, pixels):
    mean, std = (torch.tensor(one)[:, None, None] for one in (subject.mean, subject.std))
    with torch.no_grad():
        return subject.net.eval()((pixels.float() / 255 - mean) / std)


def test_judges_see_what_passed(shown, pairs):
    judge = network("other", seed=1)
    found = study(shown, pairs, judges=[judge], classes={"net": CLASSES, "other": CLASSES})
    said = found.judged("net", "other")
    assert [one.stage and one.stage.area for one in said] == [None, "input", "V1"]
    labels = np.array(shown.labels)
    for one, images, counted in zip(
        said,
        [shown.pixels, *(result.images for result in found.results)],
        [np.ones(4, bool), *(result.passed for result in found.results)],
        strict=True,
    ):
        answers = np.array([CLASSES[k] for k in subject_logits(judge, images).argmax(1)])
        original = np.array([CLASSES[k] for k in subject_logits(judge, shown.pixels).argmax(1)])
        assert one.right.n == one.same.n == counted.sum()
        if counted.any():
            assert one.right.value == pytest.approx((answers == labels)[counted].mean())
            assert one.same.value == pytest.approx((answers == original)[counted].mean())
    assert found.judged("net", "net")[0].same.value == 1
    assert found.judges == {"other": 4}


def test_a_judge_with_other_classes(shown, pairs):
    found = study(shown, pairs, judges=[network("other", 1, classes=7)], words=["input"])
    assert all(one.right.n == 0 for one in found.judged("net", "other"))
    assert [name for name, text in found.notes if "do not include the labels" in text] == ["other"]


def test_a_network_that_does_not_classify_keeps_no_class(shown, pairs):
    net = create_model("cornet_z", num_classes=4, width=0.1)
    net.decoder = nn.Flatten(0)
    found = study(shown, pairs, [NetworkSubject(net, name="headless", size=32)], words=["input"])
    assert found.results[0].kept is None
    assert found.results[0].passed.tolist() == found.results[0].closer.tolist()
    assert "need not keep a class" in dict(found.notes)["headless"]
    assert found.table()["kept"].tolist() == [""] * 4
    assert found.generators == {"headless": 0}


def test_finished_stages_are_not_made_again(shown, pairs, tmp_path):
    first = study(shown, pairs, folder=tmp_path)
    again = study(shown, pairs, folder=tmp_path)
    assert [one.resumed for one in first.results] == [0, 0]
    assert [one.resumed for one in again.results] == [6, 6]
    assert torch.equal(first.results[1].images, again.results[1].images)
    assert again.table().equals(first.table())
    for changed in (
        {"generators": [network(seed=2)]},
        {"schedule": Schedule(4.0, 6, 5)},
        {"seed": 1},
    ):
        assert [one.resumed for one in study(shown, pairs, folder=tmp_path, **changed).results] == [0, 0]


def test_all_stages_start_from_the_same_noise(shown, pairs):
    found = study(shown, pairs, schedule=Schedule(1e-6, 1, 1))
    for one in found.results:
        assert torch.equal(one.images, found.start)


def test_tables(shown, pairs):
    found = study(shown, pairs, [network(), network("net?untrained", 3)], judges=[network("other", 1)])
    table, stages = found.table(), found.stage_table()
    assert len(table) == 2 * 2 * 4
    assert set(table["model"]) == {"net", "net?untrained"}
    assert len(stages) == 2 * 2 * 2  # each network itself, and the judge
    assert (stages["null_pairs"] == 20).all()
    renamed = found.renamed({"net": "A", "other": "B"})
    assert list(renamed.generators) == ["A", "net?untrained"]
    assert {one.judge for one in renamed.judgements} == {"A", "B", "net?untrained"}
    assert found.of("net")[0].generator == "net"


def test_schedules():
    one = default_schedule(64)
    assert (one.steps, one.blocks) == (20, 8)
    assert one.first == pytest.approx(4, abs=0.02)  # as measured
    assert default_schedule(224).first == pytest.approx(4 * 224 / 64, rel=0.01)
    assert default_schedule(64, steps=40).first == pytest.approx(2, abs=0.01)
    assert default_schedule(64, first=0.5).first == 0.5


def test_grey_levels_are_rounded():
    assert rounded(torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.0])).tolist() == [0, 0, 1, 255]
    assert [file_name(one) for one in ("V4[1]", "a/../b", "..", "layer2.0")] == [
        "V4-1",
        "a-..-b",
        "stage",
        "layer2.0",
    ]


def test_a_network_without_areas(shown, pairs):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 4)
    )
    found = study(shown, pairs, [LayerSubject(net, size=32, name="own")], words=["0", "1"])
    assert [str(one.stage) for one in found.results] == ["0", "1"]
    assert (found.results[0].losses[-1] < found.results[0].losses[0]).all()


def test_a_stage_that_does_not_respond(shown, pairs):
    net = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(net[0].bias, -1e6)
    with pytest.raises(CornetError, match="does not respond to target 0"):
        study(shown, pairs, [LayerSubject(net, size=32, name="dead")], words=["1"])


def test_the_names_of_the_package():
    from cornet import synthesis

    assert all(callable(getattr(synthesis, name)) for name in synthesis.__all__)
    assert synthesis.make_metamers is make_metamers
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = synthesis.nothing
