"""Properties of the model and of what surrounds it, on small untrained networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astromosaic.galaxies import LIMIT, MEASURED, MISSING, Galaxies, Measurement
from astromosaic.inference import Model
from astromosaic.model.transformer import ModelConfig, RedshiftedFeatures, Transformer
from astromosaic.model.weights import load_weights, save_weights
from astromosaic.properties import PROPERTIES, VECTORS
from astromosaic.tokens import flux_from_internal, flux_to_internal, tokenize

FILTERS = ("lsst_u", "lsst_g", "lsst_r", "lsst_i", "lsst_z", "lsst_y")
QUERIES = ["redshift", "stellar_mass", "hsc_y", "mag_lsst_r", "spectrum", "sfh"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    network = Transformer(ModelConfig(width=32, layers=2, heads=2)).eval()
    return Model(network, {"name": "test", "parameters": 0, "flux_range": [-1, 14]}, "0" * 64)


def random_galaxies(n=40, seed=0, missing=0.3):
    """Galaxies with everything: photometry and vectors with gaps and limits, some redshifts."""
    rng = np.random.default_rng(seed)

    def measurement(*shape):
        value = 10 ** rng.uniform(1, 5, shape)
        error = value * rng.uniform(0.01, 1, shape)
        state = np.where(rng.random(shape) < missing, MISSING, MEASURED)
        return Measurement(value, error, np.where(rng.random(shape) < 0.05, LIMIT, state))

    redshift = rng.uniform(0.1, 1.0, n)
    state = np.where(rng.random(n) < 0.7, MISSING, MEASURED)
    return Galaxies(
        n, FILTERS, measurement(n, 6),
        {"redshift": Measurement(redshift, np.full(n, np.nan), state)},
        {name: measurement(n, v.length) for name, v in VECTORS.items()},
    )  # fmt: skip


def answers(model, galaxies):
    posteriors = model.posterior_of(galaxies, QUERIES)
    return np.concatenate(
        [np.asarray(p.quantile([0.16, 0.5, 0.84]).ravel()) for p in posteriors.values()]
    )


def assert_same(a, b):
    # Fluxes of vectors span decades: the tolerance is that of the coordinate they are made in.
    np.testing.assert_allclose(np.arcsinh(a), np.arcsinh(b), rtol=2e-4, atol=5e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_does_not_matter(model, batch_size):
    galaxies = random_galaxies()
    other = Model(model.network, model.card, model.checksum, batch_size)
    assert_same(answers(model, galaxies), answers(other, galaxies))


def test_row_order_and_company_do_not_matter(model):
    galaxies = random_galaxies()
    order = np.random.default_rng(1).permutation(len(galaxies))[:15]
    expected = model.posterior_of(galaxies, ["redshift"])["redshift"].median()[order]
    assert_same(model.posterior_of(galaxies[order], ["redshift"])["redshift"].median(), expected)


def test_column_order_does_not_matter(model):
    galaxies = random_galaxies()
    order = np.array([3, 0, 5, 1, 4, 2])
    photometry = Measurement(
        *(x[:, order] for x in (galaxies.photometry.value, galaxies.photometry.error,
                                galaxies.photometry.state))
    )  # fmt: skip
    turned = Galaxies(
        galaxies.n, [FILTERS[i] for i in order], photometry, galaxies.scalars, galaxies.vectors
    )
    assert_same(answers(model, galaxies), answers(model, turned))


def test_a_missing_band_is_an_absent_column(model):
    galaxies = random_galaxies(missing=0.0)
    state = galaxies.photometry.state.copy()
    state[:, 2] = MISSING
    masked = Galaxies(
        galaxies.n,
        FILTERS,
        Measurement(galaxies.photometry.value, galaxies.photometry.error, state),
    )
    keep = [0, 1, 3, 4, 5]
    p = galaxies.photometry
    absent = Galaxies(
        galaxies.n, [FILTERS[i] for i in keep],
        Measurement(p.value[:, keep], p.error[:, keep], p.state[:, keep]),
    )  # fmt: skip
    assert_same(answers(model, masked), answers(model, absent))


def test_an_answer_does_not_depend_on_what_else_is_asked(model):
    galaxies = random_galaxies()
    together = model.posterior_of(galaxies, QUERIES)
    for query in QUERIES:
        alone = model.posterior_of(galaxies, [query])[query]
        assert_same(np.asarray(alone.median()), np.asarray(together[query].median()))


def test_a_row_without_input_has_no_answer_and_spoils_no_other(model):
    galaxies = random_galaxies()
    p = galaxies.photometry
    state = p.state.copy()
    state[3] = MISSING
    empty = Galaxies(galaxies.n, FILTERS, Measurement(p.value, p.error, state))
    full = Galaxies(galaxies.n, FILTERS, p)
    posterior = model.posterior_of(empty, ["redshift"])["redshift"]
    rest = np.arange(galaxies.n) != 3
    assert not posterior.defined[3]
    assert np.isnan(posterior.median()[3])
    assert model.flags(empty)[3] == 1
    expected = model.posterior_of(full, ["redshift"])["redshift"].median()[rest]
    assert_same(posterior.median()[rest], expected)


def test_galaxies_of_which_nothing_but_the_redshift_is_known(model):
    redshift = Measurement([0.3, 0.6], [np.nan, 0.05], [MEASURED, MEASURED])
    posteriors = model.posterior_of(Galaxies(2, scalars={"redshift": redshift}), QUERIES)
    assert all(p.defined.all() for p in posteriors.values())


def test_no_galaxies_of_a_batch_have_any_tokens_in_common(model):
    state = np.eye(6, dtype=np.int8)
    galaxies = Galaxies(6, FILTERS, Measurement(np.full((6, 6), 100.0), np.ones((6, 6)), state))
    single = np.concatenate(
        [model.posterior_of(galaxies[[i]], ["redshift"])["redshift"].median() for i in range(6)]
    )
    assert_same(model.posterior_of(galaxies, ["redshift"])["redshift"].median(), single)


def test_tokens_of_missing_values_are_zero_whatever_the_value():
    galaxies = random_galaxies()
    tokens = tokenize(galaxies)
    assert torch.all(tokens.flux[~tokens.flux_known] == 0)
    assert torch.isfinite(tokens.flux).all()
    for features, known in tokens.vectors.values():
        assert torch.isfinite(features).all()
        assert torch.all(features[~known] == 0)
    assert torch.isfinite(tokens.scalar).all()


@pytest.mark.parametrize("name", list(VECTORS))
def test_a_vector_of_which_nothing_is_known_is_no_vector(model, name):
    galaxies = random_galaxies(n=6)
    others = {k: v for k, v in galaxies.vectors.items() if k != name}
    unknown = others | {name: Measurement.missing(6, VECTORS[name].length)}
    without = replace(galaxies, vectors=others)
    with_unknown = replace(galaxies, vectors=unknown)
    assert_same(answers(model, without), answers(model, with_unknown))


@pytest.mark.parametrize("name", list(VECTORS))
def test_every_element_of_a_vector_counts(model, name):
    vector = VECTORS[name]
    value = np.full((1, vector.length), 50.0 * vector.scale)
    value = np.repeat(value, 3, axis=0)
    value[1, -1] *= 3.0
    state = np.full(value.shape, MEASURED)
    state[2, 0] = MISSING
    galaxies = Galaxies(3, vectors={name: Measurement(value, 0.1 * value, state)})
    logits = model.posterior_of(galaxies, ["redshift"])["redshift"].probability
    assert len(np.unique(logits.round(12), axis=0)) == 3


def test_vectors_are_asked_from_anything(model):
    redshift = Measurement([0.3, 0.0], [np.nan, np.nan], [MEASURED, MISSING])
    posteriors = model.posterior_of(Galaxies(2, scalars={"redshift": redshift}), list(VECTORS))
    for name, posterior in posteriors.items():
        assert list(posterior.defined) == [True, False]
        assert posterior.median().shape == (2, VECTORS[name].length)
        low, high = posterior.interval()
        assert np.all(low[0] <= posterior.median()[0])
        assert np.all(posterior.median()[0] <= high[0])


def test_limits_and_measurements_and_gaps_are_different_inputs(model):
    medians = []
    for state in (MEASURED, LIMIT, MISSING):
        states = np.array([[MEASURED, state, MEASURED]], np.int8)
        value = Measurement([[100.0, 150.0, 300.0]], [[10.0, 50.0, 10.0]], states)
        galaxies = Galaxies(1, FILTERS[:3], value)
        medians.append(model.posterior_of(galaxies, ["redshift"])["redshift"].median()[0])
    assert len(set(np.round(medians, 6))) == 3


def test_noise_of_many_channels_does_not_move_the_reference():
    rng = np.random.default_rng(0)
    n = 500
    bands = Measurement(np.full((n, 6), 100.0), np.full((n, 6), 5.0), np.full((n, 6), MEASURED))
    noise = 2e4 * rng.normal(size=(n, 102))
    spherex = Measurement(100.0 + noise, np.full((n, 102), 2e4), np.full((n, 102), MEASURED))
    alone = tokenize(Galaxies(n, FILTERS, bands)).reference
    beside = tokenize(Galaxies(n, FILTERS, bands, vectors={"spherex": spherex})).reference
    assert torch.abs(alone - beside).max() < 0.1


def test_flux_scale_round_trip():
    flux = np.array([-50.0, 0.0, 1e-3, 20.0, 1e7])
    np.testing.assert_allclose(flux_from_internal(flux_to_internal(flux)), flux, rtol=1e-12)


def test_weights_round_trip_and_damage(model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, model.network, {"name": "test"})
    network, card, checksum = load_weights(path)
    assert card == {"name": "test"}
    for a, b in zip(network.parameters(), model.network.parameters(), strict=True):
        assert torch.equal(a, b)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        load_weights(path)
    path.write_text("no weights")
    with pytest.raises(ValueError, match="not a file of astromosaic weights"):
        load_weights(path)


def test_heads_cover_the_catalogue_of_properties(model):
    state = torch.zeros(2, 32)
    logits = model.network.scalar_heads(state)
    assert {k: v.shape[1] for k, v in logits.items()} == {
        p.name: p.bins for p in PROPERTIES.values()
    }


def test_features_at_rest_move_with_the_redshift():
    z = PROPERTIES["redshift"]
    part = RedshiftedFeatures(4)
    unknown = torch.full((1,), torch.nan)
    with torch.no_grad():
        part.mix.weight.zero_()
        first = part.bins - 1 + 100 * 4  # a line in pixel 100 at redshift 0
        part.features[0, first : first + 4] = 1.0

        def moved(redshift, known=unknown):
            probability = torch.zeros(1, z.bins)
            probability[0, redshift] = 1.0 / len(redshift)
            return part(torch.zeros(1, 4), probability, known)[0][0]

        nearest = [int(moved([k]).argmax()) for k in (0, 300)]
        either = moved([10, 50])
        # Probabilities do not count where the redshift is known.
        sharp = moved([10, 50], torch.tensor([300 / z.bins + 1e-6]))
    assert either.shape == (VECTORS["spectrum"].length,)
    assert nearest[1] - nearest[0] == 300
    assert abs(either[nearest[0] + 10] / either[nearest[0] + 50] - 1) < 1e-3
    assert int(sharp.argmax()) == 400
    assert sharp[400] > 0.99 * sharp.sum()


def test_features_are_learned_where_the_redshift_is_known():
    part = RedshiftedFeatures(4)
    with torch.no_grad():
        part.features.normal_()
    bins = PROPERTIES["redshift"].bins
    probability = torch.full((1, bins), 1.0 / bins)
    for known, learned in ((torch.nan, False), (0.3, True)):
        part.zero_grad()
        line, scatter = part(torch.ones(1, 4), probability, torch.tensor([known]))
        (line**2 + scatter).sum().backward()
        for parameter in (part.features, part.spread):
            assert (parameter.grad is not None and bool(parameter.grad.any())) == learned
        assert part.mix.weight.grad.any()


def test_a_spectrum_is_less_certain_where_its_lines_are():
    torch.manual_seed(2)
    network = Transformer(ModelConfig(width=32, layers=1, heads=4)).eval()
    part = network.redshifted_features
    redshift = Measurement(np.log1p([0.5]), np.array([np.nan]), np.array([MEASURED]))
    tokens = tokenize(Galaxies(1, scalars={"redshift": redshift}))

    def log_sigma():
        with torch.no_grad():
            return network.vector_mixtures(network(tokens, None, ("spectrum",)))["spectrum"][2][0]

    first = part.bins - 1 + 100 * 4
    before = log_sigma()
    with torch.no_grad():
        for sign in (1.0, -1.0):
            part.spread[0, first : first + 4] = sign
            ratio = torch.exp(log_sigma() - before)
            pixel = int(np.log(1.5) / PROPERTIES["redshift"].high * PROPERTIES["redshift"].bins)
            wider = set(torch.nonzero((ratio > 1.01).any(dim=1))[:, 0].tolist())
            assert wider
            assert wider <= {100 + pixel, 101 + pixel}
            # The scatter is added to what the continuum has, whatever its sign.
            assert ratio.min() > 1 - 1e-5
        # It counts for the more the better the continuum is known.
        network.vector_heads["spectrum"].wider = -8.0
        part.spread.zero_()
        continuum = log_sigma()
        part.spread[0, first : first + 4] = 1.0
        sharper = torch.exp(log_sigma() - continuum)
        assert float(sharper.max()) > float(ratio.max())


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    network = Transformer(ModelConfig(width=32, layers=1, heads=4))
    del network.redshifted_features.spread
    save_weights(path, network, {"name": "old"})
    with pytest.raises(ValueError, match="another version of the network"):
        load_weights(path)
