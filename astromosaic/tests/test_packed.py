"""Packed galaxies: the light made when they are read is that of the stellar populations."""

import numpy as np
import pytest
import torch

from astromosaic.filters import list_filters
from astromosaic.simulation import packed
from astromosaic.simulation.lightcone import Population
from astromosaic.simulation.sample import FILTERS
from astromosaic.simulation.sed import Optics, log_u_nodes, young_fraction
from astromosaic.simulation.ssp import SSPGrid, log_grid
from astromosaic.training.data import read_training_set

N, N_Z, N_AGE, N_YOUNG = 20, 3, 12, 4
LYMAN_ALPHA = np.array([[2, 1215.67, 1.690e-02, 2.354e-03, 1.026e-04, 1.617e-04, 5.390e-05]])


@pytest.fixture(scope="module")
def grid():
    """Black bodies by age, with a line and a continuum of nebulae."""
    wave = log_grid(912.0, 60_000.0)
    log_age = np.linspace(-3.5, 1.1, N_AGE)
    temperature = 20_000 * 10 ** (-0.15 * (log_age - log_age[0]))
    x = 1.4388e8 / wave / temperature[:, None]
    body = 1e-15 * (1e4 / wave) ** 3 / np.expm1(x)
    stellar = np.stack([body * (1 + 0.1 * m) ** (np.log(wave / 5e3)) for m in range(N_Z)])
    line = np.exp(-0.5 * ((wave - 5008.0) / 5.0) ** 2)
    nebular = np.array([1e-16, 2e-16])[:, None, None, None] * (0.1 + line)
    nebular = np.broadcast_to(nebular, (2, N_Z, N_YOUNG, len(wave)))
    return SSPGrid(
        "black bodies", np.linspace(-3, -1.5, N_Z), log_age, wave, stellar.astype(np.float32),
        np.full((N_Z, N_AGE), 0.7), np.array([-3.0, -2.5]), nebular.astype(np.float32),
        np.ones((2, N_Z, N_YOUNG), np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def population():
    rng = np.random.default_rng(5)
    weights = rng.dirichlet(np.ones(N_Z * N_AGE), N).reshape(N, N_Z, N_AGE)
    t_table = np.linspace(0.1, 13.8, 30)
    return Population(
        redshift=rng.uniform(0.05, 2.0, N), t_obs=rng.uniform(4.0, 12.0, N),
        log_halo_mass=rng.uniform(11, 13, N), log_mass_formed=rng.uniform(8, 11, N),
        is_central=np.ones(N, bool), weight=np.ones(N), ssp_weights=weights,
        mah=np.tile(np.linspace(8, 12, 30), (N, 1)), mag_i=np.full(N, 22.0),
        dust=np.column_stack([rng.uniform(0, 2, (N, 2)), rng.normal(0, 0.2, N), np.zeros(N)]),
        template_error=rng.uniform(0.9, 1.1, (N, 3)), t_table=t_table,
        template_nodes=np.array([500.0, 5000.0, 70_000.0]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(grid, population, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "packed.h5"
    curve = (5500.0 / grid.wave) ** 0.7 * 4.05
    young, nodes = young_fraction(grid.log_age_gyr), log_u_nodes(grid)
    n_birth = int(np.sum(young > 1e-3))
    bases = packed.bases_of(grid, nodes, n_birth)
    rows = packed._pack(population, grid, bases, young, n_birth, nodes, np.random.default_rng(1))
    shared = packed._shared(grid, curve, LYMAN_ALPHA, population.template_nodes, bases)
    packed._write(path, shared, rows, {"sample": "test"})
    return path


def test_light_is_that_of_the_populations(file, grid, population):
    curve = (5500.0 / grid.wave) ** 0.7 * 4.05
    optics = Optics(grid.wave, curve, LYMAN_ALPHA, [*FILTERS, *list_filters("spherex")])
    weights = population.ssp_weights
    young = young_fraction(grid.log_age_gyr)
    rng = np.random.default_rng(1)  # as in the file
    node, strength = rng.integers(2, size=N), 10 ** rng.normal(0.0, 0.2, N)
    birth = strength[:, None] * weights[:, :, :N_YOUNG].reshape(N, -1)
    flat = grid.stellar.reshape(-1, len(grid.wave))
    light_old = (weights * (1 - young)).reshape(N, -1) @ flat
    nebular = grid.nebular.reshape(2, -1, len(grid.wave))[node]
    light_young = (weights * young).reshape(N, -1) @ flat + np.einsum("gb,gbw->gw", birth, nebular)
    flux, sed, dust_av = optics.observe(
        torch.as_tensor(light_old, dtype=torch.float32),
        torch.as_tensor(light_young, dtype=torch.float32),
        torch.as_tensor(birth.sum(axis=1), dtype=torch.float32),
        population,
    )
    arrays, provenance = packed.load_packed(file, device="cpu", batch_size=7)
    assert provenance["sample"] == "test"
    np.testing.assert_allclose(arrays["flux"], flux[:, : len(FILTERS)], rtol=0.01)
    np.testing.assert_allclose(arrays["spherex"], flux[:, len(FILTERS) :], rtol=0.01)
    np.testing.assert_allclose(arrays["sed"], sed, rtol=0.02)
    np.testing.assert_allclose(arrays["dust_av"], dust_av, atol=2e-3)
    np.testing.assert_allclose(arrays["redshift"], population.redshift, rtol=1e-4)


def test_it_is_a_training_set(file):
    whole = read_training_set(file)
    assert set(whole.vectors) == {"spherex", "spectrum", "sfh", "mah"}
    assert set(whole.scalars) == {
        "redshift", "stellar_mass", "halo_mass", "sfr", "metallicity", "dust_av",
    }  # fmt: skip
    assert len(read_training_set(file, limit=3)) == 3
    assert all(np.isfinite(v).all() for v in whole.vectors.values())


@pytest.mark.parametrize("bits", [11, 15])
def test_rounding_keeps_the_bits_it_is_told(bits):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    error = np.abs(packed._rounded(values, bits) / values - 1)
    assert 0 < error.max() <= 2.0 ** -(bits + 1)
    assert np.isneginf(packed._rounded(np.array([-np.inf]), bits))[0]
