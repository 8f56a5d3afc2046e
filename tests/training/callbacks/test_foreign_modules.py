"""Brain scores in anyone's LightningModule: the same training, the right weights, layers and rows."""

import logging
import random

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

import cornet
from cornet import CornetError
from cornet.brain.subjects.any_network import subject_of
from cornet.runs.scores import read_scores
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training.foreign import OwnModule, Recurrent, Unvalidated, fit, plain_network

LAYERS = {"V4": "0", "IT": "1"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """60 stimuli, four neuroids of V4 and four of IT."""
    return str(write(tmp_path_factory.mktemp("bundle") / "mine", assembly(("V4",) * 4 + ("IT",) * 4)))


def scored(bundle, **options):
    """With ridge, the quickest mapping, unless another is named."""
    given = {"layers": LAYERS, "network": "encoder", "size": 16, "metric": "ridge", **options}
    return cornet.BrainScore([bundle], **given)


def test_training_is_the_same_with_and_without(bundle, tmp_path):
    """Weights, statistics, momentum and the state of all random numbers, bit for bit."""
    states = []
    for name, callbacks in (("plain", []), ("scored", [scored(bundle, fractions=[0.5])])):
        trainer, module = fit(tmp_path / name, callbacks)
        momentum = [one["momentum_buffer"] for one in trainer.optimizers[0].state.values()]
        numbers = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002
        states.append(([*module.state_dict().values(), *momentum, numbers[0]], numbers[1:]))
    (plain, numbers), (with_scores, numbers_with_scores) = states
    assert all(map(torch.equal, plain, with_scores))
    assert numbers == numbers_with_scores
    assert len(read_scores(tmp_path / "scored")) == 2 * 4  # before, half an epoch, two epochs


def test_rows_are_of_the_network_and_beside_the_metric(bundle, tmp_path, caplog):
    caplog.set_level(logging.INFO, "cornet")
    brain = scored(bundle, task_metric="val/acc", metric="pls")
    trainer, module = fit(tmp_path, [brain])
    scores = read_scores(tmp_path)
    assert list(scores["epoch"]) == [0, 0, 1, 1, 2, 2]
    assert set(scores["sites"]) == {"0[0]", "1[0]"}
    assert set(scores["task_metric"]) == {"val/acc"}
    assert scores["task_value"].isna().tolist() == [True, True, False, False, False, False]
    assert scores["task_value"].iloc[-1] == pytest.approx(float(trainer.callback_metrics["val/acc"]))
    table = cornet.score(module.encoder, on=[bundle], layers=LAYERS, size=16, progress=False)
    assert list(table["raw"]) == pytest.approx(list(scores["raw"].iloc[-2:]), abs=1e-9)
    costs = [record.message for record in caplog.records if "per epoch" in record.message]
    assert len(costs) == 1
    assert costs[0].startswith("Brain scores: 2 benchmarks took ")
    assert "3 evaluations in 2 epochs" in costs[0]


@pytest.mark.parametrize(
    "network", [None, "encoder", lambda module: module.encoder], ids=["none", "name", "function"]
)
def test_the_network_is_the_module_an_attribute_or_a_function(bundle, tmp_path, network):
    layers = {"V4": "encoder.0"} if network is None else {"V4": "0"}
    fit(tmp_path, [scored(f"{bundle}:V4", network=network, layers=layers, every=0)], epochs=1)
    scores = read_scores(tmp_path)
    assert set(scores["benchmark"]) == {"mine.V4"}
    assert np.isfinite(scores["raw"]).all()


def test_monitors_see_the_scores(bundle, tmp_path):
    keep = pl.callbacks.ModelCheckpoint(tmp_path / "best", monitor="brain/IT", mode="max")
    fit(tmp_path, [scored(bundle), keep], enable_checkpointing=True, epochs=3)
    after = read_scores(tmp_path).query("benchmark == 'mine.IT' and epoch > 0")
    assert float(keep.best_model_score) == pytest.approx(after["value"].max(), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "module", "steps"),
    [
        ({}, Unvalidated, [0, 4, 8]),
        ({"check_val_every_n_epoch": 2}, OwnModule, [0, 4, 8]),
        ({"val_check_interval": 0.5}, OwnModule, [0, 4, 8]),
        ({"max_epochs": -1, "max_steps": 6}, OwnModule, [0, 4, 6]),
        ({"limit_train_batches": 3}, OwnModule, [0, 3, 6]),
        ({"accumulate_grad_batches": 2}, OwnModule, [0, 2, 4]),
    ],
    ids=["no validation", "every second epoch", "twice an epoch", "max_steps", "limited", "accumulated"],
)
def test_every_epoch_is_scored_however_it_is_validated(bundle, tmp_path, options, module, steps):
    trainer, _ = fit(tmp_path, [scored(bundle)], module(), **options)
    scores = read_scores(tmp_path)
    assert list(scores["step"].unique()) == steps
    assert len(scores) == 2 * len(steps)
    assert "brain/IT" in trainer.callback_metrics


def test_a_recurrent_layer_is_recorded_per_call_and_has_times(bundle, tmp_path):
    layers = {"V4": "cell", "IT": "cell"}
    options = {"layers": layers, "step_ms": 50, "onset_ms": {"V4": 0, "IT": 20}, "every": 0}
    matrix, times = cornet.StepMatrix(), cornet.ObjectSolutionTimes()
    _, module = fit(tmp_path, [scored(bundle, **options), matrix, times], OwnModule(Recurrent()), epochs=1)
    scores = read_scores(tmp_path).set_index(["benchmark", "epoch"])["sites"]
    assert scores["mine.V4", 1] == "cell[1]"  # 50 to 100 ms, for the bin from 70
    assert scores["mine.IT", 1] == "cell[1]"
    table = pd.read_csv(tmp_path / "step_matrix.csv")
    assert list(table[table["benchmark"] == "mine.V4"]["step"]) == [0, 1, 2, 3]
    later = subject_of(module.encoder, layers, size=16, step_ms=50, onset_ms=20)
    assert [str(later.site("IT", (start, start + 10))) for start in (20, 69, 121, 999)] == [
        "cell[0]",
        "cell[1]",
        "cell[2]",
        "cell[3]",
    ]
    assert str(subject_of(module.encoder, {"IT": "cell[2]"}, size=16).site("IT")) == "cell[2]"
    assert (
        str(subject_of(module.encoder, {"IT": "cell"}, size=16).site("IT")) == "cell[3]"
    )  # without times, the last


@pytest.mark.parametrize("before", [True, False], ids=["averaging first", "scores first"])
def test_averaged_weights_are_scored(bundle, tmp_path, before):
    """Lightning's average is what validation uses; the row says so, and the training is the same."""
    average = pl.callbacks.EMAWeightAveraging(decay=0.5)
    brain = scored(bundle, before=False)
    callbacks = [average, brain] if before else [brain, average]
    fit(tmp_path, callbacks, epochs=1)
    scores = read_scores(tmp_path)
    assert set(scores["weights"]) == {"averaged"}
    _, module = fit(tmp_path / "plain", [pl.callbacks.EMAWeightAveraging(decay=0.5)], epochs=1)
    table = cornet.score(
        module.encoder, on=[bundle], layers=LAYERS, size=16, metric="ridge", progress=False
    )  # copied at the end
    assert list(table["raw"]) == pytest.approx(list(scores["raw"]), abs=1e-9)


def test_regions_without_a_layer_are_left_out_unless_they_are_named(bundle, tmp_path, caplog):
    fit(tmp_path, [scored(bundle, layers={"IT": "1"}, every=0)], epochs=1)
    assert set(read_scores(tmp_path)["benchmark"]) == {"mine.IT"}
    assert "mine.V4 is left out: no layer is given for V4." in caplog.text
    with pytest.raises(CornetError, match="no layer for region 'V4'"):
        fit(tmp_path, [scored(f"{bundle}:V4", layers={"IT": "1"})])
    with pytest.raises(CornetError, match="assign one, such as IT="):
        fit(tmp_path, [scored(bundle, layers=None)])


def test_layers_are_chosen_on_a_bundle_set_aside_and_stay_in_a_resumed_training(bundle, tmp_path, caplog):
    other = str(write(tmp_path / "other", assembly(("V4",) * 4 + ("IT",) * 4)))
    brain = scored(bundle, layers="auto", choose_on=other)
    fit(tmp_path / "run", [brain], epochs=1)
    assert "chosen on " in caplog.text
    chosen = dict(
        zip(read_scores(tmp_path / "run")["region"], read_scores(tmp_path / "run")["sites"], strict=True)
    )
    resumed = scored(bundle, layers="auto", choose_on=other)
    resumed.load_state_dict(brain.state_dict())
    assert {region: str(site) for region, site in resumed.chosen.items()} == chosen


def test_scores_of_an_earlier_training_are_kept(bundle, tmp_path, caplog):
    for _ in range(2):
        fit(tmp_path, [scored(bundle, every=0)], epochs=1)
    assert len(read_scores(tmp_path / "scores-1.csv")) == len(read_scores(tmp_path / "scores.csv")) == 4
    assert "scores-1.csv" in caplog.text


class Counting(nn.Module):
    """Keeps a buffer and a tensor of its forward passes, as networks with caches do."""

    def __init__(self):
        super().__init__()
        self.net = plain_network()
        self.codes = None
        self.register_buffer("passes", torch.tensor(0))

    def forward(self, images):
        self.passes += 1
        if self.codes is None:
            self.codes = torch.ones(1, 3, 1, 1)
        return self.net(images * self.codes)


def test_a_network_that_keeps_tensors_of_a_pass_trains_on(bundle, tmp_path):
    _, module = fit(tmp_path, [scored(bundle, layers={"IT": "net.1"})], OwnModule(Counting()), epochs=1)
    plain = OwnModule(Counting())
    fit(tmp_path / "plain", [], plain, epochs=1)
    assert module.encoder.passes == plain.encoder.passes


@pytest.mark.longest  # compiles
@pytest.mark.parametrize("in_place", [True, False])
def test_compiled_networks_are_recorded(bundle, tmp_path, in_place):
    net = plain_network()
    module = OwnModule(net)
    if in_place:
        module.encoder.compile()
    else:
        module.encoder = torch.compile(net)
    fit(tmp_path, [scored(bundle, every=0)], module, epochs=1)
    assert np.isfinite(read_scores(tmp_path)["raw"]).all()


class Never(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = plain_network()
        self.unused = nn.Conv2d(3, 3, 1)
        self.odd = Odd()

    def forward(self, images):
        self.odd(images)
        return self.net(images)


class Odd(nn.Module):
    def forward(self, images):
        return "no tensor"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": {"IT": "net.7"}}, r"no layer 'net\.7'; did you mean net\.\d"),
        ({"layers": {"IT": "unused"}}, "does not call its layer unused; choose another"),
        ({"layers": {"IT": "odd"}}, "gives no tensor for 1 stimuli"),
        ({"layers": {"IT": "net.1[3]"}}, r"net\.1 is called 1 times"),
        ({"layers": "layer3"}, "layers='layer3' must give a layer for each region"),
        ({"layers": "auto"}, "need each other"),
        ({"network": "encodr"}, "network='encodr' is not an attribute of OwnModule; choose one of encoder"),
        ({"network": "log"}, "network='log' gives a method, but must give a torch.nn.Module"),
        ({"step_ms": 50}, "needs a layer that runs several times"),
        ({"size": 0}, "size=0"),
        (
            {"layers": {"IT": "net.1", "behaviour": "unused"}, "names": ["simulated-i2n"]},
            "does not call its layer unused",
        ),
    ],
)
def test_mistakes_are_one_sentence_before_the_first_step(bundle, tmp_path, options, message):
    names = options.pop("names", [f"{bundle}:IT"])
    module = OwnModule(Never())
    before = [value.clone() for value in module.state_dict().values()]
    options = {"layers": {"IT": "net.1"}, "network": "encoder", "size": 16, **options}
    with pytest.raises(CornetError, match=message) as error:
        fit(tmp_path, [cornet.BrainScore(names, **options)], module)
    assert "\n" not in str(error.value)
    assert all(map(torch.equal, before, module.state_dict().values()))


def test_a_module_without_forward_says_how_to_name_its_network(bundle, tmp_path):
    class WithoutForward(OwnModule):
        forward = pl.LightningModule.forward

    options = {"layers": {"IT": "encoder.net.1"}, "size": 16}
    with pytest.raises(CornetError, match=r"has no forward method.* such as network='encoder'"):
        fit(tmp_path, [cornet.BrainScore([f"{bundle}:IT"], **options)], WithoutForward(Never()))


def test_a_failure_is_reported_once_and_training_goes_on(bundle, tmp_path, caplog):
    class Breaks(Recurrent):
        def forward(self, images):
            if len(images) > 8 and self.broken:
                raise RuntimeError("broken")
            return super().forward(images)

        broken = False

    module = OwnModule(Breaks())

    class Break(pl.Callback):
        def on_train_start(self, *_):
            Breaks.broken = True

    trainer, _ = fit(tmp_path, [scored(bundle, layers={"IT": "cell"}), Break()], module, epochs=2)
    assert trainer.global_step == 8
    assert caplog.text.count("could not be scored and is skipped") == 1
    scores = read_scores(tmp_path)
    assert scores["failure"].str.contains("broken").sum() == 2
    assert np.isfinite(scores[scores["epoch"] == 0]["raw"]).all()
