"""Joint draws: they follow the chain rule, in any order, and carry what belongs together."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn

from astromosaic import load_model
from astromosaic.cosmology import age_gyr
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.galaxies import MEASURED, Galaxies, Measurement
from astromosaic.joint import JointPosterior, _levels, _orders, with_known
from astromosaic.properties import LOOKBACK_EDGES, VECTORS

N, DRAWS = 30, 150


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def galaxies():
    return give(load_truths(bundled_subset(), "test", N), ("LSST",), "survey")


def log(draws, query):
    value = draws[query]
    return np.log1p(value) if query == "redshift" else np.log10(value.value)


def test_the_order_of_drawing_matters_little(model, galaxies):
    joint = JointPosterior(model, galaxies, ["redshift", "stellar_mass"])
    forward = joint.sample(DRAWS, seed=1, order=["redshift", "stellar_mass"])
    backward = joint.sample(DRAWS, seed=2, order=["stellar_mass", "redshift"])
    noise = np.sqrt(2 / DRAWS)
    for query in joint:
        a, b = log(forward, query), log(backward, query)
        off = (a.mean(axis=1) - b.mean(axis=1)) / a.std(axis=1)
        assert np.median(np.abs(off)) < 2 * noise + 0.1
        assert np.median(np.abs(np.log(b.std(axis=1) / a.std(axis=1)))) < 0.25
    correlations = [
        np.array(
            [
                np.corrcoef(z, m)[0, 1]
                for z, m in zip(log(d, "redshift"), log(d, "stellar_mass"), strict=True)
            ]
        )
        for d in (forward, backward)
    ]
    assert np.median(np.abs(correlations[0] - correlations[1])) < 0.2
    # A galaxy that is farther away must be more massive to be as bright.
    assert np.median(correlations[0]) > 0.2


def test_draws_do_not_depend_on_how_queries_were_asked(model, galaxies):
    queries = ["redshift", "stellar_mass", "sfr", "mah"]
    draws, turned = (
        JointPosterior(model, galaxies[:6], asked).sample(4, seed=5)
        for asked in (queries, queries[::-1])
    )
    assert list(draws) == queries
    assert list(turned) == queries[::-1]
    for query in queries:
        np.testing.assert_allclose(draws[query], turned[query], rtol=1e-4)


def test_few_draws_are_in_all_orders(model, galaxies, monkeypatch):
    """Fewer rows than orders are no error, and no order is preferred."""
    joint = JointPosterior(model, galaxies[:1], ["redshift", "stellar_mass", "sfr"])
    drawn = joint.sample(1, seed=3)
    assert all(np.isfinite(drawn[query]).all() for query in joint)
    seen = []

    def record(self, rows, order, rng):
        seen.append(tuple(order))
        return {query: np.zeros(len(rows)) for query in order}

    monkeypatch.setattr(JointPosterior, "_sample_in_order", record)
    for seed in range(100):
        joint.sample(1, seed=seed)
    assert set(seen) == {tuple(order) for order in _orders(joint)}
    assert len(seen) == 100


def test_every_query_is_drawn_equally_often_in_each_place():
    orders = _orders(["sfh", "redshift", "sfr", "halo_mass", "stellar_mass"])
    assert all(order[-1] == "sfh" for order in orders)
    scalars = [order[:-1] for order in orders]
    assert len(scalars) == len({tuple(order) for order in scalars}) == 8
    for a in scalars[0]:
        assert np.bincount([order.index(a) for order in scalars]).tolist() == [2] * 4
        for b in set(scalars[0]) - {a}:
            assert sum(order.index(a) < order.index(b) for order in scalars) == 4
    assert _orders(["spectrum"]) == [["spectrum"]]
    assert _orders(["redshift"]) == [["redshift"]]


def test_draws_belong_together(model, galaxies):
    """The spread of one is that of its own posterior; that at a given other is smaller."""
    joint = JointPosterior(model, galaxies, ["redshift", "stellar_mass", "lsst_y"])
    draws = joint.sample(DRAWS, seed=3)
    mass = log(draws, "stellar_mass")
    alone = np.log10(joint["stellar_mass"].sample(DRAWS).value)
    assert np.median(np.abs(np.log(mass.std(axis=1) / alone.std(axis=1)))) < 0.3
    known = joint.condition(redshift=np.median(draws["redshift"], axis=1))
    assert list(known) == ["stellar_mass", "lsst_y"]
    fixed = np.log10(known["stellar_mass"].sample(DRAWS).value)
    assert np.median(fixed.std(axis=1) / alone.std(axis=1)) < 0.95
    assert draws["lsst_y"].unit == u.nJy


def test_a_flux_and_its_magnitude_are_one(model, galaxies):
    queries = ["mag_lsst_y", "redshift", "lsst_y"]
    for order in (None, queries, queries[::-1]):
        draws = JointPosterior(model, galaxies[:5], queries).sample(20, seed=2, order=order)
        magnitude = np.minimum(draws["lsst_y"].to_value(u.ABmag), 35.0)
        np.testing.assert_allclose(draws["mag_lsst_y"].value, magnitude, atol=1e-6)


def test_a_history_is_drawn_as_a_whole(model, galaxies):
    """Its elements vary together: their sum varies more than if each went its own way."""
    joint = JointPosterior(model, galaxies, ["redshift", "sfh"])
    draws = joint.sample(40)
    assert draws["sfh"].shape == (N, 40, VECTORS["sfh"].length)
    assert draws["sfh"].unit == u.Unit("solMass / yr")
    assert (draws["sfh"].value >= 0).all()
    before = LOOKBACK_EDGES[:-1] >= age_gyr(draws["redshift"])[..., None]
    assert before.any()
    assert (draws["sfh"].value[before] == 0).all()
    recent = np.log10(draws["sfh"].value[:, :, 5:10] + 1e-3)
    correlation = [np.corrcoef(galaxy.T)[0, 4] for galaxy in recent]
    assert np.median(correlation) > 0.3


def test_a_drawn_spectrum_belongs_to_its_redshift(model):
    """Smooth but for lines, and where it is drawn first the redshift still has its own width."""
    truths = load_truths(bundled_subset(), "test", 200)
    bright = np.flatnonzero(truths["mag_i"] < 23)[:12]
    truths = {k: v if k == "filters" else v[bright] for k, v in truths.items()}
    galaxies = give(truths, ("LSST",), "survey")
    joint = JointPosterior(model, galaxies, ["redshift", "spectrum"])
    alone = np.log1p(joint["redshift"].sample(300))
    first = np.log1p(joint.sample(20, order=["spectrum", "redshift"])["redshift"])
    assert np.median(np.abs(first.mean(1) - alone.mean(1)) / alone.std(1)) < 0.5
    assert 0.5 < np.median(first.std(1) / alone.std(1)) < 1.7
    draws = joint.sample(20)

    def roughness(spectrum):
        return np.median(np.abs(np.diff(np.log(np.clip(spectrum, 1.0, None)), 2)))

    assert roughness(draws["spectrum"].value) < 3 * roughness(truths["spectrum"])
    # The redshift that a spectrum is drawn at can be read from it.
    n, length = bright.size * 20, VECTORS["spectrum"].length
    known = with_known(
        galaxies[np.repeat(np.arange(bright.size), 20)], "spectrum",
        draws["spectrum"].value.reshape(n, length),
    )  # fmt: skip
    read = model.posterior_of(known, ["redshift"])["redshift"].median()
    z = draws["redshift"].ravel()
    assert np.median(np.abs(read - z) / (1 + z)) < 0.03


def test_histories_begin_after_the_big_bang_of_a_known_redshift(model, galaxies):
    joint = JointPosterior(model, galaxies[:4], ["redshift", "sfh", "mah"]).condition(redshift=2.0)
    draws = joint.sample(5)
    before = LOOKBACK_EDGES[:-1] >= age_gyr(2.0)
    assert before.any()
    assert (draws["sfh"].value[..., before] == 0).all()
    assert (draws["sfh"].value[..., ~before] > 0).any()
    assert (draws["mah"].value[..., before] == 0).all()


def test_histories_begin_after_the_big_bang_of_a_measured_redshift(model, galaxies):
    n = 4
    for error, exact in ((1e-3, True), (0.3, False)):
        measured = Measurement(np.full(n, np.log(3.0)), np.full(n, error), np.full(n, MEASURED))
        known = replace(galaxies[:n], scalars={"redshift": measured})
        draws = JointPosterior(model, known, ["sfh"]).sample(5)["sfh"].value
        assert (draws[..., LOOKBACK_EDGES[:-1] >= age_gyr(2.0)] == 0).all() == exact


def test_what_is_fixed_may_be_masked_or_zero(model, galaxies):
    joint = JointPosterior(model, galaxies[:2], ["redshift", "sfr"])
    with pytest.raises(ValueError, match="redshift is given as NaN"):
        joint.condition(redshift=MaskedColumn([1.0, 5.0], mask=[False, True]))
    # Rates below 1e-5 solar masses a year are set to that.
    none, least = (joint.condition(sfr=rate)["redshift"].median() for rate in (0.0, 1e-5))
    np.testing.assert_array_equal(none, least)


def test_a_vector_posterior_draws_through_the_model(model, galaxies):
    posterior = JointPosterior(model, galaxies[:2], ["sfh"])["sfh"]
    assert posterior.sample(3).shape == (2, 3, len(LOOKBACK_EDGES) - 1)
    with pytest.raises(ValueError, match="after that"):
        posterior[:1].sample(3)


def test_the_same_seed_gives_the_same_draws(model, galaxies):
    joint = JointPosterior(model, galaxies[:5], ["redshift", "sfr"])
    a, b, c = joint.sample(7, seed=1), joint.sample(7, seed=1), joint.sample(7, seed=2)
    assert all(np.array_equal(a[q], b[q]) for q in joint)
    assert not np.array_equal(a["redshift"], c["redshift"])


def test_rows_of_which_nothing_is_known_have_no_draws(model, galaxies):
    empty = Galaxies(2, galaxies.filters, Measurement.missing(2, len(galaxies.filters)))
    draws = JointPosterior(model, empty, ["redshift", "sfr", "mag_lsst_r"]).sample(3)
    assert all(np.isnan(draws[q]).all() for q in draws)


def test_what_is_drawn_replaces_what_was_measured(galaxies):
    known = with_known(galaxies, "mag_lsst_r", 22.0)
    column = galaxies.filters.index("lsst_r")
    assert known.filters == galaxies.filters
    np.testing.assert_allclose(known.photometry.value[:, column], 10 ** (0.4 * 9.4), rtol=1e-5)
    others = np.arange(len(galaxies.filters)) != column
    np.testing.assert_array_equal(
        known.photometry.value[:, others], galaxies.photometry.value[:, others]
    )
    added = with_known(galaxies, "hsc_g", 100.0)
    assert added.filters == (*galaxies.filters, "hsc_g")


@pytest.mark.parametrize("length", [1, 2, 31, 102, 1071])
def test_levels_have_each_element_once_and_never_neighbours(length):
    levels = _levels(length)
    assert sorted(np.concatenate(levels)) == list(range(length))
    assert len(levels) == int(np.ceil(np.log2(length + 1)))
    assert all(np.diff(np.sort(level)).min(initial=2) >= 2 for level in levels)


def test_errors_say_what_to_do(model, galaxies):
    joint = JointPosterior(model, galaxies[:2], ["redshift", "sfr"])
    with pytest.raises(KeyError, match="was not asked"):
        joint.sample(2, order=["redshift", "dust_av"])
    with pytest.raises(ValueError, match="twice"):
        joint.sample(2, order=["redshift", "redshift"])
    with pytest.raises(ValueError, match="leave at least one"):
        joint.condition(redshift=1.0, sfr=1.0 * u.Msun / u.yr)
    with pytest.raises(KeyError, match="'halo_mass' was not asked; there are redshift, sfr"):
        joint.condition(halo_mass=1e12)
    with pytest.raises(ValueError, match="lsst_r is given as negative"):
        JointPosterior(model, galaxies[:2], ["redshift", "lsst_r"]).condition(lsst_r=-5 * u.nJy)
    with pytest.raises(ValueError, match="99, which is no magnitude: fix the flux 'lsst_r'"):
        JointPosterior(model, galaxies[:2], ["redshift", "mag_lsst_r"]).condition(mag_lsst_r=99)
    with pytest.raises(TypeError, match=r"such as \['redshift'\]"):
        joint.sample(2, order="redshift")
    with pytest.raises(ValueError, match="sfr is given outside"):
        joint.condition(sfr=-1.0 * u.Msun / u.yr)
    with pytest.raises(ValueError, match="redshift is given outside"):
        joint.condition(redshift=99.0)
    with pytest.raises(ValueError, match=r"shape \(3,\); give one value"):
        joint.condition(redshift=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="one or more"):
        joint.sample(0)


def test_a_conditioned_vector_is_known(model):
    joint = JointPosterior(model, Galaxies(1), ["redshift", "sfh", "stellar_mass"])
    history = np.ones((1, len(LOOKBACK_EDGES) - 1)) * u.Unit("solMass / yr")
    masses = [
        joint.condition(sfh=rate * history, redshift=0.5)["stellar_mass"].median().value
        for rate in (1, 10)
    ]
    # Ten times as many stars a year for as long are ten times the mass.
    np.testing.assert_allclose(np.log10(masses[1] / masses[0]), 1.0, atol=0.3)
