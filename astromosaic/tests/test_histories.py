"""Histories in: mass is kept, times are found wherever they are, and nothing is made up."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table

from astromosaic.catalog import read_input, read_table
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.properties import LOOKBACK_EDGES

N = 3
WIDTH = np.diff(LOOKBACK_EDGES)
MIDDLES = np.r_[0.005, np.sqrt(LOOKBACK_EDGES[1:-1] * LOOKBACK_EDGES[2:])]
SFR = u.solMass / u.yr


def assert_same(a, b, rtol=1e-5):
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_allclose(a.value, b.value, rtol=rtol)
    np.testing.assert_allclose(a.error, b.error, rtol=rtol)


def history(values, time=None, name="sfh", **columns):
    """The measurement of a history, and how it was read."""
    table = QTable({name: values, **columns})
    galaxies, reading = read_input(table, lookback_time=time)
    return galaxies.vectors[name], reading


@pytest.fixture
def rng():
    return np.random.default_rng(9)


@pytest.fixture
def rates(rng):
    """Star formation rates in our own bins."""
    return 10 ** rng.uniform(-4, 2, (N, len(WIDTH)))


def test_own_bins_come_back_exactly(rates):
    error = 0.1 * rates * SFR
    expected, reading = history(rates * SFR, sfh_err=error)
    np.testing.assert_allclose(expected.value, rates, rtol=1e-6)
    np.testing.assert_allclose(expected.error, 0.1 * rates, rtol=1e-6)
    assert np.all(expected.state == MEASURED)
    assert any("no times" in note for note in reading.notes)
    assert reading.columns == {"sfh": "sfh", "sfh_err": "sfh_err"}
    for time in (LOOKBACK_EDGES * u.Gyr, MIDDLES * u.Gyr):
        assert_same(history(rates * SFR, time, sfh_err=error)[0], expected)
    mass = 10 ** np.linspace(12, 8, 31) * np.ones((N, 1))
    mass[:, 28:] = 0
    for time in (None, LOOKBACK_EDGES * u.Gyr, MIDDLES * u.Gyr):
        result, _ = history(mass * u.solMass, time, "mah")
        np.testing.assert_allclose(result.value, mass, rtol=1e-5)
        assert np.all(result.state == MEASURED)


@pytest.mark.parametrize("count", [3, 14, 31, 200])
def test_mass_is_kept(rng, count):
    inner = np.sort(rng.uniform(0, 13.8, count - 1))
    edges = np.r_[0, inner, 13.8]
    rates = rng.uniform(0, 10, (N, count))
    result, _ = history(rates * SFR, edges * u.Gyr)
    assert np.all(result.state == MEASURED)
    np.testing.assert_allclose(result.value @ WIDTH, rates @ np.diff(edges), rtol=1e-5)


def test_three_bins_are_valid():
    result, reading = history(np.array([[1.0, 2.0, 3.0]]) * SFR, [0, 0.1, 1, 3] * u.Gyr)
    told = result.state[0] == MEASURED
    assert np.all(told[LOOKBACK_EDGES[1:] < 3])
    assert not np.any(told[LOOKBACK_EDGES[:-1] > 3])
    assert set(np.unique(result.value[0, LOOKBACK_EDGES[1:] < 0.1])) == {1.0}
    assert any("3 times from 0 to 3 Gyr" in note for note in reading.notes)


def test_half_a_bin_is_enough():
    low, high = LOOKBACK_EDGES[20:22]
    for part, state in ((0.51, MEASURED), (0.49, MISSING)):
        time = [0, low, low + part * (high - low)] * u.Gyr
        result, _ = history(np.array([[1.0, 5.0]]) * SFR, time)
        assert result.state[0, 20] == state
        assert np.all(result.state[0, 21:] == MISSING)
    assert result.value[0, 20] == 0


def test_units_and_order_agree(rates):
    edges = np.linspace(0, 13.8, 32) * u.Gyr
    expected, _ = history(rates * SFR, edges, sfh_err=0.1 * rates * SFR)
    for unit in ("solMass / Gyr", "kg / s"):
        converted = (rates * SFR).to(unit)
        assert_same(history(converted, edges.to(u.Myr), sfh_err=0.1 * converted)[0], expected)
    turned, error = rates[:, ::-1] * SFR, 0.1 * rates[:, ::-1] * SFR
    assert_same(history(turned, edges[::-1], sfh_err=error)[0], expected)
    middles = 0.5 * (edges[1:] + edges[:-1])
    assert_same(history(rates * SFR, middles, sfh_err=0.1 * rates * SFR)[0], expected)


def test_log_masses(rng):
    time, log_mass = np.linspace(0, 13.8, 50), np.linspace(13, 9, 50) * np.ones((N, 1))
    linear, _ = history(10**log_mass * u.solMass, time * u.Gyr, "mah")
    dex = Table({"mah": Column(log_mass, unit=u.dex(u.solMass))})
    same, _ = read_input(dex, lookback_time=time * u.Gyr)
    assert_same(linear, same.vectors["mah"])
    # A straight line in log mass against time is kept as it is.
    np.testing.assert_allclose(np.log10(linear.value[0]), 13 - 4 * MIDDLES / 13.8, atol=1e-5)
    error = Column(np.full((N, 50), 0.2), unit="dex")
    dex["mah_err"] = error
    with_errors = read_input(dex, lookback_time=time * u.Gyr)[0].vectors["mah"]
    np.testing.assert_allclose(with_errors.error / linear.value, 0.2 * np.log(10), rtol=1e-5)


def test_masses_beyond_the_times_are_missing():
    time = np.linspace(0.2, 5, 40)
    result, _ = history(np.full((1, 40), 1e12) * u.solMass, time * u.Gyr, "mah")
    np.testing.assert_array_equal(result.state[0] == MEASURED, (MIDDLES >= 0.2) & (MIDDLES <= 5))


def test_missing_elements_do_not_leak(rates):
    bad = np.zeros(rates.shape, bool)
    bad[1, 10:12] = bad[2] = True
    expected, _ = history(rates * SFR)
    nan = history(np.where(bad, np.nan, rates) * SFR)[0]
    table = Table({"sfh": MaskedColumn(np.where(bad, 1e30, rates), mask=bad, unit=SFR)})
    galaxies, reading = read_table(table)
    assert_same(galaxies.vectors["sfh"], nan)
    assert reading.counts["masked"] == bad.sum()
    np.testing.assert_array_equal(nan.state == MISSING, bad)
    np.testing.assert_array_equal(nan.value[~bad], expected.value[~bad])
    # A coarse bin that is missing takes all of ours with it, and no other.
    result, _ = history(np.array([[1.0, np.nan, 3.0]]) * SFR, [0, 1, 2, 13.8] * u.Gyr)
    told = result.state[0] == MEASURED
    assert not told[(LOOKBACK_EDGES[:-1] > 1) & (LOOKBACK_EDGES[1:] < 2)].any()
    assert set(np.unique(result.value[0, told])) == {1.0, 3.0}
    mass = np.where(bad, np.nan, 1e12) * u.solMass
    assert_state = history(mass, name="mah")[0].state
    np.testing.assert_array_equal(assert_state == MISSING, bad)


def test_errors_keep_the_information(rng):
    for count in (5, 3000):
        edges = np.linspace(0, 13.8, count + 1) * u.Gyr
        result, _ = history(
            np.ones((1, count)) * SFR, edges, sfh_err=np.full((1, count), 0.3) * SFR
        )
        information = np.sum(result.error[0].astype(float) ** -2)
        assert information == pytest.approx(count / 0.3**2, rel=1e-4)


def test_states_of_errors(rates):
    error = 0.1 * rates
    error[0, :4] = 0.0, np.nan, -1.0, np.inf
    result, reading = history(rates * SFR, sfh_err=error * SFR)
    np.testing.assert_array_equal(result.state[0, :4], [MEASURED, MEASURED, MISSING, MISSING])
    assert np.isnan(result.error[0, :2]).all()
    np.testing.assert_allclose(result.error[0, 4:], error[0, 4:], rtol=1e-6)
    assert reading.counts["negative or infinite error"] == 2


def test_where_the_times_are_found(rates):
    times = np.linspace(0, 12, 11)
    values = rates[:, :10]
    expected, _ = history(values * SFR, times * u.Gyr)

    def read(column_meta=None, table_meta=None, lookback_time=None):
        table = Table({"rate": Column(values, unit=SFR, meta=column_meta)}, meta=table_meta)
        return read_input(table, {"rate": "sfh"}, lookback_time=lookback_time)[0].vectors["sfh"]

    wrong = {"lookback_time_edges": 0.5 * times * u.Gyr}
    for meta in (
        {"lookback_time_edges": times * u.Gyr},
        {"lookback_edges": (1e3 * times).tolist(), "lookback_time_unit": "Myr"},
        {"lookback_time": times.tolist(), "lookback_time_unit": "Gyr"},
        {"lookback_time_edges": (times.tolist(), "Gyr")},
        {"LOOKBACK_TIME_EDGES": times * u.Gyr},
    ):
        assert_same(read(meta), expected)
        assert_same(read(None, meta), expected)
        assert_same(read(meta, wrong), expected)
        assert_same(read(None, {f"rate_{k}": v for k, v in meta.items()} | wrong), expected)
    assert_same(read(wrong, wrong, times * u.Gyr), expected)
    assert_same(read(wrong, None, {"rate": times * u.Gyr}), expected)
    assert_same(read(wrong, None, {"sfh": times * u.Gyr}), expected)
    assert not np.allclose(read(wrong).value, expected.value)
    with pytest.raises(ValueError, match="'rate': its axis 'lookback_time' in meta has no unit"):
        read({"lookback_time": times.tolist()})
    for no_axis in ("times", 3.0, [1.0, "b", "c"]):
        with pytest.raises(ValueError, match="'rate'"):
            read({"lookback_time": no_axis, "lookback_time_unit": "Gyr"})


def test_names(rates):
    table = QTable({"star_formation_history": rates * SFR})
    table["mass_accretion_history"] = np.full((N, 31), 1e12) * u.solMass
    galaxies, reading = read_table(table)
    assert galaxies.vectors.keys() == {"sfh", "mah"}
    assert reading.columns["star_formation_history"] == "sfh"
    left_out, _ = read_table(table, {"star_formation_history": None})
    assert left_out.vectors.keys() == {"mah"}


# What is wrong is said


@pytest.mark.parametrize(
    ("values", "unit", "time", "message"),
    [
        (-np.ones((N, 31)), "solMass / yr", None, "'sfh' has negative values, first in row 0"),
        (np.ones((N, 31)), None, None, r"'sfh' has no unit"),
        (np.ones((N, 31)), "solMass", None, "'sfh' has unit 'solMass'"),
        (np.ones((N, 31)), "mag(AB)", None, "'sfh' has unit 'mag"),
        (np.ones(N), "solMass / yr", None, "an array in each row"),
        (np.ones((N, 10)), "solMass / yr", None, "'sfh' has 10 elements, but no times"),
        (np.ones((N, 10)), "solMass / yr", np.ones(11) * u.um, "'sfh' are not times"),
        (np.ones((N, 10)), "solMass / yr", np.arange(11), "'sfh' are not times"),
        (np.ones((N, 10)), "solMass / yr", np.arange(12) * u.Gyr, "11 edges or 10 middles"),
        (np.ones((N, 10)), "solMass / yr", np.zeros(11) * u.Gyr, "in order"),
        (np.ones((N, 10)), "solMass / yr", np.arange(-1, 10) * u.Gyr, "not negative"),
        (np.ones((N, 10)), "solMass / yr", {"mah": np.arange(11) * u.Gyr}, "'mah', which no"),
        (np.ones((N, 1)), "solMass / yr", [1.0] * u.Gyr, "'sfh' has one bin"),
    ],
)  # fmt: skip
def test_wrong_columns_are_named(values, unit, time, message):
    with pytest.raises(ValueError, match=message):
        read_input(Table({"sfh": Column(values, unit=unit)}), lookback_time=time)


def test_other_errors(rates):
    table = QTable({"sfh": rates * SFR, "sfh_err": rates[:, :5] * SFR})
    with pytest.raises(ValueError, match="'sfh_err' has shape"):
        read_table(table)
    table["sfh_err"] = rates * u.solMass
    with pytest.raises(ValueError, match="'sfh' has unit .* its errors 'solMass'"):
        read_table(table)
    with pytest.raises(ValueError, match="no column holds sfh or mah"):
        read_input(QTable({"lsst_r": [1.0] * u.nJy}), lookback_time=LOOKBACK_EDGES * u.Gyr)
    with pytest.raises(ValueError, match="filters of mag_g, mag_r are not known"):
        read_table(
            Table({"sfh": Column(rates, unit=SFR), "mag_g": np.ones(N), "mag_r": np.ones(N)})
        )


def test_stars_before_the_big_bang_are_warned_of():
    def table(redshift, **columns):
        rates = [[1.0, 2.0, 3.0]] * u.solMass / u.yr
        return QTable({"redshift": [redshift], "sfh": rates, **columns})

    time = [0.0, 4.0, 8.0, 13.0] * u.Gyr
    with pytest.warns(UserWarning, match="before the Big Bang in 1 galaxies"):
        _, reading = read_input(table(2.0), lookback_time=time)
    assert "Big Bang" in reading.notes[-1]
    with pytest.warns(UserWarning, match="before the Big Bang"):
        read_input(table(2.0, redshift_err=[1e-4]), lookback_time=time)
    # What interpolation leaves behind the last mass that is not zero is no fault.
    mah = [[1e12, 5e11, 1e11, 2e10, 1e9, 0.0, 0.0]] * u.solMass
    right = QTable({"redshift": [2.0], "mah": mah})
    read_input(right, lookback_time=[0, 1, 2, 3, 3.3, 4, 8] * u.Gyr)
    # There is time enough, or it is not known exactly when.
    read_input(table(0.01), lookback_time=time)
    read_input(table(2.0, redshift_err=[0.5]), lookback_time=time)


def test_no_stars_in_dex_with_errors_are_known():
    table = QTable({"sfh": [[-np.inf, 0.0, 1.0]] * u.dex(u.solMass / u.yr)})
    table["sfh_err"] = np.full((1, 3), 0.1) * u.dex
    time = [0, 0.1, 1, 3] * u.Gyr
    galaxies, _ = read_input(table, lookback_time=time)
    table["sfh"], table["sfh_err"] = (
        [[0.0, 1.0, 10.0]] * u.solMass / u.yr,
        [[0.0, 0.1 * np.log(10), np.log(10)]] * u.solMass / u.yr,
    )
    linear, _ = read_input(table, lookback_time=time)
    ours, theirs = galaxies.vectors["sfh"], linear.vectors["sfh"]
    np.testing.assert_array_equal(ours.state, theirs.state)
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-5)
    assert (ours.state[0, :3] == MEASURED).all()
