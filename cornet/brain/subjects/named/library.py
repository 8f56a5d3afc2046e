"""Build classification networks of torchvision and timm, with their weights or those of a file.

A file may differ from the network in the classifier head, the last linear layer, because it was trained on other
classes: the head is then built with the number of classes in the file, or else left untrained.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from cornet.brain.subjects.base import suggestion
from cornet.errors import CornetError
from cornet.models.cornet.published import check_floating_point
from cornet.models.untrusted import seeded
from cornet.models.weight_files import Weights, extract_weights, read_weight_file

__all__ = ["MAX_CLASSES", "LibraryModel", "library_network", "with_weights_of_file"]

log = logging.getLogger("cornet")

MAX_CLASSES = 1_000_000
UNTRAINED = "was not loaded; logits are those of an untrained head"


class LibraryModel(NamedTuple):
    """A network, and the size, mean and std of its images."""

    module: nn.Module
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


Make = Callable[[bool, int | None], LibraryModel]
"""Builds a network. Arguments: whether pretrained; number of classes, None for the network's own."""


def library_network(
    library: str,
    name: str,
    pretrained: bool = True,
    weights: Path | None = None,
    classes: int | None = None,
    ema: bool = False,
    seed: int = 0,
) -> LibraryModel:
    """Build a network of torchvision or timm.

    pretrained: load the library's weights. weights: a file to load instead. classes: number of classes; None: that of
    the file, or the network's own. ema: load averaged weights of the file. seed: of weights that are not loaded.

    Raises CornetError for an unknown network, and for weights that cannot be loaded or differ in more than the head.
    """
    build: Make = partial(torchvision_network if library == "torchvision" else timm_network, name)

    def make(pretrained: bool, classes: int | None) -> LibraryModel:
        with seeded(seed):
            return build(pretrained, classes)

    text = f"{library}:{name}"
    if weights is not None:
        return with_weights_of_file(text, make, weights, classes, ema)
    made = make(pretrained, None if pretrained else classes)
    if not pretrained or classes in (None, number_of_classes(made.module)):
        return made
    remade = make(False, classes)
    head = head_of(remade.module)
    problem = load_but_head(remade.module, made.module.state_dict(), head, text)
    if head is None or problem:
        raise CornetError(f"{text} cannot be built with {classes} classes; leave out num_classes.")
    log.warning("%s: the head %s %s", text, head, UNTRAINED)
    return remade


def with_weights_of_file(text: str, make: Make, path: Path, classes: int | None, ema: bool) -> LibraryModel:
    """Build a network and load a file into it. Logs one line if the head differs or the file was unusual."""
    content = read_weight_file(path)
    made = make(False, classes)
    head, own = head_of(made.module), made.module.state_dict()
    optional = {key for key in own if in_head(key, head)}
    found = extract_weights(content, str(path), [own], optional, ema=ema)
    count = classes_of_file(found, own, head)
    note = ""
    if count is not None and classes is not None and count != classes:
        raise CornetError(
            f"{path} has {count} classes in its head {head}, but num_classes={classes}; leave out num_classes."
        )
    if count is not None and count != (has := number_of_classes(made.module)):
        remade = make(False, count)
        if not differences(remade.module.state_dict(), found.tensors, None):
            made = remade
            note = f"the head {head} has {count} classes in the file, not {has}; it was built with {count}"
    problem = load_but_head(made.module, found.tensors, None, str(path))
    if problem and head is not None:
        problem = load_but_head(made.module, found.tensors, head, str(path))
        note = f"the head {head} {UNTRAINED}"
    if problem:
        raise CornetError(f"{path} does not contain the weights of {text}: {problem}; give another file.")
    found.report(str(path), more=note)
    return made


def load_but_head(module: nn.Module, state: Mapping[str, Tensor], head: str | None, label: str) -> str:
    """Load weights, without those of the head unless it is None. Return the differences if they do not fit."""
    own = module.state_dict()
    if problem := differences(own, state, head):
        return problem
    state = {key: value for key, value in state.items() if not in_head(key, head)}
    check_floating_point(label, state, own)
    module.load_state_dict(state, strict=False)
    return ""


def differences(own: Mapping[str, Tensor], state: Mapping[str, Tensor], head: str | None) -> str:
    """Return how weights differ from a network's, outside the head unless it is None; "" if they fit."""
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    extra = [key for key in state if key not in own]
    misshapen = [key for key in own if key in state and state[key].shape != own[key].shape]
    missing, extra, misshapen = (
        [key for key in keys if not in_head(key, head)] for keys in (missing, extra, misshapen)
    )
    if not (missing or extra or misshapen):
        return ""
    return (
        f"{len(missing)} are missing, {len(extra)} unexpected, {len(misshapen)} of another shape, such as "
        f"{(missing + extra + misshapen)[0]}"
    )


def head_of(module: nn.Module) -> str | None:
    """Return the name of the last linear layer, the classifier; None if there is none."""
    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear) and name]
    return names[-1] if names else None


def in_head(key: str, head: str | None) -> bool:
    return head is not None and key.startswith(f"{head}.")


def number_of_classes(module: nn.Module) -> int | None:
    """Return the number of outputs of the last linear layer; None if there is none."""
    head = head_of(module)
    layer = None if head is None else module.get_submodule(head)
    return layer.out_features if isinstance(layer, nn.Linear) else None


def classes_of_file(found: Weights, own: Mapping[str, Tensor], head: str | None) -> int | None:
    """Return the number of classes of a file's head; None if the file has no head for the same features."""
    theirs, ours = found.tensors.get(f"{head}.weight"), own.get(f"{head}.weight")
    if theirs is None or ours is None or theirs.ndim != 2 or theirs.shape[1] != ours.shape[1]:
        return None
    return theirs.shape[0] or None


def torchvision_network(name: str, pretrained: bool, classes: int | None) -> LibraryModel:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise CornetError(f"torchvision has no classification network {name!r}; {suggestion(name, known)}")
    weights = models.get_model_weights(name).DEFAULT
    preprocessing = weights.transforms()
    options = {} if classes is None else {"num_classes": classes}
    module = create(
        f"torchvision:{name}",
        pretrained,
        lambda: models.get_model(name, weights=weights if pretrained else None, **options),
    )
    return LibraryModel(
        module, preprocessing.crop_size[0], tuple(preprocessing.mean), tuple(preprocessing.std)
    )


def timm_network(name: str, pretrained: bool, classes: int | None) -> LibraryModel:
    try:
        import timm
    except ImportError:
        raise CornetError(
            f"timm:{name} needs timm, which is not installed; install it with pip install 'cornet-ventral[timm]'."
        ) from None
    if not timm.is_model(name.partition(".")[0]):
        raise CornetError(f"timm has no network {name!r}; {suggestion(name, timm.list_models())}")
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}

    def make() -> nn.Module:
        try:
            return timm.create_model(name, pretrained=pretrained, **options)
        except RuntimeError as error:  # an unknown tag, or a model without weights
            raise CornetError(f"cannot create timm:{name} ({error}); use another, or ?untrained.") from None

    module = create(f"timm:{name}", pretrained, make)
    config = timm.data.resolve_model_data_config(module)
    return LibraryModel(module, int(config["input_size"][1]), tuple(config["mean"]), tuple(config["std"]))


def create(text: str, pretrained: bool, make: Callable[[], nn.Module]) -> nn.Module:
    """Call `make`, which may download weights. Raises CornetError if the download fails."""
    try:
        return make()
    except CornetError:
        raise
    except Exception as error:  # libraries and network backends raise various types
        if not pretrained:
            raise
        reason = (str(error).splitlines() or [""])[0].strip().rstrip(".")[:160] or type(error).__name__
        raise CornetError(
            f"the pretrained weights of {text} could not be loaded ({reason}); give a file, as in {text}?weights=PATH, "
            f"or use {text}?untrained."
        ) from None
