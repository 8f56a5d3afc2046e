"""Shards in object storage: a real server with S3's interface on this machine, reached as any other."""

import contextlib
import os
from pathlib import Path

import pytest
import torch

from cornet.errors import CornetError
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.prepare import write_shards
from cornet.stimuli.samples import Key
from cornet.training.loaders import ImageLoaders
from tests.helpers.stimuli.pictures import class_folders

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the server and the client
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("source"), train=20, val=3)


@pytest.fixture(scope="module")
def bucket(folder, tmp_path_factory):
    """The address of shards of 6 images, and the server's."""
    pytest.importorskip("litdata")
    boto3 = pytest.importorskip("boto3")
    moto_server = pytest.importorskip("moto.server")
    target = tmp_path_factory.mktemp("shards")
    write_shards("imagenet", folder, target, per_shard=6, processes=1)
    server = moto_server.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in keys.items():
            patch.setenv(key, value)
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="photographs")
        for path in target.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), "photographs", f"set/{path.relative_to(target)}")
        yield "s3://photographs/set", endpoint
        client.close()
        server.stop()


def source(bucket, cache, **arguments) -> ImageShards:
    address, endpoint = bucket
    options = {"endpoint_url": endpoint}
    return ImageShards(address, size=16, cache=cache, storage_options=options, window=2, **arguments)


def fetched(cache) -> set[str]:
    return {str(path.relative_to(cache)) for path in Path(cache).rglob("*.bin")}


def test_the_same_samples_as_from_class_folders(folder, bucket, tmp_path):
    mine, theirs = source(bucket, tmp_path), ImageFolder(folder, size=16)
    assert fetched(tmp_path) == set()
    for one, other in ((mine.train(), theirs.train()), (mine.val(), theirs.val())):
        for index in range(len(one)):
            assert torch.equal(one[Key(index, 1)].image, other[Key(index, 1)].image)
    assert len(fetched(tmp_path)) == 7 + 1
    before = {path: os.stat(tmp_path / path).st_ino for path in fetched(tmp_path)}
    again = source(bucket, tmp_path).train()
    assert torch.equal(again[Key(0, 0)].image, theirs.train()[Key(0, 0)].image)
    assert {
        path: os.stat(tmp_path / path).st_ino for path in fetched(tmp_path)
    } == before  # each fetched once


def test_worker_processes_and_a_small_cache(bucket, tmp_path):
    """Two workers on one cache that holds three of the eight shards: an epoch is whole, and the cache stays small."""
    train = source(bucket, tmp_path).train()
    size = max(train.files._sizes)
    small = source(bucket, tmp_path, cache_gb=3 * size / 1e9)
    whole = {}
    for batch in ImageLoaders(small, batch_size=4, workers=2).train_dataloader():
        assert len(fetched(tmp_path)) <= 3
        whole.update(zip(batch.indices.tolist(), batch.images, strict=True))
    assert sorted(whole) == list(range(40))
    assert all(torch.equal(image, train[Key(index, 0)].image) for index, image in whole.items())


def test_what_cannot_be_fetched(bucket, tmp_path):
    with pytest.raises(
        CornetError, match=r"s3://nowhere/set/cornet-index.json could not be fetched \(.*\); check the URL"
    ):
        source(("s3://nowhere/set", bucket[1]), tmp_path)
    train = source(bucket, tmp_path / "cache").train()
    client = pytest.importorskip("boto3").client("s3", endpoint_url=bucket[1])
    with contextlib.closing(client):
        body = client.get_object(Bucket="photographs", Key="set/train/chunk-0-0.bin")["Body"].read()
        client.delete_object(Bucket="photographs", Key="set/train/chunk-0-0.bin")
        inside = int(train.files._order[0])
        with pytest.raises(CornetError, match=r"train/chunk-0-0.bin could not be fetched \("):
            train[Key(inside, 0)]
        client.put_object(Bucket="photographs", Key="set/train/chunk-0-0.bin", Body=body)
    assert train[Key(inside, 0)].index == inside
