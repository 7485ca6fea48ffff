"""Which column of a table holds what: by the user's word, by its name, or by its description."""

from collections import Counter
from dataclasses import dataclass, field, replace

from ..filters import canonical_name
from ..properties import PROPERTIES, VECTORS
from .columns import CONVENTIONS, ERRORS, SURVEYS, recognise, surveys_named_in
from .histories import HISTORIES

__all__ = ["Assignment", "assign_columns"]

#: Ranks of a column that the user has named, and of one named by what it holds. The others have
#: their place in `CONVENTIONS`.
_BY_USER, _BY_NAME = -2, -1


@dataclass(frozen=True)
class Assignment:
    """A column that holds a filter, property or vector.

    Parameters
    ----------
    column : str
    target : str
        What it holds: a canonical filter name, a property or a vector.
    rank : int
        The column of the lowest rank is taken where several hold the same.
    error : str or None
        The column of its errors.
    source : str
        What the recognition rests on, in words.
    unit : str or None
        The unit that the convention defines.
    sentinels : dict of float to str
    softening : float or None
        Parameter of asinh magnitudes.
    to_ab : float
        What to add to a magnitude.
    """

    column: str
    target: str
    rank: int
    error: str | None = None
    source: str = ""
    unit: str | None = None
    sentinels: dict = field(default_factory=dict)
    softening: float | None = None
    to_ab: float = 0.0


def assign_columns(table, columns=None):
    """Which columns of a table to read, and how.

    Parameters
    ----------
    table : astropy.table.Table
    columns : dict of str to str or None, optional
        Column to what it holds, as `read_table` takes it.

    Returns
    -------
    assignments : list of Assignment
        One for each filter, property or vector.
    notes : list of str

    Raises
    ------
    ValueError
        If ``columns`` names what does not exist, or the only photometry is in columns of which
        the filter set is not known.
    """
    told, told_errors, left_out = _told(table, columns or {})
    candidates, nameless = [], []
    for column in table.colnames:
        if column in left_out:
            continue
        target, index = recognise(column)
        if column in told:
            candidates.append(_assignment(column, told[column], _BY_USER, index))
        elif target is not None:
            candidates.append(_assignment(column, target, _BY_NAME, index))
        elif index is not None:
            nameless.append((column, index))
    resolved, notes, unresolved = _resolve(table, nameless)
    candidates += resolved

    best = {}
    for candidate in candidates:
        other = best.setdefault(candidate.target, candidate)
        if other is not candidate and other.rank == candidate.rank:
            raise ValueError(
                f"columns {other.column!r} and {candidate.column!r} both hold "
                f"{candidate.target!r}; leave one out with columns={{{candidate.column!r}: None}}"
            )
        if candidate.rank < other.rank:
            best[candidate.target] = candidate
    if stray := set(told_errors) - set(best):
        name = min(stray)
        raise ValueError(
            f"columns= says that {told_errors[name]!r} holds the errors of {name!r}, but no column "
            f"holds {name!r} itself"
        )
    passed_over = [c.column for c in candidates if c is not best[c.target]]
    if passed_over:
        notes.append(f"{', '.join(passed_over)} passed over for other columns of the same filters")

    if unresolved:
        _complain_or_note(unresolved, best, notes)
    lower = {c.lower(): c for c in table.colnames if c not in left_out}
    return [_with_error(a, told_errors, lower) for a in best.values()], notes


def _told(table, columns):
    """The user's word: dicts of column to target and target to column of errors; ignored."""
    told, errors = {}, {}
    for column, what in columns.items():
        if column not in table.colnames:
            raise ValueError(
                f"columns= names {column!r}, which the table does not have; it has "
                f"{', '.join(table.colnames)}"
            )
        if what is None:
            continue
        target = what.removesuffix("_err")
        if target not in PROPERTIES and target not in VECTORS:
            target = canonical_name(target)
        if what.endswith("_err"):
            if target in errors:
                raise ValueError(f"columns= names two columns of errors for {target!r}")
            errors[target] = column
        else:
            told[column] = target
    ignored = {c for c, what in columns.items() if what is None} | set(errors.values())
    return told, errors, ignored


def _assignment(column, target, rank, index, survey=None, source=""):
    """An assignment with all that the convention of that index defines."""
    if index is None:
        source = source or ("columns=" if rank == _BY_USER else "names of filters or properties")
        return Assignment(column, target, rank, source=source)
    convention = CONVENTIONS[index]
    band = convention.band(column)
    survey = survey or SURVEYS.get(convention.survey)
    if survey is not None and survey.filters.get(band) != target:
        # The user says that it is another filter: nothing of the survey's system holds then.
        survey = None
    return Assignment(
        column,
        target,
        rank=rank if rank == _BY_USER else index,
        source="columns=" if rank == _BY_USER else f"{source or survey.name} {convention.value}",
        unit=convention.unit,
        sentinels=convention.sentinels,
        softening=survey.softening.get(band) if survey else None,
        to_ab=survey.to_ab.get(band, 0.0) if survey else 0.0,
    )


def _resolve(table, nameless):
    """Find the survey of columns such as ``mag_g`` in descriptions.

    Returns assignments, notes, and (column, band, names of surveys) of those that stay unknown.
    """
    letters = [c for c, index in nameless if CONVENTIONS[index].value == "{b}"]
    notes, assignments, unresolved = [], [], []
    table_says = surveys_named_in(" ".join(str(v) for v in table.meta.values()))
    for column, index in nameless:
        if column in letters and not _is_photometry(table, column, letters):
            if column.lower() == "z" and len(letters) > 1:
                notes.append(f"column {column!r} is not read: its unit is not that of the bands")
            continue
        said = surveys_named_in(str(table[column].info.description or ""))
        where = "description of the columns" if said else "description of the table"
        surveys = said or table_says
        band = CONVENTIONS[index].band(column)
        if len(surveys) == 1 and band in surveys[0].filters:
            source = f"{surveys[0].name} (by the {where})"
            filter_name = surveys[0].filters[band]
            assignments.append(_assignment(column, filter_name, index, index, surveys[0], source))
        else:
            unresolved.append((column, band, [s.name for s in surveys]))
    return assignments, notes, unresolved


def _is_photometry(table, column, letters):
    """Whether a column named by one letter is a band: not alone, and with the others' unit.

    This tells the z band from a redshift.
    """
    unit = Counter(str(table[c].unit) for c in letters).most_common(1)[0][0]
    return len(letters) > 1 and str(table[column].unit) == unit


def _complain_or_note(unresolved, best, notes):
    """Raise if there is no other photometry than that of unknown filters."""
    names = [column for column, _, _ in unresolved]
    surveys = sorted({name for _, _, found in unresolved for name in found})
    text = f"the filters of {', '.join(names)} are not known" + (
        f" (descriptions speak of {', '.join(surveys)})" if surveys else ""
    )
    if all(name in PROPERTIES or name in HISTORIES for name in best):
        example = ", ".join(f"{c!r}: 'lsst_{b}'" for c, b, _ in unresolved[:2])
        raise ValueError(
            f"{text}: say which they are, e.g. columns={{{example}{', ...' * (len(names) > 2)}}}, "
            "or name the survey in the columns' descriptions; "
            "astromosaic.filters.list_filters() lists all filters"
        )
    notes.append(text)


def _with_error(assignment, told_errors, lower):
    """The assignment with its column of errors, if there is one."""
    column, target = assignment.column, assignment.target
    names = [pattern.format(c=column) for pattern in ERRORS]
    _, index = recognise(column)
    if index is not None:
        convention = CONVENTIONS[index]
        band = convention.band(column)
        names = [pattern.format(b=band) for pattern in convention.errors] + names
    found = told_errors.get(target) or next(
        (lower[name.lower()] for name in names if name.lower() in lower), None
    )
    return replace(assignment, error=found)
