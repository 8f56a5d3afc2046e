"""The source itself: nothing in it could run what a file holds, or unpack an archive wherever it wants."""

import ast
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

SOURCES = [
    ROOT / "train.py",
    *sorted((ROOT / "cornet").rglob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]

UNPICKLES = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "cPickle.load", "dill.load", "dill.loads"),
    *("cloudpickle.load", "cloudpickle.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open"),
    *(
        "pandas.read_pickle",
        "pd.read_pickle",
        "numpy.fromregex",
        "torch.hub.load",
        "torch.jit.load",
        "torch.package",
    ),
}
LOADS_YAML = {"yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.unsafe_load_all"}
RUNS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "builtins.eval", "builtins.exec"}
UNPACKS = {"shutil.unpack_archive", "tarfile.open", "tarfile.TarFile"}
ALLOWED = {
    ("cornet/instantiate.py", "instantiate"),  # of configurations that are trusted
}
PACKED_BY_US = {"benchmarks/loader_throughput.py", "benchmarks/decode_photographs.py"}
"""Programs that unpack a zip file which their user names; `ZipFile.extractall` keeps to the folder."""


def dotted(node: ast.AST) -> str:
    """The name of what is called, as far as it is written out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def full_names(tree: ast.AST) -> dict[str, str]:
    """What imported names stand for: np -> numpy, loads -> pickle.loads."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names if alias.asname
            }
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def faults(source: str, path: str) -> list[str]:
    tree = ast.parse(source)
    names, found = full_names(tree), []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        said = dotted(node.func)
        first, _, rest = said.partition(".")
        name = names.get(first, first) + (f".{rest}" if rest else "")
        given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
        wrong = (
            name in UNPICKLES | LOADS_YAML | RUNS | UNPACKS
            or (name == "torch.load" and given.get("weights_only") is not True)
            or (name == "numpy.load" and given.get("allow_pickle") is not False)
            or given.get("allow_pickle") is True
            or given.get("weights_only") is False
            or ("shell" in {word.arg for word in node.keywords} and given.get("shell") is not False)
            or (said.endswith((".extractall", ".extract")) and path not in PACKED_BY_US)
            or (name == "hydra.utils.instantiate" and (path, "instantiate") not in ALLOWED)
            or name in ("hydra.utils.call", "hydra.utils.get_method", "hydra.utils.get_class")
        )
        if wrong:
            found.append(f"{path}:{node.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_source_runs_nothing_that_it_reads(path: Path) -> None:
    assert faults(path.read_text(), str(path.relative_to(ROOT))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(x)",
        "from torch import load; load(x, weights_only=False)",
        "import torch; torch.load(x, weights_only=safe)",
        "import numpy as np; np.load(x)",
        "import numpy; numpy.load(x, allow_pickle=True)",
        "import xarray; xarray.anything(x, allow_pickle=True)",
        "import pickle as p; p.loads(x)",
        "from pickle import load as read; read(x)",
        "import yaml; yaml.load(x, Loader=yaml.SafeLoader)",
        "eval(x)",
        "exec(x)",
        "import subprocess; subprocess.run(x, shell=True)",
        "import subprocess; subprocess.run(x, shell=wanted)",
        "import tarfile; tarfile.open(x)",
        "archive.extractall(x)",
        "import pandas as pd; pd.read_pickle(x)",
        "from hydra.utils import instantiate; instantiate(x)",
        "import joblib; joblib.load(x)",
    ],
)
def test_each_of_these_is_found(line: str) -> None:
    assert faults(line, "cornet/x.py")


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(x, weights_only=True)",
        "import numpy as np; np.load(x, allow_pickle=False)",
        "net.eval()",
        "import re; re.compile(x)",
        "import torch; torch.compile(x)",
        "import subprocess; subprocess.run([x])",
        "import json; json.loads(x)",
    ],
)
def test_none_of_these_is(line: str) -> None:
    assert not faults(line, "cornet/x.py")
