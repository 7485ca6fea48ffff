"""`Reading`: the record of how a table was read, for the log and for the result's meta."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Reading"]


@dataclass
class Reading:
    """How a table was read.

    Parameters
    ----------
    convention : str
        The naming convention, or conventions, taken.
    columns : dict of str to str
        Column to what it was read as: a filter, property or vector, or its name with ``_err``.
        SPHEREx channels in columns of their own appear by their filters' names.
    ignored : list of str
        Columns not used.
    id_columns : list of str
        Columns that say which object a row is, to be kept in the result.
    counts : Counter
        How many values had a sentinel, a mask or another fault, by kind.
    notes : list of str
        What else the user should know.
    """

    convention: str = ""
    columns: dict = field(default_factory=dict)
    ignored: list = field(default_factory=list)
    id_columns: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    notes: list = field(default_factory=list)

    def summary(self):
        """One line that says it all."""
        parts = [f"read as {self.convention}: " + _listed(self.columns)]
        if self.counts:
            parts.append(", ".join(f"{n} {kind}" for kind, n in self.counts.items()))
        if self.ignored:
            parts.append("ignored: " + _abridged(self.ignored))
        return "; ".join([*parts, *self.notes])

    def to_meta(self):
        """The same as plain types, for the meta of a table."""
        return {
            "convention": self.convention,
            "columns": dict(self.columns),
            "ignored": list(self.ignored),
            "counts": {kind: int(n) for kind, n in self.counts.items()},
            "notes": list(self.notes),
        }


def _listed(columns):
    """Columns that are named by what they hold by their name, the others with what they hold."""
    values = {c: t for c, t in columns.items() if not t.endswith("_err")}
    return _abridged([c if c == t else f"{c} = {t}" for c, t in values.items()])


def _abridged(names, most=12):
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
