"""Malformed configurations, overrides, and descriptions of prepared copies and shards."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from PIL import Image

from cornet import create_model
from cornet.report.run.page import _made_with
from cornet.runs.checkpoints import network_of_run
from cornet.runs.folder import RunFolder
from cornet.runs.path import variant_name
from cornet.stimuli.datasets.prepared import Prepared, check_complete, check_count, read_journal
from cornet.stimuli.datasets.shard_format import DESCRIPTION, Item, ShardSet, pack, shard_name
from cornet.stimuli.datasets.shards import ImageShards
from cornet.training.config_errors import config_error
from tests.helpers.faults.malformed import EFFORT, TEXTS, damaged, fuzz, odd_json, odd_tree
from tests.helpers.faults.watched import Watched
from tests.helpers.paths import CONF

CONFIG: dict[str, Any] = {
    "seed": 0,
    "name": "objects-cornet_s",
    "model": {"name": "cornet_s", "width": 0.1, "times": {"V2": 2, "V4": 4}},
    "data": {
        "_target_": "cornet.stimuli.objects.ObjectSource",
        "size": 32,
        "mean": [0.5, 0.5, 0.5],
        "name": "objects",
    },
    "recipe": {"epochs": 2, "sizes": [[0, 32], [1, 64]]},
    "callbacks": {"a": {"folder": "${run_folder}"}},
}


@pytest.fixture(scope="module")
def watched():
    found = Watched()
    yield found
    found.stop()


def bomb(levels: int, width: int = 10) -> str:
    """A billion laughs: each line holds the one before it ten times."""
    lines = ["data: &a0 [x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * width)}]" for k in range(1, levels)]
    return "\n".join(lines)


YAMLS = (
    bomb(12),
    bomb(4, 3),
    "data: &a {size: 32, again: *a}",
    "data: &a [*a]",
    "a: ${b}\nb: ${a}\ndata: {size: '${a}'}",
    "data: {size: '${oc.env:HOME}'}",
    "data: {size: '${'}",
    "data: {size: ???}",
    "data: !!python/object/apply:os.system [echo]",
    "data: !!python/name:os.system",
    "data: !!binary aGVsbG8=",
    "data: !!set {a, b}",
    "data: 2001-01-01",
    "data: {size: 1e400, mean: .nan, std: .inf}",
    "data: {size: -1}",
    "data: {size: 1000000000000}",
    "data: {size: 32, mean: [a, b, c]}",
    "data: {size: 32, mean: 5}",
    "data: {size: 32, mean: [0, 0, 0], std: [0, 0, 0]}",
    "data: {size: 32, mean: [0], std: [1]}",
    "data: {_target_: cornet.stimuli.nothing.Here, size: 32}",
    "data: {_target_: cornet.stimuli..Here}",
    "data: {_target_: cornet.stimuli.datasets.prepared.json, name: [1]}",
    "data: {_target_: 5, size: [1, 2]}",
    "1: 2\nnull: 3\ntrue: 4\n2001-01-01: 5\n? [a, b]\n: 6",
    "? {a: 1}\n: 2",
    "a: 1\na: 2",
    "[1, 2]",
    "just a text",
    "",
    "---\na: 1\n---\nb: 2",
    "a: " + "[" * 20_000,
    "a: " + "{b: " * 5000 + "1" + "}" * 5000,
    "a: 1" + "0" * 5000,
    "a: 0x" + "f" * 5000,
    "a: 1:" + "59:" * 3000 + "1",
    "data: {size: 32, <<: {size: 64}}",
    "\tdata: 1",
    "data: \0",
    "data: \x85\u2028",
    "%YAML 9.9\n---\na: 1",
    "a: &x !!str\nb: *y",
    "x" * 300_000 + ": 1",
)


@st.composite
def odd_yaml(draw: Any) -> bytes:
    """A configuration mutated, its bytes damaged, or one of those that are known to be hard."""
    kind = draw(st.sampled_from(("tree", "known", "bytes")))
    if kind == "known":
        return draw(st.sampled_from(YAMLS)).encode("utf-8", "surrogatepass")
    if kind == "bytes":
        return draw(damaged(yaml.safe_dump(CONFIG).encode()))
    try:
        return yaml.safe_dump(draw(odd_tree(CONFIG)), allow_unicode=draw(st.booleans())).encode(
            "utf-8", "replace"
        )
    except (RecursionError, yaml.YAMLError, ValueError):
        return b"a: " + b"[" * 10_000


def read_run(folder: Path) -> None:
    """The configuration as a run's folder, a subject and the report read it."""
    _made_with(folder)
    RunFolder(folder).config  # noqa: B018 -- it reads


def read_images(folder: Path) -> None:
    prepared = network_of_run(folder)
    assert prepared.size < 10**5


def read_overrides(folder: Path) -> None:
    given = json.loads((folder / "given.json").read_text())
    overrides = [one for one in given if not one.startswith("-")]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            compose("config", overrides)
    except Exception as error:
        raise config_error(error, CONF, overrides) or error from None
    variant_name(given)


@EFFORT
def test_configurations_of_runs(watched, tmp_path, effort):
    def write(content: bytes, folder: Path) -> None:
        (folder / "config.yaml").write_bytes(content)

    fuzz(effort, 10, odd_yaml(), watched, read_run, tmp_path / "mine", write)


@EFFORT
def test_configurations_of_subjects(watched, tmp_path, effort):
    net = create_model("cornet_z", width=0.02, num_classes=3)
    content = {
        "state_dict": {f"net.{key}": value for key, value in net.state_dict().items()},
        "cornet": {"model.name": "cornet_z", "model.width": 0.02, "model.num_classes": 3},
    }
    out = io.BytesIO()
    torch.save(content, out)

    def write(config: bytes, folder: Path) -> None:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.ckpt").write_bytes(out.getvalue())
        (folder / "config.yaml").write_bytes(config)

    fuzz(effort, 6, odd_yaml(), watched, read_images, tmp_path / "mine", write)


KEYS = (
    "model",
    "model.width",
    "model.times",
    "data.size",
    "recipe.epochs",
    "seed",
    "brain",
    "logger",
    "a.b.c",
    "data",
    "hydra.run.dir",
    "model@x",
    "callbacks.brain.every",
    "1",
    "data.0",
    "..",
    "model..width",
    "'a'",
    "${x}",
    "a/b",
)
VALUES = (
    "1",
    "cornet_s",
    "null",
    "???",
    "[1,2]",
    "{a: 1}",
    "{a: {b: [1, {c: 2}]}}",
    "${seed}",
    "${a}",
    "${oc.env:HOME}",
    "'x y'",
    '"a',
    "1e400",
    "-1",
    "9" * 400,
    "a,b",
    "glob(*)",
    "range(1,3)",
    "range(1,10000000000)",
    "interval(0,1)",
    "choice(1,2)",
    "sort(3,2,1)",
    "shuffle(a,b)",
    "extend_list(1)",
    "tag(a, 1)",
    "int(x)",
    "[" * 60,
    "[" * 40 + "]" * 40,
    "{a:" * 30 + "1" + "}" * 30,
    "(" * 40,
    "\\",
    "a=b",
    "@",
    "~",
    "%",
    "\u2028",
    "é",
    "\0",
    "x" * 3000,
    "",
    " ",
    "{1: 2}",
    "{null: 1}",
    "{true: 1}",
    "{[a]: 1}",
    "../../etc/passwd",
    "[a,b,[c,{d:e}]]",
    "1,2,[3",
    "a:b",
    "0x10",
    "inf",
    "nan",
)


@EFFORT
def test_overrides(watched, tmp_path, effort):
    one = st.builds(
        lambda sign, key, equals, value: sign + key + equals + value,
        st.sampled_from(("", "", "", "+", "++", "~", "--", "-")),
        st.sampled_from(KEYS) | st.sampled_from(TEXTS),
        st.sampled_from(("=", "=", "=", "", "==")),
        st.sampled_from(VALUES) | st.sampled_from(TEXTS),
    )

    def write(given: list[str], folder: Path) -> None:
        (folder / "given.json").write_text(json.dumps(given))

    fuzz(effort, 6, st.lists(one, min_size=1, max_size=3), watched, read_overrides, tmp_path / "mine", write)


def read_copy(folder: Path) -> None:
    Prepared.read(folder)
    read_journal(folder)
    check_complete(folder)
    check_count(folder, {"train": 3, "val": 1})


COPY = dataclasses.asdict(
    Prepared("imagenet", "/a", "short", 256, 90, {"train": 3, "val": 1}, {"train/a/b.jpg": "empty"}, False)
)
JOURNAL = [["train/a/1.jpg", 10, 1.5, 10, "ab"], ["train/a/2.jpg", 10, 1.5, -1, "ab"]]


@EFFORT
def test_prepared_copies(watched, tmp_path, effort):
    def write(case: tuple[bytes, list[bytes]], folder: Path) -> None:
        (folder / "prepared.json").write_bytes(case[0])
        (folder / "prepared.jsonl").write_bytes(b"\n".join(case[1]))

    lines = st.lists(odd_json(JOURNAL[0]) | st.just(json.dumps(JOURNAL[1]).encode()), max_size=3)
    cases = st.tuples(odd_json(COPY) | st.just(json.dumps(COPY).encode()), lines)
    fuzz(effort, 10, cases, watched, read_copy, tmp_path / "mine", write)


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


def shards() -> tuple[dict[str, Any], dict[str, bytes]]:
    """A sound description, and the shards."""
    about = ShardSet("imagenet", "/a", ["a", "b"], {"train": [2, 2], "val": [1, 1]}, 2)
    files = {}
    for split in ("train", "val"):
        order = about.order(split)
        starts = [0, about.counts[split][0]]
        items = [Item(picture(), int(k), int(k >= starts[1]), f"{split}/{k}.png") for k in order]
        about.sizes[split], about.hashes[split] = [], []
        for number in range(about.shards(split)):
            data = pack(items[number * 2 : number * 2 + 2])
            files[f"{split}/{shard_name(number)}"] = data
            about.sizes[split].append(len(data))
            about.hashes[split].append("0" * 16)
    about.complete, about.digest = True, about.fingerprint()
    return dataclasses.asdict(about), files


def read_shards(folder: Path) -> None:
    source = ImageShards(folder, size=8)
    for images in (source.train(), source.val()):
        images.__getitems__([(k, 0) for k in range(len(images))][:8])
    source.train().epoch_order(0, 0, 0, 1)


@EFFORT
def test_shards(watched, tmp_path, effort):
    whole, files = shards()

    def write(case: tuple[Any, bool, str, bytes], folder: Path) -> None:
        tree, signed, name, content = case
        if signed and isinstance(tree, dict):  # whoever changes the description can sign it, too
            try:
                tree = {**tree, "digest": ShardSet(**tree).fingerprint()}
            except Exception:
                tree = {**tree, "digest": ""}
        try:
            (folder / DESCRIPTION).write_text(json.dumps(tree))
        except RecursionError:
            (folder / DESCRIPTION).write_text("[" * 100_000)
        for known, data in files.items():
            (folder / known).parent.mkdir(exist_ok=True)
            (folder / known).write_bytes(content if known == name else data)

    tree = odd_tree(whole) | st.just(whole)
    shard = st.sampled_from(sorted(files)).flatmap(
        lambda name: st.tuples(st.just(name), damaged(files[name]))
    )
    untouched = st.just(("", b""))
    cases = st.tuples(tree, st.booleans(), shard | untouched).map(lambda one: (one[0], one[1], *one[2]))
    fuzz(effort, 10, cases, watched, read_shards, tmp_path / "mine", write)
