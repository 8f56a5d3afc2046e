"""Score several subjects on several benchmarks. Each subject is shown each stimulus set once."""

import copy
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.score import Score
from cornet.brain.subjects.subject import NoLayer, Recording, Site, Subject
from cornet.errors import CornetError
from cornet.memory import first_that_fits, free_memory, out_of_memory

__all__ = ["Result", "run_battery", "with_layers"]

logger = logging.getLogger("cornet")


@dataclass(frozen=True, eq=False)
class Result:
    """The score of a subject on a benchmark.

    sites: sites compared. seconds: duration of the comparison, without the recording. failure: error message; "" if the
    score exists.
    """

    subject: str
    benchmark: Benchmark[Any]
    score: Score
    sites: tuple[Site, ...] = ()
    seconds: float = 0.0
    failure: str = ""

    @property
    def data(self) -> str:
        """Fingerprint of the benchmark's data; "" if they cannot be read."""
        try:
            return self.benchmark.fingerprint
        except Exception:  # data can fail to load in any way; `failure` has the reason
            return ""

    def row(self) -> dict[str, Any]:
        """Plain values for a row of a table or file."""
        benchmark = self.benchmark
        return {
            "model": self.subject,
            "benchmark": benchmark.name,
            "version": benchmark.version,
            "region": benchmark.region,
            "simulated": benchmark.simulated,
            "sites": " ".join(map(str, self.sites)),
            "metric": str(self.score.details.get("metric", "")),
            "split_rule": benchmark.split_rule,
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
    log: Callable[[str], None] = lambda message: None,
    named: Sequence[Any] | None = None,
) -> Iterator[Result]:
    """Score every subject on every benchmark, subject by subject.

    Benchmarks with the same stimuli and visual angle share a recording. strict=False: errors of the type `tolerate`
    become a Result with `failure`. A comparison that does not fit in GPU memory runs on the CPU, with a note.
    compare=False: only record. progress: show progress bars of recordings. log: called with a line before each step.
    named: what the user asked for; benchmarks without a layer are then left out, see `with_layers`.
    """
    for number, subject in enumerate(subjects):
        chosen = benchmarks
        if named is not None:
            try:
                chosen = with_layers(benchmarks, subject, named)
            except NoLayer:
                if strict:
                    raise
        for group in _by_stimuli(chosen, strict, tolerate):
            if isinstance(group, Result):
                yield dataclasses.replace(group, subject=subject.name)
                continue
            sites, failed = _sites(group, subject, strict, tolerate)
            yield from failed
            scored = [benchmark for benchmark in group if benchmark.name in sites]
            if not scored:
                continue
            wanted = list(dict.fromkeys(site for benchmark in scored for site in sites[benchmark.name]))
            prefix = f"{number + 1}/{len(subjects)} {subject.name}"
            log(f"{prefix}: recording {len(wanted)} sites on {scored[0].stimuli.name}")
            try:
                label = f"{prefix} on {scored[0].stimuli.name}" if progress else ""
                recording = subject.record(scored[0].stimuli, wanted, scored[0].degrees, label=label)
            except tolerate as error:
                if strict:
                    raise
                yield from (_failed(benchmark, subject, error) for benchmark in scored)
                continue
            for benchmark in scored:
                compared = tuple(sites[benchmark.name])
                if not compare:
                    yield Result(subject.name, benchmark, Score(raw=np.nan), compared)
                    continue
                log(f"{prefix}: comparing with {benchmark.name}")
                yield _result(benchmark, subject, recording, compared, strict, tolerate)


def with_layers(
    benchmarks: Sequence[Benchmark[Any]], subject: Subject, named: Sequence[Any]
) -> list[Benchmark[Any]]:
    """The benchmarks for which the subject has a layer.

    named: what the user asked for. A benchmark that is asked for by its own name, or as FOLDER:REGION, must have a
    layer; those of a group or a folder are left out, with a line in the log.

    Raises NoLayer if none is left, or one that must have a layer has none.
    """
    found, missing = [], {}
    for benchmark in benchmarks:
        try:
            benchmark.sites(subject)
            found.append(benchmark)
        except NoLayer as error:
            if any(one is benchmark or _names(one, benchmark) for one in named):
                raise
            missing[benchmark.name] = error
    if missing and not found:
        raise next(iter(missing.values()))
    if missing:
        regions = ", ".join(dict.fromkeys(one.region for one in benchmarks if one.name in missing))
        logger.warning(
            "%s %s left out: no layer is given for %s.",
            ", ".join(missing),
            "is" if len(missing) == 1 else "are",
            regions,
        )
    return found


def _names(asked: Any, benchmark: Benchmark[Any]) -> bool:
    """Whether a text is the benchmark's name or FOLDER:REGION of its bundle, with or without the metric's suffix."""
    if not isinstance(asked, str):
        return False
    name, suffix = benchmark.name, benchmark.suffix
    region = f":{benchmark.region}"
    return asked in (name, name.removesuffix(suffix)) or asked.endswith((region, region + suffix))


def _result(
    benchmark: Benchmark[Any],
    subject: Subject,
    recording: Recording,
    sites: tuple[Site, ...],
    strict: bool,
    tolerate: type[Exception],
) -> Result:
    start = time.perf_counter()
    try:
        score = _compare(benchmark, recording, subject)
    except tolerate as error:
        if strict:
            raise
        return _failed(benchmark, subject, error)
    chosen = score.details.get("site")  # of a benchmark that compares several and chooses
    return Result(subject.name, benchmark, score, (chosen,) if chosen else sites, time.perf_counter() - start)


def _compare(benchmark: Benchmark[Any], recording: Recording, subject: Subject) -> Score:
    """Compare on the benchmark's device, or on the CPU if memory runs out. Raises OutOfMemory if both fail."""

    def on_cpu() -> Score:
        cpu_benchmark = copy.copy(benchmark)
        cpu_benchmark.device = "cpu"
        score = cpu_benchmark.compare(recording, subject)
        note = f"compared on the CPU, as {benchmark.device} ran out of memory"
        return dataclasses.replace(score, notes=(*score.notes, note))

    attempts = [lambda: benchmark.compare(recording, subject)]
    if torch.device(benchmark.device).type != "cpu":
        attempts.append(on_cpu)
    return first_that_fits(attempts, f"the comparison with {benchmark.name}")


def _by_stimuli(
    benchmarks: Sequence[Benchmark[Any]], strict: bool, tolerate: type[Exception]
) -> list[list[Benchmark[Any]] | Result]:
    """Group benchmarks that share a recording; a failed Result for each benchmark whose data cannot be loaded."""
    groups: dict[tuple[str, float | None], list[Benchmark[Any]] | Result] = {}
    for benchmark in benchmarks:
        try:
            key = (benchmark.stimuli.identity, benchmark.degrees)
        except tolerate as error:
            if strict:
                raise
            groups[(f"failed {benchmark.name}", None)] = _failed(benchmark, None, error)
            continue
        group = groups.setdefault(key, [])
        assert isinstance(group, list)
        group.append(benchmark)
    return list(groups.values())


def _sites(
    group: Sequence[Benchmark[Any]], subject: Subject, strict: bool, tolerate: type[Exception]
) -> tuple[dict[str, list[Site]], list[Result]]:
    """Sites to record for each benchmark, and failed Results if the subject has none."""
    sites, failed = {}, []
    for benchmark in group:
        try:
            sites[benchmark.name] = benchmark.sites(subject)
        except tolerate as error:
            if strict:
                raise
            failed.append(_failed(benchmark, subject, error))
    return sites, failed


def _failed(benchmark: Benchmark[Any], subject: Subject | None, error: Exception) -> Result:
    failure = str(error) if isinstance(error, CornetError) else f"{type(error).__name__}: {error}"
    if out_of_memory(error) and not isinstance(error, CornetError):
        failure = f"memory ran out ({error}); leave this benchmark out, or use a machine with more memory."
        free_memory()
    return Result(subject.name if subject else "", benchmark, Score(raw=np.nan), failure=failure)
