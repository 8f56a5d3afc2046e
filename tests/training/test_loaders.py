"""Order of images: from (seed, epoch) alone, shared among ranks."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.stimuli.samples import Key, Sample
from cornet.training import loaders
from cornet.training.loaders import EpochSampler, ImageLoaders, default_workers


class Numbers:
    """Images whose every pixel is their index plus 10 x the epoch."""

    name, size, mean, std, views, in_memory = "numbers", 4, (0.5,) * 3, (0.5,) * 3, ("center",), True
    classes = ("even", "odd")

    def __init__(self, length=10):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, key: Key) -> Sample:
        index, epoch = key
        return Sample(torch.full((3, 4, 4), index + 10 * epoch, dtype=torch.uint8), index % 2, index)

    def __getitems__(self, keys):
        return [self[key] for key in keys]

    def train(self):
        return self

    def val(self):
        return self


def indices(sampler: EpochSampler) -> list[int]:
    return [key.index for key in sampler]


def test_every_epoch_has_an_order_of_its_own_which_can_be_repeated():
    sampler = EpochSampler(50, seed=3, shuffle=True)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(indices(sampler))
        assert sorted(orders[-1]) == list(range(50))
        assert {key.epoch for key in sampler} == {epoch}
    assert orders[0] == orders[2] != orders[1]
    assert indices(EpochSampler(50, seed=4, shuffle=True)) != orders[0]


@pytest.mark.parametrize(("length", "world"), [(10, 3), (12, 4), (7, 8)])
def test_ranks_share_an_epoch(length, world):
    train = [indices(EpochSampler(length, 0, True, rank, world)) for rank in range(world)]
    assert {len(share) for share in train} == {length // world}
    seen = np.concatenate([*train, []])
    assert len(set(seen)) == len(seen)
    val = [indices(EpochSampler(length, 0, False, rank, world)) for rank in range(world)]
    assert sorted(np.concatenate(val)) == list(range(length))
    assert [len(EpochSampler(length, 0, False, rank, world)) for rank in range(world)] == list(map(len, val))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_know_their_epoch_also_in_lasting_workers(workers):
    loader = ImageLoaders(Numbers(), batch_size=4, workers=workers, seed=0).train_dataloader()
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        assert len(batches) == 2
        for batch in batches:
            assert batch.images.dtype == torch.uint8
            assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices + 10 * epoch)
            assert torch.equal(batch.labels, batch.indices % 2)


def test_validation_shows_every_image_once():
    loader = ImageLoaders(Numbers(), batch_size=4).val_dataloader()
    assert torch.cat([batch.indices for batch in loader]).tolist() == list(range(10))


def test_a_batch_that_cannot_be_filled_is_refused():
    with pytest.raises(
        CornetError, match=r"recipe.batch_size=16 is more than the 10 training images of numbers"
    ):
        ImageLoaders(Numbers(), batch_size=16)


class Threads(Numbers):
    """Images whose pixels are the number of threads that made them."""

    def __getitem__(self, key: Key) -> Sample:
        return Sample(torch.full((3, 4, 4), torch.get_num_threads(), dtype=torch.uint8), 0, key.index)


def test_workers_compute_in_one_thread_last_and_share_their_memory():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        loader = ImageLoaders(Threads(), batch_size=4, workers=2).train_dataloader()
        batches = list(loader)
        processes = [worker.pid for worker in loader._iterator._workers]
        batches += list(loader)
    finally:
        torch.set_num_threads(before)
    assert [worker.pid for worker in loader._iterator._workers] == processes
    assert all((batch.images == 1).all() and batch.images.is_shared() for batch in batches)


def test_an_iterator_waits_for_the_epoch_to_be_told():
    loader = ImageLoaders(Numbers(), batch_size=4, workers=2).train_dataloader()
    batches = iter(loader)
    loader.sampler.set_epoch(5)
    assert (next(batches).images[:, 0, 0, 0] >= 50).all()


def test_an_order_of_its_own():
    class Backwards(Numbers):
        def epoch_order(self, seed, epoch, rank, world):
            return [9 - i for i in range(10)][rank::world]

    loader = ImageLoaders(Backwards(), batch_size=5).train_dataloader()
    assert torch.cat([batch.indices for batch in loader]).tolist() == list(range(9, -1, -1))
    val = ImageLoaders(Backwards(), batch_size=5).val_dataloader()
    assert torch.cat([batch.indices for batch in val]).tolist() == list(range(10))


def test_workers_of_a_slurm_task(monkeypatch):
    monkeypatch.setattr(loaders.os, "sched_getaffinity", lambda process: range(64))
    assert default_workers(in_memory=False) == 16
    assert default_workers(in_memory=True) == 0
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert default_workers(in_memory=False) == 8
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert default_workers(in_memory=False) == 6
