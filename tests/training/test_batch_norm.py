"""One value per channel has no variance: a batch norm is refused it before training, with what helps."""

from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.training.build import check_batch_norm
from cornet.training.recipe import Recipe
from cornet.training.run import run
from tests.test_train import elsewhere  # noqa: F401 -- no account, no cache of the user's
from train import CONF

NETWORKS = [
    *(("cornet_s", norm) for norm in ("per_step", "shared", "shared_affine", "group")),
    ("cornet_rt", "group"),
    ("cornet_rt", "per_step"),
    ("cornet_z", None),
]


class Own(nn.Sequential):
    """To one pixel, of which it takes the norm."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, num_classes))


@pytest.mark.parametrize("size", [16, 17, 32, 33])
@pytest.mark.parametrize(("name", "norm"), NETWORKS)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_pytorch_refuses_is_refused_before(name: str, norm: str | None, size: int, batch: int) -> None:
    chosen = {} if norm is None else {"norm": norm}
    net = create_model(name, num_classes=2, width=0.0625, **chosen)
    said = ""
    try:
        net.train()(torch.zeros(batch, 3, size, size))
    except ValueError as error:
        said = str(error)
    for large, sizes in ((size, ()), (64, ((size, 1),))):
        recipe = Recipe(epochs=2, batch_size=1, learning_rate=0.1, schedule="constant", sizes=sizes)
        if not said:
            check_batch_norm(net, batch, SimpleNamespace(size=large), recipe)
            continue
        assert "more than 1 value per channel" in said
        with pytest.raises(CornetError, match=r"set recipe\.batch_size to at least 2 times") as raised:
            check_batch_norm(net, batch, SimpleNamespace(size=large), recipe)
        assert f"one image of {size} pixels" in str(raised.value)


def test_of_an_own_network_it_is_told_at_the_first_step(tmp_path, elsewhere) -> None:  # noqa: F811
    overrides = [
        *("model=own", f"model._target_={Own.__module__}.Own", "brain=none", "recipe.warmup=0"),
        *("data.size=16", "data.train_images=8", "data.val_images=8", "trainer=cpu", "loader.workers=0"),
        *("recipe.epochs=1", "recipe.batch_size=1", "recipe.channels_last=false"),
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides)
    with pytest.raises(CornetError, match=r"one value per channel.*; set recipe\.batch_size to at least 2"):
        run(config, overrides, folder=tmp_path / "seed0")
