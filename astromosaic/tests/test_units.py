"""Units: every spelling, every system of magnitudes, factors of h, and the table of states."""

from collections import Counter

import numpy as np
import pytest
from astropy import units as u
from astropy.cosmology.units import littleh, with_H0
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from astromosaic.catalog import read_table
from astromosaic.catalog.assign import Assignment
from astromosaic.catalog.units import parse_unit, to_njy, vega_unit
from astromosaic.catalog.values import pivots, read_fluxes
from astromosaic.filters import list_filters, load_filter
from astromosaic.galaxies import LIMIT, MEASURED, MISSING

#: AB minus Vega magnitude: WISE from Jarrett et al. (2011), 2MASS and SDSS from Blanton & Roweis
#: (2007), table 1.
PUBLISHED = {
    "wise_w1": 2.699, "wise_w2": 3.339, "wise_w3": 5.174, "wise_w4": 6.620,
    "twomass_J": 0.91, "twomass_H": 1.39, "twomass_Ks": 1.85,
    "sdss_u": 0.91, "sdss_g": -0.08, "sdss_r": 0.16, "sdss_i": 0.37, "sdss_z": 0.54,
}  # fmt: skip


def read(values, own_unit=None, errors=None, target="lsst_r", error_unit=None, **options):
    """The photometry of one column, read with these options of its `Assignment`."""
    table = Table({"x": MaskedColumn(values, unit=own_unit)})
    if errors is not None:
        table["e"] = MaskedColumn(errors, unit=error_unit)
        options["error"] = "e"
    for name in ("depth", "limit"):
        if name in options:
            values, *rest = options[name]
            table[name] = values
            options[name] = (name, *rest) if rest else name
    counts = Counter()
    length = np.shape(table["x"])[1:] or (None,)
    pivot = pivots(list_filters("spherex") if target == "spherex" else [target])
    m = read_fluxes(
        table, Assignment("x", target, 0, **options), pivot if length[0] else pivot[0], counts,
        *length,
    )  # fmt: skip
    return m, counts


# Spellings


@pytest.mark.parametrize(
    ("meant", "spellings"),
    [
        (u.ABmag, ["mag(AB)", "ABmag", "AB mag", "mag AB", "mag (AB)", "mag_AB", "[AB]", "AB"]),
        (u.STmag, ["mag(ST)", "STmag", "ST mag"]),
        (u.mag, ["mag", "MAG", "mags", "magnitude", " mag "]),
        (u.Unit("nmgy"), ["nmgy", "nMgy", "nanomaggy", "nanomaggies", "nano-maggies"]),
        (u.Unit("nmgy"), ["Nanomaggie"]),
        (u.Unit("mgy"), ["mgy", "maggy", "maggies", "Maggies"]),
        (u.Unit("1e-9 mgy"), ["1e-9 maggies"]),
        (u.Unit("nmgy-2"), ["1/nanomaggies^2", "nanomaggies^-2"]),
        (u.nJy, ["nJy", "NJY", "nanoJansky", "nanojanskys"]),
        (u.uJy, ["uJy", "ujy", "µJy", "μJy", "microJy", "microJansky"]),
        (u.mJy, ["mJy", "milliJy", "milliJansky"]),
        (
            u.Unit("1e-17 erg / (s cm2 Angstrom)"),
            ["1e-17 erg/cm^2/s/Ang", "10^-17 erg/s/cm2/A", "1e-17 erg s-1 cm-2 Angstrom-1",
             "1E-17*ergs/s/cm^2/A"],
        ),
        (u.Unit("erg / (s cm2 Angstrom)"), ["ergs/cm^2/s/A"]),
        (u.Unit("solMass"), ["Msun", "M_sun", "M_SUN", "Msol", "solMass"]),
        (
            u.Unit("dex(solMass)"),
            ["log(Msun)", "log10(M_sun)", "[Msun]", "log(M/Msun)", "dex(Msun)", "log Msun"],
        ),
        (u.Unit("dex(solMass / yr)"), ["log(Msun/yr)", "[Msun/yr]", "log(SFR/(Msun/yr))"]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_spellings(meant, spellings):
    for spelling in spellings:
        assert parse_unit("x", spelling) == meant, spelling
        # As a column has it, of which the unit may not have been understood.
        column = Column([1.0], unit=u.Unit(spelling, parse_strict="silent"))
        assert parse_unit("x", column.unit) == meant, spelling


def test_units_that_are_understood_stay_as_they_are():
    for unit in (u.nJy, u.ABmag, u.Unit("W / (m2 Hz)"), u.A, u.AA, u.h, u.Unit("dex(solMass)")):
        assert parse_unit("x", unit) is unit
    assert parse_unit("x", None) is None
    assert parse_unit("x", " ") is None


@pytest.mark.parametrize("unit", ["furlong", "mag(cup)", "log(furlong)", "M_moon", "MJY"])
def test_what_is_not_understood_is_named(unit):
    with pytest.raises(ValueError, match="column 'x'.*not understood"):
        parse_unit("x", unit)


@pytest.mark.parametrize(
    ("unit", "why"),
    [("erg / s", "luminosity"), ("W / Hz", "luminosity"), ("Lsun", "luminosity"),
     ("ct / s", "zero point"), ("erg / (s cm2)", "whole line"), ("m", "no flux density"),
     ("Jy / beam", "no flux density")],
)  # fmt: skip
def test_no_flux_density(unit, why):
    with pytest.raises(ValueError, match=f"column 'x' has unit.*{why}"):
        read([1.0], unit)


# Fluxes


@pytest.mark.parametrize("name", ["lsst_u", "twomass_Ks"])
def test_all_units_of_flux_are_one(name):
    nanojansky = np.array([1e3, -20.0, 0.0, 3e6])
    expected, _ = read(nanojansky, "nJy", [10.0] * 4, name, "nJy")
    f_lambda = 1 / (1 * u.nJy).to_value(
        "erg / (s cm2 Angstrom)", u.spectral_density(load_filter(name).pivot_wavelength)
    )
    in_njy = {
        "uJy": 1e3, "mJy": 1e6, "Jy": 1e9, "nanomaggies": 3630.7805, "maggies": 3.6307805e12,
        "erg / (s cm2 Hz)": 1e32, "W / (m2 Hz)": 1e35, "erg/s/cm2/A": f_lambda,
    }  # fmt: skip
    for spelling, scale in in_njy.items():
        unit = parse_unit("x", spelling)
        got, _ = read(nanojansky / scale, unit, np.full(4, 10 / scale), name, unit)
        np.testing.assert_allclose(got.value, expected.value, rtol=1e-5, err_msg=spelling)
        np.testing.assert_allclose(got.error, expected.error, rtol=1e-5, err_msg=spelling)
        np.testing.assert_array_equal(got.state, MEASURED)


def test_inverse_variances():
    flux, ivar = [1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 0.0, -1.0, np.nan, np.inf]
    for unit in ("1/nanomaggies^2", None):
        m, counts = read(
            flux, "nmgy", ivar, error_unit=unit and parse_unit("e", unit), unit="nmgy",
            inverse_variance=True,
        )  # fmt: skip
        np.testing.assert_array_equal(m.state, [MEASURED, MISSING, MISSING, MEASURED, MISSING])
        np.testing.assert_allclose(m.error[0], 0.5 * 3630.7805, rtol=1e-5)
        assert np.isnan(m.error[3])
        assert counts == {"zero, negative or infinite error": 3}
    with pytest.raises(ValueError, match="errors have"):
        read(flux, "nmgy", ivar, error_unit="nmgy", inverse_variance=True)


@pytest.mark.parametrize(
    ("name", "unit", "values"),
    [
        ("redshift", None, [0.1, 0.2]),
        ("stellar_mass", "solMass", [1e10, 2e11]),
        ("stellar_mass", "dex(solMass)", [10.0, 11.3]),
        ("metallicity", "dex", [-0.5, 0.1]),
        ("spectrum", "uJy", np.full((2, 1071), 3.0)),
        ("sfh", "solMass / yr", np.full((2, 31), 3.0)),
        ("mah", "dex(solMass)", np.full((2, 31), 11.0)),
        ("spherex", "uJy", np.full((2, 102), 3.0)),
        ("lsst_r", "mag(AB)", [20.0, 21.0]),
    ],
)
@pytest.mark.parametrize("has_unit", [True, False])
def test_inverse_variances_stand_for_errors_of_everything(name, unit, values, has_unit):
    own = None if unit is None else u.Unit(unit)
    of_errors = {"dex(": u.dex, "mag(": u.mag}.get(str(unit)[:4], own)
    sigma = np.full(np.shape(values), 0.02) * np.mean(values)
    table = Table({name: Column(values, unit=own)})
    table[name + "_err"] = Column(np.abs(sigma), unit=of_errors)
    expected, _ = read_table(table)
    table[name + "_ivar"] = Column(sigma**-2.0)
    if has_unit and own is not None:
        table[name + "_ivar"].unit = of_errors**-2
    del table[name + "_err"]
    got, reading = read_table(table)
    assert reading.columns[name + "_ivar"] == name + "_ivar"
    for group in ("scalars", "vectors"):
        for key, m in getattr(expected, group).items():
            np.testing.assert_allclose(getattr(got, group)[key].error, m.error, rtol=1e-5)
            assert np.isfinite(m.error[m.state == MEASURED]).all()
    if expected.photometry is not None:
        np.testing.assert_allclose(got.photometry.error, expected.photometry.error, rtol=1e-5)
    # Nothing is known where it is zero or no inverse variance at all.
    for bad in (0.0, -1.0, np.inf):
        table[name + "_ivar"][0] = bad
        galaxies, _ = read_table(table)
        m = {**galaxies.scalars, **galaxies.vectors}.get(name, galaxies.photometry)
        assert np.all(m.state[0] == MISSING)
        assert np.any(m.state[1] == MEASURED)


# Magnitudes


def test_ab_and_st_magnitudes():
    m, _ = read([20.0, 22.5], "mag(AB)", [0.1, 0.2])
    np.testing.assert_allclose(m.value, [36307.805, 3630.7805], rtol=1e-5)
    np.testing.assert_allclose(m.error, m.value * 0.4 * np.log(10) * [0.1, 0.2], rtol=1e-5)
    st, _ = read([20.0], "mag(ST)")
    f_lambda = 10 ** (-0.4 * (20.0 + 21.1)) * u.Unit("erg / (s cm2 Angstrom)")
    expected = f_lambda.to_value(u.nJy, u.spectral_density(load_filter("lsst_r").pivot_wavelength))
    np.testing.assert_allclose(st.value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_vega_magnitudes_agree_with_published_zero_points(name):
    offset = load_filter(name).vega_to_ab.value
    assert abs(offset - PUBLISHED[name]) < 0.04
    for unit in ("mag(Vega)", "mag(VEGA)", "VEGAmag", "Vega mag"):
        m, _ = read([15.0], u.Unit(unit, parse_strict="silent"), [0.1], name)
        expected, _ = read([15.0 + offset], "mag(AB)", [0.1], name)
        np.testing.assert_allclose(m.value, expected.value, rtol=1e-5)
        np.testing.assert_allclose(m.error, expected.error, rtol=1e-5)


def test_vega_magnitudes_have_the_sign_of_sedpy():
    from sedpy.observate import Filter

    for name in ("wise_w1", "twomass_J", "bessell_V"):
        assert abs(load_filter(name).vega_to_ab.value + Filter(name).ab_to_vega) < 5e-3


def test_vega_magnitudes_of_synphot():
    units = pytest.importorskip("synphot.units")
    assert vega_unit(parse_unit("x", units.VEGAMAG))
    m, _ = read([15.0], units.VEGAMAG, target="wise_w1")
    np.testing.assert_allclose(m.value, read([15.0], "mag(AB)")[0].value / 10 ** (0.4 * 2.67),
                               rtol=0.02)  # fmt: skip


def test_vega_magnitudes_of_channels():
    m, _ = read(np.full((2, 102), 15.0), parse_unit("x", "mag(Vega)"), target="spherex")
    offsets = [load_filter(name).vega_to_ab.value for name in list_filters("spherex")]
    expected = ((15.0 + np.array(offsets)) * u.ABmag).to_value(u.nJy)
    np.testing.assert_allclose(m.value, [expected, expected], rtol=1e-5)


@pytest.mark.parametrize("offset", [None, np.nan])
def test_vega_magnitudes_need_a_zero_point(offset):
    with pytest.raises(ValueError, match="column 'x' holds Vega magnitudes"):
        to_njy("x", np.ones(1), parse_unit("x", "mag(Vega)"), vega_to_ab=offset)


def test_asinh_magnitudes():
    b = 1.2e-10
    maggies = np.array([1e-6, 1e-9, b, 0.0, -b])
    mag = -2.5 / np.log(10) * (np.arcsinh(maggies / (2 * b)) + np.log(b))
    unit = parse_unit("x", "asinh mag")
    for softened in (unit, u.mag):
        m, _ = read(mag, softened, np.full(5, 0.1), "sdss_r", softening=b)
        np.testing.assert_allclose(m.value, maggies * 3.6307805e12, rtol=1e-4, atol=1e-2)
        assert np.all(m.error > 0)
    with pytest.raises(ValueError, match="unknown softening"):
        read(mag, unit, target="sdss_r")


def test_a_told_unit_wins():
    m, _ = read([2.0], "mag", [0.5], unit="uJy", told_unit=True)
    np.testing.assert_allclose([m.value[0], m.error[0]], [2000.0, 500.0])
    # The convention's unit does not.
    m, _ = read([2.0], "Jy", unit="uJy")
    np.testing.assert_allclose(m.value, 2e9)
    m, _ = read([2.0], None, [1.0], unit="uJy")
    np.testing.assert_allclose([m.value[0], m.error[0]], [2000.0, 1000.0])
    with pytest.raises(ValueError, match="not understood"):
        read([2.0], unit="furlong")


# Masses and luminosities


def test_masses_in_any_unit_are_one():
    expected = read_table(QTable({"stellar_mass": [1e10, 2e11] * u.solMass}))[0].scalars
    for unit, values in {
        "Msun": [1e10, 2e11], "1e10 Msun": [1.0, 20.0], "log(Msun)": np.log10([1e10, 2e11]),
        "[Msun]": np.log10([1e10, 2e11]), "dex(1e10 Msun)": np.log10([1.0, 20.0]),
        "kg": np.array([1e10, 2e11]) * u.solMass.to(u.kg),
    }.items():  # fmt: skip
        table = Table({"stellar_mass": Column(values, unit=u.Unit(unit, parse_strict="silent"))})
        got = read_table(table)[0].scalars["stellar_mass"]
        np.testing.assert_allclose(got.value, expected["stellar_mass"].value, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "remedy", "without"),
    [
        ("Msun/h", "divide by h", "'solMass'"),
        ("h-1 Msun", "divide by h", "'solMass'"),
        ("1e10 Msun/h", "divide by h", "'1e.10 solMass'"),
        (u.solMass / littleh, "divide by h", "'solMass'"),
        ("solMass / littleh", "divide by h", "'solMass'"),
        ("Msun h^-2", r"multiply by h\*\*\(-2\)", "'solMass'"),
        (u.solMass / littleh**2, r"multiply by h\*\*\(-2\)", "'solMass'"),
        ("dex(Msun/h)", r"subtract log10\(h\)", r"'dex\(solMass\)'"),
        ("log10(Msun/h)", r"subtract log10\(h\)", r"'dex\(solMass\)'"),
        # Astropy reads this as the 70th power.
        ("Msun/h70", r"divide by \(h / 0.7\),", "'solMass'"),
        ("dex(Msun/h70)", r"subtract log10\(h / 0.7\)", r"'dex\(solMass\)'"),
        (u.DexUnit(u.solMass / littleh**2), r"add -2 \* log10\(h\)", r"'dex\(solMass\)'"),
    ],
)
def test_factors_of_h_are_explained(unit, remedy, without):
    unit = u.Unit(unit, parse_strict="silent")
    for name in ("stellar_mass", "halo_mass"):
        with pytest.raises(ValueError, match=f"'{name}'.*{remedy}.*0.6774.*{without}"):
            read_table(Table({name: Column([10.0], unit=unit)}))
    rows = Column(np.ones((1, 31)), unit=unit)
    with pytest.raises(ValueError, match="'mah'.*Hubble parameter"):
        read_table(Table({"mah": rows}))


def test_a_rate_per_hour_is_a_factor_of_h():
    with pytest.raises(ValueError, match="'sfr'.*divide by h.*'solMass / yr'"):
        read_table(Table({"sfr": Column([1.0], unit="Msun / (yr h)")}))
    # Astropy would read this as a rate.
    with pytest.raises(ValueError, match="'sfr'.*Hubble parameter"):
        read_table(Table({"sfr": Column([1.0], unit="Msun / h")}))


def test_the_remedy_for_h_is_right():
    h = 0.6774
    with_h = [1e12 * h]  # in Msun / h
    expected = read_table(QTable({"halo_mass": [1e12] * u.solMass}))[0].scalars["halo_mass"]
    linear = read_table(QTable({"halo_mass": np.divide(with_h, h) * u.solMass}))[0]
    dex = Column(np.log10(with_h) - np.log10(h), unit="dex(solMass)")
    logarithmic = read_table(Table({"halo_mass": dex}))[0]
    quantity = (with_h * u.solMass / littleh).to(u.solMass, with_H0(100 * h * u.km / u.s / u.Mpc))
    by_astropy = read_table(QTable({"halo_mass": quantity}))[0]
    for galaxies in (linear, logarithmic, by_astropy):
        np.testing.assert_allclose(galaxies.scalars["halo_mass"].value, expected.value, rtol=1e-6)


# The table of the documentation, row by row: what a value and its error are taken as


@pytest.mark.parametrize(
    ("value", "error", "state", "known_error"),
    [
        (np.nan, 1.0, MISSING, False),
        (np.inf, 1.0, MISSING, False),
        (-np.inf, 1.0, MISSING, False),
        (np.ma.masked, 1.0, MISSING, False),
        (-5.0, 1.0, MEASURED, True),
        (0.0, 1.0, MEASURED, True),
        (5.0, 1.0, MEASURED, True),
        (5.0, np.nan, MEASURED, False),
        (5.0, np.ma.masked, MEASURED, False),
        (-5.0, np.nan, MEASURED, False),
        (0.0, np.nan, MEASURED, False),
        (5.0, 0.0, MISSING, False),
        (5.0, -1.0, MISSING, False),
        (5.0, np.inf, MISSING, False),
        (np.nan, np.nan, MISSING, False),
    ],
)
@pytest.mark.parametrize("kind", ["Table", "QTable"])
def test_states_of_fluxes(value, error, state, known_error, kind):
    numbers = [[x if x is not np.ma.masked else 7.0, 1.0] for x in (value, error)]
    masks = [[x is np.ma.masked, False] for x in (value, error)]
    if kind == "Table":
        columns = [MaskedColumn(x, mask=m, unit="nJy") for x, m in zip(numbers, masks, strict=True)]
        table = Table(columns, names=["lsst_r", "lsst_r_err"])
    else:
        columns = [Masked(x * u.nJy, mask=m) for x, m in zip(numbers, masks, strict=True)]
        table = QTable(columns, names=["lsst_r", "lsst_r_err"])
    galaxies, reading = read_table(table)
    assert galaxies.photometry.state[0, 0] == state
    assert np.isfinite(galaxies.photometry.error[0, 0]) == known_error
    assert galaxies.photometry.state[1, 0] == MEASURED
    assert sum(reading.counts.values()) == (state == MISSING)
    if state == MEASURED:
        assert galaxies.photometry.value[0, 0] == value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 90.0, 99.0, -99.0, 999.0, 1e20])
def test_states_of_magnitudes(value):
    # An infinite magnitude is that of no flux; its error is not known.
    m, counts = read([value, 22.0], "mag(AB)", [0.1, 0.1])
    np.testing.assert_array_equal(m.state, [MISSING, MEASURED])
    assert sum(counts.values()) == 1


@pytest.mark.parametrize("error", [0.0, -1.0, np.inf])
def test_bad_errors_of_magnitudes(error):
    m, _ = read([22.0, 22.0], "mag(AB)", [error, np.nan])
    np.testing.assert_array_equal(m.state, [MISSING, MEASURED])


@pytest.mark.parametrize(
    ("value", "error", "state"),
    [
        (0.5, 0.01, MEASURED),
        (0.5, 0.0, MEASURED),
        (0.5, np.nan, MEASURED),
        (0.5, -1.0, MISSING),
        (0.5, np.inf, MISSING),
        (np.nan, 0.01, MISSING),
        (-2.0, 0.01, MISSING),
        (-0.001, 0.01, MEASURED),
        (-0.5, 0.01, MISSING),
        (99.0, 0.01, MISSING),
        (999.0, 0.01, MISSING),
        (-9999.0, 0.01, MISSING),
    ],
)
def test_states_of_properties(value, error, state):
    galaxies, _ = read_table(Table({"redshift": [value], "redshift_err": [error]}))
    assert galaxies.scalars["redshift"].state[0] == state


@pytest.mark.parametrize(
    ("name", "unit", "good"),
    [("stellar_mass", "dex(solMass)", 7.0), ("halo_mass", "dex(solMass)", 9.5),
     ("sfr", "dex(solMass / yr)", -4.0), ("metallicity", "dex", -3.0), ("dust_av", "mag", 5.0)],
)  # fmt: skip
def test_what_is_far_outside_of_a_property_s_range_is_missing(name, unit, good):
    values = [good, -99.0, 99.0, -999.0, 9999.0]
    galaxies, reading = read_table(Table({name: Column(values, unit=unit)}))
    np.testing.assert_array_equal(galaxies.scalars[name].state, [MEASURED, *[MISSING] * 4])
    assert reading.counts == {f"no valid {name}": 4}


def test_all_kinds_of_nothing_are_one():
    """A column that is absent, masked or NaN throughout: the same is known."""
    table = QTable({"lsst_g": [5.0] * u.nJy, "lsst_r": [np.nan] * u.nJy})
    known = read_table(table)[0].known()
    assert known == read_table(table[["lsst_g"]])[0].known() == 1


# Limits


def test_depths_of_what_was_not_detected():
    sentinels = {99.0: "not detected", -99.0: "not observed"}
    m, counts = read(
        [99.0, -99.0, 99.0, 99.0, 24.0], "mag(AB)", [99.0, 99.0, 99.0, np.nan, 0.1],
        sentinels=sentinels, depth=([28.9, 28.9, np.nan, 99.0, 28.9],),
    )  # fmt: skip
    np.testing.assert_array_equal(m.state, [LIMIT, MISSING, MISSING, MISSING, MEASURED])
    np.testing.assert_allclose(m.value[0], 10.0, rtol=1e-3)
    np.testing.assert_allclose(m.error[0], m.value[0])
    assert counts == {"not detected (99)": 3, "not observed (-99)": 1}


@pytest.mark.parametrize("unit", ["mag", "mag(Vega)"])
def test_limits_where_the_error_is_missing(unit):
    m, _ = read(
        np.ma.array([16.0, 16.0, 16.0, 16.0], mask=[0, 0, 0, 1]), parse_unit("x", unit),
        np.ma.array([0.1, np.nan, 7.0, np.nan], mask=[0, 0, 1, 0]), "wise_w1", limit_sigma=2.0,
    )  # fmt: skip
    np.testing.assert_array_equal(m.state, [MEASURED, LIMIT, LIMIT, MISSING])
    np.testing.assert_allclose(m.value[:3], m.value[0])
    np.testing.assert_allclose(m.error[1:3], m.value[0] / 2)


def test_limits_are_positive():
    m, counts = read([-1.0, 0.0, 1.0], "nJy", [np.nan] * 3, error_unit="nJy", limit_sigma=3.0)
    np.testing.assert_array_equal(m.state, [MISSING, MISSING, LIMIT])
    assert counts == {"limit that is not positive": 2, "limit of 3 sigma": 1}
    # A column of limits alone.
    m, _ = read([30.0, np.nan], "nJy", limit_sigma=3.0)
    np.testing.assert_array_equal(m.state, [LIMIT, MISSING])
    assert m.error[0] == 10


def test_columns_of_limits():
    values = [50.0, np.nan, np.nan, -9999.0, *[np.nan] * 4]
    limits = np.ma.array([30.0, 30.0, np.nan, 30.0, 0.0, np.inf, -30.0, 30.0], mask=[0] * 7 + [1])
    m, _ = read(
        values, "nJy", np.ones(8), error_unit="nJy", sentinels={-9999.0: "not observed"},
        limit=(MaskedColumn(limits, unit="nJy"), 3.0),
    )  # fmt: skip
    np.testing.assert_array_equal(m.state, [MEASURED, LIMIT, *[MISSING] * 6])
    np.testing.assert_allclose([m.value[1], m.error[1]], [30.0, 10.0])
    m, _ = read([np.nan], "nJy", limit=(Column([22.5], unit="mag(AB)"), 5.0))
    np.testing.assert_allclose([m.value[0], m.error[0]], [3630.7805, 726.1561], rtol=1e-5)
    with pytest.raises(ValueError, match="column 'limit'"):
        read([np.nan], "nJy", limit=(Column([22.5], unit="m"), 5.0))


def test_plain_magnitudes_of_limits_are_on_the_system_of_the_values():
    vega = parse_unit("x", "mag(Vega)")
    expected, _ = read([17.0], vega, target="wise_w1")
    for unit in (u.mag, vega):
        m, _ = read([np.nan], vega, target="wise_w1", limit=(Column([17.0], unit=unit), 3.0))
        np.testing.assert_allclose(m.value, expected.value, rtol=1e-6)
        assert m.state == LIMIT
    # A limit may be in Vega magnitudes beside a flux as well.
    m, _ = read([np.nan], "nJy", target="wise_w1", limit=(Column([17.0], unit=vega), 3.0))
    np.testing.assert_allclose(m.value, expected.value, rtol=1e-6)
    ab, _ = read([17.0], "mag(AB)")
    m, _ = read([np.nan], "nJy", target="wise_w1", limit=(Column([17.0], unit="mag"), 3.0))
    np.testing.assert_allclose(m.value, ab.value, rtol=1e-6)
    sentinels = {99.0: "not detected"}
    m, _ = read(
        [99.0], vega, target="wise_w1", sentinels=sentinels, depth=(Column([17.0], unit="mag"),)
    )
    np.testing.assert_allclose(m.value, expected.value, rtol=1e-6)


def test_a_survey_s_offset_is_of_its_own_scale():
    def flux(value, unit, **options):
        return read([value], unit, [0.1], error_unit=unit, to_ab=2.5, **options)[0]

    for unit in ("mag", "mag(AB)", "nmgy"):
        shifted, plain = flux(20.0, unit), read([20.0], unit, [0.1], error_unit=unit)[0]
        np.testing.assert_allclose(shifted.value, 0.1 * plain.value, rtol=1e-5)
        np.testing.assert_allclose(shifted.error, 0.1 * plain.error, rtol=1e-5)
    physical = flux(20.0, "uJy")
    np.testing.assert_allclose([physical.value[0], physical.error[0]], [2e4, 100], rtol=1e-6)
    limit = (Column([30.0], unit="nJy"), 3.0)
    for unit in ("mag", "nmgy"):
        np.testing.assert_allclose(flux(np.nan, unit, limit=limit).value, 30.0)
    # Errors in another unit than the fluxes are on a scale of their own.
    m, _ = read([1.0], "nmgy", [7.0], error_unit="nJy", to_ab=2.5)
    np.testing.assert_allclose([m.value[0], m.error[0]], [363.07805, 7.0], rtol=1e-5)


def test_limits_need_a_unit():
    with pytest.raises(ValueError, match="column 'limit' has no unit"):
        read([np.nan], "nJy", limit=([30.0], 3.0))
    # Unless the convention or the user tells it.
    for told in ({"unit": "nJy"}, {"limit_unit": "nJy"}):
        m, _ = read([np.nan], "nJy", limit=([30.0], 3.0), **told)
        np.testing.assert_allclose([m.value[0], m.error[0]], [30.0, 10.0])


@pytest.mark.parametrize("unit", ["nJy", "mag(AB)"])
def test_a_limit_of_zero_is_none(unit):
    limits = Column([0.0, -1.0, 25.0], unit=unit)
    beside, _ = read([np.nan] * 3, unit, limit=(limits, 3.0))
    alone, _ = read(limits, unit, limit_sigma=3.0)
    for m in (beside, alone):
        np.testing.assert_array_equal(m.state, [MISSING, MISSING, LIMIT])


def test_asinh_magnitudes_of_named_filters_are_those_of_sdss():
    table = Table({"u": [20.0, 25.0], "z": [20.0, 25.0]}, units={"u": "mag", "z": "mag"})
    told = {"u": "sdss_u[asinh mag]", "z": "sdss_z[asinh mag]"}
    named, _ = read_table(table, told)
    plain, reading = read_table(table, {"u": "sdss_u", "z": "sdss_z"})
    # Who does not say so is told.
    assert any("asinh" in note for note in reading.notes)
    assert np.all(named.photometry.value[1] < 0.9 * plain.photometry.value[1])
    described = table.copy()
    described.meta["description"] = "SDSS"
    by_words, _ = read_table(described)
    np.testing.assert_allclose(named.photometry.value, by_words.photometry.value, rtol=1e-6)
    with pytest.raises(ValueError, match="softening"):
        read_table(table, {"u": "lsst_u[asinh mag]"})


def test_errors_in_millimagnitudes():
    units = {"lsst_r": "mag(AB)", "lsst_r_err": "mmag"}
    found, _ = read_table(Table({"lsst_r": [20.0], "lsst_r_err": [20.0]}, units=units))
    same, _ = read_table(
        Table({"lsst_r": [20.0], "lsst_r_err": [0.02]}, units=units | {"lsst_r_err": "mag"})
    )
    np.testing.assert_allclose(found.photometry.error, same.photometry.error, rtol=1e-6)


@pytest.mark.parametrize("name", ["wise_w1", "twomass_J", "vista_vircam_Ks"])
def test_plain_magnitudes_that_may_be_vega_s_are_not_guessed(name):
    table = Table({name: [15.0], "lsst_r": [20.0]}, units={name: "mag", "lsst_r": "mag"})
    with pytest.raises(ValueError, match=r"Vega system.*\[mag\(Vega\)\]"):
        read_table(table)
    vega, ab = (
        read_table(table[[name]], {name: f"{name}[mag({system})]"})[0].photometry.value[0, 0]
        for system in ("Vega", "AB")
    )
    assert vega / ab == pytest.approx(10 ** (-0.4 * load_filter(name).vega_to_ab.value), rel=1e-5)


@pytest.mark.parametrize("unit", ["solMass/h70^2", "h70-1 Msun"])
def test_an_odd_factor_of_h_is_named(unit):
    with pytest.raises(ValueError, match="without factors of h"):
        read_table(Table({"stellar_mass": [1e10]}, units={"stellar_mass": unit}))
