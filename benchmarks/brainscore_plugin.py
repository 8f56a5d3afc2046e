"""Compare an exported Brain-Score plugin, loaded by the reference program, with the networks that it was made of.

    uv venv --python 3.11 bs
    uv pip install --python bs/bin/python brainscore-vision==2.4.2 'boto3>=1.34' 'numpy<2' pytest
    python benchmarks/brainscore_plugin.py --python bs/bin/python runs/my-s/seed0 runs/my-rt/seed0 runs/my-z/seed0

Networks are exported into one plugin. A process of the other environment loads each (brainscore_reference.py: no
cornet, no network, a fresh home), records every layer for image files of several sizes and formats, records every
region in time bins from 50 to 310 ms, scores V1, V2, V4 and IT of a small bundle of the simulated brain with PLS, and
runs the plugin's own tests.
Reported: the largest difference of a layer relative to its largest value, of the time bins, and of the scores.
The results go to results/brainscore_plugin.json.
"""

import argparse
import io
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from brainscore_reference import BINS
from numpy.typing import NDArray
from PIL import Image
from record import write_record

import cornet
from cornet.brain.simulated.brain import SimulatedBrain
from cornet.brain.subjects import open_subject
from cornet.brain.subjects.subject import Site
from cornet.export.formats import find_format
from cornet.export.source import open_sources
from cornet.export.write import write_export
from cornet.hashing import digest
from cornet.stimuli.decode import decode_image
from cornet.stimuli.stimulus_set import StimulusSet

KEPT = ("versions", "seconds", "metadata_warnings", "plugin_tests", "choices")
"""Parts of the reference's answer that are recorded."""

HERE = Path(__file__).parent
OUT = HERE / "results" / "brainscore_plugin.json"


def write_images(folder: Path) -> list[Path]:
    """Smooth colour images: squares and others, PNG (RGB, grey, with alpha, with a palette) and JPEG."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shapes = [(64, 64), (224, 224), (97, 131), (300, 200), (40, 50), (131, 97)]
    kinds = [("RGB", "png"), ("L", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "png"), ("RGB", "jpg")]
    paths = []
    for number, (shape, (mode, suffix)) in enumerate(zip(shapes, kinds, strict=True)):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 4 if mode == "RGBA" else 3), dtype=np.uint8))
        image = coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
        paths.append(folder / f"image{number}.{suffix}")
        image.convert(mode).save(paths[-1])
    return paths


def write_bundle(folder: Path, images: int = 192, size: int = 96) -> Path:
    """A bundle of the simulated brain's four regions: images of `size` pixels, ten repetitions, 70 to 170 ms."""
    folder.mkdir(parents=True)
    bundle = SimulatedBrain(images=images, size=size).bundle()
    data = bundle.assembly
    data = data.assign_coords(object_name=("presentation", data["category_name"].values))
    data.drop_vars("category_name").to_netcdf(folder / "assembly.nc", engine="h5netcdf")
    table = bundle.stimuli.table
    names = [f"{one}.png" for one in bundle.stimuli.ids]
    kept = {"stimulus_id": bundle.stimuli.ids, "filename": names, "object_name": table["category_name"]}
    table.assign(**kept)[list(kept)].to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for name, picture in zip(names, bundle.stimuli.pictures, strict=True):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            archive.writestr(name, file.getvalue())
    return folder


def run_reference(python: str, plugin: Path, images: Path, bundle: Path, work: Path) -> dict[str, Any]:
    """Run brainscore_reference.py in the other environment."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "OMP_NUM_THREADS") if key in os.environ}
    program = [python, "-W", "ignore", str(HERE / "brainscore_reference.py")]
    command = [*program, *map(str, (plugin, images, bundle, work))]
    done = subprocess.run(
        command,
        cwd=work,
        env={**kept, "HOME": str(work / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the reference failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    return dict(json.loads((work / "found.json").read_text()))


class ImageFiles:
    """Pictures of image files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.identity = digest([path.read_bytes().hex() for path in self.paths])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return decode_image(self.paths[index].read_bytes())


def compare(text: str, identifier: str, plugin: Path, paths: Sequence[Path], bundle: Path, work: Path) -> Any:
    """The differences of one network between the reference and cornet."""
    subject = open_subject(text)
    entry = json.loads((plugin / "networks.json").read_text())[identifier]
    layers = {layer: Site(*site) for layer, site in entry["layers"].items()}
    layers["readout"] = subject.readout_site()
    layers["logits"] = Site("logits")
    table = pd.DataFrame({"stimulus_id": [path.name for path in paths]})
    shown = StimulusSet("files", table, ImageFiles(paths), degrees=subject.degrees)
    recorded = subject.record(shown, list(layers.values()), cache=False)
    theirs = np.load(work / f"layers-{identifier}.npz", allow_pickle=False)
    assert set(theirs.files) == set(layers)
    relative = {
        layer: float(np.abs(theirs[layer] - recorded[site]).max() / np.abs(recorded[site]).max())
        for layer, site in layers.items()
    }
    bins = np.load(work / f"bins-{identifier}.npz", allow_pickle=False)
    over_time = []
    for region in entry_regions(plugin, identifier):
        for number, time_bin in enumerate(BINS):
            own = recorded[subject.site(region, time_bin)]
            over_time.append(float(np.abs(bins[region][..., number] - own).max() / np.abs(own).max()))
        own = recorded[subject.site(region)]
        over_time.append(float(np.abs(bins[f"{region} 70-170"] - own).max() / np.abs(own).max()))
    table = cornet.score(text, on=[str(bundle)], metric="pls", device="cpu", progress=False)
    scores = {
        row["region"]: {key: row[key] for key in ("value", "raw", "ceiling")} for _, row in table.iterrows()
    }
    return {"layers": relative, "bins": max(over_time), "bins_compared": len(over_time), "scores": scores}


def entry_regions(plugin: Path, identifier: str) -> list[str]:
    return list(json.loads((plugin / "region_layer_map" / f"{identifier}.json").read_text()))


def check(python: str, models: Sequence[str], work: Path) -> dict[str, Any]:
    """Export the models, run the reference, and return all differences."""
    sources = open_sources(models)
    write_export(find_format("brainscore"), sources, work / "checked_plugin", "checked")
    paths = write_images(work / "images")
    bundle = write_bundle(work / "bundle")
    (work / "home").mkdir()
    found = run_reference(python, work / "checked_plugin", work / "images", bundle, work)
    results = {}
    for text, identifier in zip(models, found["scores"], strict=True):
        result = compare(text, identifier, work / "checked_plugin", paths, bundle, work)
        result["reference"] = found["scores"][identifier]
        result["score_difference"] = max(
            abs(result["scores"][region][key] - value)
            for region, values in result["reference"].items()
            for key, value in values.items()
        )
        results[text] = result
    return {"networks": results, **{key: found[key] for key in KEPT}}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--python", required=True, help="interpreter of an environment with brainscore-vision"
    )
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("models", nargs="+", help="runs, or networks as in `cornet score`")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        found = check(str(Path(chosen.python).absolute()), chosen.models, Path(folder))
    for text, result in found["networks"].items():
        worst = max(result["layers"], key=result["layers"].get)
        print(f"{text}: {len(result['layers'])} layers, largest relative difference", end=" ")
        print(f"{result['layers'][worst]:.1e} ({worst});")
        print(f"  {result['bins_compared']} recordings of time bins {result['bins']:.1e};", end=" ")
        print(f"scores of {', '.join(result['scores'])} within {result['score_difference']:.1e}")
    print(f"the plugin's own tests: {found['plugin_tests']}")
    print(f"metadata.yaml is valid; warnings: {found['metadata_warnings'] or 'none'}")
    write_record(chosen.out, torch.device("cpu"), chosen.beside, **found)


if __name__ == "__main__":
    main()
