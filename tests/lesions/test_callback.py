"""The callback in a training, and its table on the run's page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cornet.errors import CornetError
from cornet.lesions import Images
from cornet.lesions.callback import Lesions, logged, read_images
from cornet.lesions.study import COLUMNS, TASKS, LesionStudy, segregation_table
from cornet.report.run.lesions import COLUMNS as READ
from cornet.report.run.panels import PANELS
from cornet.stimuli.two_tasks import TwoTasks
from cornet.stimuli.two_tasks.exemplars import RenderedExemplars
from tests.helpers.hand_made import GROUPS, one_hot_images, separate_units


def made_table(**settings):
    from cornet.lesions import find_places

    images, labels = one_hot_images()
    net, both = separate_units(), Images(images, labels.numpy())
    return LesionStudy(both, both, GROUPS, **settings).run(net, find_places(net, 1))


@pytest.fixture(scope="module")
def table():
    return made_table(shares=(0.25, 0.5), halves=2)


def test_the_page_draws_the_table_that_the_study_writes(table, tmp_path):
    panel = next(one for one in PANELS if one.name == "lesions")
    assert set(READ) <= set(COLUMNS)
    table.to_csv(tmp_path / "lesions.csv", index=False)
    read = panel.read(tmp_path)
    columns = ["share", "drop", "drop_low", "segregation", "segregation_high"]
    assert np.allclose(read[columns].to_numpy(float), table[columns].to_numpy(float), equal_nan=True)
    pictures = [panel.draw(read, columns) for columns in (3, 1)]
    assert all(one.startswith(b"\x89PNG") for one in pictures)
    assert panel.draw(read[read["grouping"] != TASKS], 3) is None


def test_the_log_has_the_tasks_and_the_mean_of_the_controls(table):
    found = segregation_table(table)
    values = logged(found)
    first = found[found["place"] == "0"]
    assert values["val/segregation/0"] == 1
    controls = first[first["grouping"] != TASKS]["segregation"]
    assert values["val/segregation halves/0"] == pytest.approx(controls.mean())
    found["segregation"] = np.nan
    assert logged(found) == {}


def test_images_are_read_evenly_for_any_two_halves_of_the_classes():
    arguments = {"train_images": 48, "val_images": 8, "test_images": 16, "size": 16, "cache": False}
    source = TwoTasks({name: RenderedExemplars(categories=[name], **arguments) for name in ("car", "fruit")})
    train, test = read_images(source.shown(), 16, source.groups), read_images(source.test())
    assert np.bincount(train.labels).tolist() == [4] * 16
    assert train.images.dtype == torch.uint8
    assert train.images.shape[1:] == (3, 16, 16)
    assert len(test.labels) == 32
    assert np.bincount(train.of(range(0, 16, 2), 16).labels, minlength=16).tolist() == [2, 0] * 8


@pytest.mark.slow  # trains
def test_a_training_writes_the_table_and_logs_its_measures(tmp_path):
    from cornet.training.build import build
    from tests.helpers.composed import composed

    config = composed(
        "experiment=dual_task", "trainer.accelerator=cpu", "model.width=0.02", "recipe.epochs=2", "data.size=32",
        "data.train_images=64", "data.val_images=64", "data.test_images=64", "callbacks.lesions.images=64",
        "callbacks.lesions.layers=[conv5_3,fc8]", "callbacks.lesions.shares=[0.2]", f"+data.cache={tmp_path}/cache",
        "callbacks.lesions.group=null", f"run_folder={tmp_path}/run", "run_id=token",
    )  # fmt: skip
    Path(config.run_folder).mkdir()
    training = build(config)
    before = {key: value.clone() for key, value in training.net.state_dict().items()}
    training.trainer.fit(training.module, datamodule=training.data)
    table = pd.read_csv(tmp_path / "run/lesions.csv")
    assert list(dict.fromkeys(table["place"])) == ["conv5_3", "fc8"]
    labels = training.source.test().labels
    for task, group in training.source.groups.items():
        here = (table["grouping"] == TASKS) & (table["group"] == task)
        assert set(table[here]["images"]) == {int(np.isin(labels, group).sum())}
    assert "val/segregation/fc8" in training.trainer.callback_metrics or table["segregation"].isna().any()
    assert any(not torch.equal(value, before[key]) for key, value in training.net.state_dict().items())
    source, net = training.source, training.net.eval()
    test = read_images(source.test())
    with torch.no_grad():
        right = (training.module(test.images).argmax(1).numpy() == test.labels)[test.labels < 56].mean()
    found = table[(table["grouping"] == TASKS) & (table["group"] == "faces")]
    assert net.training is False
    assert found["accuracy_before"].to_numpy() == pytest.approx(right)


def test_a_layer_that_does_not_exist_is_refused_before_the_training(tmp_path):
    from types import SimpleNamespace

    from cornet.models.vgg import VGG16

    source = SimpleNamespace(groups={"faces": [0], "objects": [1]}, size=32)
    trainer = SimpleNamespace(datamodule=SimpleNamespace(source=source))
    module = torch.nn.Module()
    module.net, module.scored_network = VGG16(2, 0.02, grid=1), "net"
    with pytest.raises(CornetError, match="'conv6' is no layer or area"):
        Lesions(tmp_path, layers=["conv6"]).setup(trainer, module, "fit")
    Lesions(tmp_path, layers=["conv6"]).setup(
        SimpleNamespace(datamodule=None), module, "fit"
    )  # one task: nothing
