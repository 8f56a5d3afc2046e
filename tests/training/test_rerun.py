"""A run repeated from what it recorded; and what every checkpoint, row and page says of where it came from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from typer.testing import CliRunner

import cornet
from cornet.cli import app
from cornet.errors import CornetError
from cornet.report.run.closing import print_run_summary
from cornet.runs.comparison import compare_results, compare_versions
from cornet.runs.folder import RunFolder
from cornet.runs.score_tables import read_scores
from cornet.training.rerun import rerun
from cornet.training.run import run
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.training.small_runs import SMALL, checkpoint
from train import CONF

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run with brain scores."""
    root = tmp_path_factory.mktemp("trained")
    bundle = write(root / "mine", assembly(("V4",) * 4 + ("IT",) * 4))
    given = ["brain=local", f"brain.benchmarks.local=[{bundle}]", "brain.metric=ridge", "recipe.average=0.9"]
    overrides = [*SMALL, *given, "recipe.epochs=2", "seed=3", "trainer.accelerator=cpu"]
    with pytest.MonkeyPatch.context() as patch, initialize_config_dir(str(CONF), version_base="1.3"):
        patch.setenv("CORNET_CACHE", str(root / "cache"))
        outcome = run(compose("config", overrides), overrides, folder=root / "runs/seed3")
    assert outcome is not None
    print_run_summary(outcome.folder, outcome.summary)
    return outcome.folder


@pytest.fixture
def first(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs/seed3"))


def call(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, words)))
    if isinstance(done.exception, CornetError):
        return 2, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.slow  # trains twice
def test_the_same_bit_for_bit_and_then_what_differs(first, tmp_path):
    code, out = call("rerun", first)
    assert code == 0, out
    assert out.count("equal bit for bit") == 3
    assert "same versions, commit, hardware, threads and images" in out
    again = first.with_name("seed3.rerun")
    assert json.loads((again / "finished.json").read_text())["epochs"] == 2
    assert "again" in call("rerun", tmp_path / "runs")[1]  # the repeated one is not taken for another run
    # As if the first had been made with other versions, and had come elsewhere.
    versions = json.loads((first / "versions.json").read_text())
    (first / "versions.json").write_text(json.dumps({**versions, "torch": "1.0"}))
    last = checkpoint(first)
    next(v for k, v in last["state_dict"].items() if k.endswith("bias"))[0] += 1
    torch.save(last, first / "checkpoints/last.ckpt")
    scores = pd.read_csv(first / "scores.csv")
    scores.loc[0, "raw"] += 0.25
    scores.to_csv(first / "scores.csv", index=False)
    code, out = call("rerun", first)
    assert code == 1
    assert "by at most 1; overall by" in out
    assert "raw by at most 0.25" in out
    assert out.count("equal bit for bit") == 1
    assert f"different torch: 1.0 then, {versions['torch']} now" in out
    assert "The results differ; the two runs differ in torch" in out


def test_every_result_says_what_it_was_made_of(first):
    made_of = checkpoint(first)["provenance"]
    versions = json.loads((first / "versions.json").read_text())
    images = json.loads((first / "images.json").read_text())["fingerprint"]
    assert made_of["versions"] == versions
    config = made_of["config"]
    config["run_id"] = config["callbacks"]["halving"]["run_id"] = (
        None  # a token of the folder, in a file of its own
    )
    assert config == RunFolder(first).config
    assert (made_of["seed"], made_of["images"]) == (3, images)
    scores = read_scores(first)
    assert set(scores["benchmark"]) == {"mine.V4", "mine.IT"}
    assert scores.groupby("benchmark")["brain_data"].nunique().tolist() == [1, 1]
    assert scores["brain_data"].nunique() == 2
    assert (scores["seed"] == 3).all()
    for row in scores.itertuples():
        assert json.loads(row.versions) == versions
        config = json.loads(row.config)
        assert config["recipe"]["epochs"] == 2
        assert config["model"]["name"] == "cornet_s"
        assert row.images == images
        assert row.commit.rstrip("+") == (versions["commit"] or "")
    assert images in (first / "report.html").read_text()


@pytest.mark.parametrize("seed", ["abc", "-1", "1.5", "true", "null", "4294967296", "1e400"])
def test_an_odd_recorded_seed_is_refused(first, seed):
    config = first / "config.yaml"
    config.write_text(config.read_text().replace("\nseed: 3\n", f"\nseed: {seed}\n"))
    code, out = call("rerun", first)
    assert code == 2
    assert "which must be a whole number from 0 to 2**32 - 1" in out
    assert not first.with_name("seed3.rerun").exists()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [True, "two", -1, 10**12, None, [1]])
def test_an_odd_recorded_number_of_threads_is_left_out(first, threads):
    versions = json.loads((first / "versions.json").read_text())
    (first / "versions.json").write_text(json.dumps({**versions, "threads": threads}))
    before = torch.get_num_threads()
    code, out = call("rerun", first)
    assert torch.get_num_threads() == before
    assert code == 0, out
    assert out.count("equal bit for bit") == 3
    assert "threads" in out


def test_runs_that_cannot_be_repeated(tmp_path, first, monkeypatch):
    (first / "finished.json").unlink()
    assert call("rerun", first) == (
        2,
        f"{first} has no finished run; finish it first, with the command that started it.",
    )
    assert "is not a folder" in call("rerun", tmp_path / "nowhere")[1]
    (first / "finished.json").write_text("{}")
    config = (first / "config.yaml").read_text()
    (first / "config.yaml").write_text(config.replace("name: cornet_s", "name: me:***@x"))
    assert "did not record model.name, which holds a secret" in call("rerun", first)[1]
    (first / "config.yaml").write_text(config)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(CornetError, match="was trained by one process; repeat it without torchrun"):
        rerun(first)


def test_differences_of_tables(tmp_path, first):
    other = Path(shutil.copytree(first, tmp_path / "other"))
    assert all(one.same for one in compare_results(first, other))
    assert compare_versions(first, other) == {}
    metrics = pd.read_csv(other / "metrics.csv")
    metrics.loc[metrics["val/top1"].first_valid_index(), "val/top1"] = np.nan
    metrics.to_csv(other / "metrics.csv", index=False)
    (found,) = [one for one in compare_results(first, other) if not one.same]
    assert (found.what, found.text) == ("metrics.csv", "val/top1 by at most inf")
    metrics.iloc[:-1].to_csv(other / "metrics.csv", index=False)
    (found,) = [one for one in compare_results(first, other) if not one.same]
    assert f"{len(metrics)} and {len(metrics) - 1} rows" in found.text
    metrics.drop(columns="val/top5").to_csv(other / "metrics.csv", index=False)
    (found,) = [one for one in compare_results(first, other) if not one.same]
    assert found.text == "only one of them has val/top5"
    versions = json.loads((first / "versions.json").read_text())
    (other / "versions.json").write_text(
        json.dumps({**versions, "continued_with": [{**versions, "torch": "9.9"}]})
    )
    assert compare_versions(first, other) == {"torch": (versions["torch"], f"{versions['torch']} -> 9.9")}


@pytest.mark.slow  # trains twice
def test_deterministic_is_asked_of_torch_and_changes_nothing_on_a_cpu(train, tmp_path):
    seen = []
    original = torch.use_deterministic_algorithms

    def watched(mode, **options):
        seen.append(mode)
        original(mode, **options)

    torch.use_deterministic_algorithms = watched
    try:
        for name, given in (("plain", ()), ("strict", ("deterministic=true",))):
            code, _, err = train("recipe.epochs=1", f"root={name}", *given)
            assert code == 0, err
    finally:
        torch.use_deterministic_algorithms = original
        original(False)
    assert seen[0] is False
    assert seen[-1] is True
    plain, strict = (next(tmp_path.glob(f"{name}/**/seed0")) for name in ("plain", "strict"))
    assert not RunFolder(plain).config["deterministic"]
    assert RunFolder(strict).config["deterministic"]
    assert all(one.same for one in compare_results(plain, strict))


def test_load_run(trained):
    run = cornet.load_run(trained)
    assert run.config["seed"] == 3
    assert run.summary["epochs"] == 2
    assert run.metrics["epoch"].max() == 1
    assert set(run.scores["benchmark"]) == {"mine.V4", "mine.IT"}
    assert cornet.load_run(trained.parent.parent).path == trained  # the only run below
    net = run.model("last")
    assert not net.training
    saved = {name.removeprefix("net."): value for name, value in checkpoint(trained)["state_dict"].items()}
    assert all(torch.equal(value, saved[name]) for name, value in net.state_dict().items())
    with pytest.raises(CornetError, match="checkpoint='first' is unknown"):
        run.model("first")


def test_load_run_without_one(tmp_path):
    with pytest.raises(CornetError, match=r"contains no run of cornet"):
        cornet.load_run(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    started = cornet.load_run(tmp_path)
    assert started.summary == {}
    assert len(started.scores) == 0
    with pytest.raises(CornetError, match=r"metrics\.csv is missing or empty; train first"):
        _ = started.metrics
