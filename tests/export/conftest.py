"""The `cornet` command in this process; a hub on loopback, and an account on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.helpers.command import command
from tests.helpers.export import hub_server


@pytest.fixture
def cornet(monkeypatch, capfd):
    """Calls `cornet` in this process: (exit status, standard output, standard error)."""
    return command(monkeypatch, capfd)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[hub_server.HubServer]:
    """A hub; nobody is logged in, and nothing is in the cache."""
    with hub_server.serve() as server:
        home = tmp_path / "huggingface"
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("no_proxy", "*")
        yield server


@pytest.fixture
def login(hub, tmp_path):
    """Log in as a user, by the file that `hf auth login` writes."""

    def as_user(token: str) -> None:
        path: Path = tmp_path / "huggingface" / "token"
        path.parent.mkdir(exist_ok=True)
        path.write_text(token)

    return as_user
