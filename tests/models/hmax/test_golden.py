"""HMAX 2007 against a public implementation (fp32), and against float64 values of its description."""

import zlib

import numpy as np
import pytest
import torch

from cornet import create_model
from tests.helpers.paths import GOLDEN

SIZES = range(2, 17, 2)
MEAN, STD = 0.45, 0.22
VALUES = np.load(GOLDEN / "hmax.npz")


def patches():
    """Five per size."""
    draws = {s: np.random.default_rng(zlib.crc32(f"hmax:patches:{s}".encode())) for s in SIZES}
    return {s: (0.25 * draws[s].random((5, 4, s, s))).astype(np.float32) for s in SIZES}


class Run:
    """The network and its states for the golden image, in a dtype."""

    def __init__(self, dtype):
        self.single = dtype == torch.float32
        torch.set_default_dtype(dtype)
        try:
            self.nets = {
                name: self.network(**arguments)
                for name, arguments in {
                    "euclidean": {"tuning": "euclidean"},
                    "gaussian": {},
                    "published": {"published": True},
                }.items()
            }
            pixels = torch.tensor(VALUES["image"], dtype=dtype)[None, None]
            net, image = self.nets["euclidean"], (pixels / 255 - MEAN) / STD
            with torch.no_grad():
                _, states = net(image, return_states=True)
                self.c1 = net.c1_maps(net.grey(image))
            self.states = {name: state[0, 0] for name, state in states.items()}
        finally:
            torch.set_default_dtype(torch.float32)

    def network(self, **arguments):
        scale = {"in_channels": 1, "mean": (MEAN,) * 3, "std": (STD,) * 3}
        return create_model("hmax", num_classes=2, patches=patches(), **scale, **arguments).eval()

    def c2(self, name):
        """(size, patch) from the C1 maps."""
        net = self.nets[name]
        matches = torch.stack([net.best_matches(cells)[0] for cells in self.c1])
        return net.over_bands(matches, 0).reshape(8, 5).numpy()


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def run(request):
    return Run(request.param)


def apart(found, expected):
    return np.abs(found.numpy() - expected).max()


def test_filters(run):
    net = run.nets["euclidean"]
    for n in (7, 9, 37):
        assert apart(getattr(net, f"filters_{n}")[:, 0], VALUES[f"gabor_{n}"]) < 1e-7
    assert apart(net.filters_7[:, 0], VALUES["gabor_7_float64"]) < (1e-7 if run.single else 1e-15)


def test_s1(run):
    s1 = run.states["S1"].reshape(16, 4, 128, 128)
    assert apart(s1[0][:, 32:64, 32:64], VALUES["s1_7"]) < 1e-6
    assert apart(s1[4][:, 40:56, 40:56], VALUES["s1_15"]) < 1e-6
    assert apart(s1.mean((2, 3)), VALUES["s1/mean"][:16]) < 1e-6
    assert apart(s1.amax((2, 3)), VALUES["s1/max"][:16]) < 1e-6


def test_c1(run):
    for band, found in enumerate(run.c1):
        assert apart(found[0], VALUES[f"c1_{band}"]) < 2e-6
    assert torch.equal(torch.cat([found.flatten(2) for found in run.c1], 2)[0], run.states["C1"])


def test_s2(run):
    net = run.nets["euclidean"]
    assert apart(net.s2_map(run.c1[0], 2)[0], VALUES["s2_0_0"]) < 2e-6
    assert apart(net.s2_map(run.c1[4], 8)[0], VALUES["s2_3_4"]) < 2e-6
    means = torch.tensor([[net.s2_map(cells, size).mean() for cells in run.c1] for size in SIZES])
    np.testing.assert_allclose(means, VALUES["s2/mean"], rtol=2e-6)


def test_c2(run):
    exact = 2e-6 if run.single else 1e-9
    np.testing.assert_allclose(run.c2("euclidean"), VALUES["euclidean/c2"], rtol=2e-6)
    np.testing.assert_allclose(run.c2("euclidean"), VALUES["euclidean/c2_float64"], rtol=exact)
    np.testing.assert_allclose(run.c2("gaussian"), VALUES["gaussian/c2_max_float64"], rtol=exact)
    # exp(-d^2 / 2) of squared distances up to 20, in which a rounding of d^2 counts ten times
    np.testing.assert_allclose(run.c2("published"), VALUES["gaussian/c2"], rtol=5e-6 if run.single else 2e-6)
    assert np.array_equal(run.c2("euclidean").ravel(), run.states["C2"].numpy())
