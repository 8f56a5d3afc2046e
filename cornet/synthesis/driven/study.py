"""Drive neuroids of a bundle through a network: fit a mapping, synthesise images, and measure what they achieve.

Where the truth is known, the images stand beside controls: uniform noise, the known optimum, a mapping that was fitted
to shuffled responses, and the network before training.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.neuron.target import Target
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError, check_choice
from cornet.synthesis.driven.control import ImageStore, Settings, Synthesised, synthesise
from cornet.synthesis.driven.factorised_fit import fit_factorised
from cornet.synthesis.driven.mapping import FittedMapping, fit_ridge, held_out_r, training_moments
from cornet.synthesis.driven.outcome import Measure, Outcome, of_images
from cornet.synthesis.driven.predictor import Predictor, image_side
from cornet.synthesis.driven.truth import NOISE_IMAGES, Truth
from cornet.synthesis.stage import Stage

__all__ = [
    "MAPPINGS",
    "ReadOut",
    "Study",
    "controlled",
    "fit_mapping",
    "picture_format",
    "read_out",
    "run_study",
    "side_of",
]

MAPPINGS = {
    "ridge": "ridge regression, its penalty chosen by inner folds",
    "factorised": "weights of positions times weights of channels",
}

Network = NetworkSubject | LayerSubject


@dataclass(frozen=True, eq=False)
class ReadOut:
    """A stage of a network with a fitted mapping to neuroids, and the predictor that they make."""

    model: str
    identity: str
    site: Site
    fitted: FittedMapping
    predictor: Predictor = field(repr=False)

    def predicted_only(
        self, target: Target, columns: NDArray[np.int64]
    ) -> "tuple[ReadOut, NDArray[np.int64], tuple[str, ...]]":
        """Without the neuroids whose r is below 0: read-out, positions, and a note with their number.

        Raises CornetError if none is left.
        """
        keep = np.flatnonzero(self.fitted.r >= 0)
        if len(keep) == len(columns):
            return self, columns, ()
        if not len(keep):
            raise CornetError(
                f"the mapping from {self.site} of {self.model} predicts none of the {len(columns)} neuroids of "
                f"{target.name} (r of held-out images below 0); choose another of --layers, or repeat with --force."
            )
        left = len(columns) - len(keep)
        note = f"left out {left} of {len(columns)} neuroids, which the mapping does not predict (held-out r below 0)"
        old = self.predictor
        predictor = Predictor(
            old.stage, self.fitted, keep, old.mean[keep].cpu().numpy(), old.deviation[keep].cpu().numpy()
        )
        fitted = self.fitted.subset(keep)
        return replace(self, fitted=fitted, predictor=predictor.eval()), columns[keep], (note,)


@dataclass(frozen=True, eq=False)
class Study:
    """Images that drive neuroids, and what they achieve.

    target: with all neuroids of its region. columns: (neuroid,), those that are driven. side, degrees: of an image.
    colour: whether images have three channels. truth: None if unknown; `reason` says why. outcomes: the images first,
    then the controls; empty without a truth. r_true: (neuroid,), r of held-out predictions and true responses. seconds:
    durations by name.
    """

    target: Target
    columns: NDArray[np.int64]
    read_out: ReadOut
    settings: Settings
    side: int
    degrees: float
    colour: bool
    images: Synthesised = field(repr=False)
    truth: Truth | None = field(default=None, repr=False)
    reason: str = ""
    outcomes: tuple[Outcome, ...] = ()
    r_true: NDArray[np.float64] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> NDArray[np.str_]:
        return self.target.neuroids[self.columns]

    @property
    def responses(self) -> NDArray[np.float64]:
        """(natural image, neuroid), measured."""
        return self.target.responses[:, self.columns]

    @property
    def natural_best(self) -> NDArray[np.int64]:
        """(neuroid,), the natural image with the largest measured response."""
        return np.nanargmax(self.responses, axis=0)

    @property
    def measured_max(self) -> NDArray[np.float64]:
        """(neuroid,), the largest measured response to a natural image, averaged over repetitions."""
        best: NDArray[np.float64] = np.nanmax(self.responses, axis=0)
        return best

    @property
    def predicted(self) -> NDArray[np.float64]:
        """(neuroid,), the prediction for its chosen image."""
        rows = np.arange(len(self.columns))
        return self.images.predictions[rows, self.images.best, rows]


def picture_format(target: Target) -> bool:
    """Whether any stimulus has colours. Raises CornetError for a stimulus that is not square."""
    colour = False
    for number in range(len(target.stimuli)):
        pixels = target.stimuli.pictures[number]
        if pixels.shape[0] != pixels.shape[1]:
            raise CornetError(
                f"the stimulus {target.stimuli.ids[number]} of {target.name} has {pixels.shape[1]} x {pixels.shape[0]} "
                "pixels, but synthesised images are square; use a bundle with square stimuli."
            )
        colour = colour or bool((pixels[..., :1] != pixels[..., 1:]).any())
    return colour


def angle_of(target: Target, subject: Network) -> float:
    """Visual angle of the stimuli: of the benchmark, else of the stimulus set, else of the network's input."""
    known = (target.degrees, target.stimuli.degrees, subject.degrees)
    return float(next(value for value in known if value is not None))


def fit_mapping(
    kind: str, stage: Stage, features: Any, responses: NDArray[np.float64], target: Target
) -> FittedMapping:
    """Fit a mapping of a kind of `MAPPINGS`. features: (image, feature), recorded from the stage."""
    check_choice("--mapping", kind, MAPPINGS)
    device = stage.mean.device
    if kind == "ridge":
        return fit_ridge(features, responses, target.folds, target.groups, device)
    with torch.no_grad():
        shape = stage(torch.zeros(1, 3, stage.size, stage.size, device=device)).shape[1:]
    return fit_factorised(np.asarray(features).reshape(-1, *shape), responses, target.folds, device)


def read_out(
    subject: Network,
    site: Site,
    target: Target,
    columns: NDArray[np.int64],
    mapping: str = "ridge",
    label: str = "",
    responses: NDArray[np.float64] | None = None,
) -> ReadOut:
    """Record a site and fit a mapping to some neuroids. responses: (image, neuroid) in place of the target's own."""
    stage = Stage(subject, site).to(subject._recording_device())
    features = subject.record(target.stimuli, [site], target.degrees, label=label)[site]
    answers = target.responses[:, columns] if responses is None else responses
    fitted = fit_mapping(mapping, stage, features, answers, target)
    fitted.module.to(stage.mean.device)
    mean, deviation = training_moments(answers)
    predictor = Predictor(stage, fitted, np.arange(len(columns)), mean, deviation).eval()
    return ReadOut(subject.name, subject.identity, site, fitted, predictor)


def run_study(
    own: ReadOut,
    target: Target,
    columns: NDArray[np.int64],
    settings: Settings,
    side: int,
    degrees: float,
    colour: bool,
    truth: Truth | str,
    store: ImageStore | None = None,
    progress: Callable[[int], None] = lambda count: None,
    notes: tuple[str, ...] = (),
) -> Study:
    """Synthesise an image for each neuroid, several starts each, and measure the chosen ones.

    side, degrees: of an image. truth: from `known_truth`.
    """
    reason = truth if isinstance(truth, str) else ""
    exact = None if isinstance(truth, str) else truth
    start = time.perf_counter()
    every = np.arange(len(columns))
    images = synthesise(own.predictor, every, side, 3 if colour else 1, settings, store, progress)
    seconds = {"synthesis": time.perf_counter() - start}
    outcomes: tuple[Outcome, ...] = ()
    r_true = None
    if exact is not None:
        outcomes = (
            measured("synthesised images", images, exact, columns, settings),
            *known(exact, columns, settings),
        )
        r_true = held_out_r(own.fitted.held_out, exact.shown[:, columns])
    return Study(
        *(target, columns, own, settings, side, degrees, colour, images, exact, reason, outcomes, r_true),
        seconds=seconds,
        notes=notes,
    )


def measured(
    name: str, images: Synthesised, truth: Truth, columns: NDArray[np.int64], settings: Settings
) -> Outcome:
    """The true responses to the chosen 8-bit images, beside those to natural images."""
    true = truth.respond(images.chosen.mean(axis=3).round().astype(np.uint8))[:, columns]
    return of_images(
        name, true, truth.shown[:, columns], measure_of(truth, columns, settings), truth.more[:, columns]
    )


def measure_of(truth: Truth, columns: NDArray[np.int64], settings: Settings) -> Measure:
    shown = truth.shown[:, columns]
    return Measure(settings.mode, shown.mean(axis=0), shown.std(axis=0))


def known(truth: Truth, columns: NDArray[np.int64], settings: Settings) -> list[Outcome]:
    """Controls that need no synthesis, of stretch: the best of noise images, and the known optimum."""
    if settings.mode != "stretch":
        return []
    shown = truth.shown[:, columns].max(axis=0)
    more = truth.natural[:, columns].max(axis=0) if len(truth.more) else None
    found = [Outcome(f"uniform noise, best of {NOISE_IMAGES}", truth.noise[columns], shown, more)]
    optimum = truth.optimum(columns)
    if optimum is not None:
        found.append(Outcome("known optimum (own Gabor)", optimum, shown, more))
    return found


def controlled(
    study: Study,
    subject: Network,
    mapping: str,
    untrained: Network | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Study:
    """The study with the controls that need synthesis: shuffled responses, and the untrained network.

    Both have all starts, and the best one is chosen by the prediction, as for the images themselves. Only with a truth.
    """
    if study.truth is None:
        return study
    target, columns, settings = study.target, study.columns, study.settings
    start = time.perf_counter()
    order = np.random.default_rng(settings.seed).permutation(len(target.responses))
    shuffled = read_out(
        subject, study.read_out.site, target, columns, mapping, responses=target.responses[order][:, columns]
    )
    read_outs = [("shuffled responses", shuffled)]
    if untrained is not None:
        read_outs.append(
            ("untrained network", read_out(untrained, study.read_out.site, target, columns, mapping))
        )
    found, images_each = [], len(columns) * settings.starts
    for number, (name, one) in enumerate(read_outs):

        def advance(done: int, before: int = number * images_each) -> None:
            progress(before + done)

        channels = 3 if study.colour else 1
        images = synthesise(
            one.predictor, np.arange(len(columns)), study.side, channels, settings, None, advance
        )
        if name != "shuffled responses":
            name = f"{name} (median held-out r {np.nanmedian(one.fitted.r):.2f})"
        found.append(measured(name, images, study.truth, columns, settings))
    seconds = {**study.seconds, "controls": time.perf_counter() - start}
    return replace(study, outcomes=(*study.outcomes, *found), seconds=seconds)


def side_of(target: Target, subject: Network, truth: Truth | str, colour: bool) -> tuple[int, float]:
    """Pixels and degrees of an image. Raises CornetError if the truth is of images of another size, or grey ones."""
    degrees = angle_of(target, subject)
    side = image_side(subject.size, subject.degrees, degrees)
    if isinstance(truth, Truth):
        if colour:
            raise CornetError(
                f"--colour does not fit {target.name}, whose neuroids respond to grey images; use --grey."
            )
        if side != truth.size:
            raise CornetError(
                f"images for {subject.name} have {side} pixels per side, but {target.name} responds to images of "
                f"{truth.size}; add --size {truth.size}."
            )
    return side, min(degrees, subject.degrees)
