"""Build networks that files name, without trust in the files: plain arguments only, and no memory before a check."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.registry import FILE_ARGUMENTS
from cornet.sizes import MAX_STEPS

__all__ = ["Load", "build_checked", "check_plain_arguments", "check_times", "seeded", "without_decoder"]

Load = Callable[..., Any]
"""Loads the content of a checkpoint into a network."""


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context with this seed of torch's CPU generator, whose state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def without_decoder(make: Callable[[], Network]) -> Network:
    """Make a network without its decoder, as tasks with heads of their own train it."""
    net = make()
    net.reset_classifier(0)
    return net


def check_plain_arguments(path: Path | str, arguments: Mapping[str, Any]) -> None:
    """Raise CornetError for network arguments that train.py does not write to a checkpoint."""
    for word, value in arguments.items():
        named_file = word in FILE_ARGUMENTS and value is not None
        if not is_plain(value) or named_file or word in ("pretrained", "weights_url", "accept_hash", "ema"):
            raise CornetError(
                f"{path} names a network with {word}={value!r}, which cornet never writes; give another file."
            )
    times = arguments.get("times")
    check_times(path, times.values() if isinstance(times, Mapping) else [times])


def is_plain(value: Any, depth: int = 2) -> bool:
    """Return whether a value is text, a number, None, or a list or mapping of these nested at most `depth` deep."""
    if isinstance(value, Mapping | list | tuple):
        inner = value.values() if isinstance(value, Mapping) else value
        return depth > 0 and all(is_plain(item, depth - 1) for item in inner)
    return isinstance(value, str | int | float | bool | None)


def check_times(path: Path | str, times: Iterable[Any]) -> None:
    """Raise CornetError for more than MAX_STEPS steps, which would take too long to build."""
    if excess := [steps for steps in times if isinstance(steps, int | float) and steps > MAX_STEPS]:
        raise CornetError(f"{path} names a network of {excess[0]} steps; at most {MAX_STEPS} are allowed.")


def build_checked(
    path: Path, content: Mapping[str, Any], seed: int, make: Callable[[], Network], load: Load
) -> Network:
    """Build the network after checking on the meta device that the file's weights fit: this needs no memory."""
    try:
        with torch.device("meta"):
            load(make(), content, report=False)
        with seeded(seed):
            return make()
    except CornetError:
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise CornetError(
            f"{path} names a network that cannot be built ({error}); give another file."
        ) from None
