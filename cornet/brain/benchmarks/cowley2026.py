"""Cowley2026.V4-pls of Brain-Score: recording sessions of macaque V4, each with its own images and neurons.

Protocol (brainscore_vision 2.4.2): PLS with 25 components, ten random splits of each session's images in their order
(90 % for training, seed 1), nothing pooled. The score is the plain mean over sessions of r^2 / c. The leaderboard has
four sessions; their responses are averaged in the published files, so that their ceilings are constants.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark, rows_of
from cornet.brain.data.bundle import Bundle, load_bundle
from cornet.brain.data.responses import Responses
from cornet.brain.metrics.ceiling import even_odd_consistency
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["NAME", "PUBLISHED_CEILINGS", "CowleyBenchmark"]

NAME = "cowley2026.V4-pls"
PUBLISHED_CEILINGS = {"190923": 0.80, "201025": 0.85, "210225": 0.67, "211022": 0.88}
"""Published ceilings of the sessions of the leaderboard."""

DEGREES = 11.2
BIN = (50.0, 150.0)


@dataclass(frozen=True, eq=False)
class Session:
    """A session: its name, bundle and responses."""

    name: str
    bundle: Bundle
    responses: Responses

    @cached_property
    def ceiling(self) -> tuple[float, str]:
        """The ceiling, NaN if unknown, and a note on where it comes from."""
        if self.responses.repetitions is not None:
            found = even_odd_consistency(self.responses.repetitions)
            return found.raw, "; ".join((f"{self.name}: ceiling from even and odd repetitions", *found.notes))
        if self.name in PUBLISHED_CEILINGS:
            return PUBLISHED_CEILINGS[self.name], f"{self.name}: ceiling as published"
        return (
            math.nan,
            f"{self.name}: no ceiling, since the responses are averaged, so it is not in the value",
        )


@dataclass(frozen=True, eq=False)
class Sessions:
    """All sessions, and their stimuli one after another, with ids such as 210225/image0001."""

    sessions: Sequence[Session]
    stimuli: StimulusSet

    def ids(self, session: Session) -> list[str]:
        """Ids of a session's stimuli, in the order of its responses."""
        return [f"{session.name}/{one}" for one in session.responses.stimulus_ids]


class CowleyBenchmark(Benchmark[Sessions]):
    """The sessions below a folder, by the protocol of the leaderboard.

    folder: has a bundle in a folder of its own for each session, whose name ends in the session (cowley2023-V4-210225);
    None: `cornet.files.cache_folder()`/data. sessions: None: those of the leaderboard that are there; otherwise these.
    """

    def __init__(
        self, folder: str | Path | None = None, sessions: Sequence[str] | None = None, **options: Any
    ) -> None:
        root = cache_folder() / "data" if folder is None else Path(folder).expanduser()
        options.setdefault("scale", "r^2/c")
        super().__init__(
            NAME,
            "V4",
            "macaque V4: recording sessions with 800 to 1,600 images each, 33 to 89 neurons",
            lambda: load_sessions(root, sessions),
            degrees=DEGREES,
            time_bin=BIN,
            split_rule="10 random splits of each session, 90 % for training",
            **options,
        )

    def fingerprint_parts(self) -> list[Any]:
        return [part for one in self.data.sessions for part in (one.name, one.responses.mean, *one.ceiling)]

    def sites(self, subject: Subject) -> list[Site]:
        return [subject.site("V4", BIN)]

    def exclusions(self) -> list[str]:
        there = [one.name for one in self.data.sessions]
        missing = [name for name in PUBLISHED_CEILINGS if name not in there]
        notes = [note for one in self.data.sessions for note in (*one.responses.notes, one.ceiling[1])]
        if missing or set(there) - set(PUBLISHED_CEILINGS):
            notes.append(
                f"sessions {', '.join(there)}; the leaderboard has {', '.join(PUBLISHED_CEILINGS)}, so the values are "
                "not comparable with it"
            )
        return notes

    def score(self, recording: Recording, subject: Subject) -> Score:
        """details: by_session, a table of session, neurons, images, raw, error, ceiling and value."""
        (site,) = self.sites(subject)
        rows, notes = [], []
        for one in self.data.sessions:
            features = rows_of(recording, site, self.stimuli, self.data.ids(one))
            found = neural_predictivity(features, one.responses.mean, "pls", device=self.device)
            ceiling = one.ceiling[0]
            images, neurons = one.responses.mean.shape
            row = {"session": one.name, "neurons": neurons, "images": images, "raw": found.raw}
            value = found.raw**2 / ceiling if ceiling > 0 else math.nan
            rows.append({**row, "error": found.error, "ceiling": ceiling, "value": value})
            notes += [f"{one.name}: {note}" for note in found.notes]
        table = pd.DataFrame(rows)
        known = table[np.isfinite(table["value"])]
        return Score(
            raw=float(table["raw"].mean()),
            values=table["raw"].to_numpy(float),
            error=float(np.sqrt((table["error"] ** 2).sum()) / len(table)),
            ceiling=float(known["ceiling"].mean()) if len(known) else math.nan,
            scale=self.scale,
            value=float(known["value"].mean()) if len(known) else math.nan,
            n=len(self.stimuli),
            notes=tuple(notes),
            details={"by_session": table},
        )


def load_sessions(root: Path, names: Sequence[str] | None) -> Sessions:
    """Load the sessions below a folder. Raises CornetError if there are none, and for a missing one that was named."""
    wanted = list(PUBLISHED_CEILINGS if names is None else names)
    folders = {
        one.name[-6:]: one for one in sorted(root.glob("*")) if one.is_dir() and one.name[-6:] in wanted
    }
    if names is not None and (missing := [name for name in wanted if name not in folders]):
        raise CornetError(
            f"{root} has no folder that ends in {missing[0]}; put the bundle of that session there."
        )
    if not folders:
        raise CornetError(
            f"{NAME} needs bundles of its sessions below {root}, in folders that end in {', '.join(wanted)}; put at "
            "least one there, or name their folder: --on cowley2026.V4-pls:FOLDER."
        )
    sessions = []
    for name in sorted(folders):
        bundle = load_bundle(folders[name])
        sessions.append(Session(name, bundle, bundle.responses("V4")))
    return Sessions(sessions, joined([(one.name, one.bundle.stimuli) for one in sessions]))


class JoinedPictures:
    """Pictures of several sets, one after another."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    @property
    def identity(self) -> str:
        return digest([part.identity for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        part = int(np.searchsorted(self.ends, index, side="right"))
        start = int(self.ends[part - 1]) if part else 0
        picture: NDArray[np.uint8] = self.parts[part][index - start]
        return picture


def joined(sets: Sequence[tuple[str, StimulusSet]]) -> StimulusSet:
    """One stimulus set of several, with the session before each id."""
    ids = [f"{name}/{one}" for name, stimuli in sets for one in stimuli.ids]
    table = pd.DataFrame({"stimulus_id": ids})
    return StimulusSet(
        "cowley2026", table, JoinedPictures([stimuli.pictures for _, stimuli in sets]), DEGREES
    )
