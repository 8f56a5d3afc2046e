"""Trains the demo for some minutes under random kills and faults, and tells whether anything was lost.

    python benchmarks/endurance.py --minutes 30      # half a minute to begin, 30 of faults, up to two to end
    python benchmarks/endurance.py --minutes 0.5     # a small one

The same command of train.py is started again and again. Each session is done some harm at a random moment, or its
files between two sessions: SIGKILL, signals that ask it to stop, two of them, a killed data worker, a full disk, a
second process in the same folder, damaged checkpoints, damaged, removed and unreachable caches (endurance_faults.py).
Beside it the same run is trained, by another process with a cache of its own, that nobody disturbs. At the end of a run
both must be the same to the last bit: weights, their average, the optimiser, random state, metrics.csv and scores.csv,
but for the columns of times. Then comes the next run, with another seed.

One run is longer than the others: in its middle a session lives a sixth of the minutes without any harm, and its memory
and open files are watched for growth (a robust line through medians, and its 95 % interval). Steps repeated are those
that metrics.jsonl told of before a session ended, less those of the checkpoint. Time lost compares the time from the
first session of a run to its end with that of the undisturbed run beside it.

Writes results/endurance.json and .png. The exit status is 1 when something was lost, refused or did not end.
"""

import argparse
import contextlib
import math
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from endurance_check import differences, doubled, good_checkpoint, leftovers, size_of, trained_steps
from endurance_faults import BETWEEN, DECK, DURING, Scene, command_of, restore_cache
from endurance_plot import draw
from endurance_table import console, show
from endurance_watch import Growth, Watcher, growth
from record import write_record

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.helpers.faults.starter import Run, Starter

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "endurance.json"
OVERRIDES = [
    "data.train_images=512",
    "data.val_images=128",
    "data.size=32",
    "model.width=0.1",
    "recipe.average=0.9",
    "trainer.log_every_n_steps=1",
    "brain.benchmarks.simulated=[simulated.V4,simulated.IT]",
    "brain.fractions=[0.5]",
    "callbacks.last_checkpoint.minutes=0.05",
    "loader.workers=1",
]
SHORT = 75.0  # s at most that a run takes undisturbed, but for the long one: so much may be left in the end
HUNG = 180.0  # s without a step, after which a session is taken to hang
GRACE = 120.0  # s after the minutes are over, in which the last run may end
LASTING = ("second process", "disk full for seconds", "data worker killed")
"""Faults after which a session may go on; some seconds later it is killed."""


class Endurance:
    """The whole of it. minutes: of faults. folder: where all is written; seed: of the faults."""

    def __init__(self, minutes: float, folder: Path, seed: int) -> None:
        self.seconds, self.folder = 60 * minutes, folder
        self.random = random.Random(seed)
        self.cache = folder / "cache"
        self.environment = {"CORNET_CACHE": str(self.cache), "HOME": str(folder)}
        self.began = time.monotonic()
        self.deadline = self.began + self.seconds
        self.watcher = Watcher(every=min(1.0, self.seconds / 300))
        self.sessions: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.inflicted: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()
        self.ended_by: Counter[str] = Counter()
        self.failures: list[str] = []
        self.pending: list[str] = []
        self.deck: list[str] = []
        self.told = 0.0

    # --- the course

    def go(self) -> None:
        """Runs one after the other until the time is over."""
        self.watcher.start()
        alone = {**self.environment, "CORNET_CACHE": str(self.folder / "cache-alone")}
        with (
            Starter(self.folder, self.environment) as self.starter,
            Starter(self.folder / "alone", alone) as self.calm,
        ):
            epoch = self.warm_up()
            self.began = time.monotonic()
            self.deadline = self.began + self.seconds
            short = self.epochs(min(max(self.seconds / 24, 2.0), SHORT), epoch)
            been_long = False
            while not self.runs or not been_long or self.left > SHORT / 2:
                is_long = not been_long and time.monotonic() - self.began > self.seconds / 3
                known = [
                    r["undisturbed_seconds"] / r["epochs"] for r in self.runs if r["undisturbed_seconds"] > 0
                ]
                long = self.epochs(1.6 * self.quiet_seconds, min([epoch, *known]))
                self.train(len(self.runs), long if is_long else short, is_long)
                been_long |= is_long
                if self.left < -GRACE or len(self.failures) > 20:
                    break
        self.watcher.over.set()

    @property
    def quiet_seconds(self) -> float:
        return self.seconds / 6

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    @staticmethod
    def epochs(seconds: float, epoch: float) -> int:
        return min(2000, max(2, math.ceil(seconds / epoch)))

    def warm_up(self) -> float:
        """Seconds of an epoch, of a run that counts for nothing else; and the undisturbed side has its cache."""
        run = self.calm.start(*OVERRIDES, "recipe.epochs=4", "name=warm-up")
        began: dict[int, float] = {}
        while run.alive:
            for path in (self.folder / "alone").glob("runs/warm-up/**/seed*/metrics.jsonl"):
                began.setdefault(trained_steps(path.parent), time.monotonic())
            time.sleep(0.1)
            self.tell_time("warming up")
        if self.calm.wait() != 0:
            raise SystemExit(f"the undisturbed run did not end well:\n{run.said.read_text()[-2000:]}")
        steps = 512 // 32
        times = [
            min((when for step, when in began.items() if step > k * steps), default=0.0) for k in range(1, 4)
        ]
        return max(0.2, (times[-1] - times[0]) / 2)

    def train(self, seed: int, epochs: int, is_long: bool) -> None:
        """One run under faults, and beside it the same undisturbed; then both are compared."""
        given = [*OVERRIDES, f"recipe.epochs={epochs}", f"seed={seed}", "name=run"]
        began, wall, first = time.monotonic(), time.time(), len(self.sessions)
        calm = self.calm.start(*given)
        at = self.random.uniform(0.1, 0.25)  # of its steps, is when the quiet session begins
        quiet_from = int(at * epochs * 512 / 32) if is_long else math.inf
        quiet_done = tries = repeated = 0
        done = False
        while not done and self.left > -GRACE and tries < 4:
            run = self.folder_of(self.folder, seed)
            before = good_checkpoint(run) if run else 0
            if len(self.sessions) > first:
                repeated += max(0, self.sessions[-1]["reached"] - before)
            quiet = not quiet_done and before >= quiet_from
            if not quiet and self.left > 0 and run and self.sessions and self.sessions[-1]["by"] == "SIGKILL":
                before_it = self.harm_between(run)
            else:
                before_it = ""
            session = self.session(given, seed, quiet)
            session["before"] = before_it
            quiet_done |= quiet
            done = session["code"] == 0
            tries = tries + 1 if session["refused"] else 0
        seconds = time.monotonic() - began
        while calm.alive and self.left > -GRACE:
            time.sleep(0.1)
            self.tell_time(f"run {seed} waits for the undisturbed one")
        self.judge(seed, epochs, done, is_long, repeated, seconds, wall)

    # --- a session

    def session(self, given: list[str], seed: int, quiet: bool) -> dict[str, Any]:
        """Start the command, do it harm, and wait for its end."""
        number, start, wall = len(self.sessions), time.monotonic(), time.time()
        run = self.starter.start(*given)
        self.watcher.session, self.watcher.metrics = number, None
        self.watcher.pid = run.pid
        fault = "" if quiet or self.left <= 0 else self.drawn(DURING)
        allowed: set[int] = set()
        hung, harmed = False, math.nan
        if fault == "SIGKILL while starting":
            self.wait(run, self.random.uniform(0, 3))
        else:
            hung = not self.until_it_goes(run, seed, wall)
            if fault and not hung:
                self.wait(run, self.random.uniform(0, min(12.0, max(1.5, self.seconds / 60))))
            elif quiet:
                self.wait(run, self.quiet_seconds, "in quiet")
                fault = "SIGKILL"
        if fault and run.alive and not hung:
            harmed = time.monotonic()
            self.inflicted[fault] += 1
            self.pending.append(fault)
            try:
                allowed = DURING[fault](self.scene(run, seed, given))
            except RuntimeError as error:
                self.failures.append(str(error))
            if fault in LASTING:  # it may have been got over; a session is not to last for ever
                self.wait(run, 0.0 if fault == "second process" else 10.0, f"after {fault}")
                with contextlib.suppress(ProcessLookupError):
                    run.kill()
                allowed.add(-9)
        code = self.end_of(run, fault)
        harmful = code != 0 and code in allowed
        refused = code != 0 and not harmful and not (hung or self.left < -GRACE)
        said = run.said.read_text(errors="replace")
        if refused or hung:
            what = "did nothing" if hung else f"ended with {code}"
            self.failures.append(f"session {number} {what} after {self.pending}: {said.strip()[-300:]}")
        if code == 0:
            self.survive()
        restore_cache(self.cache)
        self.watcher.pid = 0
        by = "its end" if code == 0 else fault if harmful else "?"
        self.ended_by[by] += 1
        folder = self.folder_of(self.folder, seed)
        session = {
            "run": seed,
            "start": start - self.began,
            "seconds": time.monotonic() - start,
            "harmed": harmed - self.began,
            "fault": fault,
            "by": "SIGKILL" if by == "SIGKILL while starting" else by,
            "code": code,
            "quiet": quiet,
            "refused": refused or hung,
            "traceback": "Traceback" in said,
            "reached": trained_steps(folder) if folder else 0,
        }
        self.sessions.append(session)
        return session

    def until_it_goes(self, run: Run, seed: int, wall: float) -> bool:
        """Until it has trained a step, or ended; False where neither comes."""
        end = time.monotonic() + HUNG
        while run.alive:
            folder = self.folder_of(self.folder, seed)
            metrics = folder / "metrics.jsonl" if folder else None
            if metrics and metrics.is_file() and metrics.stat().st_mtime > wall:
                self.watcher.metrics = metrics
                self.survive()
                return True
            if time.monotonic() > end or self.left < -GRACE:
                run.kill()
                return self.left < -GRACE
            time.sleep(0.02)
            self.tell_time(f"run {seed}, session {len(self.sessions)}")
        return True

    def wait(self, run: Run, seconds: float, what: str = "") -> None:
        end = time.monotonic() + seconds
        while run.alive and time.monotonic() < end and self.left > -GRACE:
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))
            self.tell_time(f"session {len(self.sessions)} {what}")

    def end_of(self, run: Run, fault: str) -> int:
        """Its code. What has not been told to end may go on as long as there is time; the others hang after a while."""
        asked = bool(fault)
        end = time.monotonic() + HUNG
        while run.alive:
            step = self.watcher.samples[-1].step if self.watcher.samples else -1
            if not asked and step != getattr(self, "step", None):
                self.step, end = step, time.monotonic() + HUNG
            if time.monotonic() > end:
                self.failures.append(f"session {len(self.sessions)} hung after {fault or 'nothing'}")
                run.kill()
            if self.left < -GRACE:
                run.kill()
            time.sleep(0.02)
            self.tell_time(f"session {len(self.sessions)} goes on")
        return self.starter.wait()

    def survive(self) -> None:
        """Every harm since the last sign of life is got over: the training goes on."""
        self.survived.update(self.pending)
        self.pending = []

    def harm_between(self, run: Path) -> str:
        """What was done to the files, if anything."""
        if fault := self.drawn(BETWEEN):
            scene = Scene(0, run, self.cache, [], {}, self.random, lambda: False)
            if BETWEEN[fault](scene):
                self.inflicted[fault] += 1
                self.pending.append(fault)
                return fault
            self.deck.append(fault)
        return ""

    def drawn(self, kind: dict[str, Any]) -> str:
        """The next of this kind in the deck, made anew when it has none left; between sessions often none."""
        if kind is BETWEEN:
            found = [name for name in self.deck if name in BETWEEN]
            if not found or self.random.random() < 0.5:
                return ""
            self.deck.remove(found[0])
            return found[0]
        left = [name for name in self.deck if name in DURING]
        if not left:
            self.deck += self.random.sample(DECK, len(DECK))
            left = [name for name in self.deck if name in DURING]
        self.deck.remove(left[0])
        return left[0]

    def scene(self, run: Run, seed: int, given: list[str]) -> Scene:
        folder = self.folder_of(self.folder, seed) or self.folder
        command = command_of(ROOT, [*given, f"root={self.folder / 'runs'}"])
        return Scene(run.pid, folder, self.cache, command, self.environment, self.random, lambda: run.alive)

    @staticmethod
    def folder_of(root: Path, seed: int) -> Path | None:
        return next((path.parent for path in root.glob(f"runs/run/**/seed{seed}/identity.json")), None)

    # --- what came of it

    def judge(
        self, seed: int, epochs: int, done: bool, is_long: bool, repeated: int, seconds: float, wall: float
    ) -> None:
        whole, ours = self.folder_of(self.folder / "alone", seed), self.folder_of(self.folder, seed)
        calm_done = bool(whole and (whole / "finished.json").exists())
        calm_seconds = math.nan
        if calm_done and whole:
            calm_seconds = (whole / "finished.json").stat().st_mtime - (
                whole / "identity.json"
            ).stat().st_mtime
            self.calm.wait()
        else:
            self.calm.end()
        found = ["one of both has no folder"]
        if whole and ours:
            both = (
                min(good_checkpoint(ours), trained_steps(whole)) - 1
            )  # the last row may lack what comes later
            found = differences(whole, ours, None if done and calm_done else both) + doubled(ours)
        if found:
            self.failures += [f"run {seed}: {one}" for one in found]
        self.runs.append(
            {
                "seed": seed,
                "epochs": epochs,
                "long": is_long,
                "finished": done,
                "compared": "whole" if done and calm_done else "up to its last checkpoint",
                "same": not found,
                "steps": trained_steps(ours) if ours else 0,
                "repeated": repeated,
                "seconds": seconds,
                "undisturbed_seconds": calm_seconds,
                "bytes": size_of(ours) if ours else 0,
                "undisturbed_bytes": size_of(whole) if whole else 0,
                "leftovers": leftovers(ours, self.cache) if ours else {},
            }
        )
        one = self.runs[-1]
        console.print(
            f"run {seed}: {epochs} epochs, {one['steps']} steps, {repeated} repeated, {seconds:.0f} s (undisturbed "
            f"{calm_seconds:.0f} s), {found or 'the same'}",
            highlight=False,
        )

    def tell_time(self, what: str) -> None:
        if time.monotonic() - self.told > max(5.0, self.seconds / 60):
            self.told = time.monotonic()
            done, total = time.monotonic() - self.began, self.seconds
            told = f"{clock(done)} of {clock(total)}, {clock(max(0.0, self.left))} left"
            console.print(
                f"{told}; {sum(self.inflicted.values())} faults, {len(self.failures)} failures; {what}",
                highlight=False,
            )

    def grown(self) -> dict[str, Growth]:
        """Memory in MB and open files, per hour, in the quiet session."""
        quiet = [number for number, session in enumerate(self.sessions) if session["quiet"]]
        samples = [s for s in self.watcher.samples if quiet and s.session == quiet[0] and s.step >= 0]
        usual = Counter(s.processes for s in samples).most_common(1)
        samples = [s for s in samples if s.processes == usual[0][0]]  # while it trains
        times = np.array([s.time for s in samples])
        return {
            "memory_mb": growth(times, np.array([s.memory for s in samples])),
            "open_files": growth(times, np.array([float(s.files) for s in samples])),
        }

    def report(self) -> dict[str, Any]:
        compared = [run for run in self.runs if run["compared"] == "whole"]
        calm, ours = (sum(run[key] for run in compared) for key in ("undisturbed_seconds", "seconds"))
        return {
            "minutes": self.seconds / 60,
            "took_minutes": (time.monotonic() - self.began) / 60,
            "sessions": len(self.sessions),
            "sessions_ended_by": dict(self.ended_by),
            "faults": {
                name: {"inflicted": self.inflicted[name], "survived": self.survived[name]}
                for name in [*DURING, *BETWEEN]
            },
            "ended_with_a_traceback": dict(Counter(s["by"] for s in self.sessions if s["traceback"])),
            "steps": sum(run["steps"] for run in self.runs),
            "steps_repeated": sum(run["repeated"] for run in self.runs),
            "time_lost": 1 - calm / ours if ours else math.nan,
            "growth_per_hour": {name: one._asdict() for name, one in self.grown().items()},
            "processes_left": self.watcher.left_over(),
            "memory_of_dead_sessions": self.shared_memory_left(),
            "runs": self.runs,
            "same": all(run["same"] for run in self.runs),
            "failures": self.failures,
        }

    def shared_memory_left(self) -> list[str]:
        pids = {str(pid) for pid in self.watcher.seen}
        there = Path("/dev/shm")
        names = [path.name for path in there.iterdir()] if there.is_dir() else []
        return [name for name in names if pids & set(name.replace("-", "_").split("_"))]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of faults; the end takes up to 3 more")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and their moments")
    parser.add_argument(
        "--folder", type=Path, help="where to train; by default one that is removed at the end"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the record; the picture is beside it")
    parser.add_argument("--beside", default="unknown", help="what else ran on the machine, for the record")
    arguments = parser.parse_args(given)
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="endurance-"))).resolve()
    (folder / "alone").mkdir(parents=True, exist_ok=True)
    endurance = Endurance(arguments.minutes, folder, arguments.seed)
    try:
        endurance.go()
    except Exception as error:  # what was found by then is not to be lost
        console.print_exception()
        endurance.failures.append(f"{type(error).__name__}: {error}")
    found = endurance.report()
    show(found)
    sessions = [{k: v for k, v in s.items() if v == v} for s in endurance.sessions]
    samples = [[s.session, s.time - endurance.began, *s[2:]] for s in endurance.watcher.samples]
    write_record(
        arguments.out,
        torch.device("cpu"),
        arguments.beside,
        **found,
        each_session=listed([list(s.values()) for s in endurance.sessions], list(endurance.sessions[0]))
        if endurance.sessions
        else [],
        samples=listed(
            thinned(samples), ["session", "seconds", "memory_mb", "open_files", "processes", "step"]
        ),
    )
    draw(arguments.out.with_suffix(".png"), samples, sessions)
    if not arguments.folder and not found["failures"]:
        shutil.rmtree(folder, ignore_errors=True)
    elif found["failures"]:
        console.print(f"All of it is in {folder}", highlight=False)
    return int(bool(found["failures"]))


def listed(rows: list[list[Any]], columns: list[str]) -> list[str]:
    """A table in which a row is a line."""
    told = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    return [", ".join(row) for row in (columns, *told)]


def thinned(rows: list[list[Any]], most: int = 600) -> list[list[Any]]:
    """Few enough for a file that people read."""
    return rows[:: max(1, math.ceil(len(rows) / most))]


if __name__ == "__main__":
    sys.exit(main())
