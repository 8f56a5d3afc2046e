"""Our networks in timm's registry, so that timm.create_model("cornet_s", num_classes=10) builds one.

Names of other families get cornet_ in front, as timm's names are short, too: cornet_blt, cornet_hmax. All arguments of
`cornet.create_model` are accepted beside those of timm. Needs timm, which must be imported already.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from timm.models import generate_default_cfgs, is_model, register_model

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.create import create_model
from cornet.models.image_settings import ImageSettings
from cornet.models.registry import list_models, registered

__all__ = ["PREFIX", "register_all", "timm_name"]

PREFIX = "cornet_"
IGNORED = {
    "drop_rate": 0,
    "drop_path_rate": 0,
    "drop_block_rate": 0,
    "global_pool": "avg",
    "pretrained_model_args": None,
}
"""Arguments that timm's scripts pass to every network, and the value at which they ask for nothing."""

default_cfgs: dict[str, Any] = {}
"""Read by timm's `register_model`, from the module of a function."""


def timm_name(name: str) -> str:
    """The name in timm's registry of a network of `cornet.list_models()`."""
    return name if name.startswith(PREFIX) else PREFIX + name


def register_all() -> None:
    """Register all networks whose name timm does not have yet."""
    names = {timm_name(name): name for name in list_models() if not is_model(timm_name(name))}
    default_cfgs.update(
        generate_default_cfgs({shown: config(registered(name).weights) for shown, name in names.items()})
    )
    for shown, name in names.items():
        function = entry(name)
        function.__name__ = function.__qualname__ = shown
        setattr(sys.modules[__name__], shown, function)
        register_model(function)


def config(url: str) -> dict[str, Any]:
    """The part of timm's configuration that is known without a network. url: of published weights, or ""."""
    return {
        "url": url,
        "input_size": (3, 224, 224),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "classifier": "decoder",
    }


def entry(name: str) -> Callable[..., Any]:
    """The function that timm.create_model calls for a network."""

    def make(
        pretrained: bool = False,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        in_chans: int | None = None,
        **arguments: Any,
    ) -> Any:
        for word, neutral in IGNORED.items():
            value = arguments.pop(word, neutral)
            if value not in (neutral, None):
                raise CornetError(f"{name} has no {word}={value!r}; leave it out.")
        if in_chans is not None:
            arguments["in_channels"] = in_chans
        if cache_dir is not None:
            raise CornetError(
                f"cache_dir={os.fspath(cache_dir)} is not used for {name}; set the environment variable CORNET_CACHE."
            )
        given = given_config(name, pretrained_cfg, pretrained_cfg_overlay)
        source = os.fspath(given["file"]) if pretrained and given.get("file") else bool(pretrained)
        net = create_model(name, pretrained=source, **arguments)
        described = net if isinstance(net, Network) else net.model  # within the list of feature maps
        if images := images_of(given):
            described.image_settings = replace(described.image_settings or ImageSettings(), **images)
        return net

    return make


def given_config(name: str, cfg: Any, overlay: Mapping[str, Any] | None) -> dict[str, Any]:
    """timm's configuration as the user gave it: {"file", "mean", "std", "input_size", ...}.

    Raises CornetError for a tag.
    """
    if isinstance(cfg, str) and cfg:
        raise CornetError(
            f"{timm_name(name)} has no weights named {cfg!r}; leave the part after the point out."
        )
    return {**(cfg if isinstance(cfg, Mapping) else {}), **(overlay or {})}


def images_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """`image_settings` of timm's configuration, as far as it has them."""
    size = {"size": given["input_size"][-1]} if given.get("input_size") else {}
    return {**size, **{word: tuple(given[word]) for word in ("mean", "std") if given.get(word)}}
