"""Estimate the speed of a training and its remaining time."""

import math

__all__ = ["Pace"]


class Pace:
    """Images per second and time left, computed from times in seconds of one clock.

    The time that an epoch spends outside training batches (validation, checkpoints, scores) is also expected in later
    epochs.
    """

    def __init__(self, world_size: int = 1) -> None:
        self.world_size = world_size
        self._images, self._batches, self._seconds = 0, 0, 0.0
        self._epoch_images, self._epoch_seconds = 0, 0.0
        self._epoch_start: float | None = None
        self._last: float | None = None
        self._paused: float | None = None
        self._overhead: float | None = None
        self._overhead_now = 0.0

    def begin_epoch(self, now: float) -> None:
        if self._epoch_start is not None:
            self._overhead = max(0.0, now - self._epoch_start - self._epoch_seconds)
        self._epoch_start, self._last, self._paused = now, None, None
        self._epoch_images, self._epoch_seconds, self._overhead_now = 0, 0.0, 0.0

    def add_batch(self, now: float, images: int) -> None:
        """Add a finished batch. The first one of an epoch only starts the clock."""
        if self._last is None:
            self._overhead_now += now - (now if self._epoch_start is None else self._epoch_start)
        else:
            self._add(now - self._last)
            self._images += images
            self._epoch_images += images
            self._batches += 1
        self._last = now

    def pause(self, now: float) -> None:
        """Stop the clock before other work; the device must have finished its training work."""
        if self._last is not None:
            self._add(now - self._last)
        self._paused = now

    def resume(self, now: float) -> None:
        """Restart the clock after the other work."""
        if self._paused is not None:
            self._overhead_now += now - self._paused
        if self._last is not None:
            self._last = now
        self._paused = None

    @property
    def rate(self) -> float | None:
        """Training images per second over all processes and epochs so far; None before the second batch."""
        return self._images * self.world_size / self._seconds if self._images and self._seconds else None

    @property
    def epoch_rate(self) -> float | None:
        """Training images per second in this epoch; None before its second batch."""
        if not self._epoch_images or not self._epoch_seconds:
            return None
        return self._epoch_images * self.world_size / self._epoch_seconds

    def epoch_seconds(self, now: float) -> float:
        """Return the seconds since the start of the epoch."""
        return 0.0 if self._epoch_start is None else now - self._epoch_start

    def seconds_left(self, batches: float, epochs: float) -> float | None:
        """Estimate the seconds for `batches` more batches in `epochs` epochs, this one included; None if unknown."""
        if not self._batches or math.isinf(batches) or math.isinf(epochs):
            return None
        overhead = max(self._overhead or 0.0, self._overhead_now)
        rest = max(0.0, overhead - self._overhead_now)
        return self._seconds / self._batches * max(0.0, batches) + rest + overhead * max(0.0, epochs - 1)

    def _add(self, seconds: float) -> None:
        self._seconds += seconds
        self._epoch_seconds += seconds
