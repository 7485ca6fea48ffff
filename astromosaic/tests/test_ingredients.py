"""Ingredients of the mocks: what each changes, and what it leaves alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from astromosaic.simulation.ingredients import (
    INGREDIENTS,
    RELEASE,
    check_ingredients,
    line_strength,
    with_ingredients,
)
from astromosaic.tests.test_simulation import population

GRID = SimpleNamespace(
    log_z=np.log10([0.0001, 0.0004, 0.004, 0.008, 0.02, 0.05, 0.1]),
    log_age_gyr=np.log10([0.01, 0.05, 0.2, 0.6, 5.0]),
)


@pytest.fixture
def galaxies():
    rng = np.random.default_rng(0)
    weights = rng.random((2000, 7, 5))
    weights[:, [0, 1, 5, 6]] = 0.0
    return population(
        2000, ssp_weights=weights / weights.sum(axis=(1, 2), keepdims=True),
        dust=np.tile([0.5, 1.0, -0.7, 0.01], (2000, 1)), template_error=np.full((2000, 4), 1.1),
    )  # fmt: skip


def test_each_changes_its_own_part_and_nothing_else(galaxies):
    parts = {
        "thin_dust": "dust", "thinner_dust": "dust", "grey_dust": "dust",
        "metal_rich": "ssp_weights", "few_young": "ssp_weights",
        "no_template_error": "template_error", "weak_lines": None,
        "some_grey_dust": "dust", "some_few_young": "ssp_weights",
    }  # fmt: skip
    assert set(parts) == set(INGREDIENTS)
    for name, part in parts.items():
        changed = with_ingredients(galaxies, (name,), GRID, np.random.default_rng(1))
        for other in ("redshift", "log_mass_formed", "dust", "ssp_weights", "template_error"):
            same = np.array_equal(getattr(changed, other), getattr(galaxies, other))
            assert same == (other != part), (name, other)


@pytest.mark.parametrize(("name", "least"), [("thin_dust", 0.6), ("thinner_dust", 0.25)])
def test_dust_is_thinner_for_old_and_young_alike(galaxies, name, least):
    dust = with_ingredients(galaxies, (name,), GRID, np.random.default_rng(1)).dust
    factor = dust[:, :2] / galaxies.dust[:, :2]
    np.testing.assert_allclose(factor[:, 0], factor[:, 1])
    assert factor.min() >= least
    assert factor.max() <= 1.0
    np.testing.assert_allclose(factor.mean(), (1 + least) / 2, atol=0.02)


def test_young_stars_get_older_and_no_mass_is_lost(galaxies):
    weights = with_ingredients(galaxies, ("few_young",), GRID, np.random.default_rng(1)).ssp_weights
    before = galaxies.ssp_weights
    np.testing.assert_allclose(weights.sum(axis=2), before.sum(axis=2), rtol=1e-5)
    left = weights[:, :, :2].sum(axis=(1, 2)) / before[:, :, :2].sum(axis=(1, 2))
    np.testing.assert_allclose([left.mean(), left.std()], [0.5, 12**-0.5], atol=0.02)
    np.testing.assert_array_equal(weights[:, :, 4], before[:, :, 4])
    # At a constant rate an age three times as high holds three times as much.
    more = (weights - before)[:, 2:5, 2:4].sum(axis=(0, 1))
    np.testing.assert_allclose(more[1] / more[0], 3.0, rtol=1e-3)


def test_some_galaxies_are_changed_and_others_not(galaxies):
    """As those of the whole ingredient are, in the part that is told."""

    def changed(name):
        after = with_ingredients(galaxies, (name,), GRID, np.random.default_rng(1))
        dust = after.dust[:, 2] / galaxies.dust[:, 2]
        young = after.ssp_weights[:, :, 0].sum(axis=1) / galaxies.ssp_weights[:, :, 0].sum(axis=1)
        return dust if "dust" in name else young

    for part, some, whole in (
        (1 / 2, "some_grey_dust", "grey_dust"), (1 / 3, "some_few_young", "few_young"),
    ):  # fmt: skip
        some, whole = changed(some), changed(whole)
        np.testing.assert_allclose(np.mean(some != 1), part, atol=0.04)
        np.testing.assert_allclose(some[some != 1].mean(), whole.mean(), atol=0.03)


def test_metals_rise_and_no_mass_is_lost(galaxies):
    weights = with_ingredients(
        galaxies, ("metal_rich",), GRID, np.random.default_rng(1)
    ).ssp_weights
    np.testing.assert_allclose(weights.sum(axis=1), galaxies.ssp_weights.sum(axis=1), rtol=1e-5)
    rise = (weights - galaxies.ssp_weights).sum(axis=2) @ GRID.log_z
    np.testing.assert_allclose(rise.mean(), 0.15, atol=0.02)
    np.testing.assert_allclose(rise.std(), 0.2, atol=0.02)


def test_lines_are_weaker():
    rng = np.random.default_rng(0)
    weak, cloudy = (np.log10(line_strength(n, rng, 20_000)) for n in (("weak_lines",), ()))
    np.testing.assert_allclose([weak.mean(), weak.std()], [-0.4, 0.3], atol=0.01)
    np.testing.assert_allclose([cloudy.mean(), cloudy.std()], [0.0, 0.2], atol=0.01)


def test_names():
    assert check_ingredients() == RELEASE
    assert check_ingredients([]) == ()
    with pytest.raises(ValueError, match="strong_wine.*known are weak_lines"):
        check_ingredients(["weak_lines", "strong_wine"])
