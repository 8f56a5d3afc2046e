"""Sizes that no machine can hold are refused at once; those at the bounds are counted."""

import time

import pytest

from cornet.brain import open_subject
from cornet.errors import CornetError
from cornet.memory import available_memory
from cornet.models import create_model, describe

TOO_LARGE = [
    ({"width": 1e9}, "width=1000000000.0"),
    ({"width": 1e308}, "width=1e.308"),
    ({"bottleneck": 1e9}, "bottleneck=1000000000.0"),
    ({"times": 10**8}, "times=100000000 .*1,000"),
    ({"times": {"V4": 10**8}}, "times.V4=100000000 .*1,000"),
    ({"num_classes": 10**12}, "num_classes=1000000000000 .*1,000,000"),
    ({"in_channels": 10**9}, "in_channels=1000000000 .*1,000,000"),
]


@pytest.mark.parametrize("make", [create_model, describe])
@pytest.mark.parametrize(("arguments", "sentence"), TOO_LARGE)
def test_more_than_is_built(make, arguments, sentence):
    start = time.monotonic()
    with pytest.raises(CornetError, match=sentence):
        make("cornet_s", **arguments)
    assert time.monotonic() - start < 1


def test_more_weights_than_memory_holds_are_counted_and_not_made():
    shown = describe("cornet_rt", width=400)
    assert shown.parameters * 4 > available_memory()
    with pytest.raises(
        CornetError, match=r"GiB of weights, but only [\d,.]+ GiB .* free; choose a smaller width"
    ):
        create_model("cornet_rt", width=400)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cornet_s?untrained&width=1e9", "width"),
        ("cornet_s?untrained&size=1000000", "size=1000000 must be 1 to 10,000 pixels"),
        ("cornet_z?untrained&size=0", "size=0 must be"),
        ("cornet_s?untrained&times.V4=100000000", "times.V4=100000000"),
        ("cornet_rt?untrained&steps=100000000", "times=100000000"),
        ("pixels?size=1000000", "size=1000000"),
        ("gabor?size=1000000", "size=1000000"),
    ],
)
def test_subjects(text, sentence):
    with pytest.raises(CornetError, match=sentence):
        open_subject(text)


def test_sizes_of_the_table_of_networks():
    with pytest.raises(CornetError, match="size=1000000 must be"):
        describe("cornet_z", size=1_000_000)
