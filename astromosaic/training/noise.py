"""The noise of surveys, drawn anew each time a galaxy is seen in training.

A galaxy is observed to a depth, with an error that the survey states and with what it does not
state: zero points that are off, errors that are too small, and photometry that differs from band
to band by more than photons explain. Spectra may be blurred and histories in few bins. All is
torch, on the device where training runs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..galaxies import LIMIT, MEASURED, MISSING
from ..properties import LOOKBACK_EDGES, SPECTRUM_WAVELENGTH, VECTORS

__all__ = [
    "LSST_10_YEAR",
    "NoiseModel",
    "depth_nanojansky",
    "drop_elements",
    "observe",
    "observe_history",
    "observe_spectrum",
    "spherex_depth",
]

#: Five-sigma point-source depths of LSST after ten years, AB (photerr 1.6.0; Ivezic et al. 2019).
LSST_10_YEAR = {"u": 25.70, "g": 26.92, "r": 27.06, "i": 26.51, "z": 25.78, "y": 24.86}

# Typical depth of an imaging survey as deep as LSST against wavelength in micron: LSST's own, and
# beyond it a deep near-infrared survey, which is what accompanies such data.
_DEPTH_CURVE = (
    (0.15, 0.23, 0.36, 0.48, 0.62, 0.75, 0.87, 0.97, 1.25, 1.65, 2.2, 3.6, 5.0),
    (25.0, 25.0, 25.70, 26.92, 27.06, 26.51, 25.78, 24.86, 24.7, 24.4, 24.2, 24.0, 23.7),
)


def depth_nanojansky(filters):
    """One-sigma noise in nJy of each named filter in a survey as deep as LSST's ten years."""
    from ..filters import filter_shapes

    if not len(filters):
        return np.zeros(0, np.float32)
    pivot = np.exp(filter_shapes(tuple(filters))[:, 0])
    five_sigma = np.interp(np.log(pivot), np.log(_DEPTH_CURVE[0]), _DEPTH_CURVE[1])
    return (10 ** (-0.4 * (five_sigma - 31.4)) / 5.0).astype(np.float32)


def spherex_depth():
    """One-sigma noise in nJy of the 102 SPHEREx channels in its all-sky survey.

    From the point-source sensitivity table of the SPHEREx project (v28), interpolated to the
    measured channels, times the square root of two for its Nyquist sampling.
    """
    from importlib.resources import files

    from ..filters import filter_shapes, list_filters

    table = np.loadtxt(files("astromosaic") / "data" / "spherex_depth.txt")
    pivot = np.exp(filter_shapes(tuple(list_filters("spherex")))[:, 0])
    magnitude = np.interp(pivot, table[:, 0], table[:, 1])
    return (np.sqrt(2.0) * 10 ** (-0.4 * (magnitude - 31.4)) / 5.0).astype(np.float32)


@dataclass(frozen=True)
class NoiseModel:
    """Ranges from which the noise is drawn; the defaults are those of the bundled weights.

    Attributes
    ----------
    depth : tuple of float
        Depth of the survey relative to LSST's ten years, in magnitudes, uniform per galaxy.
    depth_scatter : float
        Scatter of single bands around that.
    min_signal_to_noise : float
        Galaxies fainter than this in every band of the survey would not be in its catalogue: they
        are observed more deeply.
    undetected : float
        Fraction of galaxies that are observed to any depth, detected or not.
    undetected_known : float
        The same of galaxies of which a history or a scalar is given: who knows that much of a
        galaxy need not have found it in the images.
    floor : tuple of float
        Stated relative error of bright sources, log-uniform per galaxy.
    unstated : tuple of float
        Relative scatter between bands that is not stated, log-uniform per galaxy.
    underestimate : float
        Scatter of ln(true error / stated error) per galaxy.
    clean, no_error, limits : float
        Fractions of batches without noise, without errors, and with limits for non-detections.
    shallow : float
        Where there are limits, the fraction of bands that are shallower than the others, by a half
        normal scatter of 1.5 magnitudes, as where surveys of all depths are put together.
    spherex_depth : tuple of float
        Depth relative to SPHEREx's all-sky survey in magnitudes; deep fields are at about 2.
    spherex_signal : tuple of float
        Signal to noise in the median channel, log-uniform per galaxy, to which half of the galaxies
        are observed in place of a depth: few are as bright as most of those that SPHEREx sees.
    spectrum : tuple of float
        Signal to noise of a spectrum in its median pixel of R = 400, log-uniform per galaxy.
    calibration : tuple of float
        Size of the unstated error of a spectrum's flux calibration, log-uniform per galaxy: of its
        level (as by the aperture), and half as much of its slope and curvature.
    history : tuple of float
        Stated relative error of histories, log-uniform per galaxy.
    exact : float
        Fraction of the batches in which histories and scalars are exact, without errors.
    coarse : float
        Fraction of the batches in which star formation histories come in a few wide bins and
        spectra with a poor resolution, half of these in wide pixels.
    """

    depth: tuple = (-5.5, 2.5)
    depth_scatter: float = 0.4
    min_signal_to_noise: float = 4.0
    undetected: float = 0.15
    undetected_known: float = 0.85
    floor: tuple = (2e-3, 3e-2)
    unstated: tuple = (1e-2, 1e-1)
    underestimate: float = 0.3
    clean: float = 0.2
    no_error: float = 0.06
    limits: float = 0.2
    shallow: float = 0.4
    spherex_depth: tuple = (-0.5, 4.0)
    spherex_signal: tuple = (0.3, 30.0)
    spectrum: tuple = (0.5, 100.0)
    calibration: tuple = (1e-2, 0.2)
    history: tuple = (1e-2, 0.7)
    exact: float = 0.5
    coarse: float = 0.25


def observe(flux, sky, model, kind, generator, spherex=False, known=False):
    """Observe noiseless fluxes.

    Parameters
    ----------
    flux : Tensor (n, f)
        Noiseless fluxes in nJy.
    sky : Tensor (f,)
        One-sigma noise at the reference depth, in nJy.
    model : NoiseModel
    kind : {"noisy", "clean", "no_error", "limits"}
    generator : torch.Generator
    spherex : bool
        Whether these are the channels of SPHEREx: photometry forced at the places of known
        galaxies, which need not be detected.
    known : bool
        Whether more is known of the galaxies than their light.

    Returns
    -------
    tuple of Tensor (n, f)
        Value, error, state.
    """
    n, f = flux.shape
    normal, log_uniform = _draws(n, generator, flux.device)
    state = torch.full((n, f), MEASURED, dtype=torch.int8, device=flux.device)
    if kind == "clean":
        error = flux.abs() * log_uniform(1e-4, 2e-3) + sky * 1e-3
        return flux + error * normal(n, f), error, state

    u, choice = torch.rand((2, n, 1), generator=generator, device=flux.device)
    if spherex:
        low, high = model.spherex_depth
        offset = low + u * (high - low)
        typical = (flux / sky).median(dim=1, keepdim=True).values.clamp(min=1e-3)
        deep_enough = 2.5 * torch.log10(log_uniform(*model.spherex_signal) / typical)
        offset = torch.where(choice < 0.5, deep_enough, offset)
    else:
        low, high = model.depth
        # The survey is at least so deep that the galaxy is detected in its best band.
        best = (flux / sky).amax(dim=1, keepdim=True).clamp(min=1e-3)
        needed = 2.5 * torch.log10(model.min_signal_to_noise / best)
        undetected = model.undetected_known if known else model.undetected
        low = torch.where(choice < undetected, low, torch.clamp(needed, low, high))
        offset = low + u * (high - low)
    noise = sky * 10 ** (-0.4 * (offset + model.depth_scatter * normal(n, f)))
    if kind == "limits":
        u = torch.rand((n, f), generator=generator, device=flux.device)
        noise = noise * 10 ** (0.4 * 1.5 * (u < model.shallow) * normal(n, f).abs())
    floor = log_uniform(*model.floor)
    true = torch.hypot(noise, floor * flux) * torch.exp(model.underestimate * normal(n, 1))
    unstated = log_uniform(*model.unstated) * normal(n, f)
    value = flux * torch.exp(unstated) + true * normal(n, f)
    # What is stated follows from what is seen: the truth must not show in the errors.
    stated = torch.hypot(noise, floor * value)
    if kind == "no_error":
        return value, torch.full_like(stated, float("nan")), state
    if kind == "limits":
        # What is below the level is known only to be below it.
        levels = torch.tensor([1.0, 2.0, 3.0, 5.0], device=flux.device)
        pick = torch.randint(4, (n, 1), generator=generator, device=flux.device)
        level = levels[pick]
        # Half of the catalogues do so in every band; in the others some bands keep their flux.
        share = (2 * torch.rand((n, 1), generator=generator, device=flux.device)).clamp(max=1)
        u = torch.rand((n, f), generator=generator, device=flux.device)
        below = (value < level * stated) & (u < share)
        value = torch.where(below, level * stated, value)
        state = torch.where(below, LIMIT, state).to(torch.int8)
    return value, stated, state


def observe_spectrum(flux, given, model, kind, generator):
    """Observe spectra.

    Parameters
    ----------
    flux : Tensor (n, pixels)
        Noiseless spectra in nJy.
    given : Tensor of bool (pixels,)
        The pixels that the spectrograph covers.
    model : NoiseModel
    kind : {"noisy", "clean", "no_error"}
    generator : torch.Generator

    Returns
    -------
    tuple of Tensor (n, pixels)
        Value, error, state.
    """
    n, f = flux.shape
    normal, log_uniform = _draws(n, generator, flux.device)
    pixels = 1
    if _happens(model.coarse, generator):
        flux = _blurred(flux, 5.0 * float(_uniform(generator)))
        if _happens(0.5, generator):
            pixels = 2 + int(7 * _uniform(generator))
    state = torch.where(given, MEASURED, MISSING).to(torch.int8).expand(n, f)
    level = flux[:, given].median(dim=1, keepdim=True).values.clamp(min=1.0)
    if kind == "clean":
        error = 1e-3 * (flux.abs() + level)
        return *_in_wide_pixels(flux + error * normal(n, f), error, pixels), state
    x = torch.as_tensor(SPECTRUM_WAVELENGTH, dtype=flux.dtype, device=flux.device).log()
    inside = x[given]
    x = (2 * (x - inside.min()) / (inside.max() - inside.min()).clamp(min=1e-3) - 1).clamp(-1, 1)
    # Noise varies slowly along the spectrum, and from pixel to pixel with the sky's lines.
    slow = torch.exp(0.4 * normal(n, 1) * x + 0.3 * normal(n, 1) * torch.cos(np.pi * x))
    stated = level / log_uniform(*model.spectrum) * slow * torch.exp(0.2 * normal(n, f).abs())
    true = stated * torch.exp(model.underestimate * normal(n, 1))
    size = log_uniform(*model.calibration)
    calibration = size * (normal(n, 1) + 0.5 * normal(n, 1) * x + 0.5 * normal(n, 1) * x**2)
    value = flux * torch.exp(calibration) + true * normal(n, f)
    if kind == "no_error":
        stated = torch.full_like(stated, float("nan"))
    return *_in_wide_pixels(value, stated, pixels), state


def _blurred(flux, sigma):
    """Spectra through a Gaussian of a width in pixels."""
    reach = int(4 * sigma) + 1
    x = torch.arange(-reach, reach + 1, dtype=flux.dtype, device=flux.device)
    kernel = torch.exp(-0.5 * (x / max(sigma, 0.1)) ** 2)
    padded = functional.pad(flux[:, None], (reach, reach), mode="replicate")
    return functional.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0]


def _in_wide_pixels(value, error, width):
    """Values and errors as `astromosaic.catalog.axes.rebin` spreads them from pixels so many times
    as wide: the same in all, with errors that tell together what the wide pixel told."""
    if width == 1:
        return value, error
    group = torch.arange(value.shape[1], device=value.device) // width
    ones = torch.ones_like(value)
    return _mean_of_groups(value, ones, group), _mean_of_groups(error, ones, group)


def _mean_of_groups(x, weight, group):
    """Weighted means (n, k) over elements of the same number in `group` (k,), at each of them."""
    n_groups = int(group[-1]) + 1

    def total(y):
        return y.new_zeros(len(y), n_groups).index_add_(1, group, y)[:, group]

    return total(weight * x) / total(weight)


def _uniform(generator):
    return torch.rand((), generator=generator, device=generator.device)


def _happens(chance, generator):
    return bool(_uniform(generator) < chance)


def _draws(n, generator, device):
    """Functions that draw normal numbers, and one log-uniform number for each of n galaxies."""

    def normal(*shape):
        return torch.randn(shape, generator=generator, device=device)

    def log_uniform(low, high):
        u = torch.rand((n, 1), generator=generator, device=device)
        return low * (high / low) ** u

    return normal, log_uniform


def observe_history(values, given, name, model, exact, generator):
    """Histories as they are given: exact without errors, or with errors stated.

    Parameters
    ----------
    values : Tensor (n, bins)
        True values.
    given : Tensor of bool (bins,)
    name : str
        The vector.
    model : NoiseModel
    exact : bool
    generator : torch.Generator

    Returns
    -------
    tuple of Tensor (n, bins)
        Value, error, state.
    """
    state = torch.where(given, MEASURED, MISSING).to(torch.int8).expand(values.shape)
    group, excess = torch.arange(values.shape[1], device=values.device), 1.0
    if name == "sfh" and _happens(model.coarse, generator):
        values, excess, group = _in_wide_bins(values, given, generator)
    # Bins that begin before the Big Bang hold zero; half of those who give them leave them out.
    leave_out = torch.rand((len(values), 1), generator=generator, device=values.device) < 0.5
    state = torch.where(leave_out & (values <= 0), MISSING, state).to(torch.int8)
    if exact:
        return values, torch.full_like(values, float("nan")), state
    normal, log_uniform = _draws(len(values), generator, values.device)
    relative = log_uniform(*model.history)
    value = values * torch.exp(relative * normal(*values.shape)[:, group])
    return value, excess * relative * (value + VECTORS[name].scale), state


def _in_wide_bins(values, given, generator):
    """Rates as `astromosaic.catalog.axes.rebin` spreads them from one to ten wider bins.

    The wide bins are drawn anew for the batch, and hold what is given of the narrow ones. Returns
    the mean rates, (n, bins), by what the errors are larger than those of the wide bins, and which
    wide bin each is part of.
    """
    device = values.device
    width = torch.as_tensor(np.diff(LOOKBACK_EDGES), dtype=values.dtype, device=device)
    inner = 1 + torch.randperm(len(width) - 1, generator=generator, device=device)
    begins = torch.zeros(len(width), dtype=torch.long, device=device)
    begins[inner[: int(10 * _uniform(generator))]] = 1
    group = torch.cumsum(begins, 0)
    known = (width * given).expand(values.shape)
    mean = _mean_of_groups(values, known + 1e-12, group)
    whole = torch.zeros_like(width).index_add_(0, group, width * given)[group]
    return mean, torch.sqrt((whole / width).clamp(min=1.0)), group


def drop_elements(measurement, fraction, generator, exactly=False):
    """Make elements missing at random, different ones for each galaxy.

    Parameters
    ----------
    measurement : tuple of Tensor (n, k)
        Value, error, state.
    fraction : float
        Fraction lost; for each galaxy one between zero and this, unless `exactly`.
    generator : torch.Generator
    exactly : bool
    """
    value, error, state = measurement
    u = torch.rand((len(value), 1), generator=generator, device=value.device)
    rate = fraction if exactly else u * fraction
    lost = torch.rand(value.shape, generator=generator, device=value.device) < rate
    return value, error, torch.where(lost, MISSING, state).to(torch.int8)
