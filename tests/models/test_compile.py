"""The unrolled networks are captured as one graph, and compiling in place keeps their names."""

import pytest
import torch

from cornet import create_model, list_models


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", list_models())
def test_one_graph(name):
    net = create_model(name, num_classes=5, width=0.1).eval()
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
    net = create_model(name, width=0.1)
    keys = list(net.state_dict())
    net.compile()
    assert list(net.state_dict()) == keys
    create_model(name, width=0.1).load_state_dict(net.state_dict())


def test_export():
    net = create_model("cornet_s", num_classes=5, width=0.1).eval()
    images = torch.randn(2, 3, 32, 32)
    exported = torch.export.export(net, (images,), strict=False)
    torch.testing.assert_close(exported.module()(images), net(images))
