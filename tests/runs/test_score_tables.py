"""Tables of scores as files: exact as text, lenient as numbers, and without a line that a copy cut short."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cornet import CornetError
from cornet.brain import Score
from cornet.brain.benchmarks import Result, open_benchmarks
from cornet.runs import score_tables
from cornet.runs.provenance import COLUMNS
from cornet.runs.score_tables import NUMBER, SCORES, TEXT, read_rows, read_scores, read_table
from cornet.runs.scores import RunScores

TABLE = pd.DataFrame(
    {
        "epoch": [0.0, 1.0],
        "benchmark": ["a.V4", "NA"],
        "value": [0.1 + 0.2, np.nan],
        "simulated": [True, False],
        "notes": ['two\nlines, and a "quote"', ""],
        "seconds": [1.5, 2.25],
        "failure": ["", "MemoryError: no room"],
    }
)


def test_rows_are_kept_to_the_last_digit(tmp_path: Path):
    file = tmp_path / "scores.csv"
    TABLE.to_csv(file, index=False)
    rows = read_rows(file)
    assert list(rows["value"]) == ["0.30000000000000004", ""]
    assert list(rows["benchmark"]) == ["a.V4", "NA"]
    assert rows.to_csv(index=False) == file.read_text()


def test_numbers_are_exact_and_what_is_absent_is_not_a_number(tmp_path: Path):
    TABLE.to_csv(tmp_path / "scores.csv", index=False)
    for path in (tmp_path, tmp_path / "scores.csv"):
        table = read_scores(path)
        assert table["value"][0] == 0.1 + 0.2
        assert math.isnan(table["value"][1])
        assert list(table["simulated"]) == [True, False]
        assert list(table["notes"]) == list(TABLE["notes"])
        assert list(table["benchmark"]) == ["a.V4", "NA"]
        assert table["ceiling"].isna().all()
        assert (table["weights"] == "").all()


def test_the_accuracy_of_earlier_versions_is_read(tmp_path):
    (tmp_path / "scores.csv").write_text("epoch,step,top1,benchmark,value\n0,0,,a.V4,.1\n1,9,0.25,a.V4,.2\n")
    table = read_scores(tmp_path)
    assert set(table["task_metric"]) == {"val/top1"}
    assert list(table["task_value"].fillna(-1)) == [-1, 0.25]
    scores = RunScores(tmp_path)
    scores.add(
        [
            {
                "epoch": 2,
                "step": 18,
                "task_metric": "val/top1",
                "task_value": 0.5,
                "benchmark": "a.V4",
                "value": 0.3,
            }
        ]
    )
    assert list(read_scores(tmp_path)["task_value"].fillna(-1)) == [-1, 0.25, 0.5]
    assert "top1" not in (tmp_path / "scores.csv").read_text().splitlines()[0].split(",")


@pytest.mark.slow
def test_the_columns_are_those_that_a_result_has():
    (one,) = open_benchmarks(["simulated.IT"])
    row = Result("net", one, Score(raw=0.5)).row()
    assert set(SCORES) == {"epoch", "step", "task_metric", "task_value", "weights", *row, *COLUMNS}
    for name, value in row.items():
        assert (SCORES[name] == TEXT) == isinstance(value, str), name


def test_a_file_cut_anywhere_gives_whole_rows_only(tmp_path: Path):
    file, text = tmp_path / "scores.csv", TABLE.to_csv(index=False)
    whole = [name for name in TABLE if name != "failure"]  # a text at the end may be a part of one
    expected, counts = TABLE[whole].to_csv(index=False), []
    for length in range(text.index("\n") + 1, len(text) + 1):
        file.write_text(text[:length])
        rows = read_rows(file)
        assert expected.startswith(rows[whole].to_csv(index=False))
        counts.append(len(rows))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def test_a_number_that_may_be_cut_is_left_out(tmp_path: Path):
    file = tmp_path / "table.csv"
    file.write_text("name,value\na,0.125\nb,0.12")
    assert list(read_rows(file)["name"]) == ["a"]
    file.write_text("name,value\na,0.125\nb,0.12\n")
    assert list(read_rows(file)["name"]) == ["a", "b"]


def test_other_columns_are_numbers_where_all_of_them_are(tmp_path: Path):
    file = tmp_path / "table.csv"
    file.write_text("a,b,c\n1,x,\n,2,\n")
    table = read_table(file, {"d": NUMBER})
    assert table["a"].dtype == float
    assert list(table["b"]) == ["x", "2"]
    assert table["c"].isna().all()
    assert table["d"].isna().all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"a,b\n1,2\n", "no column epoch"),
        (b"epoch,benchmark,value\n1,a,2,3\n2,a,2\n", "row 1 has 4 entries, and the header 3"),
    ],
)
def test_what_is_no_table_of_scores_is_told_in_one_sentence(content: bytes | None, told: str, tmp_path: Path):
    file = tmp_path / "scores.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CornetError, match=told) as caught:
        read_scores(file)
    assert "\n" not in str(caught.value)


def test_an_empty_table_has_no_rows(tmp_path: Path):
    file = tmp_path / "scores.csv"
    for text in ("", "epoch,benchmark,value\n"):
        file.write_text(text)
        assert len(read_scores(file)) == 0


def test_a_table_read_in_parts_equals_one_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file, rng = tmp_path / "scores.csv", np.random.default_rng(0)
    table = pd.concat([TABLE] * 40, ignore_index=True).assign(
        value=rng.normal(size=80), n=np.arange(80) * 10**6
    )
    table.loc[::7, "value"] = np.nan
    table.to_csv(file, index=False)
    whole = read_scores(file), read_rows(file)
    for cells in (1, 9, 64, 639):
        monkeypatch.setattr(score_tables, "CELLS_PER_PART", cells)
        pd.testing.assert_frame_equal(read_scores(file), whole[0])
        pd.testing.assert_frame_equal(read_rows(file), whole[1])
    np.testing.assert_array_equal(whole[0]["value"], table["value"])
    np.testing.assert_array_equal(whole[0]["n"], table["n"])


def test_a_row_that_is_too_long_is_named_in_any_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "table.csv"
    file.write_text("a,b\n" + "1,2\n" * 9 + "1,2,3\n1,2\n")
    for cells in (1, 4, 100):
        monkeypatch.setattr(score_tables, "CELLS_PER_PART", cells)
        with pytest.raises(CornetError, match="row 10 has 3 entries, and the header 2"):
            read_rows(file)
    file.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(CornetError, match="has the column 'a' twice"):
        read_rows(file)


GROWTH = """
import resource, sys
from pathlib import Path
from cornet.report.run.data import read_curves, read_metrics
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
metrics, curves = read_metrics(Path(sys.argv[1])), read_curves(Path(sys.argv[1]), "val/top1")
print(len(curves), len(metrics), peak() - before)
"""


@pytest.mark.slow
def test_reading_long_metrics_takes_little_memory(tmp_path: Path):
    """At most 4 bytes for a byte of the file, beside 32 MB; whole tables of texts took more than 30."""
    file, steps = tmp_path / "metrics.csv", 100_000
    columns = ["epoch", "step", *(f"brain/b{k}" for k in range(80)), "train/loss", "val/top1"]
    with open(file, "w") as out:
        out.write(",".join(columns) + "\n")
        for step in range(steps):
            out.write(
                f"{step // 500},{step}{',' * 81}{1 / (step + 1)!r},{0.5 if step % 500 == 499 else ''}\n"
            )
    told = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path)], capture_output=True, text=True, check=True
    )
    rows, kept, grown = map(int, told.stdout.split())
    assert rows == steps
    assert kept < steps / 50
    assert grown < 4 * file.stat().st_size + 32 * 2**20
