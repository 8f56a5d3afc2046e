"""Write and read a folder of pretrained weights: model.safetensors, and config.json that says how to build the network.

Weights and buffers keep their names, shapes and dtypes, so that a network is read as it was written, bit for bit.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.hashing import digest
from cornet.models.base import Network
from cornet.models.create import create_model
from cornet.models.pretrained.settings import (
    CONFIG,
    ImageSettings,
    PretrainedConfig,
    plain,
    read_config_file,
)
from cornet.models.registry import list_models
from cornet.models.untrusted import build_checked, check_plain_arguments, without_decoder
from cornet.models.weight_files.reading import damaged_safetensors, read_safetensors
from cornet.opening import open_regular

__all__ = [
    "WEIGHTS",
    "is_weights_folder",
    "largest_file",
    "read_weights_folder",
    "weights_hash",
    "write_weights_folder",
]

WEIGHTS = "model.safetensors"
HEADER_BYTES = 2**24
"""Limit on the header of a downloaded file; CORnet-S has 20 kB."""

TYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
    "BOOL": torch.bool,
}
"""Dtypes that are read, by their name in the file."""


class Entry(NamedTuple):
    """Dtype and shape of a tensor in a file's header."""

    dtype: torch.dtype
    shape: tuple[int, ...]


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all weights and buffers, with their names, dtypes and shapes."""
    return digest({name: _as_data(value) for name, value in state.items()})


def write_weights_folder(net: Network, images: ImageSettings, folder: Path) -> PretrainedConfig:
    """Write model.safetensors and config.json into an existing folder, and return the content of the latter.

    net: made by `create_model`, on any device. Raises CornetError for a network that was changed so that its arguments
    no longer build it, and for impossible `images`.
    """
    import cornet

    assert net.made_with is not None
    state = {key: value.detach().cpu().contiguous().clone() for key, value in net.state_dict().items()}
    arguments = {key: plain(value) for key, value in net.made_with.items() if key != "name"}
    whole = not isinstance(net.decoder, nn.Identity)
    config = PretrainedConfig(str(net.made_with["name"]), arguments, images, weights_hash(state), whole)
    if problem := images.problem():
        raise CornetError(f"the images have {problem}; give the size, mean and std of the network's images.")
    label = f"the network {config.name}"
    check_plain_arguments(label, arguments)
    _check_classes(label, config, net)
    with torch.device("meta"):
        problem = _differences(entries_of(config_network(config).state_dict()), entries_of(state))
    if problem:
        raise CornetError(
            f"{label} was changed after cornet.create_model made it, so that it could not be built again ({problem}); "
            "make it with the arguments that it needs."
        )
    try:
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    except SafetensorError as error:
        raise CornetError(f"{folder / WEIGHTS} cannot be written ({error}); give another folder.") from None
    atomic_write(folder / CONFIG, config.to_json(cornet.__version__))
    mode = (folder / CONFIG).stat().st_mode & 0o777
    (folder / WEIGHTS).chmod(mode)  # safetensors lets no other user read it
    return config


def is_weights_folder(folder: Path) -> bool:
    """Whether a folder has the two files."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def read_weights_folder(folder: Path, untrained: bool = False, seed: int = 0) -> Network:
    """Build the network of a folder, load its weights, and set its `image_settings`. It is in evaluation mode.

    untrained: keep new weights, drawn with `seed`, in place of those of the file.

    The network is built and compared with the file's header on the meta device first, so that no memory is taken for
    what the file does not contain. Raises CornetError for a folder that is incomplete, damaged, of another library or a
    newer format, and for a network that this version does not know or that does not fit.
    """
    config = read_config_file(_inside(folder, CONFIG))
    path = _inside(folder, WEIGHTS)
    check_known(folder / CONFIG, config)
    found = read_header(path)

    def check(net: Network, content: Mapping[str, Any], report: bool = False) -> None:
        _check_fits(path, config, net, found)

    net = build_checked(folder / CONFIG, {}, seed, partial(config_network, config), check)
    if not untrained:
        # The file is mapped into memory, and others may change it later.
        state = {key: value.clone() for key, value in read_safetensors(path).items()}
        if weights_hash(state) != config.weights:
            raise CornetError(
                f"{path} is damaged: its weights are not those that {CONFIG} was written for; use another copy."
            )
        set_weights(net, state)
    net.image_settings = config.images
    return net.eval()


def largest_file(config: PretrainedConfig, path: Path) -> int:
    """Bytes that the weights of a network have at most in any dtype, with the file's header.

    path: of config.json, for messages. Raises CornetError for a network that cannot be built.
    """
    check_known(path, config)
    sizes = []

    def count(net: Network, content: Mapping[str, Any], report: bool = False) -> None:
        sizes.append(8 * sum(value.numel() for value in net.state_dict().values()))

    with torch.device("meta"):  # never built with memory
        build_checked(path, {}, 0, partial(config_network, config), count)
    return sizes[0] + HEADER_BYTES


def config_network(config: PretrainedConfig) -> Network:
    """Make the network of a config.json, with new weights."""
    make = partial(create_model, config.name, **config.arguments)
    net: Network = make() if config.decoder else without_decoder(make)
    return net


def check_known(path: Path, config: PretrainedConfig) -> None:
    """Raise CornetError for a network of the user's own code, an unknown one, or arguments that cornet never writes."""
    if "_target_" in config.arguments:
        raise CornetError(
            f"{path} names the custom network {config.arguments['_target_']!r}, which cannot be built without its "
            "code; load the run or the checkpoint with --trust."
        )
    if config.name not in list_models(other_inputs=True):
        import cornet

        raise CornetError(
            f"{path} names the network {config.name!r}, which cornet {cornet.__version__} does not have (it has "
            f"{', '.join(list_models())}); install the version that wrote the file, or import the module that "
            "registers it first."
        )
    check_plain_arguments(path, config.arguments)


def entries_of(state: Mapping[str, Tensor]) -> dict[str, Entry]:
    """Dtype and shape of each tensor."""
    return {key: Entry(value.dtype, tuple(value.shape)) for key, value in state.items()}


def read_header(path: Path) -> dict[str, Entry]:
    """Dtype and shape of each tensor of a safetensors file. Reads its header only. Raises CornetError if damaged."""
    try:
        open_regular(path).close()  # a pipe would wait for its writer
        with safe_open(path, "pt") as file:
            parts = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 -- it is not a mapping
            return {
                key: Entry(TYPES[part.get_dtype()], tuple(part.get_shape())) for key, part in parts.items()
            }
    except KeyError as error:
        raise CornetError(
            f"{path} has weights of dtype {error.args[0]}, which cornet never writes; use another file."
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged_safetensors(path, error) from None


def set_weights(net: Network, state: Mapping[str, Tensor]) -> None:
    """Replace all weights and buffers in place, with the dtypes of `state`, which has the names and shapes of them."""
    named = [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]
    own = dict(named)
    with torch.no_grad():
        for key, value in state.items():
            own[key].data = value.to(own[key].device)


def _check_fits(path: Path, config: PretrainedConfig, net: Network, found: Mapping[str, Entry]) -> None:
    """Raise CornetError unless the tensors of a file are those of a network, and its classes the outputs."""
    if problem := _differences(entries_of(net.state_dict()), found):
        raise CornetError(
            f"{path} does not hold the weights of {config.name} with the arguments of {CONFIG}: {problem}; use weights "
            "and arguments that belong together."
        )
    _check_classes(path, config, net)


def _check_classes(label: object, config: PretrainedConfig, net: Network) -> None:
    """Raise CornetError if there are names of classes, but not as many as outputs."""
    count = len(config.images.classes)
    if config.decoder and count and count != net.num_classes:
        raise CornetError(
            f"{label} has {net.num_classes} outputs but {count} names of classes; give one for each, or none."
        )


def _differences(own: Mapping[str, Entry], found: Mapping[str, Entry]) -> str:
    """How tensors differ from a network's in names, shapes and kinds of numbers; "" if they do not."""
    missing, extra = [key for key in own if key not in found], [key for key in found if key not in own]
    shapes = [key for key in own if key in found and found[key].shape != own[key].shape]
    if missing or extra or shapes:
        return (
            f"{len(missing)} are missing, {len(extra)} unexpected, {len(shapes)} of another shape, such as "
            f"{(missing + extra + shapes)[0][:200]!r}"
        )
    for key, entry in own.items():
        both = {entry.dtype, found[key].dtype}
        if len(both) > 1 and not all(dtype.is_floating_point for dtype in both):
            return f"{key!r} is {found[key].dtype}, not {entry.dtype}"
    return ""


def _inside(folder: Path, name: str) -> Path:
    """A file of a folder; links may lead within the folder, or to the blobs of a cache of the Hugging Face hub."""
    path = folder / name
    if not path.exists():
        raise CornetError(
            f"{folder} has no {name}; give a folder that cornet export RUN --to safetensors wrote (of a run, use "
            "cornet.load_run(FOLDER).model())."
        )
    real, own = path.resolve(), folder.resolve()
    allowed, repository = [own], own.parent.parent
    if own.parent.name == "snapshots" and repository.name.startswith("models--"):
        allowed += [repository / "blobs", repository.parent / "blobs"]  # of the repository, and shared by all
    if not any(real.is_relative_to(one) for one in allowed):
        raise CornetError(f"{path} is a link that leads out of its folder; replace it by the file.")
    return path


def _as_data(value: Tensor) -> Any:
    """An array for `digest`; numbers of dtypes that NumPy lacks as their bytes, with dtype and shape."""
    flat = value.detach().cpu().contiguous()
    if value.dtype in (torch.bfloat16,):
        return [str(value.dtype), list(value.shape), flat.view(torch.int16).numpy()]
    return flat.numpy()
