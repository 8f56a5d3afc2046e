"""Load an exported plugin in the reference program, without network, and write what it records and scores.

This file runs in an environment with brainscore-vision and without cornet; `brainscore_plugin.py` starts it:

    ENVIRONMENT/bin/python brainscore_reference.py PLUGIN IMAGES BUNDLE WORK

The reference package is copied to WORK without its models, the plugin is put in their place, and sockets are refused.
Written to WORK: layers-<identifier>.npz (every layer), bins-<identifier>.npz (every region and time bin), found.json.
"""

import json
import os
import shutil
import socket
import sys
import time
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

BINS = [(start, start + 20) for start in range(50, 310, 20)]
"""Time bins that are recorded, in ms after stimulus onset."""


def refuse(*_arguments, **_options):
    raise OSError("this check has no network")


def prepare(plugin: Path, work: Path) -> None:
    """Make the reference's package importable from WORK, with this plugin as its only model."""
    os.environ |= {
        "HOME": str(work / "home"),
        "BRAINSCORE_HOME": str(work / "home"),
        "BS_INSTALL_DEPENDENCIES": "no",
        "RESULTCACHING_DISABLE": "1",
    }
    socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
    installed = Path(find_spec("brainscore_vision").origin).parent
    skip = shutil.ignore_patterns("models", "__pycache__")
    shutil.copytree(installed, work / "brainscore_vision", ignore=skip, dirs_exist_ok=True)
    models = work / "brainscore_vision" / "models"
    models.mkdir(exist_ok=True)
    if (installed / "models" / "__init__.py").exists():
        shutil.copy(installed / "models" / "__init__.py", models)
    shutil.copytree(plugin, models / plugin.name, dirs_exist_ok=True)
    sys.path.insert(0, str(work))


def record(model, paths: list[str], work: Path, identifier: str) -> None:
    layers = {}
    for layer in model.layers:
        layers[layer] = model.activations_model(paths, layers=[layer]).values
    layers["logits"] = model.activations_model(paths, layers=["logits"]).values
    np.savez(work / f"layers-{identifier}.npz", **layers)
    bins = {}
    for region in model.layer_model.region_layer_map:
        model.start_recording(region, BINS)
        responses = model.look_at(paths).transpose("presentation", "neuroid", "time_bin")
        assert list(responses["time_bin_start"].values) == [start for start, _ in BINS]
        assert set(responses["region"].values) == {region}
        bins[region] = responses.values
        model.start_recording(region, [(70, 170)])
        one = model.look_at(paths)
        assert one.dims == ("presentation", "neuroid")
        bins[f"{region} 70-170"] = one.values
    np.savez(work / f"bins-{identifier}.npz", **bins)


def benchmarks(bundle: Path, work: Path) -> dict:
    """{region: the reference's benchmark of a bundle}, as MajajHong2015 is made, with PLS."""
    import xarray as xr
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    from brainscore_vision import load_ceiling, load_metric
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark, average_repetition

    (work / "stimuli").mkdir()
    with zipfile.ZipFile(bundle / "stimuli.zip") as archive:
        for name in archive.namelist():
            (work / "stimuli" / Path(name).name).write_bytes(archive.read(name))
    stimuli = StimulusSet.from_files(bundle / "stimulus_set.csv", work / "stimuli")
    stimuli.identifier = "bundle"
    data = xr.open_dataarray(bundle / "assembly.nc").load()
    found = {}
    for region in dict.fromkeys(data["region"].values.tolist()):
        chosen = data[{"neuroid": np.flatnonzero(data["region"].values == region)}]
        coords = {name: (one.dims, one.values) for name, one in chosen.coords.items()}
        repeated = NeuroidAssembly(chosen.values, coords=coords, dims=chosen.dims)
        start, end = (float(repeated[f"time_bin_{side}"].values[0]) for side in ("start", "end"))
        repeated = repeated.squeeze("time_bin")
        repeated.attrs["stimulus_set"] = stimuli
        averaged = average_repetition(repeated)
        averaged.attrs["stimulus_set"] = stimuli
        ceiler = load_ceiling("internal_consistency")
        benchmark = NeuralBenchmark(
            identifier=f"bundle.{region}-pls",
            version=1,
            assembly=averaged,
            similarity_metric=load_metric(
                "pls", crossvalidation_kwargs={"stratification_coord": "object_name"}
            ),
            visual_degrees=8,
            number_of_trials=1,
            ceiling_func=lambda repeated=repeated, ceiler=ceiler: ceiler(repeated),
            parent=region,
        )
        benchmark.timebins = [(start, end)]
        found[region] = benchmark
    return found


def choices(model, every: dict) -> float:
    """The share of the bundle's stimuli whose category is the most probable one, by the reference's own read-out."""
    from brainscore_vision.model_interface import BrainModel

    shown = next(iter(every.values()))._assembly.stimulus_set
    labelled = type(shown)(shown.assign(image_label=shown["object_name"]))
    labelled.stimulus_paths, labelled.identifier = shown.stimulus_paths, shown.identifier
    model.start_task(BrainModel.Task.probabilities, fitting_stimuli=labelled)
    found = model.look_at(labelled)
    best = found["choice"].values[found.transpose("presentation", "choice").values.argmax(1)]
    return float((best == labelled["object_name"].values).mean())


def run_tests(plugin: Path) -> str:
    """Run the plugin's own test.py, as the reference's servers do; what came of it."""
    if find_spec("pytest") is None:
        return "pytest is not installed"
    import pytest

    return pytest.main(["-q", "-p", "no:cacheprovider", str(plugin / "test.py")]).name


def main(plugin: Path, images: Path, bundle: Path, work: Path) -> None:
    prepare(plugin, work)
    began = time.perf_counter()
    import brainscore_vision
    from brainscore_core.metadata import load, vocabulary_warnings

    assert Path(brainscore_vision.__file__).is_relative_to(work)
    assert find_spec("cornet") is None
    document = load((plugin / "metadata.yaml").read_text(), "vision")
    identifiers = list(json.loads((plugin / "networks.json").read_text()))
    assert list(document["models"]) == identifiers
    paths = [str(path) for path in sorted(images.iterdir())]
    every = benchmarks(bundle, work)
    found = {"scores": {}, "choices": {}, "seconds": {"imports": time.perf_counter() - began}}
    for identifier in identifiers:
        began = time.perf_counter()
        model = brainscore_vision.load_model(identifier)
        assert model.identifier == identifier
        mapped = model.load_region_layer_map_json(identifier)
        assert mapped == dict(model.layer_model.region_layer_map)
        found["seconds"][identifier] = time.perf_counter() - began
        record(model, paths, work, identifier)
        found["scores"][identifier] = {}
        for region, benchmark in every.items():
            score = benchmark(model)
            raw, ceiling = score.attrs["raw"], score.attrs["ceiling"]
            values = {"value": score, "raw": raw, "ceiling": ceiling}
            found["scores"][identifier][region] = {key: float(one) for key, one in values.items()}
        found["choices"][identifier] = choices(model, every)
    found["plugin_tests"] = run_tests(work / "brainscore_vision" / "models" / plugin.name)
    found["metadata_warnings"] = vocabulary_warnings(document)
    names = ("brainscore-vision", "brainscore-core", "torch", "numpy", "scikit-learn", "pillow")
    found["versions"] = {name: version(name) for name in names}
    (work / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*(Path(word).resolve() for word in sys.argv[1:5]))
