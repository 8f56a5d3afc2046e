"""Find and connect the ranks of a training, which torchrun or srun started.

The ranks connect to a key-value store (torch's TCPStore, plain text). There they check that all have the same
configuration, receive the run's folder from rank 0, and share errors. A single process skips all of this.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch.distributed as dist
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.errors import CornetError
from cornet.runs.config import differences

__all__ = ["RankInfo", "Ranks", "connect_ranks", "current_ranks", "find_ranks", "is_first_rank", "lost_rank"]

CONNECT_TIMEOUT = timedelta(minutes=10)  # for all ranks to connect: nodes load Python from one disk
STORE_TIMEOUT = timedelta(minutes=60)  # for the slowest rank, which may still render its images

T = TypeVar("T")
_ranks: "Ranks | None" = None  # lives as long as the process: a sweep trains several times


class RankInfo(NamedTuple):
    """The rank of a process, and the numbers of ranks. launcher: torchrun or srun; None for a single process."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    launcher: str | None = None

    @property
    def nodes(self) -> int:
        return self.world // self.local_world


def find_ranks(environment: Mapping[str, str] | None = None) -> RankInfo:
    """Return this process's rank, from torchrun's or SLURM's variables. Raises CornetError for uneven nodes."""
    env = os.environ if environment is None else environment
    if "RANK" in env and "WORLD_SIZE" in env:
        world = int(env["WORLD_SIZE"])
        local, nodes, uneven = int(env.get("LOCAL_WORLD_SIZE", "1")), 1, False
        info = RankInfo(int(env["RANK"]), world, int(env.get("LOCAL_RANK", "0")), local, "torchrun")
    elif "SLURM_STEP_ID" in env and "SLURM_PROCID" in env:  # a batch script itself has no step
        world = int(env.get("SLURM_STEP_NUM_TASKS") or env.get("SLURM_NTASKS", "1"))
        nodes = int(env.get("SLURM_STEP_NUM_NODES") or env.get("SLURM_NNODES", "1"))
        local, uneven = world // nodes, "," in env.get("SLURM_STEP_TASKS_PER_NODE", "")
        info = RankInfo(int(env["SLURM_PROCID"]), world, int(env.get("SLURM_LOCALID", "0")), local, "srun")
    else:
        return RankInfo()
    if uneven or local < 1 or world % local or world % nodes:
        raise CornetError(
            f"{world} ranks are spread unevenly over the nodes ({local} on this one); start the same number on each "
            "node, with srun --ntasks-per-node."
        )
    return info


class Ranks:
    """The ranks of a training and their store. Without a store (one process), every method acts locally."""

    def __init__(self, info: RankInfo, store: dist.Store | None = None) -> None:
        self.info, self.store = info, store
        self._round = 0

    @property
    def first(self) -> bool:
        return self.info.rank == 0

    def check_same(self, values: Mapping[str, Any], error: str = "") -> None:
        """Raise the same CornetError on all ranks if one has an `error`, or if their `values` differ."""
        if self.store is None:
            if error:
                raise CornetError(error)
            return
        mine = [error, json.loads(json.dumps(values, default=str))]
        self._gather_verdict(json.dumps(mine), self._first_difference)

    def run_on_all(self, work: Callable[[], T]) -> T:
        """Call `work` on every rank and return its result. A CornetError on any rank is raised on all."""
        if self.store is None:
            return work()
        error, result = run_caught(work)
        self._gather_verdict(json.dumps([error, None]), self._first_difference)
        return result

    def run_on_first(self, work: Callable[[], T]) -> T:
        """Call `work` on rank 0 and broadcast its result, which must be JSON data. Errors are raised on all ranks."""
        if self.store is None:
            return work()
        key = self._next()
        if self.first:
            error, answer = run_caught(work)
            self.store.set(key, json.dumps([error, answer]))
        else:
            error, answer = json.loads(self._get(key, 0))
        if error:
            raise CornetError(error)
        return answer

    def reports_first(self, message: str = "") -> bool:
        """Return whether this rank is the first to report this message; only that rank should print it."""
        if self.store is None:
            return True
        name = hashlib.sha256(message.encode(errors="surrogatepass")).hexdigest()
        try:
            return self.store.add(f"reported/{name}", 1) == 1
        except RuntimeError:  # the store is gone, and with it rank 0, which has reported it
            return self.first

    def _next(self) -> str:
        self._round += 1
        return f"round{self._round}"

    def _get(self, key: str, rank: int) -> str:
        assert self.store is not None
        try:
            return self.store.get(key).decode()
        except RuntimeError as error:
            raise CornetError(
                f"rank {rank} of {self.info.world} did not respond at the start; check its output, and that all ranks "
                "were started with the same command."
            ) from error

    def _gather_verdict(self, mine: str, verdict: Callable[[list[Any], int, list[Any]], str]) -> None:
        """Gather every rank's entry on rank 0, and raise its verdict (a message, or "" for none) on all ranks."""
        assert self.store is not None
        key = self._next()
        self.store.set(f"{key}/{self.info.rank}", mine)
        if self.first:
            own, found = json.loads(mine), ""
            for rank in range(self.info.world):
                theirs = json.loads(self._get(f"{key}/{rank}", rank))
                found = found or verdict(own, rank, theirs)
            self.store.set(key, found)
        else:
            found = self._get(key, 0)
        if found:
            raise CornetError(found)

    def _first_difference(self, own: list[Any], rank: int, theirs: list[Any]) -> str:
        if theirs[0]:
            return theirs[0] if own[0] == theirs[0] else f"{theirs[0].rstrip('.')} (on rank {rank})."
        if own[0] or own[1] == theirs[1]:
            return own[0]
        found = differences(own[1], theirs[1], "on rank 0", f"on rank {rank}")
        return (
            f"the ranks have different configurations: {found}; start all of them with the same command and the same "
            "configuration files."
        )


def run_caught(work: Callable[[], Any]) -> tuple[str, Any]:
    """Call `work`. Returns (message, None) if it raises CornetError, else ("", its result)."""
    try:
        return "", work()
    except CornetError as error:
        return str(error), None


def connect_ranks() -> Ranks:
    """Connect the ranks, once per process, and filter their logs. Raises CornetError if one is missing."""
    global _ranks
    if _ranks is not None:
        return _ranks
    info = find_ranks()
    if info.world == 1:
        return Ranks(info)
    if info.launcher == "srun":
        _export_torchrun_environment(info)
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=CONNECT_TIMEOUT))
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise CornetError(
            f"rank {info.rank} of {info.world} could not connect to {os.environ.get('MASTER_ADDR')}:"
            f"{os.environ.get('MASTER_PORT')} ({reason}); check that all ranks run and that nodes reach each other."
        ) from error
    store.set_timeout(STORE_TIMEOUT)
    # After a restart the store may still hold the keys of the previous ranks.
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    _ranks = Ranks(info, dist.PrefixStore(f"cornet{restart}", store))
    filter_logs(_ranks)
    return _ranks


def current_ranks() -> Ranks:
    """Return the connected ranks, or this process alone if there was no connection."""
    return _ranks or Ranks(RankInfo())


def is_first_rank() -> bool:
    """Return whether this process is rank 0, as Lightning's loggers see it; works before ranks are connected."""
    return getattr(rank_zero_only, "rank", 0) in (0, None)


def lost_rank(error: RuntimeError) -> bool:
    """Return whether an error was caused by the loss of another rank."""
    message = str(error)
    phrases = ("closed by peer", "reset by peer", "Broken pipe", "Connection refused")
    return isinstance(error, dist.DistError) or any(phrase in message for phrase in phrases)


def filter_logs(ranks: Ranks) -> None:
    """Log each warning or error on one rank only, and info messages and Python's warnings on rank 0 only."""

    def is_reported_here(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return ranks.first
        return ranks.reports_first(record.getMessage())

    for handler in logging.root.handlers:
        handler.addFilter(is_reported_here)
    if not ranks.first:
        warnings.simplefilter("ignore")


def _export_torchrun_environment(info: RankInfo) -> None:
    """Set the environment variables that torchrun would set, from SLURM's."""
    env = os.environ
    nodes = env.get("SLURM_STEP_NODELIST") or env.get("SLURM_NODELIST", "127.0.0.1")
    env.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    job = int(env.get("SLURM_JOB_ID", "0"))
    env.setdefault("MASTER_PORT", str(15_000 + job % 10_000))  # other jobs may share the node
    env["RANK"], env["WORLD_SIZE"] = str(info.rank), str(info.world)
    env["LOCAL_RANK"], env["LOCAL_WORLD_SIZE"] = str(info.local_rank), str(info.local_world)
    env["GROUP_RANK"] = env.get("SLURM_NODEID", "0")
