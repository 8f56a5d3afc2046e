"""Metrics by name."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cornet.brain.metrics.neural as package
from cornet import CornetError, brain
from cornet.brain.metrics import predictivity
from cornet.brain.metrics.neural import registry
from cornet.brain.metrics.neural.registry import list_metrics, metric_names, neural_metric, register
from cornet.brain.metrics.splits import make_splits
from tests.helpers.paths import ROOT

MAPPINGS = ["pls", "ridge", "ridgecv", "linear", "neuron_to_neuron"]
LISTS = {"ridgecv_reduced": "reduced", "ridgecv_powers": "powers"}
UNITS = ["reverse_pls", "one_to_one", "semi", "soft", "partial"]


def test_all_metrics_are_listed_mappings_first():
    assert list_metrics() == [*MAPPINGS[:3], *LISTS, *MAPPINGS[3:], *UNITS, "cka", "rdm"]
    assert list(predictivity.METRICS) == MAPPINGS
    for name in list_metrics():
        assert neural_metric(name).name == name
        assert neural_metric(name).summary
        assert neural_metric(name).is_mapping == (name not in ("cka", "rdm"))
        assert neural_metric(name).has_suffix == (name not in (*MAPPINGS, *LISTS))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("pls", ("pls",)),
        ("pls,cka", ("pls", "cka")),
        ("cka, rdm", ("cka", "rdm")),
        (["rdm", "pls", "rdm"], ("rdm", "pls")),
        (["pls,cka", "rdm"], ("pls", "cka", "rdm")),
        (("ridge",), ("ridge",)),
    ],
)
def test_several_names(given, names):
    assert metric_names(given) == names


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ckaa", r"^metric='ckaa' is unknown \(did you mean cka\?\); choose one of pls, .*, cka, rdm\.$"),
        ("zzzz", r"^metric='zzzz' is unknown; choose one of "),
        ("pls,", r"^metric='' is unknown; choose one of "),
        ([], r"^metric=\[\] is empty; choose one of "),
        ([3], r"^metric=3 is unknown; choose one of "),
        ([["pls"]], r"^metric=\['pls'\] is unknown"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(given, words):
    with pytest.raises(CornetError, match=words):
        metric_names(given)


def test_a_name_belongs_to_one_class(monkeypatch):
    monkeypatch.setattr(registry, "METRICS", dict(registry.METRICS))

    class Other(type(neural_metric("cka"))):
        pass

    with pytest.raises(ValueError, match=r"the metric 'cka' of .* is already that of"):
        register("cka")(Other)
    assert register("mine")(Other) is Other
    assert neural_metric("mine").name == "mine"
    assert neural_metric("cka").name == "cka"
    register("cka")(type(neural_metric("cka")))  # as a module that is loaded again does


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_mappings_are_neural_predictivity_bit_for_bit(name):
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((60, 20)), rng.standard_normal((60, 5))
    responses[:, :4] += features[:, :4]
    responses[3, 2] = np.nan
    measured = responses + rng.standard_normal((6, 60, 5))
    splits = make_splits(60)
    score = neural_metric(name).score(features, responses, splits, groups=np.arange(60))
    direct = brain.neural_predictivity(features, responses, name, splits=splits)
    assert np.array_equal(score.values, direct.values, equal_nan=True)
    assert score.row() == direct.row()
    assert score.details["metric"] == direct.details["metric"] == name
    for part, other in zip(score.details["predictions"], direct.details["predictions"], strict=True):
        assert np.array_equal(part, other, equal_nan=True)
    ceiling, consistency = neural_metric(name).ceiling(measured), brain.internal_consistency(measured)
    assert np.array_equal(ceiling.values, consistency.values)
    assert ceiling.notes == consistency.notes


@pytest.mark.parametrize("name", LISTS)
def test_other_lists_of_penalties(name):
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((60, 20)), rng.standard_normal((60, 5))
    splits = make_splits(60)
    score = neural_metric(name).score(features, responses, splits)
    direct = brain.neural_predictivity(features, responses, "ridgecv", alphas=LISTS[name], splits=splits)
    assert np.array_equal(score.values, direct.values)
    assert np.array_equal(score.details["alphas"], direct.details["alphas"])


NEW = '''
"""A metric in a file of its own."""

from cornet.brain.metrics.neural.linear_mappings import Predictivity
from cornet.brain.metrics.neural.registry import register
from cornet.brain.score import Score


@register("always_half")
class AlwaysHalf(Predictivity):
    summary = "always .5"

    def score(self, features, responses, splits, *, groups=None, device="cpu"):
        return Score(raw=0.5, n=len(responses))
'''

USE = """
import cornet.brain.metrics.neural as package
package.__path__.append({folder!r})  # as if the file were in the folder
from cornet.brain.benchmarks import open_benchmarks
from tests.helpers.brain.drawn_bundle import Drawn, write
from pathlib import Path
folder = write(Path({bundle!r}))
for one in open_benchmarks([str(folder)], metric=["pls", "always_half"]):
    print(one.name, one.metric, one.run(Drawn()).details["metric"], round(one.run(Drawn()).raw, 1))
"""


@pytest.mark.slow  # another process
def test_a_new_file_is_enough_for_a_new_metric(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "always_half.py").write_text(NEW)
    code = USE.format(folder=str(tmp_path / "more"), bundle=str(tmp_path / "mine"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "mine.V4-always_half always_half always_half 0.5"


def test_every_file_of_the_folder_is_imported():
    names = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}
    list_metrics()
    assert {f"{package.__name__}.{name}" for name in names} <= set(sys.modules)
