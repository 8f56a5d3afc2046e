"""Write checkpoints atomically, and read them without running code."""

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.models.safe_load import read_checkpoint

__all__ = ["AtomicCheckpointIO"]


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's checkpoint I/O: writes to a temporary file, syncs and renames it; reads without running code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to `path` atomically; an existing `last.ckpt` becomes `previous.ckpt`.

        Raises CornetError if the disk is full or the path is not writable (the existing file stays unchanged), and if
        the checkpoint holds a value that `read_checkpoint` would refuse.
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
                "cannot be loaded again safely; store only tensors, numbers, strings, lists and dictionaries."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CornetError(
                f"The folder {path.parent} cannot be created: {error.strerror}; choose another."
            ) from error
        earlier = "The previous checkpoint stays usable" if path.exists() else "No part of it was written"
        hint = f"{earlier}; repeat the command to resume."
        previous = path.with_name("previous.ckpt") if path.name == "last.ckpt" else None
        atomic_write(path, buffer.getbuffer(), hint, previous)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint by `read_checkpoint`. `weights_only` is ignored: Lightning's default would run code."""
        return read_checkpoint(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, if it exists. Other files are kept: a checkpoint's state may name any path."""
        if Path(path).suffix == ".ckpt" and ".." not in Path(path).parts:
            Path(path).unlink(missing_ok=True)
