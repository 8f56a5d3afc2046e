"""Reading stimulus sets: today's and older tables, and bad ones."""

import numpy as np
import pandas as pd
import pytest

from cornet.brain.data.files.stimulus_files import load_stimuli
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import ids, make_table, make_zip


def write(folder, table: pd.DataFrame | str | bytes, name: str = "stimulus_set.csv", images: int = 6):
    folder.mkdir(exist_ok=True)
    if isinstance(table, pd.DataFrame):
        table = table.to_csv(index=False)
    (folder / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    make_zip(folder / "stimuli.zip", images)
    return folder


def test_rows_and_pictures_stand_in_the_tables_order(tmp_path):
    stimuli = load_stimuli(write(tmp_path / "mine", make_table().iloc[::-1]))
    assert stimuli.name == "mine"
    assert len(stimuli) == 6
    assert stimuli.ids.tolist() == ids(6)[::-1].tolist()
    assert [int(stimuli.pictures[i][0, 0, 0]) for i in range(6)] == [50, 40, 30, 20, 10, 0]
    assert stimuli.table["object_name"].tolist() == make_table()["object_name"].tolist()[::-1]
    assert stimuli.degrees is None


def test_old_names_of_files_and_columns(tmp_path):
    """As the 2018 set: image_id is a hash, image_file_name is what the archive holds, filename something else."""
    table = make_table().rename(columns={"stimulus_id": "image_id", "filename": "image_file_name"})
    table["filename"] = [f"{i}.jpg" for i in range(6)]
    folder = write(tmp_path / "old", table, "stimulus_hvm-public.csv")
    (folder / "stimuli.zip").rename(folder / "stimulus_hvm-public.zip")
    stimuli = load_stimuli(folder)
    assert stimuli.name == "hvm-public"
    assert stimuli.ids.tolist() == ids(6).tolist()
    assert int(stimuli.pictures[2][0, 0, 0]) == 20


def test_ids_stay_the_text_that_they_are(tmp_path):
    table = pd.DataFrame(
        {"stimulus_id": ["007", "NA", "1e5"], "filename": ["im00.png", "im01.png", "im02.png"]}
    )
    assert load_stimuli(write(tmp_path / "a", table)).ids.tolist() == ["007", "NA", "1e5"]
    marked = b"\xef\xbb\xbf" + table.to_csv(index=False).encode()  # as spreadsheets save it
    assert load_stimuli(write(tmp_path / "a", marked)).ids.tolist() == ["007", "NA", "1e5"]


@pytest.mark.parametrize(("values", "degrees"), [([8] * 6, 8.0), ([4.5, None] * 3, 4.5), ([None] * 6, None)])
def test_degrees_are_the_tables_one_value(tmp_path, values, degrees):
    assert load_stimuli(write(tmp_path / "a", make_table().assign(degrees=values))).degrees == degrees


@pytest.mark.parametrize("values", [[8, 4] * 3, [-1] * 6, ["wide"] * 6, [np.inf] * 6, [0.14] * 6, [256] * 6])
def test_degrees_of_several_values_or_none_are_refused(tmp_path, values):
    with pytest.raises(
        CornetError, match=r"the column degrees of .*csv contains .*, but must be one number from 0.2 to 180"
    ):
        load_stimuli(write(tmp_path / "a", make_table().assign(degrees=values)))


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b"", "is empty, but needs one row per stimulus"),
        (b"stimulus_id,filename\n", "has no rows, but needs one per stimulus"),
        (
            b"name,filename\na,b\n",
            "has the columns name, filename, but stimulus_id .or image_id. is required",
        ),
        (
            b"stimulus_id,object_name\na,b\n",
            "has the columns stimulus_id, object_name, but filename is required",
        ),
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00", r"cannot be read as UTF-8 CSV \(.*write it again"),
        (b"stimulus_id,filename\na,b\nc,d,e,f\n", r"cannot be read as UTF-8 CSV \(.*Expected 2 fields"),
        (b"stimulus_id,filename\na,b,c\nd,e,f\n", "has rows with more fields than its header"),
        (
            b"stimulus_id,filename\n,im00.png\na,im01.png\n",
            "has 1 rows without a stimulus_id; give each a unique one",
        ),
        (b"stimulus_id,filename\na,im00.png\na,im01.png\n", r"names 'a' more than once \(1 rows\)"),
        (b"stimulus_id,filename\na,im00.png\nb,im77.png\n", "1 of 2 images, such as 'im77.png', are not in"),
        (b"stimulus_id,filename\na,im00.png\nb,\n", "1 of 2 images, such as '', are not in"),
        (b"stimulus_id,filename\na,../im00.png\n", r"1 of 1 images, such as '\.\./im00.png', are not in"),
        (b"<html><body>404</body></html>", "but stimulus_id"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, table, why):
    with pytest.raises(CornetError, match=why) as error:
        load_stimuli(write(tmp_path / "a", table))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_missing_folders_and_files_are_named(tmp_path):
    with pytest.raises(CornetError, match=r"the bundle .*a does not exist; give a folder with"):
        load_stimuli(tmp_path / "a")
    folder = write(tmp_path / "a", make_table())
    with pytest.raises(CornetError, match=r"the bundle .*csv is a file; give a folder with"):
        load_stimuli(folder / "stimulus_set.csv")
    (folder / "stimulus_other.csv").write_text("x")
    with pytest.raises(
        CornetError, match=r"2 candidates for its stimulus table \(stimulus_other.csv, stimulus_set"
    ):
        load_stimuli(folder)
    (folder / "stimulus_other.csv").unlink()
    (folder / "stimuli.zip").unlink()
    with pytest.raises(CornetError, match=r"has no image archive; add stimuli.zip or stimulus_\*.zip"):
        load_stimuli(folder)
    (folder / "stimulus_set.csv").unlink()
    with pytest.raises(CornetError, match="has no stimulus table"):
        load_stimuli(folder)


@pytest.mark.parametrize(
    ("name", "near", "words"),
    [
        ("degrees", "Degree", "has no 'degrees' but 'Degree'; did you mean 'degrees'"),
        ("filename", "file_name", "filename is required; rename file_name to filename"),
        ("stimulus_id", "StimulusID", "rename StimulusID to stimulus_id"),
    ],
)
def test_columns_that_are_nearly_right_are_named(tmp_path, name, near, words):
    make_table().assign(degrees=8.0).rename(columns={name: near}).to_csv(
        tmp_path / "stimulus_set.csv", index=False
    )
    make_zip(tmp_path / "stimuli.zip")
    with pytest.raises(CornetError, match=words):
        load_stimuli(tmp_path)
