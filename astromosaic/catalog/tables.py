"""Tables, and spectra beside them or alone, to `Galaxies`."""

import logging
import sys
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..filters import list_filters, within_range
from ..galaxies import Galaxies, Measurement
from ..properties import PROPERTIES, VECTORS, WAVELENGTH_RANGE
from .assign import assign_columns
from .columns import INTERVAL, SURVEYS, is_extinction, is_identifier
from .exposures import SOURCE_NAMES, read_exposures
from .extinction import deredden, deredden_spectrum
from .histories import HISTORIES, before_the_big_bang, read_history
from .reading import Reading, abridged
from .spectra import is_spectrum, read_spectrum, read_spectrum_column
from .values import columns_of, pivots, read_fluxes, read_scalar

__all__ = ["read_input", "read_property", "read_table"]

log = logging.getLogger("astromosaic")


def read_input(data, columns=None, spectrum=None, lookback_time=None):
    """Read what is known of galaxies: a table, spectra, or both.

    Parameters
    ----------
    data : Table, QTable, specutils.Spectrum or list of specutils.Spectrum
        A table as `read_table` takes it, or spectra as
        `astromosaic.catalog.spectra.read_spectrum` does.
    columns : dict of str to str or None, optional
        As `read_table` takes it.
    spectrum : specutils.Spectrum or list of specutils.Spectrum, optional
        Spectra of the galaxies in the table, one for each row.
    lookback_time : Quantity or dict of str to Quantity, optional
        Edges or middles of the bins of the table's histories, where its meta does not have them;
        by name of the column or of what it holds, where they differ.

    Returns
    -------
    Galaxies
    Reading
        How the input was read; its summary goes to the log as well.

    Raises
    ------
    TypeError
        If ``data`` is neither a table nor spectra.
    ValueError
        As of `read_table` and `read_spectrum`; if the number of spectra is not that of the rows.
    """
    if isinstance(data, Table):
        galaxies, reading = _read(data, columns, lookback_time, alone=spectrum is None)
    elif not _is_spectrum(data):
        galaxies, reading = read_table(data)  # which says what is wrong
    elif columns or spectrum is not None or lookback_time is not None:
        raise ValueError(
            "columns=, spectrum= and lookback_time= go with a table: give the table first and the "
            "spectra as spectrum="
        )
    else:
        galaxies, reading, spectrum = None, Reading(), data
    if spectrum is not None:
        galaxies = _with_spectrum(galaxies, spectrum, reading)
    for name, n in before_the_big_bang(galaxies).items():
        reading.warn(
            f"{name} is not zero before the Big Bang in {n} galaxies, at the redshift given: its "
            "times are to be lookback times from the galaxy's own redshift"
        )
    log.info(reading.summary())
    for message in reading.warnings:
        warnings.warn(message, stacklevel=3)
    return galaxies, reading


def _is_spectrum(data):
    # Without the import, which is slow, there can be none.
    return "specutils" in sys.modules and is_spectrum(data)


def _with_spectrum(galaxies, spectrum, reading):
    """Galaxies with spectra; those alone where there are no galaxies yet."""
    measured = read_spectrum(spectrum, reading.counts, reading.notes)
    if galaxies is None:
        galaxies = Galaxies(len(measured))
    if len(measured) != len(galaxies):
        raise ValueError(
            f"spectrum= has spectra of {len(measured)} galaxies, but the table has "
            f"{len(galaxies)} rows: give one spectrum for each row"
        )
    if "spectrum" in galaxies.vectors:
        column = next(c for c, what in reading.columns.items() if what == "spectrum")
        raise ValueError(
            f"the spectrum is given twice, as column {column!r} and as spectrum=: leave the column "
            f"out with columns={{{column!r}: None}}"
        )
    reading.convention = " + ".join([*filter(None, [reading.convention]), "specutils Spectrum"])
    reading.columns["spectrum"] = "spectrum"
    measured = deredden_spectrum(measured, reading)
    return replace(galaxies, vectors={**galaxies.vectors, "spectrum": measured})


def read_table(table, columns=None, lookback_time=None):
    """Read what a table knows of its galaxies.

    Columns are recognised by the name of the filter, property or vector that they hold
    (``lsst_r``, ``redshift``, ``spherex``) with their errors beside them (``lsst_r_err``), or by
    the convention of a survey (`astromosaic.catalog.columns`).

    Parameters
    ----------
    table : Table or QTable
        One galaxy per row.
    columns : dict of str to str or None, optional
        What columns hold, where their names do not say it or say it wrongly: a filter, a property,
        a vector or ``"ebv"``, one of these with ``_err`` for its errors or ``_ivar`` for its
        inverse variances, a filter with ``_limit`` for upper limits, or None to leave a column
        out. In brackets may stand the unit, ``"lsst_r[uJy]"``, and the level of limits,
        ``"lsst_u_limit[3 sigma]"``.
    lookback_time : Quantity or dict of str to Quantity, optional
        Of histories, as `read_input` takes it.

    Returns
    -------
    Galaxies
        Filters are in order of wavelength.
    Reading
        How the table was read; its summary goes to the log as well.

    Raises
    ------
    TypeError
        If it is not a table, or ``columns`` no dict of texts.
    ValueError
        If the table is empty, holds nothing that can be used, or a column has no unit or a wrong
        one; if ``columns`` names what does not exist.

    Notes
    -----
    Masked, NaN and infinite values are missing, as are those whose error is zero, negative or
    infinite (a zero error of a property is taken as unknown). Values with a masked or NaN error
    are measured, with an error that is unknown. Magnitudes beyond 90 mean that there is none, as do
    redshifts below -0.01 and properties that are far outside of their range.
    Spectra and histories are laid onto the model's pixels and bins, see `read_spectrum_column` and
    `read_history`.
    """
    galaxies, reading = _read(table, columns, lookback_time)
    log.info(reading.summary())
    return galaxies, reading


def read_property(table, column, told):
    """One property of a table that is not shown to the model, as a label or a truth.

    Parameters
    ----------
    table : Table or QTable
    column : str
    told : str
        The property, as ``columns=`` of `read_table` names it, with its unit or without.

    Returns
    -------
    Measurement, shape (n,)
        In the property's internal coordinate.

    Raises
    ------
    ValueError
        As of `read_table`.
    """
    galaxies, _ = _read(table[[column]], {column: told}, None)
    return galaxies.scalars[told.split("[")[0]]


def _read(table, columns, lookback_time, alone=True, reading=None):
    """What `read_table` does, but for the log; nothing known is an error if the table is alone."""
    reading = Reading() if reading is None else reading
    _check(table, columns)
    exposures = _exposures(table, columns, reading)
    n = len(table)
    if exposures is not None:
        table, n = exposures.table, len(exposures.spherex)
    assignments, notes = assign_columns(table, columns, reading)
    reading.notes += notes
    nothing = exposures is None and not {a.target for a in assignments} - {"ebv"}
    if alone and nothing and not reading.problems:
        example = next((c for c in table.colnames if not is_identifier(c)), table.colnames[0])
        reading.refuse(
            f"found no photometry and no known property in columns {abridged(table.colnames, 12)}: "
            "name them by what they hold (such as 'lsst_r' and 'lsst_r_err', or 'redshift'), or "
            f"say what they hold, e.g. columns={{{example!r}: 'lsst_r'}}"
        )
    spherex = list_filters("spherex")
    by_target = {a.target: a for a in assignments}
    channels = [name for name in spherex if name in by_target]
    not_broadband = {*spherex, *PROPERTIES, *VECTORS, "ebv"}
    filters = [target for target in by_target if target not in not_broadband]
    filters = [filters[i] for i in np.lexsort([filters, pivots(filters)])]
    beyond = [name for name in filters if not within_range(name)]
    if beyond:
        filters = [name for name in filters if name not in beyond]
        reading.notes.append(
            f"{', '.join(beyond)} not used: the model covers {WAVELENGTH_RANGE[0]} to "
            f"{WAVELENGTH_RANGE[1]} micron"
        )
        for name in beyond:
            reading.set_aside(by_target[name].column, f"{name} is beyond what the model covers")
    scalars = [name for name in PROPERTIES if name in by_target]
    twice = [] if exposures is None else [exposures.assignment.column]
    twice += [by_target[name].column for name in ("spherex", *channels[:1]) if name in by_target]
    if len(twice) > 1:
        reading.refuse(
            f"SPHEREx is given twice, as {twice[0]!r} and as {twice[1]!r}: leave one out with "
            "columns=",
            twice[0],
        )

    read = _reader(table, by_target, reading)
    photometry = {
        name: read(name, read_fluxes, pivot)
        for name, pivot in zip(filters, pivots(filters), strict=True)
    }
    vectors = {}
    if exposures is not None:
        _refuse_what_differs(exposures, assignments, reading)
        by_target["spherex"] = exposures.assignment
        vectors["spherex"] = exposures.spherex
    elif "spherex" in by_target:
        vectors["spherex"] = read("spherex", read_fluxes, pivots(spherex), length=len(spherex))
    elif channels:
        vectors["spherex"] = _spherex_of_channels(read, channels, spherex, n)
    if "spectrum" in by_target:
        vectors["spectrum"] = read("spectrum", read_spectrum_column, notes=reading.notes)
    for name, time in _times(by_target, lookback_time).items():
        vectors[name] = read(name, read_history, notes=reading.notes, lookback_time=time)
    known = {name: read(name, read_scalar) for name in scalars}
    # What cannot be read is None where that is no error.
    photometry, vectors, known = (
        {name: m for name, m in group.items() if m is not None}
        for group in (photometry, vectors, known)
    )
    galaxies = Galaxies(
        n=n,
        filters=tuple(photometry),
        photometry=_stack(photometry.values()) if photometry else None,
        scalars=known,
        vectors=vectors,
    )
    galaxies = deredden(galaxies, table, by_target, reading)
    names = [*photometry, *known, *vectors, *channels, "ebv"]
    taken = [by_target[name] for name in names if name in by_target]
    _describe(reading, table, taken, exposures)
    return galaxies, reading


def _exposures(table, columns, reading):
    """SPHEREx exposures of a table, or None, with a record of them."""
    counts = Counter()
    try:
        exposures = read_exposures(table, columns, counts, reading.notes)
    except ValueError as error:
        reading.refuse(str(error))
        return None
    if exposures is not None:
        reading.counts.update(counts)
        reading.record(table, exposures.assignment, exposures.spherex.state, counts)
        reading.columns.update(exposures.columns)
        for column, holds in exposures.columns.items():
            record = reading.of(column)
            record.holds, record.used = holds, True
    return exposures


def _refuse_what_differs(exposures, assignments, reading):
    """Raise if a column that is read differs between the exposures of a source."""
    for a in assignments:
        if a.column in exposures.of_exposures:
            reading.refuse(
                f"column {a.column!r} is read as {a.target}, but is not the same for all SPHEREx "
                f"exposures of a source: leave it out with columns={{{a.column!r}: None}}",
                a.column,
            )


def _reader(table, by_target, reading):
    """A function that reads what holds a target, as ``read_fluxes`` and its like do."""

    def read(name, reader, *args, **options):
        assignment = by_target[name]
        return reading.read(
            table,
            assignment,
            lambda counts: reader(table, assignment, *args, counts=counts, **options),
        )

    return read


def _times(by_target, lookback_time):
    """The lookback times that the user gives for each history of a table, or None."""
    histories = {name: by_target[name].column for name in HISTORIES if name in by_target}
    if lookback_time is not None and not histories:
        raise ValueError("lookback_time= is given, but no column holds sfh or mah")
    if not isinstance(lookback_time, dict):
        return dict.fromkeys(histories, lookback_time)
    if stray := set(lookback_time) - {*histories, *histories.values()}:
        raise ValueError(
            f"lookback_time= names {min(stray)!r}, which no column holds; there are "
            f"{', '.join(histories)}"
        )
    return {name: lookback_time.get(column, lookback_time.get(name))
            for name, column in histories.items()}  # fmt: skip


def _check(table, columns):
    """Raise unless it is a table with rows, and ``columns`` says what columns hold."""
    if not isinstance(table, Table):
        kind = type(table).__name__
        remedy = {
            "DataFrame": "convert it with astropy.table.Table.from_pandas(df) and give its "
            "columns units",
            "Row": "give a table of one row, table[i:i + 1]",
        }.get(kind, "make one with astropy.table.QTable(...)")
        raise TypeError(
            f"expected an astropy Table or QTable, or a specutils Spectrum, not {kind}: {remedy}"
        )
    if len(table) == 0:
        raise ValueError("the table has no rows")
    example = "give a dict such as columns={'f_r': 'lsst_r[uJy]', 'old_mag': None}"
    if not isinstance(columns or {}, dict):
        raise TypeError(f"columns= is of type {type(columns).__name__}: {example}")
    for column, what in (columns or {}).items():
        if not isinstance(what, str | None):
            raise TypeError(
                f"columns= says {what!r} of {column!r}, which is neither text nor None: {example}"
            )


def _spherex_of_channels(read, channels, spherex, n):
    """The SPHEREx vector of a table with channels in columns of their own."""
    measured = {
        name: read(name, read_fluxes, pivot)
        for name, pivot in zip(channels, pivots(channels), strict=True)
    }
    absent = Measurement.missing(n)
    return _stack([measured.get(name) or absent for name in spherex])


def _stack(measurements):
    """Measurements of shape (n,) as one of shape (n, m)."""
    return Measurement(
        *(
            np.stack([getattr(m, part) for m in measurements], axis=1)
            for part in ("value", "error", "state")
        )
    )


def _limits(target, level):
    """What holds upper limits of a level in sigma, as ``columns=`` says it."""
    return f"{target}_limit[{level:g} sigma]"


def _describe(reading, table, assignments, exposures=None):
    """Write down what was taken for what."""
    of_exposures = exposures.of_exposures if exposures else ()
    reading.convention = " + ".join(dict.fromkeys(a.source for a in assignments))
    for a in assignments:
        of_limits = a.error is None and a.limit_sigma is not None
        reading.columns[a.column] = _limits(a.target, a.limit_sigma) if of_limits else a.target
        if a.limit is not None:
            column, level = a.limit
            reading.columns[column] = _limits(a.target, level)
        for column, end in zip(a.interval or (), INTERVAL, strict=False):
            reading.columns[column] = f"{a.target}_{end}"
        if a.error is not None:
            reading.columns[a.error] = f"{a.target}_{'ivar' if a.inverse_variance else 'err'}"
    # Those of depths, limits and extinctions are used beside the columns to which they belong.
    others = [c for c in table.colnames if c not in reading.columns and not reading.of(c).used]
    identifiers = [
        c
        for c in others
        if c not in of_exposures
        and (
            is_identifier(c)
            or type(table[c]).__name__ == "SkyCoord"
            or (exposures and c.lower() in SOURCE_NAMES)
        )
    ]
    reading.ids = columns_of(table, identifiers) if identifiers else None
    reading.ignored = [c for c in others if c not in identifiers]
    for column in others:
        record = reading.of(column)
        if not (record.used or record.remark or record.problem):
            what = "not recognised"
            if column in identifiers:
                what = "identifies the object, kept in the result"
            elif column in of_exposures:
                what = "belongs to a SPHEREx exposure, not used"
            elif is_extinction(column):
                what = "Galactic extinction, not applied"
            reading.set_aside(column, what)

    known = [a for a in assignments if a.target in PROPERTIES]
    photometry = [a for a in assignments if a.target not in {*PROPERTIES, "ebv"}]
    for a in known:
        within = " to within its 68% interval" if a.interval else ""
        reading.notes.append(
            f"{a.target} is taken as known{within} from column {a.column!r} "
            f"(columns={{{a.column!r}: None}} leaves it out)"
        )
    own_scale = [a for a in photometry if a.softening or a.to_ab]
    plain = [a for a in photometry if a.unit is None and a not in own_scale]
    plain = [a for a in plain if table[a.column].unit == u.mag]
    for a in plain:
        if any(s.vega and a.target in s.filters.values() for s in SURVEYS.values()):
            reading.refuse(
                f"column {a.column!r} is in plain 'mag', which may be on the Vega system in "
                f"{a.target}: say which, columns={{{a.column!r}: '{a.target}[mag(Vega)]'}} or "
                "'[mag(AB)]'",
                a.column,
            )
    if plain:
        reading.notes.append("magnitudes in plain 'mag' are taken as AB")
    if asinh := [a for a in plain if a.target.startswith("sdss_")]:
        reading.notes.append(
            f"if {', '.join(a.column for a in asinh)} are SDSS' own asinh magnitudes, say it, e.g. "
            f"columns={{{asinh[0].column!r}: '{asinh[0].target}[asinh mag]'}}"
        )
    shifts = ", ".join(f"{a.target} {a.to_ab:+g}" for a in photometry if a.to_ab)
    if any(a.softening for a in photometry):
        reading.notes.append(
            "SDSS magnitudes are taken as asinh magnitudes"
            + (f", to AB by {shifts}" if shifts else "")
        )
    elif shifts:
        reading.notes.append(f"brought to the AB system by magnitudes of {shifts}")
    without = [a.target for a in photometry if a.error is None and a.limit_sigma is None]
    if without:
        reading.notes.append(f"no errors for {', '.join(without)}")
    extinction = [c for c in reading.ignored if is_extinction(c)]
    corrected = any(a.target == "ebv" or a.extinction or a.dereddened for a in assignments)
    if extinction and not corrected:
        reading.notes.append(f"Galactic extinction in {', '.join(extinction)} is not applied")
