"""Each input of a cached result is changed in turn: what comes then is what an empty cache gives, bit for bit."""

import dataclasses
import functools
import io
import os
import shutil
import sys
import threading
import zipfile
from pathlib import Path
from types import MethodType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image
from torch import nn

from cornet import brain, hashing
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.bundle import load_bundle
from cornet.brain.layer_choice import choose_layers
from cornet.brain.responses import make_responses
from cornet.brain.subject import Site
from cornet.brain.subjects import LayerSubject, NetworkSubject, PixelSubject
from cornet.brain.subjects.identity import module_identity
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.objects import RenderedObjects

from .bundles import ids
from .shown import stimuli

STIMULI, NEUROIDS, REPETITIONS = 40, 4, 4


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Uses a cache of this name from now on."""

    def use(name: str) -> Path:
        monkeypatch.setenv("CORNET_CACHE", str(tmp_path / name))
        return tmp_path / name

    use("kept")
    return use


# --- Neural benchmarks: responses, ceilings, recordings ---


def picture(number: int, seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng([seed, number]).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def responses(seed: int = 0, **coordinates) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    stimulus = np.repeat(np.arange(STIMULI), REPETITIONS)
    signal = rng.standard_normal((STIMULI, NEUROIDS))
    values = signal[stimulus][..., None] + 0.5 * rng.standard_normal((len(stimulus), NEUROIDS, 2))
    return xr.DataArray(
        values.astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "stimulus_id": ("presentation", ids(STIMULI)[stimulus]),
            "repetition": ("presentation", np.tile(np.arange(REPETITIONS), STIMULI)),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(NEUROIDS)]),
            "region": ("neuroid", ["V4"] * 3 + ["IT"]),
            "time_bin_start": ("time_bin", [70, 80]),
            "time_bin_end": ("time_bin", [80, 90]),
            **coordinates,
        },
        name="made",
    )


def table(**columns) -> pd.DataFrame:
    names = ids(STIMULI)
    return pd.DataFrame({"stimulus_id": names, "filename": [f"{one}.png" for one in names], **columns})


def write(folder: Path, rows: pd.DataFrame, data: xr.DataArray, seed: int = 0) -> Path:
    """A bundle, with the times of an hour ago: another of the same size has the same times, too."""
    folder.mkdir(exist_ok=True)
    rows.to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for number, name in enumerate(ids(STIMULI)):
            archive.writestr(zipfile.ZipInfo(f"{name}.png"), picture(number, seed))
    aside = folder / "new.nc"
    data.to_netcdf(aside, engine="h5netcdf")
    if (folder / "assembly.nc").exists():  # in place, as `cp` does
        (folder / "assembly.nc").write_bytes(aside.read_bytes())
        aside.unlink()
    else:
        aside.rename(folder / "assembly.nc")
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return folder


FILMS = np.arange(STIMULI) // 4
KINDS = np.array(["a", "b"])[np.arange(STIMULI) % 2]
SHUFFLED = np.tile([1, 0, 2, 3], STIMULI) + np.repeat(np.arange(STIMULI) % 2, REPETITIONS)
BASE = {"rows": table(movie=FILMS), "data": responses(), "time_bin": (70.0, 80.0)}

CHANGES = {
    "the column movie": {"rows": table(movie=np.arange(STIMULI) % 10)},
    "one value of movie": {"rows": table(movie=np.where(np.arange(STIMULI) == 7, 9, FILMS))},
    "the column that splits are drawn by": {"rows": table(object_name=KINDS)},
    "degrees": {"rows": table(movie=FILMS, degrees=4.0)},
    "responses": {"data": responses(1)},
    "one response": {"data": responses().where(np.arange(STIMULI * REPETITIONS)[:, None, None] != 5, 3.0)},
    "regions": {"data": responses(region=("neuroid", ["V4", "IT", "V4", "V4"]))},
    "repetitions": {"data": responses(repetition=("presentation", SHUFFLED))},
    "stimuli of presentations": {
        "data": responses(stimulus_id=("presentation", np.tile(ids(STIMULI), REPETITIONS)))
    },
    "images": {"seed": 1},
    "order of the table": {"rows": table(movie=FILMS).iloc[::-1]},
    "time bin": {"time_bin": (80.0, 90.0)},
}


def score(folder: Path, time_bin=None, **options):
    (benchmark,) = open_benchmarks([f"{folder}:V4"], metric="ridge", time_bin=time_bin, **options)
    return benchmark, benchmark.run(PixelSubject(8))


def alike(one, other) -> bool:
    same = [
        np.array_equal(a.values, b.values, equal_nan=True)
        for a, b in ((one[1], other[1]), (one[0].ceiling, other[0].ceiling))
    ]
    return all(same) and np.array_equal(one[1].value, other[1].value, equal_nan=True)


@pytest.mark.parametrize("what", CHANGES)
def test_a_score_after_a_change_is_that_of_an_empty_cache(tmp_path, caches, what):
    """In one process, so that what it holds in memory of files counts as well."""

    def taken(rows, data, time_bin, seed=0):
        return score(write(tmp_path / "bundle", rows, data, seed), time_bin)

    first = taken(**BASE)
    changed = taken(**BASE | CHANGES[what])
    kept = caches("empty")
    assert not kept.exists()
    fresh = taken(**BASE | CHANGES[what])
    assert alike(changed, fresh)
    assert changed[0].fingerprint == fresh[0].fingerprint != first[0].fingerprint
    caches("kept")
    again = taken(**BASE)  # and back
    assert alike(again, first)
    assert again[0].fingerprint == first[0].fingerprint


def test_what_does_not_matter_shares_all_entries_and_the_fingerprint(tmp_path, caches):
    kept = caches("kept")
    first = score(write(tmp_path / "bundle", table(movie=FILMS), responses()), (70, 80))
    entries = sorted(kept.rglob("*.*"))
    (tmp_path / "bundle").rename(tmp_path / "moved")
    (tmp_path / "moved" / "stimulus_set.csv").write_text(
        table(note="new", movie=FILMS).to_csv(index=False)  # a column that nothing uses
    )
    second = score(tmp_path / "moved", (70, 80))
    assert alike(first, second)
    assert sorted(kept.rglob("*.*")) == entries
    assert {path.parent.name for path in entries} == {"responses", "ceilings", "recordings"}
    assert first[0].fingerprint == second[0].fingerprint


def test_an_assembly_changed_in_memory_is_not_what_was_kept(tmp_path):
    folder = write(tmp_path / "bundle", table(), responses())
    before = load_bundle(folder).responses("V4", (70, 80))
    bundle = load_bundle(folder)
    bundle.assembly[{"presentation": 3, "neuroid": 0}] = 100.0
    expected = responses()
    expected[{"presentation": 3, "neuroid": 0}] = 100.0
    found = bundle.responses("V4", (70, 80)).mean
    assert np.array_equal(found, make_responses(expected, region="V4", time_bin=(70, 80)).mean)
    assert not np.array_equal(found, before.mean)
    for regions in (["V4", "V4", "IT", "IT"], ["V4", "V4", "V4", "V4"]):
        bundle = load_bundle(folder)
        bundle.assembly["region"] = ("neuroid", regions)
        assert bundle.responses("V4", (70, 80)).mean.shape[1] == regions.count("V4")
    other = dataclasses.replace(load_bundle(folder), assembly=responses(1))
    expected = make_responses(responses(1), region="V4", time_bin=(70, 80))
    assert np.array_equal(other.responses("V4", (70, 80)).mean, expected.mean)


def test_an_assembly_written_over_after_loading_is_refused(tmp_path):
    bundle = load_bundle(write(tmp_path / "bundle", table(), responses()))
    write(tmp_path / "bundle", table(), responses(1))
    with pytest.raises(CornetError, match=r"assembly.nc was changed after it was loaded; load it again\.$"):
        bundle.responses("V4", (70, 80))


# --- Fingerprints of other benchmarks ---


def fingerprint(folder: Path) -> str:
    (benchmark,) = open_benchmarks([str(folder)])
    return benchmark.fingerprint


def observed(**changes) -> xr.DataArray:
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    facts = {"truth": truth, "condition": np.full(STIMULI, "plain"), "answers": truth[::-1].copy()} | changes
    coords = {
        "stimulus_id": ("presentation", np.tile(ids(STIMULI), 2)),
        "subject": ("presentation", np.repeat(["one", "two"], STIMULI)),
        "truth": ("presentation", np.tile(facts["truth"], 2)),
        "condition": ("presentation", np.tile(facts["condition"], 2)),
    }
    return xr.DataArray(np.tile(facts["answers"], 2), coords, ("presentation",), name="answers")


def test_a_fingerprint_of_answers_covers_truth_conditions_and_answers(tmp_path):
    where = np.arange(STIMULI) == 3
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    changes = [
        {},
        {"truth": np.where(where, "a", truth)},
        {"condition": np.where(where, "other", "plain")},
        {"answers": np.where(where, "c", truth[::-1])},
    ]
    found = [fingerprint(write(tmp_path / "b", table(), observed(**change))) for change in changes]
    assert len(set(found)) == len(changes)
    assert fingerprint(write(tmp_path / "b", table(), observed())) == found[0]


def trials(choice: str = "a", distractor: str = "b") -> xr.DataArray:
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    other = np.where(truth == "a", "b", "a").astype("U1")
    other[0] = distractor
    made = truth.copy()
    made[0] = choice
    coords = {"stimulus_id": ids(STIMULI), "sample_obj": truth, "dist_obj": other}
    return xr.DataArray(
        made, {k: ("presentation", v) for k, v in coords.items()}, ("presentation",), name="trials"
    )


def test_a_fingerprint_of_choices_covers_every_trial(tmp_path):
    made = [trials(), trials(choice="b"), trials(distractor="c")]
    assert len({fingerprint(write(tmp_path / "b", table(), one)) for one in made}) == 3


def test_a_fingerprint_of_rdms_covers_every_value_and_the_degrees(tmp_path):
    folder = write(tmp_path / "b", table(), responses())
    rdms = np.random.default_rng(0).random((2, STIMULI, STIMULI))
    rdms = rdms + rdms.swapaxes(1, 2)
    rdms[:, np.arange(STIMULI), np.arange(STIMULI)] = 0
    found = []
    for change in (0.0, 1e-9):
        rdms[1, [3, 5], [5, 3]] += change
        np.savez(folder / "rdms.npz", stimulus_id=ids(STIMULI), IT=rdms)
        found.append(fingerprint(folder))
    (folder / "stimulus_set.csv").write_text(table(degrees=4.0).to_csv(index=False))
    assert len({*found, fingerprint(folder)}) == 3


# --- Recordings ---


def gained(gain):
    return lambda x: gain * torch.relu(x)


class Small(nn.Module):
    """A network with settings of all kinds besides its weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 3, 2, 1)
        self.register_buffer("shift", torch.zeros(1), persistent=False)
        self.gain, self.options = 1.0, SimpleNamespace(scale=[1.0], name="x")
        self.masks = {"one": [torch.ones(4, 1, 1)]}
        self.act, self.power = gained(1.0), functools.partial(torch.pow, exponent=1)
        self.plain = [nn.Conv2d(4, 4, 1)]

    def forward(self, x):
        x = self.gain * self.options.scale[0] * self.one(x) * self.masks["one"][0] + self.shift
        return self.power(self.plain[0](self.act(x)))


def lesion(module, inputs, output):
    return output * 0


def changed_forward(self, x):
    return self.one(x)


NETWORK_CHANGES = {
    "a weight": lambda net: net.one.weight.data[0, 0, 0, 0].add_(1e-3),
    "a buffer": lambda net: net.shift.add_(1),
    "a number": lambda net: setattr(net, "gain", 2.0),
    "a number inside an object": lambda net: net.options.scale.__setitem__(0, 2.0),
    "a tensor inside collections": lambda net: net.masks["one"][0].mul_(2),
    "what a function closes over": lambda net: setattr(net, "act", gained(2.0)),
    "an argument of a partial function": lambda net: setattr(
        net, "power", functools.partial(torch.pow, exponent=2)
    ),
    "a module in a plain list": lambda net: net.plain[0].weight.data.mul_(2),
    "a hook": lambda net: net.one.register_forward_hook(lesion),
    "a method": lambda net: setattr(net, "forward", MethodType(changed_forward, net)),
    "a stride": lambda net: setattr(net.one, "stride", (1, 1)),
}


@pytest.mark.parametrize("what", NETWORK_CHANGES)
def test_a_recording_after_a_change_of_the_network(what):
    net, shown = Small(), stimuli(4)
    one = LayerSubject(net, size=16)
    before = one.identity
    first = one.record(shown, [Site("logits")])
    assert one.identity == before == LayerSubject(Small(), size=16, name="another").identity
    NETWORK_CHANGES[what](net)
    changed, fresh = one.record(shown, [Site("logits")]), one.record(shown, [Site("logits")], cache=False)
    assert np.array_equal(changed[Site("logits")], fresh[Site("logits")])
    assert not np.array_equal(changed[Site("logits")], first[Site("logits")])


SHOWN = {
    "mean": ({"mean": (0, 0, 0)}, {}, {}),
    "std": ({"std": (1, 1, 1)}, {}, {}),
    "size": ({"size": 24}, {}, {}),
    "degrees": ({"degrees": 4.0}, {}, {}),
    "precision": ({"precision": "bfloat16"}, {}, {}),
    "steps": ({"times": {"V4": 6}}, {}, {}),
    "images": ({}, {"seed": 1}, {}),
    "degrees of the stimuli": ({}, {"degrees": 5.0}, {}),
    "degrees asked for": ({}, {}, {"degrees": 3.0}),
    "dtype": ({}, {}, {"dtype": "float16"}),
    "batch": ({}, {}, {"batch": 1}),
    "memory": ({}, {}, {"memory": 2000}),
}


@pytest.mark.parametrize("what", SHOWN)
def test_a_recording_after_a_change_of_what_is_shown(what):
    settings, looked_at, options = SHOWN[what]
    site = Site("V4", 3)
    net = create_model("cornet_s", width=0.1, num_classes=3)
    NetworkSubject(net, size=32).record(stimuli(6), [site])
    other, shown = NetworkSubject(net, **{"size": 32, **settings}), stimuli(6, **looked_at)
    found = other.record(shown, [site], **options)[site]
    assert np.array_equal(found, other.record(shown, [site], cache=False, **options)[site])


def test_features_of_a_file(tmp_path):
    path, known = tmp_path / "features.npz", set()
    for value in (0.0, 1.0):
        features = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
        features[2, 1] = value
        np.savez(path, stimulus_ids=ids(6), V4=features)
        os.utime(path, ns=(10**18, 10**18))
        known.add(brain.open_subject(str(path)).identity)
    shutil.copy(path, tmp_path / "copy.npz")
    assert len({*known, brain.open_subject(str(tmp_path / "copy.npz")).identity}) == 2


@pytest.mark.parametrize("text", ["seed=1", "times=3", "steps.V4=3", "width=0.2", "size=48", "degrees=4"])
def test_every_option_of_a_named_network_is_in_its_identity(text):
    plain = "cornet_s?untrained&width=0.1"
    other = f"cornet_s?untrained&{text}" if "width" in text else f"{plain}&{text}"
    assert brain.open_subject(plain).identity == brain.open_subject(plain).identity
    assert brain.open_subject(plain).identity != brain.open_subject(other).identity


# --- Choices of layers ---


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


# --- Code ---


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


KEEPING = {"cornet.hashing", "cornet.files", "cornet.brain.cache", "cornet.brain.recording_cache", __name__}
"""Modules that make keys, and read and write entries."""


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
            "cornet.brain.responses"
        ]
    if kind == "ceiling":
        (benchmark,) = open_benchmarks([f"{folder}:V4"], time_bin=(70, 80))
        benchmark.responses  # noqa: B018
        return lambda: benchmark.ceiling, ["cornet.brain.benchmarks.neural"]
    read = type(bundle.stimuli.pictures).__module__
    if kind == "recording":
        subject = NetworkSubject(create_model("cornet_s", width=0.1, num_classes=3), size=16)
        return lambda: subject.record(bundle.stimuli, [Site("IT", 1)]), [type(subject).__module__, read]
    layers = LayerSubject(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1)), size=8)
    modules = ["cornet.brain.layer_choice", type(layers).__module__, read]
    return lambda: choose_layers(layers, bundle, ["V4"], metric="ridge", time_bin=(70, 80)), modules


@pytest.mark.parametrize("kind", ["responses", "ceiling", "recording", "layer choice", "objects"])
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
        ("responses", "cornet.brain.presentations"),
        ("ceilings", "cornet.brain.correlation"),
        ("recordings", "cornet.models.areas"),
        ("recordings", "cornet.stimuli.screen"),
        ("layer-choices", "cornet.brain.gram"),
        ("objects", "cornet.stimuli.objects.tracing"),
    ],
)
def test_a_change_of_code_makes_entries_anew(tmp_path, caches, monkeypatch, kind, module):
    kept = caches("kept")
    folder = write(tmp_path / "b", table(movie=FILMS), responses())
    net = create_model("cornet_s", width=0.1, num_classes=3)

    def make():
        if kind == "recordings":
            NetworkSubject(net, size=16).record(stimuli(2), [Site("V1")])
        elif kind == "layer-choices":
            choose_layers(PixelSubject(8), load_bundle(folder), ["V4"], metric="ridge", time_bin=(70, 80))
        elif kind == "objects":
            RenderedObjects(train_images=16, val_images=8, size=16, antialias=1).images("val")
        else:
            score(folder, (70, 80))
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


def test_an_identity_can_be_had_of_a_network_that_holds_anything():
    net = Small()
    net.lock, net.itself, net.log = threading.Lock(), [net], __import__("logging").getLogger("x")
    net.many = {"set": {"b", "a"}, 3: None, "deep": [[[[[[[[[1]]]]]]]]]}
    assert module_identity(net) == module_identity(net)


@pytest.mark.slow
def test_real_v1_with_a_wrong_column_that_is_corrected(shared_data, tmp_path, caches):
    """Frames of one movie on both sides of a split are nearly the same stimulus: the score was .76, and is -.003."""
    shutil.copytree(shared_data / "henaff2021-V1-ay4_u001", folder := tmp_path / "v1")
    right = (folder / "stimulus_set.csv").read_bytes()
    wrong = pd.read_csv(io.BytesIO(right)).assign(movie=lambda rows: np.arange(len(rows)) % 10)

    def value():
        (benchmark,) = open_benchmarks([str(folder)])
        return benchmark.run(brain.open_subject("pixels")).value, benchmark.fingerprint

    wrong.to_csv(folder / "stimulus_set.csv", index=False)
    first = value()
    (folder / "stimulus_set.csv").write_bytes(right)
    second = value()
    caches("empty")
    assert value() == second
    assert first[0] > 0.7
    assert second[0] == pytest.approx(-0.003, abs=0.001)
    assert first[1] != second[1]
