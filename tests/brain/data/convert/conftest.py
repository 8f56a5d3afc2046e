"""Converted made-up recordings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cornet import brain
from cornet.brain.data.convert.base import Options, find_converter
from cornet.brain.data.convert.writer import Conversion, convert
from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule

MEMORY = 2**26


@pytest.fixture
def converted(tmp_path) -> Callable[..., tuple[brain.Bundle, np.ndarray, Conversion]]:
    """Converts a folder and loads the bundle, whose rule must be valid: (bundle, values, conversion)."""

    def call(name: str, path: Path, memory: int = MEMORY, **options):
        target = tmp_path / "bundles" / name
        result = convert(find_converter(name), Options(path, **options), target, memory)
        assert not target.with_name(f"{name}.part").exists()
        bundle = brain.load_bundle(target)
        split_rule(bundle, read_rule_file(target), SplitOptions())
        return bundle, bundle.assembly.values, result

    return call
