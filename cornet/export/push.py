"""Upload an exported folder to a repository of the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path

from cornet.errors import CornetError
from cornet.models.pretrained.hub import is_repository_name, translate_hub_errors, user_agent

__all__ = ["check_repository", "push_folder"]


def check_repository(repository: str) -> None:
    """Raise CornetError unless a text is USER/NAME, huggingface_hub is installed, and a user is logged in."""
    if not is_repository_name(repository):
        raise CornetError(
            f"--push {repository} must be USER/NAME, of letters, digits, '.', '_' and '-', such as me/my-cornet."
        )
    with translate_hub_errors(repository):
        from huggingface_hub import get_token

        if get_token() is None:
            raise CornetError(
                f"nobody is logged in to push to {repository}; run hf auth login, or set HF_TOKEN, and repeat "
                "the command."
            )


def push_folder(folder: Path, repository: str, names: Sequence[str], private: bool = False) -> str:
    """Upload the files `names` of a folder in one commit, and return the address of the repository.

    The repository is created if it does not exist; private: only the user sees it. The token is that of the login of
    huggingface_hub. Raises CornetError if nobody is logged in, if the hub cannot be reached or refuses, and if the
    repository exists and is public although `private` was asked for.
    """
    check_repository(repository)
    with translate_hub_errors(repository):
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(**user_agent())
        address = api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise CornetError(
                f"{repository} exists and is public, so that --private cannot hide what is pushed; push to another "
                "name, or make it private in its settings first."
            )
        # Not upload_folder, which may make several commits of one folder.
        files = [CommitOperationAdd(name, folder / name) for name in names]
        api.create_commit(repository, files, commit_message="Upload a network of cornet")
    return str(address)
