"""The figures of merit against cases with a known answer."""

import numpy as np
import pytest
from scipy import stats

from astromosaic.evaluation import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def test_redshift_deviation():
    np.testing.assert_allclose(metrics.redshift_deviation([1.1, 0.5], [1.0, 0.5]), [0.05, 0.0])


def test_point_metrics_of_a_gaussian_with_outliers(rng):
    d = rng.normal(0.01, 0.03, 100_000)
    d[:2000] = 0.5
    d[2000:4000] = -0.5
    figures = metrics.point_metrics(d)
    assert figures["bias"] == pytest.approx(0.01, abs=5e-4)
    # 4% of outliers widen the core by the ratio of normal quantiles.
    expected = 0.03 * stats.norm.ppf(0.5 + 0.25 / 0.96) * 1.4826
    assert figures["nmad"] == pytest.approx(expected, rel=0.01)
    assert figures["outlier_fraction"] == pytest.approx(0.04, abs=1e-4)


def test_nmad_does_not_depend_on_an_offset(rng):
    d = rng.normal(size=1000)
    assert metrics.nmad(d + 3.0) == pytest.approx(metrics.nmad(d))


def test_cde_loss_of_the_true_gaussian(rng):
    """For the true density N(mu, sigma): E[int p^2 - 2 p(z)] = -int p^2 = -1/(2 sqrt(pi) sigma)."""
    sigma = 0.1
    mu = rng.uniform(0.8, 2.2, 20_000)
    truth = rng.normal(mu, sigma)
    density = stats.norm.pdf(metrics.REDSHIFT_GRID, mu[:, None], sigma)
    expected = -1.0 / (2.0 * np.sqrt(np.pi) * sigma)
    assert metrics.cde_loss(density, truth) == pytest.approx(expected, rel=0.02)
    # Any other width is worse.
    for other in (0.07, 0.14):
        density = stats.norm.pdf(metrics.REDSHIFT_GRID, mu[:, None], other)
        assert metrics.cde_loss(density, truth) > expected * 0.98


def test_cde_loss_of_a_flat_density():
    density = np.full((2, 301), 1.0 / 3.0)
    assert metrics.cde_loss(density, [0.3, 2.9]) == pytest.approx(-1.0 / 3.0)


def test_cde_loss_gives_no_credit_beyond_the_grid():
    density = np.full((2, 301), 1.0 / 3.0)
    np.testing.assert_allclose(metrics.cde_loss_terms(density, [1.0, 4.0]), [-1.0 / 3.0, 1.0 / 3.0])


def test_cde_loss_checks_the_shape():
    with pytest.raises(ValueError, match="one row per galaxy"):
        metrics.cde_loss(np.ones((3, 300)), np.ones(3))


def test_pit_of_calibrated_posteriors_is_uniform(rng):
    mu, sigma = rng.normal(size=20_000), rng.uniform(0.5, 2.0, 20_000)
    pit = stats.norm.cdf(rng.normal(mu, sigma), mu, sigma)
    assert metrics.pit_ks(pit) < 0.015
    assert metrics.coverage(pit) == pytest.approx(0.68, abs=0.01)


def test_pit_ks_agrees_with_scipy(rng):
    pit = rng.beta(2.0, 3.0, 500)
    assert metrics.pit_ks(pit) == pytest.approx(stats.kstest(pit, "uniform").statistic)


def test_coverage_of_overconfident_posteriors(rng):
    """Posteriors half as wide as they should be hold P(|x| < 0.994 / 2) of the truths."""
    pit = stats.norm.cdf(rng.normal(size=50_000), 0.0, 0.5)
    expected = 2.0 * stats.norm.cdf(stats.norm.ppf(0.84) / 2.0) - 1.0
    assert metrics.coverage(pit) == pytest.approx(expected, abs=0.01)


def test_bootstrap_error_of_a_mean(rng):
    sample = rng.normal(size=2000)
    assert metrics.bootstrap(np.mean, sample, n=500) == pytest.approx(1 / np.sqrt(2000), rel=0.15)


def test_bootstrap_is_repeatable_and_keeps_rows_together(rng):
    x = rng.normal(size=300)
    errors = [metrics.bootstrap(lambda a, b: {"d": np.mean(a - b)}, x, x + 1.0) for _ in range(2)]
    assert errors[0] == errors[1]
    assert errors[0]["d"] == pytest.approx(0.0, abs=1e-12)
