"""Mask keys and passwords in everything a run writes: configuration, folder, logs, loggers, errors and report.

They become `***`. The patterns are our own: detect-secrets (last release 2024) does not know the keys `auth`, `pwd`
and `pass`, and sentry-sdk matches whole names only.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cornet.names import encodable

__all__ = ["MASK", "arguments_without_secrets", "mask_logs", "message_without_secrets", "without_secrets"]

MASK = "***"
SHORTEST = 8
"""Shortest value of a variable that counts as a secret; shorter ones (1, true, no) occur in many texts."""

ANYWHERE = re.compile(r"password|passwd|passphrase|apikey|accesskey|secret|credential")
"""Parts of a secret's name, also joined to others: PGPASSWORD."""
ANY_WORD = {"auth", "authorization", "authentication", "bearer", "cookie", "cookies", "dsn", "jwt", "token"}
"""Words of a secret's name: http_auth, tokenValue. Not `author` and not `tokens`."""
LAST_WORDS = {"key", "pass", "pat", "private", "pwd", "sas", "sig", "signature"}
"""Last words of a secret's name: api_key, DATABASE_PASS. Not `keypoints`, `monkey`, `pass_band`, `compass`."""
NOT_KEYS = {"foreign", "group", "index", "partition", "primary", "sort"}
"""Words that with `key` name a column of a table."""
SESSIONS = {"aws", "boto", "boto3", "botocore", "http", "login", "s3"}
"""Words that with `session` name a login; alone, a session is a recording session."""
_LOCATION = re.compile(r"(?:OLD)?PWD|.*[_.-](?:FILE|FILES|PATH|DIR|FOLDER|URL|URI|SOCK)")
"""Variables such as AWS_SHARED_CREDENTIALS_FILE, which name the location of a secret."""

_SHAPES = re.compile(
    r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|wandb_v\d_\w{16,}|sk-[\w-]{20,}|xox[a-z]-[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Tokens of AWS, GitHub, GitLab, Hugging Face, Weights & Biases, OpenAI, Slack, JSON web tokens, PEM. Old W&B keys, 40
hexadecimal digits, look like a git commit, and are found only by their variable."""
_HEADER = re.compile(
    r"(?P<before>\b(?:Authorization['\"]?\s*[:=]\s*['\"]?(?:(?:Basic|Bearer|Digest|Token)\s+)?|Bearer\s+))"
    r"(?P<value>(?!(?:Basic|Bearer|Digest|Token)\s)[^\s,;'\"{}\[\]<>*]{3,})",
    re.IGNORECASE,
)
_USER = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/?#]*)@")
_QUERY = re.compile(r"(?P<before>[?&;#](?P<name>[\w.%-]+)=)(?P<value>[^&;#\s'\"<>]+)")
_SIGNED = re.compile(r"SIG|.*-SIGNATURE|CODE|.*ACCESSKEYID|.*-CREDENTIAL")
_ASSIGNED = re.compile(
    r"""(?P<before>(?<![\w./-])[+~]{0,2}(?P<name>[A-Za-z_][\w./@-]*)=)(?P<value>"[^"]*"|'[^']*'|[^\s,;&#'"]+)"""
)
_OVERRIDE = re.compile(r"(?P<before>[+~]*(?P<name>[A-Za-z_][\w./@-]*)=)(?P<value>.+)", re.DOTALL)
_ENTRY = re.compile(
    r"""(?P<before>[{,\s]['"]?(?P<name>[\w.-]+)['"]?\s*:\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,{}\[\]'"][^,{}\[\]]*)"""
)
"""An entry of a dictionary in an override: storage_options={key: abc}."""


def without_secrets(value: Any) -> Any:
    """Return the same nested dictionaries, lists and texts with secrets replaced by `***`.

    Secrets are found by value (see `environment_secrets`), by key, and by form (a user name and password or a signature
    in a URL, an Authorization header, tokens of known services). Everything else stays equal.
    """
    return _masked(value, environment_secrets(), "")


def message_without_secrets(text: str) -> str:
    """Return a sentence with its secrets replaced by `***`, as in `without_secrets`; other words stay."""
    return _text(text, environment_secrets(), prose=True)


def environment_secrets() -> list[str]:
    """Return the values of environment variables whose name indicates a secret, the longest first.

    At least `SHORTEST` characters; no existing paths; also URL-quoted.
    """
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST
        and is_secret(name)
        and not _LOCATION.fullmatch(name.upper())
        and not os.path.exists(value)
    }
    return sorted(found | {quote(value, safe="") for value in found}, key=lambda value: (-len(value), value))


def is_secret(name: str) -> bool:
    """Return whether a name indicates a secret: WANDB_API_KEY, aws_secret_access_key, storage.auth."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()  # apiKey
    words = re.findall(r"[a-z]+", separated)
    if not words:
        return False
    *before, last = words[:-1] if words[-1] == "id" and "key" in words else words  # access_key_id
    return bool(
        ANYWHERE.search(re.sub(r"[\W_]", "", separated))
        or ANY_WORD.intersection(words)
        or (last in LAST_WORDS and not (last == "key" and NOT_KEYS.intersection(before[-1:])))
        or ("session" in words and SESSIONS.intersection(words))
    )


def grants_access(name: str) -> bool:
    """Return whether a URL's query parameter of this name grants access."""
    return bool(_SIGNED.fullmatch(name.upper())) or is_secret(name)


@contextlib.contextmanager
def arguments_without_secrets() -> Iterator[None]:
    """A context in which sys.argv has no secrets and is UTF-8, for code that records the command line."""
    saved = sys.argv
    sys.argv = encodable(without_secrets(saved))
    try:
        yield
    finally:
        sys.argv = saved


def mask_logs() -> None:
    """Mask secrets in all output of the root logger's handlers."""

    def masked(record: logging.LogRecord) -> bool:
        record.msg, record.args = message_without_secrets(record.getMessage()), ()
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(masked)


def _masked(value: Any, secrets: Sequence[str], key: str) -> Any:
    """key: the dotted key of the value."""
    if isinstance(value, str):
        return MASK if value and is_secret(key) else _text(value, secrets)
    if isinstance(value, Mapping):
        # Below a key of a secret, any key; otherwise the last two keys count, as in aws.session.
        above = key if is_secret(key) else key.rpartition(".")[2]
        return {
            _masked(name, secrets, ""): _masked(one, secrets, f"{above}.{name}")
            for name, one in value.items()
        }
    if isinstance(value, tuple):
        return tuple(_masked(one, secrets, key) for one in value)
    if isinstance(value, list):
        return [_masked(one, secrets, key) for one in value]
    return value


def _text(text: str, secrets: Sequence[str], prose: bool = False) -> str:
    if not prose and (override := _OVERRIDE.fullmatch(text)):
        if is_secret(override["name"]):
            return override["before"] + MASK
        if override["value"].startswith(("{", "[")):
            text = _ENTRY.sub(lambda one: _hidden(one, is_secret(f"{override['name']}.{one['name']}")), text)
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _SHAPES.sub(MASK, _USER.sub(rf"\g<scheme>{MASK}@", text))
    text = _HEADER.sub(lambda one: _hidden(one, True), text)
    text = _QUERY.sub(lambda one: _hidden(one, grants_access(one["name"])), text)
    return _ASSIGNED.sub(lambda one: _hidden(one, one["name"] != "key" and is_secret(one["name"])), text)


def _hidden(found: re.Match[str], secret: bool) -> str:
    return str(found["before"] + (MASK if secret else found["value"]))
