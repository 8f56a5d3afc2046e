"""`cornet score` and `cornet benchmarks`, on real files and in a real process."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from cornet import brain, create_model, to_published
from cornet.brain import Score
from cornet.cli import app
from cornet.errors import CornetError
from cornet.report.terminal_tables import print_scores
from tests.helpers.brain.drawn_bundle import STIMULI, assembly, write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tmp_path):
    return str(write(tmp_path / "mine", object_name=np.tile(["bear", "car", "face"], STIMULI // 3)))


def run(*arguments, columns=80):
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "TERM": "dumb"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


SMALL = "cornet_s?untrained&width=0.125&num_classes=10&size=32"


def test_table_fits_a_terminal_and_says_what_it_shows(bundle):
    result = run("score", "pixels", SMALL, "--on", bundle)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "mine.V4" in result.output
    assert "r^2/c" in result.output
    assert "paired bootstrap over neuroids" in result.output
    assert "Simulated" not in result.output
    assert "V4[0]" in run("score", SMALL, "--on", bundle, columns=140).output


def test_simulated_scores_are_called_a_check(capsys):
    benchmark = SimpleNamespace(name="simulated.V4", simulated=True)
    result = SimpleNamespace(
        subject="pixels", benchmark=benchmark, score=Score(raw=0.4, n=9), failure="", sites=[]
    )
    print_scores([result])
    said = " ".join(capsys.readouterr().out.split())
    assert "no brain was recorded, so the scores say nothing about brains." in said


def test_json_and_csv_hold_the_same_rows(bundle, tmp_path):
    file = tmp_path / "scores.csv"
    result = run("score", SMALL, "--on", bundle, "--json", "--csv", str(file))
    (row,) = json.loads(result.output)
    table = pd.read_csv(file)
    assert list(table.columns) == list(row)
    assert table["raw"][0] == pytest.approx(row["raw"])
    assert (row["benchmark"], row["scale"], row["n"], row["neuroids"]) == ("mine.V4", "r^2/c", STIMULI, 8)
    assert row["value"] == pytest.approx(np.sign(row["raw"]) * row["raw"] ** 2 / row["ceiling"])


def test_several_benchmarks_follow_one_option(bundle, tmp_path):
    other = str(write(tmp_path / "other", assembly(("IT",) * 8)))
    rows = json.loads(run("score", SMALL, "--on", bundle, other, "--json").output)
    assert [row["benchmark"] for row in rows] == ["mine.V4", "other.IT"]
    again = json.loads(run("score", "--json", SMALL, "--on", bundle, "--on", other).output)
    assert [row["value"] for row in again] == [row["value"] for row in rows]


def test_area_step_and_layer_can_be_named(bundle):
    def sites(*more):
        return json.loads(run("score", SMALL, "--on", bundle, "--json", *more).output)[0]["sites"]

    assert sites() == "V4[0]"
    assert sites("--area", "IT") == "IT[0]"
    assert sites("--area", "IT[1]") == "IT[1]"


def test_a_time_bin_can_be_named(bundle):
    """The network's step follows it, and so do the responses."""
    slow = SMALL.replace("untrained", "untrained&times=4")
    plain, same = (
        json.loads(run("score", slow, "--on", bundle, "--json", *more).output)[0]
        for more in ([], ["--time-bin", "70-170"])
    )
    assert plain["raw"] == same["raw"]
    with pytest.raises(CornetError, match=r"time_bin=\(190, 240\) is not a bin"):
        run("score", slow, "--on", bundle, "--time-bin", "190-240")
    with pytest.raises(CornetError, match="--time-bin soon must be start and end in ms"):
        run("score", slow, "--on", bundle, "--time-bin", "soon")


def test_how_a_bundle_is_split_can_be_named(bundle):
    def rule(*more):
        return json.loads(run("score", "pixels", "--on", bundle, "--json", *more).output)[0]["split_rule"]

    assert rule() == "10 splits, 90 % for training, stratified by object_name"
    assert rule("--stratify", "none") == "10 splits, 90 % for training, at random"
    assert rule("--groups", "filename") == "10 splits, 90 % for training, grouped by filename"
    with pytest.raises(CornetError, match=r"no column 'object'.*did you mean 'object_name'"):
        rule("--stratify", "object")
    with pytest.raises(CornetError, match="ignore='trial' is not a presentation coordinate"):
        rule("--ignore", "trial")
    with pytest.raises(CornetError, match="groups='' is not a column name"):
        rule("--groups", "")
    with pytest.raises(CornetError, match="are mutually exclusive"):
        rule("--groups", "filename", "--stratify", "object_name")


@pytest.mark.parametrize(
    ("options", "names", "metrics"),
    [
        ([], ["mine.V4"], ["pls"]),
        (["--metric", "ridge"], ["mine.V4"], ["ridge"]),
        (["--metric", "cka"], ["mine.V4-cka"], ["cka"]),
        (["--metric", "pls,cka"], ["mine.V4", "mine.V4-cka"], ["pls", "cka"]),
        (["--metric", "ridge", "--metric", "rdm"], ["mine.V4", "mine.V4-rdm"], ["ridge", "rdm"]),
    ],
)
def test_metrics_can_be_named(bundle, options, names, metrics):
    for on in (bundle, f"{bundle}:V4"):
        rows = json.loads(run("score", "pixels", "--on", on, "--json", *options).output)
        assert [row["benchmark"] for row in rows] == names
        assert [row["metric"] for row in rows] == metrics
    rows = json.loads(run("score", "pixels", "--on", f"{bundle}:V4-cka", "--json", *options).output)
    assert [(row["benchmark"], row["metric"]) for row in rows] == [("mine.V4-cka", "cka")]


def test_the_table_has_a_row_for_each_metric(bundle):
    output = run("score", "pixels", "gabor", "--on", bundle, "--metric", "pls,cka,rdm").output
    assert max(map(len, output.splitlines())) <= 80
    for name in ("mine.V4 ", "mine.V4-cka", "mine.V4-rdm"):
        assert output.count(name) >= 2
    assert "  mine.V4: gabor" in output
    assert "  mine.V4-cka: gabor" not in output  # no values per neuroid to pair


def test_layers_are_chosen_by_the_first_metric(bundle, tmp_path, caplog):
    """The choice by cka, of which the scores of all candidates are cached."""
    aside = str(write(tmp_path / "aside"))
    chosen = ["--layers", "auto", "--choose-on", aside]
    run("score", SMALL, "--on", bundle, "--metric", "cka,pls", *chosen)
    (path,) = (tmp_path / "cache" / "layer-choices").iterdir()
    candidates = json.loads(path.read_text())["candidates"]
    subject = brain.open_subject(SMALL)
    site = subject.site("V4")
    data = brain.load_bundle(aside)
    responses = data.responses("V4")
    features = subject.record(data.stimuli, [site])[site][
        data.stimuli.positions(list(responses.stimulus_ids))
    ]
    row = list(zip(candidates["layer"], candidates["step"], strict=True)).index((site.layer, site.step))
    assert candidates["score"][row] == pytest.approx(brain.cka(features, responses.mean), abs=1e-6)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_benchmark_is_refused(name):
    with pytest.raises(CornetError, match="must be names or folders, and not empty, such as majajhong2015"):
        run("score", "pixels", "--on", name)


@pytest.mark.parametrize("option", ["--area", "--layers"])
def test_layers_are_chosen_on_a_bundle_set_aside(bundle, tmp_path, caplog, option):
    aside = str(write(tmp_path / "aside"))
    result = run("score", SMALL, "--on", bundle, option, "auto", "--choose-on", aside, "--json")
    assert "chosen on test.assembly: V4: " in caplog.text
    chosen = re.search(r"chosen on test.assembly: V4: (\S+)", caplog.text)[1]
    assert json.loads(result.stdout)[0]["sites"] == chosen
    with pytest.raises(CornetError, match="--layers auto and --choose-on BUNDLE need each other"):
        run("score", SMALL, "--on", bundle, "--area", "auto")


@pytest.mark.slow  # scores two networks
def test_untrained_networks_are_scored_beside(bundle, tmp_path):
    torch.manual_seed(7)  # not the seed of the untrained one
    net = create_model("cornet_z", num_classes=4)
    path = tmp_path / "net.pth"
    torch.save({"state_dict": to_published(net)}, path)
    rows = json.loads(
        run("score", f"{path}?model=cornet_z", "pixels", "--on", bundle, "--untrained", "--json").output
    )
    assert [row["model"].split("?")[-1] for row in rows] == [
        "model=cornet_z",
        "model=cornet_z&untrained",
        "pixels",
    ]
    assert rows[0]["raw"] != rows[1]["raw"]


def test_what_cannot_be_scored_is_said_and_the_rest_goes_on(bundle):
    with pytest.raises(CornetError, match="cornet fetch majajhong2015"):
        run("score", "pixels", "--on", bundle, "majajhong2015.IT")
    result = run("score", "pixels", "--on", bundle, "majajhong2015.IT", "--keep-going")
    assert result.exit_code == 1
    assert "cornet fetch majajhong2015" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense", "--on", "simulated.V1"], "nonsense"),
        (["pixels", "--on", "simulated.V9"], "did you mean simulated.V"),
        (["pixels", "--on", "simulated.V1", "--metric", "lasso"], "metric='lasso' is unknown"),
        (
            ["pixels", "--on", "simulated.V1", "--metric", "pls,rmd"],
            r"did you mean rdm\?\); choose one of pls, ",
        ),
        (["pixels", "--on", "simulated.V1", "--scale", "percent"], "scale='percent' is unknown"),
        (["pixels", "--on", "simulated.V1", "--device", "abacus"], "device='abacus' is unknown"),
    ],
)
def test_mistakes_are_told(arguments, words):
    with pytest.raises(CornetError, match=words):
        run("score", *arguments)


@pytest.mark.slow
def test_a_mistake_is_one_line_in_a_real_process():
    command = [sys.executable, "-m", "cornet", "score", "pixels", "--on", "simulated.V9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("cornet: 'simulated.V9' is neither a benchmark nor a folder with a bundle")
    assert len(done.stderr.strip().splitlines()) == 1


def test_list_of_benchmarks():
    result = run("benchmarks")
    assert max(map(len, result.output.splitlines())) <= 80
    assert all(f"  {name}: " in result.output for name in brain.list_metrics())
    names = [row["name"] for row in json.loads(run("benchmarks", "--json").output)]
    assert all(name in result.output for name in names)
    assert {"majajhong2015.IT", "freemanziemba2013.V1", "kar2019-ost", "simulated-ost"} <= set(names)
