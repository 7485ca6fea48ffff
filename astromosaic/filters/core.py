"""`Filter`: a filter curve, where it lies and how wide it is."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version

import numpy as np

from ..properties import WAVELENGTH_RANGE
from .curves import read_curve
from .names import canonical_name, filter_set, sources

__all__ = ["Filter", "filter_shapes", "load_filter", "within_range"]

#: Versions of those curves that have one of their own.
VERSIONS = {"lsst": "v1.9"}


@dataclass(frozen=True, eq=False)
class Filter:
    r"""A filter curve.

    Parameters
    ----------
    name : str
        The canonical name.
    set : str
        The filter set it belongs to.
    version : str
        Which version of the curve this is.
    angstrom : ndarray, shape (n,)
        Wavelengths in Angstrom, increasing.
    transmission : ndarray, shape (n,)
        Photon response :math:`T`: detector signal per photon, on any scale.

    Notes
    -----
    Integrals are by the trapezoidal rule on the curve's own wavelengths.
    """

    name: str
    set: str
    version: str
    angstrom: np.ndarray = field(repr=False)
    transmission: np.ndarray = field(repr=False)

    def __post_init__(self):
        for array in (self.angstrom, self.transmission):
            array.setflags(write=False)

    @property
    def wavelength(self):
        """Wavelengths of the curve, as a Quantity in Angstrom."""
        return _angstrom(self.angstrom)

    @property
    def effective_wavelength(self):
        r""":math:`\exp(\int T \ln\lambda\, d\ln\lambda / \int T d\ln\lambda)`, in Angstrom: the
        photon-weighted mean for a source flat in :math:`f_\nu` (Fukugita et al. 1996, eq. 3)."""
        return _angstrom(np.exp(self.ln_effective))

    @property
    def pivot_wavelength(self):
        r""":math:`\sqrt{\int T \lambda d\lambda / \int T d\ln\lambda}`, in Angstrom: relates the
        means of :math:`f_\nu` and :math:`f_\lambda` over the filter, whatever the source."""
        return _angstrom(self.pivot)

    @property
    def mean_wavelength(self):
        r""":math:`\int T \lambda d\lambda / \int T d\lambda`, in Angstrom."""
        x, t = self.angstrom, self.transmission
        return _angstrom(np.trapezoid(t * x, x) / np.trapezoid(t, x))

    @property
    def width(self):
        r"""Rectangular width :math:`\int T d\lambda / \max T`, in Angstrom."""
        return _angstrom(self.rectangular_width)

    @cached_property
    def ln_effective(self):
        """Natural logarithm of the effective wavelength in Angstrom."""
        t, y = self.transmission, np.log(self.angstrom)
        return float(np.trapezoid(t * y, y) / np.trapezoid(t, y))

    @cached_property
    def pivot(self):
        """The pivot wavelength in Angstrom, as a plain number."""
        x, t = self.angstrom, self.transmission
        return float(np.sqrt(np.trapezoid(t * x, x) / np.trapezoid(t, np.log(x))))

    @cached_property
    def rectangular_width(self):
        """The width in Angstrom, as a plain number."""
        return float(np.trapezoid(self.transmission, self.angstrom) / self.transmission.max())

    def ln_quantiles(self, fractions):
        r"""ln of the wavelengths (Angstrom) below which these fractions of
        :math:`\int T d\ln\lambda` lie."""
        y = np.log(self.angstrom)
        steps = 0.5 * (self.transmission[1:] + self.transmission[:-1]) * np.diff(y)
        cumulative = np.concatenate([[0.0], np.cumsum(steps)])
        return np.interp(np.asarray(fractions) * cumulative[-1], cumulative, y)


def _angstrom(value):
    from astropy import units as u

    return value * u.AA


def load_filter(name):
    """The filter of that name.

    Parameters
    ----------
    name : str
        See `canonical_name`.

    Returns
    -------
    Filter

    Raises
    ------
    ValueError
        If there is no such filter.
    """
    return _load(canonical_name(name))


@lru_cache(maxsize=512)
def _load(name):
    sedpy_name, column = sources()[name]
    curve = read_curve(sedpy_name, column)
    set_name = filter_set(name)
    source = f"sedpy {version('astro-sedpy')} {sedpy_name}" + (f" {column}" if column else "")
    return Filter(
        name=name,
        set=set_name,
        version=VERSIONS.get(set_name, source),
        angstrom=np.array(curve.wavelength, dtype=float),
        transmission=np.array(curve.transmission, dtype=float),
    )


def filter_shapes(names):
    """Where and how wide filters are, as numbers for the network.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    ndarray of float32, shape (len(names), 4)
        Natural logarithms of wavelengths in micron: the pivot wavelength, and those below which
        5%, 50% and 95% of the photon response per ln(wavelength) lie.
    """
    rows = [_shape(canonical_name(name)) for name in names]
    return np.array(rows, dtype=np.float32).reshape(len(rows), 4)


def within_range(name):
    """Whether a filter lies within the wavelengths that the model covers."""
    low, high = np.log(WAVELENGTH_RANGE)
    _, blue, _, red = filter_shapes([name])[0]
    return bool(blue > low and red < high)


@lru_cache(maxsize=512)
def _shape(name):
    f = _load(name)
    ln_micron = np.log(1e4)
    return (np.log(f.pivot) - ln_micron, *(f.ln_quantiles([0.05, 0.5, 0.95]) - ln_micron))
