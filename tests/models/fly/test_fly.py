"""Properties of the olfactory circuit: constraints, symmetries, variants, refusals."""

import copy

import pytest
import torch
import torch.nn.functional as F

from cornet.errors import CornetError
from cornet.models import create_model, list_models
from tests.helpers.models.fly import first_circuit


def fly(**changes):
    return create_model("fly", **{"num_classes": 4, "receptors": 6, "copies": 3, "kc": 30, **changes})


def odours(count=16, receptors=6):
    return torch.rand(count, receptors, generator=torch.Generator().manual_seed(0))


def test_the_start_is_the_published_one():
    torch.manual_seed(0)
    net = create_model("fly")
    assert [tuple(p.shape) for p in (net.pn.weight, net.kc.weight, net.decoder.weight)] == [
        (50, 500),
        (2500, 50),
        (100, 2500),
    ]
    for layer, low, high in ((net.pn, 0.0, 0.008), (net.kc, 0.02, 0.08)):
        smallest, largest = float(layer.weight.detach().min()), float(layer.weight.detach().max())
        assert low <= smallest + 1e-9
        assert smallest - low < 1e-4
        assert 0.99 * high < largest <= high + 1e-9
    assert (net.kc.bias == -1).all()
    assert (net.pn.bias == 0).all()
    assert float(create_model("fly", prune=False).kc.weight.detach().min()) < 1e-4


def test_neurons_are_tiled():
    states = fly()(odours(), return_states=True)[1]
    assert torch.equal(states["ORN"][0], torch.cat([odours()] * 3, dim=1))


def test_folding_changes_only_rounding():
    torch.manual_seed(0)
    net = fly().train()
    other = copy.deepcopy(net)
    other.fold = False
    batch = odours()
    gradients = []
    for one in (net, other):
        F.cross_entropy(one(batch), torch.arange(16) % 4).backward()
        gradients.append(one.pn.weight.grad)
    torch.testing.assert_close(net(batch), other(batch), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_an_unfolded_circuit_is_one_of_single_receptor_neurons():
    """500 tiled neurons without noise are 50 with the sums of their weights."""
    net, small = fly().eval(), fly(copies=1).eval()
    state = net.state_dict()
    state["areas.PN.weight"] = net.pn.effective().unflatten(1, (3, 6)).sum(dim=1)
    small.load_state_dict(state)
    torch.testing.assert_close(net(odours()), small(odours()))


def test_copies_of_a_type_are_exchangeable():
    net = fly(fold=False).eval()
    before = net(odours())
    with torch.no_grad():
        net.pn.weight[:, 0], net.pn.weight[:, 6] = net.pn.weight[:, 6].clone(), net.pn.weight[:, 0].clone()
    torch.testing.assert_close(net(odours()), before)


def test_the_scale_of_the_first_weights_does_not_count_in_training():
    net = fly().train()
    before = net(odours(64))
    with torch.no_grad():
        net.pn.weight *= 1000
    torch.testing.assert_close(net(odours(64)), before, rtol=1e-2, atol=1e-2)


def test_weights_are_excitatory_and_pruned_ones_have_no_gradient():
    net, batch, labels = first_circuit()
    for _ in range(5):
        net.zero_grad()
        F.cross_entropy(net(batch), labels).backward()
        off = net.kc.weight.abs() <= 1 / 6
        assert off.any()
        assert (net.kc.weight.grad[off] == 0).all()
        assert (net.wiring().claws[off] == 0).all()
        assert (net.wiring().claws >= 0).all()
        with torch.no_grad():
            net.kc.weight -= 0.01 * net.kc.weight.grad
            net.pn.weight -= 0.01 * net.pn.weight.grad
        assert (net.wiring().glomeruli >= 0).all()
    assert (first_circuit(signed=True)[0].wiring().glomeruli < 0).any()


def test_expression_shares_sum_to_one_and_noise_acts_in_evaluation():
    net = fly(expression=True, noise=0.1, norm_pn="none", norm_kc="batch").eval()
    torch.testing.assert_close(net.wiring().expression.sum(dim=1), torch.ones(18))
    assert not torch.equal(net(odours()), net(odours()))
    quiet = fly(expression=True).eval()
    assert torch.equal(quiet(odours()), quiet(odours()))


def test_fixed_circuits_are_not_trained():
    net = fly(copies=1, identity=True)
    assert torch.equal(net.wiring().glomeruli, torch.eye(6))
    net = fly(claws=2, glomeruli=3)
    assert (net.wiring().claws.sum(dim=1) == 2).all()
    assert set(net.wiring().claws.unique().tolist()) == {
        0.0,
        1.0,
    }
    torch.testing.assert_close(
        net.wiring().glomeruli.unflatten(1, (3, 6)).sum(dim=1).sum(dim=1), torch.ones(6)
    )
    names = {name for name, _ in net.named_parameters()}
    assert "areas.KC.weight" not in names
    assert "areas.PN.weight" not in names
    assert "areas.PN.bias" in names
    assert net.wiring().threshold is None


def test_feedforward_inhibition_subtracts_the_mean_weight():
    net, plain = fly(inhibition=0.5, inhibition_steps=0).eval(), fly().eval()
    plain.load_state_dict(net.state_dict())
    plain.kc.signed, plain.kc.prune = True, 0.0
    with torch.no_grad():
        weights = net.kc.effective()
        plain.kc.weight.copy_(weights - 0.5 * weights.mean())
    torch.testing.assert_close(net(odours()), plain(odours()))


def test_kenyon_cells_grow_with_the_square_of_receptors():
    assert fly(kc=None).kc.weight.shape == (36, 6)


def test_it_is_listed_among_networks_of_other_inputs():
    assert "fly" in list_models(other_inputs=True)
    assert "fly" not in list_models()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"identity": True}, r"identity=true .* copies=3 .* set copies=1 and pn=6\.$"),
        ({"identity": True, "copies": 1, "glomeruli": 2}, r"^identity and glomeruli exclude each other"),
        ({"glomeruli": 2, "signed": True}, r"^glomeruli and signed exclude each other"),
        ({"glomeruli": 7}, r"^glomeruli=7 is too large; give at most 6\.$"),
        ({"glomeruli": 2, "pn": 5}, r"^glomeruli=2 needs pn=6"),
        ({"claws": 7}, r"^claws=7 is too large"),
        ({"dropout": 1}, r"^dropout=1 must be a share"),
        ({"noise": -1}, r"^noise=-1 must be 0 or more"),
        ({"inhibition": float("nan")}, r"^inhibition=nan must be 0 or more"),
        ({"norm_pn": "bath"}, r"^norm_pn='bath' is unknown; choose one of none, batch"),
        ({"receptors": 0, "kc": None}, r"^receptors=0 must be a whole number"),
        ({"kc": 10**6}, r"^kc=1000000 is too large"),
    ],
)
def test_mistakes_are_explained(changes, sentence):
    with pytest.raises(CornetError, match=sentence):
        fly(**changes)


def test_odours_of_other_receptors_are_refused():
    with pytest.raises(CornetError, match=r"shape \(5,\) .* receptors=6; set model\.receptors"):
        fly()(odours(receptors=5))
