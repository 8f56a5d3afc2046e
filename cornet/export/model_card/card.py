"""Write the model card of an exported network: what it is, how it was trained, its scores, and what is not known."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

import cornet
from cornet.brain.data.public.listing import PUBLIC
from cornet.brain.subjects.step_times import network_intervals
from cornet.export.model_card.header import card_header
from cornet.export.model_card.markdown import render_markdown
from cornet.export.model_card.origin import check_licence, origin_of
from cornet.export.source import Source
from cornet.files import atomic_write
from cornet.models.costs import count_macs
from cornet.models.registry import registered

if TYPE_CHECKING:
    from cornet.export.model_card.run_facts import RunFacts, ScoreLine

__all__ = ["CARD", "default_licence", "write_card"]

CARD = "README.md"
BRAIN_SCORE = "Schrimpf, Kubilius et al. 2018, Brain-Score (bioRxiv 407007)"
SHOWN_CLASSES = 20


def write_card(
    source: Source, folder: Path, name: str, licence: str | None = None, repository: str = ""
) -> None:
    """Write README.md of a network into an existing folder.

    name: the title. licence: of the weights, an identifier of the hub; None: `default_licence`. repository: where it
    will be uploaded, or "". Raises CornetError for an invalid licence, and for files of the run that cannot be read.
    """
    origin = origin_of(source)
    facts = None
    if origin.checkpoint is not None and source.run is not None:
        from cornet.export.model_card.run_facts import facts_of_run  # imports matplotlib

        facts = facts_of_run(source.run, origin.checkpoint)
    chosen = default_licence(origin.kind, facts) if licence is None else check_licence(licence)
    scores = [] if facts is None else facts.scores
    entry = registered(source.model)
    text = render_markdown(
        "card.md",
        name=name,
        version=cornet.__version__,
        model=source.model,
        arguments={key: json.dumps(value, default=str) for key, value in _shown_arguments(source).items()},
        summary=entry.summary,
        parameters=sum(value.numel() for value in source.net.parameters()),
        macs=count_macs(source.net, source.size),
        areas=_areas(source),
        whole=not isinstance(source.net.decoder, nn.Identity),
        source=source,
        classes=source.classes[:SHOWN_CLASSES],
        more_classes=max(0, len(source.classes) - SHOWN_CLASSES),
        origin=origin,
        published=(entry.top1, entry.top1_note) if origin.kind == "published" else (None, ""),
        facts=facts,
        real=[score for score in scores if not score.simulated],
        simulated=[score for score in scores if score.simulated],
        noted=[score for score in scores if score.notes],
        licence=chosen,
        repository=repository,
        paper=entry.paper,
        citations=_citations(scores),
        unknown=_unknown(facts, origin.kind),
    )
    atomic_write(folder / CARD, card_header(source, name, chosen, facts) + text)


def default_licence(kind: str, facts: "RunFacts | None") -> str:
    """Return "mit" for weights that were made from nothing here; "unknown" where others made them, or part of them."""
    if kind == "untrained" or (facts is not None and not facts.started_from):
        return "mit"
    return "unknown"


def _shown_arguments(source: Source) -> dict[str, Any]:
    """The arguments of create_model, without those that are None."""
    return {key: value for key, value in source.made_with.items() if key != "name" and value is not None}


def _areas(source: Source) -> list[dict[str, Any]]:
    """The table of areas: name, region, steps, and the milliseconds after stimulus onset that each step stands for."""
    intervals = network_intervals(source.net.area_table)
    return [
        {
            "name": name,
            "region": area.region,
            "steps": area.steps,
            "times": ", ".join(
                "-" if step is None else f"{step[0]:g} to {step[1]:g}" for step in intervals[name]
            ),
        }
        for name, area in source.net.area_table.items()
    ]


def _citations(scores: "list[ScoreLine]") -> list[str]:
    """What to cite for scores against recorded brains: the data, and Brain-Score."""
    real = [score.benchmark for score in scores if not score.simulated]
    data = [one.citation for name, one in PUBLIC.items() if any(text.startswith(name) for text in real)]
    return [*data, *([BRAIN_SCORE] if real else [])]


def _unknown(facts: "RunFacts | None", kind: str) -> list[str]:
    """What a reader would ask, and the files do not say."""
    if facts is None:
        trained = [] if kind == "untrained" else ["the images and the recipe of the training"]
        return [*trained, "accuracy and brain scores, which were not measured for this export"]
    found = []
    if not facts.accuracies:
        found.append("the accuracy at the step of this checkpoint, which was not measured")
    if not facts.scores:
        found.append("brain scores at the step of this checkpoint, which were not measured")
    if not facts.hardware:
        found.append("the hardware")
    return [*found, "how long the training took, which runs do not record"]
