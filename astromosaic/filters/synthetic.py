"""Synthetic photometry: mean flux densities of spectra through filters."""

import warnings

import numpy as np

from .core import load_filters

__all__ = ["projection_matrix", "synthetic_flux", "synthetic_photometry", "to_ab_magnitude"]

#: Fractions of a filter's response between which a spectrum must cover it.
COVERED = (0.001, 0.999)

ON_PARTIAL = ("raise", "nan", "taper", "extrapolate")

#: Numbers that are handled at once, so that no copy of all spectra is made: 64 MiB.
_CHUNK = 8_388_608


def projection_matrix(filters, wavelength, on_partial="raise", least_coverage=0.5):
    r"""The matrix that turns spectra into photometry.

    Parameters
    ----------
    filters : str, Filter, or sequence of these
        As `load_filters` takes them: names, sets such as ``"lsst"``, filters of one's own.
    wavelength : array_like, shape (n_wave,)
        Wavelengths of the spectra in Angstrom (observed frame), increasing.
    on_partial : {"raise", "nan", "taper", "extrapolate"}
        What to do for a filter of which the wavelengths do not cover the part between 0.1% and
        99.9% of its response:

        - ``"raise"`` an error;
        - ``"nan"``: NaN for that filter;
        - ``"taper"``: the mean over that part of the response which is covered;
        - ``"extrapolate"``: take :math:`f_\nu` to be constant beyond either end of the spectrum,
          at the value of its last pixel.
    least_coverage : float
        The part of the response, from 0 to 1, that must be covered with ``"taper"`` and
        ``"extrapolate"``; filters that are covered less are NaN.

    Returns
    -------
    ndarray of float64, shape (n_wave, n_filters)
        ``f_nu @ matrix`` is the mean flux density over each filter, in the units of ``f_nu``.

    Raises
    ------
    ValueError
        If the wavelengths are not increasing, or do not cover a filter.

    Warns
    -----
    UserWarning
        If the spectrum is coarser than a filter: if its pixels, within the central 90% of the
        response, are further apart than a quarter of the filter's width.

    Notes
    -----
    The mean is the one of the AB system for a photon-counting detector,
    :math:`\int f_\nu T\,d\lambda/\lambda \,/ \int T\,d\lambda/\lambda`, with :math:`f_\nu` linear
    between its wavelengths, by the trapezoidal rule on the wavelengths of spectrum and filter
    taken together. Each column sums to one, so that a flat :math:`f_\nu` comes out exactly.
    """
    curves = load_filters(filters)
    return _matrix(curves, wavelength, on_partial, least_coverage, stacklevel=3)[0]


def _matrix(curves, wavelength, on_partial, least_coverage, stacklevel):
    """The matrix, and which part of the response of each filter the wavelengths cover."""
    if on_partial not in ON_PARTIAL:
        raise ValueError(f"on_partial must be one of {ON_PARTIAL}, not {on_partial!r}")
    if not 0 <= least_coverage <= 1:
        raise ValueError(f"least_coverage must be between 0 and 1, not {least_coverage!r}")
    wavelength = np.asarray(wavelength, dtype=float)
    if wavelength.ndim != 1 or len(wavelength) < 2 or not np.all(np.diff(wavelength) > 0):
        raise ValueError("wavelength must be one-dimensional and increasing")
    matrix, covered = np.empty((len(wavelength), len(curves))), np.ones(len(curves))
    coarse = []
    for column, curve in enumerate(curves):
        low, high = np.exp(curve.ln_quantiles(COVERED))
        if wavelength[0] > low or wavelength[-1] < high:
            if on_partial == "raise":
                raise ValueError(
                    f"wavelengths {wavelength[0]:.0f} to {wavelength[-1]:.0f} Angstrom do not "
                    f"cover filter {curve.name!r} ({low:.0f} to {high:.0f} Angstrom); on_partial= "
                    "says what else to do"
                )
            covered[column] = _coverage(curve, wavelength[0], wavelength[-1])
            if on_partial == "nan" or covered[column] < max(least_coverage, COVERED[0]):
                # Not a thousandth covered is not covered, and nothing can be said.
                matrix[:, column] = np.nan
                continue
        if _is_coarse(curve, wavelength):
            coarse.append(curve.name)
        matrix[:, column] = _weights(curve, wavelength, on_partial == "extrapolate")
    if coarse:
        several = "filters" if len(coarse) > 1 else "filter"
        warnings.warn(
            f"the spectrum is sampled too coarsely for {several} {', '.join(map(repr, coarse))}: "
            "its pixels are further apart than a quarter of the filter's width",
            stacklevel=stacklevel,
        )
    return matrix, covered


def _coverage(curve, low, high):
    """The part of the response between two wavelengths."""
    y, t = np.log(curve.angstrom), curve.transmission
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (t[1:] + t[:-1]) * np.diff(y))])
    below, above = np.interp(np.log([low, high]), y, cumulative) / cumulative[-1]
    return above - below


def _is_coarse(curve, wavelength):
    """Whether pixels in the central 90% of the response are too far apart."""
    ends = np.exp(curve.ln_quantiles([0.05, 0.95]))
    start, end = np.searchsorted(wavelength, ends)
    steps = np.diff(wavelength[max(start - 1, 0) : end + 1])
    return len(steps) > 0 and steps.max() > curve.rectangular_width / 4


def _weights(curve, wavelength, extrapolate):
    """One column of the projection matrix."""
    # Both curves are linear between their own points, hence on the union of the two.
    nodes = np.union1d(wavelength, curve.angstrom)
    low, high = curve.angstrom[[0, -1]]
    if not extrapolate:
        low, high = max(low, wavelength[0]), min(high, wavelength[-1])
    nodes = nodes[(nodes >= low) & (nodes <= high)]
    if len(nodes) < 2:
        return np.full(len(wavelength), np.nan)
    step = np.diff(nodes)
    weight = np.interp(nodes, curve.angstrom, curve.transmission) / nodes
    weight[:-1] *= np.concatenate([[step[0]], step[1:] + step[:-1]]) / 2
    weight[-1] *= step[-1] / 2

    # Hand the weight of each node to the spectrum's points on either side of it; all of it to the
    # last one beyond the spectrum's ends.
    right = np.clip(np.searchsorted(wavelength, nodes), 1, len(wavelength) - 1)
    share = (nodes - wavelength[right - 1]) / (wavelength[right] - wavelength[right - 1])
    share = np.clip(share, 0.0, 1.0)
    n = len(wavelength)
    total = np.bincount(right, weight * share, n) + np.bincount(right - 1, weight * (1 - share), n)
    return total / total.sum()


def synthetic_flux(
    wavelength, flux=None, filters=(), on_partial="raise", error=None, least_coverage=0.5
):  # fmt: skip
    r"""Mean flux densities of spectra through filters.

    Parameters
    ----------
    wavelength : Quantity, shape (n_wave,), or specutils Spectrum
        Wavelengths (or frequencies, or energies) of the spectra in the observed frame, in
        increasing or decreasing order; or a spectrum, and then no ``flux``.
    flux : Quantity, shape (n_wave,) or (n, n_wave)
        Flux densities, per frequency or per wavelength, or magnitudes of them (`ABmag`). A hundred
        thousand at once are handled piece by piece: nothing of their size is copied, but for
        magnitudes.
    filters : str, Filter, or sequence of these
        As `load_filters` takes them: names, sets such as ``"lsst"``, filters of one's own.
    on_partial, least_coverage
        What to do with filters that are covered partly, see `projection_matrix`.
    error : Quantity, shape (n_wave,) or that of flux, or True; optional
        One-sigma errors of the pixels, as flux densities; True for those of the Spectrum.

    Returns
    -------
    flux : Quantity in nJy, shape (n_filters,) or (n, n_filters)
    error : Quantity in nJy, of the same shape
        Only if ``error`` is given.

    Raises
    ------
    TypeError
        If wavelength or flux has no unit, or errors are magnitudes.
    ValueError
        If no filter is given, a filter is unknown or not covered, or there are no errors.

    Notes
    -----
    Pixels that are NaN, infinite or masked, or whose error is NaN, infinite or negative, make NaN
    of a filter if more than 0.1% of its response falls on them (with ``"taper"``, if less than
    ``least_coverage`` of it is left); otherwise they are left out of the mean.

    The flux is a weighted mean, :math:`F = \sum_i w_i f_i`, and its error that of independent
    pixels, :math:`\sigma_F^2 = \sum_i w_i^2 \sigma_i^2`. Where pixels were resampled from coarser
    ones, and are not independent, it is too small.
    """
    flux, filters = _of_spectrum(wavelength, flux, filters)
    return _mean_flux(wavelength, flux, load_filters(filters), on_partial, error, least_coverage)


def _of_spectrum(wavelength, flux, filters):
    """Flux and filters, where the filters may follow on a Spectrum at once."""
    if hasattr(wavelength, "spectral_axis") and flux is not None:
        return None, flux
    return flux, filters


def _mean_flux(wavelength, flux, curves, on_partial, error, least_coverage):
    from astropy import units as u

    if not curves:
        raise ValueError("no filter is given: name some with filters=, such as 'lsst'")
    wavelength, flux, error = _inputs(wavelength, flux, error)
    angstrom = wavelength.to_value(u.AA, u.spectral())
    shape = flux.shape[:-1]
    if flux.shape[-1:] != angstrom.shape:
        raise ValueError(
            f"wavelength has shape {angstrom.shape}, but flux {flux.shape}: the last axis must be "
            "that of the wavelengths"
        )
    # nJy per unit of flux, by pixel: the conversion is made part of the matrix.
    scale = (1 * flux.unit).to_value(u.nJy, u.spectral_density(wavelength))
    scale = np.broadcast_to(scale, angstrom.shape)
    turn = slice(None, None, 1 if angstrom[0] <= angstrom[-1] else -1)
    matrix, covered = _matrix(curves, angstrom[turn], on_partial, least_coverage, stacklevel=4)
    matrix = matrix[turn]
    scaled = matrix * scale[:, None]
    least = max(least_coverage, COVERED[0]) if on_partial == "taper" else 1 - COVERED[0]

    values = flux.value.reshape(-1, len(angstrom))
    result = np.empty((len(values), len(curves)))
    sigma = None
    if error is not None:
        errors = np.broadcast_to(error.value, flux.shape).reshape(values.shape)
        squared = (scaled * (1 * error.unit).to_value(flux.unit)) ** 2
        sigma = np.empty_like(result)
    rows = max(1, _CHUNK // len(angstrom))
    for start in range(0, len(values), rows):
        part = slice(start, start + rows)
        y, e = values[part], None
        if error is not None:
            # In double precision: squares of fluxes in cgs are too small for single.
            e = errors[part].astype(float)
            e = np.where(e < 0, np.nan, e * e)
        with np.errstate(invalid="ignore"):  # infinite values, times zero
            # What is not finite shows in a spectrum's sum, which is quicker than pixel by pixel.
            sums = y.sum(axis=1, dtype=float) + (0.0 if e is None else e.sum(axis=1))
            result[part] = y @ scaled
            if e is not None:
                sigma[part] = np.sqrt(e @ squared)
        bad_rows = np.flatnonzero(~np.isfinite(sums))
        if not len(bad_rows):
            continue
        bad = ~np.isfinite(y[bad_rows])
        if e is not None:
            bad |= ~np.isfinite(e[bad_rows])
        left = (~bad).astype(float) @ matrix
        enough = left * covered >= least if on_partial == "taper" else left >= least
        norm = np.where(enough, left, np.nan)
        result[start + bad_rows] = np.where(bad, 0, y[bad_rows]) @ scaled / norm
        if e is not None:
            sigma[start + bad_rows] = np.sqrt(np.where(bad, 0, e[bad_rows]) @ squared) / norm
    result = result.reshape(*shape, len(curves)) * u.nJy
    return result if sigma is None else (result, sigma.reshape(result.shape) * u.nJy)


def _inputs(wavelength, flux, error):
    """Wavelengths, fluxes with NaN where masked, and errors or None."""
    from astropy import units as u

    if flux is None:
        if not hasattr(wavelength, "spectral_axis"):
            raise TypeError(
                "flux is missing: give wavelength and flux, or one Spectrum (which may hold many "
                "rows on one axis; spectra on axes of their own are given one after the other)"
            )
        spectrum = wavelength
        wavelength, flux = u.Quantity(spectrum.spectral_axis), spectrum.flux
        if spectrum.mask is not None:
            # Spectrum.flux ignores the mask; what is masked must not count as measured.
            flux = np.where(spectrum.mask, np.nan, flux.value) * flux.unit
        flux = np.moveaxis(flux, spectrum.spectral_axis_index, -1)
        if error is True:
            if spectrum.uncertainty is None:
                raise ValueError("error=True, but the spectrum has no uncertainty")
            from astropy.nddata import StdDevUncertainty

            with np.errstate(divide="ignore"):  # an inverse variance of zero
                error = spectrum.uncertainty.represent_as(StdDevUncertainty).quantity
            error = np.moveaxis(error, spectrum.spectral_axis_index, -1)
    if not (isinstance(wavelength, u.Quantity) and isinstance(flux, u.Quantity)):
        raise TypeError("wavelength and flux must be Quantities, such as [4000, 5000] * u.AA")
    if not (error is None or isinstance(error, u.Quantity)):
        raise TypeError("error must be a Quantity, or True for the errors of a Spectrum")
    if error is not None and (hasattr(error, "physical") or error.unit == u.mag):
        raise TypeError(
            f"error is in {error.unit}, but must be that of the flux density, which for magnitudes "
            "is 0.921 * flux * error if it is small"
        )
    flux, error = _unmasked(flux), None if error is None else _unmasked(error)
    # The scale of magnitudes and their like is no factor.
    return u.Quantity(wavelength), getattr(flux, "physical", flux), error


def _unmasked(quantity):
    """A quantity with NaN where it is masked."""
    mask = getattr(quantity, "mask", None)
    if mask is None:
        return quantity
    return np.where(mask, np.nan, quantity.unmasked.value) * quantity.unit


def synthetic_photometry(
    wavelength, flux=None, filters=(), on_partial="raise", error=None, least_coverage=0.5,
    magnitudes=False,
):  # fmt: skip
    """The photometry of spectra as a table, such as `astromosaic.predict` takes.

    Parameters
    ----------
    wavelength, flux, filters, on_partial, error, least_coverage
        As for `synthetic_flux`; errors are those of the Spectrum where it has any.
    magnitudes : bool
        Give AB magnitudes, not fluxes.

    Returns
    -------
    QTable
        A row for each spectrum. For each filter a column of its name, in nJy or ABmag, and one with
        ``_err`` in nJy or mag if there are errors.

    Raises
    ------
    TypeError, ValueError
        As of `synthetic_flux`.
    ValueError
        If spectra have more than two axes, or two filters are of one name.
    """
    from astropy.table import QTable

    flux, filters = _of_spectrum(wavelength, flux, filters)
    curves = load_filters(filters)
    names = [curve.name for curve in curves]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"filter {twice[0]!r} is given twice: each has a column of its name")
    if error is None and getattr(wavelength, "uncertainty", None) is not None:
        error = True
    light = _mean_flux(wavelength, flux, curves, on_partial, error, least_coverage)
    columns = list(light) if isinstance(light, tuple) else [light]
    if columns[0].ndim > 2:
        raise ValueError(
            f"flux has {columns[0].ndim} axes, but a table has a row for each spectrum: make it "
            "of shape (n, n_wave)"
        )
    if magnitudes:
        both = to_ab_magnitude(*columns)
        columns = list(both) if len(columns) == 2 else [both]
    table = QTable()
    for number, curve in enumerate(curves):
        for values, suffix, what in zip(columns, ("", "_err"), ("", "error of "), strict=False):
            values = np.atleast_2d(values) if values.ndim == 1 else values
            name = curve.name + suffix
            table[name] = values[:, number]
            table[name].info.description = f"{what}synthetic photometry in {curve.name}"
    table.meta["filters"] = {curve.name: curve.version for curve in curves}
    return table


def to_ab_magnitude(flux, error=None):
    r"""AB magnitudes of flux densities; NaN where the flux is negative, inf where it is zero.

    Parameters
    ----------
    flux : Quantity
        Flux densities f_nu.
    error : Quantity, optional
        One-sigma errors.

    Returns
    -------
    magnitude : Magnitude, in ``ABmag``
    error : Quantity in mag
        Only if ``error`` is given; to first order, :math:`2.5 / \ln 10\; \sigma_F / F`, and NaN
        where the flux is not positive. Fluxes are the better choice where the error matters.
    """
    from astropy import units as u

    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = flux.to(u.ABmag)
        if error is None:
            return magnitude
        ratio = (error / flux).to_value(u.one)
        ratio = np.where(flux.value > 0, ratio, np.nan)
        return magnitude, 2.5 / np.log(10) * ratio * u.mag
