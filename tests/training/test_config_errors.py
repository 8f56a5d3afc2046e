"""Mistakes on a command line: one sentence with what was meant, found in what Hydra raises."""

import pytest
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.initialize import initialize_config_dir
from hydra.types import RunMode
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.training.config_errors import check_missing, config_error, near

pytestmark = pytest.mark.usefixtures("elsewhere")

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


def refused(argv, conf) -> str:
    """The sentence with which a command line is refused."""
    arguments = get_args_parser().parse_args(argv)
    found = None
    with initialize_config_dir(str(arguments.config_path or conf), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            loader.load_configuration(arguments.config_name or "config", arguments.overrides, RunMode.RUN)
        except Exception as error:
            found = config_error(error, conf, argv)
    assert found is not None
    assert "\n" not in str(found)
    return str(found)


BAD = {
    "model=cornet_zz": "did you mean cornet_z? Choices: cornet_rt, cornet_s, cornet_z.",
    "experiment=variants/dep": "Could not find 'experiment/variants/dep'; did you mean deep? Choices: deep.",
    "brain=[probe,rusd]": "Could not load 'brain/rusd'; did you mean rust? Choices: probe, rust.",
    "logger=null": "Config group override must be a string or a list. Got NoneType.",
    "modle=cornet_z": "there is no modle; did you mean model?",
    "recipe.lerning_rate=.1": "there is no recipe.lerning_rate; did you mean recipe.learning_rate?",
    "trainr.max_epochs=3": "did you mean trainer.max_epochs?",
    "max_epochs=3": "did you mean trainer.max_epochs?",
    "epochs=1": "did you mean trainer.max_epochs?",
    "trainer={max_epoch: 3}": "there is no trainer.max_epoch; did you mean trainer.max_epochs?",
    "lr=.1": "did you mean recipe.learning_rate?",
    "model.zzz=3": "Could not override 'model.zzz'. To append to your config use +model.zzz=3.",
    "model@second=cornet_z": "Did you mean to override model? To append",
    "extra=more": "To append to your default list use +extra=more.",
    "+seed=1": "seed is added with +, but exists already; give it once, as seed=...",
    "~recipe.momentun": "did you mean recipe.momentum?",
    "~extra": "Could not delete 'extra'. No match in the defaults list.",
    "name=a (b": "cannot be read",
    "x=[1": "The override x=[1 cannot be read",
    "fast": "'fast' is not an override: write key=value",
    "experiment=broken": "Could not find 'model/cornet_y'; did you mean cornet_",
    "seed=1,2": "Ambiguous value for argument 'seed=1,2'",
    "seed=1,2 recipe.lerning_rate=1": "did you mean recipe.learning_rate?",
    "model=cornet_s model.time.V2=3": "did you mean model.times.V2?",
    "--config-name=other": "Cannot find primary config 'other'",
    "--config-path=/none/at/all": "Primary config directory not found",
}


@pytest.mark.parametrize("line", BAD, ids=str)
def test_one_sentence_with_the_near_name(conf, line):
    given = [line] if line.startswith(("name", "trainer={")) else line.split(" ")
    assert BAD[line] in refused(given, conf)


def test_a_removed_key_is_not_offered(conf):
    message = refused(["~recipe.momentum", "recipe.momentum=3"], conf)
    assert "To append to your config use +recipe.momentum=3" in message


def test_a_choice_that_must_be_made(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "config.yaml").write_text("defaults:\n  - model: ???\n  - _self_\n")
    (tmp_path / "model/a.yaml").write_text("x: 1\n")
    assert "You must specify 'model', e.g, model=<OPTION>" in refused([], tmp_path)


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [1\n")
    assert "cannot be composed: while parsing a flow sequence" in refused([], tmp_path)


def test_names_of_other_folders_count(conf, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("own: 1\n")
    place = f"hydra.searchpath=[file://{tmp_path}]"
    for wrong, right in (("model=mien", "mine"), ("model=mine model.ow=2", "model.own")):
        assert f"did you mean {right}" in refused([place, *wrong.split()], conf)


def test_a_folder_beside_the_programs_own(train, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("width: 1\n")
    code, _, err = train(f"--config-dir={tmp_path}", "model=mien", small=False)
    assert (code, "did you mean mine" in err) == (2, True), err
    code, _, err = train(f"--config-dir={tmp_path}", "model=mine", "model.widht=1", small=False)
    assert (code, "did you mean model.width?" in err) == (2, True), err
    code, _, err = train(f"--config-dir={tmp_path}/none", small=False)
    assert (code, "none' not found" in err, err.count("\n")) == (2, True, 1), err


def test_other_errors_are_left_alone(conf):
    """Of the program itself: they need their traceback."""

    def fail(error: Exception) -> Exception:
        try:
            raise error
        except type(error) as raised:
            return raised

    for error in (ValueError("x"), RuntimeError("x"), KeyError("x")):
        assert config_error(fail(error), conf, []) is None
    full = fail(OSError(28, "No space left on device", "file"))
    assert "the disk is full" in str(config_error(full, conf, []))
    own = fail(CornetError("width=0 must be positive."))
    own.add_note("width=0 seed=1")
    assert str(config_error(own, conf, [])) == "width=0 seed=1: width=0 must be positive."


def test_hydras_global_state_stays(conf):
    with initialize_config_dir(str(conf), job_name="outer", version_base="1.3"):
        mine = GlobalHydra.instance().hydra
        assert mine is not None
        with pytest.raises(ConfigCompositionException) as caught:
            mine.compose_config("config", ["model=x"], RunMode.RUN)
        assert "Choices" in str(config_error(caught.value, conf, ["model=x"]))
        assert GlobalHydra.instance().hydra is mine


def test_near():
    assert near("cornet_zz", ["cornet_z", "cornet_s", "other"])[0] == "cornet_z"
    assert near("EPOCHS", ["max_epochs", "seed"]) == ["max_epochs"]
    assert near("b.epoch", ["a.epochs", "b.epochs"])[0] == "b.epochs"
    assert near("lr", ["recipe.learning_rate", "layer"]) == ["recipe.learning_rate"]
    assert near("xyzzy", ["a", "b"]) == []
    assert near("cornt_s", ["cornet_s", "cornet_z"]) == ["cornet_s"]
    assert len(near("abcx", [f"abc{i}" for i in range(9)])) == 3


def test_check_missing(conf):
    config = OmegaConf.create({"a": 1, "data": {"root": "???", "split": "???"}})
    with pytest.raises(
        CornetError, match=r"data\.root has no value yet \(nor have data\.split\).*data\.root=<value>"
    ):
        check_missing(config)
    check_missing(OmegaConf.create({"a": None}))
