"""Public brain data, and whether there are credentials for services. Nothing is sent, and no secret is shown."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cornet.brain.data.public.fetching import data_folder
from cornet.brain.data.public.listing import PUBLIC
from cornet.cli.health.check import NOTE, OK, Check

__all__ = ["brain_data", "credentials", "hub_token", "wandb_key"]


def brain_data() -> list[Check]:
    """Check which public data sets are there. Their hashes are verified when they are used."""
    checks = []
    for data in PUBLIC.values():
        folder = data_folder(data)
        there = [file.name for file in data.files if (folder / file.name).is_file()]
        values = {"folder": str(folder), "files": there, "of": len(data.files)}
        if len(there) == len(data.files):
            checks.append(Check(data.name, OK, f"{data.summary}; in {folder}", "", values))
        else:
            text = f"{data.summary}: {len(there)} of {len(data.files)} files in {folder}"
            remedy = f"for brain=public or --on {data.name}: cornet fetch {data.name}"
            checks.append(Check(data.name, NOTE, text, remedy, values))
    return checks


def credentials() -> list[Check]:
    """Check whether credentials of Weights & Biases and the Hugging Face hub are set; only where, never what."""
    rows = (
        ("W&B", wandb_key(os.environ), "only needed for logger=wandb with uploads (wandb login)"),
        (
            "Hugging Face",
            hub_token(os.environ),
            "only needed for private or gated files of the hub (hf auth login)",
        ),
    )
    return [
        Check(
            name,
            OK,
            f"credentials in {place}" if place else f"no credentials; {use}",
            "",
            {"place": place or None},
        )
        for name, place, use in rows
    ]


def wandb_key(environment: Mapping[str, str]) -> str:
    """Return where the key of Weights & Biases is; "" if there is none."""
    if environment.get("WANDB_API_KEY"):
        return "WANDB_API_KEY"
    host = urlsplit(environment.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(environment.get("NETRC") or "~/.netrc").expanduser()
    try:
        return str(path) if host in netrc.netrc(path).hosts else ""
    except (OSError, netrc.NetrcParseError):
        return ""


def hub_token(environment: Mapping[str, str]) -> str:
    """Return where the token of the Hugging Face hub is; "" if there is none."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(name):
            return name
    home = environment.get("HF_HOME") or f"{environment.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    path = Path(environment.get("HF_TOKEN_PATH") or f"{home}/token").expanduser()
    try:
        return str(path) if path.stat().st_size else ""
    except OSError:
        return ""
