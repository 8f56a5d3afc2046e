"""Shared by tests of loggers."""

import pytest
import wandb

from tests.helpers.training.wandb_records import end_of_process


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    """No account, and none of the environment's settings."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()  # it reads the environment when it starts
    yield
    end_of_process()
