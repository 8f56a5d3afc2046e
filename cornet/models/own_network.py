"""Use any torch.nn.Module that maps images to logits in place of a network with areas."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.instantiate import make
from cornet.models.base import Network
from cornet.models.weight_files import extract_weights

__all__ = ["OwnNetwork", "load_own", "make_network"]


def make_network(arguments: Mapping[str, Any], classes: int) -> Any:
    """Call `model._target_` with the other keys of `model`, except `name`.

    Returns a `Network`, or an `OwnNetwork` around any other module. classes: number of outputs if the network has no
    attribute `num_classes`. Raises CornetError if the name cannot be imported, if it rejects the arguments, or if the
    result is not a torch.nn.Module.
    """
    net = make({key: value for key, value in arguments.items() if key != "name"}, "model")
    if not isinstance(net, nn.Module):
        raise CornetError(
            f"model._target_={arguments['_target_']} returns a {type(net).__name__}, not a torch.nn.Module; name "
            "the class of a network."
        )
    return net if isinstance(net, Network) else OwnNetwork(net, classes)


def load_own(net: "Network | OwnNetwork", content: Mapping[str, Any], label: str) -> None:
    """Load weights from a checkpoint of train.py. Raises CornetError if they do not fit the network."""
    found = extract_weights(content, label, [net.state_dict()])
    try:
        net.load_state_dict(found.tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CornetError(
            f"{label} does not fit the network that it names ({reason}); restore its code."
        ) from None
    found.report(label, ("net.",))


class OwnNetwork(nn.Module):
    """Wrap any module as a network of one step, with the interface that training needs.

    It has no areas, so it is trained and validated, but not scored against brain data; subclasses of
    `cornet.models.Network`, such as `CORnet`, are.

    net: takes normalised images (batch, 3, y, x) and returns logits (batch, class).
    """

    compiled = False

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.num_classes = int(getattr(net, "num_classes", classes))
        self.steps = {"output": 1}

    def forward(self, images: Tensor, pixels: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return logits (batch, class). pixels: mean and std, as in `cornet.models.Network.forward`."""
        if pixels is not None:
            images = self.normalise(images, *pixels)
        logits: Tensor = self.net(images)
        return logits

    def normalise(self, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(images - mean) / std, in the dtype of `mean`."""
        return (images.to(mean.dtype) - mean) / std

    def compile(self, memory_budget: float | None = None, **options: Any) -> None:
        """Compile the module in place; state-dict keys do not change."""
        self.net.compile(**options)

    def first_driven_step(self, area: str) -> int:
        return 0
