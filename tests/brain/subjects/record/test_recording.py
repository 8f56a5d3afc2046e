"""The pass itself: order, batches, memory, types, what becomes of bad stimuli."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from cornet.brain.subjects.record import recording
from cornet.brain.subjects.record.recording import Screen, record_pass
from cornet.brain.subjects.record.recording_cache import RecordingCache
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.stimuli.geometry import squash_view
from tests.helpers.brain.made_up_stimuli import stimuli

A, B = Site("a"), Site("b", 2)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def answer(images, sites):
    """a: the mean of each channel; b: the red pixels."""
    both = {A: images.float().mean(dim=(2, 3)), B: images[:, 0].flatten(1).float()}
    return {site: both[site] for site in sites}


def run(shown, sites=(A, B), **options):
    return record_pass(shown, sites, answer, Screen(16, 8), 8, CPU, **options)


def expected(shown):
    screens = torch.stack([squash_view(image, 16) for image in shown.pictures.images])
    return {site: values.numpy() for site, values in answer(screens, (A, B)).items()}


@pytest.mark.parametrize("batch", [None, 1, 2, 5, 13, 100])
def test_rows_are_in_the_stimuli_order_whatever_the_batch(batch):
    shown = stimuli(13)
    found = run(shown, batch=batch)
    for site, values in expected(shown).items():
        np.testing.assert_array_equal(found[site], values)
        assert found[site].dtype == np.float32


def test_cached_screens_are_decoded_once_and_change_nothing():
    shown, cache = stimuli(13), ScreenCache()
    first = run(shown, batch=4, screen_cache=cache)
    again = run(shown, batch=5, screen_cache=cache)
    assert shown.pictures.looks == 13
    for site, values in expected(shown).items():
        np.testing.assert_array_equal(first[site], values)
        np.testing.assert_array_equal(again[site], values)
    other = record_pass(
        shown, [A], answer, Screen(16, 16), 8, CPU, screen_cache=cache
    )  # the same, smaller on the screen
    assert not np.array_equal(other[A], first[A])
    assert shown.pictures.looks == 26


def test_screens_beyond_the_limit_are_decoded_anew():
    shown, others, cache = stimuli(13), stimuli(13, seed=1), ScreenCache(limit=13 * 3 * 16 * 16)
    for _ in range(2):
        run(shown, screen_cache=cache)
        found = run(others, screen_cache=cache)
    assert (shown.pictures.looks, others.pictures.looks) == (13, 26)
    np.testing.assert_array_equal(found[A], expected(others)[A])


def test_every_picture_is_looked_at_once():
    shown = stimuli(13)
    run(shown, batch=4)
    assert shown.pictures.looks == 13


def test_only_what_is_asked_is_kept():
    assert list(run(stimuli(3), [B])) == [B]


@pytest.mark.parametrize("cached", [False, True])
def test_what_exceeds_memory_comes_from_the_disk(tmp_path, cached):
    shown = stimuli(9)
    cache = RecordingCache(tmp_path / "kept") if cached else None
    found = run(shown, memory=500, keys={A: "a", B: "b"}, cache=cache)  # a: 108 bytes, b: 9,216
    assert not isinstance(found[A], np.memmap)
    assert isinstance(found[B], np.memmap)
    for site, values in expected(shown).items():
        np.testing.assert_array_equal(found[site], values)
    assert not list(tmp_path.glob("cornet-*"))  # what was not to be kept leaves nothing behind
    kept = sorted(path.name for path in tmp_path.glob("kept/*"))
    assert kept == (["a.npy", "b.npy"] if cached else [])


def test_float16_halves_and_rounds_by_one_part_in_2048():
    shown = stimuli(5)
    found = run(shown, dtype="float16")
    for site, values in expected(shown).items():
        assert found[site].dtype == np.float16
        np.testing.assert_allclose(found[site], values, rtol=2**-11, atol=0)


def test_float16_that_would_overflow_is_refused():
    with pytest.raises(CornetError, match="the largest float16 is 65504"):
        record_pass(
            stimuli(2),
            [A],
            lambda images, sites: {A: images.float().flatten(1) * 1000},
            Screen(16, 8),
            8,
            CPU,
            dtype="float16",
        )


def test_a_stimulus_that_cannot_be_read_ends_the_recording_and_leaves_nothing(tmp_path):
    shown = stimuli(40)

    class Torn(type(shown.pictures)):
        def __getitem__(self, index):
            if index == 30:
                raise CornetError("s030 is torn; mend it.")
            return super().__getitem__(index)

    shown.pictures.__class__ = Torn
    cache = RecordingCache(tmp_path / "kept")
    with pytest.raises(CornetError, match="s030 is torn"):
        run(shown, batch=4, keys={A: "a", B: "b"}, cache=cache)
    assert not list(tmp_path.glob("kept/*"))


def test_decoding_goes_on_while_the_network_computes():
    shown, seen = stimuli(24), 0

    def waiting(images, sites):
        nonlocal seen
        seen += len(images) * (images.float().std() > 0)  # not the empty screen of the probe
        deadline = time.monotonic() + 10
        while seen and shown.pictures.looks < min(24, seen + 4):  # the next batch, while this one is at work
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return answer(images, sites)

    record_pass(shown, [A], waiting, Screen(16, 8), 8, CPU, batch=4)
    assert seen == 24


@pytest.mark.slow  # records many batches
def test_a_batch_that_does_not_fit_is_halved():
    sizes = []

    def tight(images, sites):
        sizes.append(len(images))
        if len(images) > 3:
            raise torch.cuda.OutOfMemoryError("too much")
        return answer(images, sites)

    shown = stimuli(10)
    found = record_pass(shown, [B], tight, Screen(16, 8), 8, CPU, batch=8)
    np.testing.assert_array_equal(found[B], expected(shown)[B])
    assert 8 in sizes
    assert 2 in sizes

    def hopeless(images, sites):
        if len(images) and images.float().std() > 0:  # the empty screen of the probe passes
            raise torch.cuda.OutOfMemoryError("too much")
        return answer(images, sites)

    with pytest.raises(CornetError, match="does not fit in the memory"):
        record_pass(shown, [B], hopeless, Screen(16, 8), 8, CPU, batch=8)


def test_no_progress_bar_where_there_is_no_terminal(capfd):
    run(stimuli(3), label="recording")
    assert capfd.readouterr().err == ""


def test_on_a_terminal_a_bar_shows_the_label(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run(stimuli(3), label="my recording [1]")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capfd.readouterr().err)
    assert "my recording [1]" in text
    assert "3/3" in text


@pytest.mark.slow
def test_a_full_disk_costs_the_cache_of_what_fits_in_memory_and_stops_what_does_not(tmp_path):
    program = """
import logging, resource, sys
logging.basicConfig(level=logging.WARNING)
import numpy as np, torch
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.record.recording import Screen, record_pass
from cornet.brain.subjects.record.recording_cache import RecordingCache
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.made_up_stimuli import stimuli
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
site = Site("all")
answer = lambda images, sites: {site: images.float().flatten(1)}
cache = RecordingCache(sys.argv[1])
one = lambda memory: record_pass(stimuli(60), [site], answer, Screen(16, 8), 8, torch.device("cpu"),
                                 keys={site: "all"}, cache=cache, memory=memory, batch=8)
print(one(10**9)[site].shape, "mean above 100:", one(10**9)[site].mean() > 100)
try:
    one(1000)
except CornetError as error:
    print("refused:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "kept")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "(60, 768) mean above 100: True" in done.stdout
    assert re.search(r"refused: the 184,320 bytes of all\[0\] could not be written", done.stdout)
    assert done.stderr.count("recordings are not cached") == 1
    assert not list((tmp_path / "kept").iterdir())


def test_the_probe_bounds_a_batch_by_memory():
    seen = []

    def watched(images, sites):
        seen.append(len(images))
        return answer(images, sites)

    record_pass(stimuli(20), [B], watched, Screen(16, 8), 8, CPU, memory=4 * 3 * 1024)
    assert max(seen) == 3
    assert recording.DEFAULT_MEMORY == 4 * 10**9


def test_what_exceeds_memory_has_no_name_in_the_temporary_folder(tmp_path):
    seen = []

    def watched(images, sites):
        seen.append(os.listdir(tmp_path))
        return answer(images, sites)

    shown = stimuli(9)
    found = record_pass(shown, [A, B], watched, Screen(16, 8), 8, CPU, memory=500)
    assert isinstance(found[B], np.memmap)
    np.testing.assert_array_equal(found[B], expected(shown)[B])
    assert len(seen) > 1
    assert not any(seen)
