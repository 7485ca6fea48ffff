"""Synthetic photometry: mean flux densities of spectra through filters."""

import warnings

import numpy as np

from .core import load_filter

__all__ = ["projection_matrix", "synthetic_flux", "to_ab_magnitude"]

#: Fractions of a filter's response between which a spectrum must cover it.
COVERED = (0.001, 0.999)


def projection_matrix(names, wavelength, on_partial="raise"):
    r"""The matrix that turns spectra into photometry.

    Parameters
    ----------
    names : sequence of str
        Filters.
    wavelength : array_like, shape (n_wave,)
        Wavelengths of the spectra in Angstrom (observed frame), increasing.
    on_partial : {"raise", "nan"}
        What to do for a filter of which the wavelengths do not cover the part between 0.1% and
        99.9% of its response: raise, or give NaN for that filter.

    Returns
    -------
    ndarray of float64, shape (n_wave, len(names))
        ``f_nu @ matrix`` is the mean flux density over each filter, in the units of ``f_nu``.

    Raises
    ------
    ValueError
        If the wavelengths are not increasing, or do not cover a filter.

    Notes
    -----
    The mean is the one of the AB system for a photon-counting detector,
    :math:`\int f_\nu T\,d\lambda/\lambda \,/ \int T\,d\lambda/\lambda`, with :math:`f_\nu` linear
    between its wavelengths, by the trapezoidal rule on the wavelengths of spectrum and filter
    taken together. Each column sums to one, so that a flat :math:`f_\nu` comes out exactly.
    """
    if on_partial not in ("raise", "nan"):
        raise ValueError(f"on_partial must be 'raise' or 'nan', not {on_partial!r}")
    wavelength = np.asarray(wavelength, dtype=float)
    if wavelength.ndim != 1 or len(wavelength) < 2 or not np.all(np.diff(wavelength) > 0):
        raise ValueError("wavelength must be one-dimensional and increasing")
    matrix = np.empty((len(wavelength), len(names)))
    for column, name in enumerate(names):
        matrix[:, column] = _weights(load_filter(name), wavelength, on_partial)
    return matrix


def _weights(curve, wavelength, on_partial):
    """One column of the projection matrix."""
    low, high = np.exp(curve.ln_quantiles(COVERED))
    if wavelength[0] > low or wavelength[-1] < high:
        if on_partial == "nan":
            return np.full(len(wavelength), np.nan)
        raise ValueError(
            f"wavelengths {wavelength[0]:.0f} to {wavelength[-1]:.0f} Angstrom do not cover "
            f"filter {curve.name!r} ({low:.0f} to {high:.0f} Angstrom)"
        )
    start, end = np.searchsorted(wavelength, np.exp(curve.ln_quantiles([0.05, 0.95])))
    if np.diff(wavelength[start - 1 : end + 1]).max() > curve.rectangular_width / 4:
        warnings.warn(
            f"the spectrum is sampled too coarsely for filter {curve.name!r}", stacklevel=4
        )

    # Both curves are linear between their own points, hence on the union of the two.
    nodes = np.union1d(wavelength, curve.angstrom)
    nodes = nodes[(nodes >= wavelength[0]) & (nodes <= wavelength[-1])]
    step = np.diff(nodes)
    weight = np.interp(nodes, curve.angstrom, curve.transmission, left=0, right=0) / nodes
    weight[:-1] *= np.concatenate([[step[0]], step[1:] + step[:-1]]) / 2
    weight[-1] *= step[-1] / 2

    # Hand the weight of each node to the spectrum's points on either side of it.
    right = np.clip(np.searchsorted(wavelength, nodes), 1, len(wavelength) - 1)
    share = (nodes - wavelength[right - 1]) / (wavelength[right] - wavelength[right - 1])
    n = len(wavelength)
    total = np.bincount(right, weight * share, n) + np.bincount(right - 1, weight * (1 - share), n)
    return total / total.sum()


def synthetic_flux(wavelength, flux=None, filters=(), on_partial="raise"):
    """Mean flux densities of spectra through filters.

    Parameters
    ----------
    wavelength : Quantity, shape (n_wave,), or specutils Spectrum
        Wavelengths (or frequencies, or energies) of the spectra in the observed frame, in
        increasing or decreasing order; or a spectrum, and then no ``flux``.
    flux : Quantity, shape (n_wave,) or (n, n_wave)
        Flux densities, per frequency or per wavelength.
    filters : str or sequence of str
        Names of filters.
    on_partial : {"raise", "nan"}
        See `projection_matrix`.

    Returns
    -------
    Quantity in nJy, shape (n_filters,) or (n, n_filters)

    Raises
    ------
    TypeError
        If wavelength or flux has no unit.
    ValueError
        If a filter is unknown or not covered.

    Notes
    -----
    Flux densities that are NaN or masked make NaN of a filter if more than 0.1% of its response
    falls on them; otherwise they are left out of the mean.
    """
    from astropy import units as u

    if flux is None:
        if not hasattr(wavelength, "spectral_axis"):
            raise TypeError("flux is missing: give wavelength and flux, or one Spectrum")
        spectrum = wavelength
        wavelength, flux = spectrum.spectral_axis, spectrum.flux
        if spectrum.mask is not None:
            # Spectrum.flux ignores the mask; what is masked must not count as measured.
            flux = np.where(spectrum.mask, np.nan, flux.value) * flux.unit
    if not (isinstance(wavelength, u.Quantity) and isinstance(flux, u.Quantity)):
        raise TypeError("wavelength and flux must be Quantities, such as [4000, 5000] * u.AA")
    names = [filters] if isinstance(filters, str) else list(filters)
    wavelength = u.Quantity(wavelength).to(u.AA, u.spectral())
    f_nu = flux.to(u.nJy, u.spectral_density(wavelength)).value
    wavelength = wavelength.value
    if wavelength[0] > wavelength[-1]:
        wavelength, f_nu = wavelength[::-1], f_nu[..., ::-1]
    matrix = projection_matrix(names, wavelength, on_partial)
    bad = ~np.isfinite(f_nu)
    result = np.where(bad, 0, f_nu) @ matrix
    if bad.any():
        lost = bad.astype(float) @ matrix
        result = np.where(lost > COVERED[0], np.nan, result / np.maximum(1 - lost, COVERED[0]))
    return result * u.nJy


def to_ab_magnitude(flux):
    """AB magnitudes of flux densities; NaN where the flux is negative, inf where it is zero.

    Parameters
    ----------
    flux : Quantity
        Flux densities f_nu.

    Returns
    -------
    Magnitude, in ``ABmag``
    """
    from astropy import units as u

    with np.errstate(divide="ignore", invalid="ignore"):
        return flux.to(u.ABmag)
