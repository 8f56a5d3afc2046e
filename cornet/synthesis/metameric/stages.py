"""The stages of a network whose metamers are made: the input, areas or layers at a step, and the logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import LOGITS, NetworkSubject
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.synthesis.stage import Stage, stage_site

__all__ = ["ALL", "INPUT", "StageName", "choose_stages", "stage_module"]

INPUT = "input"
ALL = "all"


@dataclass(frozen=True)
class StageName:
    """A stage. site: None for the input. area: name of its area, layer, input or logits. last: its last step."""

    area: str
    site: Site | None = None
    last: bool = True
    several: bool = False

    @property
    def step(self) -> int:
        return 0 if self.site is None else self.site.step

    def __str__(self) -> str:
        """The area; with its step in brackets if the area has several."""
        return f"{self.area}[{self.step}]" if self.several else self.area


def choose_stages(
    subject: Subject, areas: Sequence[str] = (), step: int | None = None, every_step: bool = False
) -> list[StageName]:
    """The stages that the words name, in the order of processing.

    areas: names of areas, regions or layers, "V4[1]" for one step, input, logits, decoder.avgpool; all: every area at
    every step that the image reaches; none: the input, every area at its last step, and the logits, as published. step:
    of all areas without one in brackets; None: the last. every_step: all steps that the image reaches.

    Raises CornetError as `stage_site` does, and if both `step` and `every_step` are given.
    """
    if step is not None and every_step:
        raise CornetError(f"--step {step} and --steps all exclude each other; give one of them.")
    stage_site(subject, LOGITS)  # refuses a subject without a network
    assert isinstance(subject, NetworkSubject | LayerSubject)
    found: dict[StageName, None] = {}
    words = [word for area in areas for word in area.split(",") if word] or [INPUT, *_areas(subject), LOGITS]
    for word in words:
        if word == ALL:
            found |= dict.fromkeys(one for area in _areas(subject) for one in _steps_of(subject, area))
        elif word == INPUT:
            found[StageName(INPUT)] = None
        elif word.endswith("]"):
            area, _, number = word[:-1].rpartition("[")
            if not number.isdigit():
                raise CornetError(f"--area {word} must be an area and a step, such as V4[1].")
            found[_stage(subject, area, int(number))] = None
        elif every_step:
            found |= dict.fromkeys(_steps_of(subject, word))
        else:
            found[_stage(subject, word, None if word == LOGITS else step)] = None
    order = [site.layer for site in subject.sites()]

    def depth(one: StageName) -> tuple[int, int]:
        if one.site is None:
            return -1, 0
        known = one.site.layer in order
        return (order.index(one.site.layer) if known else len(order)), one.step

    return sorted(found, key=depth)


def stage_module(
    subject: Subject, stage: StageName, device: torch.device, identity_relu: bool = True
) -> nn.Module:
    """The stage as a module: images in 0..1 to its states (image, ...). identity_relu: as in `Stage`."""
    assert isinstance(subject, NetworkSubject | LayerSubject)
    if stage.site is None:
        return _Input(subject).to(device)
    return Stage(subject, stage.site, identity_relu=identity_relu).to(device)


class _Input(nn.Module):
    """Images as the network receives them: normalised."""

    mean: Tensor
    std: Tensor

    def __init__(self, subject: NetworkSubject | LayerSubject) -> None:
        super().__init__()
        for name, values in (("mean", subject.mean), ("std", subject.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def _areas(subject: NetworkSubject | LayerSubject) -> list[str]:
    """Areas; in a network without areas, the assigned layers, or else all layers."""
    if isinstance(subject, NetworkSubject):
        return list(subject.areas)
    return list(subject.regions) or list(dict.fromkeys(site.layer for site in subject.sites()))


def _steps_of(subject: NetworkSubject | LayerSubject, area: str) -> list[StageName]:
    """The stage at each step that the image reaches."""
    last = _stage(subject, area)
    assert last.site is not None
    steps = [site.step for site in subject.sites() if site.layer == last.site.layer] or [last.step]
    return [_stage(subject, area, step) for step in steps]


def _stage(subject: NetworkSubject | LayerSubject, area: str, step: int | None = None) -> StageName:
    last = stage_site(subject, area)
    site = last if step is None else stage_site(subject, area, step)
    name = area if area in subject.regions else site.layer
    return StageName(name, site, site.step == last.step, last.step > 0)
