"""What a configuration may call, and that nothing else is called: neither by us nor by Hydra before us."""

import pickle
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from cornet.brain.subjects.checkpoints import SOURCES
from cornet.errors import CornetError
from cornet.training.build import make
from cornet.training.trusted import (
    CORNET,
    LIBRARIES,
    check_trusted,
    own_names,
    targets,
    trusted,
    trusted_file,
)
from cornet.training.trusted_command import LAUNCHER_KEYS, LOGGING, PLUGINS, check_command, check_flags

CONF = Path(__file__).parents[2] / "conf"
EVIL = (
    "os.system",
    "posix.system",
    "torch.load",
    "torch.hub.load",
    "builtins.eval",
    "hydra.utils.call",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "functools.partial",
    "subprocess.run",
    "pytorch_lightning.loggers.WandbLogger",
    "pytorch_lightning.callbacks.LambdaCallback",
    "pytorch_lightning.cli.LightningCLI",
    "cornet.files.atomic_write",
    "cornet.obtain.obtain",
    "cornet.training.recipe.Recipe.__init__.__globals__",
    "cornet.training.run.run",
    "cornet.models.create_model",
    "cornet",
)


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The user's file of names, empty."""
    path = tmp_path / "trusted.txt"
    path.write_text("")
    monkeypatch.setenv("CORNET_TRUSTED", str(path))
    return path


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(("# @package _global_\n" if "experiment" in name else "") + yaml.safe_dump(content))
    return path


def located(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def test_all_that_conf_names_is_allowed() -> None:
    found = {
        name
        for path in CONF.rglob("*.yaml")
        for _, name in targets(OmegaConf.to_container(OmegaConf.load(path)))
    }
    assert len(found) > 20
    assert found <= CORNET | LIBRARIES | PLUGINS


@pytest.mark.parametrize("name", sorted(CORNET | LIBRARIES | PLUGINS | LOGGING))
def test_every_allowed_name_exists(name) -> None:
    package = name.split(".")[0] if "submitit" not in name else "submitit"
    if find_spec(package) is None:
        pytest.skip(f"{package} is not here")
    assert name in ("sys.stderr", "sys.stdout") or callable(located(name))


def test_sources_of_images_are_those_that_a_run_may_name() -> None:
    assert set(SOURCES) == {name for name in CORNET if name.startswith("cornet.stimuli.")}


def test_a_launcher_is_told_what_its_own_configuration_has() -> None:
    config = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.config")
    has = set(OmegaConf.structured(config.SlurmQueueConf).keys())
    assert has - {"setup", "additional_parameters"} == LAUNCHER_KEYS


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize(
    "key", ["callbacks.x", "data", "model.times", "trainer.strategy", "brain.benchmarks"]
)
def test_others_are_refused_wherever_they_stand(own, name, key) -> None:
    config = OmegaConf.create({"recipe": {"_target_": "cornet.training.recipe.Recipe"}})
    OmegaConf.update(config, key, {"_target_": name, "_partial_": True}, force_add=True)
    with pytest.raises(CornetError) as told:
        check_trusted(config)
    assert str(told.value).startswith(f"{key}._target_")
    assert name in str(told.value)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")
    with pytest.raises(CornetError):
        check_trusted(OmegaConf.to_container(config))  # as it is read back from a run's folder
    with pytest.raises(CornetError):
        make(OmegaConf.select(config, key), "x")


@pytest.mark.parametrize(
    "name", [None, 3, ["os.system"], {"_target_": "x"}, "", "os", "os..system", "os.system\n", "a.b:c"]
)
def test_what_is_no_name_is_refused(own, name) -> None:
    for config in ({"x": {"_target_": name}}, {"x": [{"y": {"_target_": name}}]}):
        with pytest.raises(CornetError, match=r"_target_ is .*no name that can be called"):
            check_trusted(config)


def test_the_refusal_says_key_name_rule_and_remedy(own) -> None:
    with pytest.raises(CornetError) as told:
        check_trusted({"callbacks": {"x": {"_target_": "os.system"}}})
    assert str(told.value) == (
        "callbacks.x._target_=os.system is not on the list of names that a configuration may call (others could run "
        f"any program); if you know that it does no harm, add the line os.system to {own}."
    )
    with pytest.raises(CornetError, match=r"did you mean pytorch_lightning\.callbacks\.EarlyStopping\?"):
        check_trusted({"x": {"_target_": "pytorch_lightning.callbacks.EarlyStoping"}})


REACHED = {
    "reference": {"x": {"_target_": "${name}"}, "name": "os.system"},
    "of parts": {"x": {"_target_": "${a}.${b}"}, "a": "os", "b": "system"},
    "environment": {"x": {"_target_": "${oc.env:EVIL}"}},
    "made by a resolver": {"x": {"y": "${oc.create:{_target_: os.system, command: '${command}'}}"}},
    "decoded": {"x": {"y": "${oc.decode:'{_target_: os.system, command: x}'}"}},
    "a node elsewhere": {"x": {"y": "${z}"}, "z": {"_target_": "os.system", "command": "x"}},
    "escaped": {"x": {"y": r"\${oc.create:{_target_: os.system, command: x}}"}},
    "escaped name": {"x": {"_target_": r"\${name}"}, "name": "os.system"},
    "escaped key": {"x": {"_target_": "cornet.training.recipe.Recipe", "y": {r"\${name}": 1}}},
    "in a list": {
        "x": {"_target_": "cornet.training.recipe.Recipe", "_args_": [[{"_target_": "os.system"}]]}
    },
    "not recursive": {
        "x": {
            "_target_": "cornet.training.recipe.Recipe",
            "_recursive_": False,
            "y": {"_target_": "os.system"},
        }
    },
}


@pytest.mark.parametrize("config", REACHED.values(), ids=REACHED)
def test_no_way_round_by_references(own, config, monkeypatch) -> None:
    """What is built is what was looked at, even where Hydra would follow references twice."""
    monkeypatch.setenv("EVIL", "os.system")
    whole = OmegaConf.create({"command": "x", **config})
    with pytest.raises(CornetError):
        make(whole.x, "x")


def test_a_trusted_part_is_built_as_before() -> None:
    config = OmegaConf.create(
        {
            "seconds": 3,
            "timer": {"_target_": "pytorch_lightning.callbacks.Timer", "duration": {"seconds": "${seconds}"}},
        }
    )
    assert trusted(config.timer, "timer") == {
        "_target_": "pytorch_lightning.callbacks.Timer",
        "duration": {"seconds": 3},
    }
    assert make(config.timer, "timer").time_remaining() == 3
    assert make(OmegaConf.create({"x": None}).x, "x") is None  # as callbacks.progress=null


def test_own_names(own) -> None:
    own.write_text("# mine\n\nmy_package.Callback   # a comment\n torch.load\n")
    assert own_names() == {"my_package.Callback", "torch.load"}
    check_trusted({"x": {"_target_": "torch.load"}})
    with pytest.raises(CornetError):
        check_trusted({"x": {"_target_": "my_package.Callback.run"}})


@pytest.mark.parametrize("line", ["my_package.*", "os", "a b.c", "torch.", ".x", "a.b, c.d", "=x.y"])
def test_a_bad_line_is_an_error(own, line) -> None:
    own.write_text(f"my.name\n{line}\n")
    with pytest.raises(CornetError, match=r"trusted\.txt, line 2: .* is no dotted name; .*\.$"):
        check_trusted({})


def test_where_own_names_are(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CORNET_TRUSTED", "relative.txt")
    with pytest.raises(CornetError, match="is not absolute"):
        trusted_file()
    monkeypatch.setenv("CORNET_TRUSTED", str(tmp_path / "gone.txt"))
    with pytest.raises(CornetError, match="does not exist"):
        own_names()
    monkeypatch.delenv("CORNET_TRUSTED")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert trusted_file() == tmp_path / "cornet" / "trusted.txt"
    assert own_names() == frozenset()
    trusted_file().parent.mkdir()
    trusted_file().write_bytes(b"\xff\xfe")
    with pytest.raises(CornetError, match="no UTF-8"):
        own_names()
    trusted_file().unlink()
    trusted_file().mkdir()
    with pytest.raises(CornetError, match="cannot be read"):
        own_names()
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert trusted_file() == tmp_path / ".config" / "cornet" / "trusted.txt"


FORBIDDEN = [
    ["+callbacks.x._target_=os.system"],
    ["data._target_=torch.hub.load"],
    ["+hydra.callbacks.x._target_=os.system"],
    ["+hydra.callbacks.x._target_=pytorch_lightning.Trainer"],
    ["hydra.launcher._target_=os.system"],
    ["hydra.sweeper._target_=cornet.files.atomic_write"],
    ["hydra/job_logging=stdout", "+hydra.job_logging.handlers.x={'()':os.system,command:x}"],
    ["hydra/job_logging=stdout", "+hydra.job_logging.handlers.x={class:logging.FileHandler,filename:x}"],
    ["hydra/hydra_logging=default", "+hydra.hydra_logging.formatters.x={class:os.system}"],
    ["hydra/job_logging=stdout", "hydra.job_logging.handlers.console.stream='ext://os.environ'"],
    ["hydra/job_logging=stdout", "hydra.job_logging.handlers.console.stream='cfg://root'"],
    ["hydra/job_logging=stdout", "hydra.job_logging.handlers.console.class=${oc.select:x${now:%S}}"],
    ["hydra/job_logging=stdout", "+hydra.job_logging.filters.x=${oc.create:{}}"],
    ["hydra/job_logging=stdout", "+hydra.job_logging.handlers.console={.:{level:10}}"],
    ["+hydra.job.env_set.PATH=/tmp"],
    ["+hydra.job.env_set.CORNET_TRUSTED=/tmp/theirs"],
    ["+hydra.sweep.mode=777"],
    ["+hydra.sweeper.params={hydra.job.name:x}"],
    ["hydra.searchpath=[pkg://antigravity]"],
    ["--config-path", "pkg://antigravity"],
    ["-m", "seed=0,1", "+callbacks.x._target_=os.system,pytorch_lightning.Trainer"],
    ["--help", "+hydra.callbacks.x._target_=os.system"],
]


@pytest.mark.parametrize("argv", FORBIDDEN, ids=lambda argv: " ".join(argv)[:60])
def test_what_a_command_may_not_lead_to(own, argv) -> None:
    with pytest.raises(CornetError) as told:
        check_command(argv, CONF)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")


@pytest.mark.parametrize(
    ("argv", "key"),
    [
        (["hydra/launcher=submitit_slurm", "hydra.launcher.setup=[ls]"], "hydra.launcher.setup"),
        (["hydra/launcher=submitit_slurm", "+hydra.launcher.srun_args=[x]"], "hydra.launcher.srun_args"),
        (["+hydra.job.env_set.OMP_NUM_THREADS=1"], "hydra.job.env_set"),
        (
            ["hydra/job_logging=default", "hydra.job_logging.handlers.file.filename=.profile"],
            "logging.FileHandler",
        ),
    ],
)
def test_a_user_may_trust_a_key_or_a_name(own, argv, key) -> None:
    if "launcher" in key:
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    with pytest.raises(CornetError, match=f"add the line {key} to {own}"):
        check_command(argv, CONF)
    own.write_text(key)
    check_command(argv, CONF)


def test_a_job_script_takes_no_lines_of_a_value(own) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    for key in ("hydra.launcher.comment", "root"):  # the second is part of where the script is kept
        with pytest.raises(CornetError, match="several lines"):
            check_command(["trainer=slurm", f'{key}="a\ntouch b\n"'], CONF)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["trainer=slurm", "hydra.launcher.partition=gpu"],
        ["-m", "seed=0,1,2", "model.width=interval(0.1,0.5)", "model=cornet_s,cornet_s_narrow"],
        ["hydra/job_logging=stdout", "hydra.verbose=true"],
        ["hydra/job_logging=default"],
        ["+callbacks.x._target_=pytorch_lightning.callbacks.EarlyStopping", "+callbacks.x.monitor=val/loss"],
    ],
)
def test_what_users_do_is_allowed(own, argv) -> None:
    if "trainer=slurm" in argv:
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    check_command(argv, CONF)


@pytest.mark.parametrize("flag", ["--config-dir", "-cd", "--config-d"])
def test_a_strangers_folder_of_configurations(own, tmp_path, flag) -> None:
    """The check is not skipped with --config-dir, also abbreviated, nor for files that only a sweep meets."""
    written(tmp_path, "experiment/good.yaml", {"seed": 3})
    written(tmp_path, "experiment/evil.yaml", {"hydra": {"callbacks": {"x": {"_target_": "os.system"}}}})
    check_command([flag, str(tmp_path), "experiment=good"], CONF)
    for argv in (["experiment=evil"], ["-m", "experiment=good,evil"], ["-m", "experiment=glob(*)"]):
        with pytest.raises(CornetError, match=r"hydra\.callbacks\.x\._target_=os\.system"):
            check_command([flag, str(tmp_path), *argv], CONF)
    with pytest.raises(CornetError, match=r"hydra\.callbacks\.x\._target_=os\.system"):
        check_command([f"hydra.searchpath=[file://{tmp_path}]", "experiment=evil"], CONF)


def test_a_strangers_primary_configuration(own, tmp_path) -> None:
    base = {"defaults": ["_self_"], "x": 1}
    written(tmp_path, "a.yaml", {**base, "hydra": {"searchpath": ["pkg://antigravity"]}})
    written(tmp_path, "b.yaml", {**base, "hydra": {"overrides": {"hydra": ["hydra.verbose=true"]}}})
    written(tmp_path, "c.yaml", {**base, "hydra": {"sweeper": {"params": {"y": "choice(1,2)"}}}})
    written(tmp_path, "d.yaml", base)
    for name, told in (
        ("a", "would be imported"),
        ("b", "hydra.overrides is set"),
        ("c", "cannot be composed"),
    ):
        with pytest.raises(CornetError, match=told):
            check_command(["--config-path", str(tmp_path), "-cn", name], CONF)
    check_command(["-cp", str(tmp_path), "--config-name=d"], CONF)


def test_nothing_is_unpickled(tmp_path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({}))
    for flag in ("--experimental-rerun", "--exp"):
        with pytest.raises(CornetError, match="unpickle"):
            check_flags([f"{flag}={tmp_path / 'x.pkl'}"])
    check_flags(["seed=1", "-m"])
