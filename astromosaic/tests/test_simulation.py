"""The simulator's physics, each part in a limit where the answer is known."""

import importlib.util

import numpy as np
import pytest

from astromosaic.simulation import igm, sample, ssp
from astromosaic.simulation.lightcone import Population

C_AA = 2.99792458e18

needs_diffsky = pytest.mark.skipif(
    importlib.util.find_spec("diffsky") is None or importlib.util.find_spec("bagpipes") is None,
    reason="needs the packages of the extra 'simulate'",
)


def test_rebinning_conserves_the_integral():
    source = np.linspace(3000.0, 6000.0, 313)
    density = 1.0 + 0.5 * np.sin(source / 170.0)
    wave = ssp.log_grid(3500.0, 5500.0)
    edges = np.concatenate([wave, [wave[-1] * np.exp(ssp.LOG_STEP)]]) * np.exp(-ssp.LOG_STEP / 2)
    total = np.sum(ssp._rebin(source, density, wave) * np.diff(edges))
    fine = np.linspace(edges[0], edges[-1], 200_001)
    expected = np.trapezoid(np.interp(fine, source, density), fine)
    np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_lines_keep_their_luminosity_and_place():
    wave = ssp.log_grid(4000.0, 7000.0)
    l_nu = np.zeros((2, len(wave)))
    ssp._add_lines(l_nu, wave, np.array([6564.6, 5008.2]), np.array([[3.0, 6.0], [1.0, 2.0]]))
    pixel_hz = C_AA / wave * ssp.LOG_STEP
    near = np.abs(wave - 6564.6) < 50
    for age, luminosity in ((0, 3.0), (1, 6.0)):
        light = (l_nu[age] * pixel_hz)[near]
        np.testing.assert_allclose(light.sum(), luminosity, rtol=1e-9)
        centroid = np.exp(np.sum(light * np.log(wave[near])) / light.sum())
        np.testing.assert_allclose(centroid, 6564.6, rtol=1e-9)


def test_igm_absorbs_blueward_of_lyman_alpha_and_more_with_redshift():
    # Lyman alpha alone, with the amplitudes of Inoue et al. 2014, table 2.
    lya = np.array([[2, 1215.67, 1.690e-02, 2.354e-03, 1.026e-04, 1.617e-04, 5.390e-05]])
    wave = np.array([1100.0, 1200.0, 1215.0, 1216.0, 1500.0])
    z = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    transmission = igm.lyman_series_transmission(wave, z, lya)
    assert np.all(transmission[:, 3:] == 1)
    assert np.all(transmission[0] == 1)
    assert np.all(np.diff(transmission[:, 1]) < 0)
    # Equation 21 at z = 3, redward of the break at z = 1.2: 2.354e-3 (1 + z_abs)^3.7, and DLAs.
    x = 1200.0 * 4 / 1215.67
    tau = 2.354e-3 * x**3.7 + 5.390e-5 * x**3.0
    np.testing.assert_allclose(transmission[3, 1], np.exp(-tau), rtol=1e-10)


def population(n, **changes):
    """A population of which only what the samples look at matters."""
    rng = np.random.default_rng(2)
    values = {
        "redshift": rng.uniform(0.7, 0.85, n), "t_obs": np.full(n, 7.0),
        "log_halo_mass": rng.uniform(10.5, 14, n), "log_mass_formed": np.full(n, 10.0),
        "is_central": np.arange(n) % 4 > 0, "ssp_weights": np.zeros((n, 1, 1)),
        "mah": np.zeros((n, 1)), "mag_i": rng.uniform(15, 28, n),
        "dust": np.zeros((n, 4)), "template_error": np.ones((n, 2)),
        "t_table": np.array([1.0]), "template_nodes": np.array([1e3, 1e4]),
    }  # fmt: skip
    values["weight"] = 10 ** (-0.9 * (values["log_halo_mass"] - 12)) * (1 + values["redshift"])
    return Population(**(values | changes))


def test_survey_selection_depends_on_magnitude_alone_at_given_weight():
    galaxies = population(5000)
    chance = sample.keep_survey(galaxies, (0.7, 0.85))
    inside = chance > 0
    stands_for = galaxies.weight[inside] / chance[inside]
    np.testing.assert_allclose(stands_for, sample.survey_weight(galaxies.mag_i[inside]))
    assert not chance[galaxies.mag_i > 26.5].any()


def test_paper_selection_has_the_published_masses():
    galaxies = population(200_000, is_central=np.ones(200_000, bool))
    chance = sample.keep_paper(galaxies, (0.7, 0.85))
    mean = np.average(galaxies.log_halo_mass, weights=chance)
    scatter = np.sqrt(np.average((galaxies.log_halo_mass - mean) ** 2, weights=chance))
    assert abs(mean - 12.08) < 0.02
    assert abs(scatter - 0.50) < 0.02


@needs_diffsky
def test_fluxes_of_a_flat_spectrum():
    """A source flat in f_nu, without dust, has the same flux in every filter: L(1+z)/(4 pi d^2)."""
    from astropy import units as u
    from astropy.cosmology import Planck15

    from astromosaic.simulation.sed import Observer

    wave = ssp.log_grid(912.0, 60_000.0)
    grid = ssp.SSPGrid(
        "flat", np.array([-2.0]), np.array([-3.0, 0.0]), wave, np.full((1, 2, len(wave)), 1e-10),
        np.ones((1, 2)), np.array([np.nan]), np.zeros((1, 1, 0, len(wave))), np.zeros((1, 1, 0)),
    )  # fmt: skip
    weights = np.zeros((3, 1, 2))
    weights[:, :, 1] = 1.0
    galaxies = population(
        3, redshift=np.array([0.1, 0.5, 1.0]), log_mass_formed=np.full(3, 10.0),
        ssp_weights=weights, dust=np.tile([0.0, 0.0, -0.7, 0.0], (3, 1)),
    )  # fmt: skip
    filters = ("lsst_g", "lsst_y", "vista_vircam_Ks", "spherex_080")
    light = Observer(grid, filters).observe(galaxies, seed=0)
    distance = Planck15.luminosity_distance(galaxies.redshift)
    expected = (
        1e-10 * u.Lsun / u.Hz * 1e10 * (1 + galaxies.redshift) / (4 * np.pi * distance**2)
    ).to_value(u.nJy)
    np.testing.assert_allclose(light.flux, np.tile(expected[:, None], 4), rtol=1e-3)
    np.testing.assert_allclose(light.sed, np.tile(expected[:, None], light.sed.shape[1]), rtol=1e-3)
    np.testing.assert_allclose(light.dust_av, 0.0, atol=1e-5)
    np.testing.assert_allclose(light.log_stellar_mass, 10.0, atol=1e-5)
    # A shell of which no galaxy is kept is as good as any other.
    none = Observer(grid, filters).observe(galaxies[np.zeros(0, int)], seed=0)
    assert none.flux.shape == (0, 4)
    assert none.sfh.shape == (0, light.sfh.shape[1])


def test_fluxes_agree_with_sedpy():
    """Fluxes against sedpy's own integral over the same spectrum, to 0.1%."""
    from sedpy import observate

    from astromosaic.filters import projection_matrix

    wave = ssp.log_grid(1200.0, 56_000.0)
    f_nu = (wave / 7000.0) ** 1.3 * np.where(wave < 6000.0, 0.5, 1.0)
    f_nu[np.searchsorted(wave, 8000.0)] *= 40
    names = ("lsst_baseline_r", "lsst_baseline_i", "hsc_z", "wise_w1", "cfht_megacam_gs_9401")
    ours = f_nu @ projection_matrix(names, wave)
    for name, flux in zip(names, ours, strict=True):
        f_lambda = f_nu * 1e-29 * C_AA / wave**2
        magnitude = observate.Filter(name).ab_mag(wave, f_lambda)
        np.testing.assert_allclose(10 ** (-0.4 * (magnitude + 48.6)) / 1e-29, flux, rtol=1e-3)
