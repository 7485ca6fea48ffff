"""Posteriors as tables, as distributions of Astropy and as ensembles of qp."""

import numpy as np
import pytest
from astropy import units as u

from astromosaic.posterior import Posterior, VectorPosterior
from astromosaic.properties import PROPERTIES

ALL = ["redshift", "stellar_mass", "dust_av"]


def posterior(name, n=6):
    """Two humps, elsewhere for each galaxy."""
    prop = PROPERTIES[name]
    x = np.linspace(0, 1, prop.bins)
    at = np.linspace(0.3, 0.5, n)[:, None]
    logits = np.log(
        np.exp(-0.5 * ((x - at) / 0.03) ** 2) + 0.3 * np.exp(-0.5 * ((x - 0.8) / 0.02) ** 2) + 1e-9
    )
    return Posterior.from_logits(name, logits)


@pytest.mark.parametrize("name", ALL)
def test_the_table_has_every_estimate_with_its_unit(name):
    p = posterior(name)
    table = p.to_table(samples=5)
    assert table.colnames == [
        name + s for s in ("", "_lo", "_hi", "_mean", "_std", "_mode", "_samples")
    ]
    assert len(table) == len(p)
    assert table[name + "_samples"].shape == (len(p), 5)
    units = {str(getattr(table[c], "unit", None) or "") for c in table.colnames}
    assert units == {PROPERTIES[name].unit if PROPERTIES[name].unit not in ("",) else ""}
    assert np.all(table[name + "_lo"] < table[name])
    assert np.all(table[name] < table[name + "_hi"])


@pytest.mark.parametrize("name", ALL)
def test_a_distribution_has_the_moments_of_the_posterior(name):
    p = posterior(name)
    drawn = p.to_distribution(20_000)
    std = p.std()
    assert np.all(np.abs(drawn.pdf_mean() - p.mean()) < 0.05 * std)
    assert np.all(np.abs(drawn.pdf_std() / std - 1) < 0.05)


@pytest.mark.parametrize("name", ALL)
def test_qp_has_the_same_cumulative_distribution(name):
    pytest.importorskip("qp")
    p = posterior(name)
    at = p.quantile([0.01, 0.2, 0.5, 0.9, 0.99])
    at = getattr(at, "value", at)
    expected = np.stack([p.cdf(column) for column in at.T], axis=1)
    np.testing.assert_allclose(p.to_qp().cdf(at), expected, atol=0.02)
    few = p.to_qp(quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(few.ppf(0.5)[:, 0], at[:, 2], rtol=1e-5)
    prop = PROPERTIES[name]
    grid = prop.to_physical(np.linspace(prop.low, prop.high, 4000))
    np.testing.assert_allclose(p.to_qp(grid=grid).cdf(at), expected, atol=0.02)


def test_qp_is_told_which_galaxies_have_no_answer():
    pytest.importorskip("qp")
    logits = np.zeros((3, PROPERTIES["redshift"].bins))
    logits[1] = np.nan
    p = Posterior.from_logits("redshift", logits)
    with pytest.raises(ValueError, match="first in row 1"):
        p.to_qp()
    assert p[p.defined].to_qp().npdf == 2


def test_densities_of_a_vector_integrate_to_one_and_peak_at_the_mode():
    rng = np.random.default_rng(1)
    shape = (3, 31, 2)
    weight = np.broadcast_to([0.7, 0.3], shape)
    p = VectorPosterior("sfh", weight, rng.uniform(5, 8, shape), rng.uniform(0.1, 0.3, shape))
    grid = np.geomspace(1e-3, 1e5, 20_000) * u.Unit("solMass / yr")
    density = p.pdf(grid)
    assert density.unit == u.Unit("yr / solMass")
    np.testing.assert_allclose(np.trapezoid(density, grid, axis=2), 1.0, rtol=1e-3)
    # The mode is that in the coordinate of the prediction, near the logarithm, to within the width
    # of components that overlap.
    x = p.coordinate.to_internal(grid.value)
    in_x = density.value * np.hypot(grid.value, p.coordinate.scale)
    peak = x[np.argmax(in_x, axis=2)]
    np.testing.assert_allclose(p.coordinate.to_internal(p.mode().value), peak, atol=0.3)


def test_one_galaxy_is_a_posterior_of_one():
    p = posterior("redshift")
    assert len(p[2]) == len(p[[2]]) == len(p[np.int64(2)]) == 1
    np.testing.assert_allclose(p[2].median(), p.median()[[2]])
    v = VectorPosterior(
        "sfh", np.ones((3, 31, 1)), np.arange(93.0).reshape(3, 31, 1), np.ones((3, 31, 1))
    )
    np.testing.assert_allclose(v[1].median(), v.median()[[1]])
