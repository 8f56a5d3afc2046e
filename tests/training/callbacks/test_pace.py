import math

import pytest

from cornet.training.callbacks.pace import Pace


def test_first_batch_and_validation_do_not_count():
    pace = Pace(world_size=2)
    pace.begin_epoch(0.0)
    assert pace.rate is pace.seconds_left(10, 1) is None
    pace.add_batch(100.0, 8)  # loaders start
    assert pace.rate is None
    pace.add_batch(101.0, 8)
    pace.add_batch(102.0, 8)
    assert pace.rate == pace.epoch_rate == 2 * 8
    pace.pause(104.0)  # the device needed two seconds more
    pace.resume(154.0)  # validation within the epoch
    pace.add_batch(155.0, 8)
    assert pace.rate == pytest.approx(2 * 24 / 5)
    assert pace.epoch_seconds(155.0) == 155.0


def test_time_left_includes_what_epochs_spend_beside_training():
    pace = Pace()
    pace.begin_epoch(0.0)
    for second in range(1, 6):
        pace.add_batch(float(second), 1)
    assert pace.seconds_left(5, 1) == 5.0  # nothing but the first batch is known yet
    pace.pause(5.0)
    pace.resume(25.0)
    assert pace.seconds_left(0, 1) == 0.0
    assert pace.seconds_left(10, 3) == 10.0 + 2 * 21.0
    pace.begin_epoch(30.0)  # 26 of the 30 seconds went beside
    pace.add_batch(31.0, 1)
    assert pace.seconds_left(4, 1) == 4.0 + 25.0
    assert pace.seconds_left(9, 2) == 9.0 + 25.0 + 26.0
    assert pace.seconds_left(math.inf, 1) is None
    assert pace.seconds_left(1, math.inf) is None
