"""Random tables: whatever is in them, they are read right or refused with a reason.

``benchmarks/random_tables.py`` does the same with thousands of them.
"""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import astromosaic
from astromosaic.catalog import read_table
from astromosaic.galaxies import MEASURED, MISSING

from .random_tables import (
    Example,
    check,
    check_fault,
    check_prediction,
    check_states,
    examples,
    faulty,
    kind_of,
)

# Of NumPy, where tables are made: while they are read, warnings are errors.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")

FEW = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
ROWS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def model():
    return astromosaic.load_model()


@settings(max_examples=220, **FEW)
@given(examples(), ROWS)
def test_tables_are_read_right_or_refused_with_a_reason(example, seed):
    outcome = check(example, np.random.default_rng(seed), inspect=seed % 2 == 0)
    assert outcome == "read" or outcome.startswith("refused: ")


@settings(max_examples=80, **FEW)
@given(faulty())
def test_the_one_column_at_fault_is_named(drawn):
    check_fault(*drawn)


@settings(max_examples=15, **FEW)
@given(examples(faultless=True), ROWS)
def test_predictions_have_the_rows_of_the_table(model, example, seed):
    if check(example, np.random.default_rng(seed), inspect=False) == "read":
        check_prediction(example, model, np.random.default_rng(seed))


def test_the_checks_can_fail():
    table = Table({"lsst_r": MaskedColumn([1.0, 2.0, 3.0], mask=[0, 1, 0], unit="nJy")})
    galaxies, reading = read_table(table)
    check_states(Example(table), galaxies, reading)
    for wrong in (
        MaskedColumn([1.0, 2.0, np.nan], mask=[0, 1, 0], unit="nJy"),  # measured, but NaN
        MaskedColumn([1.0, 2.0, 3.0], mask=[0, 1, 1], unit="nJy"),  # measured, but masked
    ):
        with pytest.raises(AssertionError, match="measured"):
            check_states(Example(Table({"lsst_r": wrong})), galaxies, reading)


def test_most_of_the_random_tables_can_be_read():
    outcomes = []

    @settings(max_examples=40, **FEW)
    @given(examples())
    def collect(example):
        try:
            read_table(example.table, example.columns, example.lookback_time)
        except ValueError as error:
            outcomes.append(kind_of(error))
        else:
            outcomes.append("read")

    collect()
    assert outcomes.count("read") > 0.3 * len(outcomes)
    assert len(set(outcomes)) > 5


# What random tables have brought to light.


def test_answers_are_finite_for_values_that_cannot_be(model):
    table = Table({"dust_av": [1.0, 1e25], "sfh": np.full((2, 31), 1e38)})
    table["dust_av"].unit, table["sfh"].unit = u.mag, u.solMass / u.yr
    table["lsst_r"], table["lsst_r_err"] = [1e9, 1e9] * u.nJy, [1.0, 1e-39] * u.nJy
    _, reading = read_table(table)
    assert reading.counts["no valid dust_av"] == 1
    assert reading.counts["of an impossible size"] == 2 * 31 + 1
    result = model.predict(table)
    assert np.isfinite(result["redshift"][0])
    assert result["flag"][1] == 1


def test_a_ragged_column_of_one_row_is_no_column_of_numbers():
    cell = np.empty(1, dtype=object)
    cell[0] = np.zeros(3)
    with pytest.raises(ValueError, match="column 'lsst_r' has shape"):
        read_table(Table({"lsst_r": MaskedColumn(cell, unit=u.nJy)}))


def test_a_filter_that_columns_misspells_is_told_with_its_column():
    with pytest.raises(ValueError, match="columns= says 'lsst_q' of 'flux'"):
        read_table(Table({"flux": [1.0]}), columns={"flux": "lsst_q"})


@pytest.mark.parametrize("column", [Time([60000.0], format="mjd"), SkyCoord([1], [1], unit="deg")])
def test_times_and_positions_are_no_numbers(column):
    with pytest.raises(ValueError, match="'redshift' does not hold numbers"):
        read_table(Table({"redshift": column}))


def test_odd_columns_are_read_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy, when the table is made
        ra = Column(np.array([None], dtype=object), unit="deg")
        # The fill value of a masked column is more than half precision has.
        flux = MaskedColumn(np.ones(1, "f2"), mask=[False])
        table = QTable({"ra": ra, "i_cModelFlux": flux})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        galaxies, reading = read_table(table)
    assert galaxies.photometry.value == 1
    assert reading.id_columns == ["ra"]


def test_what_fills_masked_arrays_is_not_measured():
    filled = np.ma.masked_array([1.0, 2.0], mask=[False, True]).filled()
    galaxies, reading = read_table(Table({"i_cModelFlux": filled, "redshift": filled}))
    assert list(galaxies.photometry.state[:, 0]) == [MEASURED, MISSING]
    assert list(galaxies.scalars["redshift"].state) == [MEASURED, MISSING]
    assert reading.counts["masked"] == 2


def test_inverse_variances_in_magnitudes_are_refused_by_their_name():
    table = Table({"lsst_r": [20.0], "lsst_r_ivar": [100.0]})
    table["lsst_r"].unit = table["lsst_r_ivar"].unit = u.ABmag
    with pytest.raises(ValueError, match="'lsst_r_ivar' has unit .* inverse variances"):
        read_table(table)


def test_a_unit_of_several_parts_is_refused():
    table = Table({"lsst_r": [20.0]})
    table["lsst_r"].unit = u.Unit("(nJy, s)")
    with pytest.raises(ValueError, match="'lsst_r': unit .* is not understood"):
        read_table(table)


def test_exposures_that_cannot_be_are_left_out():
    wavelength = np.array([[2.0, np.inf, 2.01, 2.02, 2.03, 2.04]])
    table = Table({"lambda": wavelength, "lambda_width": 0.02 * wavelength})
    table["lambda_width"][0, 1] = -np.inf
    table["flux"] = np.array([[1.0, 1.0, 1e300, 1.0, 1.0, 1.0]])
    table["flux_err"] = np.array([[1.0, 1.0, 1.0, 1e300, 1e-300, 1.0]])
    table["flags"] = np.array([[2.0**21, 0, 0, 0, 0, -1e300]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        galaxies, reading = read_table(table)
    assert (galaxies.vectors["spherex"].state == MEASURED).sum() == 1
    assert reading.counts["exposures without flags"] == 1
    assert reading.counts["exposures without a positive and finite error"] == 2


@pytest.mark.parametrize("values", [[True, False], [1 + 1j, 2 + 0j], ["1.0", "2.0"], [b"1", b"2"]])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(ValueError, match="'lsst_r' does not hold numbers"):
        read_table(Table({"lsst_r": MaskedColumn(values, unit=u.nJy)}))
