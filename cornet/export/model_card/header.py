"""The YAML header of a model card, in the form that the Hugging Face hub reads.

Results are only real ones: accuracy, and scores against recorded brains. Scores against the simulated brain are in the
text of the card alone.
"""

from typing import TYPE_CHECKING, Any

import yaml
from torch import nn

from cornet.export.source import Source

if TYPE_CHECKING:
    from cornet.export.model_card.run_facts import RunFacts

__all__ = ["card_header"]

ACCURACY = ("top-1", "top-5")
"""Labels of metrics that are accuracies."""


def card_header(source: Source, name: str, licence: str, facts: "RunFacts | None") -> str:
    """The header, between its lines of ---. facts: of the run, or None where there is none."""
    results = [] if facts is None else [*_accuracies(facts), *_brain_scores(facts)]
    metrics = list(dict.fromkeys(one["metrics"][0]["type"] for one in results))
    header: dict[str, Any] = {
        "library_name": "cornet",
        "license": licence,
        "tags": ["cornet", source.model, "neuroscience", "ventral-stream", "pytorch"],
    }
    if not isinstance(source.net.decoder, nn.Identity):
        header["pipeline_tag"] = "image-classification"
    if facts is not None and facts.images.hub:
        header["datasets"] = [facts.images.hub]
    if metrics:
        header["metrics"] = metrics
    if results:
        header["model-index"] = [{"name": name, "results": results}]
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000)
    return f"---\n{text}---\n"


def _accuracies(facts: "RunFacts") -> list[dict[str, Any]]:
    """One result with all accuracies; none for another task."""
    metrics = [
        {"type": "accuracy", "value": value, "name": label}
        for label, value in facts.accuracies.items()
        if label.startswith(ACCURACY)
    ]
    kind = facts.images.hub or facts.images.kind
    dataset = {"name": facts.images.name, "type": kind, "split": "validation"}
    task = {"type": "image-classification", "name": "Image classification"}
    return [{"task": task, "dataset": dataset, "metrics": metrics}] if metrics else []


def _brain_scores(facts: "RunFacts") -> list[dict[str, Any]]:
    """One result for each defined score against recorded brains."""
    results = []
    for score in facts.scores:
        if score.simulated or not score.defined:
            continue
        details = {
            "scale": score.scale,
            "standard_error": score.error,
            "ceiling": score.ceiling,
            "stimuli": score.n,
        }
        known = {key: value for key, value in details.items() if value == value and value not in ("", 0)}
        results.append(
            {
                "task": {
                    "type": "image-feature-extraction",
                    "name": f"Comparison with the brain ({score.region})",
                },
                "dataset": {"name": score.benchmark, "type": score.benchmark},
                "metrics": [{"type": score.metric or "score", "value": score.value, "args": known}],
            }
        )
    return results
