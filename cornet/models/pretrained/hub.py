"""Download the two files of a network from a repository of the Hugging Face hub, into the hub's own cache."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cornet.errors import CornetError
from cornet.models.pretrained.settings import CONFIG, MAX_CONFIG_BYTES, read_config_file
from cornet.models.pretrained.weights_folder import WEIGHTS, largest_file

__all__ = ["fetch_repository", "hub_address", "is_repository_name", "translate_hub_errors", "user_agent"]

_NAME = re.compile(r"[A-Za-z0-9]([\w.-]{0,94}\w)?/[A-Za-z0-9]([\w.-]{0,94}\w)?", re.ASCII)


def is_repository_name(text: str) -> bool:
    """Whether a text may name a repository: USER/NAME of letters, digits, ".", "_" and "-", as the hub allows."""
    return bool(_NAME.fullmatch(text)) and ".." not in text and "--" not in text


def fetch_repository(repository: str, revision: str | None, token: str | bool | None) -> Path:
    """Return the folder of the hub's cache with both files of a repository, of one commit. Downloads what is missing.

    A file of weights that is larger than the network which config.json names is not downloaded. Raises CornetError as
    `from_pretrained` does.
    """
    config = _fetch(repository, CONFIG, revision, token, MAX_CONFIG_BYTES)
    # The folder is named after the commit: the branch may move between the two downloads.
    limit = largest_file(read_config_file(config), config)
    return _fetch(repository, WEIGHTS, config.parent.name, token, limit).parent


def user_agent() -> dict[str, Any]:
    """The library and its version, which huggingface_hub states in its requests."""
    import cornet

    return {"library_name": "cornet", "library_version": cornet.__version__}


def hub_address() -> str:
    """The host of the hub, without names or passwords in its address."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or constants.ENDPOINT}{port}"


@contextlib.contextmanager
def translate_hub_errors(repository: str, revision: str | None = None) -> Iterator[None]:
    """Turn the errors of huggingface_hub about a repository into CornetErrors of one sentence.

    Raises CornetError also if the package is not installed.
    """
    try:
        from huggingface_hub import errors
    except ImportError:
        raise CornetError(
            f"{repository} would be on the Hugging Face hub, but the package huggingface_hub is not installed; install "
            "it with pip install 'cornet-ventral[hub]'."
        ) from None
    host = hub_address()
    try:
        yield
    except errors.GatedRepoError:
        raise CornetError(
            f"access to {repository} must be requested; ask for it on {host}, and log in with hf auth login."
        ) from None
    except errors.RepositoryNotFoundError:
        raise CornetError(
            f"{repository} is neither an existing folder nor a repository on {host} that you may read; correct the "
            "name, or log in with hf auth login if it is private."
        ) from None
    except errors.RevisionNotFoundError:
        raise CornetError(
            f"{repository} on {host} has no revision {revision!r}; give a branch, a tag, or the hash of a commit."
        ) from None
    except errors.RemoteEntryNotFoundError as error:
        name = (
            str(error.response.url).rpartition("/")[2] if error.response is not None else "file of that name"
        )
        raise CornetError(
            f"{repository} on {host} has no {name}; name a repository that cornet export --push wrote."
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise CornetError(
            f"{repository} is not in the cache and {host} cannot be reached; check the connection, and HF_HUB_OFFLINE "
            "and HF_ENDPOINT where they are set."
        ) from None
    except errors.HfHubHTTPError as error:
        raise CornetError(_refused(repository, host, error)) from None
    except errors.HTTPError as error:  # of the connection
        raise CornetError(
            f"{host} cannot be reached for {repository} ({_first_line(error)}); check the connection, and HF_ENDPOINT "
            "where it is set."
        ) from None
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        reason = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise CornetError(
            f"{repository}: {host} gave no usable answer ({_first_line(reason)}); try again."
        ) from None


def _fetch(repository: str, name: str, revision: str | None, token: str | bool | None, limit: int) -> Path:
    """Download one file unless it is in the cache; its folder there is named after the commit."""
    with translate_hub_errors(repository, revision):
        from huggingface_hub import hf_hub_download

        asked: Any = {"revision": revision, "token": token, **user_agent()}
        size = hf_hub_download(repository, name, dry_run=True, **asked).file_size
        if size is not None and size > limit:
            raise CornetError(
                f"{name} of {repository} has {size:,} bytes, more than the {limit:,} that it can need; it was not "
                "downloaded: give another repository."
            )
        return Path(hf_hub_download(repository, name, **asked))


def _refused(repository: str, host: str, error: Any) -> str:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return (
            f"{host} refuses access to {repository} (status {status}); log in with hf auth login as a user who "
            "may, with a token that allows it."
        )
    return f"{host} refuses {repository} (status {status}: {_first_line(error)}); try again later."


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".;")
