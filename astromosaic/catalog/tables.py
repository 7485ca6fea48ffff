"""Tables, and spectra beside them or alone, to `Galaxies`."""

import logging
import sys
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..filters import list_filters, within_range
from ..galaxies import Galaxies, Measurement
from ..properties import PROPERTIES, VECTORS, WAVELENGTH_RANGE
from .assign import assign_columns
from .columns import is_extinction, is_identifier
from .histories import HISTORIES, read_history
from .reading import Reading
from .spectra import is_spectrum, read_spectrum, read_spectrum_column
from .values import pivots, read_fluxes, read_scalar

__all__ = ["read_input", "read_table"]

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
    log.info(reading.summary())
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
        What columns hold, where their names do not say it or say it wrongly: a filter, a property
        or a vector, one of these with ``_err`` for its errors, or None to leave a column out.
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
        If it is not a table.
    ValueError
        If the table is empty, holds nothing that can be used, or a column has no unit or a wrong
        one; if ``columns`` names what does not exist.

    Notes
    -----
    Masked, NaN and infinite values are missing, as are those whose error is zero, negative or
    infinite (a zero error of a property is taken as unknown). Values with a masked or NaN error
    are measured, with an error that is unknown. Magnitudes beyond 90 mean that there is none.
    Spectra and histories are laid onto the model's pixels and bins, see `read_spectrum_column` and
    `read_history`.
    """
    galaxies, reading = _read(table, columns, lookback_time)
    log.info(reading.summary())
    return galaxies, reading


def _read(table, columns, lookback_time, alone=True):
    """What `read_table` does, but for the log; nothing known is an error if the table is alone."""
    _check(table)
    assignments, notes = assign_columns(table, columns)
    if not assignments and alone:
        example = next((c for c in table.colnames if not is_identifier(c)), table.colnames[0])
        raise ValueError(
            f"found no photometry and no known property in columns {', '.join(table.colnames)}: "
            "name them by what they hold (such as 'lsst_r' and 'lsst_r_err', or 'redshift'), or "
            f"say what they hold, e.g. columns={{{example!r}: 'lsst_r'}}"
        )
    reading = Reading(notes=notes)
    spherex = list_filters("spherex")
    by_target = {a.target: a for a in assignments}
    channels = [name for name in spherex if name in by_target]
    not_broadband = {*spherex, *PROPERTIES, *VECTORS}
    filters = [target for target in by_target if target not in not_broadband]
    filters = [filters[i] for i in np.lexsort([filters, pivots(filters)])]
    beyond = [name for name in filters if not within_range(name)]
    if beyond:
        filters = [name for name in filters if name not in beyond]
        reading.notes.append(
            f"{', '.join(beyond)} not used: the model covers {WAVELENGTH_RANGE[0]} to "
            f"{WAVELENGTH_RANGE[1]} micron"
        )
    scalars = [name for name in PROPERTIES if name in by_target]
    if channels and "spherex" in by_target:
        raise ValueError(
            f"SPHEREx is given twice, as {by_target['spherex'].column!r} and as "
            f"{by_target[channels[0]].column!r}: leave one out with columns="
        )

    pieces = [
        read_fluxes(table, by_target[name], pivot, reading.counts)
        for name, pivot in zip(filters, pivots(filters), strict=True)
    ]
    vectors = {}
    if "spherex" in by_target:
        vectors["spherex"] = read_fluxes(
            table, by_target["spherex"], pivots(spherex), reading.counts, len(spherex)
        )
    elif channels:
        vectors["spherex"] = _spherex_of_channels(table, by_target, spherex, reading.counts)
    if "spectrum" in by_target:
        vectors["spectrum"] = read_spectrum_column(
            table, by_target["spectrum"], reading.counts, reading.notes
        )
    times = _times(by_target, lookback_time)
    for name, time in times.items():
        vectors[name] = read_history(table, by_target[name], reading.counts, reading.notes, time)
    galaxies = Galaxies(
        n=len(table),
        filters=filters,
        photometry=_stack(pieces) if pieces else None,
        scalars={name: read_scalar(table, by_target[name], reading.counts) for name in scalars},
        vectors=vectors,
    )
    _describe(
        reading,
        table,
        [by_target[t] for t in [*filters, *scalars, *vectors, *channels] if t in by_target],
    )
    return galaxies, reading


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


def _check(table):
    """Raise unless it is a table with rows."""
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


def _spherex_of_channels(table, by_target, spherex, counts):
    """The SPHEREx vector of a table with channels in columns of their own."""
    absent = Measurement.missing(len(table))
    return _stack(
        [
            read_fluxes(table, by_target[name], pivot, counts) if name in by_target else absent
            for name, pivot in zip(spherex, pivots(spherex), strict=True)
        ]
    )


def _stack(measurements):
    """Measurements of shape (n,) as one of shape (n, m)."""
    return Measurement(
        *(
            np.stack([getattr(m, part) for m in measurements], axis=1)
            for part in ("value", "error", "state")
        )
    )


def _describe(reading, table, assignments):
    """Write down what was taken for what."""
    reading.convention = " + ".join(dict.fromkeys(a.source for a in assignments))
    for a in assignments:
        reading.columns[a.column] = a.target
        if a.error is not None:
            reading.columns[a.error] = f"{a.target}_err"
    others = [c for c in table.colnames if c not in reading.columns]
    reading.id_columns = [
        c for c in others if is_identifier(c) or type(table[c]).__name__ == "SkyCoord"
    ]
    reading.ignored = [c for c in others if c not in reading.id_columns]

    known = [a for a in assignments if a.target in PROPERTIES]
    photometry = [a for a in assignments if a.target not in PROPERTIES]
    for a in known:
        reading.notes.append(
            f"{a.target} is taken as known from column {a.column!r} "
            f"(columns={{{a.column!r}: None}} leaves it out)"
        )
    if any(a.unit is None and table[a.column].unit == u.mag for a in photometry):
        reading.notes.append("magnitudes in plain 'mag' are taken as AB")
    if any(a.softening for a in photometry):
        shifts = ", ".join(f"{a.target} {a.to_ab:+g}" for a in photometry if a.to_ab)
        reading.notes.append(
            "SDSS magnitudes are taken as asinh magnitudes"
            + (f", to AB by {shifts}" if shifts else "")
        )
    without = [a.target for a in photometry if a.error is None]
    if without:
        reading.notes.append(f"no errors for {', '.join(without)}")
    extinction = [c for c in reading.ignored if is_extinction(c)]
    if extinction:
        reading.notes.append(f"Galactic extinction in {', '.join(extinction)} is not applied")
