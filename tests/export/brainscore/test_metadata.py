"""metadata.yaml by the rules of schema 2.0 (brainscore-core 2.5), and what it says of a run."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cornet.export.formats.brainscore.metadata import metadata
from cornet.export.source import open_sources
from cornet.runs.folder import RunFolder
from tests.helpers.export.brainscore_plugin import THREE, a_config
from tests.helpers.training.recorded_runs import run_folder

TEXTS = {
    "model": {"display_name", "version", "visual_degrees_description"},
    "model/architecture": {"family", "description"},
    "training": {"process", "objective", "learning_rate", "batch_size", "preprocessing"},
    "data": {"summary"},
    "io": {"modality", "interface", "input_format", "output_format"},
    "provenance": {"checkpoint"},
}
OTHERS = {
    *("model/architecture", "model/parameter_count", "model/parameter_count_exact", "model/recurrent"),
    *("model/input_resolution/channels", "model/input_resolution/height", "model/input_resolution/width"),
    *("model/input_resolution", "model/visual_degrees", "data/training_datasets", "sources", "assertions"),
    *TEXTS,
}


def checked(text: str) -> dict:
    """Read a document, and check what the reference refuses: anchors, unknown fields, texts that are none."""
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]
    document = yaml.safe_load(text)
    assert (document["schema_version"], document["domain"]) == ("2.0", "vision")
    for entry in document["models"].values():
        check_fields(entry, "")
        assert [one["path"] for one in entry["assertions"]] == list(
            {one["path"]: 0 for one in entry["assertions"]}
        )
        assert all(one["path"].strip("/") in OTHERS for one in entry["assertions"])
        assert all(set(one["sources"]) <= set(entry["sources"]) for one in entry["assertions"])
    return document["models"]


def check_fields(node: dict, where: str) -> None:
    for key, value in node.items():
        path = f"{where}/{key}".strip("/")
        if key in TEXTS.get(where, ()):
            assert isinstance(value, str), path
            assert 0 < len(value) <= (200 if key in ("display_name", "version") else 10000), path
        else:
            assert path in OTHERS, path
            if isinstance(value, dict) and path != "sources":
                check_fields(value, path)


def test_facts_of_networks_are_counted():
    sources = open_sources(THREE)
    models = checked(metadata({f"m{number}": source for number, source in enumerate(sources)}))
    for source, entry in zip(sources, models.values(), strict=True):
        assert entry["model"]["parameter_count"] == sum(weight.numel() for weight in source.net.parameters())
        assert entry["model"]["input_resolution"] == {
            "channels": 3,
            "height": source.size,
            "width": source.size,
        }
        assert source.weights_hash in entry["provenance"]["checkpoint"]
        assert "training" not in entry  # nobody trained it
        assert "data" not in entry
    assert [entry["model"]["recurrent"] for entry in models.values()] == [True, True, False]
    assert [entry["model"]["visual_degrees"] for entry in models.values()] == [8.0, 6.5, 8.0]
    assert "V4 (4 steps)" in models["m0"]["model"]["architecture"]["description"]


def with_run(folder: Path, config: dict):
    (source,) = open_sources(THREE[2:])
    return replace(source, text=str(folder), run=RunFolder(run_folder(folder, config)))


def test_a_run_says_how_it_was_trained(tmp_path):
    changed = a_config() | {"seed": 3}
    changed["recipe"]["learning_rate"] = 0.0625
    source = with_run(tmp_path / "run", changed)
    entry = checked(metadata({"mine": source}))["mine"]
    assert entry["training"]["learning_rate"] == "0.0625"
    assert entry["training"]["batch_size"] == "16"
    assert entry["training"]["objective"] == "Classification"
    assert "seed 3" in entry["training"]["process"]
    (images,) = entry["data"]["training_datasets"]
    assert images == {
        "identifier": "other",
        "name": "RenderedObjects (rendered, not photographs)",
        "role": "training",
    }
    assert {one["path"]: one["status"] for one in entry["assertions"]}["/training"] == "probable"


def test_photographs_of_imagenet_have_the_reference_s_name_for_them(tmp_path):
    config = a_config()
    config["data"] = {"_target_": "cornet.stimuli.datasets.ImageNet", "size": 224}
    entry = checked(metadata({"mine": with_run(tmp_path / "run", config)}))["mine"]
    assert entry["data"]["training_datasets"][0]["identifier"] == "imagenet-1k"


@pytest.mark.parametrize("bad", [None, "text", ["a"], {"_target_": {"a": 1}}])
def test_a_run_of_others_cannot_break_the_document(bad, tmp_path):
    config = a_config()
    hostile = "a: b\n- &x !!python/object:os.system \u202e \x1b[31m " + "w" * 5000
    config |= {
        "recipe": {"learning_rate": hostile, hostile: hostile},
        "data": bad,
        "task": bad,
        "seed": hostile,
    }
    entry = checked(metadata({"mine": with_run(tmp_path / "run", config)}))["mine"]
    if "training" in entry:  # else the configuration cannot be read at all
        assert re.fullmatch(r"[ -~]+", entry["training"]["learning_rate"])
        assert len(entry["training"]["process"]) <= 1000
