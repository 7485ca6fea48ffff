"""Spectra to the model's pixels."""

import numpy as np
from astropy import units as u

from ..galaxies import MEASURED, MISSING, Measurement
from ..properties import SPECTRUM_EDGES, SPECTRUM_WAVELENGTH
from .axes import HALF, axis_of_column, bin_edges, rebin
from .units import njy_per, to_njy
from .values import array_column, count, errors_of, measurement

__all__ = ["is_spectrum", "read_spectrum", "read_spectrum_column"]

#: Galaxies that are resampled at once.
_CHUNK = 1024

_REMEDY = (
    "give it as a flux density, e.g. in 'nJy' or 'erg / (s cm2 AA)'; a normalised spectrum or one "
    "in counts must first be scaled to the galaxy's brightness"
)


def is_spectrum(data):
    """Whether it is a specutils `~specutils.Spectrum`, or a list of nothing but these."""
    from specutils import Spectrum

    if isinstance(data, list | tuple):
        return len(data) > 0 and all(isinstance(item, Spectrum) for item in data)
    return isinstance(data, Spectrum)


def read_spectrum(spectrum, counts, notes=None):
    """Spectra of galaxies, resampled to the model's pixels.

    Parameters
    ----------
    spectrum : specutils.Spectrum or list of specutils.Spectrum
        One spectrum, or a 2-D `~specutils.Spectrum` with a row for each galaxy, or a list (such as
        a `~specutils.SpectrumList`) of a 1-D `~specutils.Spectrum` for each galaxy. The axis is
        in wavelength, frequency or energy, in vacuum and in the observed frame, whatever the
        spectrum's redshift. The flux is a flux density. Pixels in its mask are not used.
    counts : Counter
        Gains how many pixels are of no use, by reason.
    notes : list of str, optional
        Gains what the user should know.

    Returns
    -------
    Measurement, shape (n, 1071)
        Mean f_nu in nJy between `astromosaic.properties.SPECTRUM_EDGES`. A pixel is measured if
        half of its width or more is covered by good pixels of the spectrum: not masked, finite,
        and with a positive and finite error if there are errors. Errors are NaN if there are none.

    Raises
    ------
    TypeError
        If it is not a spectrum.
    ValueError
        If its axis or its flux is of the wrong kind, its axis has the same wavelength twice, or
        it lies wholly outside of the model's pixels.

    Notes
    -----
    The mean is weighted with the overlaps in frequency, which keeps the energy between any two
    edges of the pixels, whether the flux is given per frequency or per wavelength. Errors are
    those of independent pixels. Where a pixel of the spectrum is spread over several pixels of
    the model, these share what it knows: their variances add up such that no information is
    gained, see `astromosaic.catalog.axes.rebin`. Only centres of pixels may be known: their edges
    are midway then, and a gap in the axis stays a gap.
    """
    if not is_spectrum(spectrum):
        raise TypeError(
            f"expected a specutils Spectrum or a list of them, not {type(spectrum).__name__}"
        )
    notes = [] if notes is None else notes
    several = isinstance(spectrum, list | tuple)
    parts, spans, errors, shifted = [], [], True, False
    for number, item in enumerate(spectrum if several else [spectrum]):
        name = f"spectrum {number} of the list" if several else "the spectrum"
        if several and item.data.ndim != 1:
            raise ValueError(f"{name} has shape {item.data.shape}: in a list each must be 1-D")
        low, high = _pixels(name, item)
        flux, error, masked, scale = _values(name, item, np.sqrt(low * high))
        parts += _resampled(flux, error, masked, low, high, counts, scale)
        spans.append((flux.shape[1], low.min(), high.max()))
        errors &= error is not None
        shifted |= bool(np.any(item.redshift != 0))
    result = _joined(parts)
    notes.append(_described(spans, result))
    if not errors:
        notes.append("no errors for spectrum" if not several else "no errors for some spectra")
    if shifted:
        notes.append("the redshift of a spectrum is not applied: its axis is taken as observed")
    return result


def read_spectrum_column(table, assignment, counts, notes):
    """Spectra in an array column, on the axis in its meta or on the model's pixels.

    Parameters
    ----------
    table, assignment, counts, notes
        As for `astromosaic.catalog.histories.read_history`. The axis are the centres of the
        pixels, under ``wavelength`` or, in the table's meta, ``COLUMN_wavelength``.

    Returns
    -------
    Measurement, shape (n, 1071)
        As of `read_spectrum`.
    """
    name = assignment.column
    flux, mask, unit = array_column(table, name)
    axis = axis_of_column(table, name, ("wavelength",), "wavelength_unit")
    if axis is None:
        if flux.shape[1] != len(SPECTRUM_WAVELENGTH):
            raise ValueError(
                f"column {name!r} has {flux.shape[1]} pixels, but no wavelengths: give them, e.g. "
                f"table[{name!r}].info.meta = {{'wavelength': [...], 'wavelength_unit': 'um'}}, or "
                "give a specutils Spectrum as spectrum="
            )
        axis = SPECTRUM_WAVELENGTH * u.um
        notes.append(f"column {name!r} has no wavelengths: it is taken to be on the model's pixels")
    if axis.shape != flux.shape[1:]:
        raise ValueError(
            f"column {name!r} has {flux.shape[1]} pixels, but its axis has shape {axis.shape}"
        )
    low, high = _edges_of(f"column {name!r}", axis)
    error, error_unit = None, None
    if assignment.error is not None:
        error, error_unit = errors_of(
            assignment, *array_column(table, assignment.error, flux.shape), unit
        )
    flux, error_njy = to_njy(name, flux, unit, error, error_unit, pivot=1e4 * np.sqrt(low * high))
    error = None if error is None else error_njy
    result = _joined(_resampled(flux, error, mask, low, high, counts))
    notes.append(_described([(flux.shape[1], low.min(), high.max())], result))
    return result


def _pixels(name, spectrum):
    """Lower and upper ends of the pixels in micron, in the order of the flux."""
    axis = spectrum.spectral_axis
    centers = axis.value * axis.unit
    if len(centers) > 1 and len(axis.bin_edges) == len(centers) + 1:
        # A spectrum does not tell whether its edges were given: they were if they are not what it
        # would make of the centres.
        edges = axis.bin_edges
        midway = 0.5 * (centers.value[1:] + centers.value[:-1])
        narrowest = np.abs(np.diff(edges.value)).min()
        if np.abs(edges.value[1:-1] - midway).max() > 1e-6 * narrowest:
            ends = _wavelengths(name, edges)
            ends = ends[1:], ends[:-1]
            return _checked(name, np.minimum(*ends), np.maximum(*ends))
    return _edges_of(name, centers)


def _edges_of(name, centers):
    """Ends of pixels in micron, by their centres."""
    wavelength = _wavelengths(name, centers)
    if len(wavelength) < 2:
        raise ValueError(f"{name} has one pixel only: at least two are needed to know their width")
    descending = wavelength[0] > wavelength[-1]
    ends = bin_edges(wavelength[::-1] if descending else wavelength, gaps=True)
    low, high = (x[::-1] for x in ends) if descending else ends
    # The outermost edges of a very coarse spectrum may be extrapolated to below zero.
    low = np.maximum(low, 0.5 * wavelength)
    high = np.where((high > 0) & (high < 2 * wavelength), high, 2 * wavelength)
    return _checked(name, low, high)


def _wavelengths(name, axis):
    """An axis in micron, once it is one of wavelengths without repeats."""
    try:
        wavelength = axis.to_value(u.um, u.spectral()).astype(float)
    except u.UnitConversionError:
        raise ValueError(
            f"{name} has an axis in {str(axis.unit)!r}, which is no wavelength, frequency or "
            "energy; for velocities give the wavelengths, e.g. by "
            "spectrum.with_spectral_axis_unit('um', velocity_convention=..., rest_value=...)"
        ) from None
    step = np.diff(wavelength)
    if not (np.isfinite(wavelength).all() and np.all(wavelength > 0)):
        raise ValueError(f"{name} has wavelengths that are not positive and finite")
    if np.any(step == 0):
        twice = axis[:-1][step == 0][0]
        raise ValueError(f"{name} has the same wavelength twice, {twice:g}: leave one out")
    if not (np.all(step > 0) or np.all(step < 0)):
        raise ValueError(f"{name} has wavelengths out of order: sort them")
    return wavelength


def _checked(name, low, high):
    """The ends of pixels, if any of them is of use."""
    if high.max() <= SPECTRUM_EDGES[0] or low.min() >= SPECTRUM_EDGES[-1]:
        raise ValueError(
            f"{name} covers {low.min():.4g} to {high.max():.4g} micron, all outside of "
            f"{SPECTRUM_EDGES[0]:.2f} to {SPECTRUM_EDGES[-1]:.2f} micron, which the model covers"
        )
    return low, high


def _values(name, spectrum, wavelength):
    """Flux, error (or None) and mask, each (n, m), and the flux's unit in nJy."""
    if spectrum.data.ndim > 2:
        raise ValueError(
            f"{name} has shape {spectrum.data.shape}: give one with a row for each galaxy"
        )
    unit = spectrum.unit
    try:
        scale = njy_per(unit, 1e4 * wavelength)
    except u.UnitConversionError:
        raise ValueError(
            f"{name} has flux in {str(unit)!r}, which is no flux density: {_REMEDY}"
        ) from None

    def rows(x):
        x = np.atleast_1d(np.asarray(x))
        return np.atleast_2d(np.moveaxis(x, spectrum.spectral_axis_index, -1))

    mask = np.zeros(spectrum.data.shape) if spectrum.mask is None else spectrum.mask
    mask = np.broadcast_to(np.asarray(mask).astype(bool), spectrum.data.shape)
    error = None
    if spectrum.uncertainty is not None:
        error = rows(_standard_deviation(name, spectrum, unit))
    return rows(spectrum.data), error, rows(mask), scale


def _standard_deviation(name, spectrum, unit):
    """One-sigma errors in a unit; inverse variances of zero are infinite errors."""
    from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

    uncertainty = spectrum.uncertainty
    if not isinstance(uncertainty, StdDevUncertainty | VarianceUncertainty | InverseVariance):
        raise ValueError(
            f"{name} has an uncertainty of type {type(uncertainty).__name__}: give a "
            "StdDevUncertainty, VarianceUncertainty or InverseVariance of astropy.nddata"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return uncertainty.represent_as(StdDevUncertainty).quantity.to_value(unit)


def _resampled(flux, error, masked, low, high, counts, scale=1.0):
    """Fluxes (n, m), of which one is ``scale`` nJy, as measurements (part of n, 1071)."""
    # In frequency, so that energy is kept, and from low to high wavelength: minus 1 / wavelength.
    turn = slice(None, None, 1 if low[0] <= low[-1] else -1)
    ends = [-1.0 / x for x in (low[turn], high[turn], SPECTRUM_EDGES)]
    scale = np.broadcast_to(scale, low.shape)
    parts = []
    for start in range(0, len(flux), _CHUNK):
        rows = slice(start, start + _CHUNK)
        y, mask = flux[rows] * scale, masked[rows]
        # NaN first: a Spectrum masks them by itself.
        bad = count(counts, "NaN or infinite pixels", ~np.isfinite(y), np.ones_like(mask))
        bad |= count(counts, "masked pixels", mask, ~bad)
        if error is None:
            e = np.full(y.shape, np.nan)
        else:
            e = error[rows] * scale
            no_error = ~((e > 0) & np.isfinite(e))
            bad |= count(counts, "pixels without a positive and finite error", no_error, ~bad)
        value, sigma, covered = rebin(y[:, turn], e[:, turn], ~bad[:, turn], *ends)
        state = np.where(covered >= HALF, MEASURED, MISSING)
        parts.append(measurement(value, sigma, state, counts))
    return parts


def _joined(parts):
    """Measurements of some galaxies each as one of all."""
    return Measurement(
        *(np.concatenate([getattr(p, x) for p in parts]) for x in ("value", "error", "state"))
    )


def _described(spans, result):
    """What was read, in words."""
    pixels, low, high = (np.array(x) for x in zip(*spans, strict=True))
    lengths = f"{pixels.min()}" if np.ptp(pixels) == 0 else f"{pixels.min()} to {pixels.max()}"
    if len(spans) > 1:
        lengths = f"{len(spans)} spectra of {lengths}"
    onto = int((result.state != MISSING).any(axis=0).sum())
    return (
        f"spectrum: {lengths} pixels from {low.min():.3g} to {high.max():.3g} um onto {onto} "
        "pixels of the model"
    )
