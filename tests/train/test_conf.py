"""Every file of conf/: composes, instantiates, and names only what its class takes."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.utils import get_method
from omegaconf import OmegaConf, open_dict
from PIL import Image

from cornet.models import create_model, list_models
from cornet.models.registry import registered
from cornet.training.build import build
from tests.helpers.composed import composed
from tests.helpers.paths import CONF

FILES = sorted(CONF.rglob("*.yaml"))
EXPERIMENTS = [path.stem for path in sorted((CONF / "experiment").glob("*.yaml"))]
RENAMED = {"front_gabor": "v1_gabor"}
VARIANTS = sorted({path.stem for path in (CONF / "experiment" / "variants").glob("*.yaml")} - {*RENAMED})


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """256 + 2 small images of two classes: enough for a batch of the published recipes."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for split, count in (("train", 128), ("val", 1)):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{k}.jpg")
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_opens_with_its_facts(name):
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n# ")
    for fact in ("Command:  train.py experiment=" + name, "Hardware: ", "Time:     ", "Score:    "):
        assert re.search(rf"^# {re.escape(fact)}", text, re.MULTILINE), fact
    assert composed(f"experiment={name}").name == name


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.slow  # composes each
def test_every_variant_opens_with_its_facts(name):
    """It changes the network, or what is trained of it, alone: so it goes with any data and any recipe."""
    text = (CONF / "experiment" / "variants" / f"{name}.yaml").read_text()
    command = re.escape(f"train.py experiment=variants/{name}")
    assert re.match(rf"# @package _global_\n# [A-Z].*\.\n# Command:   {command}\n# Published: \w", text)
    plain, config = composed(), composed(f"experiment=variants/{name}")
    assert {key for key in plain if config[key] != plain[key]} <= {"model", "recipe", "loader"}
    both = composed(f"experiment=[tiny_s,variants/{name}]")
    assert (both.model, both.name) == (config.model, "tiny_s")


@pytest.mark.parametrize("name", RENAMED)
def test_a_variant_has_its_old_name_too(name):
    old, new = (composed(f"experiment=[tiny_s,variants/{one}]") for one in (name, RENAMED[name]))
    assert old == new
    assert old.model.v1 == "gabor"


OFTEN = ("tiny_s", "imagenet_s_fast")


@pytest.mark.parametrize(
    "name",
    [None, *(pytest.param(one, marks=[] if one in OFTEN else [pytest.mark.slow]) for one in EXPERIMENTS)],
)
def test_every_experiment_builds(name, photographs, tmp_path):
    chosen = [] if name is None else [f"experiment={name}"]
    config = composed(*chosen, "trainer.accelerator=cpu")
    with open_dict(config):
        config.run_folder, config.run_id = str(tmp_path), "token"
        if name == "cifar10_s":
            pytest.skip("CIFAR's checksums cannot be met by made files; test_cifar reads such files")
        if name == "imagenet_harmonised_2022":
            pytest.skip(
                "its images need 1,000 classes; tests/stimuli/datasets/test_maps.py opens such a folder"
            )
        if "folder" in set(config.data):  # also where it is yet to be given
            config.data.folder = str(photographs)
        elif "train_odours" in config.data:
            config.data.update(train_odours=512, val_odours=64)
        elif "train_clips" in config.data:
            config.data.update(train_clips=64, val_clips=64, cache=str(tmp_path))
        else:
            config.data.update(train_images=64, val_images=64, cache=str(tmp_path))
    training = build(config)
    assert training.trainer.max_epochs == config.recipe.epochs
    assert training.net.num_classes == len(training.source.classes)
    assert training.module.views == tuple(training.source.views)


def arguments_of(kind):
    """Names of the arguments of a class or function; where it hands on all others, also those of its base class."""
    names = inspect.signature(kind).parameters
    handed_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in names.values())
    return {*names, *(arguments_of(kind.__base__) if handed_on and inspect.isclass(kind) else ())}


# Experiments, variants and sweeps are composed by tests of their own.
@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.relative_to(CONF).parts[0] != "experiment"],
    ids=lambda p: str(p.relative_to(CONF)),
)
def test_every_file_names_only_what_its_class_takes(path):
    group, choice = path.parent.relative_to(CONF).as_posix(), path.stem
    if group.split("/")[0] in (".", "hydra"):  # a launcher is the plugin's, which may be absent
        composed()
        return
    config = composed(f"{group}={choice}")
    if group == "model":
        if choice == "own":
            assert set(config.model) == {"_target_", "name", "num_classes"}
            return
        if "_target_" in config.model:  # a network without areas
            assert set(config.model) <= {*arguments_of(get_method(config.model._target_)), "_target_", "name"}
            return
        assert config.model.name in list_models(other_inputs=True)
        takes = {*registered(config.model.name).accepts, *inspect.signature(create_model).parameters}
        assert set(config.model) <= takes | {"freeze"}
        return
    if group == "brain":  # its keys are handed on by callbacks/default.yaml
        given = {str(key) for key in config.callbacks.brain_score} - {"_target_", "folder"}
        assert set(config.brain) == given | {"matrix", "monitor", "over_time"}
        return
    if choice == "own":  # the class and its arguments are the user's
        assert OmegaConf.is_missing(config[group], "_target_")
        return
    part = config[group]
    for node in [part] if "_target_" in part else part.values():
        takes = arguments_of(get_method(node._target_))
        assert {str(key) for key in node} - {"_target_"} <= set(takes), node._target_


def test_published_recipes_are_as_published():
    """The figures of Kubilius et al. 2018 and Kubilius, Schrimpf et al. 2019."""
    expected = {
        "z_2018": {"learning_rate": 0.01, "divide_every": 10, "epochs": 25},
        "rt_2018": {"learning_rate": 0.1, "divide_every": 10, "epochs": 25},
        "s_2019": {"learning_rate": 0.1, "divide_every": 20, "epochs": 43},
    }
    common = {
        "batch_size": 256, "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4, "decay_norms_and_biases": True,
        "schedule": "divide", "warmup": 0, "label_smoothing": 0, "clip": None, "precision": "32-true",
    }  # fmt: skip
    for name, own in expected.items():
        config = composed(f"recipe={name}").recipe
        for key, value in {**common, **own}.items():
            assert config[key] == value, (name, key)


def test_imagenet_has_the_published_numbers_and_both_protocols():
    config = composed("data=imagenet", "data.folder=x").data
    assert (config.size, list(config.views)) == (224, ["center", "squash"])
    assert (list(config.mean), list(config.std)) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert round(config.size * config.val_resize) == 256
    assert list(config.crop_scale) == [0.08, 1.0]


def test_comments_of_the_configuration_are_in_ascii():
    for path in FILES:
        assert path.read_text().isascii(), path
        yaml.safe_load(path.read_text())
