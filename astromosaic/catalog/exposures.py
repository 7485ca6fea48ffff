"""SPHEREx exposures, as IRSA's Spectrophotometry Tool delivers them, to the 102 channels.

The tool's tables come in two layouts with the same column names: packed, with a row for each source
whose cells are arrays of an element for each exposure, and unpacked, with a row for each exposure.
Columns are told apart by `COLUMNS`, `PER_EXPOSURE`, `SOURCE_NAMES` and `POSITIONS`, flags by
`QUALITY_BITS`.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..filters import filter_shapes, list_filters, load_filter
from ..galaxies import MEASURED, MISSING, Measurement
from .assign import Assignment
from .columns import is_identifier
from .units import parse_unit, plain, to_njy
from .values import columns_of, count, measurement

__all__ = [
    "COLUMNS",
    "QUALITY_BITS",
    "ExposureReading",
    "QualityBit",
    "channel_of",
    "exposure_columns",
    "fill_channels",
    "is_of_exposure",
    "read_exposures",
]


@dataclass(frozen=True)
class QualityBit:
    """A bit of the tool's column ``flags``.

    Parameters
    ----------
    bit : int
    name : str
    meaning : str
    fatal : bool
        Whether an exposure with this bit is left out.
    """

    bit: int
    name: str
    meaning: str
    fatal: bool = True


#: Bits 0 to 21 are those of the Level-2 images, named and explained by the keywords ``MP_...`` in
#: the header of their FLAGS extension (SPHEREx Explanatory Supplement, table of the pixel flags).
#: Those from 32 are set by the tool's photometry. The others are not assigned.
QUALITY_BITS = (
    QualityBit(0, "TRANSIENT", "a transient, such as a cosmic ray, while sampling up the ramp"),
    QualityBit(1, "OVERFLOW", "overflow while sampling up the ramp"),
    QualityBit(2, "SUR_ERROR", "error in the onboard processing"),
    QualityBit(4, "PHANTOM", "phantom pixel"),
    QualityBit(5, "REFERENCE", "reference pixel, which sees no sky"),
    QualityBit(6, "NONFUNC", "permanently unusable pixel"),
    QualityBit(7, "DICHROIC", "low efficiency because of the dichroic"),
    QualityBit(9, "MISSING_DATA", "data lost on board"),
    QualityBit(10, "HOT", "hot pixel"),
    QualityBit(11, "COLD", "anomalously low signal"),
    QualityBit(12, "FULLSAMPLE", "all samples of the pixel are available", fatal=False),
    QualityBit(14, "PHANMISS", "the phantom correction was not applied"),
    QualityBit(15, "NONLINEAR", "the nonlinearity cannot be corrected reliably"),
    QualityBit(17, "PERSIST", "charge that persists from an earlier exposure"),
    QualityBit(19, "OUTLIER", "outlier among the exposures of the same sky"),
    QualityBit(21, "SOURCE", "a known source is there, as it always is", fatal=False),
    QualityBit(32, "CONTAINS_BAD_PIXEL", "a bad pixel where the source was fitted"),
    QualityBit(33, "FIT_ERROR", "the fit of the source failed"),
)

#: What the tool calls its columns. Capitals do not matter.
COLUMNS = {
    "wavelength": "lambda",
    "width": "lambda_width",
    "flux": "flux",
    "error": "flux_err",
    "flags": "flags",
}

#: Units of the tool's columns, for files that do not carry them.
_FLUX_UNIT = "uJy"
#: What is no wavelength or width of SPHEREx in micron any more.
_BEYOND = {"wavelength": 100.0, "width": 1.0}

#: Other columns of the tool that belong to an exposure, whatever their names look like. Neither
#: the quality of the fit nor the way of taking the background is used: neither says that a flux
#: or its error is wrong.
PER_EXPOSURE = {
    "x_image", "y_image", "mjd", "mjd_beg", "mjd_end", "date_obs", "flux_bkg", "local_bkg_flg",
    "fit_ql", "deep_flg", "det_id", "lvf_id", "obs_id", "obs_publisher_did",
}  # fmt: skip

#: Columns that say of which source an exposure is, best first; other identifiers come after them.
SOURCE_NAMES = ("label", "source_id", "object_id", "objectid", "objid", "target", "source", "name")

#: Columns of positions, in degrees where they have no unit.
POSITIONS = (("ra", "dec"), ("coord_ra", "coord_dec"), ("ra_deg", "dec_deg"))

#: Exposures with positions within so many arcsec are of one source: SPHEREx's pixels are of 6.
_SAME_POSITION = 1.0

#: The least part that the bands of exposure and channel must share of what they cover together:
#: equal bands half a width apart share a third.
_LEAST_SHARE = 0.2
#: Channels to each side from which the slope of a spectrum is taken.
_SLOPE_CHANNELS = 3
#: Typical |d ln f / d ln wavelength| of a galaxy: what a slope is taken to be if little is known.
_TYPICAL_SLOPE = 3.0
#: How many degrees of freedom the trust in the errors is worth, against scatter that exceeds them.
_TRUST = 10
#: What is beyond single precision is infinite or zero.
_FINITE = np.finfo(np.float32)
#: Sources that are read at once.
_CHUNK = 256


@dataclass(frozen=True)
class ExposureReading:
    """A table of SPHEREx exposures, read.

    Parameters
    ----------
    table : Table
        All other columns, if there are any, with a row for each source, in order of first
        appearance.
    spherex : Measurement, shape (number of sources, 102)
        Flux densities in nJy.
    assignment : Assignment
        Of the columns of flux and error.
    columns : dict of str to str
        The columns that were used, to what they hold.
    of_exposures : frozenset of str
        Columns of ``table`` that belong to exposures, by their name or because they are not the
        same for all exposures of a source; of the latter ``table`` has the value of one of them.
    """

    table: Table
    spherex: Measurement
    assignment: Assignment
    columns: dict
    of_exposures: frozenset


def is_of_exposure(column):
    """Whether a column of that name belongs to an exposure in the tool's tables."""
    return column.lower() in {*PER_EXPOSURE, *COLUMNS.values()}


def exposure_columns(table, columns=None):
    """Which columns of a table hold SPHEREx exposures.

    Parameters
    ----------
    table : astropy.table.Table
    columns : dict of str to str or None, optional
        Columns of which the user says what they hold, which are not taken for anything else.

    Returns
    -------
    dict of str to str or None
        The column of each of `COLUMNS`, where there may be no ``flags``; None if it is not a
        table of exposures.

    Raises
    ------
    ValueError
        If it is one, but a column is missing.
    """
    told = columns or {}
    lower = {c.lower(): c for c in table.colnames}
    found = {role: lower[name] for role, name in COLUMNS.items() if name in lower}
    needed = [role for role in COLUMNS if role != "flags"]
    known_by = {"wavelength", "flux"} <= set(found) and {"width", "flags"} & set(found)
    if not known_by or any(found.get(role) in told for role in needed):
        return None
    if absent := [COLUMNS[role] for role in needed if role not in found]:
        raise ValueError(
            f"columns {found['wavelength']!r} and {found['flux']!r} are taken for SPHEREx "
            f"exposures, but there is no {' and no '.join(map(repr, absent))}: add what the "
            f"Spectrophotometry Tool gives, or leave them out with columns={{{found['flux']!r}: "
            "None}"
        )
    return {role: name for role, name in found.items() if name not in told}


def read_exposures(table, columns=None, counts=None, notes=None):
    """Read SPHEREx exposures, packed or unpacked, onto the 102 channels.

    Parameters
    ----------
    table : astropy.table.Table
    columns : dict of str to str or None, optional
        As `exposure_columns` takes it. ``{"flags": None}`` keeps flagged exposures.
    counts : Counter, optional
        Gains how many exposures are of no use, by reason.
    notes : list of str, optional
        Gains what the user should know.

    Returns
    -------
    ExposureReading or None
        None if the table holds no exposures.

    Raises
    ------
    ValueError
        If a column is missing or of the wrong kind, cells of a row differ in length, units are
        missing or wrong, or it is not clear which exposures are of one source.

    Notes
    -----
    An exposure is left out if a fatal bit of `QUALITY_BITS` is set or its flags are not known, if
    its wavelength, width or flux is not finite, if its error is not positive and finite, and if it
    fits no channel. The others are averaged, see `fill_channels`.
    """
    roles = exposure_columns(table, columns)
    if roles is None:
        return None
    counts = Counter() if counts is None else counts
    notes = [] if notes is None else notes
    cells = {role: _cells(table, name) for role, name in roles.items()}
    packed = cells["wavelength"].packed
    _check_lengths(roles, cells)
    others = [c for c in table.colnames if c not in roles.values()]
    if packed:
        sources, of_exposures = columns_of(table, others), filter(is_of_exposure, others)
        source, n = np.repeat(np.arange(len(table)), cells["wavelength"].lengths), len(table)
    else:
        source, first, by = _sources(table, roles, columns or {})
        of_exposures = (c for c in others if not _same(table[c], first[source]))
        sources, n = columns_of(table, others, first), len(first)
        notes.append(
            f"{len(table)} rows of one SPHEREx exposure each are read as {n} "
            f"source{'s' * (n > 1)}, {by}: the result has one row per source"
        )

    spherex = _averaged(roles, cells, source, n, counts, notes)
    layout = "packed" if packed else "unpacked"
    assignment = Assignment(
        column=roles["flux"],
        target="spherex",
        rank=-1,
        error=roles["error"],
        source=f"SPHEREx Spectrophotometry Tool, {layout}",
        unit=_FLUX_UNIT,
    )
    holds = {"flux": "spherex", "error": "spherex_err"}
    used = {name: holds.get(role, f"{role} of spherex") for role, name in roles.items()}
    return ExposureReading(sources, spherex, assignment, used, frozenset(of_exposures))


def _averaged(roles, cells, source, n, counts, notes):
    """Exposures as channels, with what became of them in counts and notes."""
    x = {role: cell.values for role, cell in cells.items()}
    # Cells are filled up to a common length in some formats. What fills them is no exposure.
    empty = ~np.isfinite(x["wavelength"]) & ~np.isfinite(x["flux"]) & ~np.isfinite(x["error"])
    order = np.argsort(source, kind="stable")
    order = order[~empty[order]]
    x, source = {role: values[order] for role, values in x.items()}, source[order]

    for role in ("wavelength", "width"):
        x[role] = _micron(roles[role], role, x[role], cells[role].unit)
    unit = cells["flux"].unit
    unit = u.Unit(_FLUX_UNIT) if unit is None else unit
    error_unit = cells["error"].unit
    error_unit = unit if error_unit is None else error_unit
    if "flags" in roles:
        x["flags"], x["unknown"] = _bits(roles["flags"], x["flags"])
        documented = sum(1 << b.bit for b in QUALITY_BITS)
        stray = int(np.bitwise_or.reduce(x["flags"] & ~documented, initial=0))
        if stray:
            bits = ", ".join(str(bit) for bit in range(64) if stray >> bit & 1)
            notes.append(f"SPHEREx flags: bits {bits} are not documented and are not acted on")
    else:
        notes.append("no flags of SPHEREx exposures are used")

    value, sigma = np.full((2, n, len(_channels()[0])), np.nan)
    used, by_flag = 0, Counter()
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        part = slice(*np.searchsorted(source, [start, stop]))
        y = {role: values[part] for role, values in x.items()}
        with np.errstate(invalid="ignore"):
            y["flux"], y["error"] = to_njy(
                roles["flux"], y["flux"], unit, y["error"], error_unit, pivot=1e4 * y["wavelength"]
            )
        channel = _used(y, counts, by_flag)
        use = np.flatnonzero(channel >= 0)
        # Sorted, so that sums do not depend on the order of the exposures in the table.
        use = use[np.lexsort([y[role][use] for role in ("error", "flux", "wavelength")])]
        used += len(use)
        value[start:stop], sigma[start:stop] = fill_channels(
            source[part][use] - start,
            channel[use],
            *(y[role][use] for role in ("wavelength", "flux", "error")),
            stop - start,
        )

    if not used and counts["exposures outside of the channels"]:
        notes.append(
            f"no exposure lies in a channel of SPHEREx: column {roles['wavelength']!r} is read in "
            f"{str(cells['wavelength'].unit or 'um')!r}, and {roles['width']!r} in "
            f"{str(cells['width'].unit or 'um')!r}; are these their units?"
        )
    filled = np.isfinite(value).sum(axis=1)
    channels = f"{filled.min()}" if np.ptp(filled) == 0 else f"{filled.min()} to {filled.max()}"
    flagged = [f"{by_flag[b.name]} {b.name}" for b in QUALITY_BITS if by_flag[b.name]]
    flagged = f" ({', '.join(flagged)})" if flagged else ""
    notes.append(
        f"SPHEREx: {len(source)} exposures, {len(source) - used} not used{flagged}, {channels} of "
        f"{value.shape[1]} channels filled"
    )
    return measurement(value, sigma, np.where(np.isfinite(value), MEASURED, MISSING), counts)


def _used(x, counts, by_flag):
    """The channel of each exposure, -1 if it is of no use: why, counts and by_flag gain."""
    wavelength, width, flux, error = (x[role] for role in ("wavelength", "width", "flux", "error"))
    left_out = np.zeros(len(flux), bool)
    if "flags" in x:
        fatal = [b for b in QUALITY_BITS if b.fatal]
        flagged = (x["flags"] & sum(1 << b.bit for b in fatal)) != 0
        for b in fatal:
            by_flag[b.name] += int(np.count_nonzero(x["flags"][flagged] >> b.bit & 1))
        left_out |= count(counts, "flagged exposures", flagged, ~left_out)
        left_out |= count(counts, "exposures without flags", x["unknown"], ~left_out)
    for reason, found in (
        (
            "exposures without wavelength or width",
            ~((wavelength > 0) & (wavelength < np.inf) & (width > 0) & (width < np.inf)),
        ),
        ("exposures with NaN or infinite flux", ~(np.abs(flux) <= _FINITE.max)),
        (
            "exposures without a positive and finite error",
            ~(error >= _FINITE.tiny) | ~(error <= _FINITE.max),
        ),
    ):
        left_out |= count(counts, reason, found, ~left_out)
    channel = np.full(len(flux), -1)
    channel[~left_out] = channel_of(wavelength[~left_out], width[~left_out])
    count(counts, "exposures outside of the channels", channel < 0, ~left_out)
    return channel


# To the channels


@lru_cache(maxsize=1)
def _channels():
    """Middles and widths of the channels in micron, each (102,).

    The middle is where half of the response lies to either side. Means are no measure of it: the
    measured curves have faint wings over the whole detector, which shift the pivot wavelength by
    up to half a width.
    """
    names = list_filters("spherex")
    middle = np.exp(filter_shapes(names)[:, 2].astype(float))
    return middle, np.array([load_filter(n).rectangular_width for n in names]) / 1e4


def channel_of(wavelength, width):
    """The SPHEREx channel of each exposure.

    Parameters
    ----------
    wavelength, width : ndarray, shape (m,)
        Middle and width of the exposures' bands in micron.

    Returns
    -------
    ndarray of int, shape (m,)
        From 0 to 101; -1 if it fits none.

    Notes
    -----
    It is the one whose band has most in common with that of the exposure: of what the two cover
    together, the part that both cover. This heeds the widths, which tell detectors apart where two
    of them overlap.
    """
    middle, band = _channels()
    nearest = np.searchsorted(middle, wavelength)
    candidates = np.clip(nearest[:, None] + np.arange(-2, 2), 0, len(middle) - 1)
    low, high = (wavelength + sign * 0.5 * width for sign in (-1, 1))
    c_low, c_high = ((middle + sign * 0.5 * band)[candidates] for sign in (-1, 1))
    both = np.minimum(c_high, high[:, None]) - np.maximum(c_low, low[:, None])
    either = np.maximum(c_high, high[:, None]) - np.minimum(c_low, low[:, None])
    best = np.argmax(both / either, axis=1)
    row = np.arange(len(wavelength))
    share, channel = (both / either)[row, best], candidates[row, best]
    near = np.abs(wavelength - middle[channel]) <= 0.5 * np.maximum(width, band[channel])
    return np.where(near & (share >= _LEAST_SHARE), channel, -1)


def fill_channels(source, channel, wavelength, flux, error, n):
    r"""Average exposures in the SPHEREx channels.

    Parameters
    ----------
    source : ndarray of int, shape (m,)
        Which source an exposure is of.
    channel : ndarray of int, shape (m,)
        And in which channel, see `channel_of`.
    wavelength : ndarray, shape (m,)
        Middle of the exposures' bands in micron.
    flux, error : ndarray, shape (m,)
        Flux density :math:`f_\nu` and its error, positive and finite, in any one unit.
    n : int
        Number of sources.

    Returns
    -------
    flux, error : ndarray, shape (n, 102)
        In the same unit; NaN where a channel has no exposure.

    Notes
    -----
    Each exposure goes to one channel, so that errors of channels are nearly independent. With
    weights :math:`w_i = 1/\sigma_i^2` and :math:`x = \ln\lambda`, the flux of channel c is the
    weighted mean of its own exposures, brought to the middle of the channel along the slope of the
    spectrum there:

    .. math::
        f_c = \bar f + s\,(x_c - \bar x), \quad
        s = \frac{\sum w_i (x_i - \bar X) f_i}{S + 1/\tau^2}, \quad
        S = \sum w_i (x_i - \bar X)^2,

    where the sums in s and :math:`\bar X` are over the exposures in the three channels to either
    side as well, and :math:`\tau` is the slope where d ln f / d ln :math:`\lambda` = 3. Where a
    slope cannot be told from noise it comes out near zero; where there is nothing to tell it by,
    its typical size counts as an error:

    .. math::
        \sigma_c^2 = \frac{1}{\sum_c w_i} +
        \frac{(x_c - \bar x)^2 + 2 (x_c - \bar x)(\bar x - \bar X)}{S + 1/\tau^2}.

    If the exposures of a channel scatter by more than their errors, :math:`\sigma_c` grows by the
    root of :math:`(\chi^2 + 10) / (m_c - 1 + 10)`, with :math:`m_c` exposures: little for few
    exposures, fully for many.
    """
    x_middle = np.log(_channels()[0])
    k = len(x_middle)
    cell = source * k + channel
    # In units of the typical error, so that the squares of no flux overflow.
    unit = np.median(error) if len(error) else 1.0
    f, w, x = flux / unit, (unit / error) ** 2, np.log(wavelength)

    def total(values):
        return np.bincount(cell, values, minlength=n * k).reshape(n, k)

    def nearby(sums):
        padded = np.pad(sums, ((0, 0), (_SLOPE_CHANNELS, _SLOPE_CHANNELS)))
        return sum(padded[:, i : i + k] for i in range(2 * _SLOPE_CHANNELS + 1))

    number, w0 = total(np.ones(len(cell))), total(w)
    sums = [total(values) for values in (w * x, w * x**2, w * f, w * x * f)]
    with np.errstate(divide="ignore", invalid="ignore"):
        x_own, f_own = sums[0] / w0, sums[2] / w0
        w_near, (wx, wxx, wf, wxf) = nearby(w0), (nearby(s) for s in sums)
        x_near, f_near = wx / w_near, wf / w_near
        spread = np.maximum(wxx - wx * x_near, 0.0)
        typical = _TYPICAL_SLOPE * np.maximum(np.abs(f_near), 1 / np.sqrt(w_near))
        denominator = spread + typical**-2
        slope = (wxf - wx * f_near) / denominator
        step = x_middle - x_own
        value = f_own + slope * step
        variance = 1 / w0 + (step**2 + 2 * step * (x_own - x_near)) / denominator
        expected = value.flat[cell] - slope.flat[cell] * (x_middle[channel] - x)
        excess = (total(w * (f - expected) ** 2) + _TRUST) / (number - 1 + _TRUST)
        sigma = np.sqrt(variance * np.maximum(excess, 1.0))
    empty = number == 0
    return tuple(np.where(empty, np.nan, a * unit) for a in (value, sigma))


# The two layouts


@dataclass(frozen=True)
class _Cells:
    """The cells of a column, one after the other; NaN where masked."""

    values: np.ndarray
    lengths: np.ndarray
    packed: bool
    unit: u.UnitBase | None


def _cells(table, name):
    """The cells of a column, which are numbers or arrays, perhaps of different lengths."""
    column = table[name]
    data = np.asarray(getattr(column, "unmasked", column))
    if data.dtype.kind != "O":
        # Whole numbers stay what they are: a flag may not fit a float.
        values, mask, unit = plain(name, column)
        if data.dtype.kind in "iu" and not mask.any():
            values = data.astype(np.int64)
        if values.ndim > 2:
            raise ValueError(
                f"column {name!r} has shape {values.shape}, expected one number or one list of "
                "numbers in each row"
            )
        length = values.shape[1] if values.ndim == 2 else 1
        values = np.where(mask, np.nan, values) if mask.any() else values
        return _Cells(values.ravel(), np.full(len(values), length), values.ndim == 2, unit)

    unit = parse_unit(name, getattr(column, "unit", None))
    row_mask = np.asarray(getattr(column, "mask", np.zeros(len(column), bool)))
    cells = [None if masked else cell for cell, masked in zip(data, row_mask, strict=True)]
    if not any(np.ndim(cell) for cell in cells if cell is not None):
        values, mask, unit = plain(name, column)
        values = np.where(mask, np.nan, values)
        return _Cells(values, np.ones(len(values), int), False, unit)
    quantities = [cell.unit for cell in cells if isinstance(cell, u.Quantity)]
    if quantities and unit is None:
        unit = quantities[0]
    arrays = [_numbers(name, row, cell, unit) for row, cell in enumerate(cells)]
    lengths = np.array([len(a) for a in arrays])
    return _Cells(np.concatenate(arrays), lengths, True, unit)


def _numbers(name, row, cell, unit):
    """A cell as an array of numbers, NaN where something is missing."""
    if cell is None:
        return np.zeros(0)
    try:
        if isinstance(cell, u.Quantity):
            cell = cell.to_value(unit)
        if not isinstance(cell, np.ndarray):
            cell = np.array(
                [np.nan if v is None else v for v in np.ravel(np.asarray(cell, object))]
            )
        mask = np.ma.getmaskarray(cell)
        cell = np.atleast_1d(np.ma.getdata(cell))
        if cell.ndim == 1 and cell.dtype.kind in "iu" and not mask.any():
            return cell.astype(np.int64)
        cell = cell.astype(float)
        if cell.ndim == 1:
            return np.where(mask, np.nan, cell)
    except (TypeError, ValueError, u.UnitConversionError):
        pass
    raise ValueError(f"column {name!r}: row {row} does not hold a list of numbers")


def _check_lengths(roles, cells):
    """Raise unless all columns have as many exposures in each row."""
    first = cells["wavelength"]
    for role, cell in cells.items():
        if cell.packed != first.packed:
            names = (roles["wavelength"], roles[role])
            array, number = names if first.packed else names[::-1]
            raise ValueError(
                f"column {array!r} has arrays in its rows, but column {number!r} has numbers: of "
                "SPHEREx exposures both must be the same"
            )
        if np.any(differ := cell.lengths != first.lengths):
            row = int(np.flatnonzero(differ)[0])
            raise ValueError(
                f"row {row}: column {roles['wavelength']!r} has {first.lengths[row]} elements, but "
                f"column {roles[role]!r} has {cell.lengths[row]}: give one of each per exposure"
            )


def _micron(name, role, values, unit):
    """Wavelengths or widths in micron."""
    values = values.astype(float)
    if unit is None:
        typical = np.median(values[np.isfinite(values)]) if np.isfinite(values).any() else 0.0
        if typical > _BEYOND[role]:
            raise ValueError(
                f"column {name!r} has no unit, and values of about {typical:.4g} are no {role}s of "
                f"SPHEREx in micron: give it its unit, e.g. table[{name!r}].unit = 'Angstrom'"
            )
        return values
    try:
        return values * (1 * unit).to_value(u.um)
    except (u.UnitConversionError, TypeError):
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}, but holds {role}s of SPHEREx exposures: give "
            "it its true unit, such as 'um'"
        ) from None


def _bits(name, values):
    """Flags as whole numbers, and where they are not known."""
    # A negative number is what stands for none.
    unknown = ~((values >= 0) & (values < 2.0**63))
    values = np.where(unknown, 0, values)
    if values.dtype.kind == "i":
        return values, unknown
    if np.any(values != np.floor(values)):
        stray = values[values != np.floor(values)][0]
        raise ValueError(
            f"column {name!r} holds {stray:g}, but flags are whole numbers; leave it out with "
            f"columns={{{name!r}: None}}"
        )
    return values.astype(np.int64), unknown


# Which exposures are of one source


def _sources(table, roles, told):
    """The source of each row, the first row of each source, and how they were told apart."""
    position = _positions(table, roles)
    nearby = None if position is None else _in_order(_grouped(position))
    for name in _candidates(table, roles, told):
        values = _labels(table[name])
        if values is None:
            continue
        source, first = _in_order(values)
        # A number of its own for each row is one of the exposure, if rows share a position.
        if nearby is not None and len(first) == len(table) > len(nearby[1]):
            continue
        if position is not None:
            apart = np.linalg.norm(position - position[first][source], axis=1)
            if apart.max() > np.radians(_SAME_POSITION / 3600):
                row = int(np.argmax(apart))
                raise ValueError(
                    f"column {name!r} says that rows {first[source][row]} and {row} are SPHEREx "
                    f"exposures of one source, {str(values[row])!r}, but their positions are "
                    f"{np.degrees(apart.max()) * 3600:.3g} arcsec apart: give each source its own "
                    f"name, or leave the column out with columns={{{name!r}: None}}"
                )
        return source, first, f"told apart by {name!r}"
    if nearby is not None:
        return *nearby, "told apart by their positions"
    nothing = "as no column says that there are more"
    return np.zeros(len(table), int), np.zeros(1, int), nothing


def _candidates(table, roles, told):
    """Columns that may name the source, best first."""
    lower = {c.lower(): c for c in table.colnames if c not in told}
    named = [lower[name] for name in SOURCE_NAMES if name in lower]
    others = [
        c
        for c in lower.values()
        if is_identifier(c) and not is_of_exposure(c) and c not in roles.values()
    ]
    return list(dict.fromkeys([*named, *others]))


def _labels(column):
    """Names or whole numbers of all rows; None if the column has others, or blanks."""
    if not isinstance(column, np.ndarray) or np.ndim(column) != 1:
        return None
    if np.any(getattr(column, "mask", False)):
        return None
    values = np.asarray(column)
    if values.dtype.kind == "O":
        values = np.array([v.decode() if isinstance(v, bytes) else v for v in values], dtype=object)
        if not all(isinstance(v, str | int | np.integer) for v in values):
            return None
        values = values.astype(str)
    if values.dtype.kind in "SU" and np.any(np.char.strip(values) == values.dtype.type()):
        return None
    return values if values.dtype.kind in "iuSU" else None


def _positions(table, roles):
    """Positions as unit vectors (n, 3), or None if they are not known for all rows."""
    lower = {c.lower(): c for c in table.colnames if c not in roles.values()}
    for names in POSITIONS:
        if not set(names) <= set(lower):
            continue
        try:
            angles = []
            for name in names:
                values, mask, unit = plain(lower[name], table[lower[name]])
                values = np.where(mask, np.nan, values)
                angles.append(values * (1 * (unit or u.deg)).to_value(u.rad))
            ra, dec = angles
        except (ValueError, TypeError, u.UnitConversionError):
            continue
        if ra.ndim == 1 and np.isfinite(ra + dec).all():
            return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)
    return None


def _grouped(position):
    """A number for each group of positions that touch."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    unique, inverse = np.unique(position, axis=0, return_inverse=True)
    pairs = cKDTree(unique).query_pairs(np.radians(_SAME_POSITION / 3600), output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=[len(unique)] * 2)
    return connected_components(links, directed=False)[1][inverse.ravel()]


def _in_order(values):
    """Numbers of equal values in order of first appearance, and where that is."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[inverse.ravel()], np.sort(first)


def _same(column, rows):
    """Whether a column has the same value as in other rows, one for each of its own."""
    if is_of_exposure(column.info.name):
        return False
    try:
        if isinstance(column, np.ndarray):
            mask = np.asarray(getattr(column, "mask", np.zeros(np.shape(column), bool)))
            values = np.asarray(getattr(column, "unmasked", column))
            equal = values == values[rows]
            if values.dtype.kind == "f":
                equal |= np.isnan(values) & np.isnan(values[rows])
            return bool(np.all(np.where(mask | mask[rows], mask == mask[rows], equal)))
        if type(column).__name__ == "SkyCoord":
            return bool(column.separation(column[rows]).max() <= _SAME_POSITION * u.arcsec)
        return bool(np.all(column == column[rows]))
    except (TypeError, ValueError):
        return False
