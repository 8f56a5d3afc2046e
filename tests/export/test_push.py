"""Push to a hub on loopback, and load from it: bit for bit, of one commit, with one sentence for what fails."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard, constants

from cornet import CornetError, create_model, from_pretrained, save_pretrained
from cornet.export.push import push_folder
from cornet.models.pretrained import hub as hub_module
from cornet.models.pretrained.weights_folder import weights_hash
from tests.helpers.export.hub_server import Repository
from tests.helpers.paths import ROOT

# huggingface_hub 2.4 of itself, where it uploads by the protocol of LFS
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

FILES = ("model.safetensors", "config.json", "README.md")


@pytest.fixture
def folder(tmp_path) -> Path:
    net = create_model("cornet_z", width=0.02, num_classes=3)
    return save_pretrained(net, tmp_path / "mine", size=32, classes=["a", "b", "c"], licence="mit")


@pytest.fixture
def pushed(hub, login, folder):
    """A hub with me/net."""
    login("hf_mine")
    push_folder(folder, "me/net", FILES)
    return hub


def same(one, other) -> bool:
    return weights_hash(one.state_dict()) == weights_hash(other.state_dict())


def test_push_and_load(hub, login, folder):
    login("hf_mine")
    address = push_folder(folder, "me/net", FILES)
    assert address == f"{hub.url}/me/net"
    (content,) = hub.repositories["me/net"].commits.values()
    assert content == {name: (folder / name).read_bytes() for name in FILES}
    again = from_pretrained("me/net")
    assert same(again, from_pretrained(folder))
    assert again.image_settings == from_pretrained(folder).image_settings
    asked = {
        path.rpartition("/")[2] for method, path, _ in hub.requests if method == "GET" and "resolve" in path
    }
    assert asked == {"config.json", "model.safetensors"}  # not the card


def test_the_command_pushes(hub, login, cornet, tmp_path):
    login("hf_mine")
    words = ("cornet_z?untrained&width=0.02", "--to", "safetensors", "--out", str(tmp_path / "x"))
    code, out, err = cornet("export", *words, "--push", "me/net", "--private", "--licence", "cc-by-4.0")
    assert code == 0, err
    assert out.splitlines()[-1] == f"Pushed to {hub.url}/me/net"
    assert hub.repositories["me/net"].private
    card = (tmp_path / "x" / "README.md").read_text()
    assert 'cornet.from_pretrained("me/net")\n' in card
    assert "license: cc-by-4.0\n" in card
    assert "hf_mine" not in card + out + err
    assert same(from_pretrained("me/net"), from_pretrained(tmp_path / "x"))


def test_a_second_push_is_a_second_commit_and_both_can_be_loaded(pushed, folder, tmp_path):
    net = from_pretrained(folder)
    with torch.no_grad():
        net.decoder.bias.add_(1)
    push_folder(save_pretrained(net, tmp_path / "second"), "me/net", FILES)
    first, second = pushed.repositories["me/net"].commits
    assert same(from_pretrained("me/net"), net)
    assert same(from_pretrained("me/net", revision=second), net)
    assert same(from_pretrained("me/net", revision=first), from_pretrained(folder))
    with pytest.raises(CornetError, match=r"has no revision 'v9'; give a branch"):
        from_pretrained("me/net", revision="v9")


def test_both_files_are_of_one_commit_although_the_branch_moves(pushed, folder, monkeypatch):
    """Between the two downloads, another network is pushed."""
    read = hub_module.read_config_file

    def read_and_push(path):
        found = read(path)
        pushed.repositories["me/net"].add({"model.safetensors": b"other"})
        return found

    monkeypatch.setattr(hub_module, "read_config_file", read_and_push)
    assert same(from_pretrained("me/net"), from_pretrained(folder))


def test_what_is_in_the_cache_needs_no_connection(pushed, folder, monkeypatch):
    from_pretrained("me/net")
    pushed.broken = 503
    monkeypatch.setattr("huggingface_hub.file_download._DEFAULT_RETRY_ON_STATUS_CODES", ())
    assert same(from_pretrained("me/net"), from_pretrained(folder))


def test_private_repositories(hub, login, folder):
    login("hf_mine")
    push_folder(folder, "me/net", FILES, private=True)
    for token, message in (("hf_other", "that you may read"), ("hf_wrong", "that you may read")):
        login(token)
        with pytest.raises(CornetError, match=f"neither an existing folder nor a repository on .* {message}"):
            from_pretrained("me/net")
    assert same(from_pretrained("me/net", token="hf_mine"), from_pretrained(folder))


def test_private_does_not_hide_in_a_public_repository(pushed, folder):
    with pytest.raises(CornetError, match="me/net exists and is public, so that --private cannot hide"):
        push_folder(folder, "me/net", FILES, private=True)
    assert len(pushed.repositories["me/net"].commits) == 1


def test_nobody_is_logged_in(hub, folder, cornet, tmp_path):
    with pytest.raises(
        CornetError, match="nobody is logged in to push to me/net; run hf auth login, or set HF_TOKEN"
    ):
        push_folder(folder, "me/net", FILES)
    words = ("cornet_z?untrained&width=0.02", "--to", "safetensors", "--out", str(tmp_path / "x"))
    code, _, err = cornet("export", *words, "--push", "me/net")
    assert code == 2
    assert "nobody is logged in" in err
    assert not (tmp_path / "x").exists()  # refused before anything is written
    assert hub.requests == []


@pytest.mark.parametrize("name", ["someone/new", "other/net"])
def test_another_users_repository(hub, login, folder, name):
    hub.repositories["other/net"] = Repository()
    hub.repositories["other/net"].add({"config.json": b"{}"})
    login("hf_mine")
    with pytest.raises(
        CornetError, match=f"refuses access to {name} .status 403.; log in with hf auth login"
    ) as caught:
        push_folder(folder, name, FILES)
    assert "\n" not in str(caught.value)
    assert len(hub.repositories["other/net"].commits) == 1


def test_a_token_that_the_hub_does_not_know(hub, login, folder):
    login("hf_wrong")
    with pytest.raises(CornetError, match=r"status 401|that you may read") as caught:
        push_folder(folder, "me/net", FILES)
    assert "hf_wrong" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_that_is_down(hub, login, folder, status, monkeypatch):
    login("hf_mine")
    hub.broken = status
    monkeypatch.setattr("huggingface_hub.file_download._DEFAULT_RETRY_ON_STATUS_CODES", ())
    with pytest.raises(CornetError, match=rf"refuses me/net \(status {status}"):
        push_folder(folder, "me/net", FILES)
    with pytest.raises(CornetError, match=r"cannot be reached|status"):
        from_pretrained("me/net")


def test_no_network(hub, login, folder, monkeypatch):
    login("hf_mine")
    for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
        value = getattr(constants, name).replace(hub.url, "http://127.0.0.1:9")
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr("huggingface_hub.file_download._DEFAULT_RETRY_ON_EXCEPTIONS", ())
    with pytest.raises(
        CornetError, match=r"127\.0\.0\.1:9 cannot be reached for me/net .*; check the connection"
    ):
        push_folder(folder, "me/net", FILES)
    with pytest.raises(CornetError, match=r"cannot be reached") as caught:
        from_pretrained("me/net")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"README.md": b"x"}, "has no config.json; name a repository"),
        ({"config.json": b"{}"}, "was not written by cornet"),
        ({"config.json": None}, "has no model.safetensors; name a repository"),
        ({"config.json": None, "model.safetensors": b"x" * 100}, "is a damaged safetensors file"),
    ],
)
def test_repositories_without_a_network(hub, folder, files, message):
    hub.repositories["a/b"] = Repository()
    whole = (folder / "config.json").read_bytes()
    hub.repositories["a/b"].add({name: whole if data is None else data for name, data in files.items()})
    with pytest.raises(CornetError, match=message) as caught:
        from_pretrained("a/b")
    assert "\n" not in str(caught.value)


def test_an_unknown_repository(hub):
    with pytest.raises(
        CornetError, match=r"a/b is neither an existing folder nor a repository on 127\.0\.0\.1:\d+ that"
    ):
        from_pretrained("a/b")


def test_a_huge_file_is_not_downloaded(pushed):
    pushed.claimed_size = 10**12
    with pytest.raises(
        CornetError, match=r"config.json of me/net has 1,000,000,000,000 bytes, more than the 4,194,304"
    ):
        from_pretrained("me/net")
    assert not [path for method, path, _ in pushed.requests if method == "GET" and "resolve" in path]


def test_huge_weights_are_not_downloaded(pushed, folder):
    content = (folder / "model.safetensors").read_bytes() + bytes(20_000_000)
    pushed.repositories["me/net"].add({"model.safetensors": content})
    with pytest.raises(CornetError, match=r"more than the 16,.* that it can need; it was not downloaded"):
        from_pretrained("me/net")


def test_without_the_package(hub, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: from_pretrained("a/b"), lambda: push_folder(folder, "a/b", FILES)):
        with pytest.raises(
            CornetError, match=r"not installed; install it with pip install 'cornet-ventral\[hub\]'"
        ):
            call()
    assert from_pretrained(folder).num_classes == 3  # a folder needs no package


def test_passwords_in_the_address_are_not_shown(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "https://me:secret@hub.example/x")
    assert hub_module.hub_address() == "hub.example"


@pytest.mark.longest  # starts several processes
def test_in_processes_of_their_own_with_the_variables_of_the_hub(hub, tmp_path):
    """HF_ENDPOINT, HF_HOME and HF_TOKEN are honoured; the second process has a fresh HF_HOME."""
    own = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "no_proxy": "*", "PYTHONPATH": str(ROOT)}

    def run(*words: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, **own, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    words = ("-m", "cornet", "export", "cornet_s?untrained&width=0.02", "--to", "safetensors", "--out", "x")
    run(*words, "--push", "me/net", HF_HOME=str(tmp_path / "one"), HF_TOKEN="hf_mine")
    load = (
        "import cornet; from cornet.models.pretrained.weights_folder import weights_hash; "
        "print(weights_hash(cornet.from_pretrained('me/net').state_dict()))"
    )
    printed = run("-c", load, HF_HOME=str(tmp_path / "two"), HF_TOKEN="")
    assert printed.strip() == weights_hash(from_pretrained(tmp_path / "x").state_dict())
    assert (tmp_path / "two" / "hub" / "models--me--net").is_dir()


def test_the_hub_finds_nothing_to_warn_of(pushed):
    """huggingface_hub itself warns of headers that it cannot read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card = ModelCard(pushed.repositories["me/net"].commits.popitem()[1]["README.md"].decode())
    assert card.data.license == "mit"
