"""Generalisation to new observers and subjects, and to other kinds of images for observers."""

import numpy as np
import pytest
import xarray as xr

from cornet.brain import generalise, open_benchmarks
from cornet.brain.metrics.similarity import rdm
from cornet.errors import CornetError
from tests.helpers.brain.latent_bundles import KINDS, STIMULI, latents, names, picture, recorded, write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


OBJECTS = np.array(["bear", "car"])
TRUTH = OBJECTS[(latents()[:, 0] > 0).astype(int)]
SEEN = OBJECTS[(latents()[:, 0] + latents()[:, 1] > 0).astype(int)]
"""What all observers answer: they err on the same images."""
NOISE = np.random.default_rng(9).standard_normal((STIMULI, 6))


def bundle(folder, columns, values, **table):
    data = xr.DataArray(
        values,
        dims="presentation",
        coords={k: ("presentation", v) for k, v in columns.items()},
        name="choice",
    )
    return write(folder, data, names(), [picture(one) for one in latents()], **table)


def answers(folder, observers=6, errors=0.1):
    """Answers of observers, each with some random errors of their own."""
    rng = np.random.default_rng(1)
    shown, who = np.tile(np.arange(STIMULI), observers), np.repeat(np.arange(observers), STIMULI)
    wrong = rng.random(len(shown)) < errors
    given = np.where(wrong, OBJECTS[(SEEN[shown] == "bear").astype(int)], SEEN[shown])
    columns = {"stimulus_id": names()[shown], "truth": TRUTH[shown], "condition": KINDS[shown]}
    return bundle(folder, {**columns, "subject": np.array([f"o{k}" for k in who])}, given, kind=KINDS)


def of(found, kind):
    return [one for one in found.rows if one.kind == kind]


def test_observers_who_err_alike(tmp_path):
    """A read-out of other observers' answers is as good as one of their own; one of the objects is not."""
    model = recorded(tmp_path / "f.npz", V4=latents(), IT=latents())
    found = generalise([model], open_benchmarks([str(answers(tmp_path / "a"))]), kind="kind")
    assert [one.kind for one in found.rows] == ["ordinary", "new kind", "new kind", "new observers"]
    (ordinary,), (new,) = of(found, "ordinary"), of(found, "new observers")
    assert abs(new.drop) < 0.05
    assert new.drop_low <= new.drop <= new.drop_high
    assert new.value > ordinary.value + 0.2
    assert new.unit == "people"
    for one in of(found, "new kind"):
        assert one.stimuli == STIMULI // 2
        assert abs(one.drop) < 0.3
    shown = {(kind, reason) for _, _, kind, reason in found.missing}
    assert ("new images, new neuroids, new session", "choices were recorded, not neuroids") in shown


def test_too_few_observers(tmp_path):
    model = recorded(tmp_path / "f.npz", V4=latents())
    found = generalise([model], open_benchmarks([str(answers(tmp_path / "a", 3))]))
    reasons = {kind: reason for _, _, kind, reason in found.missing}
    assert "has 3 observers, but two halves need at least 4" in reasons["new observers"]
    assert "give --kind COLUMN" in reasons["new kind"]


def pairs(folder, observers):
    """Choices between two objects. observers: names, or None."""
    rng = np.random.default_rng(2)
    shown = np.repeat(np.arange(STIMULI), 24)
    three = np.array(["bear", "car", "face"])
    sample = three[shown % 3]
    other = three[(shown + 1 + np.tile([0, 1], len(shown) // 2)) % 3]
    hard = 1 / (1 + np.exp(-2 * latents()[shown, 0]))
    chosen = np.where(rng.random(len(shown)) < 0.5 * hard, other, sample)
    columns = {"stimulus_id": names()[shown], "sample_obj": sample, "dist_obj": other}
    if observers:
        columns["subject"] = np.array(observers)[rng.integers(len(observers), size=len(shown))]
    return bundle(folder, columns, chosen)


def test_i2n_of_halves_of_the_observers(tmp_path):
    """Observers who do not differ: the ceiling of other observers is that of other trials."""
    model = recorded(
        tmp_path / "f.npz", V4=np.concatenate([latents(), np.eye(3)[np.arange(STIMULI) % 3]], axis=1)
    )
    found = generalise([model], open_benchmarks([str(pairs(tmp_path / "a", [f"o{k}" for k in range(6)]))]))
    (ordinary,), (new,) = of(found, "ordinary"), of(found, "new observers")
    assert new.ceiling == pytest.approx(ordinary.ceiling, abs=0.12)
    assert new.raw == pytest.approx(ordinary.raw, abs=0.1)
    assert np.isnan(new.drop_low)
    unknown = generalise([model], open_benchmarks([str(pairs(tmp_path / "b", None))]))
    reasons = {kind: reason for _, _, kind, reason in unknown.missing}
    assert "do not say who made them; add the coordinate subject" in reasons["new observers"]


def subjects(folder, number=4):
    rng = np.random.default_rng(0)
    rdms = np.array([rdm(latents() + 0.5 * rng.standard_normal(latents().shape)) for _ in range(number)])
    write(folder, None, names(), [picture(one) for one in latents()])
    np.savez(folder / "rdms.npz", stimulus_id=names(), IT=rdms)
    return open_benchmarks([str(folder)])


def test_subjects_left_out(tmp_path):
    model = recorded(tmp_path / "f.npz", V4=latents(), IT=NOISE)
    benchmarks = subjects(tmp_path / "a")
    found = generalise([model], benchmarks)
    (ordinary,), (new,) = of(found, "ordinary"), of(found, "new subjects")
    assert new.site == "V4[0]"
    assert (new.drop, new.drop_low) == (0, 0)
    assert new.raw > ordinary.raw + 0.3  # the ordinary row has the layer IT
    assert new.ceiling == benchmarks[0].bounds[0]
    shuffled = recorded(tmp_path / "g.npz", V4=np.random.default_rng(4).permutation(latents()), IT=NOISE)
    assert max(abs(one.raw) for one in generalise([shuffled], benchmarks).rows) < 0.1
    alone = generalise([model], subjects(tmp_path / "b", 1)).missing
    assert any("has one subject, so none can be left out" in one[3] for one in alone)


def test_nothing_can_be_measured(tmp_path):
    folder = answers(tmp_path / "a")
    model = recorded(tmp_path / "f.npz", ("other",), V4=latents())
    with pytest.raises(CornetError, match=r"nothing could be measured: .*stimul"):
        generalise([model], open_benchmarks([str(folder)]))
