"""Pages of runs whose every text is hostile: no element and no attribute of a page comes from what a run says."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cornet.report.card.write import write_card
from cornet.report.published.report import compare_runs
from cornet.report.run.page import write_page
from cornet.report.seeds.report import report_runs as report_seeds
from cornet.report.sweep.report import report_sweep
from cornet.report.tradeoff.report import report_tradeoff
from tests.helpers.report.made_up_runs import BENCHMARKS, make_run, metrics, scores
from tests.helpers.report.made_up_sweeps import made_up_sweep

BAD = (
    "<script>a()</script><img src=x onerror=a()></style></title></svg>"
    '<a href="javascript:a()">b</a>\'" onload=\'a()'
)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def check(path: Path) -> None:
    page = path.read_text()
    found = Elements(page).found
    assert len(found) > 20
    assert not [one for one in found if one[0] in ("script", "iframe", "object", "embed", "form", "base")]
    for tag, attributes in found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            assert "javascript:" not in str(value) or name in ("alt", "title", "aria-label"), (
                tag,
                attributes,
            )
            if name in ("href", "src", "srcset", "action", "xlink:href"):
                relative = ":" not in str(value) and not str(value).startswith("//")
                assert relative or str(value).startswith("data:"), (tag, attributes)
    assert "a()" in page  # what was said is there, as text
    assert "<script" not in page
    assert "Content-Security-Policy" in page


def spoil(folder: Path, bad: str = BAD) -> Path:
    """Put it into all that a run's folder tells, but for numbers that the pages are drawn from."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config |= {"name": bad, bad: bad, "note": [bad]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "versions.json").write_text(json.dumps({bad: bad, "python": bad, "gpus": [bad], "commit": bad}))
    (folder / "images.json").write_text(json.dumps({"fingerprint": bad, "continued_with": [bad]}))
    finished = json.loads((folder / "finished.json").read_text())
    (folder / "finished.json").write_text(
        json.dumps(finished | {"network": bad, "data": bad, "monitor": bad})
    )
    table = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    table = table.assign(
        notes=bad, weights=bad, split_rule=bad, metric=bad, sites=bad, images=bad, commit=bad
    )
    table.to_csv(folder / "scores.csv", index=False)
    return folder


def small_run(folder: Path) -> Path:
    table = scores(epochs=(0, 1), benchmarks=BENCHMARKS[:1])
    return make_run(folder, scores=table, step_matrix=None, solution_times=None, metrics=metrics(1))


def test_a_run(tmp_path):
    check(write_page(spoil(small_run(tmp_path / "a<b>"))))


def test_a_card(tmp_path):
    folder = spoil(small_run(tmp_path / "a<b>"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config |= {
        "losses": {BAD: {"_target_": BAD}},
        "recipe": {"schedule": BAD, "_target_": BAD, "clip": [BAD]},
    }
    config["data"] |= {"views": [BAD], "crop_scale": [BAD, BAD], BAD: BAD, "_target_": BAD}
    config["model"] |= {"freeze": [BAD]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "started_from.json").write_text(json.dumps({"checkpoint": BAD, "sha256": BAD, "epochs": BAD}))
    check(write_card(folder))
    lines = write_card(folder, form="md").read_text().splitlines()
    told = [line for line in lines if "a()" in line]
    assert len(told) > 10
    assert not [line for line in told if re.search(r"(?<!\\)[<>]", line.replace("<br>", ""))]


@pytest.mark.slow
def test_seeds(tmp_path):
    table = scores(epochs=(0, 1), benchmarks=[(BAD, "IT", "raw", 0.8)])
    for seed in (0, 1):
        folder = make_run(
            tmp_path / f"seed{seed}", scores=table, step_matrix=None, solution_times=None, metrics=metrics(1)
        )
        (folder / "identity.json").write_text(json.dumps({"model": {"name": BAD}}))
        config = (folder / "config.yaml").read_text().replace("seed: 0", f"seed: {seed}")
        (folder / "config.yaml").write_text(config)
        spoil(folder)
    (page,) = report_seeds([tmp_path])
    check(page)


@pytest.mark.slow  # as it draws most
def test_a_sweep(tmp_path):
    folder = made_up_sweep(
        tmp_path / "x<b>", {"model.norm": [BAD, "group"], "data.size": [32, 64]}, lambda _: 0.1, seeds=(0, 1)
    )
    for path in sorted(folder.glob("*/seed*")):
        spoil(path)
    report_sweep(folder)
    check(folder / "sweep.html")


@pytest.mark.slow
def test_accuracy_against_scores(tmp_path):
    grid = {"model.width": [1, 2, 3, BAD]}
    folder = made_up_sweep(tmp_path / "x<b>", grid, lambda one: 0.1 * len(str(one)) % 1, seeds=(0,))
    for path in sorted(folder.glob("**/seed*")):
        table = pd.read_csv(path / "scores.csv").assign(region=BAD, scale=BAD)
        table.assign(benchmark=BAD).iloc[:2].to_csv(path / "scores.csv", index=False)
        finished = json.loads((path / "finished.json").read_text())
        (path / "finished.json").write_text(json.dumps(finished | {"data": f"{path.parent.name} {BAD}"}))
    check(report_tradeoff([folder], epochs=True))


@pytest.mark.slow
def test_compared_runs(tmp_path):
    folder = make_run(tmp_path / "y<b>&'\"", step_matrix=None, solution_times=None, metrics=metrics(2))
    spoil(folder)
    check(compare_runs([folder], tmp_path / "compare.html"))


@pytest.mark.slow
def test_files_that_are_too_deep(tmp_path):
    folder = small_run(tmp_path / "a")
    (folder / "stimuli").mkdir()
    for name in ("versions.json", "images.json", "finished.json", "stimuli/sets.json"):
        (folder / name).write_text('{"a":' * 100_000)
    assert write_page(folder).is_file()


def test_a_configuration_that_lies_elsewhere_is_not_shown(tmp_path):
    """A link in an unpacked archive would put a private file on a page that is passed on."""
    (tmp_path / "private").write_text("a: mine-alone")
    folder = small_run(tmp_path / "a")
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").symlink_to(tmp_path / "private")
    assert "mine-alone" not in write_page(folder).read_text()
