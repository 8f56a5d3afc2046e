"""Several subjects on several benchmarks: each stimulus set is shown once."""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError
from cornet.memory import first_that_fits, free_memory, out_of_memory

__all__ = ["Result", "run_battery"]


@dataclass(frozen=True, eq=False)
class Result:
    """A subject's score on a benchmark.

    sites: what was compared. seconds: of the comparison, without the recording. failure: why there is no score.
    """

    subject: str
    benchmark: Benchmark[Any]
    score: Score
    sites: tuple[Site, ...] = ()
    seconds: float = 0.0
    failure: str = ""

    @property
    def data(self) -> str:
        """The fingerprint of the benchmark's data; "" for such as could not be read."""
        try:
            return self.benchmark.fingerprint
        except Exception:  # of data that have failed already, in any way
            return ""

    def row(self) -> dict[str, Any]:
        """All about it as plain values, for a table or a file."""
        one = self.benchmark
        return {
            "model": self.subject,
            "benchmark": one.name,
            "version": one.version,
            "region": one.region,
            "simulated": one.simulated,
            "sites": " ".join(map(str, self.sites)),
            "metric": str(self.score.details.get("metric", "")),
            "split_rule": one.split_rule,
            "brain_data": self.data,
            **self.score.row(),
            "seconds": round(self.seconds, 3),
            "failure": self.failure,
        }


def run_battery(
    subjects: Sequence[Subject],
    benchmarks: Sequence[Benchmark[Any]],
    *,
    strict: bool = True,
    tolerate: type[Exception] = CornetError,
    compare: bool = True,
    progress: bool = False,
    tell: Callable[[str], None] = lambda words: None,
) -> Iterator[Result]:
    """Score every subject on every benchmark, in the order of the subjects.

    Benchmarks with the same stimuli and size share a recording. strict=False: a CornetError (or what `tolerate` names)
    becomes a Result with the reason. A comparison that does not fit in GPU memory runs on the CPU, with a note.
    compare=False: record only. progress: bars for recordings. tell: called with a line about what comes next.
    """
    for number, subject in enumerate(subjects):
        for group in _by_stimuli(benchmarks, strict, tolerate):
            if isinstance(group, Result):
                yield _named(group, subject)
                continue
            sites, failed = _sites(group, subject, strict, tolerate)
            yield from failed
            scored = [one for one in group if one.name in sites]
            if not scored:
                continue
            wanted = list(dict.fromkeys(site for one in scored for site in sites[one.name]))
            where = f"{number + 1}/{len(subjects)} {subject.name}"
            tell(f"{where}: recording {len(wanted)} sites on {scored[0].stimuli.name}")
            try:
                label = f"{where} on {scored[0].stimuli.name}" if progress else ""
                recording = subject.record(scored[0].stimuli, wanted, scored[0].degrees, label=label)
            except tolerate as error:
                if strict:
                    raise
                yield from (_failed(one, subject, error) for one in scored)
                continue
            for one in scored:
                if not compare:
                    yield Result(subject.name, one, Score(raw=np.nan), tuple(sites[one.name]))
                    continue
                tell(f"{where}: comparing with {one.name}")
                yield _compared(one, subject, recording, tuple(sites[one.name]), strict, tolerate)


def _compared(
    one: Benchmark[Any],
    subject: Subject,
    recording: Recording,
    sites: tuple[Site, ...],
    strict: bool,
    tolerate: type[Exception],
) -> Result:
    start = time.perf_counter()
    try:
        score = _compare(one, recording, subject)
    except tolerate as error:
        if strict:
            raise
        return _failed(one, subject, error)
    return Result(subject.name, one, score, sites, time.perf_counter() - start)


def _compare(one: Benchmark[Any], recording: Recording, subject: Subject) -> Score:
    """Where the benchmark says, or else on the CPU. Raises OutOfMemory where neither has room."""

    def on_cpu() -> Score:
        twin = copy.copy(one)
        twin.device = "cpu"
        score = twin.compare(recording, subject)
        note = f"compared on the CPU, as the memory of {one.device} did not reach"
        return dataclasses.replace(score, notes=(*score.notes, note))

    attempts = [lambda: one.compare(recording, subject)]
    if torch.device(one.device).type != "cpu":
        attempts.append(on_cpu)
    return first_that_fits(attempts, f"the comparison with {one.name}")


def _by_stimuli(
    benchmarks: Sequence[Benchmark[Any]], strict: bool, tolerate: type[Exception]
) -> list[list[Benchmark[Any]] | Result]:
    """Benchmarks that can share a recording, in the order of their first; and those whose data cannot be had."""
    groups: dict[tuple[str, float | None], list[Benchmark[Any]] | Result] = {}
    for one in benchmarks:
        try:
            key = (one.stimuli.identity, one.degrees)
        except tolerate as error:
            if strict:
                raise
            groups[(f"failed {one.name}", None)] = _failed(one, None, error)
            continue
        group = groups.setdefault(key, [])
        assert isinstance(group, list)
        group.append(one)
    return list(groups.values())


def _sites(
    group: Sequence[Benchmark[Any]], subject: Subject, strict: bool, tolerate: type[Exception]
) -> tuple[dict[str, list[Site]], list[Result]]:
    """What each benchmark wants recorded, and those that the subject has no site for."""
    sites, failed = {}, []
    for one in group:
        try:
            sites[one.name] = one.sites(subject)
        except tolerate as error:
            if strict:
                raise
            failed.append(_failed(one, subject, error))
    return sites, failed


def _failed(one: Benchmark[Any], subject: Subject | None, error: Exception) -> Result:
    told = str(error) if isinstance(error, CornetError) else f"{type(error).__name__}: {error}"
    if out_of_memory(error) and not isinstance(error, CornetError):
        told = f"memory ran out ({error}); leave it out, or take a machine with more."
        free_memory()
    return Result(subject.name if subject else "", one, Score(raw=np.nan), failure=told)


def _named(result: Result, subject: Subject) -> Result:
    return Result(subject.name, result.benchmark, result.score, failure=result.failure)
