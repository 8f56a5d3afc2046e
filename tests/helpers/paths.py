"""Where the repository's parts are, for tests that start programs or read files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
GOLDEN = ROOT / "tests" / "golden"
BENCHMARKS = ROOT / "benchmarks"
