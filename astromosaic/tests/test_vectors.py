"""Spectra and histories through the bundled weights, from objects to objects."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from astromosaic import load_model, predict
from astromosaic.evaluation import metrics, paper
from astromosaic.evaluation.inputs import give, load_truths, spectra
from astromosaic.filters import projection_matrix
from astromosaic.galaxies import MISSING
from astromosaic.properties import LOOKBACK_EDGES, SPECTRUM_WAVELENGTH

LSST = [f"lsst_{b}" for b in "ugrizy"]


@pytest.fixture(scope="module")
def truths():
    """Simulated galaxies that come with the package, bright enough for LSST."""
    arrays = load_truths(paper.bundled_subset(), "test", 600)
    bright = arrays["mag_i"] < 24.0
    return {k: v if k == "filters" else v[bright] for k, v in arrays.items()}


@pytest.fixture(scope="module")
def table(truths):
    flux = truths["flux"][:, [truths["filters"].index(f) for f in LSST]]
    table = QTable()
    for name, values in zip(LSST, flux.T, strict=True):
        table[name] = values * u.nJy
        table[f"{name}_err"] = (0.01 * values + 3.0) * u.nJy
    return table


def as_spectrum(measurement, rows):
    from specutils import Spectrum

    known = measurement.state[0] != MISSING
    return Spectrum(
        flux=measurement.value[rows][..., known] * u.nJy,
        spectral_axis=SPECTRUM_WAVELENGTH[known] * u.um,
        uncertainty=StdDevUncertainty(measurement.error[rows][..., known] * u.nJy),
    )


def test_redshift_of_an_optical_spectrum(truths):
    seen = spectra(truths["spectrum"], 0.36, 0.98, 5.0, np.random.default_rng(0))
    result = predict(as_spectrum(seen, slice(None)), query="redshift")
    z = np.expm1(truths["redshift"])
    deviation = metrics.redshift_deviation(np.asarray(result["redshift"]), z)
    assert len(result) == len(z)
    assert metrics.nmad(deviation) < 0.004
    single = predict(as_spectrum(seen, 3), query="redshift")
    assert abs(single["redshift"][0] - result["redshift"][3]) < 1e-3 * (1 + z[3])


def test_a_spectrum_beside_a_table_tells_more(truths, table):
    seen = spectra(truths["spectrum"], 0.36, 0.98, 5.0, np.random.default_rng(0))
    alone = predict(table, query="redshift")
    both = predict(table, query="redshift", spectrum=as_spectrum(seen, slice(None)))

    def width(result):
        return np.median(np.asarray(result["redshift_hi"] - result["redshift_lo"]))

    assert width(both) < 0.5 * width(alone)


def test_photometry_agrees_with_the_predicted_spectrum(truths, table):
    spectrum = predict(table, query="spectrum")
    assert spectrum.flux.shape == (len(table), len(SPECTRUM_WAVELENGTH))
    assert np.all(spectrum.uncertainty.array > 0)
    # Filters that lie within the range of the spectrum.
    names = ["lsst_g", "lsst_r", "lsst_i", "lsst_z", "vista_vircam_J", "twomass_Ks"]
    answers = predict(table, query=names)
    synthetic = spectrum.flux.to_value("nJy") @ projection_matrix(names, 1e4 * SPECTRUM_WAVELENGTH)
    for k, name in enumerate(names):
        ratio = synthetic[:, k] / answers[name].to_value("nJy")
        assert abs(np.median(ratio) - 1) < 0.05, name
        assert np.mean(np.abs(ratio - 1) < 0.25) > 0.8, name


def test_history_out_and_in_again(truths, table):
    result = predict(table, query=["sfh", "stellar_mass"])
    assert result["sfh"].shape == (len(table), 31)
    assert result["sfh"].unit == u.Unit("solMass / yr")
    np.testing.assert_allclose(result.meta["sfh_lookback_time_edges"], LOOKBACK_EDGES)
    assert np.all(result["sfh_lo"] <= result["sfh_hi"])
    again = table.copy()
    again["sfh"] = result["sfh"]
    mass = predict(again, query="stellar_mass")["stellar_mass"]
    ratio = np.log10(mass / result["stellar_mass"]).value
    assert np.median(np.abs(ratio)) < 0.2


def test_known_pieces_are_kept_and_missing_ones_recovered(truths):
    given = give(truths, ("SFH with a gap",), "noiseless")
    posterior = load_model().posterior_of(given, ["sfh"])["sfh"]
    coordinate = posterior.coordinate
    error = np.abs(
        coordinate.to_internal(posterior.median().value) - coordinate.to_internal(truths["sfh"])
    ) / np.log(10)
    known = given.vectors["sfh"].state != MISSING
    formed = truths["sfh"] > 0.01
    assert np.median(error[known & formed]) < 0.1
    assert np.median(error[~known & formed]) < 0.3


def test_spectrum_of_a_redshift_and_a_mass():
    table = QTable({"redshift": [0.2, 0.8], "stellar_mass": [1e10, 1e11] * u.solMass})
    spectrum = predict(table, query="spectrum")
    assert spectrum.flux.shape == (2, 1071)
    assert np.isfinite(spectrum.flux.value).all()
    # The same mass further away is fainter.
    near, far = predict(
        QTable({"redshift": [0.2, 0.8], "stellar_mass": [1e11, 1e11] * u.solMass}), "spectrum"
    ).flux.value.mean(axis=1)
    assert near > 5 * far


def test_predicted_spectra_have_the_lines_of_their_redshift(truths):
    given = give(truths, ("LSST", "redshift"), "noiseless")
    predicted = load_model().posterior_of(given, ["spectrum"])["spectrum"].median().value
    smooth = np.ones(31) / 31

    def lines(spectrum):  # what is sharp, in magnitudes, without the blanketed far UV
        x = np.log(np.clip(spectrum, 1.0, None))
        x = x - np.apply_along_axis(np.convolve, 1, x, smooth, mode="same")
        rest = SPECTRUM_WAVELENGTH / np.exp(truths["redshift"])[:, None]
        return np.where((rest > 0.36) & (rest < 0.9), x, 0.0)[:, 30:-30]

    own, other = (
        np.sum(lines(predicted) * lines(t), axis=1)
        for t in (truths["spectrum"], np.roll(truths["spectrum"], 40, axis=1))
    )
    norm = np.sqrt(np.sum(lines(predicted) ** 2, 1) * np.sum(lines(truths["spectrum"]) ** 2, 1))
    assert np.median(own / norm) > 0.7
    assert np.median(other / norm) < 0.3


def test_embedding_of_spectra(truths):
    seen = spectra(truths["spectrum"], 0.36, 0.98, 10.0, np.random.default_rng(0))
    states = load_model().embed(as_spectrum(seen, slice(0, 5)))
    assert states.shape == (5, 128)
    assert np.isfinite(states).all()


def test_draws_of_vectors_stand_in_tables(table):
    drawn = predict(table[:2], query=["redshift", "sfh"], samples=3)["sfh_samples"]
    assert drawn.shape == (2, 3, len(LOOKBACK_EDGES) - 1)
    with pytest.raises(ValueError, match=r"query=\['spectrum'\]"):
        predict(table[:2], query="spectrum", samples=3)
