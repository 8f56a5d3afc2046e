"""The comparison that an export makes after it was written."""

import copy

import pytest
import torch

from cornet import CornetError, create_model
from cornet.export.agreement import check_agreement, expected_outputs, relative_difference
from cornet.export.graph import NamedOutputs
from cornet.export.source import Source
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD


@pytest.fixture(scope="module")
def source() -> Source:
    torch.manual_seed(0)
    net = create_model("cornet_s", num_classes=5, width=0.1).eval()
    return Source("mine", net, 32, IMAGENET_MEAN, IMAGENET_STD)


def check(source: Source, change) -> float:
    def run(images):
        return change(expected_outputs(source.net, images))

    return check_agreement(source, source.net, run, "some program")


def shifted(outputs, name, share):
    largest = outputs[name].abs().max()
    moved = outputs[name].clone()
    moved.view(-1)[0] += share * largest
    return {**outputs, name: moved}


def test_named_outputs_are_the_states(source):
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found = NamedOutputs(source.net)(images)
    expected = expected_outputs(source.net, images)
    assert list(found) == list(expected)
    assert list(found)[:4] == ["logits", "V1_step0", "V2_step0", "V2_step1"]
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_largest_difference_of_any_output(source):
    assert check(source, dict) == 0
    assert check(source, lambda outputs: shifted(outputs, "V4_step3", 5e-6)) == pytest.approx(5e-6, rel=0.05)


def test_one_value_above_the_limit_is_an_error(source):
    with pytest.raises(
        CornetError, match=r"mine differs by 2.* of the largest value of IT_step1 under some program"
    ):
        check(source, lambda outputs: shifted(outputs, "IT_step1", 2e-5))
    with pytest.raises(CornetError, match="differs by inf"):
        check(source, lambda outputs: shifted(outputs, "logits", float("nan")))


def test_other_names_and_shapes_are_errors(source):
    with pytest.raises(
        CornetError, match="some program gives the outputs logits for mine, not logits, V1_step0"
    ):
        check(source, lambda outputs: {"logits": outputs["logits"]})
    with pytest.raises(CornetError, match=r"gives logits of shape \(1, 1, 5\) for 1 images, not \(1, 5\)"):
        check(source, lambda outputs: {**outputs, "logits": outputs["logits"][None]})


def test_float64_decides_where_float32_is_inexact():
    """A group norm over three values: in float32 PyTorch errs more than the limit; its float64 is right."""
    torch.manual_seed(0)
    net = create_model("cornet_rt", num_classes=5, width=0.1).eval()
    narrow = Source("narrow", net, 32, IMAGENET_MEAN, IMAGENET_STD)
    exact = copy.deepcopy(net).double()
    images = torch.rand(3, 3, 32, 32) * 4 - 2
    single, wide = expected_outputs(net, images), expected_outputs(exact, images.double())
    assert relative_difference(single["logits"], wide["logits"]) > 1e-5

    def run(images):
        found = expected_outputs(exact, images.double())
        return {name: value.float() for name, value in found.items()}

    assert 0 < check_agreement(narrow, net, run, "float64") <= 1e-5


def test_outputs_of_zeros():
    zeros = torch.zeros(3)
    assert relative_difference(zeros, zeros) == 0
    assert relative_difference(zeros + 1e-9, zeros) == float("inf")
    infinite = torch.tensor([1.0, float("inf")])
    assert relative_difference(infinite, infinite) == 0
    assert relative_difference(zeros[:2], infinite) == float("inf")
