"""Open benchmarks by name or from a folder with a bundle."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cornet.brain.benchmark_names import GROUPS
from cornet.brain.benchmarks.activity_maps import MAPS, MapsBenchmark
from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.behaviour import ConsistencyBenchmark, HumanChoices, I2nBenchmark, human_choices
from cornet.brain.benchmarks.cowley2026 import NAME as COWLEY
from cornet.brain.benchmarks.cowley2026 import CowleyBenchmark
from cornet.brain.benchmarks.local_bundles import local_benchmarks, split_region
from cornet.brain.benchmarks.metric_names import by_metric, split_suffix, with_suffix
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.benchmarks.solution_times import TimesBenchmark
from cornet.brain.benchmarks.transfer import PREFIX, TransferBenchmark, transfer_identity
from cornet.brain.cache import file_hash
from cornet.brain.data.bundle import Bundle, load_bundle
from cornet.brain.data.files.bundle_files import assembly_path, images_path, table_path
from cornet.brain.data.map_bundle import MAP_BY
from cornet.brain.data.public.fetching import require
from cornet.brain.data.public.kar2019 import SolutionTimeData, load_kar2019
from cornet.brain.data.rdm_bundle import RDM_FILE
from cornet.brain.data.split_rule import RULE_FILE, SplitOptions
from cornet.brain.data.trials import HumanTrials
from cornet.brain.metrics.neural.registry import metric_names
from cornet.brain.regions import REGIONS
from cornet.brain.scales import check_scale
from cornet.brain.subjects.step_times import check_bin
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.names import escaped

__all__ = ["GROUPS", "list_benchmarks", "local_identity", "open_benchmarks"]

NEURAL_SCALE = "r^2/c"
GEIRHOS = "geirhos-error-consistency"


def open_benchmarks(
    texts: Sequence[str],
    *,
    metric: str | Sequence[str] = "pls",
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

    "transfer:FOLDER" is the accuracy on labelled images, see `cornet.brain.benchmarks.transfer.TransferBenchmark`.
    "cowley2026.V4-pls:FOLDER" takes its sessions from a folder, see `cornet.brain.benchmarks.cowley2026`.

    metric, scale, area: for neural benchmarks: the metric, or several, also as "pls,cka"; the scale (None: r^2/c, or
    raw without a ceiling); the subject's region or layer (None: the region of the same name). decoder, seeds: for
    solution times. time_bin: for local bundles, (start, end) in ms after onset, of the responses and of the step
    compared; None: the only bin of the responses, and 70 to 170 for the step. device: device of the comparison. groups,
    stratify: split columns of local bundles; "none": do not use; None: see `cornet.brain.data.split_rule`. ignore:
    presentation coordinates of local bundles that may differ between presentations of a stimulus.

    There is one benchmark for each metric. Names end in the metric for similarities ("my-bundle.V4-cka"), and, among
    several mappings, for all but pls. With this suffix, a name ("majajhong2015.IT-cka", "my-bundle:V4-cka") gives that
    metric alone.

    Raises CornetError for unknown names and metrics, suggesting similar ones, and for two folders of the same name.
    """
    metrics = metric_names(metric)
    check_scale(scale or NEURAL_SCALE)
    local_bin = None if time_bin is None else check_bin(time_bin)
    neural = {"scale": scale or NEURAL_SCALE, "area": area, "device": device}
    factories = _factories(neural, {"decoder": decoder, "seeds": seeds, "device": device}, {"device": device})
    opened: dict[str, Benchmark[Any]] = {}
    folders: dict[str, str] = {}
    asked = SplitOptions(groups, stratify, None if ignore is None else tuple(ignore))
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise CornetError(
            f"the benchmarks {list(texts)} must be names or folders, and not empty, such as majajhong2015.IT; see "
            "`cornet benchmarks`."
        )
    local = False
    for text in texts:
        found: list[Benchmark[Any]] = []
        if text.startswith(PREFIX):
            accuracy = TransferBenchmark(text.removeprefix(PREFIX), device=device)
            opened[accuracy.name] = accuracy
            continue
        if text.startswith(f"{COWLEY}:"):
            opened[COWLEY] = CowleyBenchmark(text.partition(":")[2], device=device)
            continue
        plain, only = _without_suffix(text, factories)
        for name in GROUPS.get(plain, (plain,)):
            if name in factories:
                folder, benchmarks = "", [factories[name]()]
            else:
                folder, local = str(split_region(name)[0]), True
                benchmarks = local_benchmarks(name, neural, local_bin, [*factories, *GROUPS], asked)
            for one in benchmarks:
                found += with_suffix(one, only) if only else by_metric(one, metrics)
        if not found:
            raise CornetError(
                f"{text!r} has no responses of neuroids, which the metric {only} compares; leave out -{only}."
            )
        for benchmark in found:
            if folders.setdefault(benchmark.name, folder) != folder:
                raise CornetError(
                    f"{folders[benchmark.name]} and {folder} both define the benchmark {benchmark.name}; rename one of "
                    "the folders."
                )
            opened[benchmark.name] = benchmark
    if asked != SplitOptions() and not local:
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
    for region in ("V1", "V2"):
        name = f"simulated.{region}-{MAPS}"
        about = f"simulated {region}: maps of 60 neuroids, 14 rendered objects at 8 x 8 positions"
        options = {"map_by": MAP_BY, "degrees": 8.0, "simulated": True, "response_bin": (70, 170), **neural}
        factories[name] = partial(
            MapsBenchmark, name, region, about, partial(_simulated_maps, region), **options
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
    factories[COWLEY] = partial(CowleyBenchmark, device=neural.get("device", "cpu"))
    factories[GEIRHOS] = partial(ConsistencyBenchmark, GEIRHOS, about, _geirhos, degrees=None, **behaviour)
    return factories


def _public_bundle(name: str) -> Bundle:
    return load_bundle(require(name))


def _public_trials() -> HumanChoices:
    return human_choices(_public_bundle("rajalingham2018"))


def _simulated_bundle(region: str) -> Bundle:
    from cornet.brain import simulated

    return simulated.bundle(region)


def _simulated_maps(region: str) -> Bundle:
    from cornet.brain import simulated
    from cornet.brain.simulated.maps import map_bundle

    return map_bundle(region, brain=simulated.brain())


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


def _without_suffix(text: str, factories: Mapping[str, Any]) -> tuple[str, str]:
    """Split a text with the suffix of a metric, if only the rest is a benchmark, a group or a folder; else (text, "").

    A folder may be followed by a region, as in my-bundle:V4-cka.
    """

    def exists(name: str) -> bool:
        return name in factories or name in GROUPS or split_region(name)[0].exists()

    plain, metric = split_suffix(text)
    known = exists(plain) and text not in factories and not Path(text).expanduser().exists()
    return (plain, metric) if known else (text, "")


def local_identity(text: str) -> str | None:
    """Folder name, hash of the files and region of a local bundle; None if `text` does not name a bundle."""
    if text.startswith(PREFIX):
        return transfer_identity(text.removeprefix(PREFIX))
    path, region = split_region(text)
    suffix = ""
    if not path.is_dir():  # my-bundle-cka
        plain, metric = split_suffix(text)
        (path, region), suffix = split_region(plain), f"-{metric}"
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
    return f"{escaped(path.name)}-{digest.hexdigest()[:16]}{region and f':{region}'}{suffix}"
