"""Open a subject from a text, as on the command line.

    cornet_s                                 published weights, downloaded or from the cache
    cornet_s?untrained&seed=3                fresh weights from a seed
    hmax                                     fixed, so without weights (?weights=PATH: with its trained decoder)
    cornet_s?weights=PATH                    weights from a file in the published layout
    runs/my-run                              a run of train.py: its best checkpoint, or else the last
    runs/my-run?last                         its last checkpoint (or ?best, or ?best_brain)
    runs/my-run?untrained                    the network of that run before training
    runs/my-run?steps.V4=8                   more steps than in training (or ?steps=8, in all areas)
    my-export                                a folder that cornet export --to safetensors wrote; or ?untrained
    my-network.pth                           a checkpoint file of train.py, or in the published layout
    my-network.pth?ema                       its averaged weights, as timm writes them
    torchvision:resnet18                     pretrained; ?untrained, ?weights=PATH, &ema as above; ?num_classes=8
    timm:resnet18?V4=layer2&IT=layer4        with layers for regions, which can also be chosen (auto)
    my_package.nets:build?size=64&V4=layer3  your own code: a function or class that returns a torch.nn.Module
    pixels, gabor                            image filters
    my-features, my-features.npz             recorded features: stimulus_ids and an array per site

Options follow a question mark and are joined by &: untrained, seed, weights, ema, num_classes, best, last, best_brain,
model, size and degrees (of the input), mean and std (of own code; three numbers joined by commas; default: ImageNet's),
steps (of networks with areas), readout, the names in `cornet.brain.regions.REGIONS` (layers of these regions), and
layers.NAME (the layer of any region, such as layers.FFA=layer4). Further options of own code are arguments of its
function. Cornet's networks also take their own arguments, such as cornet_s?untrained&width=0.25&times=3. The norms of
untrained networks have initial statistics (mean 0, variance 1).
"""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from cornet.brain.regions import BEHAVIOUR, REGIONS
from cornet.brain.subjects.any_network import subject_of
from cornet.brain.subjects.base import suggestion
from cornet.brain.subjects.filters import GaborSubject, PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.named.library import (
    MAX_CLASSES,
    LibraryModel,
    library_network,
    with_weights_of_file,
)
from cornet.brain.subjects.named.own_code import build_own, how_to_name, is_own
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.recorded import RecordedSubject
from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError
from cornet.models import Network, create_model, list_models
from cornet.models.own_network import OwnNetwork
from cornet.models.pretrained.weights_folder import is_weights_folder, read_weights_folder
from cornet.models.registry import registered
from cornet.models.untrusted import seeded
from cornet.runs.checkpoints import KINDS, Prepared, find_run, network_of_file, network_of_run
from cornet.runs.config import read_config
from cornet.runs.images import run_of_model
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["open_subject"]

FILTERS = {"pixels": PixelSubject, "gabor": GaborSubject}
FLAGS = ("untrained", "ema", *KINDS)
COMMON = ("degrees", *REGIONS, "layers.NAME")


def open_subject(
    text: str,
    device: torch.device | str | None = None,
    untrained: bool = False,
    seed: int = 0,
    size: int | None = None,
    degrees: float | None = None,
    regions: Mapping[str, str] | None = None,
    precision: str = "auto",
    trust: bool = False,
) -> Subject:
    """Open the subject that a text describes; the docstring of this module lists the forms.

    device: where to record; None: the CPU. untrained, seed, size, degrees, regions: defaults for the options of these
    names in the text. precision: as in `NetworkSubject`. trust: allow importing a custom network that a run or
    checkpoint names.

    Raises CornetError for unknown names, suggesting similar ones; for options that the subject does not take; and for
    weights that cannot be loaded.
    """
    name, options = _split(text)
    if untrained:
        options.setdefault("untrained", True)
    options.setdefault("seed", seed)
    for option, value in (("size", size), ("degrees", degrees)):
        if value is not None:
            options.setdefault(option, value)
    settings: dict[str, Any] = {"device": device, "name": text}
    if "degrees" in options:
        settings["degrees"] = _number(text, "degrees", options, float)
    layers = {**(regions or {}), **_layers(options)}
    if BEHAVIOUR in layers:
        options.setdefault("readout", layers.pop(BEHAVIOUR))
    kind, _, rest = name.partition(":")
    if kind in ("torchvision", "timm") and rest:
        return _library(text, kind, rest, options, settings, layers, precision)
    if name in FILTERS:
        _refuse_options(text, options, ("size", *COMMON))
        if "size" in options:
            settings["size"] = _number(text, "size", options, int)
        return FILTERS[name](**settings)
    path = Path(name).expanduser()
    if is_own(name) and not path.exists():
        return _own(text, name, options, settings, layers, precision)
    if name not in list_models() and (path.suffix == ".npz" or (path / "features.npz").is_file()):
        _refuse_options(text, options, COMMON)
        return RecordedSubject(path, layers, text)
    times = _steps(text, options)
    prepared = _network(text, name, path, options, trust)
    settings |= {"mean": prepared.mean, "std": prepared.std, "size": prepared.size, "precision": precision}
    if prepared.degrees is not None:
        settings.setdefault("degrees", prepared.degrees)
    layers = layers or _layers_of_run(text)
    if not isinstance(prepared.net, Network):
        return _own_of_run(prepared.net, layers, settings)
    subject = NetworkSubject(prepared.net, times=times, **settings)
    return subject.with_regions(layers) if layers else subject


def _own_of_run(net: Any, layers: Mapping[str, str], settings: Mapping[str, Any]) -> LayerSubject:
    """A network of a user's own class, with the names of layers as in training: those of the class itself."""
    inner = net.net if isinstance(net, OwnNetwork) else net
    names = {name for name, _ in inner.named_modules()}
    own = {
        region: layer if layer in names else layer.removeprefix("net.") for region, layer in layers.items()
    }
    readout = own.pop(BEHAVIOUR, None)
    return LayerSubject(inner, regions=own, readout=readout, **settings)


def _layers_of_run(text: str) -> dict[str, str]:
    """The layers that a run was scored with while it was trained; none for other models."""
    run = run_of_model(text)
    if run is None:
        return {}
    try:
        brain = read_config(run / "config.yaml").get("brain")
    except (CornetError, FileNotFoundError):  # a copied checkpoint
        return {}
    layers = brain.get("layers") if isinstance(brain, Mapping) else None
    if not isinstance(layers, Mapping):
        return {}
    return {str(region): layer for region, layer in layers.items() if isinstance(layer, str)}


def _network(text: str, name: str, path: Path, options: dict[str, Any], trust: bool) -> Prepared:
    """Load one of cornet's networks by name, from a run folder, or from a file."""
    untrained, seed = bool(options.get("untrained")), _number(text, "seed", options, int)
    size = _number(text, "size", options, int) if "size" in options else None
    if name in list_models():
        entry, arguments = registered(name), _arguments(options)
        if size is not None and "size" in entry.accepts:
            arguments["size"] = size
        pretrained: bool | str = False if untrained else str(options.get("weights", "")) or not entry.fixed
        with seeded(seed):
            try:
                net = create_model(name, pretrained=pretrained, ema="ema" in options, **arguments)
            except CornetError as error:
                if pretrained is not True:
                    raise
                reason = str(error).rstrip(".").replace("give pretrained=PATH", f"give {name}?weights=PATH")
                raise CornetError(f"{reason}; or use {name}?untrained.") from None
        return Prepared(net, 224 if size is None else size, IMAGENET_MEAN, IMAGENET_STD)
    kind = next((kind for kind in KINDS if kind in options), None)
    if path.is_dir() and is_weights_folder(path):
        _refuse_options(text, options, ("untrained", "size", *COMMON))
        net = read_weights_folder(path, untrained, seed)
        images = net.image_settings
        assert images is not None  # the reader sets them
        return Prepared(net, size or images.size, images.mean, images.std, images.degrees)
    if path.is_dir():
        _refuse_options(text, options, ("untrained", *KINDS, "size", *COMMON))
        run = find_run(path)
        if run is None:
            raise CornetError(
                f"{path} contains neither a run of train.py (checkpoints/), nor config.json and model.safetensors, nor "
                "features.npz; give another folder."
            )
        return network_of_run(run, kind, untrained, seed, size, trust)
    if path.is_file() and path.suffix != ".py":
        _refuse_options(text, options, ("untrained", "ema", "size", "model", *COMMON))
        return network_of_file(path, untrained, seed, size, options.get("model"), trust, "ema" in options)
    raise CornetError(_unknown(name, path))


def _library(
    text: str,
    library: str,
    name: str,
    options: dict[str, Any],
    settings: dict[str, Any],
    regions: Mapping[str, str],
    precision: str,
) -> LayerSubject:
    """Load a network from torchvision or timm."""
    _refuse_options(text, options, ("untrained", "weights", "ema", "num_classes", "size", "readout", *COMMON))
    if options.get("untrained") and "weights" in options:
        raise CornetError(f"{text} has both untrained and weights, which exclude each other; remove one.")
    if "ema" in options and "weights" not in options:
        raise CornetError(f"{text} has ema, which chooses averaged weights in a file; give weights=PATH too.")
    classes = _number(text, "num_classes", options, int) if "num_classes" in options else None
    if classes is not None and not 1 <= classes <= MAX_CLASSES:
        raise CornetError(f"{text} has num_classes={classes}, which must be 1 to {MAX_CLASSES:,}.")
    module, size, mean, std = library_network(
        library,
        name,
        pretrained=not options.get("untrained"),
        weights=Path(str(options["weights"])).expanduser() if "weights" in options else None,
        classes=classes,
        ema="ema" in options,
        seed=_number(text, "seed", options, int),
    )
    if "size" in options:
        size = _number(text, "size", options, int)
    return LayerSubject(
        module,
        regions=regions,
        readout=options.get("readout"),
        size=size,
        mean=mean,
        std=std,
        precision=precision,
        **settings,
    )


def _own(
    text: str,
    name: str,
    options: dict[str, Any],
    settings: dict[str, Any],
    regions: Mapping[str, str],
    precision: str,
) -> LayerSubject | NetworkSubject:
    """Build a network with the user's own code."""
    if options.get("untrained"):
        raise CornetError(
            f"{text}: {name} decides about its weights itself; name a function that returns the untrained network."
        )
    known = ("seed", "weights", "ema", "size", "mean", "std", "readout", *COMMON)
    arguments = {key: _parse(value) for key, value in options.items() if key not in known}
    seed = _number(text, "seed", options, int)

    def make(pretrained: bool = False, classes: int | None = None) -> LibraryModel:
        with seeded(seed):
            return LibraryModel(build_own(name, arguments), 224, IMAGENET_MEAN, IMAGENET_STD)

    if "weights" in options:
        path = Path(str(options["weights"])).expanduser()
        module = with_weights_of_file(name, make, path, None, "ema" in options).module
    else:
        module = make().module
    size = _number(text, "size", options, int) if "size" in options else 224
    channels: Any = {key: _channels(text, key, options[key]) for key in ("mean", "std") if key in options}
    layers = {**regions, **({BEHAVIOUR: str(options["readout"])} if "readout" in options else {})}
    return subject_of(module, layers, size=size, precision=precision, **channels, **settings)


def _channels(text: str, option: str, value: Any) -> list[float]:
    """Parse 0.5,0.5,0.5."""
    try:
        return [float(part) for part in str(value).split(",")]
    except ValueError:
        raise CornetError(
            f"{text} has {option}={value!r}, which must be three numbers joined by commas, such as 0.5,0.5,0.5."
        ) from None


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Split into name and options. An existing path that contains a question mark has no options."""
    if not isinstance(text, str) or not text.strip():
        raise CornetError(f"model {text!r} is empty; give a name such as cornet_s, a run folder, or a file.")
    name, mark, rest = text.partition("?")
    if not mark or Path(text).expanduser().exists():
        return text, {}
    options: dict[str, Any] = {}
    for part in filter(None, rest.split("&")):
        key, equals, value = part.partition("=")
        if key in FLAGS and equals:
            raise CornetError(f"{text} has a value for {key}, which takes none; write {key} alone.")
        if key not in FLAGS and not value:
            raise CornetError(
                f"{text} has the option {key!r} without a value; write {key}=..., or {', '.join(FLAGS)} alone."
            )
        options[key] = value if equals else True
    return name, options


def _steps(text: str, options: dict[str, Any]) -> int | dict[str, int] | None:
    """Remove the steps from the options and return them: one number, by area, or None."""
    named = [key for key in options if key.startswith("steps.")]
    if "steps" in options and named:
        raise CornetError(f"{text} gives steps for all areas and for {named[0][6:]}; give one or the other.")
    if "steps" in options:
        steps = int(_number(text, "steps", options, int))
        del options["steps"]
        return steps
    return {key[6:]: int(_number(text, key, {key: options.pop(key)}, int)) for key in named} or None


def _layers(options: dict[str, Any]) -> dict[str, str]:
    """Remove the options layers.NAME and return the layers by region, with those of the known regions."""
    named = {key[7:]: str(options.pop(key)) for key in list(options) if key.startswith("layers.")}
    return {**{region: str(options[region]) for region in REGIONS if region in options}, **named}


def _number(text: str, option: str, options: Mapping[str, Any], kind: Callable[[Any], Any]) -> Any:
    try:
        return kind(options[option])
    except ValueError:
        raise CornetError(f"{text} has {option}={options[option]!r}, which must be a number.") from None


def _refuse_options(text: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise CornetError for an option that is neither known nor "seed"."""
    for option in options:
        if option not in (*known, "seed"):
            raise CornetError(
                f"{text.partition('?')[0]} takes no option {option!r}; {suggestion(option, known, most=12)}"
            )


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """The remaining options, as arguments of `create_model`, which checks them."""
    known = ("untrained", "seed", "weights", "ema", "size", *COMMON)
    arguments: dict[str, Any] = {}
    for option, value in options.items():
        if option in known:
            continue
        first, dot, area = option.partition(".")
        if first == "times" and dot:
            arguments.setdefault("times", {})[area] = _parse(value)
        else:
            arguments[option] = _parse(value)
    return arguments


def _parse(value: Any) -> Any:
    """Convert to int or float if possible."""
    for kind in (int, float):
        try:
            return kind(value)
        except (TypeError, ValueError):
            continue
    return value


def _unknown(name: str, path: Path) -> str:
    """Error message for a name that cannot be opened."""
    if own := how_to_name(name):
        return own
    if path.exists():
        return f"{name!r} is neither a file nor a folder; give a model, a run folder, or a checkpoint."
    known = [*list_models(), *FILTERS, "torchvision:NAME", "timm:NAME", "MODULE:FUNCTION"]
    near = difflib.get_close_matches(name, known, 2)
    if path.parent.is_dir() and not near:
        near = [str(path.parent / n) for n in difflib.get_close_matches(path.name, _names(path.parent), 3)]
    if near:
        return f"model, run or file {name!r} does not exist; did you mean {' or '.join(near)}?"
    return f"model, run or file {name!r} does not exist; give one of {', '.join(known)}, a run folder, or a checkpoint."


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
