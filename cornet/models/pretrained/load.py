"""Load a network from a folder of pretrained weights, or from a repository of the Hugging Face hub."""

import os
from pathlib import Path

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.pretrained.hub import fetch_repository, is_repository_name
from cornet.models.pretrained.weights_folder import read_weights_folder

__all__ = ["from_pretrained"]


def from_pretrained(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
) -> Network:
    """Load a network that `cornet export --to safetensors` or `cornet.save_pretrained` wrote.

    source: a folder, or "USER/NAME", a repository of the Hugging Face hub, of which config.json and model.safetensors
        are downloaded into the hub's cache (extra `hub`; the environment variables HF_ENDPOINT, HF_HOME and
        HF_HUB_OFFLINE are honoured). An existing folder of that name goes first.
    revision: of a repository: a branch, a tag, or the hash of a commit. Default: the branch main.
    token: of the hub; None: the one of `hf auth login`, if any; False: none.

    Returns the network on the CPU (or torch's default device) in evaluation mode, with weights as they were written and
    `net.image_settings`: the size, mean, std, degrees and classes of its images, an `ImageSettings`. The files may come
    from anyone: no code of theirs is executed, and no memory is taken for more than they hold.

    Raises CornetError if there is no such folder or repository, if it cannot be reached, and for files that are
    missing, damaged, of a newer format, or of a network that this version does not know.
    """
    text = os.fspath(source)
    folder = Path(text).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise CornetError(f"{text} is a folder, which has no revision {revision!r}; leave out revision.")
        return read_weights_folder(folder)
    if folder.exists():
        raise CornetError(
            f"{text} is a file; give the folder with config.json and model.safetensors, or load a checkpoint with "
            "cornet.create_model(NAME, pretrained=PATH)."
        )
    if not is_repository_name(text):
        raise CornetError(
            f"{text!r} is neither an existing folder nor the name of a repository, such as USER/NAME; give one of them."
        )
    return read_weights_folder(fetch_repository(text, revision, token))
