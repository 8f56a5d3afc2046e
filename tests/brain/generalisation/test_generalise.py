"""Generalisation: known drops, ceilings from the data tested, the command, and mistakes."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cornet.brain import generalise, internal_consistency, open_benchmarks, open_subject
from cornet.brain.data.bundle import load_bundle
from cornet.cli import app
from cornet.errors import CornetError
from tests.helpers.brain.latent_bundles import (
    KINDS,
    NEUROIDS,
    STIMULI,
    latents,
    names,
    neurons,
    picture,
    recorded,
    session,
    write,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


NOISE = np.random.default_rng(9).standard_normal((STIMULI, 6))


def opened(*folders, metric="linear"):
    return open_benchmarks([str(one) for one in folders], metric=metric)


def by_kind(found, kind):
    return [one for one in found.rows if one.kind == kind]


def reasons(found):
    return {(kind, reason) for _, _, kind, reason in found.missing}


def test_a_model_that_is_linear_in_the_responses_generalises(tmp_path):
    """No drop on new images, neuroids, kinds and sessions; shared images are found by their pixels."""
    a = session(tmp_path / "a", kind=KINDS)
    b = session(tmp_path / "b", prefix="other", seed=1, kind=KINDS)
    model = recorded(tmp_path / "features.npz", ("im", "other"), V4=latents(), IT=NOISE)
    benchmarks = opened(a, b)
    found = generalise([model], benchmarks, kind="kind")
    kinds = [one.kind for one in found.rows if one.benchmark == "a.V4"]
    assert kinds == [
        *("ordinary", "new images", "new neuroids", "new session, site", "new session, mapping"),
        *("session predicts session", "new kind", "new kind"),
    ]
    assert not [missing for missing in found.missing if missing[2] != "new observers"]
    for one in found.rows:
        assert one.ceiling > 0.9
        assert one.raw > 0.9
        assert one.low <= one.value <= one.high
        if one.kind != "ordinary":
            # Recordings are noisy predictors; features are not.
            assert abs(one.drop) < (0.15 if one.kind == "session predicts session" else 0.06)
            assert one.drop_low <= one.drop <= one.drop_high
    ordinary = found.rows[0]
    assert ordinary.value == benchmarks[0].run(model).value
    assert (ordinary.stimuli, ordinary.neuroids, ordinary.scale) == (STIMULI, NEUROIDS, "r^2/c")
    assert {one.site for one in by_kind(found, "new neuroids")} == {"V4[0]"}
    assert by_kind(found, "new neuroids")[0].drop == 0
    assert by_kind(found, "new kind")[0].stimuli == STIMULI // 2
    assert list(found.table().columns)[:5] == ["model", "benchmark", "kind", "fitted", "tested"]


def test_a_model_that_encodes_the_kinds_differently_drops(tmp_path):
    """Each kind is predicted from itself, but not from the other; a kind that is not encoded is not predicted."""
    folder = session(tmp_path / "a", kind=KINDS)
    other = np.where((KINDS == "photo")[:, None], np.roll(latents(), 1, axis=1), latents())
    one_only = np.where((KINDS == "photo")[:, None], NOISE[:, :4], latents())
    (rolled,) = (recorded(tmp_path / "rolled.npz", V4=other),)
    for row in by_kind(generalise([rolled], opened(folder), kind="kind"), "new kind"):
        assert row.reference > 0.8
        assert row.drop > 0.5
        assert row.drop_low > 0.2
    half = recorded(tmp_path / "half.npz", V4=one_only)
    drawing, photo = by_kind(generalise([half], opened(folder), kind="kind"), "new kind")
    assert (drawing.tested, photo.tested) == ("kind drawing", "kind photo")
    assert drawing.reference > 0.8
    assert abs(photo.reference) < 0.15
    assert max(abs(photo.value), abs(drawing.value)) < 0.3


def test_shuffled_responses_give_zero(tmp_path):
    rng = np.random.default_rng(3)
    folder = session(tmp_path / "a", neurons(rng.permutation(names()), latents(), neuroids=30), kind=KINDS)
    b = session(tmp_path / "b", neurons(names("other"), rng.permutation(latents()), 1), "other", kind=KINDS)
    model = recorded(tmp_path / "features.npz", ("im", "other"), V4=latents(), IT=NOISE)
    found = generalise([model], opened(folder, b), kind="kind")
    assert len(found.rows) == 16
    assert abs(found.table()["raw"]).mean() < 0.12
    assert abs(found.table()["value"]).max() < 0.15


def test_ceilings_are_those_of_the_data_tested(tmp_path):
    """Photos are measured with more noise: only rows that are tested on them have the low ceiling."""
    quiet, loud = (neurons(names(), latents(), noise=noise) for noise in (0.3, 6.0))
    photo = np.isin(quiet.coords["stimulus_id"].values, names()[KINDS == "photo"])
    folder = session(tmp_path / "a", quiet.where(~photo[:, None], loud), kind=KINDS)
    model = recorded(tmp_path / "features.npz", V4=latents(), IT=NOISE)
    found = generalise([model], opened(folder), kind="kind")
    repetitions = load_bundle(folder).responses("V4").repetitions
    for one in by_kind(found, "new kind"):
        shown = one.tested.removeprefix("kind ") == KINDS
        assert one.ceiling == pytest.approx(internal_consistency(repetitions[:, shown]).raw)
    drawing, photos = by_kind(found, "new kind")
    assert drawing.ceiling > 0.95 > 0.7 > photos.ceiling


def test_new_images_are_whole_groups_and_never_equal_to_training_images(tmp_path):
    """A model that recognises single images predicts repeated images, but no new ones."""
    half = STIMULI // 2
    twice = np.tile(np.eye(half), (2, 1))
    values = np.tile(latents()[:half], (2, 1))
    pictures = [picture(one) for one in values]
    folder = write(
        tmp_path / "a", neurons(names(), values), names(), pictures, pair=np.tile(names("p", half), 2)
    )
    model = recorded(tmp_path / "features.npz", V4=twice, IT=NOISE)
    found = generalise([model], opened(folder, metric="ridge"))
    (ordinary,), (images,) = (by_kind(found, kind) for kind in ("ordinary", "new images"))
    assert "test stimuli show an image that is in the training set too" in ordinary.notes
    assert ordinary.raw > 0.5
    assert not images.raw > 0.2
    assert images.from_ordinary == ordinary.value - images.value
    grouped = generalise([model], opened(folder, metric="ridge"), images_by="pair")
    assert by_kind(grouped, "new images")[0].fitted == "other groups (pair)"


def test_the_site_is_chosen_on_other_neuroids(tmp_path):
    """Two layers each encode one half of the variables: which one is best depends on the neuroids."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, NEUROIDS))
    weights[:2, : NEUROIDS // 2] = weights[2:, NEUROIDS // 2 :] = 0
    signal = latents() @ weights
    data = neurons(names(), latents())
    data.values[:] = signal[np.repeat(np.arange(STIMULI), 4)] + 0.3 * rng.standard_normal(data.shape)
    folder = session(tmp_path / "a", data)
    model = recorded(tmp_path / "features.npz", V4=latents()[:, :2], IT=latents()[:, 2:])
    (row,) = by_kind(generalise([model], opened(folder)), "new neuroids")
    assert row.site == "IT[0] V4[0]"
    assert row.drop > 0.1
    assert row.neuroids == NEUROIDS


def test_a_single_session(tmp_path):
    found = generalise([open_subject("pixels", size=8)], opened(session(tmp_path / "a")))
    reason = "there is no other session of V4; give several bundles, or --session"
    assert ("new session", reason) in reasons(found)


def test_animals_of_one_bundle_are_sessions(tmp_path):
    folder = session(tmp_path / "a")
    model = recorded(tmp_path / "features.npz", V4=latents(), IT=NOISE)
    found = generalise([model], opened(folder), session="animal")
    rows = by_kind(found, "session predicts session")
    assert {one.tested for one in rows} == {"animal ann", "animal bob"}
    assert all(one.raw > 0.9 for one in rows)
    assert {one.neuroids for one in rows} == {NEUROIDS // 2}


def test_sessions_without_shared_images(tmp_path):
    """The choice of the site is transferred; the mapping cannot be, and the reason is one line."""
    values = latents(5)
    a = session(tmp_path / "a")
    b = write(tmp_path / "b", neurons(names(), values, 1), names(), [picture(one) for one in values])
    model = recorded(tmp_path / "features.npz", V4=latents(), IT=NOISE)
    found = generalise([model], opened(a, b))
    assert len(by_kind(found, "new session, site")) == 2
    assert not by_kind(found, "new session, mapping")
    reason = (
        "no images are shared with a, but a map between two recordings needs 20; only the choice of the site"
    )
    assert ("new session, mapping", f"{reason} can be tested") in reasons(found)


def test_silent_neuroids_are_counted(tmp_path):
    data = neurons(names(), latents())
    data.values[:, 0] = np.nan
    data.values[:, 1] = 0
    model = recorded(tmp_path / "features.npz", V4=latents(), IT=NOISE)
    found = generalise([model], opened(session(tmp_path / "a", data, kind=KINDS)), kind="kind")
    for one in found.rows:
        assert "skipped 1 of 8 neuroids without responses" in one.notes or one.kind == "new neuroids"
        assert one.raw > 0.8
    data.values[:] = 0
    with pytest.raises(CornetError, match=r"all 8 neuroids of b\.V4 are silent or constant"):
        generalise([model], opened(session(tmp_path / "b", data)))


@pytest.mark.slow
def test_agreement_over_models(tmp_path):
    folder = session(tmp_path / "a")
    models = []
    for number, noise in enumerate((0.0, 1.0, 2.0)):
        models.append(recorded(tmp_path / f"{number}.npz", V4=latents() + noise * NOISE[:, :4], IT=NOISE))
        models[-1].name = f"m{number}"
    found = generalise(models, opened(folder)).agreement().set_index("kind")
    assert found.loc["new images", "models"] == 3
    assert found.loc["new images", "r"] > 0.9


def run(*words, columns=80):
    result = CliRunner().invoke(
        app, ["generalise", *map(str, words)], env={"COLUMNS": str(columns), "TERM": "dumb"}
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_command(tmp_path):
    folder = session(tmp_path / "a", kind=KINDS)
    path = tmp_path / "rows.csv"
    recorded(tmp_path / "features.npz", V4=latents(), IT=NOISE)
    words = (tmp_path / "features.npz", "--on", folder, "--metric", "linear", "--kind", "kind")
    out = run(*words, "--csv", path)
    assert max(map(len, out.splitlines())) <= 80
    assert "new neuroids" in out
    assert "95 % interval" in out
    assert "Not measured:" in out
    table = pd.read_csv(path)
    read = json.loads(run(*words, "--json"))
    assert [one["kind"] for one in read["rows"]] == table["kind"].tolist()
    assert read["rows"][0]["drop"] is None
    assert read["missing"][0]["kind"] == "new observers"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--on is missing; name the brain data, as in cornet generalise pixels --on my-bundle"),
        (
            ["--on", "FOLDER", "--metric", "cka"],
            "the metric cka predicts no neuroids, so it cannot generalise; use a mapping",
        ),
        (
            ["--on", "FOLDER", "--kind", "kinds"],
            "kind='kinds' is neither a column nor .*; did you mean 'kind'",
        ),
        (["--on", "FOLDER", "--images-by", "x"], "images_by='x' is neither a column"),
        (
            ["--on", "FOLDER", "--session", "animals"],
            "session='animals' is neither .*; did you mean 'animal'",
        ),
    ],
)
def test_mistakes(tmp_path, words, message):
    folder = session(tmp_path / "a", kind=KINDS)
    with pytest.raises(CornetError, match=message):
        run("pixels", "--size", "8", *[folder if word == "FOLDER" else word for word in words])


def test_small_and_uniform_bundles(tmp_path):
    """Each is one sentence."""
    model = open_subject("pixels", size=8)
    one = write(
        tmp_path / "one", neurons(names(count=1), latents()[:1]), names(count=1), [picture(latents()[0])]
    )
    with pytest.raises(CornetError, match=r"one.V4 has 1 stimulus, but generalisation needs at least 20"):
        generalise([model], opened(one))
    same = write(
        tmp_path / "same", neurons(names(), latents()), names(), [picture(latents()[0])] * STIMULI, kind="x"
    )
    found = generalise(
        [model, recorded(tmp_path / "f.npz", V4=latents(), IT=NOISE)], opened(same), kind="kind"
    )
    texts = dict(sorted(reasons(found)))
    assert "show one image, so no images can be held out" in texts["new images"]
    assert "has one value, 'x', but two kinds are needed" in texts["new kind"]
    assert "the model has one site, so no choice is made on neuroids" in texts["new neuroids"]


@pytest.mark.slow
def test_real_sessions_share_images(shared_data):
    """V4 210325 and 210322 have 600 images in common, under different ids."""
    found = generalise(
        [open_subject("gabor", size=64)],
        opened(shared_data / "cowley2023-V4-210325", shared_data / "cowley2023-V4-210322", metric="ridge"),
    )
    for one in by_kind(found, "session predicts session"):
        assert one.stimuli == 600
        assert one.raw > 0.5
    for one in by_kind(found, "new session, mapping"):
        assert 0.3 < one.raw < 0.5
        assert abs(one.drop) < 0.05
