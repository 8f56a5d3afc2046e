"""Every circuit of conf/experiment/variants, and more: built, run, trained a step, saved and loaded, captured."""

import functools

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from cornet import CornetError, create_model, load_published, to_published
from cornet.brain.subjects.step_times import network_intervals
from cornet.models import count_macs, describe
from cornet.models.cornet.costs import count_depth
from tests.helpers.paths import CONF

FILES = sorted({path.stem for path in (CONF / "experiment" / "variants").glob("*.yaml")} - {"front_gabor"})
MORE = {
    "steps of any numbers": ("cornet_s", {"times": {"V2": 3, "V4": 1, "IT": 5}}),
    "bottleneck of any factor": ("cornet_s", {"bottleneck": 2.5}),
    "soft gate, second loop": ("cornet_s", {"gate": "soft", "loop": 2}),
    "soft gate, two convolutions, no skip": ("cornet_s", {"gate": "soft", "convolutions": 2, "skip": False}),
    "all of S": ("cornet_s", {"gate": "soft", "areas": 5, "skip": False, "loop": 2, "norm": "shared_affine"}),
    "Z of five areas": ("cornet_z", {"areas": 5}),
    "Z behind Gabor filters": ("cornet_z", {"v1": "gabor"}),
    "RT of five areas": ("cornet_rt", {"areas": 5, "times": 6}),
    "R with feedback": ("cornet_r", {"feedback": True}),
    "R that goes dark": ("cornet_r", {"off_after": 1}),
    "RT, norms per step, dark, one pair": (
        "cornet_rt",
        {"norm": "per_step", "off_after": 2, "feedback": ["IT-V2"], "times": 7},
    ),
}


@functools.cache
def chosen(name):
    """(name, arguments) of a variant."""
    if name in MORE:
        return MORE[name]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        model = OmegaConf.to_container(compose("config", [f"experiment=variants/{name}"]).model)
    return model.pop("name"), {
        k: v for k, v in model.items() if k not in ("num_classes", "pretrained", "freeze")
    }


@pytest.fixture(params=[*FILES, *MORE])
def variant(request):
    return chosen(request.param)


def made(variant, **arguments):
    name, given = variant
    if given.get("v1"):
        given = {**given, "v1_options": {"noise": False}}
    torch.manual_seed(0)
    return create_model(name, **{**given, "num_classes": 5, "width": 0.1, **arguments})


def test_every_one(variant):
    """Run, trained one step, saved and loaded."""
    net = made(variant)
    images = torch.randn(4, 3, 48, 48)
    logits, states = net(images, return_states=True)
    assert [len(state) for state in states.values()] == list(net.steps.values())
    assert list(states) == list(net.areas)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    F.cross_entropy(logits, torch.arange(4)).backward()
    useful = {key for key, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    idle = {key for key, _ in net.named_parameters()} - useful
    assert all(".norms." in key and net.unroll != "sequential" for key in idle), idle
    optimiser.step()
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert all(not torch.equal(before[key], net.state_dict()[key]) for key in useful)
    again = load_published(made(variant), to_published(net))
    with torch.no_grad():  # with the batch's own statistics, for the running ones are far behind yet
        logits, same = net(images), again(images)
    assert torch.equal(logits, same)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])


def graphs():
    """In training, circuits that differ in several ways are slow tests; all others are among the longest."""
    for name in (*FILES, *MORE):
        for training in (True, False):
            mark = pytest.mark.slow if training and name in MORE else pytest.mark.longest
            yield pytest.param(name, training, marks=mark)


@pytest.mark.parametrize(("name", "training"), [*graphs()])
def test_every_one_is_one_graph(name, training):
    torch._dynamo.reset()
    variant = chosen(name)
    net = made(variant).train(training)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    images = torch.randn(2, 3, 32, 32)
    with torch.set_grad_enabled(training):
        plain = net(images)
        net.load_state_dict(state)
        net.compile(backend="aot_eager")
        torch.testing.assert_close(net(images), plain, rtol=1e-4, atol=1e-4)
    assert net.compiled
    if training:
        net(images).sum().backward()


def convolutions_behind(logits):
    """The longest path to the images through convolutions and linear layers, by autograd's own graph."""
    longest, stack = {}, [logits.grad_fn]
    while stack:
        node = stack[-1]
        above = [one for one, _ in node.next_functions if one is not None]
        if todo := [one for one in above if one not in longest]:
            stack += todo
            continue
        name = node.name()
        own = "Convolution" in name or "Addmm" in name
        end = float("-inf")
        if "AccumulateGrad" in name and node.variable.requires_grad and node.variable.ndim == 4:
            end = 0.0 if getattr(node.variable, "of_image", False) else end
        longest[node] = max([longest[one] for one in above], default=end) + own
        stack.pop()
    return longest[logits.grad_fn]


def test_depth_is_that_of_autograds_graph(variant):
    net = made(variant)
    images = torch.randn(2, 3, 32, 32, requires_grad=True)
    images.of_image = True
    depth = count_depth(net)
    assert convolutions_behind(net(images)) == depth.unrolled
    assert depth.layers <= depth.unrolled


def test_costs_are_those_that_are_counted(variant):
    """Against PyTorch's own counter, which sees the image's path once where its norm is the same at every step."""
    net = made(variant).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(1, 3, 57, 57), return_states=True)
    work = counter.get_total_flops() // 2
    v1, lit = net.areas["V1"], net.off_after or net.steps["V1"]
    if net.unroll != "sequential" and v1.norm_input.static:
        work += (lit - 1) * v1.work((57, 57), 1, 0)[0]
    if variant[1].get("v1"):  # computed on three colours, two of which are zero
        work -= 768 * 25**2 * 2 * 15**2
    assert count_macs(net, 57) == work


def formula(net, width, arguments):
    """Parameters, in closed form (batch norms have 2 per channel and step)."""
    c = {area: round(64 * width) * k for area, k in (("V1", 1), ("V2", 2), ("V3", 2), ("V4", 4), ("IT", 8))}
    names = list(net.steps)
    decoder = (c["IT"] + 1) * 5
    below = dict(zip(names[1:], names, strict=False))
    norm = arguments.get("norm") or {"recurrent": "group", "bottleneck": "per_step"}.get(net.block)

    def times(area):
        return net.steps[area] if norm == "per_step" else 1

    v1 = c["V1"]
    if arguments.get("v1"):
        first = 512 * v1
    elif net.block == "feedforward":
        first = (49 * 3 + 1) * v1
    elif net.block == "bottleneck":
        first = 49 * 3 * v1 + 9 * v1**2 + 4 * v1
    else:
        first = (49 * 3 + 1) * v1 + 9 * v1**2 + 4 * v1 * times("V1")
    total = first + decoder
    for area in names[1:]:
        a, b = c[below[area]], c[area]
        if net.block == "feedforward":
            total += (9 * a + 1) * b
        elif net.block == "recurrent":
            total += (9 * a + 1) * b + 9 * b**2 + 4 * b * times(area)
        else:
            m, t = round(arguments.get("bottleneck", 4) * b), times(area)
            three, loop = arguments.get("convolutions", 3) == 3, arguments.get("loop") or 1
            total += a * b  # input
            if arguments.get("skip", True):
                total += b**2 + 2 * b
            if three and loop == 1:
                total += b * m + 2 * m * t + 9 * m**2
            elif three:
                total += b * b + 2 * b + 9 * b * m
            else:
                total += 9 * b * m
            total += 2 * m * t + m * b + 2 * b * t
    if net.feedback is not None:
        total += sum(c[above] * c[to] for above, to in net.feedback.pairs)
    return total


def test_parameters_are_as_many_as_the_formula_says(variant):
    width = 0.25
    net = made(variant, width=width)
    assert sum(p.numel() for p in net.parameters()) == formula(net, width, variant[1])


def test_the_step_to_millisecond_map_names_every_area(variant):
    net = made(variant)
    intervals = network_intervals(net.area_table)
    assert {area: len(steps) for area, steps in intervals.items()} == net.steps
    onsets = [next(one[0] for one in steps if one) for steps in intervals.values()]
    assert onsets == sorted(onsets)


def test_published_depths():
    """The 2019 paper counts 15 for CORnet-S."""
    assert [describe(name).depth for name in ("cornet_s", "cornet_z")] == [(15, 30), (5, 5)]


def test_a_soft_gate_keeps_the_input():
    """Of a hard gate nothing but the state is read after the first step."""
    for gate, same in (("hard", True), ("soft", False)):
        area = create_model("cornet_s", width=0.1, gate=gate).eval().areas["V4"]
        state = torch.rand(1, area.channels, 4, 4)
        drives = [torch.randn(1, area.channels, 7, 7) for _ in range(2)]  # an odd map is averaged, too
        one, other = (area.step(drive, state, 1) for drive in drives)
        assert torch.equal(one, other) is same


def test_what_re_enters_at_the_second_convolution_does_not_see_the_first():
    area = create_model("cornet_s", width=0.1, loop=2).eval().areas["V2"]
    drive = area.drive(torch.randn(1, 6, 8, 8), 0)
    state = area.step(drive, None, 0)
    expected = area.step(drive, state, 1)
    torch.nn.init.zeros_(area.conv1.weight)
    assert torch.equal(area.step(drive, state, 1), expected)


def test_an_image_that_is_off_is_not_seen():
    """What V1 is shown after that changes nothing, and the steps before are those of an image that stays on."""
    torch.manual_seed(0)
    on = create_model("cornet_rt", width=0.1, num_classes=5, times=7).eval()
    off = create_model("cornet_rt", width=0.1, num_classes=5, times=7, off_after=3).eval()
    off.load_state_dict(on.state_dict())
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        (_, bright), (_, dark) = on(images, return_states=True), off(images, return_states=True)
    for position, area in enumerate(on.areas):
        changed = 3 + position
        torch.testing.assert_close(bright[area][:changed], dark[area][:changed])
        assert all(not torch.allclose(bright[area][t], dark[area][t]) for t in range(changed, 7))


def test_feedback_arrives_when_it_should():
    """IT sees the image at step 3; through V4 it comes back to IT at step 5, the sixth."""
    torch.manual_seed(0)
    with_it = create_model("cornet_rt", width=0.1, num_classes=5, times=6, feedback=["IT-V4"]).eval()
    torch.nn.init.ones_(with_it.areas["IT"].norm1.norms[0].bias)  # else it puts out zeros before the image
    without = create_model("cornet_rt", width=0.1, num_classes=5, times=6).eval()
    without.load_state_dict(with_it.state_dict(), strict=False)
    a, b = torch.randn(2, 1, 3, 48, 48)
    with torch.no_grad():
        first, other = (with_it(x, return_states=True)[1] for x in (a, b))
        plain = without(a, return_states=True)[1]
    assert torch.equal(first["V2"], plain["V2"])  # nothing leads there
    assert not torch.equal(first["V4"][1], plain["V4"][1])  # IT's constant of step 0 does come down
    assert torch.equal(first["V4"][1], other["V4"][1])  # and has nothing of the image
    assert not torch.allclose(first["V4"][4], other["V4"][4])


def test_more_steps_than_trained():
    for gate in ("hard", "soft"):
        net = create_model("cornet_s", width=0.1, num_classes=5, gate=gate).eval()
        images = torch.randn(2, 3, 48, 48)
        with torch.no_grad():
            _, few = net(images, return_states=True)
            _, more = net(images, return_states=True, times={"V2": 2, "V4": 8, "IT": 4})
        assert more["V4"].shape[0] == 8
        assert torch.equal(more["V4"][:4], few["V4"])


REFUSED = [
    ({"times": {"V4": 0}}, r"times.V4=0 must be a whole number, at least 1"),
    ({"loop": 3}, r"loop=3 is impossible: conv 3 contracts, .*; choose 1 or 2, or omit it"),
    (
        {"loop": 1, "convolutions": 2},
        r"loop=1 is impossible: a block of convolutions=2 has no conv 1; choose 2",
    ),
    ({"loop": 7}, r"loop=7 is impossible: a block has no conv 7"),
    ({"gate": "open"}, r"gate='open' is unknown; choose one of hard, soft"),
    ({"convolutions": 4}, r"convolutions=4 is unknown; choose 3, or 2"),
    ({"skip": "yes"}, r"skip='yes' is unknown"),
    ({"areas": 6}, r"areas=6 is unknown; choose 4, or 5"),
    ({"times": {"V3": 2}}, r"times names V3, but the areas are V1, V2, V4, IT"),
    ({"feedback": True}, r"feedback is incompatible with unroll='sequential'"),
    ({"off_after": 2}, r"off_after=2 is incompatible with unroll='sequential'"),
    ({"v1": "retina"}, r"v1='retina' is unknown; choose gabor"),
    (
        {"v1": "gabor", "v1_options": {"nois": 0}},
        r"v1_options has the unknown key 'nois' for v1='gabor'; choose from simple,",
    ),
    ({"v1_options": {"noise": False}}, r"needs v1=gabor"),
    ({"v1": "gabor", "v1_options": {"pixels_per_degree": 8}}, r"pixels_per_degree=8 must be above 16"),
    ({"bottleneck": 0}, r"bottleneck=0 must be a number above 0"),
]
REFUSED_RT = [
    ({"feedback": True}, r"times=5 is too few for feedback .*give at least 6"),
    ({"feedback": ["V1-V2"], "times": 9}, r"feedback='V1-V2' does not lead from an area to a lower one"),
    ({"feedback": ["IT-V4", "IT-V4"], "times": 9}, r"names a pair twice"),
    ({"off_after": 5}, r"off_after=5 is too late: the network runs 5 steps"),
    ({"off_after": 0}, r"off_after=0 must be a whole number, at least 1"),
    ({"gate": "soft"}, r"gate='soft' is incompatible with block='recurrent'"),
    (
        {"skip": False},
        r"skip=False is incompatible with block='recurrent', which has no skip connection; omit it",
    ),
    ({"v1": "gabor"}, r"v1='gabor' is incompatible with unroll='synchronous'"),
    ({"areas": 5, "times": 4}, r"times=4 is too few: .* the image reaches IT at step 5"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [("cornet_s", *one) for one in REFUSED] + [("cornet_rt", *one) for one in REFUSED_RT],
)
def test_what_makes_no_sense(name, arguments, said):
    with pytest.raises(CornetError, match=said) as refused:
        create_model(name, width=0.1, **arguments)
    assert "\n" not in str(refused.value)
