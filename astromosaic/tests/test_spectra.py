"""Spectra in: energy and information are kept, and what is bad or wrong stays out or is said."""

from collections import Counter

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.table import Column, QTable, Table
from specutils import Spectrum, SpectrumList

from astromosaic.catalog import read_input, read_spectrum
from astromosaic.catalog.axes import bin_edges, overlaps
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.properties import SPECTRUM_EDGES, SPECTRUM_WAVELENGTH

N_PIXELS = len(SPECTRUM_WAVELENGTH)
FREQUENCY_WIDTH = np.abs(np.diff(1 / SPECTRUM_EDGES))


def read(spectrum):
    """The measurement alone."""
    return read_spectrum(spectrum, Counter())


def make(wavelength, flux, error=None, **kwargs):
    """A spectrum of plain arrays in micron and nJy."""
    flux = np.asarray(flux, float)
    if error is not None:
        kwargs["uncertainty"] = StdDevUncertainty(np.broadcast_to(error, flux.shape).copy())
    return Spectrum(
        flux=flux * u.nJy,
        spectral_axis=wavelength * u.um,
        spectral_axis_index=flux.ndim - 1,
        **kwargs,
    )


def assert_same(a, b, rtol=1e-5):
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_allclose(a.value, b.value, rtol=rtol)
    np.testing.assert_allclose(a.error, b.error, rtol=rtol)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_own_pixels_come_back_exactly(rng):
    flux, error = rng.normal(0, 100, (3, N_PIXELS)), rng.uniform(1, 10, (3, N_PIXELS))
    result = read(make(SPECTRUM_WAVELENGTH, flux, error))
    np.testing.assert_allclose(result.value, flux.astype(np.float32), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(result.error, error.astype(np.float32), rtol=1e-6)
    assert np.all(result.state == MEASURED)
    by_edges = Spectrum(flux=flux[0] * u.nJy, spectral_axis=SPECTRUM_EDGES * u.um)
    np.testing.assert_allclose(read(by_edges).value[0], result.value[0], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("count", [300, 1071, 9000])
def test_energy_is_kept(rng, count):
    # Nothing near the ends of the range, so that no flux is cut off.
    edges = np.sort(rng.uniform(0.2, 6.0, count + 1))
    flux = rng.uniform(0, 1, count) * ((edges[1:] < 4.5) & (edges[:-1] > 0.4))
    result = read(Spectrum(flux=flux * u.nJy, spectral_axis=edges * u.um))
    given = np.sum(flux * -np.diff(1 / edges))
    assert result.value[0] @ FREQUENCY_WIDTH == pytest.approx(given, rel=1e-5)


def test_energy_of_a_step_within_a_pixel():
    edge = 0.7 * SPECTRUM_EDGES[500] + 0.3 * SPECTRUM_EDGES[501]
    edges = np.array([SPECTRUM_EDGES[490], edge, SPECTRUM_EDGES[510]])
    result = read(Spectrum(flux=[0.0, 1.0] * u.nJy, spectral_axis=edges * u.um))
    given = 1 / edges[1] - 1 / edges[2]
    assert result.value[0] @ FREQUENCY_WIDTH == pytest.approx(given, rel=1e-6)


@pytest.mark.parametrize("unit", ["erg / (s cm2 AA)", "W / (m2 um)"])
def test_flux_per_wavelength(rng, unit):
    edges = np.linspace(0.3, 1.1, 700)
    f_lambda = rng.uniform(1, 2, 699) * u.Unit(unit)
    result = read(Spectrum(flux=f_lambda, spectral_axis=edges * u.um))
    inside = (SPECTRUM_EDGES[:-1] >= 0.36) & (SPECTRUM_EDGES[1:] <= 1.0)
    # The energy is that of the flux per wavelength, and a flat spectrum has its slope.
    first, last = SPECTRUM_EDGES[:-1][inside][0], SPECTRUM_EDGES[1:][inside][-1]
    width = np.diff(np.clip(edges, first, last)) * u.um
    energy = np.sum(f_lambda * width).to("erg / (s cm2)")
    got = np.sum(result.value[0, inside] * u.nJy * FREQUENCY_WIDTH[inside] * 299792458e6 * u.Hz)
    assert got.to_value("erg / (s cm2)") == pytest.approx(energy.value, rel=1e-3)

    smooth = np.linspace(0.3, 1.1, 3000) * u.um
    flat = Spectrum(flux=np.ones(3000) * u.Unit(unit), spectral_axis=smooth)
    per_frequency = Spectrum(
        flux=flat.flux.to(u.uJy, u.spectral_density(smooth)), spectral_axis=smooth
    )
    assert_same(read(flat), read(per_frequency), rtol=1e-5)


@pytest.mark.parametrize("unit", ["AA", "nm", "Hz", "THz", "eV", "1 / cm"])
def test_axes_agree(rng, unit):
    wave = np.linspace(0.5, 0.9, 400)
    spectrum = make(wave, rng.normal(5, 1, 400), rng.uniform(0.1, 0.2, 400))
    axis = (wave * u.um).to(unit, u.spectral())
    other = Spectrum(flux=spectrum.flux, spectral_axis=axis, uncertainty=spectrum.uncertainty)
    turned = Spectrum(
        flux=spectrum.flux[::-1],
        spectral_axis=axis[::-1],
        uncertainty=StdDevUncertainty(spectrum.uncertainty.array[::-1]),
    )
    expected = read(spectrum)
    assert (expected.state == MEASURED).sum() > 200
    assert_same(read(other), expected)
    assert_same(read(turned), expected)


@pytest.mark.parametrize("kind", [VarianceUncertainty, InverseVariance])
def test_uncertainties_agree(rng, kind):
    wave, flux, error = np.linspace(0.5, 0.9, 400), np.ones(400), rng.uniform(0.1, 0.2, 400)
    other = make(wave, flux, uncertainty=StdDevUncertainty(error).represent_as(kind))
    assert_same(read(other), read(make(wave, flux, error)))
    larger = make(wave, flux, uncertainty=StdDevUncertainty(1e-3 * error * u.uJy))
    assert_same(read(larger), read(make(wave, flux, error)))


def test_errors_of_finer_pixels(rng):
    # Ten pixels in one of the model: their noise is averaged, and is as large as it is said to be.
    wave = np.exp(np.arange(np.log(0.4), np.log(0.9), 2.5e-4)) * 1.0001
    noise = rng.normal(0, 3, (400, len(wave)))
    result = read(make(wave, noise, 3.0))
    full = np.all(result.state == MEASURED, axis=0)
    full &= (SPECTRUM_EDGES[:-1] > 0.41) & (SPECTRUM_EDGES[1:] < 0.89)
    pull = result.value[:, full] / result.error[:, full]
    assert np.mean(pull**2) == pytest.approx(0.97, abs=0.03)
    # Of sums it is exact: what neighbours share is counted once.
    weight = result.error[:, full].astype(float) ** -2
    total = np.sum(weight * result.value[:, full], axis=1) / np.sqrt(weight.sum(axis=1))
    assert np.mean(total**2) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("step", [3e-4, 2.5e-3, 4e-3, 2.5e-2])
def test_information_is_kept(step):
    # What the model's pixels say of a flat spectrum is what the spectrum's own pixels say.
    wave = np.exp(np.arange(np.log(0.5), np.log(1.5), step))
    result = read(make(wave, np.ones(len(wave)), 2.0))
    got = np.sum(result.error[result.state == MEASURED].astype(float) ** -2)
    assert got == pytest.approx(len(wave) / 2.0**2, rel=0.02)


def test_no_errors_are_unknown_errors():
    notes = []
    result = read_spectrum(make(np.linspace(0.5, 0.9, 400), np.ones(400)), Counter(), notes)
    assert np.all(np.isnan(result.error))
    assert "no errors for spectrum" in notes


def test_bad_pixels_never_leak(rng):
    wave = np.linspace(0.5, 0.9, 2000)
    flux, error, mask = np.ones(2000), np.full(2000, 0.1), np.zeros(2000, bool)
    bad = rng.random(2000) < 0.3
    bad[900:1000] = True
    mask[bad], flux[bad] = True, 1e30
    masked = read(make(wave, flux, error, mask=mask))
    for change in (
        {"error": np.where(bad, 0.0, error)},
        {"error": np.where(bad, np.inf, error)},
        {"error": np.where(bad, np.nan, error)},
        {"flux": np.where(bad, np.nan, flux)},
        {"flux": np.where(bad, np.inf, flux)},
    ):
        counts = Counter()
        given = {"flux": flux, "error": error} | change
        result = read_spectrum(make(wave, **given), counts)
        assert_same(result, masked)
        assert sum(counts.values()) == bad.sum()
    good = masked.state == MEASURED
    np.testing.assert_allclose(masked.value[good], 1.0, rtol=1e-6)
    hole = (SPECTRUM_EDGES[:-1] > wave[901]) & (SPECTRUM_EDGES[1:] < wave[998])
    assert hole.any()
    assert np.all(masked.state[0, hole] == MISSING)
    # An inverse variance of zero is the way of some surveys to say that a pixel is bad.
    ivar = InverseVariance(np.where(bad, 0.0, error**-2.0))
    assert_same(read(make(wave, flux, uncertainty=ivar)), masked)


def test_half_a_pixel_is_enough():
    low, high = SPECTRUM_EDGES[500:502]
    for part, state in ((0.6, MEASURED), (0.4, MISSING)):
        edges = np.array([SPECTRUM_EDGES[490], low, low + part * (high - low)])
        result = read(Spectrum(flux=[1.0, 2.0] * u.nJy, spectral_axis=edges * u.um))
        assert result.state[0, 500] == state
        assert np.all(result.state[0, 490:500] == MEASURED)
        assert np.all(np.delete(result.state[0], np.arange(490, 501)) == MISSING)


def test_half_a_spectrum_and_gaps(rng):
    flux = rng.uniform(1, 2, N_PIXELS)
    whole = read(make(SPECTRUM_WAVELENGTH, flux, 0.1))
    kept = np.r_[100:300, 320:560, 561:700]
    part = read(make(SPECTRUM_WAVELENGTH[kept], flux[kept], 0.1))
    np.testing.assert_array_equal(np.flatnonzero(part.state[0] == MEASURED), kept)
    np.testing.assert_allclose(part.value[0, kept], whole.value[0, kept], rtol=1e-5)


@pytest.mark.parametrize("chunk", [1024, 3])
def test_rows_do_not_mix(rng, monkeypatch, chunk):
    monkeypatch.setattr("astromosaic.catalog.spectra._CHUNK", chunk)
    wave, flux = np.linspace(0.5, 0.9, 300), rng.normal(5, 1, (4, 300))
    mask = rng.random((4, 300)) < 0.2
    together = read(make(wave, flux, 0.1, mask=mask))
    listed = SpectrumList([make(wave, f, 0.1, mask=m) for f, m in zip(flux, mask, strict=True)])
    assert_same(together, read(listed))
    across = Spectrum(
        flux=flux.T * u.nJy,
        spectral_axis=wave * u.um,
        spectral_axis_index=0,
        mask=mask.T,
        uncertainty=StdDevUncertainty(np.full((300, 4), 0.1)),
    )
    assert_same(together, read(across))


def test_list_of_different_axes(rng):
    spectra = [
        make(np.linspace(*span, n), rng.normal(5, 1, n))
        for span, n in (((0.4, 0.7), 200), ((0.5, 1.5), 900), ((1.0, 4.0), 50))
    ]
    notes = []
    result = read_spectrum(spectra, Counter(), notes)
    assert result.value.shape == (3, N_PIXELS)
    for row, spectrum in enumerate(spectra):
        assert_same(result[row : row + 1], read(spectrum))
    assert notes[0].startswith("spectrum: 3 spectra of 50 to 900 pixels")


def test_redshift_is_not_applied():
    wave = np.linspace(0.5, 0.9, 300)
    notes = []
    result = read_spectrum(make(wave, np.ones(300), redshift=1.0), Counter(), notes)
    assert_same(result, read(make(wave, np.ones(300))))
    assert any("redshift" in note for note in notes)


# What is wrong is said


@pytest.mark.parametrize("unit", ["ct", "", "nJy / sr", "solMass", "mag(AB)"])
def test_wrong_flux(unit):
    spectrum = Spectrum(
        flux=u.Quantity(np.ones(10), u.Unit(unit), subok=True),
        spectral_axis=np.linspace(0.5, 0.9, 10) * u.um,
    )
    with pytest.raises(ValueError, match="no flux density: give it as a flux density"):
        read(spectrum)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (np.linspace(-100, 100, 5) * u.km / u.s, "'km / s'.*velocities"),
        (np.arange(5) * u.pix, "'pix'"),
        (np.linspace(6, 9, 5) * u.um, r"0\.35 to 5\.09 micron"),
        (np.linspace(100, 300, 5) * u.nm, r"0\.35 to 5\.09 micron"),
        ([0.5, 0.6, 0.6, 0.7, 0.8] * u.um, "same wavelength twice, 0.6 um"),
        (np.linspace(-0.5, 0.9, 5) * u.um, "not positive"),
    ],
)
def test_wrong_axes(axis, message):
    with pytest.raises(ValueError, match=message):
        read(Spectrum(flux=np.ones(5) * u.nJy, spectral_axis=axis))


def test_wrong_objects():
    wave = np.linspace(0.5, 0.9, 5)
    with pytest.raises(TypeError, match="ndarray"):
        read(np.ones(5))
    with pytest.raises(ValueError, match="in a list each must be 1-D"):
        read([make(wave, np.ones((2, 5)))])
    with pytest.raises(ValueError, match="row for each galaxy"):
        read(make(wave, np.ones((2, 3, 5))))
    with pytest.raises(ValueError, match="one pixel only"):
        read(make(wave[:1], np.ones(1)))


# Spectra and tables


@pytest.fixture
def spectrum(rng):
    """Spectra of four galaxies."""
    return make(np.linspace(0.4, 0.9, 600), rng.uniform(1, 2, (4, 600)), 0.1)


def test_spectrum_in_place_of_a_table(spectrum):
    galaxies, reading = read_input(spectrum)
    assert len(galaxies) == 4
    assert galaxies.filters == ()
    assert list(galaxies.vectors) == ["spectrum"]
    assert_same(galaxies.vectors["spectrum"], read(spectrum))
    assert reading.id_columns == []
    assert reading.columns == {"spectrum": "spectrum"}
    onto = (galaxies.vectors["spectrum"].state[0] == MEASURED).sum()
    assert f"spectrum: 600 pixels from 0.4 to 0.9 um onto {onto} pixels" in reading.summary()
    assert len(read_input([spectrum[0], spectrum[1]])[0]) == 2
    assert len(read_input(spectrum[0])[0]) == 1


def test_spectrum_beside_a_table(spectrum):
    table = QTable({"id": np.arange(4), "lsst_r": np.ones(4) * u.nJy})
    galaxies, reading = read_input(table, spectrum=spectrum)
    assert galaxies.filters == ("lsst_r",)
    assert_same(galaxies.vectors["spectrum"], read(spectrum))
    assert reading.id_columns == ["id"]
    assert reading.columns == {"lsst_r": "lsst_r", "spectrum": "spectrum"}
    only_ids, reading = read_input(table[["id"]], spectrum=spectrum)
    assert_same(only_ids.vectors["spectrum"], read(spectrum))
    assert reading.id_columns == ["id"]
    without, _ = read_input(table)
    assert without.vectors == {}


def test_spectra_and_rows_must_agree(spectrum):
    table = QTable({"lsst_r": np.ones(3) * u.nJy})
    with pytest.raises(ValueError, match="4 galaxies, but the table has 3 rows"):
        read_input(table, spectrum=spectrum)
    with pytest.raises(ValueError, match="go with a table"):
        read_input(spectrum, spectrum=spectrum)
    with pytest.raises(TypeError, match="QTable, or a specutils Spectrum, not dict"):
        read_input({"lsst_r": [1.0]})
    with pytest.raises(TypeError, match="not ndarray"):
        read_input(table, spectrum=np.ones((3, 5)))


def test_spectrum_in_a_column(spectrum):
    table = Table({"f": Column(spectrum.flux.value, unit="nJy"), "f_err": np.full((4, 600), 0.1)})
    table["f_err"].unit = "nJy"
    table["f"].info.meta = {
        "wavelength": spectrum.spectral_axis.value.tolist(), "wavelength_unit": "um"
    }  # fmt: skip
    galaxies, _ = read_input(table, {"f": "spectrum"})
    assert_same(galaxies.vectors["spectrum"], read(spectrum))
    with pytest.raises(ValueError, match="given twice, as column 'f'"):
        read_input(table, {"f": "spectrum"}, spectrum=spectrum)
    table["f"].info.meta = {}
    with pytest.raises(ValueError, match="column 'f' has 600 pixels, but no wavelengths"):
        read_input(table, {"f": "spectrum"})
    table.meta["f_wavelength"] = spectrum.spectral_axis.to(u.nm)
    again, _ = read_input(table, {"f": "spectrum"})
    assert_same(again.vectors["spectrum"], read(spectrum))


# Axes


def test_overlaps_are_those_of_intervals(rng):
    low = np.sort(rng.uniform(0, 10, 20))
    high = np.r_[low[1:] - rng.uniform(0, 0.5, 19) * np.diff(low), 11.0]
    edges = np.linspace(1, 9, 13)
    expected = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
    got = overlaps(low, high, edges).toarray()
    np.testing.assert_allclose(got, np.maximum(expected, 0), atol=1e-6)


@pytest.mark.parametrize("even", [np.log, np.asarray, np.reciprocal])
def test_edges_are_midway_in_the_even_coordinate(even):
    x = np.sort({np.log: np.exp, np.asarray: np.asarray, np.reciprocal: np.reciprocal}[even](
        np.linspace(1, 2, 30)))  # fmt: skip
    low, high = bin_edges(x, gaps=True)
    np.testing.assert_allclose(high[:-1], low[1:])
    np.testing.assert_allclose(even(low) + even(high), 2 * even(x))
