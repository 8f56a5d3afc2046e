"""New subjects: people whose dissimilarities were not used to choose a layer."""

import numpy as np

from cornet.brain.benchmarks.base import rows_of
from cornet.brain.benchmarks.rdms import RdmBenchmark
from cornet.brain.generalisation.neural_case import candidate_sites
from cornet.brain.generalisation.rows import Row, over_people, row
from cornet.brain.metrics.similarity import compare_rdms, rdm
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError

__all__ = ["last_steps", "rdm_subjects"]


def rdm_subjects(benchmark: RdmBenchmark, subject: Subject, recording: Recording) -> Row:
    """Choose the layer on the dissimilarities of all subjects but one, and compare it with this one.

    Each subject is left out once. The raw value is the mean over subjects of Spearman's correlation with the layer that
    correlates best with the others on average. reference: the layer that is best for the subject itself, so the drop is
    at least 0. The ceiling is the lower bound of Nili et al. (2014), which leaves out a subject in the same way. The
    interval is over subjects.

    Raises CornetError for one subject, and for a model with one layer.
    """
    brains = benchmark.data.rdms[benchmark.region]
    sites = last_steps(subject)
    if len(brains) < 2:
        raise CornetError(f"{benchmark.name} has one subject, so none can be left out; use data by subject.")
    if len(sites) < 2:
        raise CornetError(
            "the model has one layer, so no choice is made on subjects; use a model with several."
        )
    ids = benchmark.data.stimulus_ids
    matrices = [
        rdm(rows_of(recording, site, benchmark.stimuli, ids), device=benchmark.device) for site in sites
    ]
    r = np.array([[compare_rdms(matrix, brain) for brain in brains] for matrix in matrices])
    if not np.isfinite(r).all(axis=1).any():
        raise CornetError(
            f"no layer of {subject.name} correlates with {benchmark.name}; its features do not vary."
        )
    r = np.where(np.isfinite(r), r, -np.inf)
    chosen, best = [], []
    for left in range(len(brains)):
        others = np.delete(r, left, axis=1).mean(axis=1)
        chosen.append(int(others.argmax()))
        best.append(int(r[:, left].argmax()))
    lower, upper = benchmark.bounds
    notes = (f"noise ceiling {lower:.3f} to {upper:.3f}",)
    who = np.arange(len(brains))
    across, within = (over_people(r[places, who], lower, "raw", len(ids), notes) for places in (chosen, best))
    return row(
        subject.name,
        benchmark.name,
        "new subjects",
        across,
        site=" ".join(sorted({str(sites[k]) for k in chosen})),
        fitted=f"layer chosen on {len(brains) - 1} subjects",
        tested="the subject left out",
        against="best layer of the subject itself",
        reference=within,
    )


def last_steps(subject: Subject) -> list[Site]:
    """Each candidate layer at its last step, as imaging does not resolve steps."""
    last: dict[str, Site] = {}
    for site in candidate_sites(subject):
        if site.layer not in last or site.step > last[site.layer].step:
            last[site.layer] = site
    return list(last.values())
