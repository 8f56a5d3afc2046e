import numpy as np
import pytest
import torch

from cornet import create_model
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.stimuli.geometry import squash_view
from cornet.stimuli.screen import place_on_screen
from tests.helpers.brain.made_up_stimuli import stimuli

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def network(name="cornet_s", seed=0, **options):
    torch.manual_seed(seed)
    return create_model(name, **{"width": 0.125, "num_classes": 5, **options})


def subject(net, **options):
    return NetworkSubject(net, mean=MEAN, std=STD, **{"size": 32, **options})


def by_hand(net, screens):
    """Logits and states, one image at a time."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    net.double().eval()
    with torch.no_grad():
        return [net(((image.double() / 255 - mean) / std)[None], return_states=True) for image in screens]


@pytest.mark.parametrize("name", ["cornet_z", "cornet_r", "cornet_rt", "cornet_s"])
def test_every_site_is_what_the_network_gives(name):
    shown, one = stimuli(7), subject(network(name).double())
    recording = one.record(shown, one.sites(), batch=3)
    expected = by_hand(one.net, [squash_view(image, 32) for image in shown.pictures.images])
    assert recording.stimulus_ids.tolist() == shown.ids.tolist()
    for row, (logits, states) in enumerate(expected):
        for site in one.sites():
            if site.layer == "logits":
                value = logits[0]
            elif site.layer == "decoder.avgpool":
                value = states["IT"][site.step][0].mean((1, 2))
            else:
                value = states[site.layer][site.step][0].flatten()
            np.testing.assert_allclose(recording[site][row], value.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("times", [None, 3])
def test_layers_inside_areas_by_name_and_call(times):
    """In one recording with an area; equal to what hooks see by hand, also when compiled or run for other steps."""
    shown, net = stimuli(5), network("cornet_s").double().eval()
    one = subject(net, times=times)
    name, seen = "areas.V4.conv1", []
    sites = [Site("V4", 1), Site(name, 0), Site(name, 1), Site("logits")]
    recording = one.record(shown, sites, cache=False)
    parts = dict(net.named_modules())
    hook = parts[name].register_forward_hook(lambda module, inputs, output: seen.append(output))
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    views = torch.stack([squash_view(image, 32).double() for image in shown.pictures.images])
    with torch.no_grad():
        logits, states = net((views / 255 - mean) / std, return_states=True, times=times)
    hook.remove()
    assert len(seen) == one.steps["V4"]
    for site, value in zip(sites, (states["V4"][1], seen[0], seen[1], logits), strict=True):
        np.testing.assert_allclose(recording[site], value.flatten(1).numpy(), rtol=1e-6, atol=1e-6)
    assert one.with_regions({"V4": name}).site("V4") == Site(name, len(seen) - 1)
    with pytest.raises(CornetError, match=rf"{name}\[9\] does not exist: {name} is called {len(seen)} times"):
        one.record(shown, [Site(name, 9)])
    with pytest.raises(CornetError, match=r"has no areas.V4.conv7\[0\]"):
        one.record(shown, [Site("areas.V4.conv7")])


def test_sites_are_all_steps_that_an_image_reaches():
    assert [str(site) for site in subject(network()).sites()] == [
        *("V1[0]", "V2[0]", "V2[1]", "V4[0]", "V4[1]", "V4[2]", "V4[3]", "IT[0]", "IT[1]"),
        *("decoder.avgpool[0]", "decoder.avgpool[1]", "logits[0]"),
    ]
    reached = [site for site in subject(network("cornet_rt")).sites() if site.layer == "IT"]
    assert reached == [Site("IT", 3), Site("IT", 4)]


def test_regions_times_and_readout():
    one = subject(network())
    assert one.site("IT") == Site("IT", 0)
    assert one.site("IT", (240, 250)) == Site("IT", 1)
    assert one.site("V4", (140, 150)) == Site("V4", 1)
    assert one.readout_site() == Site("decoder.avgpool", 1)
    assert subject(network(), onset={"IT": 0}, step_length={"IT": 60}).site("IT") == Site("IT", 1)


def test_with_regions_replaces_the_rule():
    one = subject(network())
    other = one.with_regions({"V4": Site("V2", 1), "IT": "V4"})
    assert other.site("V4", (200, 210)) == Site("V2", 1)
    assert other.site("IT", (200, 210)) == Site("V4", 2)
    assert one.site("V4") == Site("V4", 0)
    with pytest.raises(CornetError, match="V2\\[7\\]"):
        one.with_regions({"V4": Site("V2", 7)})


def test_degrees_decide_what_is_on_the_screen():
    shown, one = stimuli(3, degrees=4.0), subject(network("cornet_z"))
    site = Site("V1")
    screens = [place_on_screen(image, 4, 8, 32) for image in shown.pictures.images]
    expected = np.stack([states["V1"][0, 0].flatten().numpy() for _, states in by_hand(one.net, screens)])
    np.testing.assert_allclose(one.record(shown, [site])[site], expected, rtol=1e-4, atol=1e-5)
    whole = one.record(shown, [site], degrees=8)[site]
    assert np.abs(whole - expected).max() > 0.1


def test_the_network_stays_as_it_is():
    net = network()
    net.train()
    net.areas["V2"].eval()
    flags = [module.training for module in net.modules()]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = torch.random.get_rng_state()
    recording = subject(net).record(stimuli(4), [Site("IT", 1)])
    assert [module.training for module in net.modules()] == flags
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    net.eval()
    again = subject(net).record(stimuli(4), [Site("IT", 1)], cache=False)
    np.testing.assert_array_equal(again[Site("IT", 1)], recording[Site("IT", 1)])


def test_flags_come_back_after_an_error():
    net = network()
    net.train()
    shown = stimuli(4)
    shown.pictures.images = shown.pictures.images[:2]
    with pytest.raises(IndexError):
        subject(net).record(shown, [Site("V1")], batch=2)
    assert all(module.training for module in net.modules())


def test_identity_is_of_the_weights_and_not_of_the_name():
    first, second = network(seed=0), network(seed=1)
    assert subject(first, name="a").identity == subject(network(seed=0), name="b").identity
    assert subject(first).identity != subject(second).identity
    before = subject(first).identity
    with torch.no_grad():
        first.decoder.bias[3] += 1e-7
    assert subject(first).identity != before


@pytest.mark.parametrize("change", ["buffer", "steps", "mean", "size", "later_steps"])
def test_identity_knows_all_that_answers_depend_on(change):
    net = network()
    before = subject(net).identity
    options = {}
    if change == "buffer":
        net.areas["IT"].norm3.norms[1].running_var[0] += 1e-3
    elif change == "steps":
        net.steps["V4"] = 3
    elif change == "later_steps":
        net.areas["IT"].norm1.later_steps = "refuse"
    else:
        options = {"size": 40} if change == "size" else {}
    one = NetworkSubject(net, mean=STD, std=STD, size=32) if change == "mean" else subject(net, **options)
    assert one.identity != before


def test_bfloat16_is_near_and_has_entries_of_its_own():
    net, shown, site = network("cornet_z"), stimuli(6), Site("IT")
    exact = subject(net).record(shown, [site])[site]
    mixed = subject(net, precision="bfloat16").record(shown, [site])[site]
    assert mixed.dtype == np.float32
    error = np.abs(mixed - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.03


def test_a_network_in_float64_is_shown_float64():
    recording = subject(network("cornet_z").double()).record(stimuli(2), [Site("IT")])
    assert recording[Site("IT")].dtype == np.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_network_stays_where_it_is():
    net, shown, site = network(), stimuli(9), Site("IT", 1)
    exact = subject(net).record(shown, [site])[site]
    for precision, tolerance in (("float32", 1e-3), ("auto", 0.05)):
        found = subject(net, device="cuda", precision=precision).record(shown, [site])[site]
        assert np.abs(found - exact).max() / np.abs(exact).max() < tolerance
    assert next(net.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: subject(network(in_channels=1)), "in_channels=1"),
        (lambda: subject(network(), size=0), "size=0"),
        (lambda: subject(network(), degrees=-8), "degrees=-8"),
        (lambda: subject(network(), precision="half"), "precision='half'"),
        (lambda: subject(network(), device="tpux"), "device='tpux'"),
        (lambda: NetworkSubject(network(), std=(1, 1, 0)), "std"),
        (lambda: subject(network()).site("PIT"), "no region 'PIT'"),
        (lambda: subject(network()).record(stimuli(2), [Site("V4", 4)]), "V4\\[4\\]"),
        (lambda: subject(network()).record(stimuli(2), [Site("V5")]), "V5\\[0\\].*did you mean"),
        (lambda: subject(network()).record(stimuli(2), [Site("V4")], dtype="float8"), "dtype='float8'"),
        (lambda: subject(network()).record(stimuli(2), [Site("V4")], degrees=0), "degrees=0"),
    ],
)
def test_mistakes(make, match):
    with pytest.raises(CornetError, match=match):
        make()
