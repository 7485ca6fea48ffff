"""Filters: names, shapes, and synthetic photometry against sedpy."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from sedpy.observate import Filter as SedpyFilter

from astromosaic.filters import (
    canonical_name,
    filter_shapes,
    list_filters,
    list_sets,
    load_filter,
    projection_matrix,
    synthetic_flux,
    to_ab_magnitude,
)

SETS = ["lsst", "sdss", "hsc", "cfht_megacam", "spherex"]
WAVELENGTH = np.arange(2500.0, 55000.0, 2.0)


def spectrum():
    """f_nu with a slope, a break and narrow emission lines on `WAVELENGTH`."""
    x = WAVELENGTH
    f_nu = (x / 5000.0) ** 1.3 * (1 + 0.5 * np.tanh((x - 6500.0) / 40.0))
    for centre in (3727 * 1.4, 5007 * 1.4, 6563 * 1.4, 18751 * 1.4):
        f_nu += 8.0 * np.exp(-0.5 * ((x - centre) / 8.0) ** 2)
    return f_nu


@pytest.mark.parametrize("set_name", SETS)
def test_agrees_with_sedpy(set_name):
    f_nu = spectrum()
    f_lambda = f_nu * 2.998e18 / WAVELENGTH**2
    for name in list_filters(set_name):
        ours = load_filter(name)
        theirs = SedpyFilter(name, data=(ours.angstrom, ours.transmission))
        expected = 10 ** (-0.4 * theirs.ab_mag(WAVELENGTH, f_lambda)) * theirs.ab_gnu
        found = f_nu @ projection_matrix([name], WAVELENGTH)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
        np.testing.assert_allclose(ours.effective_wavelength.value, theirs.wave_effective)
        np.testing.assert_allclose(ours.pivot_wavelength.value, theirs.wave_pivot)
        np.testing.assert_allclose(ours.mean_wavelength.value, theirs.wave_average)
        np.testing.assert_allclose(ours.width.value, theirs.rectangular_width)


def test_curves_are_those_of_sedpy():
    for name, sedpy_name in [("lsst_r", "lsst_baseline_r"), ("wise_w1", "wise_w1")]:
        theirs = SedpyFilter(sedpy_name)
        np.testing.assert_array_equal(
            load_filter(name).wavelength.to_value(u.AA), theirs.wavelength
        )
        np.testing.assert_array_equal(load_filter(name).transmission, theirs.transmission)
    ours = load_filter("spherex_001")
    theirs = SedpyFilter("spherex_band1", trans_colname="ch01")
    np.testing.assert_array_equal(ours.transmission, theirs.transmission)


def test_flat_spectrum_comes_out_exactly():
    names = [name for s in SETS for name in list_filters(s)]
    for grid in (WAVELENGTH, np.geomspace(2900, 52000, 1500)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            matrix = projection_matrix(names, grid)
        assert matrix.shape == (len(grid), len(names))
        np.testing.assert_allclose(matrix.sum(axis=0), 1, rtol=1e-12)


def test_projection_does_not_depend_on_the_sampling():
    names = list_filters("lsst") + list_filters("sdss")
    coarse = np.arange(2500.0, 12500.0, 40.0)
    smooth = [np.interp(x, [2500, 12500], [1.0, 9.0]) for x in (coarse, WAVELENGTH)]
    a = smooth[0] @ projection_matrix(names, coarse)
    b = smooth[1] @ projection_matrix(names, WAVELENGTH)
    np.testing.assert_allclose(a, b, rtol=1e-4)


def test_partial_coverage_is_a_choice():
    red = np.arange(4500.0, 12000.0, 5.0)
    with pytest.raises(ValueError, match="lsst_g"):
        projection_matrix(["lsst_i", "lsst_g"], red)
    matrix = projection_matrix(["lsst_i", "lsst_g"], red, on_partial="nan")
    assert np.isfinite(matrix[:, 0]).all()
    assert np.isnan(matrix[:, 1]).all()
    with pytest.raises(ValueError, match="on_partial"):
        projection_matrix(["lsst_i"], red, on_partial="zero")


def test_grid_is_checked():
    with pytest.raises(ValueError, match="increasing"):
        projection_matrix(["lsst_i"], WAVELENGTH[::-1])
    with pytest.warns(UserWarning, match="spherex_010"):
        projection_matrix(["spherex_010"], np.arange(3000.0, 56000.0, 200.0))


def test_names_and_aliases():
    assert canonical_name("lsst_r") == canonical_name("lsst_baseline_r") == "lsst_r"
    assert canonical_name("sdss_g0") == canonical_name("SDSS_g") == "sdss_g"
    assert canonical_name("ps1_g") == "panstarrs_g"
    assert canonical_name("cfht_u") == "cfht_megacam_us_9301"
    assert canonical_name("lsst_Y") == "lsst_y"
    assert canonical_name("decam_y") == "decam_Y"
    assert canonical_name("spherex_band1_ch01") == "spherex_001"
    for name in list_filters():
        assert canonical_name(name) == name


def test_every_alias_names_a_filter():
    from astromosaic.filters.names import ALIASES

    for alias, name, bands in ALIASES:
        for band in bands.split():
            assert canonical_name(alias.format(band)) == name.format(band)


@pytest.mark.parametrize("name", ["lsst_q", "Lsst_rr", "nothing like it", ""])
def test_unknown_filter(name):
    with pytest.raises(ValueError, match="list_filters"):
        load_filter(name)


def test_unknown_filter_gets_close_names():
    with pytest.raises(ValueError, match="lsst_r"):
        canonical_name("lsst_rr")
    with pytest.raises(ValueError, match="lsst, "):
        list_filters("lsstt")


def test_sets_are_complete_and_ordered():
    assert {"lsst", "sdss", "hsc", "spherex", "wise"} <= set(list_sets())
    assert list_filters("lsst") == [f"lsst_{b}" for b in "ugrizy"]
    assert len(list_filters()) == len(set(list_filters())) > 350
    spherex = list_filters("spherex")
    assert spherex == [f"spherex_{n:03d}" for n in range(1, 103)]
    effective = [load_filter(name).effective_wavelength.value for name in spherex]
    assert np.all(np.diff(effective) > 0)


def test_versions():
    assert load_filter("lsst_r").version == "v1.9"
    assert "sdss_r0" in load_filter("sdss_r").version


def test_curves_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load_filter("lsst_r").transmission[0] = 1.0


def test_filter_shapes():
    names = ["lsst_u", "lsst_g", "wise_w1", "sdss_r0"]
    shapes = filter_shapes(names)
    assert shapes.shape == (4, 4)
    assert shapes.dtype == np.float32
    assert np.all(np.diff(shapes[:, 1:], axis=1) > 0)
    for name, shape in zip(names, shapes, strict=True):
        np.testing.assert_allclose(
            np.exp(shape[0]), load_filter(name).pivot_wavelength.to_value(u.micron), rtol=1e-6
        )
        np.testing.assert_array_equal(filter_shapes([name])[0], shape)
    assert filter_shapes([]).shape == (0, 4)


def test_synthetic_flux_takes_any_units():
    names = ["sdss_g", "lsst_i"]
    f_nu = spectrum() * u.uJy
    expected = synthetic_flux(WAVELENGTH * u.AA, f_nu, names)
    assert expected.unit == u.nJy
    f_lambda = f_nu.to(u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(WAVELENGTH * u.AA))
    frequency = (WAVELENGTH * u.AA).to(u.THz, u.spectral())
    for found in (
        synthetic_flux(WAVELENGTH * u.AA, f_lambda, names),
        synthetic_flux((WAVELENGTH * u.AA).to(u.micron), f_nu, names),
        synthetic_flux(frequency, f_nu, names),
        synthetic_flux(frequency[::-1], f_nu[::-1], names),
        synthetic_flux(WAVELENGTH * u.AA, u.Quantity([f_nu, 2 * f_nu]), names)[1] / 2,
    ):
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-6)
    assert synthetic_flux(WAVELENGTH * u.AA, f_nu, "sdss_g").shape == (1,)


def test_synthetic_flux_of_flat_spectrum_is_its_magnitude():
    flux = synthetic_flux(
        WAVELENGTH * u.AA, np.full_like(WAVELENGTH, 3.630780547701) * u.uJy, ["hsc_i"]
    )
    np.testing.assert_allclose(to_ab_magnitude(flux).value, 22.5)


def test_nan_touches_only_its_filters():
    f_nu = np.tile(spectrum(), (2, 1))
    f_nu[0, (WAVELENGTH > 7000) & (WAVELENGTH < 7600)] = np.nan
    flux = synthetic_flux(WAVELENGTH * u.AA, f_nu * u.nJy, ["lsst_g", "lsst_i"])
    np.testing.assert_array_equal(np.isnan(flux), [[False, True], [False, False]])


def test_synthetic_flux_needs_units():
    with pytest.raises(TypeError, match="Quantit"):
        synthetic_flux(WAVELENGTH, spectrum(), ["lsst_g"])
    with pytest.raises(TypeError, match="flux"):
        synthetic_flux(WAVELENGTH * u.AA, filters=["lsst_g"])


def test_spectrum_and_its_mask():
    specutils = pytest.importorskip("specutils")
    mask = (WAVELENGTH > 7000) & (WAVELENGTH < 7600)
    spec = specutils.Spectrum(spectral_axis=WAVELENGTH * u.AA, flux=spectrum() * u.nJy, mask=mask)
    flux = synthetic_flux(spec, filters=["lsst_g", "lsst_i"])
    assert np.isnan(flux[1])
    np.testing.assert_allclose(
        flux[0].value, synthetic_flux(WAVELENGTH * u.AA, spec.flux, ["lsst_g"]).value, rtol=1e-3
    )
