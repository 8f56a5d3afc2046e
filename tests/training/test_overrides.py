import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.training.command_line import reading
from cornet.training.near_names import near
from cornet.training.overrides import check_missing

FILES = {
    "config.yaml": {
        "defaults": [
            {"model": "cornet_z"},
            {"recipe": "sgd"},
            {"trainer": "cpu"},
            {"brain": ["probe"]},
            {"logger": "none"},
            {"experiment": None},
            "_self_",
        ],
        "seed": 0,
        "name": "${model.kind}",
        "data_root": "???",
        "note": None,
    },
    "model/cornet_z.yaml": {"kind": "z", "width": 1, "classes": "${recipe.classes}", "spec": "${recipe}"},
    "model/cornet_s.yaml": {
        "kind": "s",
        "width": 1,
        "times": {"V2": 2, "V4": 4},
        "layers": [{"k": 3}, {"k": 4}],
    },
    "model/cornet_rt.yaml": {"kind": "rt", "steps": 5},
    "recipe/sgd.yaml": {"learning_rate": 0.1, "momentum": 0.9, "classes": 10},
    "trainer/cpu.yaml": {"max_epochs": 3, "accelerator": "cpu"},
    "brain/probe.yaml": {"probe": {"every": 1}},
    "brain/rust.yaml": {"rust": {"every": 2}},
    "logger/none.yaml": {},
    "logger/csv.yaml": {"csv": {"folder": "x"}},
    "extra/more.yaml": {"value": 1},
    "experiment/fast.yaml": {"recipe": {"learning_rate": 1.0}},
    "experiment/variants/deep.yaml": {"defaults": [{"override /model": "cornet_s"}], "model": {"depth": 9}},
    "experiment/broken.yaml": {"defaults": [{"override /model": "cornet_y"}]},
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conf")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = "# @package _global_\n" if name.startswith(("experiment", "logger")) else ""
        path.write_text(header + yaml.safe_dump(content, sort_keys=False))
    return folder


def compose_all(argv, conf):
    """As train.py reads a command line before it starts."""
    with reading(argv, conf) as command:
        mode = RunMode.MULTIRUN if command.arguments.multirun else RunMode.RUN
        return command.compose(command.arguments.overrides, mode)


GOOD = [
    [],
    ["model=cornet_s", "model.times.V2=3", "model.layers.0.k=5", "model.layers.1.k=6"],
    ["model=cornet_s,cornet_z", "model.width=1,2", "--multirun"],
    ["-m", "model=choice(cornet_s,cornet_z)", "seed=range(1,4)"],
    ["-m", "model=glob(cornet_*)", "seed=1"],
    ["experiment=variants/deep", "model.depth=3", "model.times.V4=1"],
    ["-m", "experiment=fast,variants/deep"],
    ["brain=[probe,rust]", "brain.rust.every=3"],
    ["brain=[]", "name='a, b (c)'", 'name="x=y"'],
    ["+extra=more", "extra.value=3"],
    ["+extra@second=more", "second.value=3"],
    ["+note_two=1", "note_two=2", "++seed=4", "++new.key=[1,2]", "new.key=3"],
    ["recipe={learning_rate: .2, momentum: 0}", "+recipe={nesterov: true}", "recipe.nesterov=false"],
    ["~logger", "~recipe.momentum"],
    ["+brain.probe.every=[1]"],
    ["hydra.run.dir=x", "hydra/launcher=basic", "--cfg", "job", "--info", "defaults", "-p=model"],
    ["seed=${trainer.max_epochs}", "note="],
    ["note={a: 1}", "note.a=2"],
]


@pytest.mark.parametrize("overrides", GOOD, ids=str)
def test_accepts(conf, overrides):
    compose_all(overrides, conf)


BAD = {
    "model=cornet_zz": "there is no such model; did you mean cornet_z? Choices: cornet_rt, cornet_s, cornet_z.",
    "model=3": "Choices: cornet_rt, cornet_s, cornet_z.",
    "experiment=variants/dep": "did you mean variants/deep?",
    "experiment=deep": "did you mean variants/deep?",
    "brain=[probe,rusd]": "brain=[probe,rusd]: there is no such brain; did you mean rust?",
    "logger=null": "did you mean none?",
    "model=null": "did you mean ~model?",
    "modle=cornet_z": "did you mean model?",
    "network=cornet_z": "did you mean model=cornet_z?",
    "recipe.lerning_rate=.1": "did you mean recipe.learning_rate?",
    "trainr.max_epochs=3": "did you mean trainer.max_epochs?",
    "max_epochs=3": "did you mean trainer.max_epochs?",
    "epochs=1": "did you mean trainer.max_epochs?",
    "trainer={max_epoch: 3}": "there is no trainer.max_epoch; did you mean trainer.max_epochs?",
    "model.times.V2=3": "there is no model.times.V2 with model=cornet_z; model=cornet_s would have it.",
    "model.spec2.deep.er=3": "model has: kind, width, classes, spec.",
    "lr=.1": "did you mean recipe.learning_rate?",
    "model.zzz=3": "model has: kind, width, classes, spec.",
    "modl/cornet_z=1": "there is no modl/cornet_z",
    "xyzzy@model=cornet_z": "there is no xyzzy; did you mean model=cornet_z?",
    "model@second=cornet_z": "Did you mean to override model? To append",
    "extra=more": "To append to your default list use +extra=more.",
    "+model=cornet_s": "model is chosen already; leave out the +.",
    "+seed=1": "An item is already at 'seed'. Either remove + prefix: 'seed=1'",
    "+recipe.momentum=1": "An item is already at 'recipe.momentum'.",
    "~recipe.momentun": "did you mean recipe.momentum?",
    "~extra": "Could not delete 'extra'. No match in the defaults list.",
    "name=a (b": "cannot be read",
    "x=[1": "The override x=[1 cannot be read",
    "fast": "'fast' is not an override: write key=value",
    "experiment=broken": "Could not find 'model/cornet_y'; did you mean cornet_",
}


@pytest.mark.parametrize("override", BAD, ids=str)
def test_refuses_with_the_near_name(conf, override):
    with pytest.raises(CornetError) as caught:
        compose_all([override], conf)
    message = str(caught.value)
    assert BAD[override] in message
    assert "\n" not in message


def test_keys_are_those_of_every_choice_of_a_sweep(conf):
    compose_all(["model=cornet_s", "model.times.V2=3"], conf)
    with pytest.raises(
        CornetError, match=r"there is no model\.times\.V2 with model=cornet_z; model=cornet_s would"
    ):
        compose_all(["model=cornet_z", "model.times.V2=3"], conf)


def test_a_removed_key_is_gone_for_later_overrides(conf):
    with pytest.raises(
        CornetError, match=r"Could not override 'recipe\.momentum'\. To append .* use \+recipe"
    ):
        compose_all(["~recipe.momentum", "recipe.momentum=3"], conf)


def test_mandatory_choice(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "config.yaml").write_text("defaults:\n  - model: ???\n  - _self_\n")
    (tmp_path / "model/a.yaml").write_text("x: 1\n")
    with pytest.raises(CornetError, match=r"You must specify 'model', e\.g, model=<OPTION>"):
        compose_all(["hydra.verbose=true"], tmp_path)
    compose_all(["model=a", "model.x=3"], tmp_path)


@pytest.mark.parametrize("place", ["hydra.searchpath=[file://{}]", "--config-dir={}"])
def test_configurations_of_other_folders_count(conf, tmp_path, place):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("own: 1\n")
    compose_all([place.format(tmp_path), "model=mine", "model.own=2"], conf)
    for wrong, right in (("model=mien", "mine"), ("model=mine model.ow=2", "model.own")):
        with pytest.raises(CornetError, match=f"did you mean {right}"):
            compose_all([place.format(tmp_path), *wrong.split()], conf)


def test_what_cannot_be_found_or_read(conf, tmp_path):
    with pytest.raises(CornetError, match="Primary config directory not found"):
        compose_all([], conf / "none")
    with pytest.raises(CornetError, match="Cannot find primary config 'other'"):
        compose_all(["--config-name", "other"], conf)
    with pytest.raises(CornetError, match="is not a folder"):
        compose_all([f"--config-dir={tmp_path}/none"], conf)
    (tmp_path / "config.yaml").write_text("a: [1\n")
    with pytest.raises(CornetError, match="cannot be composed: while parsing a flow sequence") as caught:
        compose_all([], tmp_path)
    assert "\n" not in str(caught.value)


def test_leaves_hydras_global_state_alone(conf):
    with initialize_config_dir(str(conf), job_name="outer", version_base="1.3"):
        mine, before = GlobalHydra.instance(), dict(Singleton._instances)
        compose_all(["model=cornet_s"], conf)
        with pytest.raises(CornetError):
            compose_all(["model=x"], conf)
        assert GlobalHydra.instance() is mine
        assert Singleton._instances == before
        assert compose("config", ["model=cornet_s"]).model.kind == "s"


def test_near():
    assert near("cornet_zz", ["cornet_z", "cornet_s", "other"])[0] == "cornet_z"
    assert near("EPOCHS", ["max_epochs", "seed"]) == ["max_epochs"]
    assert near("b.epoch", ["a.epochs", "b.epochs"])[0] == "b.epochs"
    assert near("lr", ["recipe.learning_rate", "layer"]) == ["recipe.learning_rate"]
    assert near("xyzzy", ["a", "b"]) == []
    assert len(near("abcx", [f"abc{i}" for i in range(9)], n=2)) == 2


def test_check_missing(conf):
    config = OmegaConf.create({"a": 1, "data": {"root": "???", "split": "???"}})
    with pytest.raises(
        CornetError, match=r"data\.root has no value yet \(and so have data\.split\).*data\.root=<value>"
    ):
        check_missing(config)
    check_missing(OmegaConf.create({"a": None}))
