"""The processes of one training, started by torchrun or srun.

They meet at a key-value store (torch's TCPStore, plain text), check that they have the same configuration, learn of the
run's folder from rank 0, and share errors. A single process does none of this.
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

__all__ = ["Place", "Ranks", "find_ranks", "is_first_rank", "known", "lost_rank", "meet"]

ARRIVE = timedelta(minutes=10)  # until all ranks have come: nodes load Python from one disk
WAIT = timedelta(minutes=60)  # for the slowest rank, which may be rendering its images

T = TypeVar("T")
_met: "Ranks | None" = None  # the store lives as long as the process: sweeps train several times


class Place(NamedTuple):
    """Where a process stands among those of a training. launcher: what started it, None for nothing."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    launcher: str | None = None

    @property
    def nodes(self) -> int:
        return self.world // self.local_world


def find_ranks(environment: Mapping[str, str] | None = None) -> Place:
    """This process's place, from torchrun, else the SLURM step, else alone. Raises CornetError for uneven nodes."""
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given:
        world = int(given["WORLD_SIZE"])
        local, nodes, uneven = int(given.get("LOCAL_WORLD_SIZE", "1")), 1, False
        place = Place(int(given["RANK"]), world, int(given.get("LOCAL_RANK", "0")), local, "torchrun")
    elif "SLURM_STEP_ID" in given and "SLURM_PROCID" in given:  # a batch script itself has no step
        world = int(given.get("SLURM_STEP_NUM_TASKS") or given.get("SLURM_NTASKS", "1"))
        nodes = int(given.get("SLURM_STEP_NUM_NODES") or given.get("SLURM_NNODES", "1"))
        local, uneven = world // nodes, "," in given.get("SLURM_STEP_TASKS_PER_NODE", "")
        place = Place(int(given["SLURM_PROCID"]), world, int(given.get("SLURM_LOCALID", "0")), local, "srun")
    else:
        return Place()
    if uneven or local < 1 or world % local or world % nodes:
        raise CornetError(
            f"{world} ranks are spread unevenly over the nodes ({local} on this one); start as many on each, with srun "
            "by --ntasks-per-node."
        )
    return place


class Ranks:
    """The ranks of a training, and their store. Alone, each method does the plain thing."""

    def __init__(self, place: Place, store: dist.Store | None = None) -> None:
        self.place, self.store = place, store
        self._round = 0

    @property
    def first(self) -> bool:
        return self.place.rank == 0

    def agree(self, what: Mapping[str, Any], error: str = "") -> None:
        """Raise one and the same CornetError on all ranks where one met an `error` or holds another `what`."""
        if self.store is None:
            if error:
                raise CornetError(error)
            return
        mine = [error, json.loads(json.dumps(what, default=str))]
        self._judge(json.dumps(mine), self._compare)

    def together(self, work: Callable[[], T]) -> T:
        """What `work` returns here; a CornetError that any rank meets in it is raised on all."""
        if self.store is None:
            return work()
        error, result = attempt(work)
        self._judge(json.dumps([error, None]), self._compare)
        return result

    def from_first(self, work: Callable[[], T]) -> T:
        """What `work` returns on rank 0, where alone it is done, on all ranks: plain data, as JSON has it."""
        if self.store is None:
            return work()
        key = self._next()
        if self.first:
            error, answer = attempt(work)
            self.store.set(key, json.dumps([error, answer]))
        else:
            error, answer = json.loads(self._get(key, 0))
        if error:
            raise CornetError(error)
        return answer

    def tells(self, message: str = "") -> bool:
        """Whether this rank is the first to tell this, and should: the others keep silent."""
        if self.store is None:
            return True
        name = hashlib.sha256(message.encode(errors="surrogatepass")).hexdigest()
        try:
            return self.store.add(f"told/{name}", 1) == 1
        except RuntimeError:  # the store has gone with rank 0, which has told it
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
                f"rank {rank} of {self.place.world} was not heard of at the start; look at its output, and see that "
                "all ranks are started with the same command."
            ) from error

    def _judge(self, mine: str, verdict: Callable[[list[Any], int, list[Any]], str]) -> None:
        """Rank 0 hears all, and its verdict (a sentence, or nothing) is everybody's."""
        assert self.store is not None
        key = self._next()
        self.store.set(f"{key}/{self.place.rank}", mine)
        if self.first:
            own, found = json.loads(mine), ""
            for rank in range(self.place.world):
                theirs = json.loads(self._get(f"{key}/{rank}", rank))
                found = found or verdict(own, rank, theirs)
            self.store.set(key, found)
        else:
            found = self._get(key, 0)
        if found:
            raise CornetError(found)

    def _compare(self, own: list[Any], rank: int, theirs: list[Any]) -> str:
        if theirs[0]:
            return theirs[0] if own[0] == theirs[0] else f"{theirs[0].rstrip('.')} (on rank {rank})."
        if own[0] or own[1] == theirs[1]:
            return own[0]
        found = differences(own[1], theirs[1], "on rank 0", f"on rank {rank}")
        return (
            f"the ranks disagree on what to run: {found}; start all of them with the same command and the same files "
            "of configuration."
        )


def attempt(work: Callable[[], Any]) -> tuple[str, Any]:
    """A CornetError that `work` raises, as a sentence, and else what it returns."""
    try:
        return "", work()
    except CornetError as error:
        return str(error), None


def meet() -> Ranks:
    """The ranks of this training, met once; hides the others' info logs. Raises CornetError if one is missing."""
    global _met
    if _met is not None:
        return _met
    place = find_ranks()
    if place.world == 1:
        return Ranks(place)
    if place.launcher == "srun":
        _export(place)
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=ARRIVE))
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise CornetError(
            f"rank {place.rank} of {place.world} could not meet the others at {os.environ.get('MASTER_ADDR')}:"
            f"{os.environ.get('MASTER_PORT')} ({reason}); see that all are started, and that nodes reach each other."
        ) from error
    store.set_timeout(WAIT)
    # A store may have outlived the ranks before these.
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    _met = Ranks(place, dist.PrefixStore(f"cornet{restart}", store))
    quieten_others(_met)
    return _met


def known() -> Ranks:
    """The ranks that have met; this process alone where none have."""
    return _met or Ranks(Place())


def is_first_rank() -> bool:
    """Whether this process is rank 0 (or alone), also before the ranks have met; as Lightning's loggers see it."""
    return getattr(rank_zero_only, "rank", 0) in (0, None)


def lost_rank(error: RuntimeError) -> bool:
    """Whether an error of a training says that another rank has gone."""
    said = str(error)
    signs = ("closed by peer", "reset by peer", "Broken pipe", "Connection refused")
    return isinstance(error, dist.DistError) or any(sign in said for sign in signs)


def quieten_others(ranks: Ranks) -> None:
    """Of what all ranks have to say, one says it; information and Python's warnings come from rank 0."""

    def shown(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return ranks.first
        return ranks.tells(record.getMessage())

    for handler in logging.root.handlers:
        handler.addFilter(shown)
    if not ranks.first:
        warnings.simplefilter("ignore")


def _export(place: Place) -> None:
    """What torchrun would have put into the environment, from SLURM's."""
    given = os.environ
    nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_NODELIST", "127.0.0.1")
    given.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    job = int(given.get("SLURM_JOB_ID", "0"))
    given.setdefault("MASTER_PORT", str(15_000 + job % 10_000))  # other jobs may share the node
    given["RANK"], given["WORLD_SIZE"] = str(place.rank), str(place.world)
    given["LOCAL_RANK"], given["LOCAL_WORLD_SIZE"] = str(place.local_rank), str(place.local_world)
    given["GROUP_RANK"] = given.get("SLURM_NODEID", "0")
