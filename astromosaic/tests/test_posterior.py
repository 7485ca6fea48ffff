"""Posteriors: the limits in which they are known exactly."""

import numpy as np
import pytest
from astropy import units as u
from scipy import stats
from scipy.special import ndtr

from astromosaic.posterior import (
    FluxCoordinate,
    MagnitudeCoordinate,
    Posterior,
    VectorPosterior,
)
from astromosaic.properties import FLUX_SCALE, PROPERTIES, VECTORS


def gaussian_logits(name, mean, sigma):
    """Logits of a Gaussian in the internal coordinate."""
    prop = PROPERTIES[name]
    edges = np.linspace(prop.low, prop.high, prop.bins + 1)
    cdf = stats.norm.cdf(edges, np.asarray(mean)[:, None], np.asarray(sigma)[:, None])
    return np.log(np.diff(cdf, axis=1) + 1e-300)


@pytest.mark.parametrize("name", list(PROPERTIES))
def test_quantiles_of_a_gaussian(name):
    prop = PROPERTIES[name]
    middle = 0.5 * (prop.low + prop.high)
    sigma = 0.05 * (prop.high - prop.low)
    posterior = Posterior.from_logits(name, gaussian_logits(name, [middle], [sigma]))
    for p in (0.025, 0.16, 0.5, 0.84, 0.975):
        value = np.asarray(posterior.quantile(p))
        expected = middle + sigma * stats.norm.ppf(p)
        assert abs(prop.to_internal(value)[0] - expected) < 0.02 * sigma + 0.1 * (
            (prop.high - prop.low) / prop.bins
        )
        np.testing.assert_allclose(posterior.cdf(posterior.quantile(p)), p, atol=1e-6)


@pytest.mark.parametrize("name", list(PROPERTIES))
def test_density_is_normalised_and_has_the_moments(name):
    prop = PROPERTIES[name]
    middle, sigma = 0.5 * (prop.low + prop.high), 0.03 * (prop.high - prop.low)
    posterior = Posterior.from_logits(name, gaussian_logits(name, [middle], [sigma]))
    grid = prop.to_physical(np.linspace(middle - 6 * sigma, middle + 6 * sigma, 20_001))
    density = np.asarray(posterior.pdf(grid))[0]
    assert abs(np.trapezoid(density, grid) - 1) < 2e-3
    mean = np.trapezoid(density * grid, grid)
    np.testing.assert_allclose(np.asarray(posterior.mean())[0], mean, rtol=5e-3)
    std = np.sqrt(np.trapezoid(density * (grid - mean) ** 2, grid))
    np.testing.assert_allclose(np.asarray(posterior.std())[0], std, rtol=2e-2)


def test_units():
    posterior = Posterior.from_logits(
        "stellar_mass", gaussian_logits("stellar_mass", [10.0], [0.1])
    )
    assert posterior.median().unit == u.solMass
    assert posterior.pdf([1e10] * u.solMass).unit == u.solMass**-1
    np.testing.assert_allclose(
        posterior.cdf([1e10] * u.solMass), posterior.cdf([1.98841e40] * u.kg), atol=1e-3
    )


def test_samples_follow_the_distribution():
    posterior = Posterior.from_logits("redshift", gaussian_logits("redshift", [0.7], [0.05]))
    draws = posterior.sample(20_000, seed=3)
    assert draws.shape == (1, 20_000)
    pit = np.array([posterior.cdf(v)[0] for v in draws[0, :500]])
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(draws, posterior.sample(20_000, seed=3))


def test_mixture_is_the_mixture():
    weight = np.array([[0.3, 0.7]])
    mean, sigma = np.array([[2.0, 5.0]]), np.array([[0.02, 0.5]])
    posterior = Posterior.from_mixture(FluxCoordinate("lsst_r"), weight, mean, sigma)
    for x in (1.98, 2.0, 2.03, 4.5, 5.0, 6.0):
        expected = np.sum(weight * stats.norm.cdf(x, mean, sigma))
        flux = posterior.coordinate.to_physical(x)
        assert abs(posterior.cdf(flux)[0] - expected) < 5e-3


def test_magnitude_and_flux_agree():
    arguments = np.array([[1.0]]), np.array([[6.0]]), np.array([[0.1]])
    flux = Posterior.from_mixture(FluxCoordinate("lsst_r"), *arguments)
    magnitude = Posterior.from_mixture(MagnitudeCoordinate("mag_lsst_r"), *arguments)
    low, high = flux.interval()
    faint, bright = magnitude.interval()[::-1]
    np.testing.assert_allclose(low.to_value(u.ABmag), faint.value, atol=1e-3)
    np.testing.assert_allclose(high.to_value(u.ABmag), bright.value, atol=1e-3)
    assert magnitude.median().unit == u.ABmag


def test_rows_without_an_answer():
    logits = gaussian_logits("redshift", [0.5, 0.5], [0.1, 0.1])
    logits[0] = np.nan
    posterior = Posterior.from_logits("redshift", logits)
    assert list(posterior.defined) == [False, True]
    for value in (posterior.median(), posterior.mean(), posterior.mode(), posterior.std()):
        assert np.isnan(value[0])
        assert np.isfinite(value[1])
    assert len(posterior[1:]) == 1


def test_the_best_estimate_is_in_the_likelier_answer_and_not_between_two():
    prop = PROPERTIES["redshift"]
    x = np.linspace(prop.low, prop.high, prop.bins + 1)
    x = (x[1:] + x[:-1]) / 2

    def peaks(*parts):
        return sum(w * np.exp(-0.5 * ((x - m) / s) ** 2) / s for w, m, s in parts)

    probability = np.stack([
        peaks((0.45, 0.3, 0.02), (0.1, 0.6, 0.2), (0.45, 0.9, 0.06)),
        peaks((0.3, 0.3, 0.005), (0.7, 0.9, 0.05)),  # the lower has the highest density
        peaks((1.0, 0.6, 0.1)), np.full(x.shape, np.nan),
    ])  # fmt: skip
    posterior = Posterior(prop, np.linspace(prop.low, prop.high, prop.bins + 1), probability)
    best = np.log1p(posterior.best())
    median, mode = np.log1p(posterior.median()), np.log1p(posterior.mode())
    assert 0.45 < median[0] < 0.8
    np.testing.assert_allclose(best[:3], [0.3, 0.9, 0.6], atol=0.03)
    np.testing.assert_allclose(mode[1], 0.3, atol=0.01)
    assert np.isnan(best[3])
    # The loss is that of Tanaka et al. (2018), and no other value has less.
    row = probability[0] / probability[0].sum()
    loss = [np.sum(row * (1 - 1 / (1 + ((x - e) / 0.15) ** 2))) for e in x]
    np.testing.assert_allclose(best[0], x[np.argmin(loss)], atol=1e-6)
    # Bins of another kind, as those of calibrated posteriors, change nothing.
    split = posterior[:1].remapped(np.array([0.0, 0.3, 1.0]), np.array([[0.0, 0.3, 1.0]]))
    np.testing.assert_allclose(np.log1p(split.best()), best[:1], atol=2 * (x[1] - x[0]))
    with pytest.raises(ValueError, match="above zero"):
        posterior.best(0.0)
    with pytest.raises(TypeError, match="take the median"):
        Posterior.from_mixture(
            FluxCoordinate("lsst_r"), np.array([[1.0]]), np.array([[6.0]]), np.array([[0.1]])
        ).best()


@pytest.fixture
def histories():
    """Mixtures for the 31 bins of three galaxies, the last without an answer."""
    rng = np.random.default_rng(0)
    weight = rng.dirichlet([1.0, 1.0], size=(3, 31))
    weight[2] = np.nan
    mean, sigma = rng.uniform(5, 9, (3, 31, 2)), rng.uniform(0.05, 0.6, (3, 31, 2))
    return VectorPosterior("sfh", weight, mean, sigma)


def test_vector_quantiles_and_cdf_are_inverse(histories):
    p = [0.025, 0.16, 0.5, 0.84, 0.975]
    values = histories.quantile(p)
    assert values.shape == (3, 31, 5)
    assert values.unit == u.Unit("solMass / yr")
    for k, level in enumerate(p):
        np.testing.assert_allclose(histories.cdf(values[..., k])[:2], level, atol=2e-3)
    assert np.all(np.diff(values[:2].value, axis=2) > 0)
    np.testing.assert_allclose(histories.median()[:2], values[:2, :, 2])
    assert list(histories.defined) == [True, True, False]
    assert np.isnan(histories.median()[2]).all()


def test_vector_moments_are_those_of_draws(histories):
    rng = np.random.default_rng(1)
    pick = rng.random((40_000, 31)) > histories.weight[0, :, 0]
    component = np.where(pick, 1, 0)[..., None]
    mean, sigma = (
        np.take_along_axis(np.broadcast_to(x[0], (40_000, 31, 2)), component, axis=2)[..., 0]
        for x in (histories.mean_internal, histories.sigma)
    )
    draws = histories.coordinate.to_physical(rng.normal(mean, sigma))
    np.testing.assert_allclose(histories.mean()[0].value, draws.mean(axis=0), rtol=0.05)
    np.testing.assert_allclose(histories.std()[0].value, draws.std(axis=0), rtol=0.1)


def test_some_elements_and_some_rows_of_a_vector(histories):
    some = histories[:2].elements([3, 7])
    assert len(some) == 2
    np.testing.assert_array_equal(some.median(), histories.median()[:2, [3, 7]])


def test_quantiles_are_of_probabilities():
    rng = np.random.default_rng(0)
    scalar = Posterior.from_logits("redshift", rng.normal(size=(2, PROPERTIES["redshift"].bins)))
    vector = VectorPosterior("sfh", *np.ones((3, 2, 31, 1)))
    for posterior in (scalar, vector):
        with pytest.raises(ValueError, match="between 0 and 1"):
            posterior.quantile([0.5, 1.5])
        with pytest.raises(ValueError, match="such as 0.68, not 68"):
            posterior.interval(68)
    with pytest.raises(ValueError, match=r"shape \(3,\) for 2 galaxies.*pdf"):
        scalar.cdf([0.1, 0.2, 0.3])


def test_moments_count_the_width_of_bins():
    prop = PROPERTIES["redshift"]
    logits = np.full((2, prop.bins), -np.inf)
    logits[[0, 1], [300, 301]] = logits[1, 300] = 0.0
    posterior = Posterior.from_logits("redshift", logits)
    draws = posterior.sample(200_000)
    np.testing.assert_allclose(posterior.std(), draws.std(axis=1), rtol=0.01)
    np.testing.assert_allclose(posterior.mean(), draws.mean(axis=1), rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0])
def test_a_flux_has_the_moments_and_tails_of_its_mixture(sigma):
    flux = FluxCoordinate("lsst_r")
    posterior = Posterior.from_mixture(flux, [[1.0]], [[5.0]], [[sigma]])
    mean = FLUX_SCALE * np.exp(sigma**2 / 2) * np.sinh(5.0)
    square = FLUX_SCALE**2 * 0.5 * (np.exp(2 * sigma**2) * np.cosh(10.0) - 1)
    np.testing.assert_allclose(posterior.mean().value, mean, rtol=3e-3)
    np.testing.assert_allclose(posterior.std().value, np.sqrt(square - mean**2), rtol=0.01)
    for z in (-3.5, -2.0, 0.0, 3.0):
        x = flux.to_internal(posterior.quantile(ndtr(z)).value)
        np.testing.assert_allclose(x, 5.0 + z * sigma, atol=0.02 * sigma)


def test_an_ensemble_on_a_coarse_grid():
    pytest.importorskip("qp")
    truth = np.linspace(0.3, 0.31, 11)
    posterior = Posterior.from_logits(
        "redshift", gaussian_logits("redshift", np.log1p(truth), np.full(11, 0.001))
    )
    ensemble = posterior.to_qp(grid=np.linspace(0, 3, 301))
    np.testing.assert_allclose(ensemble.ppf(0.5)[:, 0], truth, atol=0.006)
    with pytest.warns(UserWarning, match=r"cuts off more than 5% of redshift in \d+ galaxies"):
        posterior.to_qp(grid=np.linspace(0, 0.305, 100))
    with pytest.raises(ValueError, match="increasing"):
        posterior.to_qp(grid=[1.0, 0.5])
    with pytest.raises(ValueError, match="there are no galaxies"):
        posterior[[]].to_qp()


def test_histories_have_no_negative_values():
    one = np.ones((1, 31, 1))
    posterior = VectorPosterior("sfh", one, 0 * one, one)
    np.testing.assert_array_equal(posterior.cdf(-1e-3), 0.0)
    np.testing.assert_allclose(posterior.cdf(0.0), 0.5)
    assert not posterior.pdf([-0.1]).value.any()
    cells = posterior._in_cells(np.array([0.0, 1e-9, 1e9]))
    np.testing.assert_allclose(cells, np.broadcast_to([0.5, 0.5], cells.shape), atol=1e-6)
    with pytest.raises(ValueError, match="one for all, or as many"):
        posterior.cdf(np.zeros(7))


def test_a_grid_in_another_unit_is_no_ensemble():
    pytest.importorskip("qp")
    posterior = Posterior.from_logits(
        "stellar_mass", gaussian_logits("stellar_mass", [10.0], [0.1])
    )
    with pytest.raises(ValueError, match="8 to 12, misses all of stellar_mass in 1 .*'solMass'"):
        posterior.to_qp(grid=np.linspace(8.0, 12.0, 50))
    assert posterior.to_qp(grid=np.geomspace(1e8, 1e12, 500)).npdf == 1


def test_draws_of_different_properties_are_independent():
    rng = np.random.default_rng(0)
    a, b = (
        Posterior.from_logits(name, rng.normal(size=(1, PROPERTIES[name].bins)))
        for name in ("redshift", "stellar_mass")
    )
    x, y = (np.asarray(p.to_distribution(4000).distribution) for p in (a, b))
    assert abs(stats.spearmanr(x[0], y[0]).statistic) < 0.06


def test_moments_of_wide_histories_end_at_the_highest_value():
    shape = (2, 31, 2)
    posterior = VectorPosterior("mah", np.full(shape, 0.5), np.full(shape, 10.0), np.full(shape, 9))
    highest = VECTORS["mah"].highest
    assert np.all(posterior.mean().value < highest)
    assert np.all(posterior.std().value < highest)
    drawn = np.stack([posterior._draw(np.random.default_rng(k)) for k in range(4000)])
    assert drawn.max() == highest
    np.testing.assert_allclose(np.log10(posterior.mean().value.mean() / drawn.mean()), 0, atol=0.05)


def test_vectors_as_tables_and_ensembles():
    rng = np.random.default_rng(0)
    shape = (3, 31, 2)
    posterior = VectorPosterior(
        "sfh", np.full(shape, 0.5), rng.uniform(3, 8, shape), rng.uniform(0.1, 0.6, shape)
    )
    table = posterior.to_table()
    assert table.colnames == ["sfh", "sfh_lo", "sfh_hi", "sfh_mean", "sfh_std", "sfh_mode"]
    assert table["sfh_mean"].shape == (3, 31)
    np.testing.assert_array_equal(table["sfh"], posterior.median())
    pytest.importorskip("qp")
    ensemble = posterior.to_qp()
    assert ensemble.npdf == 3 * 31
    np.testing.assert_array_equal(ensemble.ancil["row"][::31], [0, 1, 2])
    np.testing.assert_allclose(
        ensemble.ppf(0.5).reshape(3, 31), posterior.median().value, rtol=1e-3
    )


def test_rebinning_keeps_the_distribution():
    prop = PROPERTIES["redshift"]
    rng = np.random.default_rng(0)
    plain = Posterior.from_logits("redshift", rng.normal(size=(3, prop.bins)))
    knots = np.linspace(0, 1, 9)
    mapped = plain.remapped(knots, np.tile(knots**1.3, (3, 1)))
    shared = mapped.rebinned(plain.edges[0])
    z = prop.to_physical(plain.edges[0][[40, 200, 500]])
    for value in z:
        np.testing.assert_allclose(shared.cdf(value), mapped.cdf(value), atol=1e-6)


def test_values_below_the_domain_have_no_probability_and_rows_without_answer_none():
    logits = gaussian_logits("sfr", [0.5, np.nan], [0.3, np.nan])
    posterior = Posterior.from_logits("sfr", logits)
    grid = np.array([-1.0, 0.0, 3.0, np.nan]) * u.solMass / u.yr
    density = posterior.pdf(grid).value
    assert density[0, :2].tolist() == [0.0, 0.0]
    assert density[0, 2] > 0
    assert np.isnan(density[0, 3])
    assert np.isnan(density[1]).all()
    for below in (-1.0, 0.0):
        cumulative = posterior.cdf(below * u.solMass / u.yr)
        assert cumulative[0] == 0
        assert np.isnan(cumulative[1])


def test_magnitudes_have_all_their_probability_to_the_faintest():
    one = np.ones((1, 1))
    magnitude = Posterior.from_mixture(
        MagnitudeCoordinate("mag_lsst_u"), one, 0.0 * one, one
    )  # half of it at negative fluxes
    faintest = MagnitudeCoordinate.FAINTEST
    assert magnitude.quantile(0.9)[0].value == faintest
    assert magnitude.cdf([faintest])[0] == pytest.approx(1.0)
    assert magnitude.cdf([99.0])[0] == pytest.approx(1.0)
    assert magnitude.cdf([faintest - 0.1])[0] == pytest.approx(0.5, abs=0.05)
