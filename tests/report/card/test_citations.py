"""Every network and every public benchmark has an entry to cite, which agrees with CITATION.cff."""

import pytest
import yaml

import cornet
from cornet.brain.benchmark_names import BENCHMARKS as NAMES
from cornet.report.card.citations import BENCHMARKS, LOSSES, NETWORKS, entries, named_source
from tests.helpers.models.two_areas import NAME, registration
from tests.helpers.paths import ROOT


def test_every_network_has_an_entry():
    assert set(NETWORKS) <= set(cornet.list_models(other_inputs=True))
    assert {key for keys in NETWORKS.values() for key in keys} <= set(entries())
    assert set(LOSSES.values()) <= set(entries())


def test_another_network_is_named_with_its_paper():
    with registration():
        assert named_source(NAME).startswith(f"the network {NAME}")
    assert named_source("gone") == "the network gone"
    assert named_source("cornet_s") == "the network cornet_s (Kubilius, Schrimpf et al. 2019 (NeurIPS))"


def test_every_public_benchmark_has_one():
    recorded = [name for name in NAMES if not name.startswith(("simulated", "cowley2026"))]
    assert len(recorded) == 8
    assert all(any(name.startswith(start) for start in BENCHMARKS) for name in recorded)
    assert set(BENCHMARKS.values()) <= set(entries())


def test_entries_are_complete():
    for key, text in entries().items():
        assert text.count("{") == text.count("}")
        for field in ("title", "author", *(["year"] if key != "cornet" else [])):
            assert f"  {field} = {{" in text, key


@pytest.mark.parametrize("number", [0, 1, 2])
def test_entries_agree_with_the_citation_file(number):
    reference = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"][number]
    plain = {text.replace("{CORnet}", "CORnet").replace("{ANNs}", "ANNs") for text in entries().values()}
    title = f"  title = {{{reference['title']}}}"
    entry = next(text for text in plain if title in text)
    authors = " and ".join(f"{one['family-names']}, {one['given-names']}" for one in reference["authors"])
    assert f"  author = {{{authors}}}" in entry
    assert f"  year = {{{reference['year']}}}" in entry
    assert "doi" not in reference or f"  doi = {{{reference['doi']}}}" in entry
