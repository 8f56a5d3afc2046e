"""`cornet convert`."""

import pytest
from typer.testing import CliRunner

from cornet import brain
from cornet.brain.data.convert.base import converters
from cornet.cli import app
from cornet.errors import CornetError
from tests.helpers.brain import published_files


def run(*words):
    return CliRunner().invoke(app, ["convert", *map(str, words)], env={"COLUMNS": "100", "TERM": "dumb"})


def error(*words) -> str:
    result = run(*words)
    assert isinstance(result.exception, CornetError)
    return str(result.exception)


@pytest.fixture
def recording(tmp_path):
    published_files.nwb(tmp_path / "session.nwb")
    return tmp_path / "session.nwb"


def test_list():
    text = " ".join(run("--list").output.split())
    assert list(converters()) == ["arcaro2020", "dandi", "nsd", "things-fmri", "triple-n", "tvsd"]
    for one in converters().values():
        for part in (one.name, one.summary, one.licence, one.access, one.address, one.citation, one.files):
            assert " ".join(part.split()) in text


def test_help_has_examples():
    text = run("--help").output
    assert "cornet convert tvsd ~/TVSD --images ~/THINGS/object_images" in text
    assert "--memory" in text


def test_a_conversion_and_its_repetition(recording, tmp_path):
    result = run("dandi", recording, "--to", tmp_path / "bundle", "--window", "0-100", "--bin-ms", "50")
    assert result.exit_code == 0, result.exception
    assert "bundle is complete: 15 presentations of 5 stimuli x 4 neuroids x 2 time bins" in result.output
    assert (
        "is complete already"
        in run("dandi", recording, "--to", tmp_path / "bundle", "--window", "0-100", "--bin-ms", "50").output
    )
    assert brain.load_bundle(tmp_path / "bundle").assembly.shape == (15, 4, 2)
    assert "was not made from these files with these options" in error(
        "dandi", recording, "--to", tmp_path / "bundle"
    )


def test_bins(recording, tmp_path):
    assert run("dandi", recording, "--to", tmp_path / "bundle", "--bins").exit_code == 0
    assembly = brain.load_bundle(tmp_path / "bundle").assembly
    assert assembly.sizes["time_bin"] == 30
    assert assembly["time_bin_end"][-1] == 300


def test_the_default_folder_is_the_name(recording, elsewhere, tmp_path):
    assert run("dandi", recording).exit_code == 0
    assert (tmp_path / "dandi/assembly.nc").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a data set is missing; name one of arcaro2020, dandi,"),
        (["majajhong"], "'majajhong' cannot be converted; choose one of arcaro2020,"),
        (["tvsd"], "the path of tvsd is missing; it needs a folder with monkeyF/"),
        (["tvsd", "nowhere"], "nowhere does not exist; give the folder"),
        (["tvsd", ".", "--bins"], "--bins is only for recordings with spike times (dandi), not for tvsd"),
        (["dandi", ".", "--bins", "--bin-ms", "5"], "--bins and --bin-ms exclude each other"),
        (["dandi", ".", "--window", "70"], "--window 70 is not a range of ms"),
        (["dandi", ".", "--memory", "lots"], "--memory lots is not an amount of memory"),
        (["dandi", "."], "has no file *.nwb"),
        (["tvsd", "."], "has neither monkeyF/THINGS_normMUA.mat nor"),
        (["things-fmri", "."], "has no sub-01_ResponseData.h5"),
        (["nsd", "."], "has no nsddata_betas/ppdata/subj01"),
        (["triple-n", "."], "has no Raw/H5FILES/ses01_"),
    ],
)
def test_wrong_commands(words, message, elsewhere):
    assert message in error(*words)


@pytest.mark.parametrize("name", ["tvsd", "things-fmri", "nsd", "triple-n"])
def test_a_file_of_another_data_set(name, tmp_path):
    """Renamed as if it were one of the data set."""
    published_files.nwb(tmp_path / "x.nwb")
    places = {
        "tvsd": "monkeyF/THINGS_normMUA.mat",
        "things-fmri": "sub-01_ResponseData.h5",
        "nsd": "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf/betas_session01.hdf5",
        "triple-n": "H5/ses01_240621_M1_2.h5",
    }
    path = tmp_path / "data" / places[name]
    path.parent.mkdir(parents=True)
    (tmp_path / "x.nwb").rename(path)
    (tmp_path / "images").mkdir()
    message = error(name, tmp_path / "data", "--images", tmp_path / "images", "--to", tmp_path / "bundle")
    assert message.endswith(".")
    assert "Traceback" not in message
    assert not (tmp_path / "bundle").exists()
