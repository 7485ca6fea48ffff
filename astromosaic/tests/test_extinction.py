"""Galactic extinction: the curve against published coefficients, and what is corrected by what."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table

from astromosaic.catalog import read_input, read_table
from astromosaic.catalog.extinction import coefficient, curve
from astromosaic.filters import list_filters
from astromosaic.galaxies import LIMIT, MEASURED, MISSING
from astromosaic.properties import SPECTRUM_WAVELENGTH, WAVELENGTH_RANGE

#: A / E(B-V) of the SFD map for R_V = 3.1: Schlafly & Finkbeiner (2011), table 6.
TABLE_6 = {
    "lsst_u": 4.145, "lsst_g": 3.237, "lsst_r": 2.273, "lsst_i": 1.684, "lsst_z": 1.323,
    "lsst_y": 1.088, "sdss_u": 4.239, "sdss_g": 3.303, "sdss_r": 2.285, "sdss_i": 1.698,
    "sdss_z": 1.263, "panstarrs_g": 3.172, "panstarrs_r": 2.271, "panstarrs_i": 1.682,
    "panstarrs_z": 1.322, "panstarrs_y": 1.087,
}  # fmt: skip
LSST = [f"lsst_{b}" for b in "ugrizy"]
EBV = np.array([0.0, 0.05, 0.3])


def photometry(**more):
    table = Table(more)
    for name in LSST:
        table[name] = Column([100.0, 50.0, -20.0], unit="nJy")
        table[f"{name}_err"] = Column([1.0, 2.0, 3.0], unit="nJy")
    return table


def factors(galaxies, reference):
    """What the fluxes were multiplied with; the errors must have been so as well."""
    ratio = galaxies.photometry.value / reference.photometry.value
    errors = galaxies.photometry.error / reference.photometry.error
    np.testing.assert_allclose(errors, ratio, rtol=1e-5)
    np.testing.assert_array_equal(galaxies.photometry.state, reference.photometry.state)
    return ratio


# The curve


@pytest.mark.parametrize("name", TABLE_6)
def test_coefficients_agree_with_published_ones(name):
    # Of the published ones the source is a star of 7000 K. The largest difference is 0.9% in the
    # bands of LSST and SDSS, and 1.5%, in the y band, in those of Pan-STARRS.
    tolerance = 0.02 if name.startswith("panstarrs") else 0.01
    assert abs(coefficient(name) / TABLE_6[name] - 1) < tolerance


def test_curve_is_smooth_and_falls_over_all_wavelengths_of_the_model():
    wavelength = np.geomspace(0.3, WAVELENGTH_RANGE[1], 2000)
    k = curve(wavelength)
    assert np.all(np.diff(k) < 0)
    assert np.abs(np.diff(np.log(k))).max() < 0.01
    ultraviolet = curve(np.linspace(WAVELENGTH_RANGE[0], 0.3, 500))
    assert np.all((ultraviolet >= k[0]) & (ultraviolet < 10))
    # The bump at 2175 Angstrom.
    assert curve(0.2175) > max(curve(0.19), curve(0.25))
    np.testing.assert_allclose(curve(1.0), 1.029)
    np.testing.assert_array_equal(curve([0.01, 100.0]), curve([0.1, 32.0]))


def test_coefficient_is_a_mean_over_the_filter():
    from astromosaic.filters import load_filter

    for name in ("lsst_u", "spherex_001", "spherex_102"):
        inside = load_filter(name)
        inside = 1e-4 * inside.angstrom[inside.transmission > 1e-3 * inside.transmission.max()]
        assert curve(inside.max()) < coefficient(name) < curve(inside.min())
    # Not that of one wavelength: the curve is convex across a band so wide.
    assert coefficient("lsst_g") != pytest.approx(float(curve(1e-4 * load_filter("lsst_g").pivot)))


# What is corrected by what


def test_reddening_corrects_all_bands():
    expected, _ = read_table(photometry())
    galaxies, reading = read_table(photometry(ebv=EBV))
    k = np.array([coefficient(name) for name in LSST])
    ratio = factors(galaxies, expected)
    np.testing.assert_allclose(ratio, 10 ** (0.4 * EBV[:, None] * k), rtol=1e-5)
    note = next(n for n in reading.notes if "extinction" in n)
    assert "lsst_u to lsst_y corrected" in note
    assert "'ebv'" in note
    assert f"{0.05 * k.min():.2g} to {0.05 * k.max():.2g} mag" in note
    assert reading.columns["ebv"] == "ebv"
    assert reading.ignored == []
    assert not reading.counts


def test_no_reddening_is_no_change():
    expected, _ = read_table(photometry())
    galaxies, _ = read_table(photometry(ebv=np.zeros(3)))
    np.testing.assert_array_equal(galaxies.photometry.value, expected.photometry.value)
    np.testing.assert_array_equal(galaxies.photometry.error, expected.photometry.error)
    left_out, _ = read_table(photometry(ebv=EBV), {"ebv": None})
    np.testing.assert_array_equal(left_out.photometry.value, expected.photometry.value)


@pytest.mark.parametrize("bad", ["mask", np.nan, np.inf, -0.01, -999.0, 99.0])
def test_rows_without_reddening_are_not_corrected(bad):
    expected, _ = read_table(photometry())
    if bad == "mask":
        ebv = MaskedColumn([0.1, 0.1, 0.1], mask=[False, True, False])
    else:
        ebv = [0.1, bad, 0.1]
    galaxies, reading = read_table(photometry(ebv=ebv))
    ratio = factors(galaxies, expected)
    assert np.all(ratio[1] == 1)
    assert np.all(ratio[[0, 2]] > 1.05)
    assert reading.counts == {"rows without a valid ebv": 1}


def test_states_stay():
    table = photometry(ebv=EBV)
    table["lsst_r"][1] = np.nan
    table["lsst_u"] = MaskedColumn([1.0, 2.0, 3.0], unit="nJy", mask=[False, False, True])
    table["lsst_u_lim"] = Column([30.0, 30.0, 30.0], unit="nJy")
    galaxies, _ = read_table(table, {"lsst_u_lim": "lsst_u_limit[nJy, 3 sigma]"})
    np.testing.assert_array_equal(galaxies.photometry.state[:, 0], [MEASURED, MEASURED, LIMIT])
    np.testing.assert_array_equal(galaxies.photometry.state[:, 2], [MEASURED, MISSING, MEASURED])
    limit = 30.0 * 10 ** (0.4 * 0.3 * coefficient("lsst_u"))
    np.testing.assert_allclose(galaxies.photometry.value[2, 0], limit, rtol=1e-5)
    np.testing.assert_allclose(galaxies.photometry.error[2, 0], limit / 3, rtol=1e-5)


def test_vectors_of_light_are_corrected_and_histories_not():
    table = QTable(
        {
            "spherex": np.full((3, 102), 10.0) * u.uJy,
            "spherex_err": np.full((3, 102), 1.0) * u.uJy,
            "spectrum": np.full((3, len(SPECTRUM_WAVELENGTH)), 5.0) * u.uJy,
            "sfh": np.ones((3, 31)) * u.solMass / u.yr,
            "redshift": [0.1, 0.2, 0.3],
        }
    )
    expected, _ = read_table(table)
    table["ebv"] = EBV
    galaxies, _ = read_table(table)
    k = {
        "spherex": [coefficient(name) for name in list_filters("spherex")],
        "spectrum": curve(SPECTRUM_WAVELENGTH),
    }
    for name, known in k.items():
        ratio = galaxies.vectors[name].value / expected.vectors[name].value
        np.testing.assert_allclose(ratio, 10 ** (0.4 * np.outer(EBV, known)), rtol=1e-5)
    np.testing.assert_array_equal(galaxies.vectors["sfh"].value, expected.vectors["sfh"].value)
    np.testing.assert_array_equal(
        galaxies.scalars["redshift"].value, expected.scalars["redshift"].value
    )


def test_channels_in_columns_of_their_own():
    one = QTable({"spherex": np.full((3, 102), 10.0) * u.uJy, "ebv": EBV})
    many = QTable({name: np.full(3, 10.0) * u.uJy for name in list_filters("spherex")})
    many["ebv"] = EBV
    np.testing.assert_allclose(
        read_table(many)[0].vectors["spherex"].value, read_table(one)[0].vectors["spherex"].value
    )


def test_spectra_beside_a_table():
    specutils = pytest.importorskip("specutils")
    spectra = [
        specutils.Spectrum(spectral_axis=SPECTRUM_WAVELENGTH * u.um,
                           flux=np.full(len(SPECTRUM_WAVELENGTH), 5.0) * u.uJy)
    ] * 3  # fmt: skip
    expected, _ = read_input(photometry(), spectrum=spectra)
    galaxies, reading = read_input(photometry(ebv=EBV), spectrum=spectra)
    ratio = galaxies.vectors["spectrum"].value / expected.vectors["spectrum"].value
    np.testing.assert_allclose(
        ratio, 10 ** (0.4 * np.outer(EBV, curve(SPECTRUM_WAVELENGTH))), rtol=1e-5
    )
    assert sum("corrected for Galactic extinction" in note for note in reading.notes) == 2


def sdss(kind, **more):
    table = Table(more)
    for b, mag in zip("ugriz", [19.0, 18.0, 17.5, 17.2, 17.0], strict=True):
        table[f"{kind}_{b}"] = [mag, mag + 1]
        table[f"modelMagErr_{b}"] = [0.02, 0.03]
    return table


def test_extinction_of_each_band_comes_before_reddening():
    amounts = dict(zip("ugriz", [0.5, 0.4, 0.3, 0.2, 0.1], strict=True))
    own = {f"extinction_{b}": [a, a] for b, a in amounts.items()}
    expected, _ = read_table(sdss("modelMag"))
    for more in (own, own | {"ebv": [0.3, 0.3]}):
        galaxies, reading = read_table(sdss("modelMag", **more))
        ratio = factors(galaxies, expected)
        np.testing.assert_allclose(ratio, [10 ** (0.4 * np.array([*amounts.values()]))] * 2, 1e-5)
        assert any("by extinction_u to extinction_z" in note for note in reading.notes)
        assert not any("not applied" in note for note in reading.notes)
        assert reading.ignored == []


def test_dereddened_columns_are_left_alone():
    expected, _ = read_table(sdss("dered"))
    more = {f"extinction_{b}": [0.3, 0.3] for b in "ugriz"}
    galaxies, reading = read_table(sdss("dered", ebv=[0.1, 0.1], **more))
    assert np.all(factors(galaxies, expected) == 1)
    assert any("sdss_u to sdss_z taken as corrected" in note for note in reading.notes)


def test_corrected_and_dereddened_columns_are_one():
    """What SDSS would have in its table of dereddened magnitudes."""
    amounts = {f"extinction_{b}": [0.3, 0.3] for b in "ugriz"}
    corrected, _ = read_table(sdss("modelMag", **amounts))
    table = sdss("dered")
    for b in "ugriz":
        table[f"dered_{b}"] = np.subtract(table[f"dered_{b}"], 0.3)
    given, _ = read_table(table)
    np.testing.assert_allclose(
        corrected.photometry.value, given.photometry.value, rtol=1e-3, atol=1.0
    )


def test_bundled_sample_is_not_corrected_again():
    from importlib.resources import files

    table = Table.read(files("astromosaic") / "data" / "sdss_mgs.ecsv")
    galaxies, reading = read_table(table)
    table["ebv"] = 0.1
    again, _ = read_table(table)
    np.testing.assert_array_equal(galaxies.photometry.value, again.photometry.value)
    assert any("taken as corrected" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("ebv", "message"),
    [
        (Column([0.1] * 3, unit="nJy"), "'ebv' has unit 'nJy'"),
        (np.ones((3, 2)), "'ebv' has shape"),
        (["a", "b", "c"], "'ebv' does not hold numbers"),
    ],
)
def test_wrong_columns_of_reddening(ebv, message):
    with pytest.raises(ValueError, match=message):
        read_table(photometry(ebv=ebv))


def test_reddening_alone_is_nothing():
    with pytest.raises(ValueError, match="found no photometry"):
        read_table(Table({"ebv": [0.1]}))
    galaxies, _ = read_table(Table({"ebv": [0.1], "redshift": [0.5]}))
    assert galaxies.known() == 1


def test_impossible_extinction_is_not_applied():
    table = photometry(ebv=[80.0, 99.0, 0.1])
    galaxies, reading = read_table(table)
    plain, _ = read_table(table, {"ebv": None})
    np.testing.assert_array_equal(galaxies.photometry.value[:2], plain.photometry.value[:2])
    assert np.all(galaxies.photometry.error[2] > plain.photometry.error[2])
    assert reading.counts["rows without a valid ebv"] == 2
    _, reading = read_table(photometry(ebv=[80.0, 99.0, -1.0]))
    assert any("not corrected for Galactic extinction" in note for note in reading.notes)
