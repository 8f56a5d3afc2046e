"""Copied code: all families work from it, it imports little, and its imports are relative."""

import ast
import sys

import pytest

from cornet.errors import CornetError
from cornet.export.formats.brainscore import registry_and
from cornet.export.formats.brainscore.code import code_of, made_relative
from cornet.models import list_models
from tests.helpers.export.brainscore_plugin import write_plugin

IN_THE_REFERENCE = {"numpy", "scipy", "torch", "PIL"}
"""What brainscore-vision installs, of what networks may use."""


@pytest.mark.parametrize("model", list_models())
def test_the_code_of_a_family_imports_only_what_the_reference_has(model):
    for name, source in code_of(registry_and({model})).items():
        tree = ast.parse(made_relative(name, source))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            tops = {one.partition(".")[0] for one in names}
            assert tops <= {*sys.stdlib_module_names, *IN_THE_REFERENCE}, name
        absolute = [
            node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level
        ]
        assert not [module for module in absolute if (module or "").startswith("cornet")]


VARIANTS = {
    "b": "width=0.1&size=32",
    "blt": "width=0.1&size=32&times=3",
    "cornet_r": "width=0.1&size=32",
    "cornet_rt": "width=0.1&size=32&times=6",
    "cornet_s": "width=0.1&size=32&gate=soft&areas=5",
    "hcnn": "size=32",
    "hmax": "size=64&per_size=3",
}


@pytest.mark.parametrize(("model", "options"), VARIANTS.items())
def test_every_family_works_from_its_copied_code(model, options, tmp_path):
    """`write` compares the plugin with the network bit for bit, and raises where they differ."""
    (source,) = write_plugin(tmp_path / "plugin", [f"{model}?untrained&num_classes=4&{options}"])
    assert source.made_with["name"] == model


def test_the_gabor_v1_with_noise_works_too(tmp_path):
    text = "cornet_z?untrained&width=0.1&num_classes=4&size=32&v1=gabor"
    write_plugin(tmp_path / "plugin", [text])


def test_two_families_share_one_copy(tmp_path):
    texts = [f"{model}?untrained&num_classes=4&{VARIANTS[model]}" for model in ("b", "hcnn")]
    write_plugin(tmp_path / "plugin", texts)
    code = tmp_path / "plugin" / "cornet_code" / "models"
    assert (code / "blt.py").is_file()
    assert (code / "hcnn" / "network.py").is_file()
    assert not (code / "hmax").exists()


def test_imports_become_relative():
    source = (
        "from cornet.models.base import (\n    Network,\n)\nfrom cornet import errors\nimport torch\n"
        "def f():\n    from cornet.models import create_model as c  # why\n"
    )
    wanted = (
        "from ..base import (\n    Network,\n)\nfrom ... import errors\nimport torch\n"
        "def f():\n    from ...models import create_model as c  # why\n"
    ).replace("from ..base", "from ...models.base")
    assert made_relative(
        "cornet.models.blt", source.replace("from cornet ", "from cornet ")
    ) == wanted.replace("...", "..")
    assert made_relative("cornet.models.cornet.network", source) == wanted
    assert made_relative("cornet.models.cornet", source) == wanted  # a package: its own __init__.py


def test_an_import_without_a_relative_form_is_refused():
    with pytest.raises(ValueError, match=r"line 2 of cornet\.files imports cornet by name"):
        made_relative("cornet.files", "import os\nimport cornet.errors\n")


def test_code_outside_cornet_is_refused():
    with pytest.raises(
        CornetError, match=r"defined in my_networks\.mine, but --to brainscore copies the code of cornet"
    ):
        code_of(["my_networks.mine"])
