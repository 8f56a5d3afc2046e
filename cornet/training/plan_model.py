"""What a training will take on hardware that is at hand or described: a stated model over measured rates.

A step takes as long as the slowest of what goes on at the same time,

    step = max(compute + exposed, decode, storage)

(where the devices are the processor's own cores, decoding takes its time from computing, and the two are added)

    compute   seconds of a step on one device, at the batch that one device gets; as measured, or from a given rate
    exposed   what of averaging the gradients is not hidden behind the backward pass: all of it when the network is
              compiled, for one graph gives its gradients at its end; else the last bucket, and more where the ring is
              slower than two thirds of `compute`. A ring over n devices sends 2 (n - 1) / n times the gradients over
              its slowest link: NVLink or PCIe within a machine, the network between machines.
    decode    images of a machine's devices / (images per second of a core * cores)
    storage   their bytes / bytes per second that a machine reads

and an epoch is its steps, validation (forward passes only, in the same way) and the brain scores, which are recorded by
all devices and compared by one. Left out: start-up and compilation, checkpoints, logging, stragglers. The model is
compared with real runs in benchmarks/LOG.md.
"""

import math
from dataclasses import dataclass, replace

from cornet.errors import CornetError

__all__ = ["Hardware", "Measured", "Plan", "make_plan", "weak_scaling"]

BUCKET = 25 * 2**20
"""Bytes of the last gradient bucket, which no computation hides (PyTorch's default)."""

BACKWARD = 2 / 3
"""Share of a step in which gradients come out one after the other."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """devices: GPUs (or processes on a CPU) in all; per_machine: of them in a machine; cores: of a machine.

    storage: bytes per second that a machine reads; link, network: bytes per second between devices of a machine, and of
    a machine to others. inf: known to be no limit, or not described.
    """

    devices: int = 1
    per_machine: int = 8
    cores: int = 1
    storage: float = math.inf
    link: float = math.inf
    network: float = math.inf

    def __post_init__(self) -> None:
        for name in ("devices", "per_machine", "cores"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise CornetError(f"hardware.{name}={value!r} must be a whole number, at least 1.")
        for name in ("storage", "link", "network"):
            if not getattr(self, name) > 0:
                raise CornetError(
                    f"hardware.{name}={getattr(self, name)!r} must be bytes per second, above 0."
                )

    @property
    def machines(self) -> int:
        return math.ceil(self.devices / self.per_machine)

    @property
    def on_one(self) -> int:
        """Devices of the fullest machine."""
        return min(self.devices, self.per_machine)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Rates seen in a short measurement, or given.

    step: seconds of a training step on one device at `batch` images; forward: seconds an image in validation.
    core: decoded and augmented images per second of one core (inf: images are in memory). image_bytes: as stored.
    gradient_bytes: of all parameters. memory: bytes at the peak. record: seconds an image when brains are scored;
    compare: seconds of the comparisons of an evaluation. on_cores: the device is the processor itself. at_once: all
    gradients come at the end of the backward pass, as those of a compiled network.
    """

    step: float
    batch: int
    forward: float
    core: float = math.inf
    image_bytes: float = 0.0
    gradient_bytes: int = 0
    memory: float = math.nan
    record: float = 0.0
    compare: float = 0.0
    on_cores: bool = False
    at_once: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a training takes. Seconds unless said otherwise.

    bottleneck: the slowest part of a step: compute, gradients, decode or storage. parts: each part's seconds a step.
    """

    images_per_second: float
    step: float
    steps: int
    parts: dict[str, float]
    bottleneck: str
    training: float
    validation: float
    brain: float
    epoch: float
    total: float
    memory: float

    @property
    def brain_share(self) -> float:
        """Of an epoch."""
        return self.brain / self.epoch


def make_plan(
    measured: Measured,
    hardware: Hardware,
    *,
    train_images: int,
    val_images: int,
    epochs: int,
    stimuli: int = 0,
    evaluations: float = 1.0,
) -> Plan:
    """The plan of a training whose every device gets `measured.batch` images a step.

    stimuli: shown at an evaluation of brain scores; evaluations: of these an epoch, on average.
    """
    parts = parts_of(measured, hardware)
    compute = parts["compute"] + parts["gradients"]
    if measured.on_cores:
        compute += parts["decode"]
    step = max(compute, parts["decode"], parts["storage"])
    slow = max(("decode", "storage"), key=lambda name: parts[name])
    if parts[slow] > compute:
        bottleneck = slow
    else:
        bottleneck = "gradients" if parts["gradients"] > parts["compute"] else "compute"
    steps = max(1, train_images // (measured.batch * hardware.devices))
    training = steps * step
    a_machine = hardware.on_one / hardware.devices  # share of the images that one machine reads
    validation = val_images * max(
        measured.forward / hardware.devices,
        a_machine / (measured.core * hardware.cores),
        a_machine * measured.image_bytes / hardware.storage,
    )
    brain = evaluations * (stimuli * measured.record / hardware.devices + measured.compare)
    epoch = training + validation + brain
    return Plan(
        images_per_second=measured.batch * hardware.devices / step,
        step=step,
        steps=steps,
        parts=parts,
        bottleneck=bottleneck,
        training=training,
        validation=validation,
        brain=brain,
        epoch=epoch,
        total=epochs * epoch,
        memory=measured.memory,
    )


def parts_of(measured: Measured, hardware: Hardware) -> dict[str, float]:
    """Seconds of each part of a step."""
    images = measured.batch * hardware.on_one
    gradients = 0.0
    if hardware.devices > 1:
        slowest = hardware.link if hardware.machines == 1 else min(hardware.link, hardware.network)
        ring = 2 * (hardware.devices - 1) / hardware.devices / slowest
        whole, last = ring * measured.gradient_bytes, ring * min(BUCKET, measured.gradient_bytes)
        gradients = whole if measured.at_once else max(last, whole - BACKWARD * measured.step)
    return {
        "compute": measured.step,
        "gradients": gradients,
        "decode": images / (measured.core * hardware.cores),
        "storage": images * measured.image_bytes / hardware.storage,
    }


def weak_scaling(measured: Measured, hardware: Hardware, devices: list[int], train_images: int) -> list[Plan]:
    """The same batch for every device, on more and more of them."""
    return [
        make_plan(
            measured, replace(hardware, devices=count), train_images=train_images, val_images=0, epochs=1
        )
        for count in devices
    ]
