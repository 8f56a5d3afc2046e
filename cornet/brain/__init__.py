"""Brain data, and comparison of models with them, in numpy and torch, on a CPU or a GPU.

from cornet import brain
bundle = brain.load_bundle("my-bundle")
score = brain.neural_predictivity(features, responses, metric="pls")

Names are imported on first use, so that `import cornet` stays fast.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "best_steps_by_bin": "metrics.temporal.rdms",
    "average_repetitions": "data.assembly",
    "best_pair_ceiling": "metrics.activity_maps",
    "Bundle": "data.bundle",
    "by_repetition": "data.assembly",
    "category_probabilities": "metrics.choices.class_choices",
    "Choices": "metrics.choices.class_choices",
    "choices_by_subject": "metrics.choices.consistency",
    "choose_layers": "subjects.layer_choice",
    "cka": "metrics.similarity",
    "compare_rdms": "metrics.similarity",
    "crossnobis": "metrics.rsa.crossnobis",
    "decode_over_time": "metrics.solution_times.spike_decoding",
    "error_consistency": "metrics.choices.consistency",
    "fetch": "data.public.fetching",
    "fixed_split_predictivity": "metrics.fixed_split",
    "GaborSubject": "subjects",
    "generalise": "generalisation",
    "held_out_probabilities": "metrics.choices.readout",
    "human_i1": "metrics.choices.behaviour",
    "HumanTrials": "data.trials",
    "i1": "metrics.choices.behaviour",
    "i1_ceiling": "metrics.choices.behaviour",
    "i1_score": "metrics.choices.behaviour",
    "i2n": "metrics.choices.behaviour",
    "i2n_ceiling": "metrics.choices.behaviour",
    "internal_consistency": "metrics.ceiling",
    "LayerSubject": "subjects",
    "load_assembly": "data.files.netcdf",
    "list_benchmarks": "benchmarks",
    "list_metrics": "metrics.neural.registry",
    "load_bundle": "data.bundle",
    "load_kar2019": "data.public.kar2019",
    "load_maps": "data.map_bundle",
    "load_stimuli": "data.files.stimulus_files",
    "map_ceiling": "metrics.activity_maps",
    "map_features": "metrics.activity_maps",
    "map_predictivity": "metrics.activity_maps",
    "mapped_choices": "metrics.choices.class_choices",
    "match_ceiling": "metrics.matching",
    "match_units": "metrics.matching",
    "NetworkSubject": "subjects",
    "noise_precision": "metrics.rsa.crossnobis",
    "neural_metric": "metrics.neural.registry",
    "neural_predictivity": "metrics.predictivity",
    "object_solution_times": "metrics.solution_times.solution_times",
    "open_benchmarks": "benchmarks",
    "open_subject": "subjects",
    "paired_difference": "metrics.difference",
    "PixelSubject": "subjects",
    "rdm": "metrics.similarity",
    "rdm_by_subject": "metrics.rsa.by_subject",
    "rdm_ceilings": "metrics.rsa.comparisons",
    "rdm_inference": "metrics.rsa.inference",
    "rdm_noise_ceiling": "metrics.similarity",
    "rdm_similarity": "metrics.similarity",
    "rdms_over_time": "metrics.temporal.rdms",
    "readout_choices": "metrics.choices.class_choices",
    "readout_probabilities": "metrics.choices.readout",
    "RecordedSubject": "subjects",
    "Recording": "subjects.subject",
    "Responses": "data.responses",
    "reverse_ceiling": "metrics.reverse",
    "reverse_predictivity": "metrics.reverse",
    "run_battery": "benchmarks",
    "Score": "score",
    "select": "data.selection",
    "SimulatedBrain": "simulated",
    "Site": "subjects.subject",
    "spantime_predictivity": "metrics.temporal.span",
    "Subject": "subjects.subject",
    "temporal_predictivity": "metrics.temporal.grid",
}
"""Public names, and the module of this package that defines each."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cornet.brain' has no attribute {name!r}")
    value = getattr(import_module(f"cornet.brain.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
