"""Metamers of every area and step of a trained network: how many pass, and which other networks recognise them.

    python benchmarks/metamers.py --run runs/s/seed0 --judges runs/s/seed1 runs/z/seed0

Runs of `train.py model=cornet_s_narrow recipe.epochs=6 brain=none` or alike. Writes results/metamers.json.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from record import write_record

from cornet.brain import open_subject
from cornet.runs.images import classes_of_model, run_of_model, source_of_run
from cornet.synthesis.images import open_images, open_source
from cornet.synthesis.metameric.null import pairs_of_source, pairs_of_training
from cornet.synthesis.metameric.results import Study
from cornet.synthesis.metameric.stages import choose_stages
from cornet.synthesis.metameric.study import default_schedule, make_metamers

RESULTS = Path(__file__).parent / "results" / "metamers.json"


def rows_of(study: Study) -> list[dict[str, object]]:
    """A row for each stage."""
    rows = []
    for one in study.results:
        said = [
            item for item in study.judgements if (item.generator, item.stage) == (one.generator, one.stage)
        ]
        rows.append(
            {
                "model": one.generator,
                "stage": str(one.stage),
                "units": one.found.units,
                "losses": [round(float(loss), 4) for loss in np.median(one.losses, axis=1)],
                "spearman": round(float(np.median(one.found.spearman)), 3),
                "pearson": round(float(np.median(one.found.pearson)), 3),
                "snr_db": round(float(np.median(one.found.snr)), 2)
                if np.isfinite(np.median(one.found.snr))
                else None,
                "null": {name: round(value, 3) for name, value in one.thresholds.items()},
                "closer": int(one.closer.sum()),
                "kept": None if one.kept is None else int(one.kept.sum()),
                "passed": int(one.passed.sum()),
                "images": len(one.passed),
                "pixel_r": round(float(np.median(one.pixel_r)), 3),
                "seconds": round(one.seconds, 1),
                "right": {
                    item.judge: [round(item.right.value, 3), round(item.right.error, 3)] for item in said
                },
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--judges", nargs="*", default=[])
    parser.add_argument("--images", default="objects:16")
    parser.add_argument("--area", nargs="*", default=["input", "all", "logits"])
    parser.add_argument("--null", type=int, default=500)
    parser.add_argument(
        "--state", type=Path, default=None, help="Folder from which a stopped program continues."
    )
    parser.add_argument("--beside", default="unknown", help="What else ran on the machine.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    generator, judges = open_subject(given.run), [open_subject(name) for name in given.judges]
    size = generator.size  # type: ignore[attr-defined]
    run = run_of_model(given.run)
    source = None if run is None else source_of_run(run)
    pairs = (
        pairs_of_source(open_source("objects:400", size), given.null, size)
        if source is None
        else pairs_of_training(source, given.run, given.null, size)
    )
    study = make_metamers(
        [generator],
        {generator.name: choose_stages(generator, given.area)},
        open_images([given.images], size),
        pairs,
        judges=judges,
        classes={name: classes_of_model(name) for name in (given.run, *given.judges)},
        schedule=default_schedule(size),
        folder=given.state,
    )
    rows = rows_of(study)
    for row in rows:
        print(row["stage"], f"passed {row['passed']}/{row['images']}", row["right"], f"{row['seconds']} s")
    unchanged = {one.judge: one.right.value for one in study.judgements if one.stage is None}
    write_record(
        given.out, torch.device("cpu"), given.beside, unchanged=unchanged, null_pairs=len(pairs), stages=rows
    )


if __name__ == "__main__":
    main()
