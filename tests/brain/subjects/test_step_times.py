import pytest

from cornet.brain.subjects.step_times import network_intervals, step_for
from cornet.errors import CornetError
from cornet.models import create_model

SMALL = {"width": 0.125, "num_classes": 2}


def intervals(name, times=None, **options):
    return network_intervals(create_model(name, times=times, **SMALL).area_table, **options)


def test_published_commitments():
    assert intervals("cornet_s") == {
        "V1": ((50, 150),),
        "V2": ((70, 170), (170, 270)),
        "V4": ((90, 140), (140, 190), (190, 240), (240, 290)),
        "IT": ((100, 200), (200, 300)),
    }
    assert intervals("cornet_z") == {
        "V1": ((50, 150),),
        "V2": ((70, 170),),
        "V4": ((90, 190),),
        "IT": ((100, 200),),
    }
    clock = ((50, 80), (80, 110), (110, 140), (140, 170), (170, 200))
    later = (None, *clock[1:])
    assert intervals("cornet_r") == {"V1": clock, "V2": later, "V4": later, "IT": later}
    assert intervals("cornet_rt")["IT"] == (None, None, None, *clock[3:])


def test_variants_keep_onset_and_length_and_add_steps_after():
    assert intervals("cornet_s", {"V4": 6})["V4"][4:] == ((290, 340), (340, 390))
    assert intervals("cornet_rt", 7)["V1"][5:] == ((200, 230), (230, 260))


def test_onset_and_step_length_are_options():
    found = intervals("cornet_s", onset={"IT": 120}, step_length={"IT": 40})
    assert found["IT"] == ((120, 160), (160, 200))
    assert found["V2"] == ((70, 170), (170, 270))
    assert intervals("cornet_r", step_length=10)["V1"][1] == (60, 70)


@pytest.mark.parametrize(
    ("area", "time_bin", "step"),
    [
        ("V4", None, 0),  # 70-170: the static benchmarks see the first step
        ("IT", (70, 80), 0),
        ("IT", (149, 160), 0),
        ("IT", (150, 160), 0),  # a tie: the earlier
        ("IT", (151, 160), 1),
        ("V4", (190, 200), 2),
        ("V4", (1000, 1010), 3),
    ],
)
def test_the_step_that_starts_nearest_to_the_bins_start(area, time_bin, step):
    assert step_for(intervals("cornet_s")[area], time_bin) == step


def test_steps_before_the_image_arrives_answer_for_no_time():
    assert step_for(intervals("cornet_rt")["IT"], (0, 10)) == 3


def test_ost_bins_of_cornet_s_see_two_steps_of_it():
    bins = [(70 + 10 * i, 80 + 10 * i) for i in range(18)]
    assert [step_for(intervals("cornet_s")["IT"], one) for one in bins] == [0] * 9 + [1] * 9


@pytest.mark.parametrize(
    "options",
    [{"onset": {"V3": 50}}, {"onset": {"V1": -1}}, {"step_length": 0}, {"step_length": {"IT": float("nan")}}],
)
def test_options_out_of_range(options):
    with pytest.raises(CornetError):
        intervals("cornet_s", **options)


def test_bins_that_are_none():
    with pytest.raises(CornetError, match="time_bin"):
        step_for([(0, 10)], (100, 70))
    with pytest.raises(CornetError, match="no step has an interval"):
        step_for([None])
