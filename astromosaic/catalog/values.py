"""Columns to measurements: values, errors and states."""

import warnings

import numpy as np
from astropy import units as u

from ..filters import list_filters, load_filter
from ..galaxies import LIMIT, MEASURED, MISSING, Measurement
from ..properties import get_property
from .units import (
    magnitude_unit,
    no_unit_message,
    parse_unit,
    plain,
    to_internal,
    to_njy,
    vega_unit,
)

__all__ = [
    "array_column",
    "columns_of",
    "count",
    "errors_of",
    "measurement",
    "pivots",
    "read_fluxes",
    "read_scalar",
    "unit_of",
]

#: No object has a magnitude of this size: 99, 999 and the like mean that there is none.
IMPOSSIBLE_MAGNITUDE = 90.0
#: Nor is anything else of this size, in the units that are used inside, or known to such a part.
IMPOSSIBLE = 1e30
#: No galaxy comes towards us faster: what is below is no redshift, but says that there is none.
LOWEST_REDSHIFT = -0.01


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
    column, filters = assignment.column, _filters(assignment.target)
    values, mask, unit = _column(table, column, length)
    unit = unit_of(assignment, unit)
    is_magnitude = unit is not None and magnitude_unit(unit)
    errors, error_unit = None, None
    if assignment.error is not None:
        errors, error_unit = errors_of(assignment, *_column(table, assignment.error, length), unit)
        if assignment.limit_sigma is not None:
            errors = np.where(np.isin(errors, list(assignment.sentinels)), np.nan, errors)
        if error_unit is None and assignment.unit and not is_magnitude:
            error_unit = unit

    missing = count(counts, "masked", mask, np.ones_like(mask))
    no_number = ~np.isfinite(values)
    missing |= count(counts, "NaN or infinite", no_number, ~missing)
    undetected, unobserved = np.zeros_like(missing), np.zeros_like(missing)
    for sentinel, meaning in assignment.sentinels.items():
        found = count(counts, f"{meaning} ({sentinel:g})", values == sentinel, ~missing)
        missing |= found
        if meaning == "not detected":
            undetected |= found
        else:
            unobserved |= found
    if is_magnitude:
        impossible = np.abs(values) >= IMPOSSIBLE_MAGNITUDE
        missing |= count(counts, "no magnitude (90 or beyond)", impossible, ~missing)

    def njy(name, values, unit, errors=None, error_unit=None):
        vega_to_ab = None
        if vega_unit(unit):
            vega_to_ab = np.array([load_filter(name).vega_to_ab.value for name in filters])
            vega_to_ab = vega_to_ab if length else vega_to_ab[0]
        flux, error = to_njy(
            name, values, unit, errors, error_unit, pivot, assignment.softening, vega_to_ab
        )
        if error_unit is None or magnitude_unit(unit):
            error_unit = unit
        return flux * _to_ab(assignment, unit), error * _to_ab(assignment, error_unit)

    try:
        flux, error = njy(column, np.where(missing, np.nan, values), unit, errors, error_unit)
    except ValueError as failure:
        if not assignment.inverse_variance:
            raise
        raise ValueError(f"{failure}, by the inverse variances in {assignment.error!r}") from None
    unknown = np.isnan(error)
    bad = count(
        counts, "zero, negative or infinite error", (error <= 0) | np.isinf(error), ~missing
    )
    state = np.where(missing | bad, MISSING, MEASURED)
    if assignment.limit_sigma is not None:
        limited = (state == MEASURED) & unknown
        # Nothing has less than no flux: a negative limit is none. Nor is a magnitude of zero.
        bad = (values <= 0) | (flux <= 0)
        bad = count(counts, "limit that is not positive", bad, limited)
        state = np.where(bad, MISSING, np.where(limited, LIMIT, state))
        count(counts, f"limit of {assignment.limit_sigma:g} sigma", state == LIMIT, limited)
        error = np.where(limited, flux / assignment.limit_sigma, error)

    # Limits that stand elsewhere: magnitudes of one sigma of the sky, and columns of their own.
    if assignment.depth is not None:
        limits = [(assignment.depth, 1.0, undetected)]
    elif undetected.any() and assignment.error is not None:
        limits = [(assignment.error, 1.0, undetected)]
    else:
        limits = []
    if assignment.limit is not None:
        limits.append((*assignment.limit, (state == MISSING) & ~unobserved))
    for name, level, where in limits:
        limit, limit_mask, limit_unit = _column(table, name, length)
        own = assignment.limit is not None and name == assignment.limit[0]
        if own and assignment.limit_unit:
            limit_unit = parse_unit(name, assignment.limit_unit)
        elif own and limit_unit is None and not assignment.unit:
            raise ValueError(no_unit_message(name, repr(str(unit))))
        elif limit_unit is None or name == assignment.error:
            limit_unit = unit
        if limit_unit == u.mag and is_magnitude:
            limit_unit = unit  # plain magnitudes are on the system of those beside them
        good = where & ~limit_mask & (limit > 0) & np.isfinite(limit)
        if magnitude_unit(limit_unit):
            good &= limit < IMPOSSIBLE_MAGNITUDE
        if good.any():
            in_njy, _ = njy(name, np.where(good, limit, np.nan), limit_unit)
            good &= (in_njy > 0) & (in_njy < IMPOSSIBLE)  # asinh magnitudes go below no flux
            if own:
                count(counts, f"limit of {level:g} sigma in {name}", good, where)
            flux, error = np.where(good, in_njy, flux), np.where(good, in_njy / level, error)
            state = np.where(good, LIMIT, state)
    return measurement(flux, error, state, counts)


def _filters(target):
    """The filters whose fluxes a target holds."""
    return list_filters("spherex") if target == "spherex" else [target]


def unit_of(assignment, unit):
    """The unit of a column: the one that is told, its own, or the convention's."""
    if assignment.unit is None:
        return unit
    known = parse_unit(assignment.column, assignment.unit)
    if unit is None or assignment.told_unit:
        return known
    if magnitude_unit(unit) != magnitude_unit(known):
        column = assignment.column
        raise ValueError(
            f"column {column!r} has unit {str(unit)!r}, but by its name it holds "
            f"{'magnitudes' if magnitude_unit(known) else 'fluxes'} ({assignment.source}): give it "
            f"its true unit, or say what it holds, e.g. columns={{{column!r}: "
            f"'{assignment.target}[{unit}]'}}"
        )
    # Plain magnitudes do not say on which system they are, but the convention does.
    return known if unit == u.mag else unit


def _to_ab(assignment, unit):
    """The factor that brings fluxes to the AB system, of asinh magnitudes too.

    Offsets are those of the survey's own magnitudes and maggies: a flux in Jy has no zero point,
    and Vega magnitudes have another.
    """
    if magnitude_unit(unit):
        own = not vega_unit(unit)
    else:
        own = u.Unit("mgy").is_equivalent(unit)
    return 10 ** (-0.4 * assignment.to_ab) if own else 1.0


def errors_of(assignment, errors, mask, unit, values_unit):
    """Errors of one sigma, from a column of errors or of inverse variances.

    Parameters
    ----------
    assignment : Assignment
        Of the values.
    errors, mask, unit
        The column as of `astromosaic.catalog.units.plain`.
    values_unit : astropy.units.UnitBase or None
        The unit of the values. Inverse variances without a unit are in one over its square.

    Returns
    -------
    errors : ndarray
        NaN where they are masked; infinite where the inverse variance is zero, as nothing is known
        there, and negative where it is negative or infinite.
    unit : astropy.units.UnitBase or None

    Raises
    ------
    ValueError
        If inverse variances are in magnitudes or dex of something.
    """
    if assignment.error_unit:
        unit = parse_unit(assignment.error, assignment.error_unit)
    if assignment.inverse_variance:
        with np.errstate(divide="ignore", invalid="ignore"):
            bad = (errors < 0) | np.isinf(errors)
            errors = np.where(bad, -1.0, np.maximum(errors, 0) ** -0.5)
        if isinstance(unit, u.function.FunctionUnitBase):
            raise ValueError(
                f"column {assignment.error!r} has unit {str(unit)!r}, but by its name it holds "
                "inverse variances: give it its true unit, or leave it out with "
                f"columns={{{assignment.error!r}: None}}"
            )
        if unit is not None:
            unit = unit**-0.5
        elif not isinstance(values_unit, u.function.FunctionUnitBase):
            unit = values_unit  # errors of logarithms need none
    return np.where(mask, np.nan, errors), unit


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
    unit = unit_of(assignment, unit)
    errors, error_unit = None, None
    if assignment.error is not None:
        errors, error_unit = errors_of(assignment, *_column(table, assignment.error), unit)
        # An error of zero is common for spectroscopic redshifts: it says exact, not bad.
        errors = np.where(errors == 0, np.nan, errors)
    # What a mask hides says nothing, whatever it is.
    told = np.where(mask, np.nan, values)
    coordinate, error = to_internal(assignment.column, prop, told, unit, errors, error_unit)
    if assignment.interval is not None:
        error = _half_interval(table, assignment, prop, unit, coordinate)
    missing = count(counts, "masked", mask, np.ones_like(mask))
    # Far outside of its range are 99, -99, -9999 and the like, which say that there is none.
    width = prop.high - prop.low
    lowest = np.log1p(LOWEST_REDSHIFT) if prop.name == "redshift" else prop.low - width
    valid = (coordinate >= lowest) & (coordinate <= prop.high + width)
    missing |= count(counts, f"no valid {prop.name}", ~valid, ~missing)
    if prop.name == "sfr":
        # By its definition, as in `to_internal`, where they were logarithms.
        coordinate = np.maximum(coordinate, prop.low)
    bad = (error < 0) | np.isinf(error)
    missing |= count(counts, "negative or infinite error", bad, ~missing)
    return measurement(coordinate, error, np.where(missing, MISSING, MEASURED), counts)


def _half_interval(table, assignment, prop, unit, middle):
    """Errors by the ends of the 68% interval, in the internal coordinate; NaN where unknown.

    Where one end is missing the other tells.
    """
    sides = []
    for name in assignment.interval:
        values, mask, _ = _column(table, name)
        end, _ = to_internal(name, prop, np.where(mask, np.nan, values), unit)
        side = np.abs(end - middle)
        sides.append(np.where(np.isfinite(side), side, np.nan))
    low, high = sides
    half = 0.5 * (np.where(np.isnan(low), high, low) + np.where(np.isnan(high), low, high))
    return np.where(half > 0, half, np.nan)


def pivots(names):
    """Pivot wavelengths of filters in Angstrom."""
    return np.array([load_filter(name).pivot for name in names])


def _column(table, name, length=None):
    """A column as plain values, mask and unit, once its shape is right."""
    values, mask, unit = plain(name, table[name])
    shape = (len(table),) if length is None else (len(table), length)
    if values.shape != shape:
        raise ValueError(
            f"column {name!r} has shape {values.shape}, expected {shape}"
            + (" with one flux per channel in order of wavelength" if length else "")
        )
    return values, mask, unit


def array_column(table, name, shape=None):
    """A column of arrays of one length as plain values (n, m), mask and unit."""
    values, mask, unit = plain(name, table[name])
    if values.ndim != 2 or shape not in (None, values.shape):
        raise ValueError(
            f"column {name!r} has shape {values.shape}, expected {shape or (len(table), 'm')}: an "
            "array in each row"
        )
    return values, mask, unit


def columns_of(table, names, rows=slice(None)):
    """Some columns and rows of a table, copied, without astropy's warnings of odd columns.

    What it has to say of them, it has said when the table was made.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A table without columns has no rows to be picked.
        return table[names][rows] if names else table[names]


def count(counts, kind, found, among):
    """Count what is found among values not yet accounted for, and return it."""
    found = found & among
    if found.any():
        counts[kind] += int(found.sum())
    return found


def measurement(value, error, state, counts=None):
    """A measurement in single precision; values and errors of an impossible size are missing.

    ``counts`` gains how many these are.
    """
    with np.errstate(over="ignore", under="ignore"):
        value, error = value.astype(np.float32), error.astype(np.float32)
    size = np.abs(value)
    lost = ~(size < IMPOSSIBLE) | (error >= IMPOSSIBLE) | (error <= size / IMPOSSIBLE)
    if counts is not None:
        count(counts, "of an impossible size", lost, state != MISSING)
    return Measurement(value, error, np.where(lost, MISSING, state))
