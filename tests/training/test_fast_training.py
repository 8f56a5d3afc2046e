"""What makes training faster or smaller, in real trainings of small networks."""

import copy
import os
import platform
import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics.classification import MulticlassAccuracy

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, Batch
from cornet.tasks.classification import TopK
from cornet.training.callbacks.guards import FiniteLoss
from cornet.training.recipe import shrink, size_at
from tests.helpers.paths import ROOT
from tests.helpers.training.small_trainings import batches, classifier, fit


def test_accumulated_parts_train_as_the_whole_batch():
    """A network without batch statistics, in float64."""
    found = []
    for accumulate in (1, 4):
        module = classifier(precision="64-true", accumulate=accumulate, weight_decay=0.01)
        whole = batches(3)
        parts = [
            Batch(batch.inputs[part], {"label": batch.labels[part]}, batch.indices[part])
            for batch in whole
            for start in range(0, 8, 8 // accumulate)
            for part in [slice(start, start + 8 // accumulate)]
        ]
        trainer = fit(module, parts)
        assert trainer.global_step == 6
        found.append(list(module.net.parameters()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


class Reads(TorchDispatchMode):
    """Counts how often the host waits to read a value: `.item()`, `float(x)`, `if x`, `x.nonzero()`."""

    READS = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
    )

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in self.READS
        return function(*args, **(kwargs or {}))


class ReadsPerStep(pl.Callback):
    """Of every training step, with the hooks of Lightning and of the callbacks before it."""

    def __init__(self):
        self.reads, self.counts, self.before = Reads(), [], 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not self.counts and not self.before:
            self.reads.__enter__()
        self.before = self.reads.count

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.counts.append(self.reads.count - self.before)

    def on_train_epoch_end(self, trainer, pl_module):
        self.reads.__exit__(None, None, None)


@pytest.mark.parametrize("name", ["cornet_s", "cornet_rt"])
def test_nothing_waits_for_the_device_at_a_step(name):
    """Only where the loss is logged, every 5 steps here, may a value be read."""
    everything = {"average": 0.9, "step_loss": 0.5, "clip": 1.0, "precision": "bf16-mixed"}
    counter = ReadsPerStep()
    module = classifier(name, epochs=1, **everything, channels_last=True)
    fit(module, batches(10, images=2), callbacks=[FiniteLoss(), counter], log_every_n_steps=5)
    quiet = [count for step, count in enumerate(counter.counts) if step % 5 and (step + 1) % 5]
    assert len(counter.counts) == 10
    assert quiet == [0] * 6


@pytest.mark.parametrize(
    "read",
    [torch.Tensor.item, torch.Tensor.nonzero, bool, lambda tensor: tensor.masked_select(tensor > 0)],
)
def test_a_read_is_counted(read):
    with Reads() as reads:
        read(torch.ones(1))
    assert reads.count


class Weights(pl.Callback):
    """What a callback sees: the weights after every step, and those that are validated."""

    def __init__(self):
        self.steps, self.validated, self.named = [], [], []

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        self.steps.append(copy.deepcopy(pl_module.net.state_dict()))

    def on_validation_epoch_end(self, trainer, pl_module):
        self.validated.append(copy.deepcopy(pl_module.net.state_dict()))
        self.named.append(pl_module.scored_weights)


def test_averaged_weights_and_statistics_are_validated_and_training_goes_on_unchanged(tmp_path):
    train, val = batches(4), batches(2, views=True)
    ends = []
    for average in (None, 0.8):
        module, seen, states = classifier("cornet_s", average=average), Weights(), []

        class After(pl.Callback):
            def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, states=states):
                states.append(copy.deepcopy(pl_module.net.state_dict()))

        start = copy.deepcopy(module.net.state_dict())
        trainer = fit(module, train, val, callbacks=[seen, After()])
        ends.append(module.net.state_dict())
        assert seen.named == (["averaged"] * 2 if average else ["raw"] * 2)
    assert module.scored_weights == "raw"
    for key, tensor in ends[0].items():  # averaging does not touch the training
        assert torch.equal(tensor, ends[1][key]), key
    expected = {key: value.double() for key, value in start.items()}
    for n, state in enumerate(states):
        keep = min(0.8, (1 + n) / (10 + n))
        expected = {key: keep * value + (1 - keep) * state[key].double() for key, value in expected.items()}
        if n in (3, 7):
            found = seen.validated[n // 4]
            for key in expected:
                if key.endswith("num_batches_tracked"):
                    assert found[key] == state[key]
                else:
                    torch.testing.assert_close(found[key].double(), expected[key], rtol=1e-5, atol=1e-6)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    for key, tensor in seen.validated[-1].items():
        assert torch.equal(kept["state_dict"][f"net.{key}"], tensor)
        assert torch.equal(kept["raw_weights"]["weights"][f"net.{key}"], ends[1][key])


def test_a_stopped_training_goes_on_with_its_average(tmp_path):
    train, val = batches(4), batches(1, views=True)
    whole, parts = Weights(), Weights()
    module = classifier("cornet_s", average=0.9, precision="64-true").double()
    fit(module, train, val, callbacks=[whole])
    stopped = classifier("cornet_s", average=0.9, precision="64-true").double()
    fit(stopped, train, val, callbacks=[parts], max_epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    resumed = classifier("cornet_s", average=0.9, precision="64-true").double()
    fit(resumed, train, val, callbacks=[parts], ckpt_path=tmp_path / "last.ckpt")
    for one, other in zip(whole.validated, parts.validated, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.slow  # trains for many steps
def test_averaged_statistics_fit_the_averaged_weights():
    """The network in evaluation is as good as one whose statistics were estimated for these very weights."""
    train = batches(6, images=16)
    module = classifier("cornet_s", average=0.9, epochs=12, learning_rate=0.02, width=0.1)
    fit(module, train)
    module.average.swap()
    images = torch.cat([batch.images for batch in train])
    labels = torch.cat([batch.labels for batch in train])
    with torch.no_grad():
        averaged = F.cross_entropy(module.eval()(images), labels)
        for norm in module.net.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0
        module.train()(images)
        estimated = F.cross_entropy(module.eval()(images), labels)
    assert averaged < 1.3  # chance 1.61
    assert abs(averaged - estimated) < 0.25


class SizesSeen(pl.Callback):
    def __init__(self):
        self.sizes = []

    def on_train_start(self, trainer, pl_module):
        pl_module.net.register_forward_pre_hook(
            lambda module, arguments: self.sizes.append((module.training, arguments[0].shape[-1]))
        )


def test_small_images_come_first_and_the_last_epochs_are_whole():
    module, seen = classifier(epochs=4, sizes=[[16, 1], [24, 2]]), SizesSeen()
    fit(module, batches(2), batches(1, views=True), callbacks=[seen])
    assert [size for training, size in seen.sizes if training] == [16, 16, 24, 24, 24, 24, 32, 32]
    assert {size for training, size in seen.sizes if not training} == {32}
    assert [size_at([[16, 1], [24, 2]], epoch) for epoch in range(5)] == [16, 24, 24, None, None]


def test_shrinking_keeps_what_is_shown():
    ramp = torch.linspace(0, 255, 32).round().to(torch.uint8).expand(1, 3, 32, 32)
    small = shrink(ramp, 16)
    assert small.shape == (1, 3, 16, 16)
    pairs = ramp[0, 0, 0].float().view(16, 2).mean(1)
    torch.testing.assert_close(small[0, 0, 5], pairs, rtol=0, atol=6)
    assert shrink(ramp, 32) is ramp
    with pytest.raises(CornetError, match="asks for 64 pixels, but the training images have 32"):
        shrink(ramp, 64)


@pytest.mark.parametrize("name", ["cornet_s", "cornet_rt"])
def test_step_loss_trains_and_measures_the_readout_of_every_step(name, tmp_path):
    module = classifier(name, step_loss=0.5, label_smoothing=0.1, precision="64-true").double()
    batch = batches(1)[0]
    loss, outputs, _ = module.loss(batch, batch.inputs)
    _, states = module.net((batch.images - module.pixel_mean) / module.pixel_std, return_states=True)
    steps = range(module.net.first_driven_step("IT"), module.net.steps["IT"])
    each = [module.net.decoder(states["IT"][k].mean((2, 3))) for k in steps]
    losses = [F.cross_entropy(one, batch.labels, label_smoothing=0.1) for one in each]
    torch.testing.assert_close(loss, losses[-1] + 0.5 * sum(losses[:-1]) / (len(losses) - 1))
    torch.testing.assert_close(outputs.predictions["label"], each[-1])
    logged = fit(module, batches(2), batches(2, views=True)).callback_metrics
    assert {f"val/top1_step{k}" for k in steps} <= logged.keys()
    assert logged[f"val/top1_step{steps[-1]}"] == logged["val/top1"]


def test_step_loss_needs_steps():
    with pytest.raises(CornetError, match=r"reaches IT only at its last step.* set recipe.step_loss to 0"):
        classifier("cornet_z", step_loss=0.5)


@pytest.mark.slow  # compiles
def test_compiled_training_is_that_of_the_plain_one():
    """With all the rest at once: channels-last, clipping, smaller images first, averaging, read-outs."""
    found = []
    options = {"channels_last": True, "clip": 0.5, "sizes": [[24, 1]], "average": 0.5, "step_loss": 0.3}
    for compiled in (False, True):
        module = classifier("cornet_s", **options)
        if compiled:
            module.net.compile(backend="eager")
        logged = fit(module, batches(2), batches(1, views=True)).callback_metrics
        found.append((logged["val/loss"], *module.net.parameters()))
    assert module.net.compiled
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_clipping_with_a_fused_optimiser_bounds_the_gradient(precision):
    module, norms = classifier("cornet_s", clip=0.01, precision=precision, epochs=1), []

    class Norms(pl.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            grads = [p.grad for p in pl_module.net.parameters() if p.grad is not None]
            if grads:
                norms.append(float(torch.stack([g.norm() for g in grads]).norm()))

    fit(module, batches(3), callbacks=[Norms()])
    assert norms
    assert max(norms) <= 0.01 * 1.001


def test_a_layout_that_damages_memory_on_a_cpu_is_refused():
    with pytest.raises(CornetError, match=r"V2.skip, which has 6 channels.*recipe.channels_last=false"):
        fit(classifier("cornet_s", width=0.05, channels_last=True), batches(1))
    fit(classifier("cornet_z", width=0.05, channels_last=True, epochs=1), batches(1))


@pytest.mark.slow  # a process of its own, whose CPU is told to be an older one
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the setting is one of x86")
def test_bf16_on_a_cpu_without_it_is_told():
    program = (
        "from tests.helpers.training.small_trainings import batches, classifier, fit\n"
        "for precision in ('32-true', 'bf16-mixed'):\n"
        "    fit(classifier(epochs=1, precision=precision), batches(1))\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.count("recipe.precision=bf16-mixed is many times slower than float32 on this CPU") == 1
    assert done.stderr.count("many times slower") == 1


@pytest.mark.parametrize("k", [1, 5])
def test_accuracy_is_that_of_torchmetrics(k):
    """Also where an image has no class, and for equal logits."""
    mine = TopK(k)
    theirs = MulticlassAccuracy(10, top_k=k, average="micro", ignore_index=IGNORED, validate_args=False)
    generator = torch.Generator().manual_seed(0)
    for images in (64, 1, 30):
        logits = torch.randn(images, 10, generator=generator)
        if k == 1:
            logits = logits.round()
        labels = torch.randint(0, 10, (images,), generator=generator)
        labels[::7] = IGNORED
        mine.update(logits, labels)
        theirs.update(logits, labels)
    assert 0 < float(mine.compute()) == float(theirs.compute()) < 1
