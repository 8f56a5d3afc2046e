"""BibTeX entries of what a card is about: cornet, the network, losses, and the data of the benchmarks."""

import re
from pathlib import Path

from cornet.report.card.blocks import Code, Section, Texts
from cornet.report.card.read import Recorded, part_of

__all__ = ["BENCHMARKS", "LOSSES", "NETWORKS", "citation_section", "cited", "entries"]

NETWORKS = {
    "cornet_z": ("kubilius2018",),
    "cornet_r": ("kubilius2018",),
    "cornet_rt": ("kubilius2018",),
    "cornet_s": ("kubilius2019",),
    "b": ("spoerer2020",),
    "bl": ("spoerer2020",),
    "blt": ("spoerer2017",),
    "hcnn": ("yamins2014",),
    "fly": ("wang2021",),
    "hmax": ("riesenhuber1999", "serre2007"),
}
"""Keys of references.bib by the name of the network; of another one, the paper that it registers is named."""

BENCHMARKS = {
    "majajhong2015": "majaj2015",
    "freemanziemba2013": "freeman2013",
    "rajalingham2018": "rajalingham2018",
    "kar2019": "kar2019",
    "geirhos": "geirhos2020",
}
"""Keys by the beginning of a benchmark's name."""

LOSSES = {"cornet.losses.Harmonisation": "fel2022", "cornet.losses.harmonisation.Harmonisation": "fel2022"}
"""Keys by the class of a loss."""


def citation_section(recorded: Recorded) -> Section:
    """Render the entries to cite, and say for what there is none."""
    keys, missing = cited(recorded)
    known = entries()
    version = recorded.versions.get("cornet-ventral")
    if isinstance(version, str) and re.fullmatch(r"[\w.+-]{1,40}", version):
        known["cornet"] = known["cornet"].replace("\n}", f",\n  version = {{{version}}}\n}}")
    texts = [f"There is no entry here for {', '.join(missing)}; cite its source."] if missing else []
    return Section(
        "Citations", [*([Texts(texts)] if texts else []), Code("\n\n".join(known[key] for key in keys))]
    )


def cited(recorded: Recorded) -> tuple[list[str], list[str]]:
    """Return the keys of the entries, cornet's first, and the names without an entry."""
    keys, missing = ["cornet"], []
    network = recorded.network
    keys += NETWORKS.get(network, ())
    if network not in NETWORKS:
        missing.append(named_source(network) if network else "the network, which is not recorded")
    losses = part_of(recorded.config, "losses")
    targets = [str(part_of(losses, name).get("_target_")) for name in losses]
    keys += [LOSSES[target] for target in targets if target in LOSSES]
    recordings = [one.benchmark for one in recorded.measures if one.benchmark and not one.simulated]
    if recordings:
        keys.append("schrimpf2018")
    for name in recordings:
        key = next((key for start, key in BENCHMARKS.items() if name.startswith(start)), None)
        if key is None:
            missing.append(f"the data of {name}")
        else:
            keys.append(key)
    return list(dict.fromkeys(keys)), list(dict.fromkeys(missing))


def named_source(network: str) -> str:
    """Name a network without an entry, with the paper that it was registered with."""
    from cornet.models import list_models
    from cornet.models.registry import registered  # imports the network's module, and torch

    paper = registered(network).paper if network in list_models() else ""
    return f"the network {network}" + (f" ({paper})" if paper else "")


def entries() -> dict[str, str]:
    """Return the entries of references.bib by their key."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    return {
        match[1]: match[0] for match in re.finditer(r"^@\w+\{(\w+),\n.*?^\}", text, re.MULTILINE | re.DOTALL)
    }
