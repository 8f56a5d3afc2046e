"""Benchmarks of the user's own folders with a bundle."""

import difflib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cornet.brain.benchmarks.activity_maps import MAPS, MapsBenchmark
from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.behaviour import ConsistencyBenchmark, I2nBenchmark, human_choices
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.benchmarks.rdms import RdmBenchmark
from cornet.brain.data.bundle import load_bundle, without_stimuli
from cornet.brain.data.columns import categories
from cornet.brain.data.files.bundle_files import checked_folder
from cornet.brain.data.rdm_bundle import RDM_FILE, load_rdms
from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule
from cornet.brain.regions import REGIONS
from cornet.brain.subjects.step_times import DEFAULT_BIN
from cornet.errors import CornetError
from cornet.names import escaped

__all__ = ["local_benchmarks", "split_region"]


def split_region(text: str) -> tuple[Path, str]:
    """Split FOLDER:REGION into the resolved folder, which may be missing, and the region, "" if not given."""
    path, region = Path(text).expanduser(), ""
    if not path.exists() and ":" in text:
        head, _, region = text.rpartition(":")
        path = Path(head).expanduser()
    return Path(os.path.realpath(path)), region


def local_benchmarks(
    text: str,
    neural: dict[str, Any],
    time_bin: tuple[float, float] | None,
    known: list[str],
    asked: SplitOptions,
) -> list[Benchmark[Any]]:
    """The benchmarks of a bundle folder, or of one of its regions."""
    path, region = split_region(text)
    if not path.exists() and os.sep in text:
        raise CornetError(
            f"the folder {path} does not exist; give a folder with a bundle, or a benchmark (see `cornet benchmarks`)."
        )
    if not path.exists():
        folder, dot, region = text.rpartition(".")
        if dot and Path(folder).expanduser().is_dir():
            raise CornetError(
                f"{text!r} is not a folder; a region of a bundle is named as {folder}:{region}."
            )
        near = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `cornet benchmarks`."
        raise CornetError(f"{text!r} is neither a benchmark nor a folder with a bundle; {hint}")
    name = escaped(path.name)
    if (path / RDM_FILE).is_file():
        return _rdm_benchmarks(path, name, region, neural)
    bundle = load_bundle(checked_folder(path))
    coordinates = bundle.assembly.coords
    options = {"degrees": bundle.stimuli.degrees, "device": neural["device"]}
    if "sample_obj" in coordinates:
        trials = partial(human_choices, bundle)
        return [I2nBenchmark(f"{name}-i2n", "local choices between two objects", trials, **options)]
    if "truth" in coordinates and "subject" in coordinates:
        description = f"local answers of {len(np.unique(coordinates['subject'].values))} observers"
        return [ConsistencyBenchmark(f"{name}-error-consistency", description, lambda: bundle, **options)]
    if "region" not in coordinates:
        raise CornetError(
            f"{path} has no coordinate region for its neuroids, so the recorded region is unknown; add it."
        )
    regions = categories(np.atleast_1d(coordinates["region"].values), "region", f"the assembly of {path}")
    stated, selected = read_rule_file(path), _select_regions(region, sorted(set(regions.tolist())), path)
    if "map_by" in stated:
        ignore = tuple(stated.get("ignore", ()) if asked.ignore is None else asked.ignore)
        return [
            MapsBenchmark(
                f"{name}.{area}-{MAPS}",
                area,
                f"local {area}: maps of {int((regions == area).sum())} neuroids",
                lambda: bundle,
                map_by=stated["map_by"],
                published="map_published" in stated,
                ignore=ignore,
                keep_above=stated.get("keep_above", {}),
                degrees=bundle.stimuli.degrees,
                response_bin=time_bin,
                **neural,
            )
            for area in selected
        ]
    rule = split_rule(bundle, stated, asked)
    if rule.left_out:
        bundle = without_stimuli(bundle, rule.left_out)
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
        for area in selected
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
