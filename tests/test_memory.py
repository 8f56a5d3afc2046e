"""What is free, and what a benchmark needs of it."""

import os
import subprocess
import sys

import pytest

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.subjects import NetworkSubject
from cornet.errors import CornetError
from cornet.memory import available_memory
from cornet.models import create_model
from cornet.training.callbacks.brain.checks import check_memory
from tests.helpers.brain.drawn_bundle import assembly, write


def test_no_more_is_free_than_the_machine_has():
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    assert 0 < available_memory() <= pages * size


@pytest.mark.slow
def test_the_processs_own_limit_counts():
    program = (
        "import resource; from cornet.memory import available_memory; import pathlib;"
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * 4096;"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, used + 10**9));"
        "print(available_memory())"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 0.9e9 < int(told) <= 1e9


def test_features_beyond_memory_need_room_on_the_disk(tmp_path, monkeypatch):
    net = create_model("cornet_s", num_classes=3, width=0.0625)
    subject = NetworkSubject(net, "narrow", size=32)
    (one,) = open_benchmarks([str(write(tmp_path / "mine", assembly(("V4",) * 8)))])
    (site,) = one.sites(subject)
    assert subject.widths([site]) == {site: subject.record(one.stimuli, [site])[site].shape[1]}
    check_memory(one, subject)
    monkeypatch.setattr("cornet.training.callbacks.brain.checks.DEFAULT_MEMORY", 1)
    check_memory(one, subject)  # on the disk then, where there is room
    subject.widths = lambda sites: dict.fromkeys(sites, 10**14)
    with pytest.raises(
        CornetError, match=r"mine.V4 needs 24,000,000.0 GB of disk for features of 60 stimuli, but /"
    ):
        check_memory(one, subject)
