"""The prefix of a network's names in a state dict."""

import pytest
import torch

from cornet.errors import CornetError
from cornet.models.weight_files.prefixes import find_prefix, prefix_of_starts

OWN = {
    "conv.weight": torch.zeros(4, 3, 3, 3),
    "norm.weight": torch.zeros(4),
    "norm.num_batches_tracked": torch.tensor(0),
    "fc.weight": torch.zeros(10, 4),
}
HEAD = {"fc.weight"}
ALWAYS = (
    "module.",
    "_orig_mod.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "model.",
    "net.",
    "model.net.module.",
)


def weights(prefix="", value=1.0, **changed):
    return {prefix + key: torch.full_like(own, value) for key, own in OWN.items()} | changed


def found(state, optional=HEAD):
    return find_prefix(state, [OWN], optional, "x.pth")


@pytest.mark.parametrize("prefix", ["", *ALWAYS, "backbone.", "student.encoder."])
def test_one_prefix_before_all_names(prefix):
    assert found(weights(prefix)) == prefix
    assert found(weights(prefix) | {"criterion.weight": torch.ones(10)}) == prefix
    assert found({key: v for key, v in weights(prefix).items() if "num_batches" not in key}) == prefix


def test_another_network_beside_it_fits_less():
    larger = weights("teacher.") | {"teacher.more.weight": torch.ones(3)}
    assert found(weights("model.") | larger) == "model."
    assert found(larger | weights("model.")) == "model."
    other = {"teacher.conv.weight": torch.ones(8, 3, 3, 3), "teacher.norm.weight": torch.ones(8)}
    assert found(weights("model.") | other) == "model."


def test_one_with_the_head_fits_better_than_one_without():
    without = {key: value for key, value in weights("teacher.").items() if "fc" not in key}
    assert found(without | weights("student.")) == "student."
    other_head = weights("teacher.") | {"teacher.fc.weight": torch.ones(7, 4)}
    assert found(other_head | weights("student.")) == "student."
    assert found(other_head) == "teacher."


@pytest.mark.parametrize("first", ["", "model.", "student."])
def test_two_that_fit_equally_are_an_error_with_a_remedy(first):
    state = weights(first) | weights("teacher.", 2.0)
    shown = repr(first) if first else "no prefix"
    with pytest.raises(
        CornetError, match="more than one set of weights that fit the network equally"
    ) as error:
        found(state)
    assert f"under {shown} and 'teacher.'" in str(error.value)
    assert "k.startswith('teacher.')" in str(error.value)


def test_equal_weights_under_two_prefixes_are_one():
    assert found(weights("model.") | weights("loss.model.")) == "model."
    sparse = {"conv.weight": torch.zeros(4, 3, 3, 3).to_sparse()}
    with pytest.raises(CornetError, match="more than one set"):
        found(weights("a.") | {f"a.{k}": v for k, v in sparse.items()} | weights("b.", 0.0))


def test_an_average_inside_the_model_is_an_error_too():
    with pytest.raises(CornetError, match=r"under 'model\.' and 'model\.average\.'"):
        found(weights("model.") | weights("model.average.", 2.0))


def test_without_a_fit_only_what_wrappers_add_is_removed():
    other = {f"module.{key}": torch.ones(3) for key in ("a.weight", "b.weight")}
    assert found(other) == "module."
    assert found(other | {"c.weight": torch.ones(1)}) == ""
    partly = weights("module.")
    del partly["module.conv.weight"]
    assert found(partly | {"criterion.weight": torch.ones(1)}) == "module."
    backbone = weights("backbone.")
    del backbone["backbone.conv.weight"]
    assert found(backbone) == ""
    assert found({}) == ""


def test_a_network_whose_own_names_begin_like_a_wrapper():
    own = {f"net.{key}": value for key, value in OWN.items()}
    assert find_prefix(weights("net."), [own], (), "x") == ""
    assert find_prefix(weights("net.net."), [own], (), "x") == "net."


def test_very_long_names_take_no_time():
    state = {"a." * 200_000 + str(i): torch.ones(1) for i in range(5)}
    assert found(state | weights("model.")) == "model."


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod.", "backbone."])
@pytest.mark.parametrize("start", ["V1.", "areas.V1."])
def test_an_unknown_network_is_found_by_the_start_of_its_names(prefix, start):
    state = {f"{prefix}{start}conv.weight": torch.ones(1), f"{prefix}{start}conv.bias": torch.ones(1)}
    state |= {f"{prefix}decoder.weight": torch.ones(1), "criterion.weight": torch.ones(1)}
    starts = ("areas.V1.", "V1.")
    assert prefix_of_starts(state, starts, "x") == prefix
    assert prefix_of_starts({"module.layer.weight": torch.ones(1)}, starts, "x") == "module."
    twice = {f"{p}.{start}conv.weight": torch.full((1,), float(i)) for i, p in enumerate("ab")}
    with pytest.raises(CornetError, match=r"under 'a\.' and 'b\.'"):
        prefix_of_starts(twice, starts, "x")
