"""The table of generalisation: every kind of generalisation of every model on every benchmark.

Kubilius, Schrimpf et al. (2019), NeurIPS 32, ask whether the scores of models on new neuroids, images and data sets
follow their scores on the old ones. `Generalisation.agreement` is that correlation over models.

table = generalise([open_subject("pixels")], open_benchmarks(["my-bundle"])).table()
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.behaviour import ConsistencyBenchmark, I2nBenchmark
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.benchmarks.rdms import RdmBenchmark
from cornet.brain.data.columns import similar_names
from cornet.brain.generalisation.neural_case import NeuralCase
from cornet.brain.generalisation.new_images import new_images
from cornet.brain.generalisation.new_kinds import kind_pairs, kinds_of, new_kind
from cornet.brain.generalisation.new_neuroids import new_neuroids
from cornet.brain.generalisation.new_observers import (
    consistency_kind,
    consistency_kinds_of,
    consistency_observers,
    i2n_observers,
)
from cornet.brain.generalisation.new_sessions import (
    Session,
    new_mapping,
    new_site,
    parts,
    session_pairs,
)
from cornet.brain.generalisation.new_subjects import last_steps, rdm_subjects
from cornet.brain.generalisation.result import Generalisation
from cornet.brain.generalisation.rows import ORDINARY, Measured, Row, over_people, row
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError

__all__ = ["generalise"]


def generalise(
    subjects: Sequence[Subject],
    benchmarks: Sequence[Benchmark[Any]],
    *,
    images_by: str | None = None,
    kind: str | None = None,
    session: str | None = None,
    progress: bool = False,
    log: Callable[[str], None] = lambda message: None,
) -> Generalisation:
    """Measure every kind of generalisation that is possible; `KINDS` lists them, and their functions define them.

    images_by: column whose values are groups of images that are held out; None: clusters of similar images. kind:
    column that names the kind of each image; None: kinds are not compared. session: coordinate of neuroids that names
    their session or animal; None: each benchmark is one session. progress: show progress bars of recordings. log:
    called with a line before each step.

    What cannot be measured is listed with its reason in `missing`. Raises CornetError if nothing can be measured, and
    for two models of one name, and for a column or coordinate that no benchmark has.
    """
    names = [one.name for one in subjects]
    for name in names:
        if names.count(name) > 1:
            raise CornetError(f"two models are named {name!r}, but the names must differ; leave one out.")
    check_columns(benchmarks, {"images_by": images_by, "kind": kind}, session)
    found = Generalisation()
    for number, subject in enumerate(subjects):
        sessions: list[Session] = []
        for benchmark in benchmarks:
            line = f"{number + 1}/{len(subjects)} {subject.name}: {benchmark.name}"
            log(line)
            label = line if progress else ""
            if isinstance(benchmark, NeuralBenchmark):
                sessions += _neural(found, subject, benchmark, images_by, kind, session, label)
            elif isinstance(benchmark, ConsistencyBenchmark | I2nBenchmark | RdmBenchmark):
                _people(found, subject, benchmark, kind, label)
            else:
                _try(found, subject, benchmark.name, ORDINARY, partial(_unknown, benchmark))
        pairs = session_pairs(sessions)
        for alone in (one for one in sessions if not any(one is b for _, b in pairs)):
            reason = f"there is no other session of {alone.case.benchmark.region}; give several bundles, or --session"
            _miss(found, subject, alone.case.benchmark.name, "new session", reason)
        if len(pairs):
            log(f"{number + 1}/{len(subjects)} {subject.name}: {len(pairs)} pairs of sessions")
        for a, b in pairs:
            name = b.case.benchmark.name
            _try(found, subject, name, "new session, site", partial(new_site, a, b))
            _try(found, subject, name, "new session, mapping", partial(new_mapping, a, b))
    found.arrange([one.name for one in subjects], [one.name for one in benchmarks])
    if not found.rows:
        raise CornetError(f"nothing could be measured: {found.missing[0][3]}")
    return found


def _neural(
    found: Generalisation,
    subject: Subject,
    benchmark: NeuralBenchmark,
    images_by: str | None,
    kind: str | None,
    session: str | None,
    label: str,
) -> list[Session]:
    """Add the rows of one neural benchmark, and return its sessions."""
    name = benchmark.name
    case: NeuralCase | None = None

    def ordinary() -> Row:
        nonlocal case
        case = NeuralCase(subject, benchmark, label)
        return case.row(ORDINARY, case.reference, fitted=benchmark.split_rule, tested="the other stimuli")

    _try(found, subject, name, ORDINARY, ordinary)
    if case is None:
        return []
    _try(found, subject, name, "new images", partial(new_images, case, images_by))
    _try(found, subject, name, "new neuroids", partial(new_neuroids, case))
    _kinds(found, subject, name, kind, partial(kinds_of, case), partial(new_kind, case))
    _miss(found, subject, name, "new observers", "neuroids were recorded, not choices")
    own: list[Session] = []

    def split() -> list[Row]:
        own.extend(parts(case, session))
        return []

    _try(found, subject, name, "new session", split)
    return own


def _people(
    found: Generalisation,
    subject: Subject,
    benchmark: ConsistencyBenchmark | I2nBenchmark | RdmBenchmark,
    kind: str | None,
    label: str,
) -> None:
    """Add the rows of a benchmark with choices or dissimilarities."""
    name = benchmark.name
    rdms = isinstance(benchmark, RdmBenchmark)
    try:
        sites = benchmark.sites(subject)
        wanted = list(dict.fromkeys([*sites, *(last_steps(subject) if rdms else [])]))
        recording = subject.record(benchmark.stimuli, wanted, benchmark.degrees, label=label)
        score = benchmark.compare(recording, subject)
    except CornetError as error:
        _miss(found, subject, name, ORDINARY, str(error))
        return
    ordinary = Measured(score, np.empty(0))
    if not isinstance(benchmark, I2nBenchmark):
        spread = over_people(_signed(score), score.ceiling, score.scale, score.n, ())
        ordinary = Measured(score, spread.draws, spread.unit)
    fitted = (
        "nothing"
        if rdms
        else "the objects, other images"
        if benchmark.split_rule == "none"
        else benchmark.split_rule
    )
    tested = "all subjects" if rdms else "all observers"
    common = {"site": " ".join(map(str, sites)), "fitted": fitted, "tested": tested}
    found.rows.append(row(subject.name, name, ORDINARY, ordinary, **common))  # type: ignore[arg-type]
    what = (
        "dissimilarities were recorded, to which nothing is fitted"
        if rdms
        else "choices were recorded, not neuroids"
    )
    _miss(found, subject, name, "new images, new neuroids, new session", what)
    if isinstance(benchmark, RdmBenchmark):
        _try(found, subject, name, "new subjects", partial(rdm_subjects, benchmark, subject, recording))
        return
    if isinstance(benchmark, I2nBenchmark):
        _try(
            found,
            subject,
            name,
            "new observers",
            partial(i2n_observers, benchmark, subject, recording, ordinary),
        )
        _miss(found, subject, name, "new kind", "it is not measured for choices between two objects")
        return
    _try(found, subject, name, "new observers", partial(consistency_observers, benchmark, subject, recording))
    one = partial(consistency_kind, benchmark, subject, recording)
    _kinds(found, subject, name, kind, partial(consistency_kinds_of, benchmark), one)


def _kinds(
    found: Generalisation,
    subject: Subject,
    benchmark: str,
    column: str | None,
    kinds: Callable[[str], Any],
    measure: Callable[[str, str, str], Row],
) -> None:
    """Add the row of each pair of kinds."""
    if column is None:
        reason = "no column names the kind of the images; give --kind COLUMN"
        _miss(found, subject, benchmark, "new kind", reason)
        return
    try:
        pairs = kind_pairs(kinds(column), column, benchmark)
    except CornetError as error:
        _miss(found, subject, benchmark, "new kind", str(error))
        return
    for fitted, tested in pairs:
        _try(found, subject, benchmark, "new kind", partial(measure, column, fitted, tested))


def _signed(score: Score) -> Any:
    """The values of a score, with the sign that makes their mean `raw`."""
    return score.values if np.nanmean(score.values) >= 0 or score.raw < 0 else -score.values


def _try(
    found: Generalisation,
    subject: Subject,
    benchmark: str,
    kind: str,
    measure: Callable[[], Row | Iterable[Row]],
) -> None:
    """Add the rows, or the reason why there are none."""
    try:
        rows = measure()
    except CornetError as error:
        _miss(found, subject, benchmark, kind, str(error))
        return
    found.rows.extend([rows] if isinstance(rows, Row) else rows)


def _miss(found: Generalisation, subject: Subject, benchmark: str, kind: str, reason: str) -> None:
    found.missing.append((subject.name, benchmark, kind, reason.rstrip(".")))


def _unknown(benchmark: Benchmark[Any]) -> Row:
    raise CornetError(
        f"{benchmark.name} has neither neuroids, choices of observers, nor dissimilarities of subjects."
    )


def check_columns(
    benchmarks: Sequence[Benchmark[Any]], columns: dict[str, str | None], session: str | None
) -> None:
    """Raise CornetError for a column of stimuli or a coordinate of neuroids that no benchmark has."""
    stimuli: set[str] = set()
    neuroids: set[str] = set()
    for one in benchmarks:
        stimuli |= set(map(str, one.stimuli.table.columns))
        if isinstance(one, NeuralBenchmark | ConsistencyBenchmark):
            for name, coordinate in one.data.assembly.coords.items():
                (stimuli if coordinate.dims == ("presentation",) else neuroids).add(str(name))
    for option, name, known in (
        *((option, name, stimuli) for option, name in columns.items()),
        ("session", session, neuroids),
    ):
        if name is not None and name not in known:
            near = similar_names(name, sorted(known))
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(sorted(known))}."
            raise CornetError(
                f"{option}={name!r} is neither a column nor a coordinate of any benchmark; {hint}"
            )
