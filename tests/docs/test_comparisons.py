"""The code blocks of docs/comparisons.md run, one after another, on made-up arrays."""

import re

import numpy as np

from tests.helpers.paths import ROOT


def test_all_blocks_run():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((90, 30))
    repetitions = features @ rng.standard_normal((30, 12)) + 2 * rng.standard_normal((4, 90, 12))
    names = {
        "features": features,
        "other": rng.standard_normal((90, 30)),
        "later": rng.standard_normal((90, 30)),
        "repetitions": repetitions,
        "responses": repetitions.mean(axis=0),
        "subjects": np.repeat(["a", "b"], 6),
        "reliability": np.linspace(0.2, 0.9, 12),
        "responses_by_bin": repetitions.mean(axis=0) + rng.standard_normal((8, 90, 12)),
        "bins": [(start, start + 20) for start in range(-60, 100, 20)],
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "comparisons.md").read_text(), re.S)
    assert len(blocks) == 6
    for block in blocks:
        exec(block, names)
    assert names["score"].raw > 0.3
    assert names["matched"].raw < names["matched"].details["in_sample"].mean()
