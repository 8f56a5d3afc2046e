"""`cornet fetch`, and kar2019, which is fetched by hand."""

import os
import sys

import pytest
from typer.testing import CliRunner

from cornet import CornetError, brain
from cornet.brain.data.public.fetching import fetch
from cornet.brain.data.public.listing import PUBLIC
from cornet.cli import app, main
from tests.helpers.brain.public_data import DATA, NAMES, locate, refused, visible

pytestmark = pytest.mark.usefixtures("folder")


def test_kar2019(dataset, tmp_path, monkeypatch):
    place = tmp_path / "cache" / "data" / "kar2019"
    message = refused(data="kar2019")
    assert (
        "download dataset.h5 from the authors' page, https://github.com/kohitij-kar/image_metrics" in message
    )
    assert f"place it at {place / 'dataset.h5'}" in message
    assert "must be fetched by hand" in refused("http://127.0.0.1:9/", data="kar2019")
    with pytest.raises(CornetError, match=r"dataset.h5 is missing from .*; run `cornet fetch kar2019`"):
        brain.load_kar2019()
    wrong = tmp_path / "wrong.h5"
    wrong.write_bytes(b"<html>")
    message = refused(wrong, data="kar2019")
    assert f"{wrong} is truncated, damaged or not an HDF5 file" in message
    assert "copy it again, or download it from the authors' page" in message
    assert visible(place) == []
    assert fetch("kar2019", dataset) == place
    assert len(brain.load_kar2019().stimuli) == 1318
    assert fetch("kar2019") == locate("kar2019") == place
    os.truncate(place / "dataset.h5", 1_000_000)
    assert locate("kar2019") is None
    assert "truncated file" in refused(data="kar2019")
    assert "); delete it to fetch it again" in refused(data="kar2019")
    (place / "dataset.h5").unlink()
    dataset.rename(tmp_path / "dataset.h5")
    monkeypatch.setenv("CORNET_DATA_URL", str(tmp_path))
    assert fetch("kar2019") == place


def run(*arguments, columns=80):
    return CliRunner().invoke(app, ["fetch", *arguments], env={"COLUMNS": str(columns), "TERM": "dumb"})


@pytest.mark.parametrize("columns", [80, 120])
def test_list(columns, dataset, tmp_path):
    fetch("kar2019", dataset)
    result = run("--list", columns=columns)
    assert result.exit_code == 0
    assert result.output.count("not fetched") == 3
    assert max(map(len, result.output.splitlines())) <= columns
    for data in PUBLIC.values():
        assert data.name in result.output
        assert data.citation in " ".join(result.output.split())
    words = "".join(result.output.split())
    assert "148,480" in words
    assert "585,511" in words


def test_command(dataset, tmp_path, monkeypatch, capsys):
    place = tmp_path / "cache" / "data" / "kar2019" / "dataset.h5"
    result = run("kar2019")
    assert result.exit_code == 2
    for text in ("https://github.com/kohitij-kar/image_metrics", "dataset.h5", "--from PATH", str(place)):
        assert text in result.output
    assert 3 <= result.output.count("\n") <= 6
    result = run("kar2019", "--from", str(dataset), "--to", str(tmp_path / "other"))
    assert (result.exit_code, result.output) == (0, f"kar2019: {tmp_path / 'other'}\n")
    assert run("kar2019").exit_code == 2
    result = run("kar2019", "--from", str(tmp_path / "other"))
    assert (result.exit_code, result.output) == (0, f"kar2019: {place.parent}\n")
    assert run("kar2019").exit_code == 0
    for arguments, message in (
        (["nothing"], "'nothing' is unknown; choose one of majajhong2015"),
        ([], "a data set is missing; name one or more of majajhong2015"),
        (["kar2019", "rajalingham2018", "--to", "x"], "--to allows only one data set, and you gave 2"),
        (
            ["rajalingham2018", "--from", str(tmp_path)],
            "assy_dicarlo_Rajalingham2018_public.nc cannot be read",
        ),
        (["rajalingham2018", "--from", "http://127.0.0.1:9/"], "cannot be reached ("),
    ):
        monkeypatch.setattr(sys, "argv", ["cornet", "fetch", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.startswith("cornet: ")
        assert captured.err.count("\n") == 1


def test_a_bar_is_drawn_on_a_terminal(server, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(DATA, server.url)
    assert NAMES[0] in capsys.readouterr().err
