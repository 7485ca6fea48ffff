"""Bands that disagree are found, and good galaxies left alone."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from astromosaic import load_model
from astromosaic.checks import INCONSISTENT, consistency
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.galaxies import LIMIT, MEASURED, MISSING, Galaxies, Measurement

N = 300


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def galaxies():
    truths = load_truths(bundled_subset(), "test", 2 * N)
    bright = np.flatnonzero(truths["mag_i"] < 24)[:N]
    return give(truths, ("LSST",), "survey")[bright]


def shifted(galaxies, band, magnitudes):
    photometry = galaxies.photometry
    value = photometry.value.copy()
    value[:, galaxies.filters.index(band)] *= 10 ** (-0.4 * magnitudes)
    return replace(galaxies, photometry=replace(photometry, value=value))


def test_good_galaxies_are_left_alone(model, galaxies):
    _, by_band, overall = consistency(model, galaxies)
    assert by_band.shape == galaxies.photometry.value.shape
    assert np.mean(overall < INCONSISTENT) < 0.04
    # A probability: it must not pile up at zero.
    assert 0.3 < np.median(by_band) < 0.8


def test_a_band_that_is_a_magnitude_off_is_found_and_named(model, galaxies):
    _, by_band, overall = consistency(model, shifted(galaxies, "lsst_i", 1.0))
    caught = overall < INCONSISTENT
    assert caught.mean() > 0.9
    worst = by_band[caught].argmin(axis=1)
    assert np.mean(worst == galaxies.filters.index("lsst_i")) > 0.5


def test_a_known_property_that_is_wrong_is_found_and_named(model, galaxies):
    truths = load_truths(bundled_subset(), "test", 2 * N)
    redshift = truths["redshift"][np.flatnonzero(truths["mag_i"] < 24)[:N]]
    found = []
    for z in (redshift, redshift[::-1]):
        known = Measurement(z, np.full(N, np.nan), np.full(N, MEASURED))
        names, by_part, overall = consistency(model, replace(galaxies, scalars={"redshift": known}))
        found.append(overall < INCONSISTENT)
    assert names == (*galaxies.filters, "redshift")
    assert np.mean(found[0]) < 0.05
    caught, far = found[1], np.abs(redshift - redshift[::-1]) > 0.2
    assert np.mean(caught[far]) > 0.6
    assert np.mean(by_part[caught].argmin(axis=1) == names.index("redshift")) > 0.5


def test_an_overall_shift_is_not_an_error(model, galaxies):
    """A galaxy that is fainter in all bands is a fainter galaxy."""
    photometry = galaxies.photometry
    fainter = replace(
        galaxies, photometry=replace(photometry, value=0.6 * photometry.value,
                                     error=0.6 * photometry.error),
    )  # fmt: skip
    assert np.mean(consistency(model, fainter)[2] < INCONSISTENT) < 0.06


def test_what_is_not_measured_is_not_judged(model, galaxies):
    few = galaxies[:4]
    state = few.photometry.state.copy()
    state[0, 2:] = MISSING  # two bands: no telling which is wrong
    state[1, 3] = LIMIT
    few = replace(few, photometry=replace(few.photometry, state=state))
    _, by_band, overall = consistency(model, few)
    assert np.isnan(overall[0])
    assert np.isnan(by_band[0]).all()
    assert np.isnan(by_band[1, 3])
    assert np.isfinite(by_band[2:]).all()
    nothing = Galaxies(2, few.filters, Measurement.missing(2, len(few.filters)))
    assert np.isnan(consistency(model, nothing)[2]).all()
    assert np.isnan(consistency(model, Galaxies(2))[2]).all()


def test_parts_of_spherex_and_of_spectra_are_judged(model):
    truths = load_truths(bundled_subset(), "test", 400)
    bright = np.argsort(truths["mag_i"])[:60]
    given = give(truths, ("LSST", "SPHEREx", "optical spectrum"), "survey")[bright]
    names, by_part, overall = consistency(model, given)
    assert names[:6] == given.filters
    assert names[6].startswith("spherex 0.7")
    assert [name.split()[0] for name in names[6:]] == ["spherex"] * 6 + ["spectrum"] * 12
    assert np.isfinite(by_part[:, :12]).all()
    # What the spectrograph does not cover is not judged.
    assert np.isnan(by_part[:, -5:]).all()
    assert np.mean(overall < INCONSISTENT) < 0.05
    assert 0.3 < np.nanmedian(by_part) < 0.9

    seen = given.vectors["spherex"]
    off = seen.value.copy()
    off[:, 17:34] *= 2.5
    off = replace(given, vectors={**given.vectors, "spherex": replace(seen, value=off)})
    names, by_part, overall = consistency(model, off)
    caught = overall < INCONSISTENT
    assert caught.mean() > 0.6
    assert np.mean(np.nanargmin(by_part[caught], axis=1) == 7) > 0.6

    seen = given.vectors["spectrum"]
    another = replace(seen, value=seen.value[::-1], error=seen.error[::-1])
    wrong = replace(given, vectors={**given.vectors, "spectrum": another})
    assert np.mean(consistency(model, wrong)[2] < INCONSISTENT) > 0.4


def test_elements_without_errors_are_not_judged(model):
    given = give(load_truths(bundled_subset(), "test", 5), ("LSST", "SPHEREx"), "survey")
    seen = given.vectors["spherex"]
    error = seen.error.copy()
    error[:, :17] = np.nan
    error[:, 17:30] = np.nan  # four are left of the second part
    given = replace(given, vectors={"spherex": replace(seen, error=error)})
    _, by_part, overall = consistency(model, given)
    assert np.isnan(by_part[:, 6:8]).all()
    assert np.isfinite(by_part[:, 8:]).all()
    assert np.isfinite(overall).all()


def test_predict_flags_what_disagrees(model, galaxies):
    off = shifted(galaxies[:20], "lsst_r", -1.5)
    table = QTable()
    for name, value, error in zip(
        off.filters, off.photometry.value.T, off.photometry.error.T, strict=True
    ):
        table[name], table[f"{name}_err"] = value * u.nJy, error * u.nJy
    result = model.predict(table, "redshift", check=True)
    flagged = (result["flag"] & 8) > 0
    assert flagged.mean() > 0.8
    assert np.array_equal(flagged, result["consistency"] < INCONSISTENT)
    assert np.array_equal(np.asarray(result["odd_band"]) != "", flagged)
    assert "consistency" not in model.predict(table, "redshift").colnames
