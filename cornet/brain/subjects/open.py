"""A subject from one text, as it is given on the command line.

    cornet_s                                 published weights, fetched or from the cache
    cornet_s?untrained&seed=3                fresh weights from a seed
    cornet_s?weights=PATH                    weights from a file in the published layout
    runs/my-run                              a run of train.py: its best checkpoint, or else its last
    runs/my-run?last                         its last checkpoint (or ?best, or ?best_brain)
    runs/my-run?untrained                    the network of that run before training
    runs/my-run?steps.V4=8                   run for more steps than it was trained for (or ?steps=8, in all areas)
    my-network.pth                           a checkpoint file of train.py, or in the published layout
    torchvision:resnet18                     pretrained; ?untrained, ?weights=PATH as above
    timm:resnet18?V4=layer2&IT=layer4        with layers for regions; without, they can be chosen (auto)
    pixels, gabor                            image filters
    my-features, my-features.npz             recorded features: stimulus_ids and one array a site

Options follow a question mark, joined by &: untrained, seed, weights, best, last, best_brain, model, size and degrees
(of the input), steps (of a network of ours), readout, V1, V2, V4, IT (layers of these regions); for a network of ours
also its own arguments, such as cornet_s?untrained&width=0.25&times=3. An untrained network's norms have fresh
statistics too (mean 0, variance 1).
"""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cornet.brain.subjects.base import nearby
from cornet.brain.subjects.filters import GaborSubject, PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.recorded import RecordedSubject
from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError
from cornet.models import CORnet, create_model, list_models
from cornet.models.cornet.published import check_floating_point, extract_weights
from cornet.models.safe_load import read_checkpoint
from cornet.runs.checkpoints import (
    KINDS,
    Prepared,
    find_run,
    network_of_file,
    network_of_run,
    seeded,
)
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["open_subject"]

REGIONS = ("V1", "V2", "V4", "IT")
FILTERS = {"pixels": PixelSubject, "gabor": GaborSubject}
FLAGS = ("untrained", *KINDS)
COMMON = ("degrees", *REGIONS)


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
    """The subject that a text names; see the head of this module for what it may be.

    device: where to record; None: the CPU. untrained, seed, size, degrees, regions: as the options of the same names
    in the text, which count where both are given. precision: as in `NetworkSubject`. trust: import and build a network
    of the user's own that a run or a checkpoint names.

    Raises CornetError, naming what is near, for what there is not; for an option that does not go with the subject;
    and for weights that cannot be had or do not fit.
    """
    name, options = _split(text)
    if untrained:
        options.setdefault("untrained", True)
    options.setdefault("seed", seed)
    for word, value in (("size", size), ("degrees", degrees), *(regions or {}).items()):
        if value is not None:
            options.setdefault(word, value)
    settings: dict[str, Any] = {"device": device, "name": text}
    if "degrees" in options:
        settings["degrees"] = _number(text, "degrees", options, float)
    wanted = {region: str(options[region]) for region in REGIONS if region in options}
    kind, _, rest = name.partition(":")
    if kind in ("torchvision", "timm") and rest:
        return _library(text, kind, rest, options, settings, wanted, precision)
    if name in FILTERS:
        _refuse_options(text, options, ("size", *COMMON))
        if "size" in options:
            settings["size"] = _number(text, "size", options, int)
        return FILTERS[name](**settings)
    path = Path(name).expanduser()
    if name not in list_models() and (path.suffix == ".npz" or (path / "features.npz").is_file()):
        _refuse_options(text, options, COMMON)
        return RecordedSubject(path, wanted, text)
    times = _steps(text, options)
    prepared = _network(text, name, path, options, trust)
    settings |= {"mean": prepared.mean, "std": prepared.std, "size": prepared.size, "precision": precision}
    if not isinstance(prepared.net, CORnet):
        return LayerSubject(prepared.net, regions=wanted, **settings)
    subject = NetworkSubject(prepared.net, times=times, **settings)
    return subject.with_regions(wanted) if wanted else subject


def _network(text: str, name: str, path: Path, options: dict[str, Any], trust: bool) -> Prepared:
    """One of our networks: by name, from a run's folder, or from a file."""
    untrained, seed = bool(options.get("untrained")), _number(text, "seed", options, int)
    size = _number(text, "size", options, int) if "size" in options else None
    if name in list_models():
        arguments = _arguments(options)
        pretrained: bool | str = False if untrained else str(options.get("weights", "")) or True
        with seeded(seed):
            try:
                net = create_model(name, pretrained=pretrained, **arguments)
            except CornetError as error:
                if pretrained is not True:
                    raise
                told = str(error).rstrip(".").replace("give pretrained=PATH", f"give {name}?weights=PATH")
                raise CornetError(f"{told}; or take {name}?untrained.") from None
        return Prepared(net, 224 if size is None else size, IMAGENET_MEAN, IMAGENET_STD)
    which = next((word for word in KINDS if word in options), None)
    if path.is_dir():
        _refuse_options(text, options, ("untrained", *KINDS, "size", *COMMON))
        run = find_run(path)
        if run is None:
            raise CornetError(
                f"{path} holds neither a run of train.py (checkpoints/) nor features.npz; name a folder that does."
            )
        return network_of_run(run, which, untrained, seed, size, trust)
    if path.is_file():
        _refuse_options(text, options, ("untrained", "size", "model", *COMMON))
        return network_of_file(path, untrained, seed, size, options.get("model"), trust)
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
    """A network of torchvision or timm."""
    _refuse_options(text, options, ("untrained", "weights", "size", "readout", *COMMON))
    if options.get("untrained") and "weights" in options:
        raise CornetError(f"{text} asks for weights and for none; leave out untrained or weights.")
    make = _torchvision if library == "torchvision" else _timm
    pretrained = not options.get("untrained") and "weights" not in options
    with seeded(_number(text, "seed", options, int)):
        module, size, mean, std = make(name, pretrained)
    if "weights" in options:
        _load(module, Path(str(options["weights"])).expanduser(), text)
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


Made = tuple[nn.Module, int, tuple[float, ...], tuple[float, ...]]


def _torchvision(name: str, pretrained: bool) -> Made:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise CornetError(f"torchvision has no classification network {name!r}; {nearby(name, known)}.")
    weights = models.get_model_weights(name).DEFAULT
    view = weights.transforms()
    module = _fetched(
        f"torchvision:{name}",
        pretrained,
        lambda: models.get_model(name, weights=weights if pretrained else None),
    )
    return module, view.crop_size[0], tuple(view.mean), tuple(view.std)


def _timm(name: str, pretrained: bool) -> Made:
    try:
        import timm
    except ImportError:
        raise CornetError(
            f"timm:{name} needs timm, which is not installed; install it with pip install 'cornet-ventral[timm]'."
        ) from None
    if not timm.is_model(name.partition(".")[0]):
        raise CornetError(f"timm has no network {name!r}; {nearby(name, timm.list_models())}.")

    def make() -> nn.Module:
        try:
            return timm.create_model(name, pretrained=pretrained)
        except RuntimeError as error:  # a tag that it does not know, or no weights at all
            raise CornetError(f"timm:{name} cannot be made ({error}); take another, or ?untrained.") from None

    module = _fetched(f"timm:{name}", pretrained, make)
    view = timm.data.resolve_model_data_config(module)
    return module, int(view["input_size"][1]), tuple(view["mean"]), tuple(view["std"])


def _fetched(text: str, pretrained: bool, make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose weights may have to be downloaded."""
    try:
        return make()
    except CornetError:
        raise
    except Exception as error:  # each library, and each way to the network, fails in its own way
        if not pretrained:
            raise
        reason = (str(error).splitlines() or [""])[0].strip().rstrip(".")[:160] or type(error).__name__
        raise CornetError(
            f"the pretrained weights of {text} could not be had ({reason}); give a file, as in {text}?weights=PATH, or "
            f"take fresh ones, {text}?untrained."
        ) from None


def _load(module: nn.Module, path: Path, text: str) -> None:
    """Weights of a file into a network of a library. Raises CornetError for others'."""
    state = extract_weights(read_checkpoint(path), str(path))
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    extra = [key for key in state if key not in own]
    misfits = [key for key in own if key in state and getattr(state[key], "shape", None) != own[key].shape]
    if missing or extra or misfits:
        raise CornetError(
            f"{path} does not hold the weights of {text.partition('?')[0]}: {len(missing)} are missing, {len(extra)} "
            f"are others, {len(misfits)} have another shape, such as {(missing + extra + misfits)[0]}; give its own."
        )
    check_floating_point(str(path), state, own)
    module.load_state_dict(state, strict=False)


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """A name and its options; a path that has a question mark in it and exists is all name."""
    if not isinstance(text, str) or not text.strip():
        raise CornetError(
            f"model {text!r} is empty; give a name such as cornet_s, a run's folder, or a file."
        )
    name, mark, rest = text.partition("?")
    if not mark or Path(text).expanduser().exists():
        return text, {}
    options: dict[str, Any] = {}
    for part in filter(None, rest.split("&")):
        key, equals, value = part.partition("=")
        if key in FLAGS and equals:
            raise CornetError(f"{text} gives {key} a value; write {key} alone.")
        if key not in FLAGS and not value:
            raise CornetError(
                f"{text} has the option {key!r} without a value; write {key}=..., or {', '.join(FLAGS)} alone."
            )
        options[key] = value if equals else True
    return name, options


def _steps(text: str, options: dict[str, Any]) -> int | dict[str, int] | None:
    """Taken out of the options: one number, or by area."""
    named = [word for word in options if word.startswith("steps.")]
    if "steps" in options and named:
        raise CornetError(f"{text} gives steps for all areas and for {named[0][6:]}; give one or the other.")
    if "steps" in options:
        steps = int(_number(text, "steps", options, int))
        del options["steps"]
        return steps
    return {word[6:]: int(_number(text, word, {word: options.pop(word)}, int)) for word in named} or None


def _number(text: str, word: str, options: Mapping[str, Any], kind: Callable[[Any], Any]) -> Any:
    try:
        return kind(options[word])
    except ValueError:
        raise CornetError(f"{text} has {word}={options[word]!r}, which must be a number.") from None


def _refuse_options(text: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise CornetError for an option that this subject does not take; a seed is never wrong."""
    for word in options:
        if word not in (*known, "seed"):
            raise CornetError(
                f"{text.partition('?')[0]} takes no option {word!r}; {nearby(word, known, most=12)}."
            )


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of the options: arguments of the network. Raises CornetError through `create_model` for others."""
    known = ("untrained", "seed", "weights", "size", *COMMON)
    arguments: dict[str, Any] = {}
    for word, value in options.items():
        if word in known:
            continue
        first, dot, area = word.partition(".")
        if first == "times" and dot:
            arguments.setdefault("times", {})[area] = _plain(value)
        else:
            arguments[word] = _plain(value)
    return arguments


def _plain(value: Any) -> Any:
    for kind in (int, float):
        try:
            return kind(value)
        except (TypeError, ValueError):
            continue
    return value


def _unknown(name: str, path: Path) -> str:
    """The sentence for a text that names nothing that can be read."""
    if path.exists():
        return f"{name!r} is neither a file nor a folder; give a model, a run's folder, or a checkpoint."
    known = [*list_models(), *FILTERS, "torchvision:NAME", "timm:NAME"]
    near = difflib.get_close_matches(name, known, 2)
    if path.parent.is_dir() and not near:
        near = [str(path.parent / n) for n in difflib.get_close_matches(path.name, _names(path.parent), 3)]
    if near:
        return f"there is no model, run or file {name!r}; did you mean {' or '.join(near)}?"
    return f"there is no model, run or file {name!r}; give one of {', '.join(known)}, a run's folder, or a checkpoint."


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
