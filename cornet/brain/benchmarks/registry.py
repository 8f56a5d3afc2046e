"""Open benchmarks by name or from a folder with a bundle."""

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.behaviour import ConsistencyBenchmark, HumanChoices, I2nBenchmark, trials_of
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.benchmarks.rdms import RdmBenchmark
from cornet.brain.benchmarks.solution_times import TimesBenchmark
from cornet.brain.cache import file_hash
from cornet.brain.data.bundle import Bundle, load_bundle
from cornet.brain.data.bundle_files import assembly_path, checked_folder, images_path, table_path
from cornet.brain.data.columns import categories
from cornet.brain.data.public.fetching import require
from cornet.brain.data.public.kar2019 import SolutionTimeData, load_kar2019
from cornet.brain.data.rdm_bundle import RDM_FILE, load_rdms
from cornet.brain.data.split_rule import RULE_FILE, SplitOptions, read_rule_file, split_rule
from cornet.brain.data.trials import HumanTrials
from cornet.brain.metrics.predictivity import METRICS
from cornet.brain.regions import REGIONS
from cornet.brain.scales import check_scale
from cornet.brain.subjects.step_times import DEFAULT_BIN, check_bin
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError, check_choice
from cornet.files import cache_folder
from cornet.names import escaped

__all__ = ["GROUPS", "list_benchmarks", "local_identity", "open_benchmarks"]

NEURAL_SCALE = "r^2/c"
GEIRHOS = "geirhos-error-consistency"

GROUPS = {
    "public": (
        "freemanziemba2013.V1",
        "freemanziemba2013.V2",
        "majajhong2015.V4",
        "majajhong2015.IT",
        "rajalingham2018-i2n",
        "kar2019-ost",
    ),
    "majajhong2015": ("majajhong2015.V4", "majajhong2015.IT"),
    "freemanziemba2013": ("freemanziemba2013.V1", "freemanziemba2013.V2"),
    "simulated": (*(f"simulated.{region}" for region in REGIONS), "simulated-i2n", "simulated-ost"),
}
"""Benchmarks of each group."""


def open_benchmarks(
    texts: Sequence[str],
    *,
    metric: str = "pls",
    scale: str | None = None,
    area: str | Site | None = None,
    decoder: str = "reference",
    seeds: Sequence[int] = (),
    time_bin: Sequence[float] | None = None,
    groups: str | None = None,
    stratify: str | None = None,
    ignore: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> list[Benchmark[Any]]:
    """Open benchmarks by name ("majajhong2015.IT"), group ("simulated") or folder ("my-bundle" or "my-bundle:V4").

    metric, scale, area: for neural benchmarks: the mapping; the scale (None: r^2/c, or raw without a ceiling); the
    subject's region or layer (None: the region of the same name). decoder, seeds: for solution times. time_bin: for
    local bundles, (start, end) in ms after onset, of the responses and of the step compared; None: the only bin of the
    responses, and 70 to 170 for the step. device: device of the comparison. groups, stratify: split columns of local
    bundles; "none": do not use; None: see `cornet.brain.data.split_rule`. ignore: presentation coordinates of local
    bundles that may differ between presentations of a stimulus.

    Raises CornetError for unknown names, suggesting similar ones, and for two folders of the same name.
    """
    check_choice("metric", metric, METRICS)
    check_scale(scale or NEURAL_SCALE)
    local_bin = None if time_bin is None else check_bin(time_bin)
    neural = {"metric": metric, "scale": scale or NEURAL_SCALE, "area": area, "device": device}
    factories = _factories(neural, {"decoder": decoder, "seeds": seeds, "device": device}, {"device": device})
    opened: dict[str, Benchmark[Any]] = {}
    folders: dict[str, str] = {}
    asked = SplitOptions(groups, stratify, None if ignore is None else tuple(ignore))
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise CornetError(
            f"the benchmarks {list(texts)} must be names or folders, and not empty, such as majajhong2015.IT; see "
            "`cornet benchmarks`."
        )
    for text in texts:
        for name in GROUPS.get(text, (text,)):
            if name in factories:
                folder, benchmarks = "", [factories[name]()]
            else:
                folder = str(_split_region(name)[0])
                benchmarks = _local_benchmarks(name, neural, local_bin, list(factories), asked)
            for benchmark in benchmarks:
                if folders.setdefault(benchmark.name, folder) != folder:
                    raise CornetError(
                        f"{folders[benchmark.name]} and {folder} both define the benchmark {benchmark.name}; rename "
                        "one of the folders."
                    )
                opened[benchmark.name] = benchmark
    if asked != SplitOptions() and opened.keys() <= factories.keys():
        raise CornetError(
            "groups, stratify and ignore only apply to folders with a bundle, but the split rules of "
            f"{', '.join(opened)} are fixed; leave these options out."
        )
    return list(opened.values())


def list_benchmarks() -> list[Benchmark[Any]]:
    """All named benchmarks, without loading their data."""
    return [make() for make in _factories({}, {}, {}).values()]


def _factories(
    neural: dict[str, Any], times: dict[str, Any], behaviour: dict[str, Any]
) -> dict[str, Callable[[], Benchmark[Any]]]:
    """Constructors of benchmarks by name, given the options of neural, solution-time and behavioural benchmarks."""
    factories: dict[str, Callable[[], Benchmark[Any]]] = {}
    objects = "objects before natural scenes", "object_name", (70, 170), 8.0
    textures = "textures and noise", "texture_type", (50, 200), 4.0
    for data, region, units, (images, stratify, response_bin, degrees) in (
        ("majajhong2015", "V4", 88, objects),
        ("majajhong2015", "IT", 168, objects),
        ("freemanziemba2013", "V1", 102, textures),
        ("freemanziemba2013", "V2", 103, textures),
    ):
        name, about = f"{data}.{region}", f"macaque {region}: {units} neuroids, {images}"
        options = {"stratify": stratify, "response_bin": response_bin, "degrees": degrees, **neural}
        factories[name] = partial(
            NeuralBenchmark, name, region, about, partial(_public_bundle, data), **options
        )
    for region in REGIONS:
        name = f"simulated.{region}"
        options = {
            "stratify": "category_name",
            "response_bin": (70, 170),
            "degrees": 8.0,
            "simulated": True,
            **neural,
        }
        about = f"simulated {region}: 60 neuroids, rendered objects"
        factories[name] = partial(
            NeuralBenchmark, name, region, about, partial(_simulated_bundle, region), **options
        )
    human = "people choosing between two of 24 objects"
    simulated = "simulated choices between two of 8 categories"
    for suffix, held_out in (("", False), ("-heldout", True)):
        options = {"held_out": held_out, **behaviour}
        name = f"rajalingham2018-i2n{suffix}"
        factories[name] = partial(I2nBenchmark, name, human, _public_trials, **options)
        name = f"simulated-i2n{suffix}"
        factories[name] = partial(I2nBenchmark, name, simulated, _simulated_trials, simulated=True, **options)
    about = "macaque IT: when each of 1,318 images is solved"
    factories["kar2019-ost"] = partial(TimesBenchmark, "kar2019-ost", about, load_kar2019, **times)
    factories["simulated-ost"] = partial(_simulated_times, times)
    about = "people naming edge drawings and silhouettes of 16 categories"
    factories[GEIRHOS] = partial(ConsistencyBenchmark, GEIRHOS, about, _geirhos, degrees=None, **behaviour)
    return factories


def _public_bundle(name: str) -> Bundle:
    return load_bundle(require(name))


def _public_trials() -> HumanChoices:
    return _human_choices(_public_bundle("rajalingham2018"))


def _simulated_bundle(region: str) -> Bundle:
    from cornet.brain import simulated

    return simulated.bundle(region)


def _simulated_trials() -> HumanChoices:
    from cornet.brain import simulated

    return HumanChoices(simulated.stimuli(), HumanTrials(simulated.trials()))


def _simulated_times(times: dict[str, Any]) -> TimesBenchmark:
    """Solution times of the simulated IT, with ceiling 1, as the published ceiling is that of monkeys."""

    def load() -> SolutionTimeData:
        from cornet.brain import simulated

        times = simulated.solution_times()
        return SolutionTimeData(times.stimuli, times.labels, times.threshold_i1, times.target_ost)

    description = "simulated IT: when each of 640 images is solved"
    return TimesBenchmark("simulated-ost", description, load, simulated=True, ceiling=1.0, **times)


def _geirhos() -> Bundle:
    folder = cache_folder() / "data" / "geirhos2019-shape-behavior"
    if not folder.is_dir():
        raise CornetError(
            f"{GEIRHOS} needs a bundle with the observers' answers at {folder}; put it there, or name its folder "
            "instead."
        )
    return load_bundle(folder)


def local_identity(text: str) -> str | None:
    """Folder name, hash of the files and region of a local bundle; None if `text` does not name a bundle."""
    path, region = _split_region(text)
    if text in GROUPS or not path.is_dir():
        return None
    try:
        brain = path / RDM_FILE if (path / RDM_FILE).is_file() else assembly_path(path)
        stated = [path / RULE_FILE] if (path / RULE_FILE).is_file() else []  # its split rule
        digest = hashlib.sha256(
            "".join(map(file_hash, (table_path(path), images_path(path), brain, *stated))).encode()
        )
    except (OSError, CornetError):  # `open_benchmarks` reports it
        return None
    return f"{escaped(path.name)}-{digest.hexdigest()[:16]}{region and f':{region}'}"


def _split_region(text: str) -> tuple[Path, str]:
    """Split FOLDER:REGION into the resolved folder, which may be missing, and the region, "" if not given."""
    path, region = Path(text).expanduser(), ""
    if not path.exists() and ":" in text:
        head, _, region = text.rpartition(":")
        path = Path(head).expanduser()
    return Path(os.path.realpath(path)), region


def _local_benchmarks(
    text: str,
    neural: dict[str, Any],
    time_bin: tuple[float, float] | None,
    known: list[str],
    asked: SplitOptions,
) -> list[Benchmark[Any]]:
    """The benchmarks of a bundle folder, or of one of its regions."""
    path, region = _split_region(text)
    if not path.exists() and os.sep in text:
        raise CornetError(
            f"the folder {path} does not exist; give a folder with a bundle, or a benchmark (see `cornet benchmarks`)."
        )
    if not path.exists():
        near = difflib.get_close_matches(text, [*known, *GROUPS], n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `cornet benchmarks`."
        raise CornetError(f"{text!r} is neither a benchmark nor a folder with a bundle; {hint}")
    name = escaped(path.name)
    if (path / RDM_FILE).is_file():
        return _rdm_benchmarks(path, name, region, neural)
    bundle = load_bundle(checked_folder(path))
    coordinates = bundle.assembly.coords
    options = {"degrees": bundle.stimuli.degrees, "device": neural["device"]}
    if "sample_obj" in coordinates:
        trials = partial(_human_choices, bundle)
        return [I2nBenchmark(f"{name}-i2n", "local choices between two objects", trials, **options)]
    if "truth" in coordinates and "subject" in coordinates:
        description = f"local answers of {len(np.unique(coordinates['subject'].values))} observers"
        return [ConsistencyBenchmark(f"{name}-error-consistency", description, lambda: bundle, **options)]
    if "region" not in coordinates:
        raise CornetError(
            f"{path} has no coordinate region for its neuroids, so the recorded region is unknown; add it."
        )
    regions = categories(np.atleast_1d(coordinates["region"].values), "region", f"the assembly of {path}")
    rule = split_rule(bundle, read_rule_file(path), asked)
    return [
        NeuralBenchmark(
            f"{name}.{area}",
            area,
            f"local {area}: {int((regions == area).sum())} neuroids",
            lambda: bundle,
            degrees=bundle.stimuli.degrees,
            response_bin=time_bin,
            step_bin=time_bin or DEFAULT_BIN,
            rule=rule,
            **neural,
        )
        for area in _select_regions(region, sorted(set(regions.tolist())), path)
    ]


def _rdm_benchmarks(path: Path, name: str, region: str, neural: dict[str, Any]) -> list[Benchmark[Any]]:
    """A benchmark for each region, or the selected one, of a folder with dissimilarities."""
    bundle = load_rdms(path, REGIONS)
    options = {"degrees": bundle.stimuli.degrees, "area": neural["area"], "device": neural["device"]}
    return [
        RdmBenchmark(
            f"{name}.{area}-rdm",
            area,
            f"local {area}: dissimilarities of {len(bundle.stimulus_ids)} stimuli, {len(bundle.rdms[area])} subjects",
            lambda: bundle,
            **options,
        )
        for area in _select_regions(region, list(bundle.rdms), path)
    ]


def _select_regions(region: str, known: Sequence[str], path: Path) -> Sequence[str]:
    """The region, or all known regions for "". Raises CornetError for an unknown region."""
    if region and region not in known:
        raise CornetError(f"{path} has no region {region!r}, but {', '.join(known)}; choose one of these.")
    return [region] if region else known


def _human_choices(bundle: Bundle) -> HumanChoices:
    return HumanChoices(bundle.stimuli, trials_of(bundle.assembly))
