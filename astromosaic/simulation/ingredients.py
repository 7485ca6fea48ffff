"""What separates galaxies as diffsky calibrates them from those of the sky, each part by name.

diffsky is calibrated with stellar populations and nebular emission of its own; with those of
another grid the colours come out a little different. `INGREDIENTS` are the changes that were tried
(``benchmarks/ingredients.py`` measures what each buys on real galaxies and on other simulations),
`RELEASE` are those with which the bundled weights are trained.
"""

from dataclasses import replace

import numpy as np

__all__ = ["INGREDIENTS", "RELEASE", "check_ingredients", "line_strength", "with_ingredients"]

#: Each ingredient and what it does.
INGREDIENTS = {
    "weak_lines": "nebular emission at 0.4 of Cloudy's with a scatter of 0.3 dex, not at 1 and 0.2",
    "thin_dust": "dust at 0.6 to 1 of diffsky's, uniform",
    "thinner_dust": "dust at 0.25 to 1 of diffsky's, uniform",
    "no_template_error": "without diffsky's errors of stellar population templates",
    "grey_dust": "dust curves of all slopes between diffsky's and slightly greyer than Noll's",
    "metal_rich": "metallicities higher by 0.15 dex with a scatter of 0.2 dex",
    "few_young": "of the stars younger than 0.1 Gyr a uniform share made 0.1 to 1 Gyr old",
    "some_grey_dust": "grey_dust in half of the galaxies",
    "some_few_young": "few_young in a third of the galaxies",
}
#: Those with which the bundled weights are trained.
RELEASE = ("weak_lines", "thin_dust", "some_grey_dust", "some_few_young")

# Mean and scatter in dex of nebular emission in terms of Cloudy's for an open nebula without dust:
# dust within it and photons that leave it take their share (Inoue 2001, AJ 122, 1788).
_LINES, _WEAK_LINES = (0.0, 0.2), (-0.4, 0.3)
_THIN_DUST = {"thin_dust": (0.6, 1.0), "thinner_dust": (0.25, 1.0)}
_GREY_DUST = (0.0, 1.2)
# In which part of the galaxies there is grey dust, and few young stars.
_GREY = {"grey_dust": 1.0, "some_grey_dust": 1 / 2}
_FEW_YOUNG = {"few_young": 1.0, "some_few_young": 1 / 3}
_METAL_RICH = (0.15, 0.2)
# Ages in Gyr: which stars are too young, and the oldest that they are made.
_YOUNG_GYR, _AGED_GYR = 0.1, 1.0


def check_ingredients(names=None):
    """The names as a tuple, `RELEASE` without any given; ValueError if there is no such one."""
    if names is None:
        return RELEASE
    for name in names:
        if name not in INGREDIENTS:
            raise ValueError(f"unknown ingredient {name!r}; known are {', '.join(INGREDIENTS)}")
    return tuple(names)


def line_strength(names, rng, n):
    """Nebular emission of n galaxies in terms of Cloudy's; (n,)."""
    mean, scatter = _WEAK_LINES if "weak_lines" in names else _LINES
    return 10 ** rng.normal(mean, scatter, n)


def with_ingredients(population, names, ssp, rng):
    """A population with those ingredients that change it before it shines.

    Parameters
    ----------
    population : astromosaic.simulation.lightcone.Population
    names : sequence of str
    ssp : astromosaic.simulation.ssp.SSPGrid
    rng : numpy.random.Generator

    Returns
    -------
    Population
    """
    n = len(population)
    dust = population.dust.copy()
    for name, share in _THIN_DUST.items():
        if name in names:
            dust[:, :2] *= rng.uniform(*share, n)[:, None]
    for name, part in _GREY.items():
        if name in names:
            dust[:, 2] *= 1 - rng.uniform(*_GREY_DUST, n) * (rng.random(n) < part)
    population = replace(population, dust=dust)
    if "no_template_error" in names:
        population = replace(population, template_error=np.ones_like(population.template_error))
    if "metal_rich" in names:
        shift = rng.normal(*_METAL_RICH, n)
        weights = _with_metallicity(population.ssp_weights, ssp.log_z, shift)
        population = replace(population, ssp_weights=weights)
    for name, part in _FEW_YOUNG.items():
        if name in names:
            share = rng.random(n) * (rng.random(n) < part)
            weights = _with_fewer_young(population.ssp_weights, ssp.log_age_gyr, share)
            population = replace(population, ssp_weights=weights)
    return population


def _with_metallicity(weights, log_z, shift):
    """Weights (n, metallicity, age) with each metallicity shifted, shared among its neighbours."""
    at = log_z + shift[:, None]
    i = np.clip(np.searchsorted(log_z, at) - 1, 0, len(log_z) - 2)
    upper = np.clip((at - log_z[i]) / (log_z[i + 1] - log_z[i]), 0, 1)
    to = np.zeros((*at.shape, len(log_z)), weights.dtype)
    row, source = np.indices(at.shape)
    to[row, source, i] = 1 - upper
    to[row, source, i + 1] = upper
    return np.einsum("gma,gmk->gka", weights, to)


def _with_fewer_young(weights, log_age_gyr, share):
    """Weights with this share (n,) of the young stars older, as at a constant rate."""
    age = 10**log_age_gyr
    young, aged = age < _YOUNG_GYR, (age >= _YOUNG_GYR) & (age < _AGED_GYR)
    moved = weights * young * share[:, None, None]
    rate = age * aged  # ages are even in the logarithm
    total = moved.sum(axis=2, keepdims=True)
    return (weights - moved + total * rate / rate.sum()).astype(weights.dtype)
