"""`cornet models NAME KEY=VALUE...` and the commands below `cornet report`."""

import json

import pytest
from typer.testing import CliRunner

from cornet import CornetError
from cornet.cli import app


def ran(*words):
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_a_variant_its_cost_and_its_milliseconds():
    told = ran("models", "cornet_s", "gate=soft", "bottleneck=2", "times={V4: 8}")
    assert "14,873,256" in told
    assert "15 (42)" in told
    assert "IT: 100-200, 200-300" in told
    assert "390-440, 440-490" in told


def test_a_variant_as_json():
    (row,) = json.loads(ran("models", "cornet_rt", "model.times=6", "feedback=true", "--json"))
    assert row["depth"] == {"layers": 9, "unrolled": 13}
    assert row["steps"] == {"V1": 6, "V2": 6, "V4": 6, "IT": 6}
    assert row["top1"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gate=soft"], "name one network, such as cornet_s, before its keys"),
        (["cornet_s", "cornet_z"], "name one network"),
        (["cornet_s", "gat=soft"], "has no argument 'gat'; did you mean gate"),
        (["cornet_s", "times={V4"], "times=.* cannot be read"),
        (["cornet_x"], "model 'cornet_x' is unknown"),
    ],
)
def test_what_is_no_variant(words, said):
    with pytest.raises(CornetError, match=said):
        ran("models", *words)


def test_report_of_a_run_needs_no_second_word(tmp_path):
    for words in (
        ["report", str(tmp_path)],
        ["report", "run", str(tmp_path)],
        ["report", "--together", str(tmp_path)],
    ):
        with pytest.raises(CornetError, match="run"):
            ran(*words)
    told = ran("report", "--help")
    assert "compare" in told
    assert "sweep" in told
