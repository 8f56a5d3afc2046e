"""Benchmarks: named combinations of brain data and a comparison rule.

benchmarks = open_benchmarks(["majajhong2015", "my-bundle"])
for result in run_battery([open_subject("cornet_s")], benchmarks):
    print(result.subject, result.benchmark.name, result.score)
"""

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.battery import Result, run_battery
from cornet.brain.benchmarks.behaviour import ConsistencyBenchmark, HumanChoices, I2nBenchmark
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.benchmarks.rdms import RdmBenchmark
from cornet.brain.benchmarks.registry import GROUPS, list_benchmarks, open_benchmarks
from cornet.brain.benchmarks.solution_times import TimesBenchmark
from cornet.brain.benchmarks.transfer import TransferBenchmark

__all__ = [
    "GROUPS",
    "Benchmark",
    "ConsistencyBenchmark",
    "HumanChoices",
    "I2nBenchmark",
    "NeuralBenchmark",
    "RdmBenchmark",
    "Result",
    "TimesBenchmark",
    "TransferBenchmark",
    "list_benchmarks",
    "open_benchmarks",
    "run_battery",
]
