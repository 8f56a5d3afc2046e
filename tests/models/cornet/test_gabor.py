"""V1 as fixed Gabor filters: what its cells answer, their noise, and all the ways in which it is run."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.flop_counter import FlopCounterMode

from cornet import CornetError
from cornet.models.cornet.areas import output_size
from cornet.models.cornet.gabor import GaborArea, add_noise, amplitude, fixed_normals
from cornet.models.cornet.gabor_bank import draw_bank, gabor_kernels

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def small(**options):
    return GaborArea(3, 5, **{"simple": 6, "complex": 6, "noise": False, **options})


def normalised(pixels):
    """Images as networks get them, of pixels 0..1 (batch, 3, y, x)."""
    return (pixels - MEAN.view(3, 1, 1).to(pixels)) / STD.view(3, 1, 1).to(pixels)


def gratings(orientation, frequency, phases, contrast=0.5, size=25):
    """Pixels (phase, 3, y, x) of gratings; orientation as of the filters, frequency in cycles per pixel, degrees."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    angle = math.radians(orientation)
    along = offset * math.cos(angle) + offset[:, None] * math.sin(angle)
    start = torch.deg2rad(torch.as_tensor(phases, dtype=torch.float64))[:, None, None]
    waves = 0.5 + contrast * torch.cos(2 * math.pi * frequency * along + start)
    return waves[:, None].expand(-1, 3, -1, -1)


def at_centre(area, pixels):
    """Answers (image, cell) at the middle of the map, which is the image's where two strides divide its size less 1."""
    cells = area.cells(normalised(pixels))
    return cells[:, :, cells.shape[2] // 2, cells.shape[3] // 2]


def test_cells_are_as_published():
    """Against single filters at single places in float64, with a border of mid-grey."""
    area = small(seed=2).double()
    pixels = torch.rand(2, 3, 30, 41, dtype=torch.float64)
    found = area.cells(normalised(pixels))
    assert found.shape == (2, 12, 8, 11)
    bank = draw_bank(12, 3, seed=2)
    pair = [gabor_kernels(bank, 25, 28.0, shift) for shift in (0, 90)]
    scaled = F.pad((pixels - 0.5) / 0.5, [12] * 4).numpy()
    for image, cell, y, x in [
        (0, 0, 0, 0),
        (1, 3, 7, 10),
        (0, 5, 4, 5),
        (0, 6, 0, 10),
        (1, 9, 3, 3),
        (1, 11, 7, 0),
    ]:
        patch = scaled[image, bank.colour[cell], 4 * y : 4 * y + 25, 4 * x : 4 * x + 25]
        first, partner = ((kernels[cell] * patch).sum() for kernels in pair)
        expected = max(first, 0) if cell < 6 else math.hypot(first, partner) / math.sqrt(2)
        assert found[image, cell, y, x].item() == pytest.approx(25 * expected, rel=1e-4, abs=1e-6)


def test_mid_grey_drives_no_cell_but_by_a_mean():
    """A pixel of .5 is the zero of the published scale, whatever mean and std the images came with."""
    grey = torch.full((1, 3, 17, 17), 0.5)
    torch.testing.assert_close(small().cells(normalised(grey)), torch.zeros(1, 12, 5, 5), atol=1e-4, rtol=0)
    other = small(mean=(0.1, 0.2, 0.3), std=(0.5, 1, 2))
    images = (grey - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 1, 2]).view(3, 1, 1)
    torch.testing.assert_close(other.cells(images), torch.zeros(1, 12, 5, 5), atol=1e-4, rtol=0)
    single = GaborArea(1, 5, 6, 6, noise=False)
    images = (grey[:, :1] - MEAN.mean()) / STD.mean()
    torch.testing.assert_close(single.cells(images), torch.zeros(1, 12, 5, 5), atol=1e-4, rtol=0)


def test_each_filter_sees_one_colour():
    area = GaborArea(3, 5, 40, 40, noise=False, seed=1)
    seen = area.filters.abs().sum((2, 3)) > 0
    assert torch.equal(seen.sum(1), torch.ones(120, dtype=torch.int64))
    assert torch.equal(seen[40:80], seen[80:])  # a quadrature pair sees the same
    assert (seen[:80].sum(0) > 10).all()
    one_colour = torch.rand(1, 3, 33, 33) * torch.tensor([0.0, 1, 0]).view(3, 1, 1) + torch.tensor(
        [0.5, 0, 0.5]
    ).view(3, 1, 1)
    answering = at_centre(area, one_colour)[0] > 1e-3
    assert not answering[~seen[:80, 1]].any()
    assert answering[40:][seen[40:80, 1]].all()


def test_complex_cells_do_not_mind_the_phase_but_simple_cells_do():
    area = GaborArea(3, 5, 60, 60, stride=12, noise=False).double()
    bank = draw_bank(120)
    # with an envelope inside the kernel and no side that answers to the opposite direction
    sizes = np.maximum(bank.nx, bank.ny) * 28 / bank.frequency
    for cell in np.flatnonzero((bank.nx > 0.45) & (bank.ny > 0.45) & (sizes < 4)):
        drifting = gratings(bank.orientation[cell], bank.frequency[cell] / 28, torch.arange(0, 360, 30))
        answers = at_centre(area, drifting)[:, cell]
        modulation = (answers.max() - answers.min()) / (answers.max() + answers.min())
        if cell < 60:
            assert modulation == 1
            assert (answers > 0).sum() in range(5, 8)
        else:
            assert modulation < 0.02
    assert (sizes < 4).sum() > 10


@pytest.mark.slow  # many gratings
def test_a_cell_prefers_its_orientation_and_spatial_frequency():
    area = GaborArea(3, 5, 150, 150, stride=12, noise=False)
    bank = draw_bank(300)
    sizes = np.maximum(bank.nx, bank.ny) * 28 / bank.frequency
    chosen = np.flatnonzero((bank.nx > 0.5) & (bank.ny > 0.5) & (sizes < 4))
    assert min((chosen < 150).sum(), (chosen >= 150).sum()) >= 3
    for cell in [*chosen[chosen < 150][:4], *chosen[chosen >= 150][:4]]:
        answers = torch.stack(
            [
                at_centre(
                    area,
                    gratings(
                        bank.orientation[cell] + turn,
                        bank.frequency[cell] / 28 * 2**octaves,
                        torch.arange(0, 3150, 30),
                    ).float(),
                )[:, cell].max()
                for turn in (-40, -20, 0, 20, 40, 90)
                for octaves in (-0.7, 0, 0.7)
            ]
        )
        assert answers.argmax() == 2 * 3 + 1


def test_the_variance_of_the_noise_is_the_mean():
    """In scaled units, away from the ReLU; and below it as computed."""
    area = GaborArea(3, 5, 20, 20).eval()
    image = normalised(
        torch.rand(1, 3, 9, 9) * 80
    )  # far beyond what can be shown, so that no answer is cut off
    images = image.expand(4000, -1, -1, -1)
    rates = 0.35 * area.cells(images) + 0.07
    area.noise = False
    expected = 0.35 * area.cells(image)[0] + 0.07
    strong = expected > 25
    assert strong.sum() > 30
    fano = rates.var(0) / expected
    assert fano[strong].mean() == pytest.approx(1, abs=4 * math.sqrt(2 / 4000 / int(strong.sum())))
    assert (fano[strong] - 1).abs().max() < 5 * math.sqrt(2 / 4000)
    away = (rates.mean(0) - expected) / (expected / 4000).sqrt()
    assert away[strong].abs().max() < 5
    assert away[strong].std() == pytest.approx(1, abs=0.4)


def test_the_noise_as_published():
    responses, normals = torch.rand(1000).double(), torch.randn(1000).double()
    rates = 0.35 * responses + 0.07
    expected = ((rates + normals * torch.sqrt(rates + 1e-4)) - 0.07) / 0.35
    torch.testing.assert_close(add_noise(responses, normals), expected.clamp(min=0))
    assert (expected < 0).any()
    torch.testing.assert_close(add_noise(responses, torch.zeros_like(normals)), responses)


@pytest.mark.parametrize("training", [True, False])
def test_noise_is_new_for_each_image_and_follows_torch_s_seed(training):
    area = small(noise=True).train(training)
    images = torch.randn(1, 3, 17, 17).expand(2, -1, -1, -1)
    torch.manual_seed(3)
    found = area.drive(images, 0)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(area.drive(images, 0), found)
    torch.manual_seed(3)
    assert torch.equal(area.drive(images, 0), found)
    area.noise = False
    quiet = area.drive(images, 0)
    assert torch.equal(area.drive(images, 0), quiet)
    state = torch.get_rng_state()
    area.drive(images, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_fixed_noise_is_the_same_for_all_images_and_can_be_released():
    area = small(noise=True)
    images = torch.randn(1, 3, 17, 17).expand(3, -1, -1, -1)
    keys = list(area.state_dict())
    area.fix_noise(7)
    state = torch.get_rng_state()
    fixed = area.cells(images)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(fixed, fixed[:1].expand_as(fixed))
    assert torch.equal(area.cells(images[:1]), fixed[:1])
    assert torch.equal(copy.deepcopy(area).cells(images), fixed)
    assert list(area.state_dict()) == keys
    quiet = small()
    quiet.load_state_dict(area.state_dict())
    assert torch.equal(add_noise(quiet.cells(images), fixed_normals(torch.tensor(7), (12, 5, 5))), fixed)
    area.fix_noise(8)
    assert not torch.equal(area.cells(images), fixed)
    area.fix_noise(7)
    assert torch.equal(area.cells(images), fixed)
    area.release_noise()
    found = area.cells(images)
    assert not torch.equal(found[0], found[1])


def test_fixed_normals_are_normal_and_unrelated():
    size = (64, 28, 28)
    draws = torch.stack([fixed_normals(torch.tensor(seed), size) for seed in (0, 1, 2, 2**32 - 1)]).double()
    count = draws[0].numel()
    for draw in draws:
        assert abs(draw.mean()) < 4 / math.sqrt(count)
        assert abs(draw.var() - 1) < 4 * math.sqrt(2 / count)
        assert abs((draw**4).mean() - 3) < 4 * math.sqrt(96 / count)
        for shift in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]:
            moved = draw.roll(shift, (0, 1, 2))
            assert abs((draw * moved).mean()) < 4 / math.sqrt(count)
            assert abs((draw**2 * moved**2).mean() - 1) < 4 * math.sqrt(8 / count)
    assert (torch.corrcoef(draws.flatten(1)) - torch.eye(4)).abs().max() < 4 / math.sqrt(count)
    shares = torch.distributions.Normal(0, 1).cdf(draws[0].flatten())
    bins = torch.histc(shares, 100, 0, 1)
    assert ((bins - count / 100) ** 2 / (count / 100)).sum() < 99 + 4 * math.sqrt(2 * 99)


def test_gradients_reach_the_image_and_the_convolution_alone():
    area = small(noise=True)
    images = torch.randn(2, 3, 17, 17, requires_grad=True)
    area.drive(images, 0).square().sum().backward()
    assert [name for name, _ in area.named_parameters()] == ["conv.weight"]
    assert area.conv.weight.grad.abs().sum() > 0
    assert (images.grad != 0).float().mean() > 0.9
    assert not any(buffer.requires_grad for buffer in area.buffers())


@pytest.mark.parametrize("noise", [True, False])
def test_gradients_are_right_and_finite_where_nothing_is_seen(noise):
    area = GaborArea(1, 2, 2, 2, noise=noise, kernel=5, mean=(0.5,), std=(0.5,), seed=4).double()
    area.fix_noise(0)
    images = torch.randn(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: area.drive(x, 0), images)
    assert torch.autograd.gradgradcheck(lambda x: area.drive(x, 0), images)
    blank = torch.zeros(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(area.drive(blank, 0).sum(), blank, create_graph=True)
    (curve,) = torch.autograd.grad(slope.square().sum(), blank)
    assert slope.isfinite().all()
    assert curve.isfinite().all()


def test_an_amplitude_of_nothing_is_nothing():
    pair = torch.tensor([[0.0, 3.0, 1e-30], [0.0, 4.0, 0.0]], requires_grad=True)
    found = amplitude(*pair)
    assert found.tolist() == [0, 5, 0]
    found.sum().backward()
    torch.testing.assert_close(pair.grad, torch.tensor([[0, 0.6, 0], [0, 0.8, 0]]))


@pytest.mark.parametrize("size", [(17, 17), (18, 31), (32, 33), (1, 5), (224, 12)])
@pytest.mark.parametrize("options", [{}, {"kernel": 11, "stride": 3}, {"simple": 0}, {"complex": 0}])
def test_shapes(size, options):
    area = small(**options)
    out = output_size(size, options.get("stride", 4))
    found = area.drive(torch.randn(2, 3, *size), 0)
    assert found.shape == (2, 5, *out)
    assert area.work(size, 1, 1)[1] == out
    assert area.step(found, None, 0) is found


def test_work_and_parameters():
    """At 224 pixels: 768 filters of 625 pixels on one colour, then 512 x 64, at 56 x 56 places."""
    with torch.device("meta"):
        area = GaborArea(3, 64)
    macs, size = area.work((224, 224), 1, 1)
    assert macs == 56 * 56 * (768 * 625 + 512 * 64) == 1_608_040_448
    assert size == (56, 56)
    assert area.work((224, 224), 0, 1)[0] == 0
    assert sum(p.numel() for p in area.parameters()) == 32_768
    single = GaborArea(1, 5, 6, 6)
    with FlopCounterMode(display=False) as counter:
        single.drive(torch.randn(1, 1, 30, 41), 0)
    assert counter.get_total_flops() == 2 * single.work((30, 41), 1, 1)[0]


def test_the_convolution_starts_by_fan_out():
    weight = GaborArea(3, 64).conv.weight
    assert weight.shape == (64, 512, 1, 1)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=5 / math.sqrt(2 * weight.numel()))


def test_filters_follow_from_their_seed_and_not_from_torch_s():
    torch.manual_seed(1)
    one = small(seed=1)
    torch.manual_seed(2)
    same, other = small(seed=1), small(seed=2)
    assert torch.equal(one.filters, same.filters)
    assert not torch.equal(one.filters, other.filters)
    assert not torch.equal(one.conv.weight, same.conv.weight)
    other.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 17, 17)
    assert torch.equal(other.drive(images, 0), one.drive(images, 0))
    assert set(one.state_dict()) == {"filters", "input_scale", "input_shift", "conv.weight"}


def test_on_no_device_and_from_there():
    with torch.device("meta"):
        area = small()
    assert all(tensor.is_meta for tensor in area.state_dict().values())
    assert area.drive(torch.empty(2, 3, 17, 17, device="meta"), 0).shape == (2, 5, 5, 5)
    full = small()
    area.to_empty(device="cpu").load_state_dict(full.state_dict())
    images = torch.randn(2, 3, 17, 17)
    assert torch.equal(area.drive(images, 0), full.drive(images, 0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision(dtype, autocast):
    """Cells to the precision of the type, as of autocast or of the whole network, with all gradients."""
    area = GaborArea(3, 5, 40, 40, noise=False)
    images = torch.randn(2, 3, 33, 33)
    expected = area.cells(images)
    halved = copy.deepcopy(area) if autocast else copy.deepcopy(area).to(dtype)
    shown = images.to(torch.float32 if autocast else dtype).requires_grad_()
    with torch.autocast("cpu", dtype, enabled=autocast):
        found = halved.cells(shown)
        halved.noise = True
        put_out = halved.drive(shown, 0)
    assert found.dtype == put_out.dtype == dtype
    exact = 2.0**-8 if dtype == torch.bfloat16 else 2.0**-11
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=5 * exact * expected.max().item())
    put_out.float().square().sum().backward()
    assert shown.grad.isfinite().all()
    assert halved.conv.weight.grad.isfinite().all()


def test_noise_and_root_are_in_float32():
    """What is done to the filters' outputs in half precision is rounded once, at the end."""
    area = GaborArea(3, 5, 20, 20)
    area.fix_noise(0)
    images = torch.randn(2, 3, 33, 33)
    with torch.autocast("cpu", torch.bfloat16):
        found = area.cells(images)
        scaled = images * area.input_scale + area.input_shift
        filtered = F.conv2d(scaled, area.filters, stride=4, padding=12).float()
    lone, first, partner = filtered.split(20, dim=1)
    responses = torch.cat([lone.relu(), (first**2 + partner**2).sqrt() / math.sqrt(2)], dim=1)
    expected = add_noise(responses, fixed_normals(torch.tensor(0), (40, 9, 9)))
    torch.testing.assert_close(found, expected.bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize("fixed", [True, False])
def test_channels_last(fixed):
    """The layout is kept, and the same seed gives the same noise."""
    area = GaborArea(3, 8, 8, 8)
    if fixed:
        area.fix_noise(1)
    images = torch.randn(2, 3, 33, 33)
    torch.manual_seed(5)
    expected = area.drive(images, 0)
    area = area.to(memory_format=torch.channels_last)
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(5)
        found = area.drive(images.to(memory_format=layout), 0)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert area.cells(images).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_one_graph():
    """With noise, fixed noise and none; gradients are those without compiling."""
    torch._dynamo.reset()
    area, images = small(noise=True), torch.randn(2, 3, 17, 17)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(area.drive, fullgraph=True, backend=counter)
    found = compiled(images, 0)
    assert counter.frame_count == 1
    assert not torch.equal(compiled(images, 0), found)
    area.fix_noise(3)
    for noise in (True, False):
        area.noise = noise
        found, expected = [], []
        for run, results in ((compiled, found), (area.drive, expected)):
            shown = images.clone().requires_grad_()
            put_out = run(shown, 0)
            put_out.square().sum().backward()
            results += [put_out.detach(), shown.grad]
        torch.testing.assert_close(found, expected)
    torch._dynamo.reset()


def test_images_are_left_as_they_were():
    images = torch.randn(2, 3, 17, 17)
    before = images.clone()
    small(noise=True).drive(images, 0)
    assert torch.equal(images, before)


def test_initialising_a_network_leaves_the_filters():
    area = small()
    filters = area.filters.clone()
    for module in area.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    assert torch.equal(area.filters, filters)
    assert torch.count_nonzero(area.conv.weight) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixels_per_degree": 16}, "pixels_per_degree=16 must be above 16"),
        ({"pixels_per_degree": -3}, "pixels_per_degree=-3 must be a number above 0"),
        ({"kernel": 24}, "kernel=24 must be odd, to have a middle pixel; give 25"),
        ({"kernel": 0}, "kernel=0 must be a whole number"),
        ({"stride": 0}, "stride=0 must be a whole number"),
        ({"simple": -1}, "simple=-1 must be a whole number, from 0"),
        ({"simple": 0, "complex": 0}, "simple=0 and complex=0 leave no cells; give at least one"),
        ({"seed": 0.5}, "seed=0.5 must be a whole number"),
        (
            {"mean": (0.5, 0.5)},
            r"mean=\[0.5, 0.5\] has 2 numbers, but the images have in_channels=3; give one",
        ),
        ({"std": (0.5, 0, 0.5)}, "std=0.0 must be a number above 0"),
        ({"mean": ("a", "b", "c")}, "must be numbers"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(CornetError, match=message):
        small(**options)
    with pytest.raises(CornetError, match="seed=-1 must be a whole number, from 0 to 4294967295"):
        small().fix_noise(-1)
