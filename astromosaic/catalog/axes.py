"""The axes of vectors: where they are written down, and from one set of bins to another.

Spectra and histories are both densities along an axis. They are laid onto the bins of
`astromosaic.properties` such that their integral is kept.
"""

import numpy as np
from astropy import units as u
from scipy.sparse import coo_array

__all__ = ["HALF", "axis_of_column", "bin_edges", "bin_middles", "overlaps", "rebin"]

#: How much of a bin must be covered for it to be measured: half, but for rounding.
HALF = 0.5 * (1 - 1e-9)
#: A part of a bin that is smaller than this is rounding of the axis.
_ROUNDING = 1e-6
#: A step of this many of its neighbours' is a gap: a bin on its side is as wide as on the other.
_GAP = 1.9


def axis_of_column(table, name, keys, unit):
    """The axis of an array column, from its meta or that of its table.

    Parameters
    ----------
    table : astropy.table.Table
    name : str
        Name of the column.
    keys : sequence of str
        Under which the axis may stand; in the table's meta also with the column's name before
        them, ``sfh_lookback_time``. Capitals do not matter. The value is a Quantity, a list with
        its unit, ``([0, 1], "Gyr")``, or a list with its unit under ``KEY_unit`` or the unit key.
    unit : str
        The key of the unit that goes with all ``keys``.

    Returns
    -------
    Quantity or None
        None if it is nowhere.

    Raises
    ------
    ValueError
        If it has no unit or is not a list of numbers.
    """
    own, shared = (
        {str(k).lower(): v for k, v in (meta or {}).items()}
        for meta in (table[name].info.meta, table.meta)
    )
    prefix = f"{name.lower()}_"
    prefixed = {k.removeprefix(prefix): v for k, v in shared.items() if k.startswith(prefix)}
    for meta in (own, prefixed, shared):
        for key in keys:
            if key in meta:
                of_key = meta.get(f"{key}_unit", meta.get(unit, shared.get(unit)))
                return _quantity(name, key, meta[key], of_key)
    return None


def _quantity(name, key, value, unit):
    value = _once(value)
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], str):
        value, unit = _once(value[0]), value[1]
    if not isinstance(value, u.Quantity) and unit is None:
        raise ValueError(
            f"column {name!r}: its axis {key!r} in meta has no unit; give it as a Quantity, or its "
            f"unit in {key + '_unit'!r}"
        )
    try:
        return u.Quantity(value, unit, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r}: its axis {key!r} in meta is no axis: {error}") from None


def _once(value):
    """A list without its repeats: astropy's vstack joins the lists of meta end to end."""
    if isinstance(value, list | tuple):
        for n in range(1, len(value) // 2 + 1):
            if len(value) % n == 0 and value == value[:n] * (len(value) // n):
                return value[:n]
    return value


def bin_edges(centers, gaps=False):
    """Edges of bins of which only the centres are known.

    Parameters
    ----------
    centers : ndarray, shape (m,)
        Positive (or zero) and ascending, two at least.
    gaps : bool
        Whether the bins may have gaps between them, where a step is about twice its neighbour's
        or more. Otherwise they are taken to adjoin.

    Returns
    -------
    low, high : ndarray, shape (m,)
        Midway between the centres, in the coordinate in which these are most evenly spaced: the
        value, its logarithm or its reciprocal.
    """
    to, back = _even_coordinate(centers)
    x = to(centers)
    step = np.diff(x)
    left, right = np.r_[step[0], step], np.r_[step, step[-1]]
    if gaps:
        left, right = (
            np.where(np.abs(left) > _GAP * np.abs(right), right, left),
            np.where(np.abs(right) > _GAP * np.abs(left), left, right),
        )
    return back(x - 0.5 * left), back(x + 0.5 * right)


def bin_middles(edges):
    """Middles of bins, in the coordinate in which their edges are most evenly spaced.

    Parameters
    ----------
    edges : ndarray, shape (m + 1,)
        Ascending; may begin with zero.

    Returns
    -------
    ndarray, shape (m,)
    """
    to, back = _even_coordinate(edges)
    low, high = edges[:-1], edges[1:]
    with np.errstate(divide="ignore"):
        middle = back(0.5 * (to(low) + to(high)))
    return np.where(low > 0, middle, 0.5 * (low + high))


_COORDINATES = (
    (lambda x: x, lambda x: x),
    (np.log, np.exp),
    (lambda x: 1.0 / x, lambda x: 1.0 / x),
)


def _even_coordinate(x):
    """The coordinate in which values are most evenly spaced, and its inverse."""
    # In doubt the first: logarithm and reciprocal do not exist for a first value of zero.
    positive = x[x > 0]
    unevenness = []
    for to, _ in _COORDINATES if x[0] > 0 else _COORDINATES[:2]:
        step = np.diff(to(positive))
        # The median: a few steps over gaps do not count.
        unevenness.append(np.median(np.abs(np.diff(step))) / np.median(np.abs(step))
                          if len(step) > 1 else 0.0)  # fmt: skip
    return _COORDINATES[int(np.argmin(np.round(unevenness, 9)))]


def overlaps(low, high, edges):
    """Widths that bins have in common with those of a grid.

    Parameters
    ----------
    low, high : ndarray, shape (m,)
        The bins; ascending, not overlapping.
    edges : ndarray, shape (k + 1,)
        The grid's; ascending.

    Returns
    -------
    scipy.sparse.csr_array, shape (k, m)
    """
    # The edges of both cut the axis in pieces, each of which lies in one bin at most of either.
    cuts = np.unique(np.concatenate([low, high, edges]))
    middle = 0.5 * (cuts[1:] + cuts[:-1])
    bins = np.searchsorted(low, middle) - 1
    cells = np.searchsorted(edges, middle) - 1
    inside = (bins >= 0) & (middle < high[bins]) & (cells >= 0) & (cells < len(edges) - 1)
    width, bins, cells = np.diff(cuts)[inside], bins[inside], cells[inside]
    smallest = np.minimum((high - low)[bins], np.diff(edges)[cells])
    real = width > _ROUNDING * smallest
    shape = (len(edges) - 1, len(low))
    return coo_array((width[real], (cells[real], bins[real])), shape=shape).tocsr()


def rebin(density, error, good, low, high, edges):
    r"""Densities on the bins of a grid.

    Parameters
    ----------
    density, error : ndarray, shape (n, m)
        Mean of each bin and its one-sigma error, which may be NaN.
    good : ndarray of bool, shape (n, m)
        The bins to be used.
    low, high : ndarray, shape (m,)
    edges : ndarray, shape (k + 1,)
        As for `overlaps`.

    Returns
    -------
    density, error : ndarray, shape (n, k)
        Means over what good bins cover of each bin of the grid.
    covered : ndarray, shape (n, k)
        Which part of its width that is.

    Notes
    -----
    With the width :math:`S_{ji}` that bin i shares with bin j of the grid,

    .. math:: f_j = \sum_i S_{ji} f_i / C_j, \quad
        \sigma_j^2 = \sum_i S_{ji} w_i \sigma_i^2 / C_j^2, \quad C_j = \sum_i S_{ji},

    over good i. The parts of a bin of width :math:`w_i` are taken as measured independently, each
    with the variance :math:`\sigma_i^2 w_i / S_{ji}`. So bins that lie within one of the grid give
    its variance as that of a mean of independent values, and one that is spread over k of them
    gives each k times its variance: together they know what it knew.
    """
    shared = overlaps(low, high, edges)
    used = np.flatnonzero(shared.sum(axis=0) > 0)
    shared, width = shared[:, used].T.tocsr(), (high - low)[used]
    ok = good[:, used]
    y, e = (np.where(ok, x[:, used], 0.0) for x in (density, error))
    covered = ok.astype(float) @ shared
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sigma = np.sqrt((width * e**2) @ shared) / covered
        return (y @ shared) / covered, sigma, covered / np.diff(edges)
