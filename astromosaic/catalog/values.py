"""Columns to measurements: values, errors and states."""

import numpy as np
from astropy import units as u

from ..filters import load_filter
from ..galaxies import LIMIT, MEASURED, MISSING, Measurement
from ..properties import get_property
from .units import magnitude_unit, plain, to_internal, to_njy

__all__ = ["array_column", "count", "measurement", "pivots", "read_fluxes", "read_scalar"]

#: No object has a magnitude of this size: 99, 999 and the like mean that there is none.
IMPOSSIBLE_MAGNITUDE = 90.0


def read_fluxes(table, assignment, pivot, counts, length=None):
    """The fluxes of a column, in nJy.

    Parameters
    ----------
    table : astropy.table.Table
    assignment : Assignment
    pivot : float or ndarray of shape (length,)
        Pivot wavelength in Angstrom.
    counts : Counter
        Gains how many values are missing or limits, by reason.
    length : int, optional
        Elements of each cell, for a vector.

    Returns
    -------
    Measurement, shape (n,) or (n, length)
    """
    column = assignment.column
    values, mask, unit = _column(table, column, length)
    unit = u.Unit(assignment.unit) if unit is None and assignment.unit else unit
    errors, error_unit = None, None
    if assignment.error is not None:
        errors, error_mask, error_unit = _column(table, assignment.error, length)
        errors = np.where(error_mask, np.nan, errors)
        if error_unit is None and assignment.unit and not magnitude_unit(unit):
            error_unit = unit

    missing = count(counts, "masked", mask, np.ones_like(mask))
    no_number = ~np.isfinite(values)
    missing |= count(counts, "NaN or infinite", no_number, ~missing)
    undetected = np.zeros_like(missing)
    for sentinel, meaning in assignment.sentinels.items():
        found = count(counts, f"{meaning} ({sentinel:g})", values == sentinel, ~missing)
        missing |= found
        if meaning == "not detected":
            undetected |= found
    is_magnitude = unit is not None and magnitude_unit(unit)
    if is_magnitude:
        impossible = np.abs(values) >= IMPOSSIBLE_MAGNITUDE
        missing |= count(counts, "no magnitude (90 or beyond)", impossible, ~missing)

    limits = np.where(undetected, np.nan if errors is None else errors, np.nan)
    values = np.where(missing, np.nan, values + (assignment.to_ab if is_magnitude else 0.0))
    flux, error = to_njy(
        column, values, unit, errors, error_unit, pivot, softening=assignment.softening
    )
    bad = count(
        counts, "zero, negative or infinite error", (error <= 0) | np.isinf(error), ~missing
    )
    state = np.where(missing | bad, MISSING, MEASURED)

    # Magnitudes of one sigma of the sky, which stand where there is no detection.
    limits = np.where((limits > 0) & (limits < IMPOSSIBLE_MAGNITUDE), limits, np.nan)
    if np.isfinite(limits).any():
        one_sigma, _ = to_njy(column, limits, unit, pivot=pivot)
        limited = np.isfinite(limits)
        flux, error = (np.where(limited, one_sigma, x) for x in (flux, error))
        state = np.where(limited, LIMIT, state)
    return measurement(flux, error, state)


def read_scalar(table, assignment, counts):
    """The values of a property, in its internal coordinate.

    Parameters
    ----------
    table, assignment, counts
        As for `read_fluxes`.

    Returns
    -------
    Measurement, shape (n,)
    """
    prop = get_property(assignment.target)
    values, mask, unit = _column(table, assignment.column)
    errors, error_unit = None, None
    if assignment.error is not None:
        errors, error_mask, error_unit = _column(table, assignment.error)
        # An error of zero is common for spectroscopic redshifts: it says exact, not bad.
        errors = np.where(error_mask | (errors == 0), np.nan, errors)
    coordinate, error = to_internal(assignment.column, prop, values, unit, errors, error_unit)
    missing = count(counts, "masked", mask, np.ones_like(mask))
    missing |= count(counts, f"no valid {prop.name}", ~np.isfinite(coordinate), ~missing)
    bad = (error < 0) | np.isinf(error)
    missing |= count(counts, "negative or infinite error", bad, ~missing)
    return measurement(coordinate, error, np.where(missing, MISSING, MEASURED))


def pivots(names):
    """Pivot wavelengths of filters in Angstrom."""
    return np.array([load_filter(name).pivot for name in names])


def _column(table, name, length=None):
    """A column as plain values, mask and unit, once its shape is right."""
    column = table[name]
    shape = (len(table),) if length is None else (len(table), length)
    if np.shape(column) != shape:
        raise ValueError(
            f"column {name!r} has shape {np.shape(column)}, expected {shape}"
            + (" with one flux per channel in order of wavelength" if length else "")
        )
    return plain(name, column)


def array_column(table, name, shape=None):
    """A column of arrays of one length as plain values (n, m), mask and unit."""
    values, mask, unit = plain(name, table[name])
    if values.ndim != 2 or shape not in (None, values.shape):
        raise ValueError(
            f"column {name!r} has shape {values.shape}, expected {shape or (len(table), 'm')}: an "
            "array in each row"
        )
    return values, mask, unit


def count(counts, kind, found, among):
    """Count what is found among values not yet accounted for, and return it."""
    found = found & among
    if found.any():
        counts[kind] += int(found.sum())
    return found


def measurement(value, error, state):
    """A measurement in single precision; what leaves its range is missing."""
    with np.errstate(over="ignore", under="ignore"):
        value, error = value.astype(np.float32), error.astype(np.float32)
    state = np.where(np.isfinite(value) & ~(error == 0) & ~np.isinf(error), state, MISSING)
    return Measurement(value, error, state)
