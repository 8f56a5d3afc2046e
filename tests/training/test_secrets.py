"""No secret of the environment, of an address or of a configuration is written down by a run."""

import io
import logging
import os
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from omegaconf import OmegaConf

from cornet.runs.labels import run_labels
from cornet.training.content import Content
from cornet.training.run import place_of
from cornet.training.secrets import (
    MASK,
    arguments_without_secrets,
    environment_secrets,
    is_secret,
    mask_logs,
    without_secrets,
)
from tests.helpers.faults.starter import Starter
from tests.helpers.paths import ROOT

SMALL = (
    *(
        "data.train_images=32",
        "data.val_images=16",
        "data.size=32",
        "model.width=0.1",
        "recipe.batch_size=16",
    ),
    *("recipe.epochs=1", "brain=none", "trainer=cpu"),
)
VARIABLES = {
    "WANDB_API_KEY": "wandbmarker0123456789abcdef0123456789abcd",
    "AWS_SECRET_ACCESS_KEY": "awsMarker/withSlash+0123456789",
    "MY_PASSWORD": "passwordMarker99",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in os.environ:
        if is_secret(name):
            monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def test_what_variables_are_secret(monkeypatch, tmp_path) -> None:
    plain = {
        "HOME_KEYBOARD": "us-international",
        "MONKEY": "bananas-and-more",
        "AWS_SHARED_CREDENTIALS_FILE": "credentials-of-mine",
        "SHORT_TOKEN": "true",
        "SSH_KEY": str(tmp_path),
    }
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    quoted = {quote(value, safe="") for value in VARIABLES.values()}
    assert set(environment_secrets()) == {*VARIABLES.values(), *quoted}
    assert without_secrets(plain | {"SSH_KEY": "x"}) == plain | {"SSH_KEY": MASK, "SHORT_TOKEN": MASK} | {
        "AWS_SHARED_CREDENTIALS_FILE": MASK
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://ann:pw@host/x?y=1", "https://***@host/x?y=1"),
        ("https://gh_token@host/x", "https://***@host/x"),
        ("https://ann:p%40w:x@host:80/a@b", "https://***@host:80/a@b"),
        (
            "s3://b/x?X-Amz-Credential=AK%2F&X-Amz-Signature=ab12&n=2",
            "s3://b/x?X-Amz-Credential=***&X-Amz-Signature=***&n=2",
        ),
        ("https://h/x?sv=2&sig=a%2Bb#top", "https://h/x?sv=2&sig=***#top"),
        ("https://h/x?access_token=abc&page=3", "https://h/x?access_token=***&page=3"),
        ("see https://a:b@c/d and https://e:f@g", "see https://***@c/d and https://***@g"),
        ("before passwordMarker99 after", "before *** after"),
        ("+data.storage_options.secret=abc", "+data.storage_options.secret=***"),
        (
            "data.storage_options={key:abc, endpoint_url:'http://h', 'secret':\"d e\"}",
            "data.storage_options={key:***, endpoint_url:'http://h', 'secret':***}",
        ),
        ("data.folder=https://a:b@c/d", "data.folder=https://***@c/d"),
        ("+data.auth=abc", "+data.auth=***"),
        ("++aws.session='a b'", "++aws.session=***"),
        ("+aws={session: abc, region: x}", "+aws={session: ***, region: x}"),
        ("+headers={Authorization: Bearer abc}", "+headers={Authorization: ***}"),
        ("Authorization: Basic YWJj was refused", "Authorization: Basic *** was refused"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': 'Bearer ***'}"),
        ("sent Bearer abc123.", "sent Bearer ***"),
        ("python train.py +x.pwd=abc seed=1", "python train.py +x.pwd=*** seed=1"),
        ('host=h password="a b" port=1', "host=h password=*** port=1"),
        ("an AKIAIOSFODNN7EXAMPLE in a text", "an *** in a text"),
        ("ghp_" + "a1B2" * 9, "***"),
        ("x=hf_" + "a1B2" * 8, "x=***"),
        ("wandb_v1_" + "a1_B" * 8, "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
        ("seen awsMarker%2FwithSlash%2B0123456789 there", "seen *** there"),
    ],
)
def test_texts(text, told) -> None:
    assert without_secrets(text) == told
    assert without_secrets(told) == told  # so that a run that goes on finds itself


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3://bucket/a@b",
        "git@host:x",
        "val/top1",
        "a=b?c",
        "brain.benchmarks.local=[/data/x:V4]",
        "{a: 1}",
        "10:30",
        "write key=value",
        "data.folder=/data/session_3/authors",
        "+model.tokens=8 +bands.pass_band=low",
        "commit 5f2e1d0c9b8a79685746352413f2e1d0c9b8a796",
        "the bearer of it",
    ],
)
def test_texts_without_any_stay(text) -> None:
    assert without_secrets(text) == text


NAMES = (
    *(
        "pwd",
        "pass",
        "auth",
        "Authorization",
        "Bearer",
        "aws.session",
        "DATABASE_PASS",
        "GH_PAT",
        "GITHUB_TOKEN",
    ),
    *(
        "AWS_ACCESS_KEY_ID",
        "aws_session_token",
        "MYSQL_PWD",
        "PGPASSWORD",
        "clientSecret",
        "x-api-key",
        "key",
    ),
    *("private_key", "http_auth", "SET_COOKIE", "SENTRY_DSN", "AZURE_STORAGE_SAS", "credentials", "apiKey"),
)
INNOCENT = (
    *("tokens", "tokenizer", "author", "authors", "pass_band", "compass", "bypass", "monkey", "keypoints"),
    *(
        "keyboard",
        "primary_key",
        "sort_key",
        "session",
        "session_3",
        "brain.session",
        "pattern",
        "path",
        "signal",
    ),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_tell_of_a_secret(name, monkeypatch) -> None:
    assert without_secrets(f"+x.{name}=marker") == f"+x.{name}=***"
    assert without_secrets({name: "marker"}) == {name: MASK}
    *above, last = name.split(".")
    assert "marker" not in str(
        without_secrets({above[0]: {last: "marker"}} if above else {"x": {last: ["marker"]}})
    )
    monkeypatch.setenv(f"MY_{name}", "valueMarker1")
    assert without_secrets("a valueMarker1 b") == "a *** b"
    assert without_secrets({name: 5, "x": {name: None}}) == {name: 5, "x": {name: None}}


@pytest.mark.parametrize("name", INNOCENT)
def test_names_that_do_not(name, monkeypatch) -> None:
    for value in (f"+x.{name}=plain", {name: "plain"}, {"x": {name: "plain"}}):
        assert without_secrets(value) == value
    monkeypatch.setenv(name, "valueMarker1")
    assert without_secrets("a valueMarker1 b") == "a valueMarker1 b"


def test_the_current_folder_is_no_secret(monkeypatch) -> None:
    monkeypatch.setenv("PWD", "/gone/folder")
    monkeypatch.setenv("OLDPWD", "/gone/before")
    assert without_secrets("/gone/folder and /gone/before") == "/gone/folder and /gone/before"


def test_all_below_a_key_that_tells() -> None:
    assert without_secrets({"auth": {"user": "ann", "of": [{"x": "y"}], "n": 1}}) == {
        "auth": {"user": MASK, "of": [{"x": MASK}], "n": 1}
    }


def test_folders_and_labels_have_no_secret(tmp_path) -> None:
    """Two runs that differ in a secret alone are one run, and no digest of it is in the folder's name."""
    folders = set()
    for secret in ("firstMarker", "secondMarker"):
        config = OmegaConf.create(
            {"name": "x", "seed": 0, "root": str(tmp_path), "data": {}, "model": {"name": "m"}}
        )
        path, told, identity = place_of(
            config, [f"+data.auth={secret}", "+data.note=passwordMarker99", "+data.size=3"], Content()
        )
        assert told == ["+data.auth=***", "+data.note=***", "+data.size=3"]
        assert "arker" not in f"{run_labels(path, 'x', told)} {identity}"
        folders.add(path)
    (folder,) = folders
    assert "arker" not in str(folder).replace(str(tmp_path), "")


def test_logs(caplog) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        mask_logs()
        logging.getLogger("cornet").warning("%s and %d, %s", "token=abc", 3, "passwordMarker99")
    finally:
        logging.getLogger().removeHandler(handler)
        for other in logging.getLogger().handlers:
            other.filters.clear()
    assert stream.getvalue() == "token=*** and 3, ***\n"


def test_nested_plain_data() -> None:
    value = {
        "storage_options": {
            "key": "AK",
            "apiKey": "x",
            "endpoint_url": "http://h",
            "token": None,
            "secret": "",
        },
        "tokens": 5,
        "sizes": [[128, 10], ("passwordMarker99", 1.5)],
        "passwordMarker99": True,
    }
    told = without_secrets(value)
    assert told == {
        "storage_options": {
            "key": MASK,
            "apiKey": MASK,
            "endpoint_url": "http://h",
            "token": None,
            "secret": "",
        },
        "tokens": 5,
        "sizes": [[128, 10], (MASK, 1.5)],
        MASK: True,
    }
    assert value["storage_options"]["key"] == "AK"  # what is used stays as it was


def test_our_own_configuration_stays() -> None:
    for path in (ROOT / "conf").rglob("*.yaml"):
        content = OmegaConf.to_container(OmegaConf.load(path))
        assert without_secrets(content) == content, path


def test_arguments(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "data.folder=https://a:b@c"])
    with arguments_without_secrets():
        assert sys.argv == ["train.py", "data.folder=https://***@c"]
    assert sys.argv == ["train.py", "data.folder=https://a:b@c"]


@pytest.mark.slow
def test_no_byte_of_a_run_tells_a_secret(tmp_path) -> None:
    """Folder names and files of a run with W&B kept offline; checkpoints' and archives' members unpacked."""
    overrides = [
        *SMALL,
        "logger=wandb",
        "logger.wandb.offline=true",
        "+hardware.note=${oc.env:MY_PASSWORD}",
        "++model.pretrained=false",
        "+hardware.places={secret:inlineMarker1, from:x}",
        "+hardware.address='https://ann:urlMarker77@host/x?sig=signedMarker5&n=1'",
        "+loader_key=namedMarker3",
        "+hardware.auth=authMarker4",
        f"+seen={VARIABLES['AWS_SECRET_ACCESS_KEY']}",
    ]
    with Starter(tmp_path, {"HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}) as starter:
        for _ in range(2):  # the second finds the run finished, and itself in its identity
            run = starter.start(*overrides)
            assert starter.wait() == 0, run.said.read_text()
    folders = list((tmp_path / "runs").glob("**/seed0"))
    assert len(folders) == 1
    markers = [
        *VARIABLES.values(),
        "urlMarker77",
        "signedMarker5",
        "inlineMarker1",
        "namedMarker3",
        "authMarker4",
    ]
    told = [
        (place, marker)
        for place, content in everything(tmp_path / "runs")
        for marker in markers
        if marker.encode().lower() in content.lower()
    ]
    assert not told
    names = {path.name for path in (tmp_path / "runs").rglob("*")}
    assert {"config.yaml", "identity.json", "last.ckpt", "metrics.csv"} <= names
    (kept,) = (tmp_path / "runs").rglob("*.wandb")
    assert b"***@host" in kept.read_bytes()  # the arguments and the configuration are there, masked
    said = run.said.read_text().lower()
    assert "already finished" in said
    assert not [marker for marker in markers if marker.lower() in said]
    assert "https://***@host/x?sig=***&n=1" in (folders[0] / "config.yaml").read_text()


def everything(folder: Path):
    """Every path and every file's content, and that of the members of zip files."""
    for path in folder.rglob("*"):
        yield str(path), str(path).encode()
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}:{name}", archive.read(name)
