"""Dissimilarities instead of responses: a folder with rdms.npz is a benchmark of its own."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from cornet.brain.benchmarks import RdmBenchmark, open_benchmarks
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.models import create_model
from tests.helpers.brain.rdm_bundle import STIMULI, dissimilarities, write
from tests.helpers.brain.small_bundles import ids


@pytest.fixture(scope="module")
def subject():
    net = create_model("cornet_s", num_classes=3, width=0.0625)
    return NetworkSubject(net, "narrow", size=32)


def test_a_folder_of_rdms_is_scored_as_by_hand(tmp_path, subject):
    order = np.random.default_rng(3).permutation(STIMULI)  # the file has another order than the table
    brains = dissimilarities(3, 2)
    folder = write(
        tmp_path / "mri", ids(STIMULI)[order], human_IT=brains.mean((0, 1)), human_it_subject=brains
    )
    (one,) = open_benchmarks([str(folder)])
    assert isinstance(one, RdmBenchmark)
    assert (one.name, one.region, one.simulated) == ("mri.IT-rdm", "IT", False)
    assert one.sites(subject) == [Site("IT", 1)]  # the last step
    score = one.run(subject)
    features = subject.record(one.stimuli, [Site("IT", 1)])[Site("IT", 1)][order]
    own = pdist(features, "correlation")
    by_hand = [spearmanr(own, squareform(each, checks=False)).statistic for each in brains.mean(1)]
    assert score.values == pytest.approx(by_hand, abs=1e-9)
    assert score.raw == score.value == pytest.approx(np.mean(by_hand))
    assert score.error == pytest.approx(np.std(by_hand, ddof=1) / np.sqrt(3))
    means = brains.mean(1)
    lower = [
        spearmanr(squareform(means[i]), squareform(np.delete(means, i, 0).mean(0))).statistic
        for i in range(3)
    ]
    assert score.ceiling == pytest.approx(np.mean(lower))
    assert score.scale == "raw"
    assert score.n == STIMULI


def test_a_model_of_the_mean_reaches_the_upper_bound(tmp_path):
    (one,) = open_benchmarks([str(write(tmp_path / "mri", V4=dissimilarities(4)))])
    mean = squareform(dissimilarities(4).mean(0))
    values = [spearmanr(mean, squareform(each)).statistic for each in dissimilarities(4)]
    assert one.region == "V4"
    assert one.bounds[1] == pytest.approx(np.mean(values))
    assert one.bounds[0] < one.bounds[1]


def test_a_group_alone_has_no_ceiling(tmp_path, subject):
    (one,) = open_benchmarks([f"{write(tmp_path / 'mri', it=dissimilarities())}:IT"])
    score = one.run(subject)
    assert np.isfinite(score.raw)
    assert np.isnan(score.ceiling)
    assert "no noise ceiling" in score.notes[0]


@pytest.mark.parametrize(
    ("names", "arrays", "said"),
    [
        (None, {"judgement": dissimilarities()}, "none is named after a region"),
        (None, {"IT": dissimilarities()[:4]}, "but needs dissimilarities"),
        (None, {"IT": dissimilarities() + np.nan}, "not finite"),
        (
            None,
            {"IT": 1 - dissimilarities()},
            "IT has 1 on its diagonal, which is 0 in dissimilarities; give those",
        ),
        (None, {"IT": 1 - dissimilarities(3)}, "has 1 on its diagonal"),
        (None, {"IT": 100 * (1 - dissimilarities())}, "has 100 on its diagonal"),
        (None, {"IT": -dissimilarities()}, "more values below 0 than above"),
        (None, {"IT": dissimilarities() + np.diag([np.nan] * STIMULI)}, "write 0 there"),
        (None, {"IT": np.triu(dissimilarities())}, "must be symmetric"),
        (
            None,
            {"IT": dissimilarities(2)[[0, 1, 0]]},
            "the same dissimilarities for several of the 3 subjects",
        ),
        (ids(STIMULI + 1)[1:], {"IT": dissimilarities()}, "must belong together"),
        (np.repeat("im00", STIMULI), {"IT": dissimilarities()}, "some twice"),
    ],
)
def test_bad_rdms(tmp_path, names, arrays, said):
    folder = write(tmp_path / "mri", names, **arrays)
    with pytest.raises(CornetError, match=said) as error:
        open_benchmarks([str(folder)])
    assert str(error.value).count(". ") == 0


def test_similarities_of_real_brains_are_refused(tmp_path, shared_data):
    source = shared_data / "kriegeskorte2008-92images"
    arrays = dict(np.load(source / "rdms.npz"))
    for name in ("stimulus_set.csv", "stimuli.zip"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    similar = {name: one if one.ndim == 1 else 1 - one for name, one in arrays.items()}
    np.savez(tmp_path / "rdms.npz", **similar)
    with pytest.raises(CornetError, match="has 1 on its diagonal, which is 0 in dissimilarities"):
        open_benchmarks([str(tmp_path)])


def test_small_errors_of_rounding_are_allowed(tmp_path):
    noise = np.random.default_rng(0).uniform(0, 1e-7, (STIMULI, STIMULI))
    crossvalidated = dissimilarities() - 0.2 * (1 - np.eye(STIMULI))  # estimates of distances may be below 0
    for number, one in enumerate((dissimilarities() + noise, crossvalidated)):
        open_benchmarks([str(write(tmp_path / str(number), IT=one))])


def test_damaged_or_pickled_rdms_are_refused(tmp_path):
    folder = write(tmp_path / "mri", IT=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CornetError, match=r"no \.npz file of plain arrays"):
        open_benchmarks([str(folder)])
    (folder / "rdms.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(CornetError, match="damaged"):
        open_benchmarks([str(folder)])


def test_a_region_that_is_not_there(tmp_path):
    with pytest.raises(CornetError, match="no region 'V1', but IT"):
        open_benchmarks([f"{write(tmp_path / 'mri', IT=dissimilarities())}:V1"])


def test_human_it(shared_data, subject):
    (one,) = open_benchmarks([str(shared_data / "kriegeskorte2008-92images")])
    assert one.bounds == pytest.approx((0.379, 0.661), abs=5e-4)  # as measured by benchmarks/real_brains.py
    assert one.run(subject).n == 92
