"""Which neural benchmarks of brainscore_vision 2.4.2 can be run, from which file, with which metric.

The identifiers are those registered there: all neural benchmarks, and a few that are often taken for one. Other
benchmarks of behaviour and accuracy are not listed.
"""

from dataclasses import dataclass
from itertools import product

from cornet.brain.regions import REGIONS

__all__ = ["COVERAGE", "Covered", "coverage"]

ANSWERS = {
    "yes": "the same protocol and values",
    "own file": "the same protocol, with your own copy of the data, which Brain-Score does not publish",
    "differs": "the data can be compared, but not by the same protocol",
    "no": "cannot be run",
}
"""What the column `runs` means."""


@dataclass(frozen=True)
class Covered:
    """Registered benchmarks that are run in the same way.

    identifiers: as registered. runs: a key of ANSWERS. file: where the data come from. metric: of `cornet score`.
    about: what differs, or the command.
    """

    identifiers: tuple[str, ...]
    runs: str
    file: str
    metric: str
    about: str = ""


def family(
    pattern: str, regions: tuple[str, ...] = REGIONS, ends: tuple[str, ...] = ("",)
) -> tuple[str, ...]:
    """Identifiers with a region and an ending, such as Papale2025.V1-ridge."""
    return tuple(f"{pattern}.{region}{end}" for region, end in product(regions, ends))


LAB = "assembly and images as the reference stores them, in a folder"

COVERAGE = (
    Covered(
        family("MajajHong2015public", ("V4", "IT"), ("-pls",)),
        "yes",
        "cornet fetch majajhong2015",
        "pls",
        "--on majajhong2015.V4 majajhong2015.IT",
    ),
    Covered(
        family("MajajHong2015public", ("V4", "IT"), ("-reverse_pls",)),
        "yes",
        "cornet fetch majajhong2015",
        "reverse_pls",
        "--on majajhong2015.IT-reverse_pls",
    ),
    Covered(
        family("MajajHong2015public", ("V4", "IT"), ("-temporal-pls",)),
        "differs",
        "the temporal assembly of the reference, as a bundle",
        "pls",
        "arrays: brain.spantime_predictivity, one mapping for all bins; bundles over time are fitted bin by bin",
    ),
    Covered(
        family("FreemanZiemba2013public", ("V1", "V2"), ("-pls",)),
        "yes",
        "cornet fetch freemanziemba2013",
        "pls",
        "--on freemanziemba2013.V1 freemanziemba2013.V2",
    ),
    Covered(
        ("Kar2019-ost",),
        "yes",
        "by hand, see cornet fetch kar2019",
        "solution times",
        "--on kar2019-ost",
    ),
    Covered(
        ("Cowley2026.V4-pls",),
        "yes",
        "bundles of the four sessions",
        "pls",
        "--on cowley2026.V4-pls:FOLDER; ceilings as published, since the public files are averaged",
    ),
    Covered(
        family("Papale2025", ("V1", "V4", "IT"), ("-ridgecv", "-ridge")),
        "yes",
        "cornet convert tvsd",
        "ridgecv, ridge",
    ),
    Covered(
        family("Hebart2023_fmri", ends=("-ridgecv", "-ridge")),
        "yes",
        "cornet convert things-fmri",
        "ridgecv, ridge",
    ),
    Covered(
        (
            *family("Allen2022_fmri", ends=("-ridge", "-rdm")),
            *family("Allen2022_fmri_4subj", ends=("-ridge", "-rdm")),
        ),
        "differs",
        "cornet convert nsd",
        "ridge, rdm",
        "its split is not published: 412 and 103 images for eight subjects, 800 and 200 for four; if you have it, "
        "replace fixed_by in bundle.json by train and test",
    ),
    Covered(
        (
            *family("Allen2022_fmri_surface", ends=("-ridge", "-rdm")),
            *family("Allen2022_fmri_surface_4subj", ends=("-ridge", "-rdm")),
        ),
        "no",
        "NSD on the cortical surface",
        "ridge, rdm",
        "only volumes are converted",
    ),
    Covered(
        family("Li2026", ends=("-ridgecv", "-pls")),
        "yes",
        "cornet convert triple-n",
        "ridgecv, pls",
        "splits equal the reference's if the presentations are in the order of its file",
    ),
    Covered(
        family("Li2026", ends=("-rdm",)),
        "differs",
        "cornet convert triple-n",
        "rdm",
        'with "subject_by": "subject" in bundle.json; the ceiling over subjects is that of brain.rdm_by_subject',
    ),
    Covered(
        (
            *family("Zerbe2026_fmri", ends=("-tau-ridgecv", "-ood-ridgecv")),
            *family("Zerbe2026_fmri_persubject", ends=("-tau-ridgecv", "-ood-ridgecv")),
        ),
        "own file",
        LAB,
        "ridgecv_powers",
        'with "ceiling_by", a coordinate with sqrt(nc / 100); tau and ood in one row with "fixed_by"',
    ),
    Covered(
        family("Zerbe2026_fmri", ends=("-rdm-pearson", "-cka")),
        "differs",
        LAB,
        "rdm, cka",
        "other ceilings: from voxels, and from pairs of subjects",
    ),
    Covered(
        ("Gifford2022.IT-ridgecv", "Gifford2022.IT-ridge"),
        "own file",
        LAB,
        "ridgecv_reduced, ridge",
        "with the time bins as neuroids, as the reference folds them",
    ),
    Covered(
        family("MajajHong2015", ("V4", "IT"), ("-pls",)),
        "own file",
        "private images of MajajHong2015",
        "pls",
        "any bundle in the same layout: --on FOLDER",
    ),
    Covered(
        family("FreemanZiemba2013", ("V1", "V2"), ("-pls",)),
        "own file",
        "private images of FreemanZiemba2013",
        "pls",
        "--on FOLDER --stratify texture_type",
    ),
    Covered(
        (
            *family("Sanghavi2020", ("V4", "IT"), ("-pls",)),
            *family("SanghaviJozwik2020", ("V4", "IT"), ("-pls",)),
            *family("SanghaviMurty2020", ("V4", "IT"), ("-pls",)),
            "Rajalingham2020.IT-pls",
        ),
        "own file",
        LAB,
        "pls",
        "--on FOLDER",
    ),
    Covered(("Cadena2017-pls",), "own file", LAB, "pls", "--on FOLDER --stratify none"),
    Covered(("Igustibagus2024-ridge",), "own file", LAB, "ridge", "--on FOLDER"),
    Covered(("Cadena2017-mask",), "no", LAB, "mask regression", "this metric is not offered"),
    Covered(
        ("Bracci2019.anteriorVTC-rdm",),
        "differs",
        "dissimilarities as rdms.npz, in a folder",
        "rdm",
        "names of regions must be V1, V2, V4 or IT",
    ),
    Covered(
        tuple(f"tong.Coggan2024_fMRI.{region}-rdm" for region in REGIONS),
        "differs",
        "dissimilarities as rdms.npz, in a folder",
        "rdm",
        "the reference compares occluded and whole objects by a rule of its own",
    ),
    Covered(("Hebart2023-match",), "no", "odd one out of three", "", "choices between three are not offered"),
    Covered(
        ("Igustibagus2024.IT_readout-accuracy",), "no", LAB, "", "decoding across domains is not offered"
    ),
    Covered(
        tuple(
            f"Islam2021-{kind}_{region}_dimensionality"
            for region, kind in product(("v1", "v2", "v4", "it"), ("shape", "texture"))
        ),
        "no",
        "image pairs",
        "",
        "counts dimensions of a model alone; no brain is compared",
    ),
    Covered(
        tuple(
            f"Marques2020_{name}"
            for name in (
                "Cavanaugh2002-grating_summation_field",
                "Cavanaugh2002-surround_diameter",
                "Cavanaugh2002-surround_suppression_index",
                "DeValois1982-peak_sf",
                "DeValois1982-pref_or",
                "FreemanZiemba2013-abs_texture_modulation_index",
                "FreemanZiemba2013-max_noise",
                "FreemanZiemba2013-max_texture",
                "FreemanZiemba2013-texture_modulation_index",
                "FreemanZiemba2013-texture_selectivity",
                "FreemanZiemba2013-texture_sparseness",
                "FreemanZiemba2013-texture_variance_ratio",
                "Ringach2002-circular_variance",
                "Ringach2002-cv_bandwidth_ratio",
                "Ringach2002-max_dc",
                "Ringach2002-modulation_ratio",
                "Ringach2002-opr_cv_diff",
                "Ringach2002-or_bandwidth",
                "Ringach2002-or_selective",
                "Ringach2002-orth_pref_ratio",
                "Schiller1976-sf_bandwidth",
                "Schiller1976-sf_selective",
            )
        ),
        "no",
        "gratings and tuning of V1",
        "",
        "distributions of tuning properties are not offered",
    ),
)


def coverage() -> list[dict[str, str]]:
    """One row for each registered benchmark: identifier, runs, file, metric, about."""
    return [
        {
            "identifier": name,
            "runs": one.runs,
            "file": one.file,
            "metric": one.metric,
            "about": one.about,
        }
        for one in COVERAGE
        for name in one.identifiers
    ]
