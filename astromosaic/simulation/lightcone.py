"""Galaxies on a weighted lightcone: halos, star formation histories, metals and dust by diffsky.

diffsky draws halos and subhalos uniformly in redshift and log mass and gives each the number of
halos per unit of sky it stands for. Every redshift shell has the same number of halos, so that JAX
compiles once, and rare bright galaxies nearby are as well sampled as faint ones far away.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

__all__ = ["CALIBRATION", "SHELLS", "Population", "draw_population"]

#: diffsky's calibration to SDSS, FENIKS and HiZELS: (collection, name).
CALIBRATION = ("sdss_feniks_hizels_calibrations", "sdss_feniks_hizels_261013")

#: Redshift shells, each sampled with the same number of halos: dense where colours change fast
#: with redshift and where surveys find most of their galaxies.
SHELLS = ((0.005, 0.15), (0.15, 0.28), (0.28, 0.4), (0.4, 0.55), (0.55, 0.7), (0.7, 0.85),
          (0.85, 1.0), (1.0, 1.25), (1.25, 1.6), (1.6, 2.2), (2.2, 3.2), (3.2, 6.0))  # fmt: skip

_LGM_HALO = (10.3, 14.3)
_SUBHALOS_PER_HOST = 2
# All hosts of one call get subhalos at the same fractions of the mass range: make many calls.
_HOSTS_PER_CALL = 350
_SKY_AREA_DEG2 = 1.0


@dataclass(frozen=True, eq=False)
class Population:
    """Galaxies before they shine; arrays have one row per galaxy.

    Attributes
    ----------
    redshift, t_obs : ndarray (n,)
        Redshift and age of the Universe (Gyr) then.
    log_halo_mass : ndarray (n,)
        log10 of the peak halo mass so far in M_sun (a satellite's own subhalo).
    log_mass_formed : ndarray (n,)
        log10 of the stellar mass ever formed, mergers included, in M_sun.
    is_central : ndarray of bool (n,)
    weight : ndarray (n,)
        Number of such galaxies per square degree.
    ssp_weights : ndarray (n, n_metallicity, n_age)
        Fraction of the mass formed in each stellar population.
    mah : ndarray (n, n_time)
        log10 of the halo mass at `t_table` (Gyr, the same for all).
    mag_i : ndarray (n,)
        diffsky's own estimate of the AB magnitude at 7,500 Angstrom, by which samples are drawn.
    dust : ndarray (n, 4)
        A_V of stars older and younger than about 3 Myr, slope delta, unobscured fraction.
    template_error : ndarray (n, n_node)
        Factor on the flux at the rest-frame wavelengths `template_nodes` (Angstrom).
    """

    redshift: np.ndarray
    t_obs: np.ndarray
    log_halo_mass: np.ndarray
    log_mass_formed: np.ndarray
    is_central: np.ndarray
    weight: np.ndarray
    ssp_weights: np.ndarray
    mah: np.ndarray
    mag_i: np.ndarray
    dust: np.ndarray
    template_error: np.ndarray
    t_table: np.ndarray
    template_nodes: np.ndarray

    def __len__(self):
        return len(self.redshift)

    def __getitem__(self, rows):
        shared = ("t_table", "template_nodes")
        return Population(
            **{
                f.name: getattr(self, f.name) if f.name in shared else getattr(self, f.name)[rows]
                for f in fields(self)
            }
        )


def draw_population(seed, shell, ssp, n_calls=12):
    """Draw the galaxies of one redshift shell.

    Parameters
    ----------
    seed : int
    shell : tuple of float
        Redshift range.
    ssp : SSPGrid
        The stellar populations among which the mass formed is divided.
    n_calls : int
        Number of sets of 350 host halos; each host brings two subhalos, which stand for all it has.

    Returns
    -------
    Population
        Galaxies that have not merged into their central.
    """
    import jax
    from diffsky.experimental.mc_phot import mc_lc_phot
    from diffsky.merging.merging_kernels import get_in_plus_ex_situ_ssp_weights
    from diffsky.ssp_err_model import ssp_err_model
    from jax import numpy as jnp

    lightcone_key, galaxy_key = jax.random.split(jax.random.key(seed))
    lightcone = _draw_lightcone(lightcone_key, shell, ssp, n_calls)
    params = _calibration()
    galaxies, randoms, merging = mc_lc_phot(galaxy_key, lightcone, 1, param_collection=params)

    in_situ = 10**galaxies.logsm_obs_in_situ
    ssp_weights = get_in_plus_ex_situ_ssp_weights(
        in_situ, galaxies.ssp_weights, galaxies.p_merge, lightcone.sat_weight, lightcone.halo_indx
    )
    nodes = ssp_err_model.LAMBDA_REST
    wave_nodes = jnp.tile(nodes, (len(in_situ), 1))
    template_error = ssp_err_model.get_noisy_frac_ssp_errors(
        wave_nodes,
        ssp_err_model.frac_ssp_err_at_z_obs_galpop(
            params.ssperr_params, galaxies.logsm_obs_in_situ, lightcone.z_obs, wave_nodes
        ),
        randoms.delta_mag_ssp_scatter,
    )
    # diffsky's dust has one A_V for young stars and one for the rest, a constant apart in the
    # inverse softplus of A_V.
    boost = params.spspop_params.dustpop_params.avpop_params.delta_suav_age
    av_old = galaxies.av
    av_young = jax.nn.softplus(jnp.log(jnp.expm1(av_old)) + boost)
    t_table = galaxies.t_table
    mah = _mass_histories(lightcone, t_table)

    keep = np.asarray(galaxies.p_merge) < 0.5
    keep &= np.isfinite(np.asarray(galaxies.logsm_obs)) & (np.asarray(galaxies.logsm_obs) > 5.5)

    def rows(x, dtype=np.float32):
        return np.asarray(x)[keep].astype(dtype)

    return Population(
        redshift=rows(lightcone.z_obs),
        t_obs=rows(lightcone.t_obs),
        log_halo_mass=rows(lightcone.logmp_obs),
        log_mass_formed=rows(galaxies.logsm_obs),
        is_central=rows(lightcone.is_central, bool),
        weight=rows(lightcone.halo_weight),
        ssp_weights=rows(ssp_weights),
        mah=rows(mah),
        mag_i=rows(galaxies.obs_mags[:, 0]),
        dust=rows(jnp.stack([av_old, av_young, galaxies.delta, galaxies.funo], axis=1)),
        template_error=rows(template_error),
        t_table=np.asarray(t_table, np.float32),
        template_nodes=np.asarray(nodes, np.float32),
    )


@lru_cache(maxsize=1)
def _calibration():
    from diffsky.param_utils.load_calib_params import get_calib_params

    return get_calib_params(*CALIBRATION)


def _draw_lightcone(key, shell, ssp, n_calls):
    """Halos and subhalos in the form that diffsky populates (its LCDataPhot)."""
    import jax
    from diffhalos.ccshmf.ccshmf_model import DEFAULT_CCSHMF_PARAMS, predict_diff_cshmf
    from diffhalos.lightcone_generators.mc_lightcone import weighted_lc
    from diffmah import DEFAULT_MAH_PARAMS, logmh_at_t_obs
    from jax import numpy as jnp

    lgm_min = _LGM_HALO[0]
    calls = [
        weighted_lc(k, _HOSTS_PER_CALL, *shell, *_LGM_HALO, _SKY_AREA_DEG2 / n_calls,
                    n_mu_per_host=_SUBHALOS_PER_HOST, lgmsub_min=lgm_min)
        for k in jax.random.split(key, n_calls)
    ]  # fmt: skip
    size = len(calls[0].z_obs)

    def join(name):
        return jnp.concatenate([jnp.asarray(getattr(c, name)) for c in calls])

    host = jnp.concatenate([c.halo_indx + i * size for i, c in enumerate(calls)])
    # diffhalos makes a new class of parameters with each call, for which JAX would compile anew.
    mah_params = DEFAULT_MAH_PARAMS._make(
        jnp.concatenate(x) for x in zip(*(c.mah_params for c in calls), strict=True)
    )
    central, t_obs, log_mass = join("central").astype(int), join("t_obs"), join("logmp_obs")
    t_0 = 10 ** calls[0].logt0
    # The subhalos are uniform in log mass from the least mass to the host's, so that each stands
    # for the subhalo mass function there times the share of that range.
    log_host = log_mass[host]
    log_density = jax.vmap(lambda m, mu: predict_diff_cshmf(DEFAULT_CCSHMF_PARAMS, m, mu)[0])(
        log_host, jnp.minimum(log_mass - log_host, 0.0)[:, None]
    )
    multiplicity = 10**log_density * (log_host - lgm_min) / _SUBHALOS_PER_HOST
    sat_weight = jnp.where(central == 1, 1.0, multiplicity)
    hosts_mah = mah_params._make([x[host] for x in mah_params])
    return _light_tables(ssp)._replace(
        cen_weight=join("cen_weight"),
        z_obs=join("z_obs"),
        t_obs=t_obs,
        logmp_obs=log_mass,
        mah_params=mah_params,
        logmp0=join("logmp0"),
        sat_weight=sat_weight,
        t_infall=jnp.where(central == 1, t_0, mah_params.t_peak),
        logmp_infall=log_mass,
        logmhost_infall=logmh_at_t_obs(hosts_mah, t_obs, calls[0].logt0),
        is_central=central,
        halo_indx=host,
        halo_weight=join("cen_weight") * sat_weight,
    )


@lru_cache(maxsize=1)
def _light_tables(ssp):
    """A LCDataPhot with the tables that do not depend on the halos."""
    import jax
    from diffsky.experimental.lc_generators.lc_data_phot import weighted_lc_data_phot
    from dsps.data_loaders.defaults import SSPData, TransmissionCurve
    from jax import numpy as jnp

    # A coarse grid will do here: the light that counts is made in `sed`, at full resolution.
    coarse = slice(None, None, 40)
    grid = SSPData(
        *(jnp.asarray(x) for x in (ssp.log_z, ssp.log_age_gyr, ssp.wave[coarse])),
        jnp.asarray(np.maximum(ssp.stellar[..., coarse], 1e-30)),
    )
    band = TransmissionCurve(jnp.linspace(6900.0, 8200.0, 20), jnp.ones(20))
    return weighted_lc_data_phot(
        jax.random.key(0), 10, 0.1, 0.2, *_LGM_HALO, _SKY_AREA_DEG2, grid, [band],
        jnp.geomspace(1.001, 7.1, 40) - 1.0,
    )  # fmt: skip


def _mass_histories(lightcone, t_table):
    """log10 halo mass at each time of a table; shape (n, n_time)."""
    from diffmah.diffmah_kernels import mah_halopop
    from jax import numpy as jnp

    _, log_mah = mah_halopop(lightcone.mah_params, t_table, jnp.log10(t_table[-1]))
    return log_mah
