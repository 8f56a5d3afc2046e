"""Do synthesised images drive the simulated V1 and V2 beyond natural images, and do controls fail?

    python benchmarks/drive.py --model runs/objects-cornet_s/seed0

Twenty sites of V1 from the network's V1, and of V2 from its V2: true response over the best of 640 natural images, and
of 4,096, with the known optimum, noise, shuffled responses and the untrained network; and one-hot for ten sites of V1.
Methods are compared on other sites (--tune): the weight of the total variation, shifts, step lengths, and the
factorised mapping. Writes results/drive.json, and the images and pages into --work.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import write_record

from cornet.brain.neuron.target import open_target
from cornet.brain.subjects import open_subject
from cornet.report.drive.report import condition_rows, findings, write_study
from cornet.synthesis.driven.choice import settings_of, site_of
from cornet.synthesis.driven.control import Settings
from cornet.synthesis.driven.image_folder import ImageFolder
from cornet.synthesis.driven.lab_table import write_images
from cornet.synthesis.driven.study import controlled, read_out, run_study, side_of
from cornet.synthesis.driven.truth import known_truth

RESULTS = Path(__file__).parent / "results"
SITES, TUNED = np.arange(20), np.arange(20, 40)


def seconds() -> dict[str, float]:
    return {"wall": time.perf_counter(), "processor": time.process_time()}


def since(start: dict[str, float]) -> dict[str, float]:
    return {name: round(value - start[name], 1) for name, value in seconds().items()}


def case(
    model: str,
    region: str,
    settings: Settings,
    columns: np.ndarray,
    work: Path,
    name: str,
    natural: int | None = None,
    controls: bool = False,
    mapping: str = "ridge",
) -> dict[str, Any]:
    """One study: what it found, and how long it took. The folder's name is that of the case."""
    target = open_target(f"simulated.{region}")
    subject: Any = open_subject(model)
    truth = known_truth(target, natural)
    start = seconds()
    own = read_out(subject, site_of(subject, target, []), target, columns, mapping)
    fitting = since(start)
    side, degrees = side_of(target, subject, truth, False)
    data = settings_of(own, target, columns, settings, mapping, side, False)
    store = ImageFolder(work / name, target.neuroids, columns, data)
    start = seconds()
    study = run_study(own, target, columns, settings, side, degrees, False, truth, store)
    took = since(start)
    write_images(study, store)
    if controls:
        study = controlled(study, subject, mapping, open_subject(f"{model}?untrained"))
    write_study(study, work / name)
    known = [row for row in condition_rows(study) if row["main"] or controls]
    found = {
        "region": region,
        "mapping": mapping,
        "settings": settings.as_dict(),
        "sites": len(columns),
        "held_out_r": float(np.median(own.fitted.r)),
        "held_out_r_true": float(np.median(study.r_true)) if study.r_true is not None else None,
        "predicted_over_natural": float(np.median(study.predicted / truth.shown[:, columns].max(axis=0))),
        "variation": float(study.images.variation.mean()),
        "fit_seconds": fitting,
        "synthesis_seconds": took,
        "images_made": study.images.made,
        "conditions": known,
    }
    if truth.more.size:
        best = [truth.natural[:, columns].max(axis=0), truth.shown[:, columns].max(axis=0)]
        found["best_of_more_over_best"] = float(np.median(best[0] / best[1]))
    print(f"{name}: {' '.join(findings(study))} {took}", flush=True)
    for row in known:
        print(
            f"  {row['name']}: {row['median']:.2f}, beyond {row['beyond']:.2f} ({row['beyond_more']:.2f})",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="a run trained on the rendered objects")
    parser.add_argument("--work", type=Path, default=Path("drive"))
    parser.add_argument("--tune", action="store_true", help="compare methods on other sites")
    parser.add_argument(
        "--beside", default="nothing else", help="what else runs on the machine, for the record"
    )
    given = parser.parse_args()
    cases: dict[str, Any] = {}
    path = RESULTS / "drive.json"
    if given.tune:
        path = RESULTS / "drive_tuned.json"
        for region in ("V1", "V2"):
            for weight in (50.0, 100.0, 200.0, 400.0):
                name = f"tune_{region}_{weight:g}"
                cases[name] = case(
                    given.model, region, Settings(variation=weight, starts=2), TUNED, given.work, name
                )
            name = f"tune_{region}_factorised"
            options = Settings(starts=2)
            cases[name] = case(given.model, region, options, TUNED, given.work, name, mapping="factorised")
    else:
        for region in ("V1", "V2"):
            cases[region] = case(given.model, region, Settings(), SITES, given.work, region, 4096, True)
        name = "one_hot_V1"
        cases[name] = case(given.model, "V1", Settings("log_one_hot"), SITES[:10], given.work, name)
    write_record(
        path,
        torch.device("cpu"),
        given.beside,
        cores=os.cpu_count(),
        cases=cases,
    )


if __name__ == "__main__":
    main()
