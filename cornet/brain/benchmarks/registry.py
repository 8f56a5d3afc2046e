"""Every benchmark by name, and any folder with a bundle as benchmarks of its own."""

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
from cornet.brain.benchmarks.neural import STEP_BIN, NeuralBenchmark
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
from cornet.brain.scales import check_scale
from cornet.brain.subjects.step_times import check_bin
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.names import escaped

__all__ = ["GROUPS", "list_benchmarks", "local_identity", "open_benchmarks"]

REGIONS = ("V1", "V2", "V4", "IT")
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
"""Names that stand for several benchmarks."""


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
    """Benchmarks by name ("majajhong2015.IT"), group ("simulated"), or bundle folder ("my-bundle" or "my-bundle:V4").

    metric, scale, area: of neural benchmarks: the mapping; the scale (None: r^2/c, raw without a ceiling); the
    subject's region or layer (None: the same name). decoder, seeds: of solution times. time_bin: (start, end) in ms
    after onset, of local bundles' responses and the step compared with them; None: the only bin, and 70 to 170 for the
    step. device: of comparisons. groups, stratify: split columns of local bundles; "none": not so; None: see
    `cornet.brain.data.split_rule`. ignore: presentation coordinates of local bundles that may differ within a stimulus.

    Raises CornetError for unknown names, with the nearest, and for two folders with one name.
    """
    if metric not in METRICS:
        raise CornetError(f"metric={metric!r} is unknown; choose one of {', '.join(METRICS)}.")
    check_scale(scale or NEURAL_SCALE)
    own_bin = None if time_bin is None else check_bin(time_bin)
    neural = {"metric": metric, "scale": scale or NEURAL_SCALE, "area": area, "device": device}
    known = _known(neural, {"decoder": decoder, "seeds": seeds, "device": device}, {"device": device})
    found: dict[str, Benchmark[Any]] = {}
    places: dict[str, str] = {}
    asked = SplitOptions(groups, stratify, None if ignore is None else tuple(ignore))
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise CornetError(
            f"the benchmarks {list(texts)} must be names or folders, and not empty, such as majajhong2015.IT; see "
            "`cornet benchmarks`."
        )
    for text in texts:
        for name in GROUPS.get(text, (text,)):
            made = [known[name]()] if name in known else _local(name, neural, own_bin, list(known), asked)
            place = "" if name in known else str(_place(name)[0])
            for one in made:
                if places.setdefault(one.name, place) != place:
                    raise CornetError(
                        f"{places[one.name]} and {place} would both be called {one.name}; rename one of the folders."
                    )
                found[one.name] = one
    if asked != SplitOptions() and found.keys() <= known.keys():
        raise CornetError(
            "groups, stratify and ignore are for folders with a bundle, and the benchmarks "
            f"{', '.join(found)} have rules of their own; leave them out."
        )
    return list(found.values())


def list_benchmarks() -> list[Benchmark[Any]]:
    """All benchmarks that have a name; their data are not read."""
    return [make() for make in _known({}, {}, {}).values()]


def _known(
    neural: dict[str, Any], times: dict[str, Any], others: dict[str, Any]
) -> dict[str, Callable[[], Benchmark[Any]]]:
    """What makes each benchmark, by its name."""
    public: dict[str, Callable[[], Benchmark[Any]]] = {}
    objects = "objects before natural scenes", "object_name", (70, 170), 8.0
    textures = "textures and noise", "texture_type", (50, 200), 4.0
    for data, region, units, (shown, stratify, own_bin, degrees) in (
        ("majajhong2015", "V4", 88, objects),
        ("majajhong2015", "IT", 168, objects),
        ("freemanziemba2013", "V1", 102, textures),
        ("freemanziemba2013", "V2", 103, textures),
    ):
        name, what = f"{data}.{region}", f"macaque {region}: {units} neuroids, {shown}"
        options = {"stratify": stratify, "response_bin": own_bin, "degrees": degrees, **neural}
        public[name] = partial(NeuralBenchmark, name, region, what, partial(_public_bundle, data), **options)
    for region in REGIONS:
        name = f"simulated.{region}"
        options = {
            "stratify": "category_name",
            "response_bin": (70, 170),
            "degrees": 8.0,
            "simulated": True,
            **neural,
        }
        what = f"simulated {region}: 60 neuroids, rendered objects"
        public[name] = partial(
            NeuralBenchmark, name, region, what, partial(_simulated_bundle, region), **options
        )
    human, made = "people choosing between two of 24 objects", "simulated choices between two of 8 categories"
    for word, held_out in (("", False), ("-heldout", True)):
        options = {"held_out": held_out, **others}
        name, load_human = f"rajalingham2018-i2n{word}", _public_trials
        public[name] = partial(I2nBenchmark, name, human, load_human, **options)
        name = f"simulated-i2n{word}"
        public[name] = partial(I2nBenchmark, name, made, _simulated_trials, simulated=True, **options)
    what = "macaque IT: when each of 1,318 images is solved"
    public["kar2019-ost"] = partial(TimesBenchmark, "kar2019-ost", what, load_kar2019, **times)
    public["simulated-ost"] = partial(_simulated_times, times)
    what = "people naming edge drawings and silhouettes of 16 categories"
    public[GEIRHOS] = partial(ConsistencyBenchmark, GEIRHOS, what, _geirhos, degrees=None, **others)
    return public


def _public_bundle(name: str) -> Bundle:
    return load_bundle(require(name))


def _public_trials() -> HumanChoices:
    return _choices_of(_public_bundle("rajalingham2018"))


def _simulated_bundle(region: str) -> Bundle:
    from cornet.brain import simulated

    return simulated.bundle(region)


def _simulated_trials() -> HumanChoices:
    from cornet.brain import simulated

    return HumanChoices(simulated.stimuli(), HumanTrials(simulated.trials()))


def _simulated_times(times: dict[str, Any]) -> TimesBenchmark:
    """The published ceiling belongs to monkeys: simulated times are shown as they are."""

    def load() -> SolutionTimeData:
        from cornet.brain import simulated

        times = simulated.solution_times()
        return SolutionTimeData(times.stimuli, times.labels, times.threshold_i1, times.target_ost)

    what = "simulated IT: when each of 640 images is solved"
    return TimesBenchmark("simulated-ost", what, load, simulated=True, ceiling=1.0, **times)


def _geirhos() -> Bundle:
    folder = cache_folder() / "data" / "geirhos2019-shape-behavior"
    if not folder.is_dir():
        raise CornetError(
            f"{GEIRHOS} needs a bundle with the observers' answers at {folder}; put it there, or name its folder "
            "instead."
        )
    return load_bundle(folder)


def local_identity(text: str) -> str | None:
    """A bundle by its name, the content of its files and the region asked for; None for what is not a bundle."""
    path, region = _place(text)
    if text in GROUPS or not path.is_dir():
        return None
    try:
        brain = path / RDM_FILE if (path / RDM_FILE).is_file() else assembly_path(path)
        stated = [path / RULE_FILE] if (path / RULE_FILE).is_file() else []  # how it must be split
        digest = hashlib.sha256(
            "".join(map(file_hash, (table_path(path), images_path(path), brain, *stated))).encode()
        )
    except (OSError, CornetError):  # told of when it is opened
        return None
    return f"{escaped(path.name)}-{digest.hexdigest()[:16]}{region and f':{region}'}"


def _place(text: str) -> tuple[Path, str]:
    """The folder that a text names, without links, and the region after it; the folder need not be there."""
    path, region = Path(text).expanduser(), ""
    if not path.exists() and ":" in text:
        head, _, region = text.rpartition(":")
        path = Path(head).expanduser()
    return Path(os.path.realpath(path)), region


def _local(
    text: str,
    neural: dict[str, Any],
    time_bin: tuple[float, float] | None,
    known: list[str],
    asked: SplitOptions,
) -> list[Benchmark[Any]]:
    """The benchmarks of a folder, or of one region in it."""
    path, region = _place(text)
    if not path.exists():
        near = difflib.get_close_matches(text, [*known, *GROUPS], n=3, cutoff=0.4)
        told = f"did you mean {', '.join(near)}?" if near else "see `cornet benchmarks`."
        raise CornetError(f"{text!r} is neither a benchmark nor a folder with a bundle; {told}")
    name = escaped(path.name)
    if (path / RDM_FILE).is_file():
        return _of_rdms(path, name, region, neural)
    bundle = load_bundle(checked_folder(path))
    coordinates = bundle.assembly.coords
    others = {"degrees": bundle.stimuli.degrees, "device": neural["device"]}
    if "sample_obj" in coordinates:
        trials = partial(_choices_of, bundle)
        return [I2nBenchmark(f"{name}-i2n", "local choices between two objects", trials, **others)]
    if "truth" in coordinates and "subject" in coordinates:
        what = f"local answers of {len(np.unique(coordinates['subject'].values))} observers"
        return [ConsistencyBenchmark(f"{name}-error-consistency", what, lambda: bundle, **others)]
    if "region" not in coordinates:
        raise CornetError(
            f"{path} does not say which region was recorded; give its neuroids a coordinate region."
        )
    regions = categories(np.atleast_1d(coordinates["region"].values), "region", f"the assembly of {path}")
    rule = split_rule(bundle, read_rule_file(path), asked)
    return [
        NeuralBenchmark(
            f"{name}.{one}",
            one,
            f"local {one}: {int((regions == one).sum())} neuroids",
            lambda: bundle,
            degrees=bundle.stimuli.degrees,
            response_bin=time_bin,
            step_bin=time_bin or STEP_BIN,
            rule=rule,
            **neural,
        )
        for one in _chosen(region, sorted(set(regions.tolist())), path)
    ]


def _of_rdms(path: Path, name: str, region: str, neural: dict[str, Any]) -> list[Benchmark[Any]]:
    """A benchmark for each region of which the folder has dissimilarities."""
    bundle = load_rdms(path, REGIONS)
    options = {"degrees": bundle.stimuli.degrees, "area": neural["area"], "device": neural["device"]}
    return [
        RdmBenchmark(
            f"{name}.{one}-rdm",
            one,
            f"local {one}: dissimilarities of {len(bundle.stimulus_ids)} stimuli, {len(bundle.rdms[one])} subjects",
            lambda: bundle,
            **options,
        )
        for one in _chosen(region, list(bundle.rdms), path)
    ]


def _chosen(region: str, there: Sequence[str], path: Path) -> Sequence[str]:
    """The region that was asked for, or all. Raises CornetError for one that is not there."""
    if region and region not in there:
        raise CornetError(f"{path} has no region {region!r}, but {', '.join(there)}; name one of these.")
    return [region] if region else there


def _choices_of(bundle: Bundle) -> HumanChoices:
    return HumanChoices(bundle.stimuli, trials_of(bundle.assembly))
