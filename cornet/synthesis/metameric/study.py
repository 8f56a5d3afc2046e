"""Make metamers of all stages of networks, decide which of them count, and show them to other networks.

Sources: Feather et al. 2019 (NeurIPS), 2023 (Nat. Neurosci. 26:2017). A metamer counts if the network gives it the
class of the original, and if its activations are closer to the original's than those of every pair of different
images, both for the image as it is saved, in 8 bits.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError
from cornet.hashing import code_version, digest
from cornet.synthesis.images import Shown
from cornet.synthesis.metameric.blocks import relative_loss, run_blocks
from cornet.synthesis.metameric.null import Pairs, null_closeness
from cornet.synthesis.metameric.observers import Observer, share_right
from cornet.synthesis.metameric.results import Judgement, Schedule, StageResult, Study
from cornet.synthesis.metameric.stages import StageName, stage_module
from cornet.synthesis.metamers import FEW, closeness, noise_images, passes, step_lengths

__all__ = ["PUBLISHED", "default_schedule", "file_name", "make_metamers", "rounded"]

PUBLISHED = Schedule(1.0, 3000, 8, published=True)
"""24,000 steps, for images of 224 pixels."""

WAY = 3.6
"""Length of a block's steps together, in units of the distance from start to target: in the first block."""

SPREAD = 0.2
"""Root mean square difference of start and target, per pixel in 0..1."""

OTHER_CLASSES = (
    "its classes do not include the labels of the images, so that only whether it gives a metamer the class of the "
    "original is counted"
)

Advance = Callable[[int], None]


def default_schedule(size: int, steps: int = 20, blocks: int = 8, first: float | None = None) -> Schedule:
    """A schedule of few steps for images of `size` pixels: few steps must be long.

    first: length of the first steps; None: such that those of a block go about 3.6 times the distance from start to
    target, about sqrt(3 x size^2) x .2. With steps as short as the published ones, few metamers pass.
    """
    length = WAY * SPREAD * math.sqrt(3 * size**2) / max(steps, 1)
    return Schedule(float(f"{length:.3g}") if first is None else first, steps, blocks)


def make_metamers(
    generators: Sequence[Subject],
    stages: Mapping[str, Sequence[StageName]],
    shown: Shown,
    pairs: Pairs,
    *,
    judges: Sequence[Subject] = (),
    classes: Mapping[str, Sequence[str]] | None = None,
    schedule: Schedule,
    device: torch.device | str = "cpu",
    batch: int = 64,
    seed: int = 0,
    folder: Path | None = None,
    stage_starts: Callable[[str], None] = lambda text: None,
    advance: Advance = lambda steps: None,
) -> Study:
    """Make the metamers of all stages, compare them with pairs of images, and show them to judges.

    generators: networks, usually a trained one and its untrained version, whose images have the size of `shown`.
    stages: by the generator's name. pairs: of the null distribution. judges: other networks. classes: by name of a
    network, its classes; see `Observer`. batch: images at a time. seed: of the noise that all stages start from, and
    of the bootstrap. folder: for states, from which a stopped study continues and by which finished stages are not
    made again; None: none. stage_starts, advance: called when a stage starts, and with steps times images that are
    done.

    Raises CornetError for a network whose images have another size, and as `metamers`, `Observer` and `stage_site` do.
    """
    device, known = torch.device(device), classes or {}
    lengths = step_lengths(schedule.first, schedule.steps, schedule.blocks).reshape(schedule.blocks, -1)
    size = shown.pixels.shape[-1]
    start = noise_images(len(shown.names), size, seed=seed)
    notes = [("", text) for text in shown.notes]
    observers: dict[str, Observer] = {}
    for subject in generators:
        try:
            observers[subject.name] = Observer(subject, known.get(subject.name, ()), device, batch)
        except CornetError as problem:
            why = (
                f"its metamers need not keep a class, since it does not classify ({str(problem).rstrip('.')})"
            )
            notes.append((subject.name, why))
    for subject in judges:
        observers[subject.name] = Observer(subject, known.get(subject.name, ()), device, batch)
    originals = {name: one.answers(shown.scaled) for name, one in observers.items()}
    results: list[StageResult] = []
    for number, subject in enumerate(generators):
        identity = subject.identity
        for stage in stages[subject.name]:
            stage_starts(f"{stage} of {subject.name}")
            key = _key(identity, stage, shown.scaled, start, lengths, batch, device)
            state = None if folder is None else folder / f"{number}-{file_name(str(stage))}.npz"
            options: dict[str, Any] = {"batch": batch, "state": state, "key": key, "advance": advance}
            results.append(
                _make_stage(
                    subject, stage, shown, start, lengths, pairs, device, observers.get(subject.name), options
                )
            )
    names = [subject.name for subject in generators]
    judgements = _judge(results, shown, observers, originals, [one.name for one in judges], seed)
    for one in judges:
        if all(shown.labels) and not set(shown.labels) & set(observers[one.name].classes):
            notes.append((one.name, OTHER_CLASSES))
    for subject in generators:
        if few := [str(one.stage) for one in results if one.generator == subject.name and one.few_units]:
            verb = "has" if len(few) == 1 else "have"
            why = (
                f"{', '.join(few)} {verb} fewer than {FEW} numbers, where two images can have the same ranks"
            )
            notes.append((subject.name, f"{why}: Spearman's r is not required there"))
    return Study(
        shown,
        rounded(start),
        {name: observers[name].choices if name in observers else 0 for name in names},
        {one.name: observers[one.name].choices for one in judges},
        results,
        judgements,
        schedule,
        pairs.name,
        len(pairs),
        seed,
        notes,
    )


def rounded(images: Tensor) -> Tensor:
    """Images in 0..1 as uint8, to the nearest grey level (the published code truncates)."""
    return (images.detach().cpu() * 255).round().to(torch.uint8)


def file_name(text: str) -> str:
    """A stage's name as the name of a file or folder: V4[1] becomes V4-1."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "stage"


def _make_stage(
    subject: Subject,
    stage: StageName,
    shown: Shown,
    start: Tensor,
    lengths: Any,
    pairs: Pairs,
    device: torch.device,
    observer: Observer | None,
    options: Mapping[str, Any],
) -> StageResult:
    """The metamers of one stage, and what is measured of them as they are saved."""
    targets, batch = shown.scaled.to(device), options["batch"]
    made = run_blocks(stage_module(subject, stage, device), targets, start.to(device), lengths, **options)
    states = stage_module(subject, stage, device, identity_relu=False)
    saved = rounded(made.images)
    again = (saved.float() / 255).to(device)
    found = closeness(_states(states, again, batch), _states(states, targets, batch))
    null = null_closeness(states, pairs, device, batch)
    answers = None if observer is None else observer.answers(again)
    kept: Any = None if observer is None else answers == observer.answers(targets)
    return StageResult(
        subject.name,
        stage,
        saved,
        made.losses,
        relative_loss(states, again, targets, batch),
        found,
        null,
        answers,
        kept,
        passes(found, null),
        closeness(again, targets).pearson,
        made.seconds,
        made.resumed,
    )


def _states(stage: nn.Module, images: Tensor, batch: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([stage(part).flatten(1).cpu() for part in images.split(batch)])


def _judge(
    results: Sequence[StageResult],
    shown: Shown,
    observers: Mapping[str, Observer],
    originals: Mapping[str, Any],
    judges: Sequence[str],
    seed: int,
) -> list[Judgement]:
    """The answers of every network to the metamers that passed; the network itself first."""
    labels = np.array(shown.labels, dtype=str)
    every = np.ones(len(labels), bool)
    found = []
    for generator in dict.fromkeys(one.generator for one in results):
        for judge in dict.fromkeys(name for name in (generator, *judges) if name in observers):
            observer = observers[judge]
            known = np.isin(labels, observer.classes) & (labels != "")

            def shares(answers: Any, counted: Any, judge: str = judge, known: Any = known) -> tuple[Any, Any]:
                right = answers[counted & known] == labels[counted & known]
                return share_right(right, seed), share_right(
                    answers[counted] == originals[judge][counted], seed
                )

            found.append(Judgement(judge, generator, None, *shares(originals[judge], every)))
            for one in (result for result in results if result.generator == generator):
                answers = one.answers if judge == generator else None
                if answers is None:
                    answers = observer.answers(one.images.float() / 255)
                found.append(Judgement(judge, generator, one.stage, *shares(answers, one.passed)))
    return found


def _key(
    identity: str,
    stage: StageName,
    targets: Tensor,
    start: Tensor,
    lengths: Any,
    batch: int,
    device: torch.device,
) -> str:
    """Everything that the metamers of a stage depend on."""
    site = [stage.area] if stage.site is None else [stage.site.layer, stage.site.step]
    code = code_version("cornet.synthesis.metameric.blocks", "cornet.synthesis.metameric.stages")
    return digest(identity, site, targets.numpy(), start.numpy(), lengths, batch, str(device), code)
