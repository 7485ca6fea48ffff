"""`Filter`: a filter curve, where it lies and how wide it is."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..properties import SPECTRUM_WAVELENGTH, WAVELENGTH_RANGE
from .curves import checked_curve, curve_of_file, curve_of_object, digest, read_curve
from .names import (
    REGISTERED,
    canonical_name,
    check_new_name,
    filter_set,
    find_name,
    find_set,
    list_filters,
    sources,
)

__all__ = [
    "Filter",
    "filter_shapes",
    "load_filter",
    "load_filters",
    "register_filter",
    "within_range",
]

#: Versions of those curves that have one of their own.
VERSIONS = {"lsst": "v1.9"}

#: The set of filters that come from elsewhere.
USER_SET = "user"


@dataclass(frozen=True, eq=False)
class Filter:
    r"""A filter curve.

    `load_filter` gives those that are known by name. Others are made by `Filter.from_arrays`,
    `Filter.from_file` and `Filter.from_object`, which check what they are given.

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
    response : {"photon", "energy"}
        How the curve was given. ``transmission`` is the photon response either way: a curve of
        the signal per energy, :math:`S`, is the photon response :math:`T \propto S / \lambda`.

    Notes
    -----
    Integrals are by the trapezoidal rule on the curve's own wavelengths.
    """

    name: str
    set: str
    version: str
    angstrom: np.ndarray = field(repr=False)
    transmission: np.ndarray = field(repr=False)
    response: str = "photon"

    def __post_init__(self):
        for array in (self.angstrom, self.transmission):
            array.setflags(write=False)

    @classmethod
    def from_arrays(
        cls, wavelength, transmission, name, response="photon", set=USER_SET, version=None
    ):
        r"""A filter from its curve.

        Parameters
        ----------
        wavelength : Quantity, shape (n,)
            Wavelengths (or frequencies, or energies), in any order.
        transmission : array_like or Quantity, shape (n,)
            The response, without unit or in percent, on any scale. Negative values count as zero.
        name : str
        response : {"photon", "energy"}
            Whether this is the detector's signal per photon, as in sedpy, speclite, synphot and
            sncosmo, or per energy, as some older infrared curves are.
        set : str
        version : str, optional
            Which version of the curve this is; a checksum of the curve without it.

        Returns
        -------
        Filter

        Raises
        ------
        TypeError
            If the wavelengths have no unit.
        ValueError
            If the curve is none: not one-dimensional, of different lengths, not finite, without
            any response, or with a wavelength twice.

        Notes
        -----
        The curve is linear between the points given, and zero outside of them. Where these are
        further apart than 0.5% of the wavelength points are added, so that integrals are right for
        a curve that is given by a few points.
        """
        angstrom, values = checked_curve(name, wavelength, transmission, response)
        version = version or f"{response} response, sha256 {digest(angstrom, values)}"
        return cls(str(name), set, version, angstrom, values, response)

    @classmethod
    def from_file(cls, path, name=None, response=None, unit=None, set=USER_SET):
        """A filter from a file.

        Parameters
        ----------
        path : str or path-like
            A VOTable as of the SVO Filter Profile Service, an ECSV or FITS table whose columns
            have units, or plain text; columns are wavelength and response, in this order. Lines
            of text that begin with ``#`` are comments.
        name : str, optional
            The SVO's ``filterID``, or else the file's name without its suffix, if not given.
        response : {"photon", "energy"}, optional
            See `Filter.from_arrays`. By default what the VOTable says (its ``DetectorType``), and
            ``"photon"`` for other files.
        unit : str or Unit, optional
            Unit of the wavelengths. By default that of the column; Angstrom for text.
        set : str

        Returns
        -------
        Filter

        Raises
        ------
        ValueError
            If the file has no two columns of numbers; if the unit of wavelengths is missing, or a
            text has wavelengths that are hardly in Angstrom; if a VOTable does not tell its
            detector type; whatever `Filter.from_arrays` raises.
        """
        wavelength, transmission, own_name, response = curve_of_file(Path(path), response, unit)
        return cls.from_arrays(wavelength, transmission, name or own_name, response, set)

    @classmethod
    def from_object(cls, obj, name=None, set=USER_SET):
        """A filter from that of another library.

        Parameters
        ----------
        obj : object
            A ``SpectralElement`` of synphot, ``FilterResponse`` of speclite, ``Bandpass`` of
            sncosmo or ``Filter`` of sedpy. All of them are photon responses.
        name : str, optional
            The name that it has there, if not given.
        set : str

        Returns
        -------
        Filter

        Raises
        ------
        TypeError
            If it is none of these.
        ValueError
            If it has no name; whatever `Filter.from_arrays` raises.
        """
        if isinstance(obj, Filter):
            return obj
        wavelength, transmission, own_name = curve_of_object(obj)
        if not (name or own_name):
            raise ValueError(f"the {type(obj).__name__} has no name: give one with name=")
        return cls.from_arrays(wavelength, transmission, name or own_name, "photon", set)

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

    @property
    def ab_zero_point(self):
        r"""Mean :math:`f_\lambda` of a source of AB magnitude zero, 3631 Jy
        :math:`c / \lambda_\mathrm{pivot}^2`, in erg / (s cm2 Angstrom)."""
        from astropy import units as u

        unit = u.erg / (u.s * u.cm**2 * u.AA)
        return (1 * u.AB).to(unit, u.spectral_density(self.pivot_wavelength))

    @property
    def vega_zero_point(self):
        r"""Mean :math:`f_\nu` of Vega, magnitude zero of the Vega system, in Jy.

        The spectrum is sedpy's, alpha_lyr_stis_005 of CALSPEC (Bohlin 2007); NaN for a filter that
        reaches beyond it.
        """
        from astropy import units as u

        return self.vega_flux * u.Jy

    @property
    def vega_to_ab(self):
        """What to add to a Vega magnitude to have it on the AB system, in mag.

        It is that of `vega_zero_point`; zero points that surveys have published differ from it by
        some hundredths of a magnitude (WISE's by 0.03).
        """
        from astropy import units as u

        return (self.vega_zero_point.to(u.ABmag)).value * u.mag

    @cached_property
    def vega_flux(self):
        """Mean f_nu of Vega in Jy, as a plain number."""
        from astropy import constants, units
        from sedpy.reference_spectra import vega

        x, f_lambda = np.asarray(vega, dtype=float).T
        if x[0] > self.angstrom[0] or x[-1] < self.angstrom[-1]:
            return np.nan
        # 1 erg / (s cm2 Angstrom) times Angstrom^2 / c
        scale = (1 * units.erg / units.s / units.cm**2 * units.AA / constants.c).to_value(units.Jy)
        inside = (x > self.angstrom[0]) & (x < self.angstrom[-1])
        nodes = np.union1d(x[inside], self.angstrom)
        weight = np.interp(nodes, self.angstrom, self.transmission) / nodes
        f_nu = np.interp(nodes, x, f_lambda * x**2)
        return float(scale * np.trapezoid(weight * f_nu, nodes) / np.trapezoid(weight, nodes))

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

    @cached_property
    def ln_shape(self):
        """The row of `filter_shapes`."""
        ln_micron = np.log(1e4)
        return (np.log(self.pivot) - ln_micron, *(self.ln_quantiles([0.05, 0.5, 0.95]) - ln_micron))


def _angstrom(value):
    from astropy import units as u

    return value * u.AA


def load_filter(what):
    """The filter of that name, in that file, or like that object.

    Parameters
    ----------
    what : str, path-like, Filter, or a filter of another library
        A name, see `canonical_name`; a file, see `Filter.from_file`; or whatever
        `Filter.from_object` takes.

    Returns
    -------
    Filter

    Raises
    ------
    ValueError
        If there is no such filter or file.
    TypeError
        If it is something else.
    """
    if isinstance(what, Filter):
        return what
    if isinstance(what, str) and (find_name(what) is not None or not os.path.isfile(what)):
        return _load(canonical_name(what))
    if isinstance(what, str | os.PathLike):
        return Filter.from_file(what)
    return Filter.from_object(what)


def load_filters(what):
    """Several filters.

    Parameters
    ----------
    what : str, or whatever `load_filter` takes, or an iterable of these
        A string may be the name of a filter or that of a set (`list_sets`), such as ``"lsst"``,
        without regard to case.

    Returns
    -------
    list of Filter
        In the order given; those of a set in order of wavelength.

    Raises
    ------
    ValueError, TypeError
        As of `load_filter`.
    """
    if isinstance(what, str) and find_set(what) is not None:
        return [_load(name) for name in list_filters(what)]
    if isinstance(what, Iterable) and not isinstance(what, str | os.PathLike):
        return [curve for item in what for curve in load_filters(item)]
    return [load_filter(what)]


def register_filter(what, name=None):
    """Make a filter known by its name, wherever names of filters are taken.

    Afterwards the name works as any other does: as the name of a column, in ``columns=`` and in
    ``query=`` of `astromosaic.predict`. It is known in this Python process only, and `list_filters`
    does not list it.

    Parameters
    ----------
    what : Filter, or whatever `load_filter` takes
    name : str, optional
        Another name than the filter's own.

    Returns
    -------
    Filter
        The filter by that name. What is known already is not registered again.

    Raises
    ------
    ValueError
        If another filter has that name, or it is one that no filter can have.
    """
    curve = load_filter(what)
    name = str(name or curve.name)
    if find_name(name) is not None:
        known = _load(canonical_name(name))
        if digest(known.angstrom, known.transmission) != digest(curve.angstrom, curve.transmission):
            raise ValueError(
                f"there is another filter {name!r}: register this one by another name, with name="
            )
        return known
    check_new_name(name)
    REGISTERED[name] = Filter(
        name, curve.set, curve.version, curve.angstrom, curve.transmission, curve.response
    )
    return REGISTERED[name]


def _load(name):
    return REGISTERED[name] if name in REGISTERED else _load_known(name)


@lru_cache(maxsize=512)
def _load_known(name):
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


def filter_shapes(filters):
    """Where and how wide filters are, as numbers for the network.

    Parameters
    ----------
    filters : str, Filter, or sequence of these
        As `load_filters` takes them.

    Returns
    -------
    ndarray of float32, shape (n_filters, 4)
        Natural logarithms of wavelengths in micron: the pivot wavelength, and those below which
        5%, 50% and 95% of the photon response per ln(wavelength) lie.
    """
    rows = [curve.ln_shape for curve in load_filters(filters)]
    return np.array(rows, dtype=np.float32).reshape(len(rows), 4)


def vector_wavelength(name):
    """Wavelengths in micron of the elements of a vector of light, ``"spectrum"`` or ``"spherex"``.

    Returns
    -------
    ndarray (length,)
        Of SPHEREx the pivot wavelengths of its channels.
    """
    if name == "spectrum":
        return SPECTRUM_WAVELENGTH
    return np.exp(filter_shapes(list_filters(name))[:, 0].astype(float))


def within_range(what):
    """Whether a filter lies within the wavelengths that the model covers."""
    low, high = np.log(WAVELENGTH_RANGE)
    _, blue, _, red = load_filter(what).ln_shape
    return bool(blue > low and red < high)
