"""Tables to `Galaxies`."""

import logging

import numpy as np
from astropy import units as u
from astropy.table import Table

from ..filters import list_filters, within_range
from ..galaxies import VECTOR_LENGTH, Galaxies, Measurement
from ..properties import PROPERTIES, WAVELENGTH_RANGE
from .assign import assign_columns
from .columns import is_extinction, is_identifier
from .reading import Reading
from .values import pivots, read_fluxes, read_scalar

__all__ = ["read_table"]

log = logging.getLogger("astromosaic")


def read_table(table, columns=None):
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
    """
    _check(table)
    assignments, notes = assign_columns(table, columns)
    if not assignments:
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
    not_broadband = {*spherex, *PROPERTIES, *VECTOR_LENGTH}
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
    log.info(reading.summary())
    return galaxies, reading


def _check(table):
    """Raise unless it is a table with rows."""
    if not isinstance(table, Table):
        kind = type(table).__name__
        remedy = {
            "DataFrame": "convert it with astropy.table.Table.from_pandas(df) and give its "
            "columns units",
            "Row": "give a table of one row, table[i:i + 1]",
        }.get(kind, "make one with astropy.table.QTable(...)")
        raise TypeError(f"expected an astropy Table or QTable, not {kind}: {remedy}")
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
