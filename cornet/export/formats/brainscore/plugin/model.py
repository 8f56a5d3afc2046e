"""The models of this plugin; `__init__.py` registers each under its identifier."""

import functools

from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper

from .commitment import SteppedCommitment
from .network import READOUT, load_network, read_json
from .preprocessing import preprocess

__all__ = ["commitment", "get_layers", "get_model"]


def get_layers(identifier: str) -> list[str]:
    """The layers that can be recorded: each area at each step that the image reaches, and the read-out."""
    return list(read_json("networks.json")[identifier]["layers"])


def get_model(identifier: str) -> PytorchWrapper:
    """The activations model of a network."""
    entry = read_json("networks.json")[identifier]
    images = {key: entry[key] for key in ("size", "mean", "std")}
    model = PytorchWrapper(
        identifier=identifier,
        model=load_network(identifier),
        preprocessing=functools.partial(preprocess, **images),
    )
    model.image_size = entry["size"]
    return model


def commitment(identifier: str) -> SteppedCommitment:
    """The commitment of a network to regions, time bins, degrees of visual angle and behaviour."""
    return SteppedCommitment(
        identifier=identifier,
        activations_model=get_model(identifier),
        layers=get_layers(identifier),
        behavioral_readout_layer=READOUT,
        region_layer_map=read_json("region_layer_map", f"{identifier}.json"),
        time_map=read_json("time_map", f"{identifier}.json"),
        visual_degrees=read_json("networks.json")[identifier]["degrees"],
    )
