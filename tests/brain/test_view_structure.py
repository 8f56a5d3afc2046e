"""The structure of similarities of heads: three populations with known structure, and the table."""

import numpy as np
import pytest

from cornet.brain.metrics.rsa.views import decompose, similarity_matrix, view_structures
from cornet.brain.simulated.face_patches import face_patches
from cornet.brain.subjects.subject import Recording, Site
from cornet.brain.view_structure import ViewStructure
from cornet.errors import CornetError
from cornet.stimuli.objects.heads import PARAMETERS, head_views


@pytest.fixture(scope="module")
def analysis() -> ViewStructure:
    return ViewStructure(identities=12, size=24, draws=100)


@pytest.mark.parametrize("seed", [0, 1])
def test_made_up_populations_have_their_structure(seed: int) -> None:
    """Tuned to the view: (1, 0, 0). Mirror-symmetric: view and mirror. Identity: (0, 0, 1)."""
    heads = head_views(25, seed=seed)
    structures = view_structures(heads["view"].to_numpy(str), heads["identity"])
    found = {
        name: np.array(list(decompose(similarity_matrix(each), structures).values())[:3])
        for name, each in face_patches(heads, seed=seed).items()
    }
    np.testing.assert_allclose(found["view-tuned"], [1, 0, 0], atol=0.1)
    np.testing.assert_allclose(found["identity"], [0, 0, 1], atol=0.1)
    view, mirror, identity = found["mirror-symmetric"]
    assert min(view, mirror) > 0.6
    assert identity < 0.05
    wrong = heads.sample(frac=1, random_state=seed)  # of other images
    shuffled = view_structures(wrong["view"].to_numpy(str), wrong["identity"])
    for each in face_patches(heads, seed=seed).values():
        assert max(list(decompose(similarity_matrix(each), shuffled).values())[:3]) < 0.1


def test_the_table(analysis: ViewStructure) -> None:
    assert len(analysis.stimuli) == 84
    patches = face_patches(analysis.heads)
    rng = np.random.default_rng(0)
    features = {Site("V1", 0): analysis.images.reshape(84, -1), Site("IT", 1): patches["identity"]}
    features[Site("IT", 0)] = rng.standard_normal((84, 50))
    recording = Recording(analysis.stimuli.ids, features)
    heads = {"numbers": rng.standard_normal((84, 3))}
    heads["numbers"][:, 1:] = patches["identity"][:, :2]
    names = {"numbers": ["yaw", "chin", "ears"]}
    table = analysis.table(recording, heads, names)
    assert len(table) == 4 * 8
    assert (table["kind"] == "network").all()
    wide = table.pivot_table(index=["area", "step"], columns=["measure", "structure"], values="value")
    assert wide["correlation", "image"]["V1", 0] == pytest.approx(1)
    assert wide["coefficient", "identity"]["IT", 1] > 0.85
    assert abs(wide["correlation", "identity"]["IT", 0]) < 0.1
    expected = decompose(similarity_matrix(heads["numbers"][:, 1:]), analysis.structures)
    assert wide["coefficient", "identity"]["output", 0] == pytest.approx(expected["identity"])
    known = table[table["measure"] == "correlation"]
    assert (known["low"] <= known["value"] + 0.05).all()
    assert (known["high"] >= known["value"] - 0.05).all()
    one = {"numbers": heads["numbers"][:, :2]}
    assert "output" not in set(analysis.table(recording, one, {"numbers": ["yaw", "chin"]})["area"])
    both = analysis.table(Recording(analysis.stimuli.ids, {}), {"a": heads["numbers"], "b": heads["numbers"]})
    assert set(both["area"]) == {"output a", "output b"}


def test_baselines(analysis: ViewStructure) -> None:
    rows = analysis.baselines
    assert set(rows["kind"]) == {"pixels", "simulated"}
    pixels = rows[(rows["kind"] == "pixels") & (rows["measure"] == "correlation")].set_index("structure")
    assert pixels["value"]["image"] == pytest.approx(1)
    assert pixels["value"]["view"] > 0.2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"identities": 1}, r"identities=1 must be at least 2"),
        ({"draws": 0}, r"draws=0"),
        ({"interval": 1.5}, r"interval=1\.5 must be a share"),
        ({"background": "sea"}, r"background='sea' is unknown"),
        ({"size": 8}, r"size=8 must be a whole number from 16"),
    ],
)
def test_what_is_wrong(given: dict, message: str) -> None:
    with pytest.raises(CornetError, match=message):
        ViewStructure(**given)


def test_outputs_that_are_no_shape_are_left_out(analysis: ViewStructure) -> None:
    names = [*PARAMETERS, "x", "yaw", "light_azimuth"]
    values = np.random.default_rng(0).standard_normal((84, len(names)))
    empty = Recording(analysis.stimuli.ids, {})
    shape = analysis.table(empty, {"numbers": values}, {"numbers": names})
    changed = values.copy()
    changed[:, len(PARAMETERS) :] = 7 * changed[::-1, len(PARAMETERS) :]
    assert analysis.table(empty, {"numbers": changed}, {"numbers": names}).equals(shape)
    changed[:, 0] += 1.0 * np.arange(84)
    assert not analysis.table(empty, {"numbers": changed}, {"numbers": names}).equals(shape)
