"""What a release states in several places agrees: version, extras, and the files of the checklist."""

import re
import tomllib

import yaml

from tests.helpers.paths import ROOT

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DECLARED["project"]
EXTRAS = PROJECT["optional-dependencies"]


def name_of(requirement: str) -> str:
    return re.match(r"[\w-]+", requirement)[0].lower()


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    recipe = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text())
    assert {citation["version"], recipe["context"]["version"]} == {PROJECT["version"]}


def test_the_changelog_begins_with_unreleased_or_with_the_version():
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased" or headings[0].startswith(f"{PROJECT['version']} (")
    released = headings[headings[0] == "Unreleased" :]
    assert released[0].startswith(f"{PROJECT['version']} (")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}\)", heading) for heading in released)


def test_the_extra_all_is_all_extras():
    (every,) = EXTRAS["all"]
    name, names = re.fullmatch(r"([\w-]+)\[(.*)\]", every).groups()
    assert name == PROJECT["name"]
    assert set(names.split(",")) == set(EXTRAS) - {"all"}


def test_a_checkout_has_the_packages_of_all_extras():
    """`uv run` installs the group dev, with which all tests run, and every logger and model source works."""
    dev = {name_of(one) for one in DECLARED["dependency-groups"]["dev"] if isinstance(one, str)}
    optional = {name_of(one) for extra, listed in EXTRAS.items() if extra != "all" for one in listed}
    assert optional <= dev
    assert not optional.intersection(map(name_of, PROJECT["dependencies"]))


def test_the_checklist_names_files_that_exist():
    text = (ROOT / "RELEASING.md").read_text()
    steps = re.split(r"^\d+\. ", text, flags=re.M)[1:]
    assert all("```sh" in step for step in steps)
    named = re.findall(
        r"\b(?:tests|packaging)/[\w./-]*\w|\b(?:pyproject\.toml|CITATION\.cff|CHANGELOG\.md)", text
    )
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).exists()]
