"""How ranks find their place and come to terms: threads that meet at a store in memory, and environments."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from cornet.errors import CornetError
from cornet.training.ranks.processes import Place, Ranks, find_ranks


def all_ranks(work, world=3):
    """What each of the ranks gets from `work(ranks)`: a value, or the sentence of its error."""
    store = dist.HashStore()

    def one(rank):
        try:
            return work(Ranks(Place(rank, world, rank, world, "torchrun"), store))
        except CornetError as error:
            return str(error)

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(one, range(world)))


def test_alone_without_a_launcher():
    assert find_ranks({}) == Place(0, 1, 0, 1, None)
    assert (
        find_ranks({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}).launcher is None
    )  # a batch script without srun


def test_torchrun():
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    place = find_ranks(given | {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1"})  # torchrun inside of srun
    assert place == Place(5, 8, 1, 4, "torchrun")
    assert place.nodes == 2


def test_srun():
    given = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "9", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "16"}
    given |= {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "8(x2)"}
    assert find_ranks(given) == Place(9, 16, 1, 8, "srun")
    given |= {"SLURM_STEP_TASKS_PER_NODE": "9,7"}
    with pytest.raises(CornetError, match=r"16 ranks are spread unevenly over the nodes.*--ntasks-per-node"):
        find_ranks(given)


def test_those_who_agree_go_on():
    assert all_ranks(lambda ranks: ranks.agree({"model": {"width": 1, "times": (1, 2)}})) == [None] * 3


def test_those_who_disagree_all_hear_the_same_sentence():
    told = all_ranks(lambda ranks: ranks.agree({"model": {"width": 1 + (ranks.place.rank == 2)}, "seed": 0}))
    assert len(set(told)) == 1
    assert "the ranks disagree on what to run: model.width is 1 on rank 0 and 2 on rank 2; start" in told[0]


def test_a_mistake_of_one_is_heard_by_all_and_one_of_all_is_told_as_it_is():
    told = all_ranks(lambda ranks: ranks.agree({}, "no folder." if ranks.place.rank == 1 else ""))
    assert told == ["no folder (on rank 1)."] * 3
    assert all_ranks(lambda ranks: ranks.agree({}, "no folder.")) == ["no folder."] * 3
    told = all_ranks(lambda ranks: ranks.agree({}, "no folder." if ranks.place.rank == 0 else ""))
    assert told == ["no folder."] * 3


def test_work_done_together():
    assert all_ranks(lambda ranks: ranks.together(lambda: ranks.place.rank)) == [0, 1, 2]

    def work(rank):
        if rank == 2:
            raise CornetError("it broke.")

    assert (
        all_ranks(lambda ranks: ranks.together(lambda: work(ranks.place.rank)))
        == ["it broke (on rank 2)."] * 3
    )


def test_what_the_first_does_all_have():
    done = []

    def work(ranks):
        return [ranks.from_first(lambda: done.append(ranks.place.rank) or {"n": len(done)}) for _ in range(2)]

    assert all_ranks(work) == [[{"n": 1}, {"n": 2}]] * 3
    assert done == [0, 0]

    def refuse():
        raise CornetError("another run is there.")

    assert all_ranks(lambda ranks: ranks.from_first(refuse)) == ["another run is there."] * 3


def test_one_tells():
    told = all_ranks(lambda ranks: ranks.tells("a"))
    assert sorted(told) == [False, False, True]
    told = all_ranks(lambda ranks: ranks.tells("a name that is not UTF-8: \udce9"))
    assert sorted(told) == [False, False, True]
    assert Ranks(Place()).tells()


def test_alone_each_does_the_plain_thing():
    alone = Ranks(Place())
    alone.agree({"a": 1})
    assert alone.together(lambda: 1) == alone.from_first(lambda: 1) == 1
    with pytest.raises(CornetError, match="it broke"):
        alone.agree({}, "it broke.")
