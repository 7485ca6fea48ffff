"""Stars and quasars are told from galaxies by the latent state, where there is a classifier."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import QTable

from astromosaic import load_model
from astromosaic.cli import main
from astromosaic.evaluation.inputs import OPTICAL, give, load_truths, spectra
from astromosaic.evaluation.outsiders import (
    WAVELENGTH,
    composite_quasars,
    observe_all,
    observe_spectra,
    observed,
    pixel_matrix,
    quasars,
    stars,
)
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.filters import list_filters, projection_matrix
from astromosaic.galaxies import LIMIT, MEASURED, MISSING, Galaxies, Measurement
from astromosaic.inference import Model
from astromosaic.outsiders import (
    CARD_KEY,
    FEWEST_BANDS,
    FEWEST_PIXELS,
    LIGHT,
    Outsiders,
    classify,
)
from astromosaic.properties import SPECTRUM_EDGES, SPECTRUM_WAVELENGTH
from astromosaic.training.finetune import Settings
from astromosaic.training.noise import NoiseModel

N = 200
LSST = tuple(list_filters("lsst"))


@pytest.fixture(scope="module")
def bundled():
    return load_model()


@pytest.fixture(scope="module")
def classifier(bundled):
    """One with coefficients at random, which flags about half."""
    rng = np.random.default_rng(0)
    width = bundled.network.config.width
    return Outsiders(
        rng.normal(size=(width + 1, 6)) / width**0.5, rng.normal(size=(7, 3)), threshold=0.3
    )


@pytest.fixture(scope="module")
def model(bundled, classifier):
    """The bundled weights with that classifier."""
    entry = {"broadband": classifier.to_entry(), "spectrum": classifier.to_entry()}
    return Model(bundled.network, bundled.card | {CARD_KEY: entry}, bundled.checksum)


@pytest.fixture(scope="module")
def galaxies():
    """Those that are bright enough to be told from stars."""
    truths = load_truths(bundled_subset(), "test", 2 * N)
    galaxies = give(truths, ("LSST",), "survey")[truths["mag_i"] < 25.0]
    assert len(galaxies) >= N
    return galaxies[:N]


def table_of(galaxies):
    table = QTable()
    photometry = galaxies.photometry
    for name, value, error in zip(
        galaxies.filters, photometry.value.T, photometry.error.T, strict=True
    ):
        table[name], table[f"{name}_err"] = value * u.nJy, error * u.nJy
    return table


def class_probabilities(model, galaxies):
    return classify(model, galaxies)[0]


def with_state(galaxies, state):
    return replace(galaxies, photometry=replace(galaxies.photometry, state=state))


def test_probabilities_sum_to_one_and_are_those_of_the_states(model, classifier, galaxies):
    found = class_probabilities(model, galaxies)
    assert found.shape == (N, 3)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    # Very large logits must not overflow.
    huge = Outsiders(classifier.hidden, 1e4 * classifier.logits, 0.5)
    np.testing.assert_allclose(huge.probabilities(np.ones((2, 128))).sum(axis=1), 1.0)


def test_answers_do_not_depend_on_the_company(model, galaxies):
    whole = class_probabilities(model, galaxies)
    state = galaxies.photometry.state.copy()
    state[::2, 0] = MISSING
    mixed = class_probabilities(model, with_state(galaxies, state))
    np.testing.assert_allclose(mixed[1::2], whole[1::2], atol=1e-5)
    order = np.random.default_rng(1).permutation(N)
    np.testing.assert_allclose(classify(model, galaxies[order])[0], whole[order], atol=1e-5)
    np.testing.assert_allclose(class_probabilities(model, galaxies[:3]), whole[:3], atol=1e-5)


def test_too_few_bands_give_no_answer_and_no_flag(model, galaxies):
    state = galaxies.photometry.state[:4].copy()
    state[0, FEWEST_BANDS:] = MISSING
    state[1, FEWEST_BANDS - 1 :] = MISSING
    state[2, FEWEST_BANDS - 1 :] = LIMIT
    state[3] = MISSING
    found, flags = classify(model, with_state(galaxies[:4], state))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()
    assert (flags[1:] == 0).all()


def test_what_is_hardly_detected_is_no_star(bundled):
    truths = load_truths(bundled_subset(), "test")
    galaxies = give(truths, ("LSST",), "survey")
    probabilities, flags = classify(bundled, galaxies)
    faint = truths["mag_i"] > 26.0
    assert (flags[faint] == 0).all()
    assert np.isnan(probabilities[truths["mag_i"] > 27.5]).all()
    # Noise alone, of LSST.
    error = np.broadcast_to([38.1, 12.4, 10.9, 18.1, 35.4, 82.6], (N, 6))
    value = error * np.random.default_rng(0).normal(size=error.shape)
    filters = [f"lsst_{band}" for band in "ugrizy"]
    noise = Galaxies(N, tuple(filters), Measurement(value, error, np.full(value.shape, MEASURED)))
    assert np.isnan(classify(bundled, noise)[0]).all()


def test_only_photometry_near_the_optical_is_judged(model, galaxies):
    """Neither what is known beside it nor bands beyond what stars were learned in matter."""
    alone = class_probabilities(model, galaxies)
    n = len(galaxies)
    known = Measurement(np.full(n, 0.5), np.full(n, np.nan), np.full(n, MEASURED))
    photometry = galaxies.photometry

    def with_more(name, values):
        return replace(galaxies, filters=(*galaxies.filters, name), photometry=Measurement(
            *(np.hstack([old, np.full((n, 1), new)]) for old, new in zip(
                (photometry.value, photometry.error, photometry.state), values, strict=True
            ))
        ))  # fmt: skip

    for more in (
        replace(galaxies, scalars={"redshift": known}),
        with_more("wise_w1", (1e5, 1.0, MEASURED)),
    ):
        np.testing.assert_allclose(class_probabilities(model, more), alone, atol=1e-5)
    near = class_probabilities(model, with_more("vista_vircam_J", (1e5, 1.0, MEASURED)))
    assert np.abs(near - alone).max() > 0.01


def test_predict_fills_columns_and_flags(model, classifier, galaxies):
    result = model.predict(table_of(galaxies), "redshift", check=True)
    expected = class_probabilities(model, galaxies)
    np.testing.assert_allclose(result["p_star"], expected[:, 1], atol=1e-5)
    np.testing.assert_allclose(result["p_quasar"], expected[:, 2], atol=1e-5)
    outside = (result["flag"] & 48) > 0
    assert 0 < outside.sum() < N
    assert np.array_equal(outside, expected[:, 0] < classifier.threshold)
    star = (result["flag"] & 16) > 0
    assert np.array_equal(star, outside & (expected[:, 1] >= expected[:, 2]))
    assert not (star & ((result["flag"] & 32) > 0)).any()
    without = model.predict(table_of(galaxies), "redshift")
    assert "p_star" not in without.colnames
    assert not (without["flag"] & 48).any()


def test_a_model_without_classifier_flags_nothing(bundled, galaxies):
    card = {key: entry for key, entry in bundled.card.items() if key != CARD_KEY}
    model = Model(bundled.network, card, bundled.checksum)
    assert np.isnan(class_probabilities(model, galaxies)).all()
    result = model.predict(table_of(galaxies[:5]), "redshift", check=True)
    assert result["p_star"].mask.all()
    assert result["p_quasar"].mask.all()
    assert not (result["flag"] & 48).any()


def test_a_classifier_of_an_earlier_version_is_none(bundled, classifier, galaxies, tmp_path):
    """Its entry in the card was not by kind of light."""
    card = bundled.card | {CARD_KEY: classifier.to_entry()}
    model, path = Model(bundled.network, card, bundled.checksum), tmp_path / "old.safetensors"
    with pytest.warns(UserWarning, match="no classifier of stars and quasars"):
        result = model.predict(table_of(galaxies[:5]), "redshift", check=True)
    assert result["p_star"].mask.all()
    model.save(path)
    assert main(["info", "--weights", str(path)]) == 0


def test_the_classifier_is_kept_in_the_file_of_weights(model, galaxies, tmp_path):
    path = tmp_path / "with.safetensors"
    model.save(path)
    again = load_model(path)
    assert again.card[CARD_KEY] == model.card[CARD_KEY]
    # Coefficients are rounded once, not each time.
    for light in LIGHT:
        entry = Outsiders.of_card(again.card, light).to_entry()
        assert entry == model.card[CARD_KEY][light]
    assert len(json.dumps(model.card[CARD_KEY])) < 120_000
    np.testing.assert_allclose(
        class_probabilities(again, galaxies), class_probabilities(model, galaxies), atol=1e-5
    )


def test_a_fine_tuned_model_has_no_classifier(model):
    """It was fitted to states that are no more."""
    rng = np.random.default_rng(0)
    table = QTable({"z_spec": rng.uniform(0.1, 1.5, 60)})
    for band in "griz":
        flux = 10 ** rng.uniform(3, 4, 60)
        table[f"lsst_{band}"], table[f"lsst_{band}_err"] = flux * u.nJy, 0.02 * flux * u.nJy
    tuned = model.fine_tune(table, settings=Settings(steps=2, measurements=1))
    assert CARD_KEY not in tuned.card
    assert CARD_KEY in model.card


def test_info_leaves_out_the_coefficients(model, tmp_path, capsys):
    path = tmp_path / "with.safetensors"
    model.save(path)
    assert main(["info", "--weights", str(path)]) == 0
    text = capsys.readouterr().out
    assert "P(galaxy) = 0.3" in text
    assert str(model.card[CARD_KEY]["spectrum"]["hidden"][0][0]) not in text


def test_quasars_have_no_light_below_the_lyman_limit(tmp_path):
    """The u band of a composite at z = 3.8 is dark, the y band of one at z = 0.5 not covered."""
    rest = np.arange(800.0, 6000.0, 2.5)
    path = tmp_path / "composite.dat"
    path.write_text("# rest wavelength, flux\n" + "\n".join(
        f"{w} {(w > 912.0) * w**-1.5:.6e}" for w in rest
    ))  # fmt: skip
    flux = composite_quasars(path, LSST, [3.8, 0.5, 1.5])
    assert flux[0, 0] == pytest.approx(0.0, abs=0.01 * flux[0, 3])  # the filter leaks
    assert np.isnan(flux[1, 5])
    # f_lambda ~ lambda^-1.5 is f_nu ~ lambda^0.5, redshifted or not.
    assert flux[2, 5] / flux[2, 1] == pytest.approx((0.97 / 0.48) ** 0.5, rel=0.03)


def test_stars_redden_and_quasars_drop_out():
    rng = np.random.default_rng(2)
    filters = (*LSST, "vista_vircam_J")
    flat, matrix = np.ones((1, len(WAVELENGTH))), projection_matrix(filters, WAVELENGTH)
    clear = stars(flat, matrix, 3, rng, reddening=0.0)
    np.testing.assert_allclose(clear, 1.0, rtol=1e-3)
    dusty = stars(flat, matrix, 3, rng, reddening=0.5)
    assert (np.diff(dusty, axis=1) > 0).all()
    flux = quasars(matrix, 400, rng)
    assert np.isfinite(flux).all()
    colour = np.log10(np.maximum(flux[:, 0], 1e-9) / flux[:, 3])
    assert np.median(np.sort(colour)[:50]) < -2  # of the highest redshifts
    assert np.median(np.sort(colour)[-200:]) > -0.3


def test_pixels_are_means_and_see_what_bands_see():
    """A slope stays a slope in pixels, which end where the spectra do."""
    seen = (1e-4 * WAVELENGTH) @ pixel_matrix()
    covered = SPECTRUM_EDGES[1:] < 1e-4 * WAVELENGTH[-1]
    np.testing.assert_allclose(seen[covered], SPECTRUM_WAVELENGTH[covered], rtol=1e-3)
    assert (seen[~covered] == 0).all()


def test_a_spectrum_is_judged_in_place_of_bands(model, classifier, galaxies):
    rng = np.random.default_rng(5)
    flux = 1e3 * quasars(pixel_matrix(), 20, rng)
    (seen,) = observe_spectra(flux, NoiseModel(), rng)
    alone, flags = classify(model, seen)
    np.testing.assert_allclose(alone.sum(axis=1), 1.0)
    assert np.array_equal(flags > 0, alone[:, 0] < classifier.threshold)
    bands = galaxies[:20]
    both = replace(bands, vectors=seen.vectors)
    np.testing.assert_allclose(class_probabilities(model, both), alone, atol=1e-5)
    # Too few pixels do not count, nor those beyond what stars were learned in.
    spectrum = seen.vectors["spectrum"]
    for near in (
        np.arange(len(SPECTRUM_WAVELENGTH)) < FEWEST_PIXELS - 1,
        SPECTRUM_WAVELENGTH > 2.4,
    ):
        few = replace(spectrum, state=np.where(near, MEASURED, MISSING) + 0 * spectrum.state)
        np.testing.assert_allclose(
            class_probabilities(model, replace(bands, vectors={"spectrum": few})),
            class_probabilities(model, bands), atol=1e-5,
        )  # fmt: skip


def test_each_batch_is_seen_by_one_camera_with_bands_lost():
    rng = np.random.default_rng(3)
    filters = (*LSST, "vista_vircam_J", "ukirt_wfcam_J", "cfht_wircam_J_8101", "twomass_J")
    flux = np.ones((60, len(filters)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("astromosaic.evaluation.outsiders.CAMERAS", {"lsst": 1})
        seen = list(observe_all(flux, filters, np.full(60, 20.0), NoiseModel(), rng, batch=20))
    assert np.array_equal(np.concatenate([rows for _, rows, _ in seen]), np.arange(60))
    states = np.concatenate([galaxies.photometry.state[:, :6] for galaxies, _, _ in seen])
    assert 0.05 < np.mean(states == MISSING) < 0.5


@pytest.mark.skipif(CARD_KEY not in load_model().card, reason="weights without a classifier")
def test_the_bundled_classifier_finds_quasars_and_spares_galaxies(bundled):
    truths = load_truths(bundled_subset(), "test", 2_000)
    seen = give(truths, ("LSST",), "survey")[truths["mag_i"] < 24]
    found = classify(bundled, seen)[1]
    assert np.mean(found > 0) < 0.03
    rng = np.random.default_rng(4)
    flux = quasars(projection_matrix(LSST, WAVELENGTH), 300, rng)
    generator = torch.Generator().manual_seed(0)
    seen = observed(flux, LSST, np.full(300, 20.0), NoiseModel(), generator)
    assert np.mean(classify(bundled, seen)[1] == 32) > 0.4
    # Spectra are judged by the other classifier.
    seen = give(truths, ("optical spectrum",), "survey")
    assert np.mean(classify(bundled, seen)[1] > 0) < 0.03
    flux = 1e3 * quasars(pixel_matrix(), 300, rng)
    spectrum = spectra(flux, *OPTICAL, 10.0, rng)
    found = classify(bundled, Galaxies(300, vectors={"spectrum": spectrum}))[1]
    assert np.mean(found == 32) > 0.3
