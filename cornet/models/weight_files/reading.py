"""Read a file of weights: of torch.save in any version, with objects beside the weights, or safetensors."""

from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from cornet.errors import CornetError
from cornet.models.safe_load import ContentError, read_checkpoint, refused_error
from cornet.models.weight_files.pickle_walker import Unread
from cornet.models.weight_files.torch_file import read_torch_file
from cornet.opening import open_regular

__all__ = ["damaged_safetensors", "read_safetensors", "read_weight_file"]


def read_weight_file(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the content of a file of weights, on the CPU. Nothing in the file is imported or called.

    Files that `read_checkpoint` refuses for their content are read by the pickle walker: objects in them become
    `Unread`, which `extract_weights` accepts beside the weights only. Raises CornetError for a file that is missing,
    damaged, not a checkpoint, or one whole object.
    """
    path = Path(path)
    if is_safetensors(path):
        return read_safetensors(path)
    try:
        return read_checkpoint(path)
    except ContentError as error:
        refused = error
    try:
        content = read_torch_file(path)
    except Exception:  # a damaged file can raise any exception; the first reader has named the damage
        raise refused from None
    if isinstance(content, Unread):
        raise refused_error(path, content.name, None, "d.state_dict()")
    if not isinstance(content, dict):
        raise CornetError(f"{path} holds {type(content).__name__}, not a dict of weights; give another file.")
    return content


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors do: with the length of a JSON object, and the object."""
    try:
        with open_regular(path) as file:
            start = file.read(9)
            size = file.seek(0, 2)
    except OSError:
        return False  # the reader of checkpoints names the problem
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file. Raises CornetError if it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise damaged_safetensors(path, error) from None


def damaged_safetensors(path: Path, error: Exception) -> CornetError:
    """Return the error for a file that the package safetensors cannot read."""
    reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
    return CornetError(f"{path} is a damaged safetensors file ({reason}); use another copy.")
