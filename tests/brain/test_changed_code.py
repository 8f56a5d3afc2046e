"""Choices of layers after a change of an input, and entries of all kinds after a change of the code."""

import sys
import threading

import numpy as np
import pytest
import xarray as xr
from torch import nn

from cornet import hashing
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.data.bundle import load_bundle
from cornet.brain.data.responses import make_responses
from cornet.brain.metrics.neural.registry import list_metrics, neural_metric
from cornet.brain.subjects import LayerSubject, NetworkSubject, PixelSubject
from cornet.brain.subjects.layer_choice import choose_layers
from cornet.brain.subjects.subject import Site
from cornet.models import create_model
from cornet.stimuli.objects import RenderedObjects
from tests.helpers.brain.changed_bundle import BASE, FILMS, STIMULI, responses, score, table, write
from tests.helpers.brain.made_up_stimuli import stimuli

pytestmark = pytest.mark.usefixtures("caches")  # of its own for every test


def bundle_of(tmp_path, **files):
    return load_bundle(write(tmp_path / "b", **{"rows": BASE["rows"], "data": BASE["data"], **files}))


def pairs(swapped: bool) -> list:
    train, test = np.arange(30), np.arange(30, STIMULI)
    if swapped:
        train[15], test[5] = test[5], train[15]
    return [(train, test)] * 2


EMPTY = xr.concat([responses(), responses()[:1] * np.nan], "presentation")
"""The averages are those of `responses()`; a note counts what is left out."""

CHOICES = {
    "values of a column": (
        {"rows": table(movie=np.arange(STIMULI) % 10)},
        {"groups": "movie"},
        {"groups": "movie"},
    ),
    "degrees of the stimuli": ({"rows": table(movie=FILMS, degrees=4.0)}, {}, {}),
    "responses": ({"data": responses(1)}, {}, {}),
    "a presentation without responses": ({"data": EMPTY}, {}, {}),
    "splits": ({}, {"splits": pairs(False)}, {"splits": pairs(True)}),
    "other images": ({}, {"images": stimuli(30)}, {"images": stimuli(30, seed=1)}),
    "degrees of the other images": ({}, {"images": stimuli(30)}, {"images": stimuli(30, degrees=3.0)}),
    "components": ({}, {}, {"components": 3}),
    "metric": ({}, {}, {"metric": "pls"}),
    "candidates": ({}, {}, {"sites": [Site("logits")]}),
    "seed": ({}, {}, {"seed": 2}),
    "time bin": ({}, {}, {"time_bin": (80, 90)}),
}


@pytest.mark.parametrize("what", CHOICES)
@pytest.mark.slow  # chooses layers twice
def test_a_choice_of_layers_after_a_change(tmp_path, what):
    files, before, after = CHOICES[what]
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
    common = {"regions": ["V4"], "metric": "ridge", "time_bin": (70, 80)}
    subject = LayerSubject(net, size=8)
    first = choose_layers(subject, bundle_of(tmp_path), **common | before)
    again = choose_layers(subject, bundle_of(tmp_path), **common | before)
    assert again.path == first.path
    bundle = bundle_of(tmp_path, **files)
    changed = choose_layers(subject, bundle, **common | after)
    assert changed.path != first.path
    fresh = choose_layers(subject, bundle, cache=False, **common | after)
    assert changed.table.equals(fresh.table)


class Ran:
    """Names of this package's modules of which a function ran, in any thread."""

    def __enter__(self):
        self.names: set[str] = set()
        threading.setprofile(self.note)
        sys.setprofile(self.note)
        return self.names

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)

    def note(self, frame, event, argument):
        self.names.add(str(frame.f_globals.get("__name__")))


KEEPING = {
    "cornet.hashing",
    "cornet.files",
    "cornet.brain.cache",
    "cornet.brain.subjects.record.recording_cache",
    "cornet.models.timm_api.hook",
    __name__,
}
"""Modules that make keys, and read and write entries, and the hook that sees every import of a process."""


def work(kind: str, tmp_path):
    """What is computed for a kind of entry, and the modules that its key has as the code."""
    if kind == "objects":
        objects = RenderedObjects(train_images=16, val_images=8, size=16, antialias=1, cache=False)
        latents = ["cornet.stimuli.objects.rendering", "cornet.stimuli.objects.latents"]
        return lambda: objects.images("train"), [*latents, "cornet.stimuli.objects.source"]
    folder = write(tmp_path / "b", table(movie=FILMS), responses())
    bundle = load_bundle(folder)
    if kind == "responses":
        return lambda: make_responses(bundle.assembly, bundle.stimuli, "V4", (70, 80)), [
            "cornet.brain.data.responses"
        ]
    what, _, metric = kind.partition(" by ")
    code = type(neural_metric(metric)).__module__ if metric else ""
    if what == "ceiling":
        (benchmark,) = open_benchmarks([f"{folder}:V4"], time_bin=(70, 80), metric=metric)
        benchmark.responses  # noqa: B018
        return lambda: benchmark.ceiling, ["cornet.brain.benchmarks.neural", code]
    read = type(bundle.stimuli.pictures).__module__
    if kind == "recording":
        subject = NetworkSubject(create_model("cornet_s", width=0.1, num_classes=3), size=16)
        network = type(subject.net).__module__  # in `module_identity`
        return lambda: subject.record(bundle.stimuli, [Site("IT", 1)]), [
            type(subject).__module__,
            network,
            read,
        ]
    layers = LayerSubject(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1)), size=8)
    modules = ["cornet.brain.subjects.layer_choice", code, type(layers).__module__, read]
    return lambda: choose_layers(layers, bundle, ["V4"], metric=metric, time_bin=(70, 80)), modules


@pytest.mark.parametrize(
    "kind",
    [
        "responses",
        *(f"ceiling by {metric}" for metric in list_metrics()),
        "recording",
        "layer choice by ridge",
        "layer choice by cka",
        "objects",
    ],
)
def test_all_code_that_runs_is_a_part_of_the_key(tmp_path, kind):
    run, modules = work(kind, tmp_path)
    covered = hashing._sources(modules)
    with Ran() as names:
        run()
    ours = {name for name in names if name.partition(".")[0] == "cornet"}
    assert ours - KEEPING <= {*covered}
    assert len(ours - KEEPING) >= 1


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("responses", "cornet.brain.data.presentations"),
        ("ceilings", "cornet.brain.metrics.correlation"),
        ("ceilings", "cornet.brain.metrics.neural.linear_mappings"),
        ("ceilings by cka", "cornet.brain.metrics.neural.cka"),
        ("ceilings by rdm", "cornet.brain.metrics.similarity"),
        ("recordings", "cornet.models.cornet.areas"),
        ("recordings", "cornet.stimuli.screen"),
        ("layer-choices", "cornet.brain.metrics.mapping.gram"),
        ("layer-choices", "cornet.brain.metrics.predictivity"),
        ("layer-choices by cka", "cornet.brain.metrics.neural.cka"),
        ("objects", "cornet.stimuli.objects.tracing"),
    ],
)
def test_a_change_of_code_makes_entries_anew(tmp_path, caches, monkeypatch, kind, module):
    kept = caches("kept")
    folder = write(tmp_path / "b", table(movie=FILMS), responses())
    net = create_model("cornet_s", width=0.1, num_classes=3)
    kind, _, metric = kind.partition(" by ")
    metric = metric or "ridge"

    def make():
        if kind == "recordings":
            NetworkSubject(net, size=16).record(stimuli(2), [Site("V1")])
        elif kind == "layer-choices":
            choose_layers(PixelSubject(8), load_bundle(folder), ["V4"], metric=metric, time_bin=(70, 80))
        elif kind == "objects":
            RenderedObjects(train_images=16, val_images=8, size=16, antialias=1).images("val")
        else:
            score(folder, (70, 80), metric=metric)
        return {path.name for path in (kept / kind).iterdir()}

    first = make()
    assert make() == first
    source = hashing._source
    monkeypatch.setattr(
        hashing, "_source", lambda spec: source(spec) + ("# new" if spec.name == module else "")
    )
    second = make()
    assert first < second
    monkeypatch.setattr(hashing, "_source", source)
    assert make() == second
