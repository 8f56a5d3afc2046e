"""scores.csv of a run: exact over a stop and a resume, one row for each benchmark, step and kind of weights."""

import math

import pytest

from cornet import CornetError
from cornet.runs.scores import RunScores, read_scores


def row(step, name="a.V4", weights="raw", value=0.1 + 0.2):
    return {
        "epoch": step / 8,
        "step": step,
        "weights": weights,
        "benchmark": name,
        "value": value,
        "failure": "",
    }


def test_what_was_written_stays_to_the_last_digit(tmp_path):
    RunScores(tmp_path).add([row(0), row(0, "b.IT", value=math.nan)])
    first = (tmp_path / "scores.csv").read_text()
    again = RunScores(tmp_path)
    again.add([row(8, value=1 / 3)])
    assert (tmp_path / "scores.csv").read_text().startswith(first)
    assert list(read_scores(tmp_path)["value"][[0, 2]]) == [0.1 + 0.2, 1 / 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.csv", "scores.jsonl"]


def test_an_evaluation_that_is_made_again_replaces_its_rows(tmp_path):
    table = RunScores(tmp_path)
    table.add([row(0), row(0, weights="averaged", value=0.5)])
    table.add([row(8)])
    table.add([row(8, weights="averaged", value=0.75)])  # beside the raw ones, not instead of them
    table.resume_from(8)
    table.add([row(8, value=0.25)])
    found = read_scores(tmp_path).set_index(["step", "weights"])["value"].to_dict()
    assert found == {(0, "raw"): 0.1 + 0.2, (0, "averaged"): 0.5, (8, "averaged"): 0.75, (8, "raw"): 0.25}
    table.resume_from(7)
    assert [int(r["step"]) for r in table.rows] == [0, 0]


def test_a_copy_that_was_cut_short_goes_on_from_its_whole_rows(tmp_path):
    RunScores(tmp_path).add([row(0), row(8)])
    file = tmp_path / "scores.jsonl"
    file.write_text(file.read_text()[:-10])
    again = RunScores(tmp_path)
    again.add([row(16)])
    assert list(read_scores(tmp_path)["step"]) == [0, 16]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "step and benchmark are missing"),
        ("step,benchmark\nfew,a\n", "the step 'few', which is not a number"),
    ],
)
def test_another_file_of_that_name_is_refused(text, told, tmp_path):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(CornetError, match=told):
        RunScores(tmp_path)


def test_a_table_of_an_earlier_version_is_continued(tmp_path):
    RunScores(tmp_path).add([row(0), row(8, value=math.nan), row(16, value=1 / 3)])
    whole = (tmp_path / "scores.csv").read_text()
    (tmp_path / "scores.jsonl").unlink()
    again = RunScores(tmp_path)
    assert not (tmp_path / "scores.jsonl").exists()  # reading writes nothing
    again.resume_from(8)
    again.add([row(16, value=1 / 3)])
    assert (tmp_path / "scores.csv").read_text() == whole
