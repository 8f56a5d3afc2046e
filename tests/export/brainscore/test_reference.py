"""A plugin in brainscore-vision itself, in the environment whose interpreter is CORNET_BRAINSCORE_PYTHON."""

import os
from importlib import import_module

import pytest

from tests.helpers.paths import BENCHMARKS

PYTHON = os.environ.get("CORNET_BRAINSCORE_PYTHON", "")
MODELS = [
    "cornet_s?untrained&seed=1&width=0.125&num_classes=8&size=64",
    "cornet_rt?untrained&seed=1&width=0.125&num_classes=8&size=64",
    "cornet_z?untrained&seed=1&width=0.125&num_classes=8&size=64",
]


@pytest.mark.longest
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not PYTHON, reason="CORNET_BRAINSCORE_PYTHON names no environment with brainscore-vision")
def test_the_reference_records_and_scores_as_cornet(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    program = import_module("brainscore_plugin")
    found = program.check(PYTHON, MODELS, tmp_path)
    assert found["plugin_tests"] == "OK"
    assert found["metadata_warnings"] == []
    assert list(found["networks"]) == MODELS
    for text, result in found["networks"].items():
        assert max(result["layers"].values()) < 1e-5, text
        assert result["bins"] < 1e-5
        assert result["bins_compared"] == 4 * (len(program.BINS) + 1)
        assert set(result["scores"]) == {"V1", "V2", "V4", "IT"}
        assert result["score_difference"] < 1e-6
    raw = [result["scores"]["V1"]["raw"] for result in found["networks"].values()]
    assert len({round(value, 4) for value in raw}) == 3  # the networks differ, and so do their scores
