"""Keeping keys and passwords out of what a run writes: configuration, folder, logs, loggers, errors and report.

They become `***`. The lists are our own: detect-secrets (last release 2024) does not know the keys `auth`, `pwd` and
`pass`, and sentry-sdk matches whole names only.
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
"""Characters of a variable's value that is taken for a secret: a shorter one (1, true, no) stands in many texts."""

INSIDE = re.compile(r"password|passwd|passphrase|apikey|accesskey|secret|credential")
"""Anywhere in a name, also joined to others: PGPASSWORD."""
WORDS = {"auth", "authorization", "authentication", "bearer", "cookie", "cookies", "dsn", "jwt", "token"}
"""As any word of a name: http_auth, tokenValue. Not `author` and not `tokens`."""
LAST = {"key", "pass", "pat", "private", "pwd", "sas", "sig", "signature"}
"""As the last word of a name: api_key, DATABASE_PASS. Not `keypoints`, `monkey`, `pass_band` and not `compass`."""
NOT_KEYS = {"foreign", "group", "index", "partition", "primary", "sort"}
"""Before `key` these name a column of a table."""
SESSIONS = {"aws", "boto", "boto3", "botocore", "http", "login", "s3"}
"""With `session` these name a login; alone it is one of a recording."""
_PLACE = re.compile(r"(?:OLD)?PWD|.*[_.-](?:FILE|FILES|PATH|DIR|FOLDER|URL|URI|SOCK)")
"""Of variables such as AWS_SHARED_CREDENTIALS_FILE, which say where a secret is kept and are none."""

_SHAPES = re.compile(
    r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|wandb_v\d_\w{16,}|sk-[\w-]{20,}|xox[a-z]-[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Of AWS, GitHub, GitLab, Hugging Face, Weights & Biases, OpenAI, Slack, JSON web tokens, PEM. W&B's older keys, 40
hexadecimal digits, look like a git commit, and are known by their variable alone."""
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
    """The same nested dictionaries, lists and texts with secrets replaced by `***`.

    Found by value (environment variables with a telling name, see `secrets_here`), by key, and by shape (user and
    password or a signature in an address, an Authorization header, tokens of known services). The rest stays equal.
    """
    return _masked(value, secrets_here(), "")


def message_without_secrets(text: str) -> str:
    """A sentence with the secrets in it replaced by `***`, as by `without_secrets`; the words around them stay."""
    return _text(text, secrets_here(), prose=True)


def secrets_here() -> list[str]:
    """Values, of `SHORTEST` characters or more, of environment variables with a telling name, the longest first.

    Not paths that exist; also as they are written in an address.
    """
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST
        and tells(name)
        and not _PLACE.fullmatch(name.upper())
        and not os.path.exists(value)
    }
    return sorted(found | {quote(value, safe="") for value in found}, key=lambda value: (-len(value), value))


def tells(name: str) -> bool:
    """Whether a name says that what it names is a secret: WANDB_API_KEY, aws_secret_access_key, storage.auth."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()  # apiKey
    words = re.findall(r"[a-z]+", apart)
    if not words:
        return False
    *before, last = words[:-1] if words[-1] == "id" and "key" in words else words  # access_key_id
    return bool(
        INSIDE.search(re.sub(r"[\W_]", "", apart))
        or WORDS.intersection(words)
        or (last in LAST and not (last == "key" and NOT_KEYS.intersection(before[-1:])))
        or ("session" in words and SESSIONS.intersection(words))
    )


def signs(name: str) -> bool:
    """Whether a name in the query of an address is of what gives access."""
    return bool(_SIGNED.fullmatch(name.upper())) or tells(name)


@contextlib.contextmanager
def arguments_without_secrets() -> Iterator[None]:
    """A context in which sys.argv holds none and is UTF-8, for what records how a program was started."""
    saved = sys.argv
    sys.argv = encodable(without_secrets(saved))
    try:
        yield
    finally:
        sys.argv = saved


def mask_logs() -> None:
    """From now on, let the root logger's handlers write no secret."""

    def masked(record: logging.LogRecord) -> bool:
        record.msg, record.args = message_without_secrets(record.getMessage()), ()
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(masked)


def _masked(value: Any, secrets: Sequence[str], key: str) -> Any:
    """key: under which the value stands, from the top."""
    if isinstance(value, str):
        return MASK if value and tells(key) else _text(value, secrets)
    if isinstance(value, Mapping):
        # Below a key that tells, whatever the keys there are called; else by the last two, as in aws.session.
        above = key if tells(key) else key.rpartition(".")[2]
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
        if tells(override["name"]):
            return override["before"] + MASK
        if override["value"].startswith(("{", "[")):
            text = _ENTRY.sub(lambda one: _hidden(one, tells(f"{override['name']}.{one['name']}")), text)
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _SHAPES.sub(MASK, _USER.sub(rf"\g<scheme>{MASK}@", text))
    text = _HEADER.sub(lambda one: _hidden(one, True), text)
    text = _QUERY.sub(lambda one: _hidden(one, signs(one["name"])), text)
    return _ASSIGNED.sub(lambda one: _hidden(one, one["name"] != "key" and tells(one["name"])), text)


def _hidden(found: re.Match[str], secret: bool) -> str:
    return str(found["before"] + (MASK if secret else found["value"]))
