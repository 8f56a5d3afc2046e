"""Bundles of maps are benchmarks: every layer is compared, the best is chosen, and the notes say so."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from cornet import brain
from cornet.brain import simulated
from cornet.brain.metrics.activity_maps import best_pair_ceiling, map_ceiling, map_features, map_predictivity
from cornet.brain.simulated.early import field_centres
from cornet.brain.simulated.maps import map_bundle, map_rates
from cornet.brain.subjects.subject import Site
from cornet.cli import app
from cornet.errors import CornetError
from tests.helpers.brain import map_bundles


def score(folder, subject, **options):
    (benchmark,) = brain.open_benchmarks([str(folder)], **options)
    (result,) = brain.run_battery([subject], [benchmark])
    return result


@pytest.fixture
def subject(tmp_path):
    """A layer of the features that the maps are made of, a layer of others, and one without maps."""
    known, other = map_bundles.features(), map_bundles.features(seed=9)
    path = map_bundles.recorded(tmp_path / "features.npz", late=other[:, :, 0, 0], early=other, middle=known)
    return brain.open_subject(str(path))


def test_the_best_layer_is_chosen(tmp_path, subject):
    maps = map_bundles.true_maps(noise=0.1)
    folder = map_bundles.write(tmp_path / "made", map_bundles.presentations(maps))
    result = score(folder, subject)
    assert result.benchmark.name == "made.IT-activity_maps"
    expected = map_predictivity(map_features(map_bundles.features(), (4, 4)), maps)
    assert result.score.raw == pytest.approx(expected.raw, abs=1e-12)
    assert result.score.raw > 0.9
    pair = best_pair_ceiling(maps)
    assert result.score.ceiling == pytest.approx(pair.raw)
    assert result.score.scale == "r/c"
    assert result.score.value == pytest.approx(expected.raw / pair.raw)
    row = result.row()
    assert row["sites"] == "middle[0]"
    assert row["metric"] == "activity_maps"
    assert "middle[0] is the best of 2 layers and steps, chosen on the same data" in row["notes"]
    assert "best pair of neurons, as there are no trials: it is not a reliability" in row["notes"]
    table = result.score.details["by_site"].set_index("layer")
    assert list(table.index) == ["early", "middle"]
    assert abs(table["score"]["early"]) < 0.25


def test_a_given_layer_is_compared_alone(tmp_path, subject):
    folder = map_bundles.write(tmp_path / "made", map_bundles.presentations(map_bundles.true_maps()))
    result = score(folder, subject.with_regions({"IT": "early"}))
    assert "compared with early[0] alone" in result.row()["notes"]
    with pytest.raises(CornetError, match="must be maps"):
        score(folder, subject.with_regions({"IT": "late"}))


def test_trials_give_a_reliability(tmp_path, subject):
    data = map_bundles.presentations(map_bundles.true_maps(), trials=4, noise=0.5)
    folder = map_bundles.write(tmp_path / "made", data)
    result = score(folder, subject)
    maps = result.benchmark.maps
    assert result.score.ceiling == pytest.approx(map_ceiling(maps.repetitions).raw)
    assert result.score.value == pytest.approx(result.score.raw**2 / result.score.ceiling)
    assert "the ceiling is the split-half reliability over trials" in result.row()["notes"]
    rule = {"map_by": ["down", "right"], "map_published": True}
    (folder / "bundle.json").write_text(json.dumps(rule))
    published = score(folder, subject)
    assert published.score.ceiling == pytest.approx(best_pair_ceiling(maps.mean, published=True).raw)
    assert published.score.scale == "r/c"
    assert "repeats the differences of the published code" in published.row()["notes"]
    assert published.data != result.data


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"random": True}, "random beside map_by"),
        ({"map_by": ["down"]}, "two coordinates"),
        ({"map_by": ["down", "down"]}, "two coordinates"),
        ({"map_by": ["down", "left"]}, "no presentation coordinate 'left'"),
    ],
)
def test_other_rules_are_refused(tmp_path, subject, rule, words):
    folder = map_bundles.write(tmp_path / "made", map_bundles.presentations(map_bundles.true_maps()), rule)
    with pytest.raises(CornetError, match=words):
        score(folder, subject)


def test_the_command(tmp_path):
    folder = map_bundles.write(tmp_path / "made", map_bundles.presentations(map_bundles.true_maps()))
    path = map_bundles.recorded(tmp_path / "features.npz", middle=map_bundles.features())
    result = CliRunner().invoke(
        app, ["score", str(path), "--on", str(folder), "--csv", str(tmp_path / "a.csv")]
    )
    assert result.exit_code == 0, result.output
    assert "made.IT-activity_maps" in re.sub(r"\s", "", (tmp_path / "a.csv").read_text())


def test_shapes_of_layers():
    import torch

    from cornet.models import create_model

    net = create_model("cornet_z", num_classes=4, width=0.125)
    subject = brain.NetworkSubject(net, size=32)
    shapes = subject.shapes(subject.sites())
    _, states = net(torch.zeros(1, 3, 32, 32), return_states=True)
    for area, state in states.items():
        assert shapes[Site(area)] == tuple(state.shape[2:])
    assert len(shapes[Site("decoder.avgpool")]) == len(shapes[Site("logits")]) == 1
    widths = subject.widths(subject.sites())
    assert {site: int(np.prod(shape)) for site, shape in shapes.items()} == widths
    assert subject.shapes([Site("areas.V2.conv")])[Site("areas.V2.conv")][0] == states["V2"].shape[2]
    for name, shape in (("pixels", (3, 32, 32)), ("gabor", (35, 8, 8))):
        filters = brain.open_subject(name)
        assert filters.shapes(filters.sites()) == {filters.sites()[0]: shape}


@pytest.mark.slow
@pytest.mark.usefixtures("small_brain")
def test_simulated_maps_follow_the_image():
    """A neuroid's rate at a position is that to the image shifted there; centre and field are a whole step apart."""
    shown = simulated.brain()
    rates, chosen = map_rates("V1", 3, 8, shown)
    x, y = field_centres("V1", 60, shown.seed)
    n, (row, column) = 7, (5, 2)
    image = shown.stimuli_images(chosen)[1]
    # The place (row, column) is to be at the centre moved by a whole number of steps of 4 pixels to the field.
    down, right = (int(np.rint((centre[n] - 0.5) * 8)) for centre in (y, x))
    top, left = (int((place + 0.5) * 4) - 16 - 4 * moved for place, moved in ((row, down), (column, right)))
    wide = np.pad(image, 32, constant_values=128)[32 + top : 64 + top, 32 + left : 64 + left]
    assert rates[1, row, column, n] == pytest.approx(shown.respond(wide[None], "V1")[0, n])


@pytest.mark.usefixtures("small_brain")
def test_filters_predict_simulated_maps_and_not_shuffled_ones():
    bundle = map_bundle("V1", images=8, trials=4, brain=simulated.brain())
    benchmark = brain.open_benchmarks(["simulated.V1-activity_maps"])[0]
    assert benchmark.simulated
    benchmark.data = bundle
    score = benchmark.run(brain.open_subject("gabor"))
    assert score.raw > 0.3
    maps, rng = benchmark.maps.mean, np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(one.reshape(64, -1)).reshape(one.shape) for one in maps])
    recording = brain.open_subject("gabor").record(bundle.stimuli, [Site("gabor")])
    features = map_features(recording[Site("gabor")].reshape(8, 35, 8, 8), (8, 8))
    assert map_predictivity(features, maps).raw == pytest.approx(score.raw, abs=1e-9)
    assert abs(map_predictivity(features, shuffled).raw) < 0.05
    with pytest.raises(CornetError, match="must divide the image size"):
        map_bundle("V1", positions=7, brain=simulated.brain())
    with pytest.raises(CornetError, match="use V1 or V2"):
        map_bundle("IT", images=3, brain=simulated.brain())
