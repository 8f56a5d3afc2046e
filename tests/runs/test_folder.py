import json
import os
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.runs.folder import RunFolder
from cornet.runs.path import IGNORED, find_run_path, identity_of, variant_name
from cornet.runs.provenance import versions


def slug(*overrides: str) -> str:
    return variant_name(overrides)


def test_a_variant_is_readable():
    assert slug("recipe.lr=.1", "model=cornet_z") == "model-cornet_z+recipe.lr-0.1"
    assert re.fullmatch(r"experiment[+]\w{8}", slug("experiment=variants/x"))
    assert slug("model.times.V2=3").startswith("model.times.v2-3+")


def test_no_disk_path_is_part_of_a_name():
    name = slug("data.folder=/home/ann/images", "recipe.epochs=3")
    assert re.fullmatch(r"data.folder[+]recipe.epochs-3[+]\w{8}", name)


def begin(path: Path, identity: dict) -> Path:
    path.mkdir(parents=True)
    (path / "identity.json").write_text(json.dumps(identity))
    return path


def test_the_first_configuration_of_a_name_has_the_short_path(tmp_path):
    def find(seed, variant, identity, sweep=False):
        return (
            find_run_path(tmp_path, "mine", seed, variant, identity_of(identity), sweep)
            .relative_to(tmp_path)
            .as_posix()
        )

    assert find(0, "width-0.5", {"width": 0.5}) == "mine/seed0"
    assert find(0, "width-0.5", {"width": 0.5}, sweep=True) == "mine/width-0.5/seed0"
    begin(tmp_path / "mine/seed0", {"width": 0.5, "times": [1, 2]})
    assert find(0, "width-0.5", {"width": 0.5, "times": (1, 2)}) == "mine/seed0"
    assert find(1, "width-0.5", {"width": 0.5, "times": (1, 2)}, sweep=True) == "mine/seed1"
    assert find(0, "width-1.0", {"width": 1.0}) == "mine/width-1.0/seed0"
    begin(tmp_path / "mine/width-1.0/seed0", {"width": 1.0})
    assert find(3, "spelt-otherwise", {"width": 1.0}) == "mine/width-1.0/seed3"
    assert re.fullmatch(r"mine/width-1.0[+]\w{8}/seed0", find(0, "width-1.0", {"width": 1.0, "by": "conf"}))


def test_what_follows_the_seed_does_not_make_another_configuration(tmp_path):
    begin(tmp_path / "mine/seed0", {"loader": {"seed": 0, "workers": 2}})
    begin(tmp_path / "mine/fixed/seed3", {"loader": {"seed": 7, "workers": 2}})

    def find(seed, loader_seed):
        identity = {"loader": {"seed": loader_seed, "workers": 2}}
        return find_run_path(tmp_path, "mine", seed, "v", identity, True).relative_to(tmp_path).as_posix()

    assert (find(0, 0), find(1, 1), find(4, 7)) == ("mine/seed0", "mine/seed1", "mine/fixed/seed4")
    assert find(1, 5) == "mine/v/seed1"


def test_a_run_of_an_earlier_version_keeps_its_folder(tmp_path):
    old = {"callbacks": {"oneself": {"_target_": "cornet.training.progress.Progress"}}}
    path = begin(tmp_path / "mine/model.width-0.5+a-long-list+0123456789/seed2", old)
    now = identity_of({"callbacks": {"oneself": {"_target_": "cornet.training.callbacks.progress.Progress"}}})
    assert find_run_path(tmp_path, "mine", 2, "default", now) == path
    assert find_run_path(tmp_path, "mine", 5, "default", now) == path.with_name("seed5")


@pytest.mark.parametrize("value", [[], ["simulated-ost"]])
def test_a_run_with_the_old_key_brain_ends_keeps_its_folder(tmp_path, value):
    target = {"_target_": "cornet.training.callbacks.brain_score.BrainScore"}

    def config(**keys):
        return {"brain": {"every": 1, **keys}, "callbacks": {"brain_score": {**target, **keys}}}

    current = identity_of(config(start_and_end_only=value, ends=None))
    assert current == identity_of(config(start_and_end_only=value))
    assert current["brain"].get("start_and_end_only", []) == value
    assert identity_of(config(start_and_end_only=["simulated-ost", "kar2019-ost"], ends=value)) == current
    path = begin(tmp_path / "mine/a-variant/seed2", config(ends=value))
    assert find_run_path(tmp_path, "mine", 2, "default", current) == path


def test_damaged_folders_are_passed_over(tmp_path):
    begin(tmp_path / "mine/seed0", {})
    (tmp_path / "mine/seed0/identity.json").write_text("{")
    begin(tmp_path / "mine/seed0.old1", {"a": 1})
    (tmp_path / "mine/report.html").write_text("")
    assert find_run_path(tmp_path, "mine", 0, "default", {"a": 1}) == tmp_path / "mine/seed0"


def test_what_does_not_identify_a_run_is_left_out():
    assert slug("seed=3", "name=x", "logger=wandb", "trainer.devices=2", "hydra/launcher=slurm") == "default"
    assert slug("trainer.accelerator=gpu", "trainer.max_epochs=3") == "trainer.max_epochs-3"
    assert slug("seeds=3") == "seeds-3"
    assert slug("trainer=ddp", "trainer.strategy.static_graph=false", "trainer.num_nodes=2") == "default"
    assert variant_name(["plan=true", "b=2"]) == "b-2"


def test_spelling_and_order_do_not_count_and_the_last_wins():
    assert (
        slug("a=.1", "b=2") == slug("b=2", "a=0.1") == slug("+b=2", "++a=1e-1") == slug("a=3", "b=2", "a=0.1")
    )
    assert slug("a={b: 1, c: 2}") == slug("a.c=2", "a.b=1")
    assert slug("a=1", "~a") == slug("~a") != slug("a=1")
    assert slug("seed=1", "a=1") == slug("a=1")


def test_long_ones_are_cut_and_stay_apart():
    long = [f"group.option_{i}=value_{i}" for i in range(20)]
    one, other = slug(*long), slug(*long[:-1], "group.option_19=value_20")
    assert one != other
    assert len(one) <= 48
    assert one.startswith("group.option_0-value_0+")


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([0.0, 1.0, 1e30, float("inf")]),
        st.text(),
    ),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=4,
)
choices = st.dictionaries(st.sampled_from(["a", "A", "a.b", "b", "b.C"]), values, max_size=3)


def written(value) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, str):
        escaped = value.replace("'", "\\'") if not value.endswith("\\") else value.replace("'", "\\'") + "\\"
        return f"'{escaped}'"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return (
        {None: "null", True: "true", False: "false"}[value] if isinstance(value, bool | None) else repr(value)
    )


SIMPLE = st.text("aA1.,=-_/~ ", min_size=1, max_size=4)
pairs = st.lists(
    st.tuples(st.sampled_from(["a", "A", "b", "a.b"]), SIMPLE), max_size=3, unique_by=lambda p: p[0]
)


@given(pairs, pairs)
def test_like_strings_never_share_a_folder(one, other):
    def lines(pairs):
        return [f"{key}='{value}'" for key, value in pairs]

    same = sorted(one) == sorted(other)
    assert (slug(*lines(one)).lower() == slug(*lines(other)).lower()) == same


@given(choices, choices)
def test_other_overrides_never_share_a_folder(one, other):
    def known(value):
        """As JSON, which keeps 1, 1.0, true and "1" apart."""
        return json.dumps(value, sort_keys=True)

    def lines(chosen):
        return [f"{key}={written(value)}" for key, value in chosen.items()]

    for chosen in (one, other):
        name = slug(*lines(chosen))
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.+-")
        assert len(name) <= 48
    # Without regard to case, as file systems of laptops have it.
    assert (slug(*lines(one)).lower() == slug(*lines(other)).lower()) == (known(one) == known(other))


UNLIKE = [
    *(
        "1",
        "1.0",
        "true",
        "'1'",
        "'true'",
        "'1.0'",
        "0",
        "0.0",
        "-0.0",
        "false",
        "''",
        "null",
        "'null'",
        "inf",
        "'inf'",
    ),
    *(
        "[]",
        "{}",
        "'[]'",
        "[1]",
        "[true]",
        "['1']",
        "[1.0]",
        "[1,2]",
        "1,2",
        "'1,2'",
        "['1,2']",
        "[[1],2]",
        "[1,[2]]",
    ),
    *(
        "'sweep:1,2'",
        "a",
        "A",
        "' a'",
        "'a '",
        "a-b",
        "a/b",
        "a.b",
        "'a~b'",
        "'a,b'",
        "'a=b'",
        "'1,b=2'",
        "'default'",
    ),
    *("{b:1}", "{B:1}", "{b:2}", "{b:'1'}", "{b:{c:1}}", "{b:1,c:2}", "'{b:1}'", "{b.c:1}"),
]


def test_unlike_values_that_look_alike():
    overrides = [*([f"a={text}"] for text in UNLIKE), ["~a"], ["~a=a"], ["a=1", "b=2"], ["A=1"], []]
    folders = [slug(*each).lower() for each in overrides]
    assert len({*folders}) == len(folders), sorted(folders)


@pytest.mark.parametrize("name", [2024, float("nan"), None])
def test_a_name_that_hydra_reads_as_a_number_is_refused(name):
    with pytest.raises(CornetError, match=r"^name=.* must be text; begin it with a letter"):
        find_run_path("runs", name, 0, "default", {})


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 101, "dot.", "seed1"])
def test_name_must_be_a_folders(name):
    with pytest.raises(CornetError, match=r"becomes a folder|reserved for folders of seeds"):
        find_run_path("runs", name, 0, "default", {})


CONFIG = {
    "seed": 0,
    "name": "n",
    "model": {"width": 2, "times": [1, 2]},
    "trainer": {"devices": 1, "max_epochs": 3},
}


def opened(path, fresh=False, **changes):
    config = OmegaConf.to_container(OmegaConf.merge(CONFIG, *[{k: v} for k, v in changes.items()]))
    return RunFolder.open(path, config, identity_of(config), fresh=fresh)


def test_identity():
    assert identity_of(CONFIG) == {"model": {"width": 2, "times": [1, 2]}, "trainer": {"max_epochs": 3}}
    assert identity_of({"logger": {"a": 1}, "seedling": 1}) == {"seedling": 1}
    assert identity_of({"trainer": {"strategy": {"a": 1}, "deterministic": True}}) == {
        "trainer": {"deterministic": True}
    }
    assert "seed" in IGNORED


def test_new_folder_holds_everything(tmp_path):
    state = torch.get_rng_state()
    folder = opened(tmp_path / "runs/n/default/seed0")
    assert torch.equal(torch.get_rng_state(), state)
    assert folder.config == CONFIG
    assert sorted(os.listdir(folder.path)) == ["config.yaml", "identity.json", "run_id", "versions.json"]
    assert len(folder.run_id) == 8
    recorded = json.loads((folder.path / "versions.json").read_text())
    assert recorded["torch"] == torch.__version__.split("+")[0] or recorded["torch"] == torch.__version__
    assert folder.finished is None
    assert folder.last_checkpoint() is None
    folder.checkpoints.mkdir()
    folder.checkpoint("last").write_text("x")
    assert folder.last_checkpoint() == folder.path / "checkpoints/last.ckpt"
    folder.finish({"val/top1": 0.5, "epochs": 3})
    assert RunFolder(folder.path).finished == {"val/top1": 0.5, "epochs": 3}


def test_same_configuration_continues(tmp_path):
    path = tmp_path / "run"
    first = opened(path).run_id
    again = opened(path, trainer={"devices": 4}, seed=7)
    assert again.run_id == first
    assert again.config["trainer"]["devices"] == 4
    tuples = {**CONFIG, "model": {"width": 2, "times": (1, 2)}}
    RunFolder.open(path, CONFIG, identity_of(tuples))
    assert opened(tmp_path / "other").run_id != first


def test_another_configuration_never_lands_there(tmp_path):
    path = tmp_path / "run"
    opened(path)
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    with pytest.raises(CornetError, match=r"model\.width is 2 there and 3 here.*name=.*fresh=true"):
        opened(path, model={"width": 3})
    with pytest.raises(
        CornetError,
        match=r"trainer\.limit is missing there and 1 here, x is missing there and 0 here, y is .* here, 1 more",
    ):
        opened(path, trainer={"limit": 1}, x=0, y=1, z=2)
    assert {name: (path / name).read_bytes() for name in os.listdir(path)} == before


def test_a_key_that_a_later_version_adds_with_null_changes_nothing(tmp_path):
    first = opened(tmp_path / "run").run_id
    assert opened(tmp_path / "run", later=None, model={"width": 2, "later": None}).run_id == first


def test_fresh_moves_the_old_one_aside(tmp_path):
    path = tmp_path / "seed0"
    ids = [opened(path, fresh=True, model={"width": k}).run_id for k in range(3)]
    assert sorted(os.listdir(tmp_path)) == ["seed0", "seed0.old1", "seed0.old2"]
    assert RunFolder(tmp_path / "seed0.old1").run_id == ids[0]
    assert RunFolder(tmp_path / "seed0.old2").config["model"]["width"] == 1
    assert RunFolder(path).run_id == ids[2]


def test_a_folder_of_unknown_origin_is_refused(tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    with pytest.raises(CornetError, match="checkpoints but no identity"):
        opened(tmp_path / "run")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.yaml").write_text("")
    assert opened(tmp_path / "half").config == CONFIG
    (tmp_path / "file").write_text("")
    with pytest.raises(CornetError, match="cannot be created"):
        opened(tmp_path / "file")
    (tmp_path / "half/identity.json").write_text("{")
    with pytest.raises(CornetError, match="cannot be read"):
        opened(tmp_path / "half")


def test_reading_a_folder_without_a_run(tmp_path):
    for read in (lambda: RunFolder(tmp_path).run_id, lambda: RunFolder(tmp_path).config):
        with pytest.raises(CornetError, match="is not a run"):
            read()
    assert RunFolder(tmp_path).finished is None


def test_later_versions_are_added(tmp_path):
    folder = opened(tmp_path / "run")
    recorded = json.loads((folder.path / "versions.json").read_text())
    (folder.path / "versions.json").write_text(json.dumps({**recorded, "torch": "1.0"}))
    for _ in range(2):
        opened(tmp_path / "run")
    again = json.loads((folder.path / "versions.json").read_text())
    assert again["torch"] == "1.0"
    assert [late["torch"] for late in again["continued_with"]] == [recorded["torch"]]


def test_versions_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = versions()
    assert found["commit"] is None
    assert found["gpus"] == []
    assert found["python"]
