"""Brain data and comparisons with them: numpy and torch, on a CPU or a GPU.

from cornet import brain
bundle = brain.load_bundle("my-bundle")
score = brain.neural_predictivity(features, responses, metric="pls")

Each name is loaded with its first use, so that `import cornet` stays quick.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "average_repetitions": "assembly",
    "Bundle": "bundle",
    "by_repetition": "assembly",
    "category_probabilities": "choices",
    "Choices": "choices",
    "choices_by_subject": "consistency",
    "choose_layers": "layer_choice",
    "cka": "similarity",
    "compare_rdms": "similarity",
    "decode_over_time": "spike_decoding",
    "error_consistency": "consistency",
    "fetch": "fetching",
    "GaborSubject": "subjects",
    "held_out_probabilities": "readout",
    "human_i1": "behaviour",
    "HumanTrials": "trials",
    "i1": "behaviour",
    "i1_ceiling": "behaviour",
    "i1_score": "behaviour",
    "i2n": "behaviour",
    "i2n_ceiling": "behaviour",
    "internal_consistency": "ceiling",
    "LayerSubject": "subjects",
    "load_assembly": "netcdf",
    "list_benchmarks": "benchmarks",
    "load_bundle": "bundle",
    "load_kar2019": "kar2019",
    "load_stimuli": "stimulus_files",
    "mapped_choices": "choices",
    "NetworkSubject": "subjects",
    "neural_predictivity": "predictivity",
    "object_solution_times": "solution_times",
    "open_benchmarks": "benchmarks",
    "open_subject": "subjects",
    "paired_difference": "difference",
    "PixelSubject": "subjects",
    "rdm": "similarity",
    "rdm_noise_ceiling": "similarity",
    "rdm_similarity": "similarity",
    "readout_choices": "choices",
    "readout_probabilities": "readout",
    "RecordedSubject": "subjects",
    "Recording": "subject",
    "Responses": "responses",
    "run_battery": "benchmarks",
    "Score": "score",
    "select": "selection",
    "SimulatedBrain": "simulated",
    "Site": "subject",
    "Subject": "subject",
}
"""Public names, each with the module of this package that it lives in."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cornet.brain' has no attribute {name!r}")
    value = getattr(import_module(f"cornet.brain.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
