"""Keeping keys and passwords out of what a run writes: its configuration, its loggers' settings, its report.

A configuration may need a secret while it runs (`${oc.env:...}`, an address with a user and a password). What is
written down of it has `***` in its place.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cornet.names import encodable

__all__ = ["MASK", "arguments_without_secrets", "secrets_here", "without_secrets"]

MASK = "***"
SHORTEST = 8
"""Characters of a variable's value that is taken for a secret: a shorter one (1, true, no) stands in many texts."""

_WORDS = "KEY|KEYS|TOKEN|TOKENS|SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|CREDENTIALS|APIKEY"
_NAME = re.compile(rf"(?:.*[_.-])?(?:{_WORDS})(?:[_.-].*)?|.*(?:APIKEY|PASSWORD|PASSWD|SECRET|CREDENTIALS?)")
_PLACES = re.compile(r".*[_.-](?:FILE|FILES|PATH|DIR|FOLDER|URL|URI)")
"""Of variables such as AWS_SHARED_CREDENTIALS_FILE, which say where a secret is kept and are none."""

_USER = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/?#]*)@")
_QUERY = re.compile(
    r"(?P<before>[?&;#](?P<name>[A-Za-z0-9_.%-]+)=)(?P<value>[^&;#\s'\"<>]+)",
)
_SIGNED = re.compile(
    r"SIG|SIGNATURE|.*-SIGNATURE|AUTH|AUTHORIZATION|CODE|PWD|PASS|.*ACCESSKEYID|.*-CREDENTIAL"
)


_OVERRIDE = re.compile(r"(?P<before>[+~]*(?P<name>[A-Za-z_][\w./@-]*)=)(?P<value>.+)", re.DOTALL)

_ENTRY = re.compile(
    r"""(?P<before>[{,\s]['"]?(?P<name>[\w.-]+)['"]?\s*:\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,{}\[\]'"][^,{}\[\]]*)"""
)
"""An entry of a dictionary in an override: storage_options={key: abc}."""


def without_secrets(value: Any) -> Any:
    """The same nested dictionaries, lists and texts with secrets replaced by `***`.

    Secrets are the values of environment variables whose name tells it (KEY, TOKEN, SECRET, PASSWORD, CREDENTIAL as a
    word of it), wherever they stand in a text; user and password in an address, and what signs its query
    (X-Amz-Signature, sig, token); and texts under a key that is named so, or after it in an override. What holds none
    comes back equal, so that what is recorded of a run stays the same.
    """
    return _masked(value, secrets_here())


def secrets_here() -> list[str]:
    """Values of this process's environment that are secrets, the longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST
        and _tells(name)
        and not _PLACES.fullmatch(name.upper())
        and not os.path.exists(value)
    }
    return sorted(found, key=lambda value: (-len(value), value))


@contextlib.contextmanager
def arguments_without_secrets() -> Iterator[None]:
    """A context in which sys.argv holds none and is UTF-8, for what records how a program was started."""
    saved = sys.argv
    sys.argv = encodable(without_secrets(saved))
    try:
        yield
    finally:
        sys.argv = saved


def _masked(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, Mapping):
        return {
            _masked(key, secrets): MASK
            if isinstance(one, str) and one and _tells(str(key))
            else _masked(one, secrets)
            for key, one in value.items()
        }
    if isinstance(value, tuple):
        return tuple(_masked(one, secrets) for one in value)
    if isinstance(value, list):
        return [_masked(one, secrets) for one in value]
    return value


def _text(text: str, secrets: Sequence[str]) -> str:
    if override := _OVERRIDE.fullmatch(text):
        if _tells(override["name"]):
            return override["before"] + MASK
        if override["value"].startswith(("{", "[")):
            text = _ENTRY.sub(
                lambda one: one["before"] + (MASK if _tells(one["name"]) else one["value"]), text
            )
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _USER.sub(rf"\g<scheme>{MASK}@", text)
    return _QUERY.sub(
        lambda found: found["before"] + (MASK if _signs(found["name"]) else found["value"]),
        text,
    )


def _signs(name: str) -> bool:
    return bool(_SIGNED.fullmatch(name.upper())) or _tells(name)


def _tells(name: str) -> bool:
    """Whether a name says that what it names is a secret: WANDB_API_KEY, aws_secret_access_key, storage.password."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # apiKey
    return bool(_NAME.fullmatch(apart.upper()))
