"""How fast a training goes, and how long it will take."""

import math

__all__ = ["Pace"]


class Pace:
    """Images per second and time left, from times given in seconds of one clock.

    What an epoch spends beside training batches (validation, checkpoints, scores) is expected of later epochs too.
    """

    def __init__(self, world_size: int = 1) -> None:
        self.world_size = world_size
        self._images, self._batches, self._seconds = 0, 0, 0.0
        self._epoch_images, self._epoch_seconds = 0, 0.0
        self._epoch_start: float | None = None
        self._last: float | None = None
        self._paused: float | None = None
        self._beside: float | None = None
        self._beside_now = 0.0

    def begin_epoch(self, now: float) -> None:
        if self._epoch_start is not None:
            self._beside = max(0.0, now - self._epoch_start - self._epoch_seconds)
        self._epoch_start, self._last, self._paused = now, None, None
        self._epoch_images, self._epoch_seconds, self._beside_now = 0, 0.0, 0.0

    def add_batch(self, now: float, images: int) -> None:
        """A batch has ended. The first one of an epoch only starts the clock."""
        if self._last is None:
            self._beside_now += now - (now if self._epoch_start is None else self._epoch_start)
        else:
            self._add(now - self._last)
            self._images += images
            self._epoch_images += images
            self._batches += 1
        self._last = now

    def pause(self, now: float) -> None:
        """Something else begins; the device has done all its training work."""
        if self._last is not None:
            self._add(now - self._last)
        self._paused = now

    def resume(self, now: float) -> None:
        """It has ended."""
        if self._paused is not None:
            self._beside_now += now - self._paused
        if self._last is not None:
            self._last = now
        self._paused = None

    @property
    def rate(self) -> float | None:
        """Training images per second, over all processes and epochs so far; None before the second batch."""
        return self._images * self.world_size / self._seconds if self._images and self._seconds else None

    @property
    def epoch_rate(self) -> float | None:
        """The same of this epoch."""
        if not self._epoch_images or not self._epoch_seconds:
            return None
        return self._epoch_images * self.world_size / self._epoch_seconds

    def epoch_seconds(self, now: float) -> float:
        """Since the epoch began."""
        return 0.0 if self._epoch_start is None else now - self._epoch_start

    def left(self, batches: float, epochs: float) -> float | None:
        """Seconds for so many more batches, in so many epochs counting this one; None while that is not known."""
        if not self._batches or math.isinf(batches) or math.isinf(epochs):
            return None
        beside = max(self._beside or 0.0, self._beside_now)
        this_epoch = max(0.0, beside - self._beside_now)
        return self._seconds / self._batches * max(0.0, batches) + this_epoch + beside * max(0.0, epochs - 1)

    def _add(self, seconds: float) -> None:
        self._seconds += seconds
        self._epoch_seconds += seconds
