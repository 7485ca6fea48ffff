"""Star formation and mass accretion histories to the model's bins of lookback time."""

import numpy as np
from astropy import units as u

from ..cosmology import age_gyr
from ..galaxies import MEASURED, MISSING
from ..properties import LOOKBACK_EDGES, LOOKBACK_MIDDLES, PROPERTIES, VECTORS
from .axes import HALF, axis_of_column, bin_edges, bin_middles, rebin
from .units import no_unit_message
from .values import array_column, count, errors_of, measurement

__all__ = ["HISTORIES", "before_the_big_bang", "read_history"]

#: The vectors that are histories.
HISTORIES = tuple(name for name, v in VECTORS.items() if v.axis == "lookback_time")

# In terms of the age of the Universe: cosmologies differ by a few per cent.
_LATE = 1.05
# Of the largest rate or mass: what is less before the Big Bang may come from interpolation.
_SOME = 0.01
# A redshift is known exactly if its error, in ln(1 + z), is no larger.
_EXACT = 0.01

#: Where a table may hold the lookback times, edges before centres.
_KEYS = ("lookback_time_edges", "lookback_edges", "lookback_time")


def read_history(table, assignment, counts, notes, lookback_time=None):
    """A history in an array column, on the model's bins.

    Parameters
    ----------
    table : astropy.table.Table
    assignment : Assignment
        Of ``sfh`` or ``mah``.
    counts : Counter
        Gains how many elements are of no use, by reason.
    notes : list of str
        Gains what the user should know.
    lookback_time : Quantity, optional
        Edges or middles of the bins (times, for masses), in either order, counted back from the
        galaxy's own redshift. Without it the column's meta is asked and then the table's, under
        ``lookback_time_edges``, ``lookback_edges`` or ``lookback_time``, there also with the
        column's name before it; and 31 elements without times are on the model's own bins.

    Returns
    -------
    Measurement, shape (n, 31)
        Star formation rates in solMass / yr, or masses in solMass.

    Raises
    ------
    ValueError
        If the column has no unit or a wrong one, the times are not known or of the wrong kind, or
        an element is negative.

    Notes
    -----
    Star formation histories are rebinned such that the mass formed is kept, with errors as in
    `astromosaic.catalog.axes.rebin`; a bin of which less than half is covered is missing. Masses
    are interpolated at the middles of the bins, linearly in log mass against time, or in mass
    beside a mass of zero; a bin whose middle is outside of the times given, or beside an element
    that is missing, is missing. Their errors are interpolated in the same way: those of
    neighbours are not taken to be independent. Masked, NaN and infinite elements are missing, as
    are those with a negative or infinite error; an error of zero is an unknown one.
    """
    name = assignment.column
    values, mask, unit = array_column(table, name)
    errors, error_unit = np.full(values.shape, np.nan), None
    if assignment.error is not None:
        errors, error_unit = errors_of(
            assignment, *array_column(table, assignment.error, values.shape), unit
        )
    vector = VECTORS[assignment.target]
    values, errors = _linear(name, vector, values, unit, errors, error_unit)
    errors = np.where(errors == 0, np.nan, errors)

    bad = count(counts, "masked", mask, np.ones_like(mask))
    bad |= count(counts, f"NaN or infinite in {name}", ~np.isfinite(values), ~bad)
    no_error = (errors < 0) | np.isinf(errors)
    bad |= count(counts, "negative or infinite error", no_error, ~bad)
    if np.any(values[~bad] < 0):
        row = int(np.flatnonzero(((values < 0) & ~bad).any(axis=1))[0])
        raise ValueError(
            f"column {name!r} has negative values, first in row {row}: {vector.name} cannot be "
            "negative; mask what is not known"
        )

    time = _given(name, table, lookback_time, values.shape[1], notes)
    if len(time) > 1 and time[0] > time[-1]:
        time, values, errors, bad = time[::-1], values[:, ::-1], errors[:, ::-1], bad[:, ::-1]
    if not (np.isfinite(time).all() and np.all(time >= 0) and np.all(np.diff(time) > 0)):
        raise ValueError(
            f"the lookback times of column {name!r} must be finite, not negative, and in order "
            "without repeats"
        )
    if assignment.target == "sfh":
        low, high = _bins(name, time, values.shape[1])
        value, error, covered = rebin(values, errors, ~bad, low, high, LOOKBACK_EDGES)
        measured = covered >= HALF
    else:
        at = time if len(time) == values.shape[1] else bin_middles(time)
        value, error, measured = _interpolated(values, errors, ~bad, at)
    n_bins = int(measured.any(axis=0).sum())
    notes.append(
        f"{vector.name}: {values.shape[1]} times from {time[0]:.3g} to {time[-1]:.3g} Gyr of "
        f"lookback time onto {n_bins} of {vector.length} bins of the model"
    )
    return measurement(value, error, np.where(measured, MEASURED, MISSING), counts)


def before_the_big_bang(galaxies):
    """By name of a history, how many galaxies have some of it before the Big Bang.

    Galaxies whose redshift is not known exactly are none of them.
    """
    found = {}
    redshift = galaxies.scalars.get("redshift")
    if redshift is None:
        return found
    z = PROPERTIES["redshift"].to_physical(redshift.value)
    exact = (redshift.state == MEASURED) & ~(redshift.error > _EXACT)
    age = np.where(exact, age_gyr(np.maximum(z, 0.0)), np.inf)
    for name, time in (("sfh", LOOKBACK_EDGES[:-1]), ("mah", LOOKBACK_MIDDLES)):
        if name in galaxies.vectors:
            history = galaxies.vectors[name]
            measured = np.where(history.state == MEASURED, history.value, 0.0)
            some = measured > _SOME * measured.max(axis=1, keepdims=True)
            early = (some & (time > _LATE * age[:, None])).any(axis=1)
            found |= {name: int(early.sum())} if early.any() else {}
    return found


def _linear(name, vector, values, unit, errors, error_unit):
    """Values and errors in the unit of the vector; both may come as its dex."""
    if unit is None:
        raise ValueError(no_unit_message(name, f"'{vector.unit}'"))
    own = u.Unit(vector.unit)
    try:
        if isinstance(unit, u.DexUnit):
            if not (error_unit in (None, u.dex) or isinstance(error_unit, u.DexUnit)):
                raise u.UnitConversionError
            with np.errstate(over="ignore"):
                values = 10.0**values * (1 * unit.physical_unit).to_value(own)
            return values, np.log(10.0) * values * errors
        if np.isfinite(errors).any() and error_unit is None:
            raise ValueError(
                f"the errors of column {name!r} have no unit; give them one, e.g. {str(unit)!r}"
            )
        scale = (1 * unit).to_value(own)
        error_scale = scale if error_unit is None else (1 * error_unit).to_value(own)
    except (u.UnitConversionError, TypeError):
        errors_have = f" and its errors {str(error_unit)!r}" if error_unit is not None else ""
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}{errors_have}, but {vector.name} is in "
            f"{vector.unit!r} (without factors of h); leave it out with columns={{{name!r}: None}}"
        ) from None
    return values * scale, errors * error_scale


def _given(name, table, lookback_time, length, notes):
    """The times of a column in Gyr: edges (one more than it has elements) or middles."""
    time = lookback_time
    if time is None:
        time = axis_of_column(table, name, _KEYS, "lookback_time_unit")
    if time is None:
        if length != len(LOOKBACK_EDGES) - 1:
            raise ValueError(
                f"column {name!r} has {length} elements, but no times: give the edges of their "
                "bins, or their middles, as lookback_time=[...] * u.Gyr or "
                f"table[{name!r}].info.meta = {{'lookback_time_edges': [...], "
                "'lookback_time_unit': 'Gyr'}, counted back from the galaxy's own redshift"
            )
        notes.append(f"column {name!r} has no times: it is taken to be in the model's own bins")
        return LOOKBACK_EDGES
    try:
        time = np.asarray(u.Quantity(time).to_value(u.Gyr), dtype=float)
    except (TypeError, u.UnitConversionError):
        raise ValueError(
            f"the lookback times of column {name!r} are not times: give a Quantity, e.g. "
            "lookback_time=[0, 0.1, 1] * u.Gyr"
        ) from None
    if time.shape not in ((length,), (length + 1,)):
        raise ValueError(
            f"column {name!r} has {length} elements, but lookback times of shape {time.shape}: "
            f"give {length + 1} edges or {length} middles of bins"
        )
    return time


def _bins(name, time, length):
    """Ends of the bins of rates, by their edges or middles."""
    if len(time) == length:
        if length == len(LOOKBACK_MIDDLES) and np.allclose(
            time, LOOKBACK_MIDDLES, rtol=1e-6, atol=0
        ):
            time = LOOKBACK_EDGES
        elif length == 1:
            raise ValueError(f"column {name!r} has one bin: give both of its edges")
        else:
            low, high = bin_edges(time)
            return np.maximum(low, 0.0), high
    return time[:-1], time[1:]


def _interpolated(mass, error, good, time):
    """Masses (n, m) at ascending times at the middles of the model's bins, and which are told."""
    # Times that agree but for rounding are the same: then nothing is asked of the neighbour.
    at = np.interp(LOOKBACK_MIDDLES, time, np.arange(len(time), dtype=float))
    at = np.where(np.abs(at - np.round(at)) < 1e-6, np.round(at), at)
    first = np.minimum(at.astype(int), max(len(time) - 2, 0))
    second = np.minimum(first + 1, len(time) - 1)
    part = at - first
    inside = (LOOKBACK_MIDDLES >= time[0] * (1 - 1e-6)) & (
        LOOKBACK_MIDDLES <= time[-1] * (1 + 1e-6)
    )
    told = (good[:, first] | (part == 1)) & (good[:, second] | (part == 0)) & inside
    # The element that is not asked may be anything: the other stands in for it.
    first, second = np.where(part == 1, second, first), np.where(part == 0, first, second)
    a, b = mass[:, first], mass[:, second]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logarithmic = np.exp((1 - part) * np.log(a) + part * np.log(b))
        value = np.where((a > 0) & (b > 0), logarithmic, (1 - part) * a + part * b)
        sigma_a, sigma_b = error[:, first], error[:, second]
        relative = value * ((1 - part) * sigma_a / a + part * sigma_b / b)
        absolute = (1 - part) * sigma_a + part * sigma_b
    return value, np.where((a > 0) & (b > 0), relative, absolute), told
