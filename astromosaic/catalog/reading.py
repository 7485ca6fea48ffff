"""`Reading`: the record of how a table was read, for the log, the result's meta and inspection."""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from astropy.table import Table

from ..galaxies import LIMIT, MEASURED, MISSING
from .columns import INTERVAL
from .units import parse_unit
from .values import unit_of

__all__ = ["ColumnRecord", "Reading", "abridged"]

#: A band, and a number, as words of a name.
_BAND = re.compile(r"(?<![A-Za-z0-9])[ugrizyYJHK](?![A-Za-z0-9])")
_NUMBER = re.compile(r"(?<![0-9])[0-9]+(?![0-9])")

#: Parts of an `Assignment` that are columns themselves, and what each of them holds.
PARTS = {
    "error": "{}_{}",
    "depth": "depth of {}",
    "limit": "limits of {}",
    "extinction": "extinction in {}",
}

#: How much of each the line of the log has room for.
_NAMES, _KINDS, _IGNORED, _NOTES, _NOTE_LENGTH = 8, 3, 4, 3, 140


@dataclass
class ColumnRecord:
    """What became of one column.

    Parameters
    ----------
    column : str
    holds : str
        A filter, property or vector, one of these with ``_err``, ``_ivar``, ``_lo`` or ``_hi``, or
        another use; empty if the column is not read. For a column that was passed over, what it
        would have held.
    used : bool
        Whether the column was read.
    source : str
        What the recognition rests on.
    unit : str
    unit_from : {"", "column", "convention", "columns="}
        Who says so.
    error : str
        The column of its errors.
    measured, limits, missing : int or None
        How many values are in each state; of a vector, elements on the model's grid.
    counts : dict of str to int
        How many values are of no use or limits, by reason.
    sentinels : str
        Special values that the convention knows, with their meaning.
    remark : str
        Why a column is not read.
    instead : str
        The column for which it was passed over.
    band : str
        The band of a column of which the survey is not known.
    problem : str
        Why the table is refused, if it is because of this column.
    """

    column: str
    holds: str = ""
    used: bool = False
    source: str = ""
    unit: str = ""
    unit_from: str = ""
    error: str = ""
    measured: int | None = None
    limits: int | None = None
    missing: int | None = None
    counts: dict = field(default_factory=dict)
    sentinels: str = ""
    remark: str = ""
    instead: str = ""
    band: str = ""
    problem: str = ""


@dataclass
class Reading:
    """How a table was read.

    Parameters
    ----------
    convention : str
        The naming convention, or conventions, taken.
    columns : dict of str to str
        Column to what it was read as: a filter, property or vector; its name with ``_err`` or, of
        inverse variances, ``_ivar``; of the ends of an interval with ``_lo`` and ``_hi``; of upper
        limits with ``_limit`` and their level, as ``lsst_u_limit[3 sigma]``.
        SPHEREx channels in columns of their own appear by their filters' names.
    ignored : list of str
        Columns not used.
    ids : astropy.table.Table or None
        The columns that say which object a galaxy is, to be kept in the result, with a row for
        each galaxy.
    ebv : ndarray, shape (n,), or None
        E(B-V) of each galaxy, NaN where it is not known; None if no column holds it.
    counts : Counter
        How many values had a sentinel, a mask or another fault, by kind.
    notes : list of str
        What else the user should know.
    warnings : list of str
        What the user must not miss, since light that is there is not read. These are notes too.
    records : dict of str to ColumnRecord
        What became of each column.
    problems : list of str
        Why the table is refused, where that is not because of one column.
    lenient : bool
        Whether what is wrong is written down, instead of being raised.
    """

    convention: str = ""
    columns: dict = field(default_factory=dict)
    ignored: list = field(default_factory=list)
    ids: Table | None = None
    ebv: np.ndarray | None = None
    counts: Counter = field(default_factory=Counter)
    notes: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    records: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    lenient: bool = False

    @property
    def id_columns(self):
        """Names of the columns of `ids`."""
        return [] if self.ids is None else self.ids.colnames

    def read(self, table, assignment, read):
        """What a column holds, with a record of it.

        Parameters
        ----------
        table : astropy.table.Table
        assignment : Assignment
        read : callable
            Called with a `~collections.Counter` that gains how many values are of no use, by
            reason; returns a `Measurement`.

        Returns
        -------
        Measurement or None
            None if it cannot be read and the reading is lenient.

        Raises
        ------
        ValueError
            As ``read`` does, unless the reading is lenient.
        """
        counts = Counter()
        try:
            measured = read(counts)
        except ValueError as error:
            if not self.lenient:
                raise
            measured = None
            self.record(table, assignment).problem = str(error)
        else:
            self.counts.update(counts)
            self.record(table, assignment, measured.state, counts)
        return measured

    def record(self, table, assignment, state=None, counts=()):
        """Write down what a column was taken for, and the columns that go with it.

        Parameters
        ----------
        table : astropy.table.Table
        assignment : Assignment
        state : ndarray, optional
            The states of what was read.
        counts : Counter
            How many values are of no use, by reason.

        Returns
        -------
        ColumnRecord
        """
        record = self.of(assignment.column)
        record.holds, record.used, record.source = assignment.target, True, assignment.source
        record.error = assignment.error or ""
        record.unit, record.unit_from = _unit(table, assignment)
        record.sentinels = ", ".join(f"{s:g} {what}" for s, what in assignment.sentinels.items())
        record.counts, record.remark = dict(counts), ""
        if state is not None:
            record.measured, record.limits, record.missing = (
                int(np.count_nonzero(state == s)) for s in (MEASURED, LIMIT, MISSING)
            )
        for name, end in zip(assignment.interval or (), INTERVAL, strict=False):
            other = self.of(name)
            other.holds, other.used, other.remark = f"{assignment.target}_{end}", True, ""
        for part, holds in PARTS.items():
            if name := part_of(assignment, part):
                other = self.of(name)
                inverse = "ivar" if assignment.inverse_variance else "err"
                other.holds, other.used = holds.format(assignment.target, inverse), True
                other.remark = ""
                other.unit = _unit_of_column(table, name)
                other.unit_from = "column" if other.unit else ""
        return record

    def of(self, column):
        """The `ColumnRecord` of a column."""
        return self.records.setdefault(column, ColumnRecord(column))

    def set_aside(self, column, why, holds="", band=""):
        """Write down why a column is not read, and what it would hold, or its band, if known."""
        record = self.of(column)
        record.remark, record.holds, record.band = why, holds, band

    def pass_over(self, assignment, taken):
        """Write down that a column is not read because another holds the same."""
        record = self.of(assignment.column)
        record.holds, record.source = assignment.target, assignment.source
        record.instead, record.remark = taken.column, f"passed over for {taken.column}"
        if assignment.error:
            self.of(assignment.error).remark = f"errors of {assignment.column}"

    def refuse(self, message, *columns):
        """Raise ValueError; if the reading is lenient, write it down and go on.

        Parameters
        ----------
        message : str
        *columns : str
            The columns that are to blame; the table as a whole if there are none.
        """
        if not self.lenient:
            raise ValueError(message)
        for column in columns:
            self.of(column).problem = message
        if not columns:
            self.problems.append(message)

    def warn(self, message):
        """Write down what the user must not miss."""
        self.notes.append(message)
        self.warnings.append(message)

    def summary(self):
        """One line that says it all, however many columns there are."""
        parts = [f"read as {self.convention}: " + _listed(self.columns)]
        if self.counts:
            parts.append(abridged([f"{n} {kind}" for kind, n in self.counts.items()], _KINDS))
        if self.ignored:
            parts.append("ignored: " + abridged(self.ignored, _IGNORED))
        parts += [_shortened(note) for note in self.notes[:_NOTES]]
        if len(self.notes) > _NOTES:
            parts.append(f"{len(self.notes) - _NOTES} more notes in meta['input']['notes']")
        return " ".join("; ".join(parts).split())

    def to_meta(self):
        """The same as plain types, for the meta of a table."""
        return {
            "convention": self.convention,
            "columns": dict(self.columns),
            "ignored": list(self.ignored),
            "counts": {kind: int(n) for kind, n in self.counts.items()},
            "notes": list(self.notes),
        }


def part_of(assignment, part):
    """The name of a column that goes with an assignment (see `PARTS`), or None."""
    name = getattr(assignment, part, None)
    return name[0] if isinstance(name, tuple) else name


def _unit(table, assignment):
    """The unit of a column, and who says so."""
    own = _unit_of_column(table, assignment.column)
    try:
        unit = parse_unit(assignment.column, getattr(table[assignment.column], "unit", None))
        taken = unit_of(assignment, unit)
    except ValueError:
        return own, "column" * bool(own)
    if taken is None:
        return "", ""
    if assignment.told_unit:
        return assignment.unit, "columns="
    return (own, "column") if taken == unit else (assignment.unit, "convention")


def _unit_of_column(table, name):
    unit = getattr(table[name], "unit", None)
    return "" if unit is None else str(unit)


def _listed(columns):
    """Columns that are named by what they hold by their name, the others with what they hold."""
    values = {c: t for c, t in columns.items() if not t.endswith(("_err", "_ivar", "_lo", "_hi"))}
    return abridged([c if c == t else f"{c} = {t}" for c, t in values.items()], _NAMES)


def abridged(names, most):
    """Names in one line: the first of them, and how many there are more.

    Those that differ by their band or a number are told together: ``[ugriz]_psfFlux``,
    ``spherex_001-102``.
    """
    names = [(name, 1) for name in names]
    names = _together(names, _BAND, lambda bands: f"[{''.join(bands)}]")
    names = _together(names, _NUMBER, lambda numbers: f"{numbers[0]}-{numbers[-1]}")
    shown = names if len(names) <= most + 1 else names[:most]  # "1 more" is no shorter
    rest = sum(n for _, n in names[len(shown) :])
    return ", ".join(name for name, _ in shown) + (f" and {rest} more" if rest else "")


def _together(names, pattern, joined):
    """Names with their numbers, of which three or more that differ by one word are made one."""
    groups = {}
    for name, n in names:
        found = pattern.search(name)
        word = found[0] if found else ""
        # All occurrences, as in "u_psfFlux = lsst_u".
        key = re.sub(pattern.pattern, lambda m, w=word: "\0" if m[0] == w else m[0], name)
        groups.setdefault(key, []).append((name, n, word))
    together = []
    for key, group in groups.items():
        members, numbers, words = zip(*group, strict=True)
        if len(group) < 3 or len(set(words)) < len(group):
            together += zip(members, numbers, strict=True)
        else:
            together.append((key.replace("\0", joined(words)), sum(numbers)))
    return together


def _shortened(note):
    return note if len(note) <= _NOTE_LENGTH else note[: _NOTE_LENGTH - 3].rstrip(" ,") + "..."
