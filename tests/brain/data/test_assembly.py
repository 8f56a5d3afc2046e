"""Averaging of repetitions against the reference's numbers, xarray's groupby and a plain loop."""

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cornet.brain.data import assembly as module
from cornet.brain.data.assembly import average_repetitions, by_repetition, presentation_counts
from cornet.errors import CornetError
from tests.helpers.brain.golden_comparisons import golden
from tests.helpers.brain.small_bundles import make_assembly


def golden_assembly() -> xr.DataArray:
    expected = golden("averaging")
    names = ("variation", "object_name", "stimulus_id", "repetition")
    return xr.DataArray(
        expected["values"],
        dims=("presentation", "neuroid"),
        coords={name: ("presentation", expected[name]) for name in names},
    )


def by_loop(values, keys):
    """Rows of equal keys in sorted order, each added up in the order of the file: the definition."""
    means = []
    for key in sorted(set(keys)):
        total, number = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        for row, other in zip(values.astype(float), keys, strict=True):
            if other == key:
                there = ~np.isnan(row)
                total[there] += row[there]
                number += there
        with np.errstate(invalid="ignore"):
            means.append(total / number)
    return np.array(means)


@pytest.mark.parametrize("block", [2**26, 100, 1])
def test_the_reference_to_the_last_bit(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    mean = average_repetitions(golden_assembly())
    expected = golden("averaging")
    assert mean.dims == ("stimulus", "neuroid")
    assert mean.coords["stimulus_id"].values.tolist() == expected["mean_stimulus_id"].tolist()
    np.testing.assert_array_equal(mean.values, expected["mean"])
    assert "repetition" not in mean.coords


def test_the_order_is_that_of_the_coordinates_in_the_file():
    assembly = golden_assembly()
    other = xr.DataArray(
        assembly.values,
        dims=assembly.dims,
        coords={
            name: assembly.coords[name] for name in ("stimulus_id", "variation", "object_name", "repetition")
        },
    )
    ids = average_repetitions(other).coords["stimulus_id"].values
    assert ids.tolist() == sorted(ids)
    assert ids.tolist() != golden("averaging")["mean_stimulus_id"].tolist()


@settings(max_examples=60, deadline=None)
@given(
    stimuli=st.integers(1, 12),
    repetitions=st.integers(1, 20),
    neuroids=st.integers(
        2, 5
    ),  # of a single one numpy adds the repetitions pairwise, and differs in the last bit
    kind=st.sampled_from([np.float32, np.float64]),
    turned=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_plain_loop_and_xarrays_groupby_give_the_same_bits(
    stimuli, repetitions, neuroids, kind, turned, seed
):
    rng = np.random.default_rng(seed)
    # Many a presentation is lacking, and some stimuli hold one coordinate in common.
    shown = rng.permutation(stimuli * repetitions)[: rng.integers(1, stimuli * repetitions + 1)]
    stimulus = shown % stimuli
    values = rng.standard_normal((len(shown), neuroids)).astype(kind)
    values[rng.random(values.shape) < 0.2] = np.nan
    size = rng.integers(0, 3, stimuli).astype(float)[stimulus]
    ids = np.array([f"s{i}" for i in range(stimuli)])[stimulus]
    assembly = xr.DataArray(
        values,
        dims=("presentation", "neuroid"),
        coords={
            "size": ("presentation", size),
            "stimulus_id": ("presentation", ids),
            "repetition": ("presentation", shown // stimuli),
        },
    )
    mean = average_repetitions(assembly.transpose("neuroid", "presentation") if turned else assembly)
    np.testing.assert_array_equal(mean.values, by_loop(values, list(zip(size, ids, strict=True))))
    groups = assembly.drop_vars(["size", "repetition"]).astype(float).groupby("stimulus_id")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = groups.mean(skipna=True).transpose("stimulus_id", "neuroid")
    np.testing.assert_array_equal(mean.values[np.argsort(mean.coords["stimulus_id"].values)], expected.values)


def test_coordinates_that_are_nan_keep_their_stimuli_and_put_them_last():
    assembly = make_assembly(6, 4).isel(time_bin=0)
    angle = np.where(assembly.coords["object_name"].values == "bear", np.nan, 3.0)
    coords = {"angle": ("presentation", angle), "stimulus_id": assembly.coords["stimulus_id"]}
    mean = average_repetitions(xr.DataArray(assembly.values, coords, ("presentation", "neuroid")))
    assert mean.coords["stimulus_id"].values.tolist() == ["im01", "im02", "im04", "im05", "im00", "im03"]
    assert np.isnan(mean.coords["angle"].values[-2:]).all()


def test_a_coordinate_that_splits_stimuli_is_named_and_can_be_ignored():
    assembly = make_assembly(6, 4).isel(time_bin=0)
    expected = average_repetitions(assembly)
    trial = np.arange(24) // 2
    split = assembly.assign_coords(trial=("presentation", trial))
    with pytest.raises(CornetError, match=r"^the presentation coordinate 'trial' varies within \d of 6 "):
        average_repetitions(split)
    mean = average_repetitions(split, ignore=["trial"])
    np.testing.assert_array_equal(mean.values, expected.values)
    assert "trial" not in mean.coords
    with pytest.raises(
        CornetError, match=r"ignore='tria' is not a presentation coordinate .* object_name, stimulus_id"
    ):
        average_repetitions(split, ignore=["tria"])


def test_an_assembly_without_stimulus_id_is_refused():
    with pytest.raises(CornetError, match="but stimulus_id is required; add it"):
        average_repetitions(make_assembly().isel(time_bin=0).drop_vars("stimulus_id"))


def test_an_index_of_the_rows_does_not_split():
    assembly = make_assembly().isel(time_bin=0)
    indexed = assembly.assign_coords(presentation=np.arange(24))
    np.testing.assert_array_equal(average_repetitions(indexed).values, average_repetitions(assembly).values)


def test_repetitions_stand_where_they_belong():
    assembly = make_assembly(6, 4).isel(time_bin=0)
    assembly = assembly.assign_coords(repetition=("presentation", 10 * assembly.coords["repetition"].values))
    assembly = assembly.isel(presentation=assembly.coords["repetition"].values != 20)
    assembly = assembly.isel(presentation=slice(3, None))  # some are lacking
    result = by_repetition(assembly)
    assert result.dims == ("repetition", "stimulus", "neuroid")
    assert result.shape == (3, 6, 5)
    assert result.dtype == np.float32
    assert result.coords["repetition"].values.tolist() == [0, 10, 30]
    order = average_repetitions(assembly).coords["stimulus_id"].values.tolist()
    assert result.coords["stimulus_id"].values.tolist() == order
    expected = np.full(result.shape, np.nan)
    for i, row in enumerate(assembly.values):
        at = [0, 10, 30].index(assembly.coords["repetition"].values[i])
        expected[at, order.index(assembly.coords["stimulus_id"].values[i])] = row
    np.testing.assert_array_equal(result.values, expected)
    assert presentation_counts(assembly) is None


def test_halves_of_weighted_repetitions_are_means_over_presentations():
    """Where a stimulus is shown several times within a repetition, as the reference's halves weigh it."""
    rng = np.random.default_rng(1)
    assembly = make_assembly(6, 8).isel(time_bin=0).astype(float)
    assembly = assembly.assign_coords(repetition=("presentation", rng.integers(0, 4, 48)))
    values, weights = by_repetition(assembly).values, presentation_counts(assembly)
    assert weights.max() > 1
    assert weights.shape == values.shape
    for half in ([0, 2], [1, 3]):
        rows = np.isin(assembly.coords["repetition"].values, half)
        keys = [
            (o, s)
            for o, s in zip(assembly.object_name.values[rows], assembly.stimulus_id.values[rows], strict=True)
        ]
        expected = by_loop(assembly.values[rows], keys)
        total = np.where(weights[half] > 0, values[half] * weights[half], 0).sum(axis=0)
        with np.errstate(invalid="ignore"):
            got = total / weights[half].sum(axis=0)
        present = [
            i
            for i, s in enumerate(average_repetitions(assembly).stimulus_id.values)
            if s in {k[1] for k in keys}
        ]
        np.testing.assert_allclose(got[present], expected, rtol=1e-12)


def test_repetitions_that_are_not_numbered_are_refused():
    assembly = make_assembly().isel(time_bin=0)
    with pytest.raises(CornetError, match="has no coordinate repetition along presentation"):
        by_repetition(assembly.drop_vars("repetition"))
    holes = np.where(np.arange(24) < 3, np.nan, 1.0)
    with pytest.raises(CornetError, match="is NaN in 3 presentations; number every repetition"):
        by_repetition(assembly.assign_coords(repetition=("presentation", holes)))


def test_counts_are_averaged_as_numbers():
    assembly = make_assembly().isel(time_bin=0).fillna(3).round().astype("int16")
    np.testing.assert_array_equal(
        average_repetitions(assembly).values, average_repetitions(assembly.astype(float)).values
    )
