"""Checkpoints that a killed process or a full disk cannot damage, and that can carry no code."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from cornet.errors import CornetError
from cornet.files import atomic_write

__all__ = ["AtomicCheckpointIO", "load_checkpoint"]


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint to the CPU: tensors and plain values only, checked against its checksums.

    Raises CornetError when there is none, when it is damaged, or when it holds anything that would run code.
    """
    path = Path(path)
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        raise CornetError(
            f"There is no checkpoint at {path}; give the path of one, or train first: a run keeps its own in "
            "<folder of the run>/checkpoints."
        ) from None
    except OSError as error:
        raise CornetError(
            f"The checkpoint {path} cannot be read: {error.strerror}; give the path of a file."
        ) from error
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged:
                raise _damaged(path, f"the checksum of {damaged} is wrong")
        with warnings.catch_warnings():  # about pickle protocols, which do not matter to what is refused
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        stack_global = "Unsupported operand 149"  # a class by name, as newer pickles write it
        if "Unsupported operand" in str(error) and stack_global not in str(error):
            raise _damaged(path, "it is no checkpoint of PyTorch") from error
        raise CornetError(
            f"The checkpoint {path} is refused because it holds more than tensors and plain values{_named(path)}, and "
            "to load that could run any code; save it again as a state_dict where you trust it."
        ) from error
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(path, "it is cut short or no checkpoint of PyTorch") from error
    if not isinstance(content, dict):
        raise CornetError(
            f"The checkpoint {path} holds a {type(content).__name__} where a dictionary is needed."
        )
    return content


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way to the disk: written aside, brought to the disk, renamed; read without running code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Put `checkpoint` at `path` in one step.

        Raises CornetError when the disk is full or not to be written (the earlier file stays as it was), and when the
        checkpoint holds a value that `load_checkpoint` would refuse.
        """
        if storage_options is not None:
            raise TypeError("AtomicCheckpointIO takes no storage_options: it writes to a local folder")
        path, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        buffer.seek(0)
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(buffer)
        if unsafe:
            raise CornetError(
                f"The checkpoint {path} was not written because it would hold {', '.join(sorted(unsafe))}, which "
                "cannot be loaded again safely; keep tensors, numbers, strings, lists and dictionaries only."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CornetError(
                f"The folder {path.parent} cannot be made: {error.strerror}; choose another."
            ) from error
        earlier = "The previous checkpoint stays usable" if path.exists() else "Nothing of it was left there"
        hint = f"{earlier}; the same command continues this run from its last checkpoint."
        atomic_write(path, buffer.getbuffer(), hint=hint)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """As the function `load_checkpoint`, whatever `weights_only` says: Lightning's default would run code."""
        return load_checkpoint(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint that is there."""
        Path(path).unlink(missing_ok=True)


def _damaged(path: Path, why: str) -> CornetError:
    return CornetError(
        f"The checkpoint {path} is damaged ({why}); use another one, or remove it and begin this run again."
    )


def _named(path: Path) -> str:
    """The classes that a refused checkpoint asks for, where they can be listed."""
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # old formats cannot be listed; the refusal stands either way
        return ""
    return f" ({', '.join(sorted(unsafe)[:3])})" if unsafe else ""
