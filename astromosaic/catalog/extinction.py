"""Extinction by the dust of the Milky Way: its curve, and light that is corrected for it."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from astropy import units as u

from ..filters import list_filters, load_filter
from ..galaxies import MEASURED, MISSING
from ..properties import SPECTRUM_WAVELENGTH, VECTORS
from .units import plain
from .values import count, measurement

__all__ = ["coefficient", "curve", "deredden", "deredden_spectrum"]

#: A(1 micron) / E(B-V) on the scale of the map of Schlegel, Finkbeiner & Davis (1998), with the
#: recalibration of that map by Schlafly & Finkbeiner (2011).
_AT_ONE_MICRON = 1.029
#: Between these wavelengths in micron the curve goes over from the one law to the other.
_FITZPATRICK_TO, _GORDON_FROM = 2.0, 3.3

# No galaxy is seen through more than this many magnitudes: sentinels, or not what it should be.
_MOST = 10.0


def curve(micron):
    r"""Extinction in magnitudes per magnitude of E(B-V), on the scale of the SFD map.

    Parameters
    ----------
    micron : array-like
        Wavelengths in micron; beyond 0.1 and 32 micron the value there is taken.

    Returns
    -------
    ndarray

    Notes
    -----
    The law of Fitzpatrick (1999) with :math:`R_V = 3.1`, which Schlafly & Finkbeiner (2011) find
    to hold for the dust at high latitudes and on which their table 6 rests, up to 2 micron; that
    of Gordon et al. (2023) from 3.3 micron, where the other ends; in between a mean of both with
    weights linear in :math:`\ln\lambda`. Both have 1.029 at 1 micron, which is how the
    recalibration of the SFD map by 0.86 enters in that table. The laws are those of the package
    ``dust_extinction``.
    """
    x = np.clip(np.asarray(micron, dtype=float), 0.1, 32.0)
    fitzpatrick, gordon, at_one = _laws()
    to_gordon = np.log(x / _FITZPATRICK_TO) / np.log(_GORDON_FROM / _FITZPATRICK_TO)
    weight = np.clip(to_gordon, 0.0, 1.0)
    old = fitzpatrick(np.minimum(x, _GORDON_FROM) * u.um) / at_one[0]
    new = gordon(x * u.um) / at_one[1]
    return _AT_ONE_MICRON * ((1 - weight) * old + weight * new)


@lru_cache(maxsize=1)
def _laws():
    """Both laws for R_V = 3.1, as A / A(V), and what they have at 1 micron."""
    from dust_extinction.parameter_averages import F99, G23

    laws = F99(Rv=3.1), G23(Rv=3.1)
    return *laws, [law(1 * u.um) for law in laws]


@lru_cache(maxsize=1024)
def coefficient(name):
    r"""Extinction in a filter per magnitude of E(B-V), on the scale of the SFD map.

    Parameters
    ----------
    name : str
        See `astromosaic.filters.canonical_name`.

    Returns
    -------
    float
        :math:`\int k\,T\,d\ln\lambda / \int T\,d\ln\lambda` with the curve :math:`k` and the
        photon response :math:`T`: the mean over the photons of a source flat in :math:`f_\nu`.
    """
    f = load_filter(name)
    y = np.log(f.angstrom)
    mean = np.trapezoid(f.transmission * curve(1e-4 * f.angstrom), y)
    return float(mean / np.trapezoid(f.transmission, y))


def deredden(galaxies, table, by_target, reading):
    """Correct light for Galactic extinction, where the table says how much there is.

    Parameters
    ----------
    galaxies : Galaxies
    table : astropy.table.Table
    by_target : dict of str to Assignment
        The columns that were read. Light is left alone where its ``dereddened`` is true; it is
        corrected by the column ``extinction`` if it has one, or else by the column that holds
        ``ebv``.
    reading : Reading
        Gains counts, notes and ``ebv``.

    Returns
    -------
    Galaxies
        Fluxes, limits and errors are larger by 10**(0.4 A). Rows of which the extinction is
        missing or negative are as they were.
    """
    known = {}

    def magnitudes(column):
        if column not in known:
            try:
                known[column] = _magnitudes(table, column, reading)
            except ValueError as error:
                reading.refuse(str(error), column)
                known[column] = np.full(len(table), np.nan)
        return known[column]

    ebv = by_target["ebv"].column if "ebv" in by_target else None
    amounts, by_ebv, by_column, left = {}, [], {}, []
    light = [*galaxies.filters, *(name for name in galaxies.vectors if VECTORS[name].is_flux)]
    for name in light:
        assignment = _assignment(name, by_target)
        if assignment is not None and assignment.dereddened:
            left.append(name)
            continue
        own = None if assignment is None else assignment.extinction
        if own is None and ebv is None:
            continue
        amount = magnitudes(own or ebv)
        amount = amount if name in galaxies.filters else amount[:, None]
        if own is not None:
            by_column[name], amounts[name] = own, amount
        else:
            by_ebv.append(name)
            amounts[name] = amount * _coefficients(name)

    if by_ebv:
        reading.notes.append(_note(by_ebv, f"E(B-V) in {ebv!r}", amounts))
    if by_column:
        reading.notes.append(_note([*by_column], _span(by_column.values()), amounts))
    if left:
        reading.notes.append(f"{_span(left)} taken as corrected for Galactic extinction already")
    if ebv is not None:
        reading.ebv = magnitudes(ebv)  # which says if it cannot be read
        state = np.where(np.isnan(reading.ebv), MISSING, MEASURED)
        reading.record(table, by_target["ebv"], state)
    return _applied(galaxies, amounts)


def _assignment(name, by_target):
    """The columns of some light; of SPHEREx with a column for each channel those of the first."""
    columns = list_filters("spherex") if name == "spherex" else []
    return next((by_target[c] for c in [name, *columns] if c in by_target), None)


def deredden_spectrum(measured, reading):
    """Correct spectra that stand beside a table by the E(B-V) in it.

    Parameters
    ----------
    measured : Measurement, shape (n, 1071)
    reading : Reading
        Of the table; it has the E(B-V) of each galaxy. Gains a note.

    Returns
    -------
    Measurement
    """
    if reading.ebv is None:
        return measured
    column = next(c for c, what in reading.columns.items() if what == "ebv")
    amount = reading.ebv[:, None] * _coefficients("spectrum")
    reading.notes.append(_note(["spectrum"], f"E(B-V) in {column!r}", {"spectrum": amount}))
    return _brightened(measured, amount)


def _magnitudes(table, column, reading):
    """Reddening or extinction of each row; NaN where it is missing or makes no sense."""
    values, mask, unit = plain(column, table[column])
    if values.shape != (len(table),):
        raise ValueError(
            f"column {column!r} has shape {values.shape}, expected {(len(table),)}: one value of "
            "the Galactic extinction per row"
        )
    if unit not in (None, u.mag, u.dimensionless_unscaled):
        raise ValueError(
            f"column {column!r} has unit {str(unit)!r}, but Galactic extinction is in mag; leave "
            f"it out with columns={{{column!r}: None}}"
        )
    good = ~mask & (values >= 0) & (values < _MOST)
    count(reading.counts, f"rows without a valid {column}", ~good, np.ones_like(good))
    return np.where(good, values, np.nan)


def _coefficients(name):
    """Extinction per E(B-V) in a filter, or in the elements of a vector."""
    if name == "spectrum":
        return curve(SPECTRUM_WAVELENGTH)
    if name == "spherex":
        return np.array([coefficient(channel) for channel in list_filters("spherex")])
    return coefficient(name)


def _applied(galaxies, amounts):
    """Galaxies with all light made brighter by what is known of the extinction."""
    if not amounts:
        return galaxies
    photometry, zero = galaxies.photometry, np.zeros(len(galaxies))
    if galaxies.filters:
        by_filter = [amounts.get(name, zero) for name in galaxies.filters]
        photometry = _brightened(photometry, np.stack(by_filter, axis=1))
    vectors = {
        name: _brightened(m, amounts[name]) if name in amounts else m
        for name, m in galaxies.vectors.items()
    }
    return replace(galaxies, photometry=photometry, vectors=vectors)


def _brightened(m, amount):
    """A measurement without an extinction in magnitudes; as it was where that is NaN."""
    factor = 10 ** (0.4 * np.nan_to_num(amount))
    return measurement(m.value * factor, m.error * factor, m.state)


def _note(names, source, amounts):
    """What was corrected by what, and by how much."""
    if not any(np.isfinite(amounts[name]).any() for name in names):
        return f"{_span(names)} not corrected for Galactic extinction: {source} has no valid value"
    medians = np.concatenate([np.ravel(_median(amounts[name])) for name in names])
    low, high = f"{medians.min():.2g}", f"{medians.max():.2g}"
    span = low if low == high else f"{low} to {high}"
    return f"{_span(names)} corrected for Galactic extinction by {source}, median {span} mag"


def _median(amount):
    """Median extinction over the galaxies of which it is known; 0 if there are none."""
    known = amount[np.isfinite(amount.reshape(len(amount), -1)).all(axis=1)]
    return np.median(known, axis=0) if len(known) else np.zeros(amount.shape[1:])


def _span(names):
    """Names in a few words."""
    names = list(dict.fromkeys(names))
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"
