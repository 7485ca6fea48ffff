"""What the experiments give to the model: parts of what is known of simulated galaxies."""

from dataclasses import replace

import numpy as np

from ..cosmology import age_gyr
from ..galaxies import MEASURED, MISSING, Galaxies, Measurement
from ..properties import LOOKBACK_EDGES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS
from ..training.data import LEAST_HALO_MASS, combine, read_training_set
from .simulated import observed_galaxies

__all__ = ["OPTICAL", "give", "is_early", "load_mixture", "load_truths", "spectra"]

#: Optical spectra cover this range in micron.
OPTICAL = (0.36, 0.98)
# Signal to noise per pixel (R = 400) of spectra "with survey noise", and relative error of a star
# formation history.
_SIGNAL_TO_NOISE, _HISTORY_ERROR = 5.0, 0.1
# Fraction of SPHEREx channels that are hidden, and how many bins of a history.
_LOST_CHANNELS, _LOST_BINS = 0.5, 10


def give(arrays, given, noise, seed=0):
    """`Galaxies` of which the named things are given.

    Parameters
    ----------
    arrays : dict
        Truths, from `load_truths`.
    given : sequence of str
        ``LSST``, ``SPHEREx``, a scalar property, ``SFH``, ``early SFH`` and ``late SFH`` (bins
        whose middle is before and after half the age of the Universe at the galaxy's redshift),
        ``early SFH (ln a)`` and ``late SFH (ln a)`` (before and after the middle in ln a between
        z = 10 and the galaxy), ``SFH with a gap`` (ten neighbouring bins missing), ``half of
        SPHEREx`` (every channel missing with a chance of one half), ``blue half of spectrum``,
        ``optical spectrum``. Bins of histories that begin before the Big Bang are missing.
    noise : {"noiseless", "survey"}
        With survey noise photometry has that of LSST's ten years and of SPHEREx's all-sky survey,
        a spectrum a signal to noise of 5 in its median pixel and a history errors of ten per cent;
        scalars are exact.
    seed : int

    Returns
    -------
    Galaxies
    """
    n = len(arrays["redshift"])
    light = "+".join(name for name in ("LSST", "SPHEREx") if name in given)
    if "half of SPHEREx" in given:
        light = "SPHEREx"
    galaxies = observed_galaxies(arrays, light, noise, seed) if light else Galaxies(n)
    vectors, scalars = dict(galaxies.vectors), {}
    rng = np.random.default_rng([seed, 1])
    for name in given:
        if name == "half of SPHEREx":
            spherex = vectors["spherex"]
            lost = rng.random(spherex.state.shape) < _LOST_CHANNELS
            vectors["spherex"] = replace(spherex, state=np.where(lost, MISSING, spherex.state))
        elif "SFH" in name:
            vectors["sfh"] = _history(arrays, name, noise, rng)
        elif "spectrum" in name:
            low, high = (0.0, np.median(SPECTRUM_WAVELENGTH)) if "half" in name else OPTICAL
            vectors["spectrum"] = spectra(
                arrays["spectrum"], low, high,
                _SIGNAL_TO_NOISE if noise == "survey" else None, rng,
            )  # fmt: skip
        elif name in PROPERTIES:
            value = arrays[name]
            scalars[name] = Measurement(value, np.full(n, np.nan), np.full(n, MEASURED))
    return replace(galaxies, vectors=vectors, scalars=scalars)


def spectra(flux, low, high, signal_to_noise, rng):
    """Spectra between two wavelengths with noise that is constant in f_nu.

    ``signal_to_noise`` is that of the median pixel; None is noiseless.
    """
    covered = (SPECTRUM_WAVELENGTH > low) & (SPECTRUM_WAVELENGTH < high)
    level = np.median(np.abs(flux[:, covered]), axis=1, keepdims=True) + 1.0
    error = np.broadcast_to(level / (signal_to_noise or 1e3), flux.shape)
    noise = rng.normal(size=flux.shape) if signal_to_noise else 0.0
    state = np.where(covered, MEASURED, MISSING)
    return Measurement(flux + error * noise, error, np.broadcast_to(state, flux.shape))


def load_truths(path, group, limit=None):
    """Truths of a file of mocks: scalars in internal coordinates, the rest in its units."""
    from ..simulation.mocks import PROPERTY_DATASETS, load_mocks, true_values

    arrays = load_mocks(
        path, group, ["flux", "spherex", "sed", "sfh", "mah", *PROPERTY_DATASETS.values()], limit
    )
    mah = 10.0 ** arrays["mah"]
    truths = {name: true_values(arrays, name) for name in PROPERTIES}
    return truths | {
        "filters": arrays["filters"], "flux": arrays["flux"], "spherex": arrays["spherex"],
        "spectrum": arrays["sed"], "sfh": arrays["sfh"],
        "mah": np.where(mah < LEAST_HALO_MASS, 0.0, mah),
        "mag_i": 31.4 - 2.5 * np.log10(arrays["flux"][:, arrays["filters"].index("lsst_i")]),
    }  # fmt: skip


def load_mixture(paths, number):
    """Truths of a number of galaxies of several files of training mocks, mixed by their sizes.

    The same arrays as those of `load_truths`, but for the magnitudes.
    """
    whole = combine([read_training_set(path) for path in paths])
    rows = np.random.default_rng(0).permutation(len(whole))[:number]
    scalars = {name: np.asarray(whole.scalars[name])[rows] for name in PROPERTIES}
    names = ("spherex", "spectrum", "sfh", "mah")
    vectors = {name: np.asarray(whole.vectors[name])[rows] for name in names}
    return scalars | vectors | {"filters": list(whole.filters), "flux": whole.flux[rows]}


def is_early(arrays, in_scale_factor):
    """Whether the middle of each bin is in the early part of a history; bool (n, 31).

    The parts meet at half the age of the Universe at the galaxy's redshift, or, in the scale
    factor, in the middle of ln a between z = 10 and the galaxy.
    """
    z = np.expm1(arrays["redshift"])[:, None]
    parting = age_gyr(z) - age_gyr(np.sqrt((1 + z) * 11) - 1) if in_scale_factor else age_gyr(z) / 2
    return 0.5 * (LOOKBACK_EDGES[1:] + LOOKBACK_EDGES[:-1]) >= parting


def _history(arrays, name, noise, rng):
    """A star formation history as the named input has it."""
    sfh = arrays["sfh"]
    age = age_gyr(np.expm1(arrays["redshift"]))[:, None]
    given = np.broadcast_to(LOOKBACK_EDGES[:-1] < age, sfh.shape)
    if name.startswith("early"):
        given = given & is_early(arrays, "ln a" in name)
    elif name.startswith("late"):
        given = given & ~is_early(arrays, "ln a" in name)
    elif name == "SFH with a gap":
        first = rng.integers(sfh.shape[1] - _LOST_BINS + 1, size=(len(sfh), 1))
        index = np.arange(sfh.shape[1])
        given = given & ((index < first) | (index >= first + _LOST_BINS))
    state = np.where(given, MEASURED, MISSING)
    if noise == "noiseless":
        return Measurement(sfh, np.full(sfh.shape, np.nan), state)
    value = sfh * np.exp(_HISTORY_ERROR * rng.normal(size=sfh.shape))
    return Measurement(value, _HISTORY_ERROR * (value + VECTORS["sfh"].scale), state)
