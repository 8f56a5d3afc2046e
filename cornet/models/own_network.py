"""A network of the user's own in the place of a CORnet: any module from images to logits."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.instantiate import make
from cornet.models import CORnet
from cornet.models.cornet.published import weights_in

__all__ = ["OwnNetwork", "load_own", "make_network"]


def make_network(arguments: Mapping[str, Any], classes: int) -> "CORnet | OwnNetwork":
    """What `model._target_` names, called with the other keys of `model` except its name.

    classes: outputs that a network is taken to have which does not say `num_classes`. Raises CornetError for a name
    that cannot be imported, for arguments that it refuses, and where it does not make a torch.nn.Module.
    """
    net = make({key: value for key, value in arguments.items() if key != "name"}, "model")
    if not isinstance(net, nn.Module):
        raise CornetError(
            f"model._target_={arguments['_target_']} makes a {type(net).__name__}, not a torch.nn.Module; name a "
            "network's class."
        )
    return net if isinstance(net, CORnet) else OwnNetwork(net, classes)


def load_own(net: "CORnet | OwnNetwork", content: Mapping[str, Any], label: str) -> None:
    """Load the weights of a checkpoint of train.py. Raises CornetError for those of another network."""
    state = {key.removeprefix("net."): value for key, value in weights_in(content, label).items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CornetError(f"{label} does not fit the network that it names ({reason}).") from None


class OwnNetwork(nn.Module):
    """Gives any module the interface that the training needs of a network: one step, from images to logits.

    It has no areas, so it is trained and validated but not compared with brains; a subclass of
    `cornet.models.CORnet` is. net: takes normalised images (batch, 3, y, x) and returns logits (batch, class).
    """

    compiled = False

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.num_classes = int(getattr(net, "num_classes", classes))
        self.steps = {"output": 1}

    def forward(self, images: Tensor, pixels: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Logits. pixels: mean and std, as of `cornet.models.CORnet.forward`."""
        if pixels is not None:
            mean, std = pixels
            images = (images.to(mean.dtype) - mean) / std
        logits: Tensor = self.net(images)
        return logits

    def compile(self, memory_budget: float | None = None, **options: Any) -> None:
        """Compile the module in place; its weights keep their names."""
        self.net.compile(**options)

    def first_driven_step(self, area: str) -> int:
        return 0
