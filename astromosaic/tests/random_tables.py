"""Random tables for property-based tests, and what must hold of every one of them.

`examples` draws tables as users might have them: columns of all conventions and of none, with
units, masks, sentinels, shapes and types right and wrong. `check` reads one and raises
AssertionError if the reading breaks a promise; otherwise it says how it went.
"""

import copy
import re
import traceback
import warnings
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import strategies as st

import astromosaic
from astromosaic.catalog import read_table
from astromosaic.catalog.columns import CONVENTIONS, SURVEYS
from astromosaic.catalog.histories import HISTORIES
from astromosaic.catalog.inspection import inspect_table
from astromosaic.filters import list_filters
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.properties import PROPERTIES, VECTORS

__all__ = ["FAULTS", "Example", "check", "check_fault", "check_prediction", "examples", "faulty"]

SPHEREX = list_filters("spherex")
PACKAGE = Path(astromosaic.__file__).parent

FLUX_UNITS = [
    "nJy", "uJy", "Jy", "mJy", "nmgy", "erg / (s cm2 Hz)", "erg / (s cm2 AA)", "W / (m2 um)",
]  # fmt: skip
MAG_UNITS = ["mag(AB)", "mag", "mag(ST)", "AB mag"]
VEGA_UNITS = ["mag(Vega)", "vegamag"]
MASS_UNITS = ["solMass", "dex(solMass)", "kg", "log(Msun)", "[Msun]"]
RATE_UNITS = ["solMass / yr", "dex(solMass / yr)", "kg / s", "log(Msun/yr)"]
#: Units that are wrong for most columns, misspelt, or none at all.
OTHER_UNITS = [
    None, "", "K", "m", "um", "deg", "ct", "electron / s", "solLum", "W / Hz", "dex", "mag", "nJy",
    "mag(AB)", "mag(asinh)", "nanomaggies", "counts", "foo bar", "Msun/h", "littleh-1 Msun",
    "log10(Msun/h)", "dex(solMass)", "%", "1", "10**-17 erg/s/cm^2/A", "dB", "AB", "1e-29 nJy",
    "mag / arcsec2", "Jy / beam", "nJy2", "1 / nJy2", "Gyr", "mag(nJy)", "dex(nJy)", "A", "(m, s)",
]  # fmt: skip

#: Conversion to nJy of units that need no filter.
TO_NJY = {
    "nJy": lambda x: x,
    "uJy": lambda x: 1e3 * x,
    "mJy": lambda x: 1e6 * x,
    "Jy": lambda x: 1e9 * x,
    "mag(AB)": lambda x: 10 ** (-0.4 * (x - 31.4)),
}

DTYPES = ["f8", "f4", ">f8", ">f4", "f2", "g", "i8", "i4", ">i2", "i1", "u2", "u8"]
#: What may stand in a cell instead of a good value.
SPOILT = [
    np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 99.0, -99.0, 999.0, -999.0, -9999.0, -1000.0, 1e20,
    -1e30, 1e38, 1e300, -1e300, 1e-300, 1e-45, 90.0, -90.0, 22.0, "masked", "masked", "negative",
]  # fmt: skip


@dataclass(repr=False)
class Example:
    """A random table with the arguments that go with it.

    Parameters
    ----------
    table : Table
    columns : dict or None
        As `astromosaic.predict` takes it.
    lookback_time : Quantity or None
    n_sources : int or None
        How many galaxies its ``source_id`` tells apart, where a row is an exposure.
    """

    table: Table
    columns: dict | None = None
    lookback_time: u.Quantity | None = None
    n_sources: int | None = None

    def __repr__(self):
        lines = [f"{type(self.table).__name__} of {len(self.table)} rows"]
        for name in self.table.colnames:
            c = self.table[name]
            lines.append(
                f"  {name!r}: {type(c).__name__} {getattr(c, 'dtype', '')} unit="
                f"{str(getattr(c, 'unit', None))!r} shape={np.shape(c)} "
                + " ".join(repr(list(c)).split())[:200]
            )
        lines.append(f"  columns={self.columns!r}, lookback_time={self.lookback_time!r}")
        if self.table.meta:
            lines.append(f"  meta={dict(self.table.meta)!r}"[:300])
        return "\n".join(lines)


@dataclass
class Wanted:
    """A column to be made."""

    name: str
    values: np.ndarray
    unit: str | None
    spoil: bool = True
    masked: np.ndarray | None = None
    info: dict = field(default_factory=dict)


# Drawing


@st.composite
def examples(draw, faultless=False):
    """Strategy of `Example`.

    Parameters
    ----------
    faultless : bool
        Whether units, shapes and types are those that the columns should have.
    """
    n = draw(st.integers(1, 5))
    if not faultless and draw(st.integers(0, 19)) == 19:
        n = 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blocks = [_filters, _convention, _convention, _properties, _vector]
    if not faultless:
        blocks += [_letters, _exposures, _extras, _text_names]
    wanted, n_sources = [], None
    # Most tables are wrong in a few ways at most, or none would be read.
    odd = 0.0 if faultless else draw(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3]))
    for block in draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=4)):
        found = block(draw, rng, n)
        if block is _exposures and not any(w.name == "lambda" for w in wanted):
            n_sources = found[0].info.pop("sources", n_sources)
        wanted += found
    others = sorted(_OTHERS) if odd else [name for name in _OTHERS if name in _UNREAD]
    others = [] if faultless else draw(st.lists(st.sampled_from(others), max_size=3))
    kind = draw(st.sampled_from(["table", "qtable", "masked"]))
    made = {}
    for w in wanted:
        if w.name not in made:
            made[w.name] = _column(draw, rng, w, n, rng.random() < odd)
    for other in others:
        made.setdefault(_NAMES_OF_OTHERS[other], _OTHERS[other](rng, n))
    names = list(draw(st.permutations(list(made)))) if draw(st.booleans()) else list(made)
    table = _table(kind, made, names)
    if not faultless and draw(st.integers(0, 3)) == 0:
        table.meta["comment"] = draw(
            st.sampled_from(["from LSST", "SDSS and HSC", "nothing", "CFHTLS", "2MASS"])
        )
    columns = None if faultless or draw(st.integers(0, 7)) != 7 else _columns_argument(draw, names)
    lookback_time = None
    if {"sfh", "mah"} & set(names) and draw(st.integers(0, 2)) == 0:
        edges = np.linspace(0, 10, VECTORS["sfh"].length + 1)
        lookback_time = edges * u.Gyr
        if not faultless and draw(st.integers(0, 2)) == 0:
            lookback_time = draw(st.sampled_from([edges, edges[:-3] * u.Gyr, edges[::-1] * u.Myr]))
    return Example(table, columns, lookback_time, n_sources)


def _fluxes(rng, *shape):
    return 10 ** rng.uniform(1.0, 4.0, shape)


def _light(draw, rng, n, name, unit, error=None, error_unit=None, ivar=False):
    """Columns of a flux or magnitude and its error."""
    is_mag = unit is not None and ("mag" in unit and "mgy" not in unit) or name.lower() == "mag"
    values = rng.uniform(17, 26, n) if is_mag else _fluxes(rng, n)
    found = [Wanted(name, values, unit)]
    if error is not None:
        errors = rng.uniform(0.01, 0.5, n) * (1.0 if is_mag else values)
        errors = errors**-2 if ivar else errors
        error_unit = unit if error_unit is None else error_unit
        if ivar and unit is not None:
            error_unit = u.mag**-2 if is_mag else u.Unit(unit) ** -2
        elif is_mag:
            error_unit = draw(st.sampled_from(["mag", None, unit]))
        found.append(Wanted(error, errors, error_unit))
    return found


def _filters(draw, rng, n):
    """Filters by their names, in some letter case, with errors."""
    usual = [f"lsst_{b}" for b in "ugrizy"] + ["sdss_g", "hsc_i", "vista_J", "2mass_Ks", "wise_w1"]
    names = st.one_of(
        st.sampled_from(usual), st.sampled_from(SPHEREX[::17]), st.sampled_from(list_filters())
    )
    found = []
    units = st.sampled_from([*FLUX_UNITS, *MAG_UNITS, *VEGA_UNITS[:1]])
    unit = draw(units)
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        name = draw(st.sampled_from([name, name, name, name.upper()]))
        error = draw(st.sampled_from(["{}_err", "{}_err", None, "e_{}", "{}_error", "{}_ivar"]))
        ivar = error is not None and "ivar" in error
        found += _light(draw, rng, n, name, unit, error and error.format(name), ivar=ivar)
        if draw(st.integers(0, 5)) == 0:
            limit = draw(st.sampled_from(["{}_limit_3sigma", "{}_limit_2p5sigma", "{}_limit"]))
            found += _light(draw, rng, n, limit.format(name), unit)
    return found


def _convention(draw, rng, n):
    """Columns of a convention for some of its bands, with what belongs to them."""
    c = draw(st.sampled_from(CONVENTIONS))
    bands = list(SURVEYS[c.survey].filters) if c.survey else list("ugrizyJHK")
    bands = draw(st.lists(st.sampled_from(bands), min_size=1, max_size=3, unique=True))
    written = draw(st.sampled_from([str, str, str, str.upper, str.lower]))
    found = []
    unit = draw(st.sampled_from([c.unit, None])) if c.unit else draw(
        st.sampled_from([*FLUX_UNITS, *MAG_UNITS, *VEGA_UNITS])
    )  # fmt: skip
    for b in bands:
        error = draw(st.sampled_from([*c.errors, None])) if c.errors else None
        is_mag = "mag" in (c.unit or unit or "").lower() or "lup" in (c.unit or "")
        made = _light(
            draw, rng, n, c.value.format(b=b), c.unit or unit, error and error.format(b=b),
            ivar=c.inverse_variance,
        )  # fmt: skip
        for w in made[:1] if is_mag else made:
            w.unit = unit if w.unit == c.unit else None if unit is None else w.unit
        found += made
        beside = [*c.depths, *c.extinctions, *c.requires]
        for other in [name.format(b=b) for name in beside if draw(st.booleans())]:
            found.append(Wanted(other, rng.uniform(0.01, 0.5, n), None))
        if c.survey is None and draw(st.booleans()):
            found[0].info["description"] = draw(
                st.sampled_from(["LSST magnitude", "from SDSS", "VISTA", "KiDS and 2MASS", "PS1"])
            )
    if draw(st.integers(0, 4)) == 0:
        found.append(Wanted(draw(st.sampled_from(["ebv", "E(B-V)"])), rng.uniform(0, 1, n), "mag"))
    for w in found:
        w.name = written(w.name)
    return found


def _properties(draw, rng, n):
    """Known properties."""
    found = []
    names = st.lists(st.sampled_from(sorted(PROPERTIES)), min_size=1, max_size=2, unique=True)
    for name in draw(names):
        p = PROPERTIES[name]
        unit = p.unit or None
        if "mass" in name:
            unit = draw(st.sampled_from(MASS_UNITS))
        if name == "sfr":
            unit = draw(st.sampled_from(RATE_UNITS))
        values = rng.uniform(max(p.low, -3), p.high, n)
        if name == "redshift":
            values = rng.uniform(0, 3, n)
        elif p.scale == "log10(x)" and unit in (p.unit, "kg", "kg / s"):
            values = 10**values
        found.append(Wanted(name, values, unit))
        if draw(st.booleans()):
            logarithmic = unit is not None and unit[:3] in ("dex", "log", "[Ms")
            errors = np.full(n, 0.1) if logarithmic else 0.1 * np.abs(values)
            found.append(Wanted(name + "_err", errors, unit))
    return found


def _vector(draw, rng, n):
    """An array column of the right length."""
    name = draw(st.sampled_from(sorted(VECTORS)))
    length = VECTORS[name].length
    unit = VECTORS[name].unit if name in ("sfh", "mah") else draw(st.sampled_from(FLUX_UNITS))
    values = _fluxes(rng, n, length)
    found = [Wanted(name, values, unit, info={"positive": name in HISTORIES})]
    if draw(st.booleans()):
        found.append(Wanted(name + "_err", values * rng.uniform(0.01, 0.5, (n, length)), unit))
    return found


def _letters(draw, rng, n):
    """Bands by names that do not tell the survey."""
    pattern = draw(st.sampled_from(["{}", "mag_{}", "{}_mag", "flux_{}", "{}_flux", "{}mag"]))
    unit = draw(st.sampled_from([*FLUX_UNITS[:2], "mag", "mag(AB)", None]))
    info = draw(st.sampled_from([{}, {"description": "of Rubin"}, {"description": "SDSS g"}]))
    found = []
    for b in draw(st.lists(st.sampled_from("ugrizyJHK"), min_size=1, max_size=5, unique=True)):
        name = pattern.format(b)
        made = _light(draw, rng, n, name, unit, draw(st.sampled_from([None, f"{name}_err"])))
        made[0].info = dict(info)
        found += made
    return found


def _exposures(draw, rng, n):
    """Columns of SPHEREx exposures, packed or with one exposure per row."""
    m = draw(st.sampled_from([0, 1, 4, 30]))
    packed = draw(st.booleans())
    shape = (n, m) if packed else (n,)
    wavelength = rng.uniform(0.7, 5.1, shape)
    flux = _fluxes(rng, *shape)
    roles = [
        Wanted("lambda", wavelength, "um"),
        Wanted("lambda_width", wavelength / 50, "um"),
        Wanted("flux", flux, "uJy"),
        Wanted("flux_err", 0.1 * flux, "uJy"),
        Wanted("flags", 2.0**21 + (rng.random(shape) < 0.2) * 2.0, None),
    ]
    leave_out = draw(st.sampled_from([None, None, None, *range(5)]))
    found = [w for i, w in enumerate(roles) if i != leave_out]
    for w in found:
        w.spoil = draw(st.booleans())
    if not packed:
        sources = rng.integers(0, 2, n)
        found.append(Wanted("source_id", sources, None, spoil=False))
        found[0].info["sources"] = len(np.unique(sources))
    return found


def _extras(draw, rng, n):
    """Columns of extinctions and other things beside the light."""
    name = draw(
        st.sampled_from(["ebv", "EBV", "extinction_r", "a_g", "MAG_LIM_r", "lsst_r_limit_3sigma",
                         "z_spec", "photoz", "chi2", "flags", "seeing", "lsst_q", "redshift_err"])
    )  # fmt: skip
    return [Wanted(name, rng.uniform(0, 1, n), draw(st.sampled_from([None, "mag", "nJy"])))]


def _text_names(draw, rng, n):
    """Columns of any name."""
    name = draw(st.text(min_size=1, max_size=8))
    return [Wanted(name, rng.normal(size=n), draw(st.sampled_from(OTHER_UNITS)))]


# Columns that are neither light nor anything else that is read.
_OTHERS = {
    "objectId": lambda rng, n: Column(rng.integers(0, 2**62, n)),
    "id": lambda rng, n: Column([f"J{x}" for x in range(n)], dtype="U6"),
    "ra": lambda rng, n: Column(rng.uniform(0, 360, n), unit="deg"),
    "dec": lambda rng, n: MaskedColumn(rng.uniform(-90, 90, n), mask=rng.random(n) < 0.3),
    "coord": lambda rng, n: SkyCoord(rng.uniform(0, 90, n), rng.uniform(0, 90, n), unit="deg"),
    "position": lambda rng, n: SkyCoord(rng.uniform(0, 90, n), np.zeros(n), unit="deg"),
    "time": lambda rng, n: Time(60000 + rng.uniform(0, 1, n), format="mjd"),
    "good": lambda rng, n: Column(rng.random(n) < 0.5),
    "redshift of strings": lambda rng, n: Column(rng.uniform(0, 3, n).astype("U5")),
    "flux of bytes": lambda rng, n: Column(_fluxes(rng, n).astype("S8"), unit="nJy"),
    "bool light": lambda rng, n: Column(rng.random(n) < 0.5, unit="nJy"),
    "complex light": lambda rng, n: Column(_fluxes(rng, n) + 1j, unit="nJy"),
    "time light": lambda rng, n: Column(np.array(["2024-01-01"] * n, dtype="M8[D]")),
    "coord light": lambda rng, n: SkyCoord(np.zeros(n), np.zeros(n), unit="deg"),
    "Time redshift": lambda rng, n: Time(np.full(n, 60000.0), format="mjd"),
    "structured light": lambda rng, n: np.zeros(n, dtype=[("a", "f8"), ("b", "i4")]),
    "ragged": lambda rng, n: _objects([rng.normal(size=i) for i in range(n)]),
    "ragged light": lambda rng, n: _objects([rng.normal(size=i) for i in range(n)], unit="nJy"),
    "dicts": lambda rng, n: _objects([{"a": i} for i in range(n)]),
    "words": lambda rng, n: MaskedColumn(["a"] * n, mask=rng.random(n) < 0.5),
}
#: Those that do no harm, by a name that says what they are.
_UNREAD = {
    "objectId", "id", "ra", "dec", "coord", "position", "time", "good", "ragged", "dicts", "words",
}  # fmt: skip
_NAMES_OF_OTHERS = {name: name for name in _OTHERS} | {
    "redshift of strings": "redshift",
    "flux of bytes": "lsst_g",
    "bool light": "lsst_r",
    "complex light": "lsst_i",
    "time light": "lsst_z",
    "coord light": "lsst_y",
    "Time redshift": "redshift",
    "structured light": "hsc_g",
    "ragged light": "spherex",
}


def _objects(cells, unit=None):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return Column(values, unit=unit)


def _column(draw, rng, wanted, n, odd):
    """The column that is wanted, or something like it."""
    values, unit = np.array(wanted.values, dtype=float), wanted.unit
    masked = np.zeros(values.shape, bool)
    rate = draw(st.sampled_from([0, 0.3, 0.3, 0.3, 1.0])) if wanted.spoil else 0.0
    for cell in zip(*np.nonzero(rng.random(values.shape) < rate), strict=True):
        spoilt = SPOILT[rng.integers(len(SPOILT))]
        if spoilt == "masked":
            masked[cell] = True
        else:
            values[cell] = -values[cell] if spoilt == "negative" else spoilt
    if wanted.info.get("positive") and not odd:
        values[values < 0] = np.nan
    dtype = draw(st.sampled_from([*DTYPES[:4], *DTYPES]))
    form = draw(st.sampled_from(["numbers"] * 6 + ["objects", "decimals"]))
    shape = "right"
    if odd:
        fault = draw(st.sampled_from(["unit", "unit", "unit", "shape", "text"]))
        if fault == "unit":
            unit = draw(st.sampled_from(OTHER_UNITS))
        elif fault == "shape":
            shape = draw(st.sampled_from(["(n, 1)", "(n, 0)", "shorter", "(n, 2, 2)"]))
        else:
            form = draw(st.sampled_from(["strings", "bytes"]))
    if shape == "(n, 1)" and values.ndim == 1:
        values, masked = values[:, None], masked[:, None]
    elif shape == "(n, 0)":
        values, masked = np.zeros((n, 0)), np.zeros((n, 0), bool)
    elif shape == "shorter" and values.ndim == 2:
        values, masked = values[:, :-1], masked[:, :-1]
    elif shape == "(n, 2, 2)":
        values, masked = np.zeros((n, 2, 2)), np.zeros((n, 2, 2), bool)
    values = _with_form(values, masked, form, dtype)
    if form in ("objects", "decimals"):
        masked = np.zeros(n, bool)
    column = MaskedColumn(values, mask=masked) if masked.any() else Column(values)
    if unit is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            column.unit = u.Unit(unit, parse_strict="silent")
    column.info.description = wanted.info.get("description")
    return column


def _with_form(values, masked, form, dtype):
    """Values as numbers, or as objects of several kinds."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form == "numbers":
            if np.dtype(dtype).kind in "iu":
                limits = np.iinfo(dtype)
                return np.nan_to_num(np.clip(values, limits.min / 2, limits.max / 2)).astype(dtype)
            return values.astype(dtype)
        if form in ("strings", "bytes"):
            return values.astype("U12" if form == "strings" else "S12")
    make = Decimal if form == "decimals" else float
    cells = np.empty(len(values), dtype=object)
    for row, (value, mask) in enumerate(zip(values, masked, strict=True)):
        cells[row] = value if values.ndim > 1 else None if mask else make(float(value))
    return cells


def _table(kind, made, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "qtable":
            return QTable({name: made[name] for name in names}, names=names)
        return Table({name: made[name] for name in names}, names=names, masked=kind == "masked")


def _columns_argument(draw, names):
    """What a user may say of columns, sense or not."""
    what = st.sampled_from([
        None, "lsst_r", "lsst_r_err", "lsst_u", "redshift", "redshift_err", "spherex", "ebv",
        "lsst_r[uJy]", "lsst_g[mag(AB)]", "lsst_u_limit[3 sigma]", "lsst_u_limit", "sfh", "foo",
        "lsst_r[foo]", "lsst_r[", "", "sdss_g[mag(Vega)]", "redshift[3 sigma]", "herschel_pacs_70",
    ])  # fmt: skip
    columns = draw(st.dictionaries(st.sampled_from(names), what, max_size=2))
    if draw(st.integers(0, 9)) == 0:
        columns["absent"] = "lsst_r"
    return columns or None


# Checking


def check(example, rng, inspect=True):
    """Read a table, and raise AssertionError unless all that is promised holds.

    Parameters
    ----------
    example : Example
    rng : numpy.random.Generator
        Chooses the row that is read alone.
    inspect : bool
        Whether the inspection must agree as well.

    Returns
    -------
    outcome : str
        ``"read"``, or in which way it was refused.
    """
    table, before = example.table, quietly(copy.deepcopy, example.table)
    arguments = copy.deepcopy((example.columns, example.lookback_time))
    found, error = attempt(read_table, table, example.columns, example.lookback_time)
    same_table(table, before)
    assert repr(arguments) == repr((example.columns, example.lookback_time)), "arguments changed"
    if error is not None:
        check_message(error, example)
    else:
        galaxies, reading = found
        check_rows(example, galaxies, reading)
        check_account(table, reading)
        check_states(example, galaxies, reading)
        if is_row_each(reading) and len(table) > 1:
            check_alone(example, galaxies, int(rng.integers(len(table))))
    if inspect:
        check_inspection(example, error)
        same_table(table, before)
    return "read" if error is None else kind_of(error)


def attempt(function, *args, **kwargs):
    """What a function returns, and the ValueError or TypeError that it raises; no warnings but that
    light is not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reason in ("there are no curves of", "the filters of .* are not known"):
            warnings.filterwarnings("ignore", f".*{reason}", UserWarning)
        try:
            return function(*args, **kwargs), None
        except (ValueError, TypeError) as error:
            return None, error


def quietly(function, *args):
    """What a function of astropy returns, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def check_message(error, example):
    """The error is one of the package's own, and names what is at fault."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    assert Path(where.filename).is_relative_to(PACKAGE), f"not a message of ours: {error!r}"
    message = str(error)
    names = [n for n in example.table.colnames if repr(n) in message or _is_word(n, message)]
    arguments = [a for a in ("columns=", "lookback_time=") if a in message]
    assert names or arguments or message == "the table has no rows", f"names nothing: {message}"


def _is_word(name, message):
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) is not None


def is_row_each(reading):
    """Whether each row of the table is a galaxy, and not one exposure of it."""
    return not any("of one SPHEREx exposure each" in note for note in reading.notes)


def check_rows(example, galaxies, reading):
    """As many galaxies as rows, in the same order."""
    table = example.table
    n = len(table) if is_row_each(reading) else len(galaxies)
    assert len(galaxies) == n
    if any("told apart by 'source_id'" in note for note in reading.notes):
        assert n == example.n_sources
    if reading.ids is None:
        return
    assert len(reading.ids) == n
    if is_row_each(reading):
        for name in reading.ids.colnames:
            same_column(name, reading.ids[name], table[name])


def check_account(table, reading):
    """Every column is read, an identifier, or said to be ignored; not two of these."""
    ids = set(reading.id_columns)
    for name in table.colnames:
        used = name in reading.columns or name in reading.records and reading.records[name].used
        ways = [used, name in ids, name in reading.ignored]
        assert sum(ways) == 1, f"{name!r} is used, identifier, ignored: {ways}"
    assert set(reading.columns) <= set(table.colnames)


def parts(galaxies):
    """What is known of each filter, property and vector."""
    found = {name: galaxies.photometry[:, i] for i, name in enumerate(galaxies.filters)}
    return found | galaxies.scalars | galaxies.vectors


def check_alone(example, galaxies, row):
    """A row alone gives what it gives in the table."""
    table = quietly(example.table.__getitem__, slice(row, row + 1))
    found, error = attempt(read_table, table, example.columns, example.lookback_time)
    assert error is None, f"row {row} alone is refused: {error}"
    alone, whole = parts(found[0]), parts(galaxies)
    assert list(alone) == list(whole)
    for name, m in whole.items():
        for x in ("state", "value", "error"):
            a, b = getattr(alone[name], x)[0], getattr(m, x)[row]
            assert np.allclose(a, b, rtol=1e-5, atol=0, equal_nan=True), (
                f"{x} of {name} in row {row} is {b}, alone {a}"
            )


def numbers(column):
    """The numbers in a column, cell by cell; NaN where there is none, or what fills masked ones."""
    return np.array([_number(column[row]) for row in range(len(column))], dtype=float)


def is_masked(cell):
    """Whether one cell is masked."""
    return cell is np.ma.masked or bool(np.all(getattr(cell, "mask", False)))


def _without_unit(cell):
    if is_masked(cell):
        return "--"
    cell = getattr(cell, "unmasked", cell)
    return str(cell.value if isinstance(cell, u.Quantity) else cell)


def _number(cell):
    if cell is None or cell is np.ma.masked:
        return np.nan
    if np.ndim(cell):
        return [_number(x) for x in cell]
    if is_masked(cell):
        return np.nan
    cell = getattr(cell, "unmasked", cell)
    number = float(getattr(cell, "value", cell))
    return np.nan if 0.999e20 < number < 1.001e20 else number


def check_states(example, galaxies, reading):
    """What is no number is not measured, and what is a good one is."""
    table, found = example.table, parts(galaxies)
    for column, target in reading.columns.items():
        record = reading.records[column]
        channel = target in SPHEREX
        m = found["spherex"][:, SPHEREX.index(target)] if channel else found.get(target)
        if m is None or not is_row_each(reading):
            continue
        if "SPHEREx Spectrophotometry Tool" in record.source:
            _check_exposures(table, record, m)
            continue
        assert np.isfinite(m.value[m.state != MISSING]).all()
        assert np.all((m.error[m.state != MISSING] > 0) | np.isnan(m.error[m.state != MISSING]))
        value = numbers(table[column])
        magnitude = re.search(r"mag(?!g)|AB|ST|Vega", record.unit) and target != "dust_av"
        none = ~np.isfinite(value)
        if magnitude:
            none |= np.abs(value) >= 90
        for sentinel in record.sentinels.split(", ") if record.sentinels else ():
            none |= value == float(sentinel.split()[0])
        error = numbers(table[record.error]) if record.error else np.full(value.shape, np.nan)
        ivar = "ivar" in record.error.lower()
        light = target not in PROPERTIES and target not in ("sfh", "mah")
        none |= np.isinf(error) & (not (ivar and light))
        none |= (error < 0) | (light & (error == 0))
        measured = m.state == MEASURED
        rebinned = target in HISTORIES and example.lookback_time is not None
        if none.shape != measured.shape or rebinned:  # onto another grid
            none, measured = none.all(axis=1), measured.any(axis=1)
        wrong = none & measured
        assert not wrong.any(), f"{column!r} as {target}: {value[wrong]} +- {error[wrong]} measured"
        if light and none.ndim == m.state.ndim and m.state.ndim == 1:
            _check_good(reading, column, target, value, error, none, m)


def _check_exposures(table, record, m):
    """A source without one exposure with a flux and an error has nothing measured."""
    for row in range(len(table)):
        flux, error = (np.ravel(_number(table[c][row])) for c in (record.column, record.error))
        if not np.any(np.isfinite(flux) & (error > 0) & (error < np.inf)):
            assert not np.any(m.state[row]), f"row {row} is measured without exposures"


def _check_good(reading, column, target, value, error, none, m):
    """Ordinary values are measured, and in nJy."""
    record = reading.records[column]
    unit = record.unit
    good = ~none & (value > 1e-3) & (value < 1e5)
    if "erg" in unit or "W" in unit:
        return  # this is far brighter than the Sun
    # Where errors are missing some conventions mean limits; with ivars they may be infinite.
    good &= np.isfinite(error) & (error > 1e-20) & (error < 1e20)
    if "mag" in unit:
        good &= (value < 40) & (error < 10)
    # Any extinction is believed, even one that takes the flux beyond single precision.
    if any("corrected for Galactic extinction by" in note for note in reading.notes):
        return
    assert np.all(m.state[good] == MEASURED), f"{column!r} as {target}: {value[good]} not measured"
    brought_to_ab = any("AB" in note for note in reading.notes)
    if unit in TO_NJY and not brought_to_ab and "SDSS" not in record.source:
        expected = TO_NJY[unit](value[good])
        assert np.allclose(m.value[good], expected, rtol=2e-4), f"{column!r} is not {expected} nJy"


def check_inspection(example, error):
    """Inspection goes through, and finds a fault where reading is refused and nowhere else."""
    seen, own = attempt(inspect_table, example.table, example.columns, example.lookback_time)
    if own is not None:
        assert error is not None, f"inspection is refused: {own}"
        return
    assert list(seen["column"]) == example.table.colnames
    problems = [*seen.meta["problems"], *(p for p in np.ma.filled(seen["problem"], "") if p)]
    assert bool(problems) == (error is not None), f"inspection finds {problems}, reading: {error!r}"


def check_prediction(example, model, rng):
    """Predict from a table that can be read: a row for each row, masked only if nothing is known.

    Returns
    -------
    str
        ``"predicted"``, or ``"all given"`` if there is nothing to ask.
    """
    before = quietly(copy.deepcopy, example.table)
    galaxies, reading = read_table(example.table, example.columns, example.lookback_time)
    # What is given is warned of if it is asked.
    query = next((name for name in PROPERTIES if name not in galaxies.scalars), None)
    if query is None:
        return "all given"
    ask = {"query": query, "columns": example.columns, "lookback_time": example.lookback_time}
    result, error = attempt(model.predict, example.table, **ask)
    same_table(example.table, before)
    assert error is None, f"it can be read, but: {error}"
    assert len(result) == len(galaxies)
    for name in reading.id_columns:
        if name in result.colnames and is_row_each(reading):
            a, b = ([_without_unit(x) for x in t[name]] for t in (result, before))
            assert a == b, f"{name!r} in the result is {a}, was {b}"
    answer = numbers(result[query])
    known = galaxies.known() > 0
    assert np.isfinite(answer[known]).all()
    assert np.isnan(answer[~known]).all()
    if is_row_each(reading):
        row = int(rng.integers(len(result)))
        table = quietly(example.table.__getitem__, slice(row, row + 1))
        alone, error = attempt(model.predict, table, **ask)
        assert error is None, f"row {row} cannot be read alone: {error}"
        alone = numbers(alone[query])
        assert np.allclose(alone, answer[row], rtol=1e-3, atol=1e-3, equal_nan=True), (
            f"{query} in row {row} is {answer[row]}, alone {alone}"
        )
    return "predicted"


def same_table(table, other):
    """Two tables are the same to the last bit."""
    assert type(table) is type(other)
    assert table.colnames == other.colnames
    assert repr(dict(table.meta)) == repr(dict(other.meta)), "meta changed"
    for name in table.colnames:
        same_column(name, table[name], other[name])


def same_column(name, a, b):
    """Two columns have the same cells, types and units."""
    assert type(a) is type(b), f"{name!r}: {type(a)} is not {type(b)}"
    assert len(a) == len(b), f"{name!r}: {len(a)} rows, not {len(b)}"
    assert str(getattr(a, "unit", None)) == str(getattr(b, "unit", None)), f"unit of {name!r}"
    assert a.info.description == b.info.description, f"description of {name!r}"
    if isinstance(a, SkyCoord):
        a, b = (np.stack([x.ra.deg, x.dec.deg]) for x in (a, b))
    elif isinstance(a, Time):
        a, b = (np.stack([x.jd1, x.jd2]) for x in (a, b))
    mask_a, mask_b = (np.asarray(getattr(x, "mask", False)) for x in (a, b))
    assert np.array_equal(mask_a, mask_b), f"mask of {name!r}"
    a, b = (getattr(x, "unmasked", x) for x in (a, b))
    a, b = (np.ma.getdata(getattr(x, "value", x)) for x in (a, b))
    assert a.dtype == b.dtype, f"type of {name!r}"
    same = repr(a.tolist()) == repr(b.tolist())
    assert same, f"values of {name!r}"


# Kinds of refusals

KINDS = {
    "no rows": "the table has no rows",
    "nothing that is known": "found no photometry",
    "factor of h": "factor of h, the Hubble",
    "unit not understood": "is not understood; give it another",
    "no unit": "has no unit|have no unit",
    "errors of another unit": "but its errors have",
    "unit of another kind": "has unit|in meta has",
    "no numbers": "does not hold numbers|list of numbers|no numbers",
    "shape": "has shape|elements|one number or one list|has arrays in its rows",
    "Vega or asinh magnitude unknown": "Vega magnitudes, but|unknown softening|on the Vega system",
    "same filter twice": "both hold|given twice",
    "filters not known": "the filters of|there are no curves",
    "level of limits": "upper limits",
    "columns= or lookback_time=": "columns=.* (names|says|gives)|unknown filter|lookback",
    "SPHEREx exposures": "SPHEREx|flags are whole",
    "negative history": "has negative values",
}  # fmt: skip


def kind_of(error):
    """In which way a table was refused."""
    message = str(error)
    for kind, words in KINDS.items():
        if re.search(words, message):
            return f"refused: {kind}"
    return f"refused: {message}"


# One fault at a time

FAULTS = ("unit", "no unit", "shape", "strings", "h", "complex", "bool", "time", "coord")


@st.composite
def faulty(draw):
    """Strategy of an `Example` that is right but for one column, with the column and its fault."""
    example = draw(examples(faultless=True))
    fault = draw(st.sampled_from(FAULTS))
    return example, draw(st.integers(0, 2**16)), fault


def check_fault(example, choice, fault):
    """A table that can be read is refused once a column has a fault, by a message that names it.

    Returns
    -------
    str
        How it went.
    """
    found, error = attempt(read_table, example.table, None, example.lookback_time)
    if error is not None:
        check_message(error, example)
        return f"{kind_of(error)}, without the fault"
    _, reading = found
    targets = {c: t for c, t in reading.columns.items() if not t.endswith("_err") and t != "ebv"}
    if not targets:  # all beyond what the model covers
        return "none to be made"
    column = sorted(targets)[choice % len(targets)]
    target, n = targets[column], len(example.table)
    own = example.table[column]
    unit = str(own.unit or "")
    values = numbers(own)
    shape = values.shape
    if fault == "unit":
        replacement = Column(values, unit="m")
    elif fault == "no unit":
        replacement = Column(values)
    elif fault == "shape":
        replacement = Column(np.ones((n, 3, 2)), unit=unit)
    elif fault == "strings":
        replacement = Column(values.astype("U8"), unit=unit)
    elif fault == "h":
        replacement = Column(values, unit="littleh-1 solMass")
    elif fault == "complex":
        replacement = Column(values + 1j, unit=unit)
    elif fault == "bool":
        replacement = Column(values > 1, unit=unit)
    elif fault == "time":
        replacement = Column(np.full(shape, "2024-01-01", dtype="M8[D]"))
    else:
        replacement = SkyCoord(np.zeros(shape), np.zeros(shape), unit="deg")
    by_name = "names of" in reading.records[column].source
    if fault == "no unit" and not (by_name and unit not in ("", "dex")):
        return "none to be made"
    table = quietly(Table, example.table)
    replacement.info.description = own.info.description
    quietly(table.__setitem__, column, replacement)
    _, error = attempt(read_table, table, None, example.lookback_time)
    assert error is not None, f"column {column!r}, {target}, is read with a wrong {fault}"
    assert repr(column) in str(error), f"{column!r} is not named: {error}"
    return f"refused for its {fault}"
