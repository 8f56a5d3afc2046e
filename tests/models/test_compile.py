"""The unrolled networks are captured as one graph, and compiling in place keeps their names."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from cornet import create_model, list_models
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.subject import Site
from cornet.models import compiling
from tests.helpers.models.named import CORNETS, small_arguments

PIXELS = (torch.full((3, 1, 1), 120.0), torch.full((3, 1, 1), 60.0))


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


SLOW = {
    name: [pytest.mark.slow] for name in ("cornet_r", "cornet_s", "cornet_rt", "bl", "blt", "hcnn", "hmax")
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, [])) for name in list_models()])
def test_one_graph(name):
    net = create_model(name, num_classes=5, **small_arguments(name)).eval()
    images = torch.randn(2, 3, 32, 32)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(net, backend=backend, fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(images), net(images))
        assert len(graphs) == 1
        logits, states = compiled(images, return_states=True)
        expected, expected_states = net(images, return_states=True)
        assert len(graphs) == 2
    assert torch.equal(logits, expected)
    assert all(torch.equal(states[area], expected_states[area]) for area in states)


@pytest.mark.slow
def test_one_graph_on_ranks_too(tmp_path):
    """DDP would have it cut into a part for each bucket of gradients."""

    class Around(torch.nn.Module):  # as the Lightning module is
        def __init__(self):
            super().__init__()
            self.net = create_model("cornet_s", num_classes=5, width=0.25)
            self.net.compile(backend="aot_eager")

        def forward(self, images):
            return self.net(images)

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        around = torch.nn.parallel.DistributedDataParallel(Around(), static_graph=True, bucket_cap_mb=1)
        counters.clear()
        around(torch.randn(2, 3, 32, 32)).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert counters["aot_autograd"]["total"] == counters["aot_autograd"]["ok"] == 1
    assert not counters["graph_break"]


@pytest.mark.slow  # compiles
def test_training_is_captured_with_its_gradients_and_statistics():
    images, found = torch.randn(3, 3, 32, 32), []
    for compiled in (False, True):
        torch.manual_seed(0)
        net = create_model("cornet_s", num_classes=5, width=0.05, times=2).train()
        if compiled:
            net.compile(backend="aot_eager", fullgraph=True)
        net(images).square().sum().backward()
        found.append([*(p.grad for p in net.parameters()), *net.buffers()])
    for eager, captured in zip(*found, strict=True):
        torch.testing.assert_close(eager, captured)


@pytest.mark.parametrize("name", list_models())
def test_compiling_in_place_keeps_the_keys(name):
    net = create_model(name, **small_arguments(name))
    keys = list(net.state_dict())
    net.compile()
    assert list(net.state_dict()) == keys
    create_model(name, **small_arguments(name)).load_state_dict(net.state_dict())


def shown(count, size):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["cornet_z", *(pytest.param(f"cornet_{one}", marks=pytest.mark.slow) for one in ("r", "rt", "s"))],
)
def test_one_graph_per_size_and_mode(name):
    """Whatever follows: steps, epochs, last batches, single images, recordings, another size."""
    net = create_model(name, num_classes=5, width=0.05)
    counter = CompileCounterWithBackend("eager")
    net.compile(backend=counter)
    counts = []
    for size in (32, 48, 32, 48):
        net.train()
        for _ in range(2):
            net(shown(4, size), pixels=PIXELS).sum().backward()
        counts.append(counter.frame_count)
        net.eval()
        with torch.inference_mode():
            for batch in (1, 4, 3, 7, 1):
                net(shown(batch, size), pixels=PIXELS)
        counts.append(counter.frame_count)
        with torch.inference_mode():
            for batch in (1, 9, 5, 6):
                net(torch.randn(batch, 3, size, size), return_states=True)
        counts.append(counter.frame_count)
    assert counts == [1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6]
    assert net.compiled


@pytest.mark.slow  # compiles
def test_recording_is_compiled_once_and_records_the_same():
    stimuli = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    sites = [Site("V4", 2), Site("IT", 1), Site("logits")]
    net = create_model("cornet_s", num_classes=5, width=0.05)
    found = []
    counter = CompileCounterWithBackend("eager")
    identity = module_identity(net)
    for compiled in (False, True, True, True):  # an evaluation after each epoch
        if compiled and not net.compiled:
            net.compile(backend=counter)
        with NetworkSubject(net, size=32)._extractor(sites) as (extract, _):
            found.append(extract(stimuli, sites))
    assert counter.frame_count == 1
    for again in found[1:]:
        torch.testing.assert_close(again, found[0])
    assert module_identity(net) == identity


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("name", CORNETS)
def test_compiled_is_the_same_with_every_option(name):
    """Pixels normalised inside, states, read-outs of every step."""
    net = create_model(name, num_classes=5, width=0.05).to(memory_format=torch.channels_last).eval()
    images = shown(3, 32)
    normalised = (images - PIXELS[0]) / PIXELS[1]
    driven = net.steps["IT"] - net.first_driven_step("IT")
    with torch.no_grad():
        expected, states = net(normalised, return_states=True)
        every = torch.stack([net.decoder(x.mean((2, 3))) for x in states["IT"][-driven:]])
        for compiled in (False, True):
            if compiled:
                net.compile(backend="eager")
            torch.testing.assert_close(net(images, pixels=PIXELS), expected)
            torch.testing.assert_close(net(images, pixels=PIXELS, return_states=True), (expected, states))
            torch.testing.assert_close(net(images, pixels=PIXELS, readouts=True), every)


def test_a_copy_is_not_compiled_and_computes_with_its_own_weights():
    net = create_model("cornet_z", num_classes=5, width=0.05).eval()
    net.compile(backend="eager")
    twin = copy.deepcopy(net)
    torch.nn.init.zeros_(twin.decoder.weight)
    torch.nn.init.ones_(twin.decoder.bias)
    images = torch.randn(2, 3, 32, 32)
    assert net.compiled
    assert not twin.compiled
    assert torch.equal(twin(images), torch.ones(2, 5))
    assert not torch.equal(net(images), twin(images))


def saved_bytes(memory_budget):
    """What a compiled training step keeps for its backward pass, with its gradients and statistics."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    net = create_model("cornet_s", num_classes=5, width=0.05, times=1).train()
    net.compile(memory_budget, backend="aot_eager_decomp_partition")
    images = torch.randn(16, 3, 48, 48)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = net(images)
    logits.square().sum().backward()
    assert net.compiled
    return sum(kept.values()), [*(p.grad for p in net.parameters()), *net.buffers()]


@pytest.mark.slow
def test_a_memory_budget_keeps_less_and_changes_no_statistics():
    full, expected = saved_bytes(None)
    lean, found = saved_bytes(0.3)
    assert lean < 0.7 * full
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_backend_that_fails_is_told_once(caplog):
    def backend(graph, inputs):
        raise OSError("no such tool")

    net = create_model("cornet_z", num_classes=5, width=0.05).train()
    expected = net(torch.ones(2, 3, 32, 32))
    net.compile(backend=backend)
    for _ in range(3):
        assert torch.equal(net(torch.ones(2, 3, 32, 32)), expected)
    told = [record for record in caplog.records if record.name == "cornet"]
    assert len(told) == 1
    assert "no such tool" in told[0].getMessage()
    assert not net.compiled


@pytest.mark.slow  # the real compiler is asked for, and is not there: half a minute of imports
def test_without_a_compiler_the_network_runs_uncompiled(tmp_path):
    program = """
import logging, torch
from cornet import create_model
logging.basicConfig(format="%(name)s: %(message)s")
net = create_model("cornet_z", num_classes=5, width=0.05)
net.compile()
for _ in range(2):
    net(torch.randn(4, 3, 32, 32)).sum().backward()
print("compiled:", net.compiled)
"""
    gone = {"CC": "/nowhere", "CXX": "/nowhere", "PATH": "", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **gone},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "compiled: False" in done.stdout
    assert done.stderr.count("cornet: the network could not be compiled") == 1
    assert "C++ compiler" in done.stderr


@pytest.mark.longest  # minutes of C++ compilation
def test_the_real_compiler():
    """In float64: in float32 batch norms over eight images of one pixel magnify rounding, up to 4 % of a gradient."""
    images, found = torch.randn(8, 3, 32, 32, dtype=torch.float64), []
    for compiled in (False, True):
        torch.manual_seed(0)
        net = create_model("cornet_s", num_classes=5, width=0.1).double()
        if compiled:
            net.compile()
        logits = net(images)
        logits.square().sum().backward()
        net.eval()
        with torch.inference_mode():
            evaluated = [net(images[:n]) for n in (8, 5, 1)]
        found.append([logits.detach(), *evaluated, *(p.grad for p in net.parameters()), *net.buffers()])
    assert net.compiled
    for eager, captured in zip(*found, strict=True):
        torch.testing.assert_close(captured, eager, rtol=1e-8, atol=1e-8)


def test_the_limit_of_graphs_is_only_raised_meanwhile():
    before = torch._dynamo.config.recompile_limit
    with compiling.compiler_settings(0.5):
        assert torch._dynamo.config.recompile_limit == compiling.MOST_GRAPHS
        assert torch._functorch.config.activation_memory_budget == 0.5
    assert (torch._dynamo.config.recompile_limit, torch._functorch.config.activation_memory_budget) == (
        before,
        1.0,
    )


def test_export():
    net = create_model("cornet_s", num_classes=5, width=0.1).eval()
    images = torch.randn(2, 3, 32, 32)
    exported = torch.export.export(net, (images,), strict=False)
    torch.testing.assert_close(exported.module()(images), net(images))
