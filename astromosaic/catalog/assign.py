"""Which column of a table holds what: by the user's word, by its name, or by its description."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from os.path import commonprefix

import numpy as np

from ..filters import canonical_name, within_range
from ..filters.names import find_name
from ..properties import PROPERTIES, VECTORS
from .columns import (
    CONVENTIONS,
    ERRORS,
    INTERVAL,
    INVERSE_VARIANCES,
    SURVEYS,
    is_inverse_variance,
    is_reddening,
    limited_filter,
    recognise,
    surveys_named_in,
)
from .histories import HISTORIES
from .reading import Reading
from .units import asinh_unit, parse_unit, plain

__all__ = ["Assignment", "assign_columns"]

#: Ranks of a column that the user has named, and of one named by what it holds. The others have
#: their place in `CONVENTIONS`.
_BY_USER, _BY_NAME = -2, -1

#: What a column may hold that is neither a filter nor a property nor a vector: Galactic reddening.
_REDDENING = "ebv"

#: The user's word: what a column holds, and in brackets the unit or the level of limits.
_WORD = re.compile(r"(?P<what>[^\[\]]+?)\s*(?:\[(?P<brackets>.*)\])?")
_LEVEL = re.compile(r"(?P<sigma>\d+(?:\.\d*)?|\.\d+)[ -]?(?:sigma|σ)", re.I)


@dataclass(frozen=True)
class Assignment:
    """A column that holds a filter, property or vector.

    Parameters
    ----------
    column : str
    target : str
        What it holds: a canonical filter name, a property, a vector, or ``"ebv"``.
    rank : int
        The column of the lowest rank is taken where several hold the same.
    error : str or None
        The column of its errors.
    source : str
        What the recognition rests on, in words.
    unit : str or None
        The unit that the convention defines, or that the user tells.
    sentinels : dict of float to str
    softening : float or None
        Parameter of asinh magnitudes.
    to_ab : float
        What to add to a magnitude; a flux has the factor that belongs to it.
    depth : str or None
        The column of the magnitudes of one sigma, for values that were not detected.
    inverse_variance, dereddened
        As of `Convention`.
    limit_sigma : float or None
        Where the error is missing the value is an upper limit of so many sigma; so are all values
        if there is no column of errors.
    extinction : str or None
        The column of the Galactic extinction in this band, in magnitudes.
    limit : tuple of (str, float) or None
        A column of upper limits, which hold where nothing is measured, and their level in sigma.
    told_unit : bool
        Whether the user has told the unit, which then counts whatever the column's own is.
    error_unit, limit_unit : str or None
        Units of the columns of errors and of limits that the user tells.
    interval : tuple of (str, str) or None
        The columns of the ends of the 68% interval of a property without errors, as results of
        predictions have them, in its unit.
    survey, kind : str
        The survey whose convention names the column, and which of its kinds of magnitude it holds.
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
    depth: str | None = None
    inverse_variance: bool = False
    dereddened: bool = False
    limit_sigma: float | None = None
    extinction: str | None = None
    limit: tuple | None = None
    told_unit: bool = False
    error_unit: str | None = None
    limit_unit: str | None = None
    interval: tuple | None = None
    survey: str = ""
    kind: str = ""


@dataclass(frozen=True)
class _Word:
    """What the user says of a column: its target, and the part of that which the column is."""

    column: str
    target: str
    part: str = "value"
    unit: str | None = None
    sigma: float | None = None
    inverse_variance: bool = False


def assign_columns(table, columns=None, reading=None):
    """Which columns of a table to read, and how.

    Of each survey one kind of magnitude is taken for all bands: that which most bands have, and of
    several such the one that comes first in `CONVENTIONS`. Colours of one kind are worth more than
    the best magnitude in each band.

    Parameters
    ----------
    table : astropy.table.Table
    columns : dict of str to str or None, optional
        Column to what it holds, as `read_table` takes it.
    reading : Reading, optional
        Learns why columns are not read.

    Returns
    -------
    assignments : list of Assignment
        One for each filter, property or vector.
    notes : list of str

    Raises
    ------
    ValueError
        If ``columns`` names what does not exist, the level of upper limits is not told, or the
        only photometry is in columns of which the filter set is not known.
    """
    reading = Reading() if reading is None else reading
    words, left_out = _words(table, columns or {})
    told = {word.column: word for word in words if word.part == "value"}
    told_errors = _parts_told(words, "error")
    for column in left_out:
        reading.set_aside(column, "left out by columns=")
    limits = _limits(table, _parts_told(words, "limit"), left_out | told.keys(), reading)
    left_out |= {w.column for w in (*told_errors.values(), *limits.values())}

    names = {}
    for column in table.colnames:
        if column not in left_out:
            names.setdefault(column.lower(), []).append(column)
    candidates, nameless = [], []
    for column in table.colnames:
        if column in left_out:
            continue
        target, index = _recognise(column, names)
        if column in told:
            candidates.append(_assignment(column, told[column].target, _BY_USER, index, names))
        elif target is not None:
            candidates.append(_assignment(column, target, _BY_NAME, index, names))
        elif index is not None:
            nameless.append((column, index))
    resolved, notes, unresolved, without_curve = _resolve(table, nameless, names, reading)
    candidates, left, kinds = _one_kind_each(candidates + resolved)
    best = _best(candidates, reading)
    _note_passed_over(candidates, left, best, kinds, notes, reading)

    if stray := set(told_errors) - set(best):
        name = min(stray)
        raise ValueError(
            f"columns= says that {told_errors[name].column!r} holds the errors of {name!r}, but no "
            f"column holds {name!r} itself"
        )
    alone = not limits and all(t in {*PROPERTIES, *HISTORIES, _REDDENING} for t in best)
    if unresolved:
        _complain_or_note(unresolved, alone, reading)
    if without_curve:
        _note_without_curve(without_curve, alone and not unresolved, reading)
    assignments = [
        _with_words(a, told.get(a.column), told_errors.get(t), limits.get(t))
        for t, a in best.items()
    ]
    taken = left_out | set(told)
    assignments = [replace(a, interval=_interval(table, a, taken)) for a in assignments]
    assignments += [_of_limits(word) for t, word in limits.items() if t not in best]
    for note in dict.fromkeys(SURVEYS[a.survey].note for a in assignments if a.survey):
        if note:
            notes.append(note)
    return assignments, notes


def _recognise(column, names):
    """What `recognise` tells of a column, and Galactic reddening."""
    target, index = recognise(column, frozenset(names))
    if (target, index) == (None, None) and is_reddening(column):
        return _REDDENING, None
    return target, index


# The user's word


def _words(table, columns):
    """What ``columns=`` says of columns, and the set of those that it leaves out."""
    for column in columns:
        if column not in table.colnames:
            raise ValueError(
                f"columns= names {column!r}, which the table does not have; it has "
                f"{', '.join(table.colnames)}"
            )
    words = [_word(column, what) for column, what in columns.items() if what is not None]
    return words, {column for column, what in columns.items() if what is None}


def _word(column, what):
    """What ``columns=`` says of one column; raises ValueError if it cannot be understood."""
    found = _WORD.fullmatch(what.strip())
    if found is None:
        raise ValueError(
            f"columns= says {what!r} of {column!r}, which is not understood: say what the column "
            "holds, and in brackets its unit where it has none, e.g. 'lsst_r[uJy]'"
        )
    name, unit, sigma = found["what"], None, None
    for item in filter(None, (part.strip() for part in (found["brackets"] or "").split(","))):
        if level := _LEVEL.fullmatch(item):
            sigma = float(level["sigma"])
        else:
            unit = item
    limited, sigma_in_name = limited_filter(name)
    if limited is not None:
        return _Word(column, limited, "limit", unit, sigma or sigma_in_name)
    if sigma is not None:
        raise ValueError(
            f"columns= gives {column!r} the level of upper limits, but says that it holds "
            f"{name!r}: upper limits in a filter are called e.g. 'lsst_u_limit[{sigma:g} sigma]'"
        )
    ending = next((ending for ending in ("_err", "_ivar") if name.endswith(ending)), "")
    target = name.removesuffix(ending)
    if ending == "_err" and is_inverse_variance(column):
        raise ValueError(
            f"columns= says that {column!r} holds errors, but by its name it holds inverse "
            f"variances: say '{target}_ivar' (with a unit in brackets if it has none and is not in "
            "one over the square of that of the values), or give the column another name"
        )
    if target not in PROPERTIES and target not in VECTORS and target != _REDDENING:
        try:
            target = canonical_name(target)
        except ValueError as error:
            raise ValueError(f"columns= says {what!r} of {column!r}: {error}") from None
    if unit and target in VECTORS and target != "spherex":
        raise ValueError(
            f"columns= gives {column!r} a unit in brackets, which {target!r} cannot have: give it "
            f"to the column, table[{column!r}].unit = {unit!r}"
        )
    part = "error" if ending else "value"
    return _Word(column, target, part, unit, inverse_variance=ending == "_ivar")


def _parts_told(words, part):
    """Target to the user's word on its errors or limits."""
    found = {}
    for word in words:
        if word.part == part and found.setdefault(word.target, word) is not word:
            raise ValueError(f"columns= names two columns of {part}s for {word.target!r}")
    return found


def _limits(table, told, others, reading):
    """Target to what is known of its column of upper limits, told or by the column's name."""
    found = dict(told)
    for column in table.colnames:
        target, sigma = limited_filter(column)
        if target is None or column in others or any(w.column == column for w in told.values()):
            continue
        found.setdefault(target, _Word(column, target, "limit", None, sigma))
    for target, word in list(found.items()):
        if not word.sigma:
            reading.refuse(
                f"column {word.column!r} holds upper limits in {target}, but at which level is not "
                f"known: say it, columns={{{word.column!r}: '{target}_limit[3 sigma]'}}, or call "
                f"the column {target + '_limit_3sigma'!r}",
                word.column,
            )
            del found[target]
    return found


def _with_words(assignment, value, error, limit):
    """An assignment with what the user tells, and its upper limits."""
    if value is not None and value.unit:
        # The unit says all there is to say: no survey's own scale holds beside it, but for that
        # of asinh magnitudes.
        softening, to_ab = _own_scale(assignment, value.unit)
        assignment = replace(
            assignment, unit=value.unit, told_unit=True, softening=softening, to_ab=to_ab
        )
    if error is not None:
        assignment = replace(
            assignment,
            error=error.column,
            error_unit=error.unit,
            inverse_variance=error.inverse_variance,
            interval=None,
        )
    if limit is not None:
        assignment = replace(assignment, limit=(limit.column, limit.sigma), limit_unit=limit.unit)
    return assignment


def _interval(table, assignment, taken):
    """The columns of the ends of the interval of a property without errors, or None.

    Names prove little: asymmetric errors are called the same. All values must lie between them.
    """
    ends = tuple(f"{assignment.column}_{end}" for end in INTERVAL)
    if assignment.target not in PROPERTIES or assignment.error is not None:
        return None
    if not set(ends) <= set(table.colnames) - taken:
        return None
    try:
        parts = [plain(name, table[name]) for name in (ends[0], assignment.column, ends[1])]
    except ValueError:
        return None
    shapes, units = {x.shape for x, _, _ in parts}, {str(unit) for _, _, unit in parts}
    if len(shapes) > 1 or len(units) > 1:
        return None
    low, value, high = (np.where(mask, np.nan, x) for x, mask, _ in parts)
    whole = np.isfinite(low) & np.isfinite(value) & np.isfinite(high)
    inside = (low <= value) & (value <= high) & (low < high)
    return ends if whole.any() and inside[whole].all() else None


def _own_scale(assignment, unit):
    """Softening and offset to AB of the survey of a filter, if a unit is one of asinh magnitudes;
    otherwise None and 0."""
    if asinh_unit(parse_unit(assignment.column, unit)):
        for survey in SURVEYS.values():
            for band, softening in survey.softening.items():
                if survey.filters[band] == assignment.target:
                    return softening, survey.to_ab.get(band, 0.0)
    return None, 0.0


def _of_limits(word):
    """An assignment of upper limits alone."""
    source = "names of filters or properties"
    return Assignment(word.column, word.target, _BY_NAME, source=source, unit=word.unit,
                      told_unit=bool(word.unit), limit_sigma=word.sigma)  # fmt: skip


# Conventions


def _assignment(column, target, rank, index, names, survey=None, source=""):
    """An assignment with all that the convention of that index defines.

    ``names`` has the table's columns, lists of them, by their names in lower case.
    """
    if index is None:
        source = source or ("columns=" if rank == _BY_USER else "names of filters or properties")
        found = Assignment(column, target, rank, source=source)
        return _with_error(found, [], names)
    convention = CONVENTIONS[index]
    band = convention.band(column)
    survey = survey or SURVEYS.get(convention.survey)
    if survey is not None and survey.filters.get(band) != target:
        # The user says that it is another filter: nothing of the survey's system holds then.
        survey = None
    unit, is_flux = convention.unit, "flux" in convention.value.lower()
    if unit is None and survey is not None and survey.vega and not is_flux:
        unit = "mag(Vega)"

    def first(patterns):
        written = (_named(pattern.format(b=band), names, column) for pattern in patterns)
        return next((found for found in written if found), None)

    found = Assignment(
        column,
        target,
        rank=rank if rank == _BY_USER else index,
        source="columns=" if rank == _BY_USER else f"{source or survey.name} {convention.value}",
        unit=unit,
        sentinels=convention.sentinels,
        softening=survey.softening.get(band) if survey and not is_flux else None,
        to_ab=survey.to_ab.get(band, 0.0) if survey else 0.0,
        depth=first(convention.depths),
        dereddened=convention.dereddened,
        extinction=None if convention.dereddened else first(convention.extinctions),
        inverse_variance=convention.inverse_variance,
        survey=survey.name if survey and rank != _BY_USER else "",
        kind=convention.kind,
    )
    found = _with_error(found, [name.format(b=band) for name in convention.errors], names)
    return replace(found, limit_sigma=convention.limit_sigma if found.error else None)


def _with_error(assignment, conventional, names):
    """The assignment with its column of errors or inverse variances, if there is one."""
    for inverse, wanted in (
        (assignment.inverse_variance, conventional),
        (False, [pattern.format(c=assignment.column) for pattern in ERRORS]),
        (True, [pattern.format(c=assignment.column) for pattern in INVERSE_VARIANCES]),
    ):
        for name in wanted:
            if found := _named(name, names, assignment.column):
                return replace(assignment, error=found, inverse_variance=inverse)
    return replace(assignment, inverse_variance=False)


def _named(name, names, beside):
    """The column of a name, in whatever case, that goes with another column; None without any.

    Of those that differ in case alone it is the one that is spelt most like the other.
    """

    def alike(column):
        ends = (column, beside), (column[::-1], beside[::-1])
        return sum(len(commonprefix(pair)) for pair in ends)

    return max(names.get(name.lower(), ()), key=alike, default=None)


def _one_kind_each(candidates):
    """Those candidates that are of the kind that is taken of their survey, and the others.

    Filters that the model does not cover, or that are given by name, do not count. Returns the
    kind of each survey as well.
    """
    by_name = {a.target for a in candidates if a.rank < 0}
    kinds = {}
    for a in candidates:
        if a.survey and a.target not in by_name:
            targets, first = kinds.setdefault(a.survey, {}).get(a.kind, (set(), a.rank))
            new = {a.target} if within_range(a.target) else set()
            kinds[a.survey][a.kind] = targets | new, min(first, a.rank)
    taken = {
        survey: max(found, key=lambda kind: (len(found[kind][0]), -found[kind][1]))
        for survey, found in kinds.items()
    }
    kept, left = [], []
    for a in candidates:
        (kept if a.kind == taken.get(a.survey, a.kind) else left).append(a)
    return kept, left, taken


def _best(candidates, reading):
    """Target to the candidate of lowest rank."""
    best = {}
    for candidate in candidates:
        other = best.setdefault(candidate.target, candidate)
        if other is not candidate and other.rank == candidate.rank:
            reading.refuse(
                f"columns {other.column!r} and {candidate.column!r} both hold "
                f"{candidate.target!r}; leave one out with columns={{{candidate.column!r}: None}}",
                candidate.column,
            )
        if candidate.rank < other.rank:
            best[candidate.target] = candidate
    return best


def _note_passed_over(candidates, left, best, kinds, notes, reading):
    """Say which columns are not read because of others."""
    passed_over = [a for a in candidates if a is not best[a.target]]
    passed_over += [a for a in left if a.target in best]
    for a in passed_over:
        reading.pass_over(a, best[a.target])
    if passed_over:
        notes.append(f"{_grouped(passed_over)} passed over for other columns of the same filters")
    alone = [a for a in left if a.target not in best]
    for survey in dict.fromkeys(a.survey for a in alone):
        of_survey = [a for a in alone if a.survey == survey]
        kind = kinds[survey]
        example = of_survey[0]
        for a in of_survey:
            reading.set_aside(a.column, f"{a.kind}, where {kind} is taken of {survey}", a.target)
        notes.append(
            f"{_grouped(of_survey)} not read: of {survey} only {kind} is taken, so that colours "
            f"are of one kind (columns={{{example.column!r}: {example.target!r}}} takes it "
            "nevertheless)"
        )


def _grouped(assignments):
    """The names of columns; those that differ by the band alone are told together."""
    groups = {}
    for a in assignments:
        pattern = CONVENTIONS[a.rank].value if a.rank >= 0 else a.column
        groups.setdefault(pattern, []).append(a.column)
    return ", ".join(_together(p, columns) for p, columns in groups.items())


def _together(pattern, columns):
    """Columns of one pattern as one name, such as ``[ugr]_psfFlux``."""
    if len(columns) == 1:
        return columns[0]
    start, end = (len(part) for part in pattern.split("{b}"))
    bands = [column[start : len(column) - end] for column in columns]
    joined = "".join(bands) if max(map(len, bands)) == 1 else ",".join(bands)
    return f"{columns[0][:start]}[{joined}]{columns[0][len(columns[0]) - end :]}"


def _resolve(table, nameless, names, reading):
    """Find the survey of columns such as ``mag_g`` in descriptions.

    Returns assignments, notes, (column, band, names of surveys) of those that stay unknown, and
    (survey, column, index) of those whose filter has no curve.
    """
    letters = [c for c, index in nameless if CONVENTIONS[index].value == "{b}"]
    notes, assignments, unresolved, without_curve = [], [], [], []
    table_says = surveys_named_in(" ".join(str(v) for v in table.meta.values()))
    for column, index in nameless:
        if column in letters and not _is_photometry(table, column, letters):
            if column.lower() == "z" and len(letters) > 1:
                notes.append(f"column {column!r} is not read: its unit is not that of the bands")
                reading.set_aside(column, "its unit is not that of the bands")
            continue
        band = CONVENTIONS[index].band(column)
        surveys, source = _surveys_of(table[column], index, table_says)
        survey = surveys[0] if len(surveys) == 1 else None
        if survey is None or band not in survey.filters:
            unresolved.append((column, band, [s.name for s in surveys]))
            conventional = [name.format(b=band) for name in CONVENTIONS[index].errors]
            if error := _with_error(Assignment(column, "", index), conventional, names).error:
                reading.set_aside(error, f"errors of {column}")
            reading.of(column).unit = CONVENTIONS[index].unit or ""
        elif find_name(survey.filters[band]) is None:
            without_curve.append((survey, column, index))
        else:
            assignments.append(
                _assignment(column, survey.filters[band], index, index, names, survey, source)
            )
    return assignments, notes, unresolved, without_curve


def _surveys_of(column, index, table_says):
    """The surveys that a column may be of, and what says so."""
    if CONVENTIONS[index].survey is not None:
        return [SURVEYS[CONVENTIONS[index].survey]], ""
    said = surveys_named_in(str(column.info.description or ""))
    where = "description of the columns" if said else "description of the table"
    surveys = said or table_says
    return surveys, f"{surveys[0].name} (by the {where})" if surveys else ""


def _is_photometry(table, column, letters):
    """Whether a column named by one letter is a band: not alone, and with the others' unit.

    This tells the z band from a redshift.
    """
    unit = Counter(str(table[c].unit) for c in letters).most_common(1)[0][0]
    return len(letters) > 1 and str(table[column].unit) == unit


def _note_without_curve(without_curve, alone, reading):
    """Say which columns are of filters that have no curve; raise if they are all there is."""
    for survey in {s.name: s for s, _, _ in without_curve}.values():
        found = [(column, index) for s, column, index in without_curve if s is survey]
        # Of several kinds the first says enough.
        first = min(index for _, index in found)
        kind = CONVENTIONS[first].kind
        groups = {}
        for column, index in found:
            name = survey.filters[CONVENTIONS[index].band(column)]
            reading.set_aside(column, f"there is no curve of {name}")
            reading.of(column).unit = CONVENTIONS[index].unit or ""
            if CONVENTIONS[index].kind == kind:
                groups.setdefault(CONVENTIONS[index].value, []).append(column)
        example = next(column for column, index in found if index == first)
        name = survey.filters[CONVENTIONS[first].band(example)]
        text = (
            f"{', '.join(_together(*group) for group in groups.items())} not read, as there are no "
            f"curves of these filters of {survey.name}: make them known, e.g. "
            f"astromosaic.filters.register_filter('{name}.dat', {name!r}), or name filters that "
            f"come close, columns={{{example!r}: ...}}"
        )
        if alone:
            reading.refuse(text)
        else:
            reading.warn(text)


def _complain_or_note(unresolved, alone, reading):
    """Raise if there is no other photometry than that of unknown filters."""
    names = [column for column, _, _ in unresolved]
    surveys = sorted({name for _, _, found in unresolved for name in found})
    text = f"the filters of {', '.join(names)} are not known" + (
        f" (descriptions speak of {', '.join(surveys)})" if surveys else ""
    )
    for column, band, found in unresolved:
        said = f": descriptions speak of {', '.join(found)}" if found else ""
        reading.set_aside(column, f"its survey is not known{said}", band=band)
    if alone:
        example = ", ".join(
            f"{c!r}: '{find_name(f'lsst_{b}') or 'FILTER'}'" for c, b, _ in unresolved[:2]
        )
        reading.refuse(
            f"{text}: say which they are, e.g. columns={{{example}{', ...' * (len(names) > 2)}}}, "
            "or name the survey in the columns' descriptions; "
            "astromosaic.filters.list_filters() lists all filters"
        )
    else:
        reading.warn(text)
