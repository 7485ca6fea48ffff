"""Tables in: conventions, units, states, and what is said when they are wrong."""

import logging
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from astromosaic.catalog import read_input, read_table
from astromosaic.catalog.columns import SURVEYS
from astromosaic.filters import load_filter
from astromosaic.galaxies import LIMIT, MEASURED, MISSING
from astromosaic.properties import PROPERTIES

LSST = [f"lsst_{b}" for b in "ugrizy"]
N = 5


@pytest.fixture
def fluxes():
    """Fluxes and errors in nJy of the LSST bands, shape (6, N)."""
    rng = np.random.default_rng(1)
    return 10 ** rng.uniform(1, 4, (6, N)), 10 ** rng.uniform(0, 1, (6, N))


@pytest.fixture
def table(fluxes):
    """The same as a plain table."""
    table = Table({"id": np.arange(N)})
    for name, flux, error in zip(LSST, *fluxes, strict=True):
        table[name] = Column(flux, unit="nJy")
        table[f"{name}_err"] = Column(error, unit="nJy")
    return table


def assert_same(a, b, rtol=1e-5):
    """Two sets of galaxies of which the same is known."""
    assert a.filters == b.filters
    assert a.scalars.keys() == b.scalars.keys()
    assert a.vectors.keys() == b.vectors.keys()
    pairs = [(a.photometry, b.photometry)]
    pairs += [(a.scalars[k], b.scalars[k]) for k in a.scalars]
    pairs += [(a.vectors[k], b.vectors[k]) for k in a.vectors]
    for x, y in pairs:
        np.testing.assert_array_equal(x.state, y.state)
        np.testing.assert_allclose(x.value, y.value, rtol=rtol)
        np.testing.assert_allclose(x.error, y.error, rtol=rtol)


def magnitudes(fluxes):
    """AB magnitudes and their errors."""
    flux, error = fluxes
    return 31.4 - 2.5 * np.log10(flux / 10 ** (0.4 * 31.4) * 3.6307805477e12), (
        error / flux / (0.4 * np.log(10))
    )


# Plain tables


def test_plain_table(table, fluxes):
    galaxies, reading = read_table(table)
    assert galaxies.filters == tuple(LSST)
    np.testing.assert_allclose(galaxies.photometry.value, fluxes[0].T, rtol=1e-6)
    np.testing.assert_allclose(galaxies.photometry.error, fluxes[1].T, rtol=1e-6)
    assert np.all(galaxies.photometry.state == MEASURED)
    assert reading.columns["lsst_r"] == "lsst_r"
    assert reading.columns["lsst_r_err"] == "lsst_r_err"
    assert reading.id_columns == ["id"]
    assert reading.ignored == []
    assert reading.notes == []


@pytest.mark.parametrize("unit", ["uJy", "Jy", "nmgy", "erg / (s cm2 Hz)", "erg / (s cm2 AA)"])
def test_flux_units(table, unit):
    expected, _ = read_table(table)
    other = Table({"id": table["id"]})
    for name in LSST:
        pivot = load_filter(name).pivot_wavelength
        equivalencies = u.spectral_density(pivot) + u.zero_point_flux(1 * u.AB)
        for column in (name, f"{name}_err"):
            other[column] = table[column].quantity.to(u.Unit(unit), equivalencies)
    assert_same(read_table(other)[0], expected)
    assert_same(read_table(QTable(other))[0], expected)


@pytest.mark.parametrize("unit", ["mag", "mag(AB)", "ABmag"])
def test_magnitudes_are_the_same_as_fluxes(table, fluxes, unit):
    other = Table()
    for name, mag, error in zip(LSST, *magnitudes(fluxes), strict=True):
        other[name] = Column(mag, unit=unit)
        other[f"{name}_err"] = Column(error, unit="mag")
    galaxies, reading = read_table(other)
    assert_same(galaxies, read_table(table)[0])
    assert any("taken as AB" in note for note in reading.notes) == (unit == "mag")
    if unit != "ABmag":
        assert_same(read_table(QTable(other))[0], galaxies)


def test_other_magnitude_systems(table, fluxes):
    other = QTable()
    for name, flux in zip(LSST, fluxes[0], strict=True):
        other[name] = (flux * u.nJy).to(
            u.STmag, u.spectral_density(load_filter(name).pivot_wavelength)
        )
        other[f"{name}_err"] = 0.1 * u.mag
    np.testing.assert_allclose(read_table(other)[0].photometry.value, fluxes[0].T, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*W50")
@pytest.mark.parametrize("form", ["votable", "ascii.ecsv"])
def test_units_survive_files(table, fluxes, tmp_path, form):
    expected, _ = read_table(table)
    mag, error = magnitudes(fluxes)
    table["lsst_i"] = Column(mag[3], unit="mag(AB)")
    table["lsst_i_err"] = Column(error[3], unit="mag")
    table.write(tmp_path / "table", format=form)
    for kind in (Table, QTable):
        assert_same(read_table(kind.read(tmp_path / "table", format=form))[0], expected)


def test_order_of_columns_and_rows_does_not_matter(table):
    expected, _ = read_table(table)
    assert_same(read_table(table[table.colnames[::-1]])[0], expected)
    assert_same(read_table(table[::-1])[0], expected[::-1])


def test_aliases_are_known(table):
    expected, _ = read_table(table)
    for name in LSST:
        table.rename_column(name, name.replace("lsst_", "LSST_baseline_"))
        table.rename_column(f"{name}_err", name.replace("lsst_", "LSST_baseline_") + "_err")
    assert_same(read_table(table)[0], expected)


def test_no_errors(table):
    table.remove_columns([f"{name}_err" for name in LSST])
    galaxies, reading = read_table(table)
    assert np.all(galaxies.photometry.state == MEASURED)
    assert np.isnan(galaxies.photometry.error).all()
    assert any("no errors" in note for note in reading.notes)


# States


@pytest.mark.parametrize("kind", ["masked", "nan", "inf", "masked quantity", "masked magnitude"])
def test_ways_of_missing_are_one(table, fluxes, kind):
    if kind == "masked":
        table["lsst_g"] = MaskedColumn(table["lsst_g"], mask=np.arange(N) == 2)
    elif kind == "masked quantity":
        table = QTable(table)
        table["lsst_g"] = Masked(table["lsst_g"], mask=np.arange(N) == 2)
    elif kind == "masked magnitude":
        mag, error = (x[1] for x in magnitudes(fluxes))
        table["lsst_g"] = MaskedColumn(mag, mask=np.arange(N) == 2, unit="mag(AB)")
        table["lsst_g_err"] = Column(error, unit="mag")
    else:
        table["lsst_g"][2] = float(kind)
    galaxies, reading = read_table(table)
    expected = np.full((N, 6), MEASURED)
    expected[2, 1] = MISSING
    np.testing.assert_array_equal(galaxies.photometry.state, expected)
    assert galaxies.photometry.value[2, 1] == 0
    assert np.isnan(galaxies.photometry.error[2, 1])
    assert sum(reading.counts.values()) == 1


def test_negative_and_zero_fluxes_are_measured(table):
    table["lsst_u"][:2] = [-3.0, 0.0]
    galaxies, reading = read_table(table)
    np.testing.assert_array_equal(galaxies.photometry.state, MEASURED)
    np.testing.assert_array_equal(galaxies.photometry.value[:2, 0], [-3, 0])
    assert not reading.counts


def test_bad_and_unknown_errors(table):
    table["lsst_u_err"][:4] = [0.0, -1.0, np.inf, np.nan]
    galaxies, reading = read_table(table)
    np.testing.assert_array_equal(galaxies.photometry.state[:, 0], [MISSING] * 3 + [MEASURED] * 2)
    assert np.isnan(galaxies.photometry.error[3, 0])
    assert reading.counts == {"zero, negative or infinite error": 3}


def test_impossible_magnitudes_are_missing(fluxes):
    mag = magnitudes(fluxes)[0][0]
    mag[:3] = [99, -99, 999.0]
    galaxies, reading = read_table(Table({"lsst_u": Column(mag, unit="mag")}))
    np.testing.assert_array_equal(galaxies.photometry.state[:3], MISSING)
    assert sum(reading.counts.values()) == 3


def test_extreme_values_do_not_fail():
    values = np.array([1e300, 1e-300, -1e300, 5e37, 1.0])
    table = Table({"lsst_u": Column(values, unit="nJy"), "lsst_u_err": Column(values, unit="Jy")})
    galaxies, _ = read_table(table)
    np.testing.assert_array_equal(galaxies.photometry.state[:, 0] == MISSING, [1, 1, 1, 1, 0])


# Conventions


def rail(fluxes):
    mag, error = magnitudes(fluxes)
    table = Table({f"mag_{b}_lsst": m for b, m in zip("ugrizy", mag, strict=True)})
    table.update({f"mag_err_{b}_lsst": e for b, e in zip("ugrizy", error, strict=True)})
    return table


def test_rail(table, fluxes):
    galaxies, reading = read_table(rail(fluxes))
    assert_same(galaxies, read_table(table)[0])
    assert "LSST" in reading.convention
    assert not any("AB" in note for note in reading.notes)


def test_rail_sentinels(fluxes):
    table = rail(fluxes)
    table["mag_u_lsst"][:3] = [99.0, -99.0, 99.0]
    table["mag_err_u_lsst"][:3] = [26.4, -99.0, np.nan]
    galaxies, reading = read_table(table)
    np.testing.assert_array_equal(galaxies.photometry.state[:3, 0], [LIMIT, MISSING, MISSING])
    np.testing.assert_allclose(galaxies.photometry.value[0, 0], 100, rtol=1e-4)
    np.testing.assert_allclose(galaxies.photometry.error[0, 0], 100, rtol=1e-4)
    np.testing.assert_array_equal(galaxies.photometry.state[:, 1:], MEASURED)
    assert reading.counts == {"not detected (99)": 2, "not observed (-99)": 1}
    assert "2 not detected (99)" in reading.summary()


def test_rubin_prefers_model_fluxes(table, fluxes):
    rubin = Table({"objectId": np.arange(N), "coord_ra": np.ones(N), "r_psfFlux": np.ones(N)})
    for b, flux, error in zip("ugrizy", *fluxes, strict=True):
        rubin[f"{b}_cModelFlux"] = Column(flux, unit="nJy")
        rubin[f"{b}_cModelFluxErr"] = error
    galaxies, reading = read_table(rubin)
    assert_same(galaxies, read_table(table)[0])
    assert reading.id_columns == ["objectId", "coord_ra"]
    assert reading.ignored == ["r_psfFlux"]
    assert any("r_psfFlux passed over" in note for note in reading.notes)


def test_sdss_magnitudes_are_asinh():
    # At m = 22.5 - 2.5 log10(f) with f << b, asinh magnitudes stay finite: b itself is zero flux.
    b = SURVEYS["SDSS"].softening["r"]
    mag = [17.0, -2.5 * np.log10(b), 26.0, -9999.0]
    table = Table(
        {"MODELMAG_R": mag, "modelmagerr_r": [0.01, 0.2, 0.5, -9999.0], "extinction_r": [0.0] * 4}
    )
    galaxies, reading = read_table(table)
    flux, error, state = (
        getattr(galaxies.photometry, k)[:, 0] for k in ("value", "error", "state")
    )
    assert galaxies.filters == ("sdss_r",)
    np.testing.assert_allclose(flux[0], (17 * u.ABmag).to_value(u.nJy), rtol=1e-4)
    np.testing.assert_allclose(error[0], 0.4 * np.log(10) * 0.01 * flux[0], rtol=1e-4)
    assert abs(flux[1]) < 1e-6 * flux[0]
    assert flux[2] < 0
    assert error[2] > 0
    assert state[3] == MISSING
    assert any("asinh" in note for note in reading.notes)


def test_sdss_offsets_to_ab():
    table = Table({f"dered_{b}": [17.0] for b in "ugriz"})
    galaxies, _ = read_table(table)
    expected = ([16.96, 17, 17, 17, 17.02] * u.ABmag).to_value(u.nJy)
    np.testing.assert_allclose(galaxies.photometry.value[0], expected, rtol=1e-4)


def test_asinh_magnitudes_are_not_said_to_be_ab_already():
    sdss = Table({b: Column([17.0], unit="mag") for b in "ugriz"}, meta={"survey": "SDSS DR17"})
    notes = read_table(sdss)[1].notes
    assert any("asinh" in note for note in notes)
    assert not any("taken as AB" in note for note in notes)
    sdss["lsst_y"] = Column([17.0], unit="mag")
    assert any("taken as AB" in note for note in read_table(sdss)[1].notes)


# Names that do not tell the survey


def generic(fluxes, description=None, meta=None, pattern="mag_{}", errors="magerr_{}"):
    mag, error = magnitudes(fluxes)
    table = Table(meta=meta)
    for b, m, e in zip("ugriz", mag, error, strict=False):
        table[pattern.format(b)] = Column(m, unit="mag", description=description)
        table[errors.format(b)] = Column(e, unit="mag")
    return table


@pytest.mark.parametrize(
    "naming", [("mag_{}", "magerr_{}"), ("{}_mag", "{}_mag_err"), ("{}", "{}_err")]
)
@pytest.mark.parametrize("where", ["description", "meta"])
def test_description_names_the_survey(fluxes, naming, where):
    text = "CFHTLS MegaCam MAG_AUTO, AB"
    hint = {"description": text} if where == "description" else {"meta": {"comments": [text]}}
    galaxies, reading = read_table(generic(fluxes, **hint, pattern=naming[0], errors=naming[1]))
    assert galaxies.filters == tuple(
        f"cfht_megacam_{b}" for b in ("us_9301", "gs_9401", "rs_9601", "is_9701", "zs_9801")
    )
    np.testing.assert_allclose(galaxies.photometry.value, fluxes[0][:5].T, rtol=1e-5)
    np.testing.assert_allclose(galaxies.photometry.error, fluxes[1][:5].T, rtol=1e-5)
    assert "CFHT MegaCam" in reading.convention


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("HSC PDR3", "hsc_g"),
        ("DES Y6 Gold", "decam_u"),
        ("Pan-STARRS1 3pi", "panstarrs_g"),
        ("LSST 10-year depth", "lsst_u"),
        ("SDSS DR17", "sdss_u"),
    ],
)
def test_surveys_in_descriptions(fluxes, text, first):
    table = generic(fluxes, text)
    assert read_table(table)[0].filters[0] == first


@pytest.mark.parametrize("text", [None, "total magnitude", "SDSS or HSC"])
def test_unknown_survey_is_an_error(fluxes, text):
    with pytest.raises(ValueError, match="columns={'mag_u': 'lsst_u'"):
        read_table(generic(fluxes, text))


def test_unknown_survey_beside_known_photometry_is_noted(table):
    table["mag_g"] = Column(np.ones(N), unit="mag")
    galaxies, reading = read_table(table)
    assert galaxies.filters == tuple(LSST)
    assert reading.ignored == ["mag_g"]
    assert any("mag_g" in note for note in reading.notes)


def test_column_z_is_a_band_only_among_bands(fluxes):
    table = generic(fluxes, "LSST", pattern="{}", errors="{}_err")
    assert "lsst_z" in read_table(table)[0].filters
    table["z"] = np.linspace(0, 1, N)
    galaxies, reading = read_table(table)
    assert "lsst_z" not in galaxies.filters
    assert "z" in reading.ignored
    with pytest.raises(ValueError, match="found no photometry"):
        read_table(Table({"z": np.linspace(0, 1, N)}))


# columns=


def test_columns_say_what_is_what(table, fluxes):
    expected, _ = read_table(table)
    other = Table({"id": table["id"]})
    says = {}
    for name in LSST:
        other[f"f{name[-1]}"] = table[name]
        other[f"noise{name[-1]}"] = table[f"{name}_err"]
        says |= {f"f{name[-1]}": name, f"noise{name[-1]}": f"{name}_err"}
    assert_same(read_table(other, says)[0], expected)


def test_columns_win_over_names(table):
    table["better"] = Column(np.full(N, 7.0), unit="nJy")
    table["better_err"] = Column(np.full(N, 2.0), unit="nJy")
    galaxies, reading = read_table(table, {"better": "lsst_r", "lsst_u": None})
    assert galaxies.filters == tuple(LSST[1:])
    np.testing.assert_array_equal(galaxies.photometry.value[:, 1], 7)
    np.testing.assert_array_equal(galaxies.photometry.error[:, 1], 2)
    assert {"lsst_u", "lsst_r"} <= set(reading.ignored)


def test_errors_follow_a_renamed_column(fluxes):
    table = generic(fluxes)
    says = {f"mag_{b}": f"sdss_{b}" for b in "ugriz"}
    galaxies, _ = read_table(table, says)
    np.testing.assert_allclose(galaxies.photometry.error, fluxes[1][:5].T, rtol=1e-5)


def test_a_survey_s_system_goes_with_its_filters_only():
    table = Table({"modelMag_u": Column([17.0], unit="mag")})
    flux = read_table(table, {"modelMag_u": "decam_u"})[0].photometry.value[0, 0]
    np.testing.assert_allclose(flux, (17 * u.ABmag).to_value(u.nJy), rtol=1e-5)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"absent": "lsst_r"}, "absent"),
        ({"lsst_r": "lsst_q"}, "lsst_q"),
        ({"lsst_r": "lsst_g"}, None),
        ({"lsst_r": "hsc_g", "lsst_u": "hsc_g"}, "both hold"),
    ],
)
def test_wrong_columns(table, columns, message):
    if message is None:
        assert "lsst_r" not in read_table(table, columns)[0].filters
        return
    with pytest.raises(ValueError, match=message):
        read_table(table, columns)


@pytest.mark.parametrize("columns", [{"lsst_r": 5}, ["lsst_r"], "lsst_r", {"lsst_r": ["lsst_g"]}])
def test_columns_of_the_wrong_type(table, columns):
    with pytest.raises(TypeError, match="columns="):
        read_table(table, columns)


# Properties and vectors


def test_properties():
    table = QTable(
        {
            "redshift": [0.5, np.nan, 1.0],
            "redshift_err": [0.01, 0.01, 0.0],
            "stellar_mass": [1e10, 2e10, 0.0] * u.solMass,
            "stellar_mass_err": [1e9, 1e9, 1e9] * u.solMass,
            "sfr": [1.0, 0.0, -1.0] * u.solMass / u.yr,
            "metallicity": [-0.1, 0.1, 0.2] * u.dex,
            "dust_av": [0.1, 0.2, 0.3] * u.mag,
        }
    )
    galaxies, reading = read_table(table)
    scalars = galaxies.scalars
    np.testing.assert_allclose(scalars["redshift"].value, np.log([1.5, 1, 2]), rtol=1e-6)
    np.testing.assert_array_equal(scalars["redshift"].state, [MEASURED, MISSING, MEASURED])
    np.testing.assert_allclose(scalars["redshift"].error[0], 0.01 / 1.5, rtol=1e-6)
    assert np.isnan(scalars["redshift"].error[2])
    np.testing.assert_allclose(scalars["stellar_mass"].value[0], 10)
    np.testing.assert_allclose(scalars["stellar_mass"].error[0], 0.1 / np.log(10), rtol=1e-6)
    np.testing.assert_array_equal(scalars["stellar_mass"].state, [MEASURED, MEASURED, MISSING])
    np.testing.assert_allclose(scalars["sfr"].value[:2], [0, PROPERTIES["sfr"].low])
    assert scalars["sfr"].state[2] == MISSING
    dex = Table({"sfr": Column([0.0, -9.0, -99.0], unit="dex(solMass / yr)")})
    (read,) = read_table(dex)[0].scalars.values()
    np.testing.assert_allclose(read.value[:2], [0, PROPERTIES["sfr"].low])
    assert read.state[2] == MISSING
    np.testing.assert_allclose(scalars["dust_av"].value, [0.1, 0.2, 0.3], rtol=1e-6)
    assert any("redshift is taken as known" in note for note in reading.notes)
    assert galaxies.filters == ()


def test_masked_properties_are_missing():
    table = Table({"redshift": MaskedColumn([0.5, 0.7], mask=[False, True])})
    galaxies, reading = read_table(table)
    np.testing.assert_array_equal(galaxies.scalars["redshift"].state, [MEASURED, MISSING])
    assert reading.counts == {"masked": 1}


def test_masses_in_dex_and_other_units():
    linear = QTable({"stellar_mass": [1e10] * u.solMass, "stellar_mass_err": [1e9] * u.solMass})
    expected, _ = read_table(linear)
    dex = Table({"stellar_mass": Column([10.0], unit="dex(solMass)")})
    dex["stellar_mass_err"] = Column([0.1 / np.log(10)], unit="dex")
    assert_same(read_table(dex)[0], expected)
    assert_same(read_table(QTable(dex))[0], expected)
    kilograms = QTable({c: linear[c].to(u.kg) for c in linear.colnames})
    assert_same(read_table(kilograms)[0], expected)


def test_truths_are_no_inputs(table):
    expected, _ = read_table(table)
    for name in ("z_spec", "specz", "ZSPEC", "redshift_true"):
        table[name] = 0.5
    galaxies, reading = read_table(table)
    assert_same(galaxies, expected)
    assert reading.ignored == ["z_spec", "specz", "ZSPEC", "redshift_true"]


def test_spherex_in_one_column_or_many():
    rng = np.random.default_rng(2)
    flux, error = rng.normal(50, 20, (N, 102)), rng.uniform(1, 5, (N, 102))
    flux[1, 3] = np.nan
    one = QTable({"spherex": flux * u.uJy, "spherex_err": error * u.uJy})
    expected, _ = read_table(one)
    assert expected.filters == ()
    assert expected.vectors["spherex"].state[1, 3] == MISSING
    np.testing.assert_allclose(expected.vectors["spherex"].value[0], 1e3 * flux[0], rtol=1e-6)

    many = QTable()
    for i in reversed(range(102)):
        many[f"spherex_{i + 1:03d}"] = flux[:, i] * u.uJy
        many[f"spherex_{i + 1:03d}_err"] = error[:, i] * u.uJy
    assert_same(read_table(many)[0], expected)

    masked = Table(one)
    masked["spherex"] = MaskedColumn(masked["spherex"], mask=np.isnan(flux))
    assert_same(read_table(masked)[0], expected)

    many.remove_columns(["spherex_004", "spherex_004_err"])
    state = read_table(many)[0].vectors["spherex"].state
    np.testing.assert_array_equal(state[:, 3], MISSING)
    assert np.all(np.delete(state, 3, axis=1) == MEASURED)


def test_spherex_twice_or_of_wrong_length():
    with pytest.raises(ValueError, match="'spherex' has shape"):
        read_table(QTable({"spherex": np.ones((N, 101)) * u.uJy}))
    with pytest.raises(ValueError, match="twice"):
        read_table(
            QTable({"spherex": np.ones((N, 102)) * u.uJy, "spherex_001": np.ones(N) * u.uJy})
        )


# What is wrong is said


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (np.ones(N), "m / s"),
        (np.ones(N), "dex(solMass)"),
        (np.ones(N), "mag(ct)"),
        (np.ones(N), "furlong"),
        (["a"] * N, "nJy"),
        (np.ones((N, 2)), "nJy"),
    ],
)
def test_wrong_columns_are_named(table, values, unit):
    table["lsst_r"] = Column(values, unit=u.Unit(unit, parse_strict="silent"))
    with pytest.raises(ValueError, match="'lsst_r'"):
        read_table(table)


def test_missing_units_are_named(table):
    table["lsst_r"].unit = None
    with pytest.raises(ValueError, match=r"'lsst_r' has no unit; .*table\['lsst_r'\].unit = 'nJy'"):
        read_table(table)
    table["lsst_r"].unit = "nJy"
    table["lsst_r_err"].unit = None
    with pytest.raises(ValueError, match="errors of column 'lsst_r' have no unit"):
        read_table(table)
    with pytest.raises(ValueError, match="'stellar_mass' has no unit"):
        read_table(Table({"stellar_mass": [1e10]}))


def test_errors_of_another_kind_are_named(table):
    table["lsst_r_err"].unit = "mag"
    with pytest.raises(ValueError, match="'lsst_r'"):
        read_table(table)
    table["lsst_r"].unit = "mag"
    table["lsst_r_err"].unit = "nJy"
    with pytest.raises(ValueError, match="'lsst_r'"):
        read_table(table)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("redshift", "km / s"),
        ("stellar_mass", "mag"),
        ("stellar_mass", "solMass / yr"),
        ("halo_mass", "dex(solMass / yr)"),
        ("sfr", "solMass"),
        ("dust_av", "nJy"),
        ("metallicity", "solMass"),
        ("metallicity", ""),
        ("metallicity", None),
        ("dust_av", None),
    ],
)
def test_wrong_units_of_properties(name, unit):
    with pytest.raises(ValueError, match=f"'{name}'"):
        read_table(Table({name: Column([1.0], unit=unit)}))


def test_logarithms_are_no_masses():
    table = Table({"stellar_mass": Column([10.2, -99.0, 11.0], unit=u.solMass)})
    with pytest.raises(ValueError, match=r"'stellar_mass'.*dex\(solMass\)"):
        read_table(table)
    masked = MaskedColumn([10.2, 1e11], mask=[False, True], unit=u.solMass)
    with pytest.raises(ValueError, match=r"dex\(solMass\)"):
        read_table(Table({"stellar_mass": masked}))
    table["stellar_mass"][2] = 3e9  # one row that is off spoils no table
    assert read_table(table)[0].scalars["stellar_mass"].value[2] == pytest.approx(np.log10(3e9))


def test_predicted_properties_are_known_to_within_their_interval():
    table = QTable({"stellar_mass": [1e10, 2e10] * u.solMass})
    table["stellar_mass_lo"] = [0.5e10, np.nan] * u.solMass
    table["stellar_mass_hi"] = [2e10, np.nan] * u.solMass
    galaxies, reading = read_table(table)
    error = galaxies.scalars["stellar_mass"].error
    np.testing.assert_allclose(error, [np.log10(2.0), np.nan], rtol=1e-6)
    assert reading.columns["stellar_mass_hi"] == "stellar_mass_hi"
    assert not reading.ignored
    # One end tells where the other is missing.
    table["stellar_mass_lo"][1], table["stellar_mass_hi"][1] = np.nan, 4e10 * u.solMass
    error = read_table(table)[0].scalars["stellar_mass"].error
    np.testing.assert_allclose(error, np.log10(2.0), rtol=1e-6)
    # Errors, where there are some, say more, be they told or found.
    told = table.copy()
    told["sigma"] = [1e9, 1e9] * u.solMass
    galaxies, reading = read_table(told, {"sigma": "stellar_mass_err"})
    error = galaxies.scalars["stellar_mass"].error
    np.testing.assert_allclose(error, np.array([0.1, 0.05]) / np.log(10), rtol=1e-6)
    assert set(reading.ignored) == {"stellar_mass_lo", "stellar_mass_hi"}
    table["stellar_mass_err"] = [1e9, 1e9] * u.solMass
    error = read_table(table)[0].scalars["stellar_mass"].error
    np.testing.assert_allclose(error, np.array([0.1, 0.05]) / np.log(10), rtol=1e-6)


@pytest.mark.parametrize(
    ("low", "high"),
    [([0.05, 0.04], [0.05, 0.07]), (["a", "b"], ["c", "d"]), ([0.4, 0.3], [0.6, 0.65])],
    ids=["errors on either side", "texts", "an end that is not beyond"],
)
def test_what_is_no_interval_is_ignored(low, high):
    table = Table({"redshift": [0.5, 0.7], "redshift_lo": low, "redshift_hi": high})
    galaxies, reading = read_table(table)
    assert np.isnan(galaxies.scalars["redshift"].error).all()
    assert reading.ignored == ["redshift_lo", "redshift_hi"]


def test_limits_are_recorded_with_their_level():
    table = QTable({"lsst_u": [5.0, np.nan] * u.nJy, "lim": [26.0, 26.0] * u.ABmag})
    _, reading = read_table(table, {"lim": "lsst_u_limit[3 sigma]"})
    assert reading.columns == {"lsst_u": "lsst_u", "lim": "lsst_u_limit[3 sigma]"}
    assert reading.counts["limit of 3 sigma in lim"] == 1
    _, reading = read_table(table[["lim"]], {"lim": "lsst_u_limit[5 sigma]"})
    assert reading.columns == {"lim": "lsst_u_limit[5 sigma]"}
    assert reading.counts == {"limit of 5 sigma": 2}


def test_factors_of_h_are_refused():
    from astropy.cosmology.units import littleh

    with pytest.raises(ValueError, match="without factors of h"):
        read_table(Table({"halo_mass": Column([1e12], unit=u.solMass / littleh)}))


def test_wrong_objects():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="from_pandas"):
        read_table(pandas.DataFrame({"lsst_r": [1.0]}))
    with pytest.raises(TypeError, match="QTable"):
        read_table({"lsst_r": [1.0]})
    with pytest.raises(TypeError, match="table of one row"):
        read_table(Table({"lsst_r": [1.0]})[0])


def test_empty_tables():
    with pytest.raises(ValueError, match="no rows"):
        read_table(Table({"lsst_r": Column([], unit="nJy")}))
    with pytest.raises(ValueError, match="found no photometry.*ra, dec"):
        read_table(Table({"ra": [1.0], "dec": [2.0]}))


def test_log_and_meta(table, caplog):
    with caplog.at_level(logging.INFO, logger="astromosaic"):
        _, reading = read_table(table)
    assert caplog.messages == [reading.summary()]
    assert "lsst_[ugrizy]" in reading.summary()
    table.meta["reading"] = reading.to_meta()
    assert table.copy().meta["reading"]["columns"]["lsst_r"] == "lsst_r"


def test_bundled_sample():
    from importlib.resources import files

    table = Table.read(files("astromosaic") / "data" / "sdss_mgs.ecsv")
    galaxies, reading = read_table(table)
    assert galaxies.filters == tuple(f"sdss_{b}" for b in "ugriz")
    assert len(galaxies) == 400
    assert np.all(galaxies.photometry.state == MEASURED)
    assert reading.ignored == ["z_spec"]
    assert "MLZ" in table.meta["source"]


def test_light_that_is_not_read_is_warned_of():
    bands = ["u", "g", "r", "i", "Z", "Y", "J", "H", "Ks"]
    table = Table({f"MAG_GAAP_{band}": [22.0] for band in bands})
    with pytest.warns(UserWarning, match=r"MAG_GAAP_\[ugri\] not read, as there are no curves"):
        read_input(table)
    named = Table({"lsst_r": [20.0], "mag_q": [3.0]}, units={"lsst_r": "nJy"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_input(named)  # what does not look like light is none of it
    unknown = Table({"lsst_r": [20.0], "mag_g": [20.0]}, units={"lsst_r": "nJy", "mag_g": "mag"})
    with pytest.warns(UserWarning, match="filters of mag_g are not known"):
        read_input(unknown)


@pytest.mark.parametrize("reverse", [False, True])
def test_errors_go_with_the_column_that_is_spelt_alike(reverse):
    # Of Pan-STARRS and of Gaia.
    values = {"gmag": 20.0, "e_gmag": 0.05, "Gmag": 19.4, "e_Gmag": 3e-4, "rmag": 19.0,
              "e_rmag": 0.03, "y": 18.0, "y_err": 0.04, "Y": 18.5, "Y_err": 0.1}  # fmt: skip
    names = list(values)[::-1] if reverse else list(values)
    table = Table({name: Column([values[name]], unit="mag") for name in names})
    table.meta["description"] = "Pan-STARRS1"
    columns = {"Gmag": None, "y": "panstarrs_y", "Y": "vista_y[mag(Vega)]"}
    _, reading = read_table(table, columns)
    assert reading.columns["e_gmag"] == "panstarrs_g_err"
    assert reading.columns["y_err"] == "panstarrs_y_err"
    assert reading.columns["Y_err"] == "vista_vircam_Y_err"
    assert "e_Gmag" not in reading.columns
