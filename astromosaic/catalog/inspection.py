"""What would be read from each column of a table, and why the others are not."""

import re
import textwrap

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table

from ..properties import PROPERTIES, VECTORS
from .columns import SURVEYS, is_extinction, is_inverse_variance
from .reading import Reading, abridged
from .units import magnitude_unit, njy_per, plain
from .values import IMPOSSIBLE_MAGNITUDE

__all__ = ["format_inspection", "inspect_table", "is_refused"]

#: Names that speak of light, and those that speak of something else about it.
_LIGHT = re.compile(r"mag|flux|(^|_)f_?[ugrizyjhk](_|$)", re.I)
_ABOUT_LIGHT = re.compile(
    r"err|sig|unc|ivar|var(_|$)|flag|mask|qual|snr|s2n|chi|^e_|_e$|^[ds]mag|lim|depth|^abs|^m_|"
    r"sky|background|bkg|resid|rad|rate|type|npix|^n_?|_n$|count|num|corr|ratio|_[xy]{1,2}$|"
    r"_lo$|_hi$|_samples$",
    re.I,
)
_ERROR = re.compile(r"err(or)?|sig(ma)?|unc(ertainty)?|ivar", re.I)
#: A band in a name: a letter by itself, or beside one of the words for light.
_BAND = re.compile(r"(?<![a-z])(?:(?:mag|flux|f)([ugrizy])|([ugrizy])(?:mag|flux)?)(?![a-z])", re.I)

#: Redshifts, which are no input by themselves: they may be what a prediction is compared with.
_REDSHIFT = re.compile(
    r"z_?(spec|phot|true)|(spec|phot)_?z|photoz|(redshift|z)_true|zspec_.*", re.I
)

#: What columns of Galactic extinction hold.
_EXTINCTION = re.compile("ebv$|extinction in ")

#: Columns that a suggestion names at most.
_MOST = 12
_WIDTH = 100

#: What columns may hold that share a line if they stand side by side: the same but for a word.
_GROUPED = re.compile("spherex_|extinction in |depth of |limits of ")
#: The end of a note that says no more than the list of what is not read.
_SAID = "passed over for other columns of the same filters"
#: Reasons why columns are not read in words that hold for several.
_IN_COMMON = (
    ("^passed over for .*", "passed over for others of the same filters"),
    ("^errors of .*", "errors of columns that are not read"),
    ("^there is no curve of .*", "there are no curves of these filters"),
)

#: The columns of an inspection, with their descriptions.
_COLUMNS = {
    "column": "Name of the column",
    "holds": "Filter, property or vector, these with _err or _ivar, another use; empty: not read",
    "unit": "Unit in which it is read",
    "unit_from": "Who says so: the column, the convention, or columns=",
    "source": "What the recognition rests on",
    "error": "Column of its errors",
    "measured": "Number of values that are measured; of a vector, elements on the model's grid",
    "limits": "Number of values that are upper limits",
    "missing": "Number of values that are missing",
    "sentinels": "Special values that the convention knows",
    "remark": "Why values are missing or limits, or why the column is not read",
    "problem": "Why predict refuses the table because of this column",
}


def inspect_table(table, columns=None, lookback_time=None):
    """What `astromosaic.predict` would read from each column of a table.

    The table is read as for a prediction, but what is wrong with a column is written down, and the
    others are looked at all the same.

    Parameters
    ----------
    table : Table or QTable
    columns : dict of str to str or None, optional
        As `astromosaic.predict` takes it.
    lookback_time : Quantity or dict of str to Quantity, optional
        As `astromosaic.predict` takes it.

    Returns
    -------
    astropy.table.Table
        A row for each column of the table, in the same order, with the columns ``column``,
        ``holds``, ``unit`` and ``unit_from`` (who says so), ``source`` (of the recognition),
        ``error`` (the column of errors), the numbers of values that are ``measured``, ``limits``
        and ``missing`` (of a vector, of its elements on the model's grid), ``sentinels``,
        ``remark`` and ``problem``. Its meta has ``rows``, ``convention``, ``notes``,
        ``problems`` (of the table as a whole) and ``suggestions``, pairs of an occasion and the
        ``columns=`` for it. `format_inspection` makes a page of it.

    Raises
    ------
    TypeError
        If it is not a table.
    ValueError
        If ``columns`` names a column or a filter that does not exist.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astromosaic import inspect
    >>> seen = inspect(Table({"i_cModelFlux": [120.0, 31.0], "i_psfFlux": [90.0, 28.0]}))
    >>> print(seen["column", "holds", "unit", "measured", "remark"])
       column    holds  unit measured            remark
    ------------ ------ ---- -------- ----------------------------
    i_cModelFlux lsst_i  nJy        2
       i_psfFlux                   -- passed over for i_cModelFlux
    """
    from .tables import _read

    if hasattr(table, "spectral_axis"):
        raise TypeError("inspect takes a table; a Spectrum has one axis and is read as it is")
    reading = Reading(lenient=True)
    try:
        _read(table, columns, lookback_time, reading=reading)
    except ValueError as error:
        if columns and not reading.records:
            raise  # the user's word is at fault, not the table
        reading.problems.append(str(error))
    records = [reading.of(name) for name in table.colnames]
    return Table(
        {name: _of_records(records, name) for name in _COLUMNS},
        descriptions=_COLUMNS,
        meta={
            "rows": len(table),
            "convention": reading.convention,
            "notes": list(reading.notes),
            "problems": list(reading.problems),
            "suggestions": _suggestions(table, records),
        },
    )


def _of_records(records, name):
    """One column of the result."""
    if name in ("measured", "limits", "missing"):
        numbers = [getattr(record, name) for record in records]
        mask = [number is None for number in numbers]
        return MaskedColumn([number or 0 for number in numbers], mask=mask, dtype=int)
    if name == "holds":
        texts = [record.holds if record.used else "" for record in records]
    elif name == "remark":
        texts = [
            "; ".join([f"{n} {kind}" for kind, n in record.counts.items()] + [record.remark])
            .removesuffix("; ")
            for record in records
        ]  # fmt: skip
    else:
        texts = [getattr(record, name) for record in records]
    return np.array(texts, dtype=str)


# What to do about columns that are not read


def _suggestions(table, records):
    """Pairs of an occasion and what to give as ``columns=`` then."""
    unread = [record for record in records if not record.used]
    read = {record.holds for record in records if record.used}
    found = []
    units = {
        r.column: f"{r.holds}[{_likely_unit(table, r)}]"
        for r in records
        if r.used and not r.unit and "has no unit" in r.problem and _takes_unit(r.holds)
    }
    units |= {
        r.error: f"{r.holds}_err[{r.unit}]"
        for r in records
        if "have no unit" in r.problem and r.unit
    }
    found.append(("where there is no unit, if it is this", units))
    of_survey, nameless = _unknown_filters(table, unread, read)
    found += of_survey
    found.append(("with the names of their filters in place of FILTER", nameless))
    redshifts = [r.column for r in unread if _REDSHIFT.fullmatch(r.column)]
    if redshifts and "redshift" not in read:
        occasion = f"{redshifts[0]} is not shown to the model; to have it taken as known"
        found.append((occasion, {redshifts[0]: "redshift"}))
    known = [r for r in records if r.used and r.holds in PROPERTIES and not r.problem]
    if known:
        occasion = f"to have {', '.join(r.holds for r in known)} predicted, not taken as known"
        found.append((occasion, {r.column: None for r in known}))
    extinction = [
        r.column for r in records if r.used and _EXTINCTION.match(r.holds) and not r.problem
    ]
    if extinction:
        occasion = "to leave Galactic extinction uncorrected"
        found.append((occasion, dict.fromkeys(extinction)))
    if passed := [r for r in unread if r.holds and not r.problem]:
        kind = [r for r in passed if r.source == passed[0].source][:_MOST]
        names = abridged([r.column for r in kind], 1)
        found.append((f"to take {names} instead", {r.column: r.holds for r in kind}))
    return [(occasion, columns) for occasion, columns in found if columns]


def _takes_unit(holds):
    return holds == "spherex" or holds not in VECTORS


def _likely_unit(table, record):
    """The unit that a column may have."""
    if record.holds in PROPERTIES:
        return PROPERTIES[record.holds].unit
    try:
        values, mask, _ = plain(record.column, table[record.column])
    except ValueError:
        return "nJy"
    values = values[~mask & (np.abs(values) < IMPOSSIBLE_MAGNITUDE)]
    is_magnitude = len(values) and 5 < np.median(values) < 40
    if not is_magnitude or "flux" in record.column.lower():
        return "nJy"
    return "asinh mag" if record.source.startswith("SDSS") else "mag(AB)"


def _unknown_filters(table, unread, read):
    """What to give for columns of unknown filters: by the likeliest survey, and without one."""
    unknown = {r.column: r for r in unread if r.band or _may_be_light(table, r)}
    bands = {c: r.band or _band_in(c) for c, r in unknown.items()}
    # Apertures and the like of bands that are read are not worth a word, unless they may be of
    # another survey.
    known = {band for s in SURVEYS.values() for band, name in s.filters.items() if name in read}
    bands = {c: band for c, band in bands.items() if unknown[c].band or band not in known}
    # One column for each band: other kinds of flux would be refused beside it.
    first = {band: c for c, band in reversed(bands.items())}
    bands = {c: band for c, band in bands.items() if first[band] == c}
    bands = dict(list(bands.items())[:_MOST])
    units = {c: _unit_to_tell(table, unknown[c]) for c in bands}
    by_survey = {}
    for survey in SURVEYS.values():
        names = {c: survey.filters[b] for c, b in bands.items() if survey.filters.get(b)}
        if survey.words and names not in by_survey.values():
            by_survey[survey.name] = names
    most = max(map(len, by_survey.values()), default=0)
    likely = {name: columns for name, columns in by_survey.items() if len(columns) == most}
    errors = _errors_by_name(unread, bands)
    if not most:
        return [], _with_errors({c: f"FILTER{units[c]}" for c in bands}, errors)
    first, *others = likely
    others = ", ".join(others[:5] + ["..."] * (len(others) > 5))
    occasion = f"if they are bands of {first}" + (
        f" (for {others} name their filters)" if others else ""
    )
    columns = {c: f"{name}{units[c]}" for c, name in likely[first].items()}
    nameless = {c: f"FILTER{units[c]}" for c in bands if c not in columns}
    return [(occasion, _with_errors(columns, errors))], _with_errors(nameless, errors)


def _errors_by_name(unread, names):
    """Column to the unread column that is named alike but for a word for errors."""
    errors = {}
    for record in unread:
        # Errors that are known as such are found by themselves.
        if _ERROR.search(record.column) and not record.remark.startswith("errors of "):
            errors.setdefault(_ERROR.sub("", record.column).replace("_", ""), record.column)
    stripped = {c: c.replace("_", "") for c in names}
    return {c: errors[name] for c, name in stripped.items() if name in errors}


def _with_errors(columns, errors):
    """``columns=`` with that of the errors beside each column."""
    told = {}
    for column, what in columns.items():
        told[column] = what
        if column in errors:
            part = "ivar" if is_inverse_variance(errors[column]) else "err"
            told[errors[column]] = f"{what.partition('[')[0]}_{part}"
    return told


def _unit_to_tell(table, record):
    """A unit in brackets, for a column that has none by itself or by its convention."""
    if record.unit or getattr(table[record.column], "unit", None) is not None:
        return ""
    return f"[{_likely_unit(table, record)}]"


def _may_be_light(table, record):
    """Whether a column of which nothing is known looks like a flux or magnitude."""
    name, column = record.column, table[record.column]
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if (
        kind not in ("f", "i", "u")
        or np.shape(column) != (len(table),)
        or record.holds
        or record.problem
    ):
        return False
    if _ABOUT_LIGHT.search(name) or is_extinction(name):
        return False
    unit = getattr(column, "unit", None)
    if unit is None or isinstance(unit, u.UnrecognizedUnit):
        return bool(_LIGHT.search(name))
    if magnitude_unit(unit):
        return True
    try:
        njy_per(unit, 5000.0)
    except (u.UnitConversionError, TypeError):
        return False
    return True


def _band_in(name):
    """The band of a column, if one letter of its name tells it."""
    bands = {next(filter(None, found.groups())).lower() for found in _BAND.finditer(name)}
    return bands.pop() if len(bands) == 1 else ""


# As text


def format_inspection(inspection, command_line=False):
    """An inspection as a page of text of 100 columns at most.

    Parameters
    ----------
    inspection : astropy.table.Table
        As of `inspect_table`.
    command_line : bool
        Whether to say how to override as ``--columns`` rather than ``columns=``.

    Returns
    -------
    str
        What is read, in the order of the columns of the table; what is not read, and why; notes;
        and whether `astromosaic.predict` would take the table. Channels of SPHEREx that stand
        side by side share a line, as do columns that differ by their band alone where they are
        not read.
    """
    meta = inspection.meta
    heading = f"{meta['rows']} rows, {len(inspection)} columns"
    if meta["convention"]:
        heading += f"; read as {meta['convention']}"
    lines = [*_wrapped(heading), ""]
    lines += _table_of_read(inspection)
    for special in dict.fromkeys(filter(None, inspection["sentinels"])):
        names = inspection["column"][inspection["sentinels"] == special]
        lines += _wrapped(f"special values of {abridged(list(names), 1)}: {special}")
    lines += _unread(inspection)
    if notes := [note for note in meta["notes"] if not note.endswith(_SAID)]:
        lines += ["", "notes:"]
        for note in notes:
            lines += _wrapped(note, "  ")
    for problem in meta["problems"]:
        lines += ["", *_wrapped(f"problem: {problem}")]
    for occasion, columns in meta["suggestions"]:
        lines += ["", *_wrapped(f"{occasion}:"), *_override(columns, command_line)]
    if number := _n_problems(inspection):
        verdict = f"predict refuses this table until {_counted(number, 'problem')} above "
        verdict += f"{'is' if number == 1 else 'are'} mended"
    else:
        verdict = "predict takes this table as it is"
    return "\n".join([*lines, "", verdict])


def _table_of_read(inspection):
    """Lines for the columns that are read, and for those that have a problem."""
    errors = set(inspection["error"])
    rows = [
        dict(zip(inspection.colnames, row, strict=True))
        for row in inspection.filled(-1)
        if (row["holds"] or row["problem"]) and not (row["column"] in errors and not row["problem"])
    ]
    if not rows:
        return ["no column is read"]
    rows = _grouped(rows)
    cells = [["column", "holds", "unit", "unit from", "errors", "measured", "limits", "missing"]]
    for row in rows:
        cells.append([row[name] for name in ("column", "holds", "unit", "unit_from", "error")])
        cells[-1] += [
            str(row[name]) if row[name] >= 0 else "" for name in ("measured", "limits", "missing")
        ]
        if row["measured"] < 0 and not row["problem"]:  # goes with others, and has no more to say
            cells[-1] = cells[-1][:2]
    full = [line for line in cells if len(line) > 2]
    widths = [max(len(line[i]) for line in full) for i in range(8)]
    widths[0] = max(len(line[0]) for line in cells)
    # Names give way where there is no room, the longest first.
    while sum(widths) + 2 * 7 > _WIDTH:
        widths[int(np.argmax(widths[:5]))] -= 1
    lines = []
    for line, row in zip(cells, [None, *rows], strict=True):
        if len(line) == 2:
            lines.append(_cut(f"{_cut(line[0], widths[0]):{widths[0]}}  {line[1]}", _WIDTH))
            continue
        parts = [_cut(cell, width) for cell, width in zip(line, widths, strict=True)]
        parts = [
            f"{part:{'<' if i < 5 else '>'}{width}}"
            for i, (part, width) in enumerate(zip(parts, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
        if row is not None and row["remark"]:
            lines += _wrapped(row["remark"], "    ")
        if row is not None and row["problem"]:
            lines += _wrapped(f"problem: {row['problem']}", "    ")
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:]]


def _grouped(rows):
    """Rows, with channels of SPHEREx that stand side by side and are alike as one."""
    grouped = []
    for row in rows:
        last = grouped[-1][-1] if grouped else {}
        alike = all(last.get(k) == row[k] for k in ("unit", "unit_from", "source", "problem"))
        if alike and _kind(row) and _kind(row) == _kind(last):
            grouped[-1].append(row)
        else:
            grouped.append([row])
    return [_as_one(group) for group in grouped]


def _kind(row):
    """What a row has in common with those that may share a line with it; empty if nothing."""
    found = _GROUPED.match(row["holds"])
    return found[0] if found else ""


def _as_one(group):
    """The row of a group."""
    if len(group) == 1:
        return group[0]
    row = dict(group[0])
    for name in ("column", "holds", "error"):
        row[name] = abridged([member[name] for member in group if member[name]], 1)
    if row["measured"] < 0:
        return row
    for name in ("measured", "limits", "missing"):
        row[name] = sum(member[name] for member in group)
    counts = {}
    for member in group:
        for part in filter(None, member["remark"].split("; ")):
            number, _, kind = part.partition(" ")
            counts[kind] = counts.get(kind, 0) + int(number)
    row["remark"] = "; ".join([f"{len(group)} columns"] + [f"{n} {k}" for k, n in counts.items()])
    return row


def is_refused(inspection):
    """Whether `astromosaic.predict` would refuse the table that was inspected."""
    return _n_problems(inspection) > 0


def _n_problems(inspection):
    return np.count_nonzero(inspection["problem"] != "") + len(inspection.meta["problems"])


def _unread(inspection):
    """Lines for the columns that are not read, by the reason."""
    reasons = {}
    for row in inspection[(inspection["holds"] == "") & (inspection["problem"] == "")]:
        reason = row["remark"] or "not looked at"
        for pattern, words in _IN_COMMON:
            reason = re.sub(pattern, words, reason)
        reasons.setdefault(reason, []).append(row["column"])
    if not reasons:
        return []
    lines = ["", "not read:"]
    for reason, names in reasons.items():
        lines += _wrapped(f"{reason}: {abridged(names, _MOST)}", "  ")
    return lines


def _override(columns, command_line):
    """Lines to be pasted."""
    if command_line:
        text = ", ".join(f"{column}={what or 'none'}" for column, what in columns.items())
        opening, closing = '--columns "', '"'
    else:
        text = ", ".join(f"{column!r}: {what!r}" for column, what in columns.items())
        opening, closing = "columns={", "}"
    indent = " " * (2 + len(opening))
    lines = textwrap.wrap(text + closing, _WIDTH - len(indent), break_long_words=False,
                          break_on_hyphens=False)  # fmt: skip
    return [f"  {opening}{lines[0]}", *(indent + line for line in lines[1:])]


def _wrapped(text, indent=""):
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _cut(text, width):
    """A name in no more than so many characters, cut in its middle."""
    if len(text) <= width:
        return text
    half = (width - 2) // 2
    return f"{text[: width - 2 - half]}..{text[len(text) - half :]}"


def _counted(n, what):
    return f"the {what}" if n == 1 else f"the {n} {what}s"
