"""Tables from and to files, by Astropy's readers and writers.

What the formats cannot hold by themselves is kept by convention: nested ``meta`` as JSON text,
units outside of the FITS and VOTable standards by their Astropy name, descriptions in FITS as
``TCOMMn`` and UCDs as ``TUCDn``, coordinates and times in VOTable as two columns. `read_catalog`
undoes all of it, but for the observatories of times. Files are such that Astropy's own readers find
as much as they can: see "Files" in the documentation of results.
"""

import io
import json
import os
import re
import tempfile
import unicodedata
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

__all__ = ["check_output", "flat_columns", "plain_types", "read_catalog", "write_catalog"]

#: Name of each format and the endings of its files.
FORMATS = {
    "FITS": (".fits", ".fit", ".fits.gz"),
    "ECSV": (".ecsv",),
    "VOTable": (".vot", ".votable", ".xml"),
    "HDF5": (".hdf5", ".h5", ".hdf"),
    "Parquet": (".parquet", ".pq", ".parq"),
    "CSV": (".csv",),
}

#: What files of each format begin with.
SIGNATURES = {
    "FITS": (b"SIMPLE  =",),
    "ECSV": (b"# %ECSV",),
    "VOTable": (b"<VOTABLE",),
    "HDF5": (b"\x89HDF\r\n\x1a\n",),
    "Parquet": (b"PAR1",),
}

#: The HDF5 table that is taken if a file has several.
HDF5_NAMES = ("table", "data", "photometry")


def read_catalog(path):
    """Read a table of any of the formats, told by the file's content, or else by its ending.

    Parameters
    ----------
    path : str or path-like
        A FITS, ECSV, VOTable, HDF5, Parquet or CSV file. FITS: the first table. HDF5: a table as
        Astropy writes it, or a group of datasets of equal length, one per column, as RAIL
        writes it.

    Returns
    -------
    astropy.table.Table
        Columns with units where the file gives them; masked where values are missing. A file of
        predictions gives a `astromosaic.results.ResultTable`, as it was before it was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a table or of no known format.
    ImportError
        If the file is Parquet and pyarrow or pandas is not installed, or HDF5 and h5py is not.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a table: give the path of one file")
    name = _format_of_content(path) or _format_of_ending(path)
    try:
        table = _READERS[name](path)
    except ImportError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"{path} cannot be read as {name}: {reason}") from error
    table = _restored(table)
    from .results import as_result, is_result

    return as_result(table) if is_result(table.meta) else table


def write_catalog(table, path, overwrite=False):
    """Write a table; the format follows from the file's ending.

    The file appears only once it is complete. Units, descriptions, UCDs (``info.meta["ucd"]``),
    masks and ``meta`` are kept. FITS turns short keys of ``meta`` into upper case, but for results;
    FITS, VOTable and ECSV do not tell empty text from missing text.

    Parameters
    ----------
    table : astropy.table.Table or QTable
    path : str or path-like
        Ending in one of the endings of `FORMATS` but ``.csv``, which cannot hold units.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If the ending is unknown.
    ImportError
        If the file is Parquet and pyarrow or pandas is not installed, or HDF5 and h5py is not.
    """
    name = check_output(path, overwrite)
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".astromosaic-") as folder:
        unfinished = Path(folder) / path.name
        _WRITERS[name](_writable(table), unfinished)
        os.replace(unfinished, path)


def check_output(path, overwrite=False):
    """The format in which a file would be written; raises what `write_catalog` would.

    Meant to be called before a long computation.
    """
    path = Path(path)
    name = _format_of_ending(path)
    if name == "CSV":
        raise ValueError(f"{path}: a CSV file cannot hold units; write an .ecsv file instead")
    _require(name)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already: choose another name, or allow it to be overwritten "
            "(overwrite=True, on the command line --overwrite)"
        )
    return name


def _format_of_content(path):
    """The format that the first bytes tell, or None."""
    with open(path, "rb") as file:
        start = file.read(1024)
    for name, signatures in SIGNATURES.items():
        if name == "VOTable":
            found = any(signature in start for signature in signatures)
        else:
            found = start.startswith(signatures)
        if found:
            return name
    return None


def _format_of_ending(path):
    """The format that the ending tells; raises ValueError if it is none of them."""
    for name, endings in FORMATS.items():
        if path.name.lower().endswith(endings):
            return name
    known = "; ".join(f"{name} ({', '.join(endings)})" for name, endings in FORMATS.items())
    raise ValueError(f"{path}: the format cannot be told; known formats and endings: {known}")


# Reading


def _read_fits(path):
    from astropy.io import fits
    from astropy.table import Table
    from astropy.units import UnitsWarning

    with fits.open(path, character_as_bytes=True) as hdus:
        tables = [h for h in hdus if isinstance(h, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise ValueError("it has no table extension")
        with warnings.catch_warnings():
            # Units outside of the standard are understood in _restored.
            warnings.simplefilter("ignore", UnitsWarning)
            table = Table.read(tables[0], format="fits")
    # By the names in the file: coordinates are two columns there.
    for number, name in enumerate(tables[0].columns.names, start=1):
        description = table.meta.pop(f"TCOMM{number}", None)
        ucd = table.meta.pop(f"TUCD{number}", None)
        if name in table.colnames:
            info = table[name].info
            info.description = info.description or description
            if ucd:
                info.meta = {**(info.meta or {}), "ucd": ucd}
    for key, value in table.meta.items():
        if isinstance(value, str) and _is_json(value):
            try:
                table.meta[key] = json.loads(value)
            except json.JSONDecodeError:
                pass
    times = table.meta.pop(_TIMES, {})
    for name, scale_format in times.items():
        if name in table.colnames and table[name].shape == (len(table), 2):
            _join(table, name, [name], _time(*np.asarray(table[name]).T, *scale_format))
    if times:
        # Cards that Astropy adds for them.
        for key in ("TIMESYS", "JDREF", "TREFPOS"):
            table.meta.pop(key, None)
    return table


def _read_ecsv(path):
    from astropy.table import Table

    return Table.read(path, format="ascii.ecsv")


def _read_csv(path):
    from astropy.table import Table

    with open(path, encoding="utf-8-sig") as file:  # some begin with a byte-order mark
        first = file.readline()
    # SkyServer writes '#Table1' above the names.
    above = int(first.startswith("#") and "," not in first)
    return Table.read(
        path, format="ascii.csv", encoding="utf-8-sig", header_start=above, data_start=above + 1,
        fill_values=[(text, "0") for text in ("", "null", "NULL")],
    )  # fmt: skip


def _one_text(tag):
    """The tag of a VOTable's column, in which a list of texts is one text."""
    if not re.search(rb"""\bdatatype=["'](char|unicodeChar)["']""", tag[0]):
        return tag[0]
    return re.sub(rb"""\barraysize=(["'])\d+x\*["']""", rb'arraysize="*"', tag[0])


def _read_votable(path):
    from astropy.io import votable
    from astropy.io.votable.exceptions import W50

    with warnings.catch_warnings():
        # Units outside of the standard are understood in _restored.
        warnings.simplefilter("ignore", W50)
        # Lists of texts, such as IRSA's of exposures (arraysize="54x*"), are not read by Astropy:
        # they become one text.
        content = re.sub(rb"<FIELD\b[^>]*>", _one_text, path.read_bytes())
        tree = votable.parse(io.BytesIO(content))
    element = tree.get_first_table()
    table = element.to_table(use_names_over_ids=True)
    for column in table.itercols():
        column.info.meta.pop("_votable_string_dtype", None)
        if column.info.description:  # wrapped in the file
            column.info.description = " ".join(column.info.description.split())
    table.meta.update({info.name: info.value for info in element.infos})
    for name in json.loads(table.meta.pop(_JSON, "[]")):
        table.meta[name] = json.loads(table.meta[name])
    for name, frame in table.meta.pop(_COORDINATES, {}).items():
        _join_coordinates(table, name, frame)
    for name, scale_format in table.meta.pop(_TIMES, {}).items():
        parts = _parts(table, name)
        if {*parts.values()} == {"jd1", "jd2"}:
            _join(table, name, parts, _time(*(table[c] for c in parts), *scale_format))
    return table


def _parts(table, name):
    """The columns of a VOTable that one column was written as, to what they hold of it."""
    return {c: c.removeprefix(f"{name}.") for c in table.colnames if c.startswith(f"{name}.")}


def _join(table, name, parts, column):
    """Put a column in the place of its parts."""
    place = table.colnames.index(next(iter(parts)))
    table.remove_columns(list(parts))
    table.add_column(column, index=place, name=name)


def _join_coordinates(table, name, frame):
    """Two columns of a VOTable back to the coordinates that they were."""
    from astropy.coordinates import SkyCoord

    parts = _parts(table, name)
    if len(parts) != 2:  # another program has changed the table
        return
    angles = {part: table[c].filled(np.nan).quantity for c, part in parts.items()}
    _join(table, name, parts, SkyCoord(**angles, frame=frame))


def _time(jd1, jd2, scale, form):
    """Times of the two parts of their Julian dates."""
    from astropy.time import Time

    jd1, jd2 = (np.ma.filled(np.ma.asarray(part), np.nan) for part in (jd1, jd2))
    missing = np.isnan(jd1 + jd2)
    time = Time(np.where(missing, 0, jd1), np.where(missing, 0, jd2), format="jd", scale=scale)
    time.format = form
    if missing.any():
        time[missing] = np.ma.masked
    return time


def _read_hdf5(path):
    _require("HDF5")
    import h5py
    from astropy.table import Table

    with h5py.File(path) as file:
        found = _hdf5_tables(file)
        if not found:
            raise ValueError("it has neither a table nor a group of columns of equal length")
        name = next((n for n in HDF5_NAMES if n in found), None)
        if name is None:
            if len(found) > 1:
                raise ValueError(
                    f"it has several tables ({', '.join(found)}) and none is called "
                    f"{' or '.join(HDF5_NAMES)}; copy the one you mean to a file of its own"
                )
            name = found[0]
        if isinstance(file[name], h5py.Dataset):
            table = Table.read(file, format="hdf5", path=name)
        else:
            table = Table(meta=dict(file[name].attrs))
            for key, dataset in file[name].items():
                is_text = h5py.check_string_dtype(dataset.dtype)
                table[key] = (
                    dataset.asstr(errors="replace")[:].astype(str) if is_text else dataset[:]
                )
                unit = dataset.attrs.get("unit", dataset.attrs.get("units"))
                table[key].unit = unit.decode() if isinstance(unit, bytes) else unit
    return table


def _hdf5_tables(file):
    """Paths of the structured datasets of an HDF5 file; without any, of its groups of columns."""
    import h5py

    structured, groups = [], []

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.names:
            structured.append(name)
        elif isinstance(item, h5py.Group) and _is_group_of_columns(item):
            groups.append(name)

    if _is_group_of_columns(file):
        groups.append("/")
    file.visititems(visit)
    return structured or groups


def _is_group_of_columns(group):
    import h5py

    items = list(group.values())
    return (
        len(items) > 0
        and all(isinstance(item, h5py.Dataset) and item.ndim > 0 for item in items)
        and len({len(item) for item in items}) == 1
    )


def _read_parquet(path):
    _require("Parquet")
    from astropy.table import MaskedColumn, Table
    from pyarrow import parquet, types

    if b"table_meta_yaml" in (parquet.read_schema(path).metadata or {}):
        table = Table.read(path, format="parquet")
        for name, shape in table.meta.pop(_SHAPES, {}).items():
            table[name].shape = (len(table), *shape)
        return table
    # Astropy's reader turns the nulls of other programs' files into wrong integers, or fails.
    source = parquet.read_table(path)
    table = Table()
    for name in source.column_names:
        column = source[name].combine_chunks()
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        mask = column.is_null().to_numpy(zero_copy_only=False)
        if types.is_null(column.type):
            column = np.full(len(column), np.nan)
        elif types.is_binary(column.type) or types.is_large_binary(column.type):
            column = np.array([v or b"" for v in column.to_pylist()], dtype=bytes)
        elif types.is_string(column.type) or types.is_large_string(column.type):
            column = np.array([v or "" for v in column.to_pylist()], dtype=str)
        elif types.is_nested(column.type):
            column = _array_of_lists(column.to_pylist())
        else:
            column = column.fill_null(False if types.is_boolean(column.type) else 0)
            column = column.to_numpy(zero_copy_only=False)
        table[name] = MaskedColumn(column, mask=mask) if mask.any() else column
    return table


#: Packages that formats need besides Astropy, and what brings them.
_NEEDS = {
    "Parquet": (("pyarrow", "pandas"), "pip install 'astromosaic[parquet]'"),
    "HDF5": (("h5py",), "pip install h5py"),
}


def _array_of_lists(cells):
    """Cells that are lists as an array, of objects if they differ in length or some are missing."""
    lengths = {None if cell is None else len(cell) for cell in cells}
    if len(lengths) == 1 and None not in lengths:
        return np.array(cells)
    column = np.empty(len(cells), dtype=object)
    column[:] = [None if cell is None else np.array(cell) for cell in cells]
    return column


def _require(name):
    """Raise ImportError if a package is missing that the format needs."""
    packages, remedy = _NEEDS.get(name, ((), ""))
    for package in packages:
        try:
            import_module(package)
        except ImportError:
            raise ImportError(
                f"{name} files need {' and '.join(packages)}, and {package} is not installed: "
                f"{remedy}"
            ) from None


def _restored(table):
    """Text and units as they were before a format that cannot hold them."""
    from astropy import units as u
    from astropy.table import Column

    for name in table.colnames:
        # Not by Table.convert_bytestring_to_unicode, which stumbles over coordinates.
        if isinstance(table[name], Column) and table[name].dtype.kind == "S":
            text = np.char.decode(np.asarray(table[name]), "utf-8", "replace")
            table[name] = _with_values(table[name], text)
    for column in table.itercols():
        if isinstance(column, Column) and column.unit is not None:
            # VOTable reads dex as a prefix to a unit "ex", and mag(AB) not at all. What Astropy
            # does not know stays as it is, to be reported by whoever needs it.
            column.unit = u.Unit(str(column.unit), parse_strict="silent")
    return table


def _with_values(column, values):
    """The same column with other values."""
    options = {"mask": column.mask} if hasattr(column, "mask") else {}
    return type(column)(
        values, description=column.description, meta=column.meta, unit=column.unit, **options
    )


# Writing


def flat_columns(table):
    """A table of plain and masked columns only.

    Parameters
    ----------
    table : Table or QTable

    Returns
    -------
    Table
        Coordinates and times are columns of numbers there, by the names that Astropy gives them in
        files (``coord.ra``, ``coord.dec``). Units, descriptions and UCDs are kept.
    """
    from astropy.table import MaskedColumn, Table
    from astropy.table.serialize import represent_mixins_as_columns
    from astropy.utils.masked import Masked

    plain = Table(meta=table.meta)
    for name in table.colnames:
        column = table[name]
        if not isinstance(column, np.ndarray):
            plain[name] = column
            continue
        if isinstance(column, Masked):
            values, mask = np.asarray(column.unmasked), np.asarray(column.mask)
        elif isinstance(column, MaskedColumn):
            values, mask = column.data.data, column.mask
        else:
            values, mask = np.asarray(column), None
        plain[name] = _column(values, mask, column.info)
    coordinates = [n for n in plain.colnames if not isinstance(plain[n], np.ndarray)]
    if not coordinates:
        return plain
    flat = represent_mixins_as_columns(plain)
    flat.meta.pop("__serialized_columns__", None)
    for name in coordinates:
        for part, ucd in _UCDS.items():
            if f"{name}.{part}" in flat.colnames:
                flat[f"{name}.{part}"].meta["ucd"] = ucd
    # Once more: times and angles may have come as quantities.
    return flat_columns(flat) if flat.has_mixin_columns else flat


#: UCDs of the columns that coordinates become.
_UCDS = {
    "ra": "pos.eq.ra",
    "dec": "pos.eq.dec",
    "l": "pos.galactic.lon",
    "b": "pos.galactic.lat",
}


def _column(values, mask, info):
    from astropy.table import Column, MaskedColumn

    about = {"unit": info.unit, "description": info.description, "meta": info.meta}
    if mask is not None and np.any(mask):
        return MaskedColumn(values, mask=mask, **about)
    return Column(values, **about)


def _writable(table):
    """The table with what Astropy cannot write to every format replaced by what it can.

    These are unitless masked arrays, of which some formats lose the mask, text of any length, as
    VOTables have it, and whole numbers among objects. Quantities and coordinates stay: Astropy's
    readers know them again.
    """
    from astropy.table import Column, QTable, Table
    from astropy.utils.masked import Masked

    out = (QTable if isinstance(table, QTable) else Table)(table, copy=False)
    for name in out.colnames:
        column = out[name]
        if isinstance(column, Masked) and type(column.unmasked) is np.ndarray:
            out[name] = _column(column.unmasked, np.asarray(column.mask), column.info)
        elif isinstance(column, Column) and column.dtype.kind == "O":
            values = np.asarray(column)
            if all(isinstance(value, str | None) for value in values.flat):
                mask = np.equal(values, None) | getattr(column, "mask", False)
                text = np.where(mask, "", values).astype(str)
                out[name] = _column(text, mask, column.info)
            elif all(isinstance(value, int | np.integer | None) for value in values.flat):
                mask = np.equal(values, None) | getattr(column, "mask", False)
                out[name] = _column(np.where(mask, 0, values).astype(np.int64), mask, column.info)
    return out


def _write_fits(table, path):
    from astropy.io import fits
    from astropy.units import Quantity

    meta, table.meta = table.meta, {}
    if times := _times(table):
        meta = {**meta, _TIMES: times}
    _rename_for_fits(table)
    about = flat_columns(table[:0])
    plain = set()
    for name in table.colnames:
        if not isinstance(table[name], Quantity) and isinstance(table[name], np.ndarray):
            table[name] = _for_fits(table[name])
            plain.add(name)
    unfinished = path.with_name("~" + path.name.removesuffix(".gz"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The unit .* could not be saved")
        table.write(unfinished, format="fits")
    with fits.open(unfinished) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        header = hdus[1].header
        for number, name in enumerate(hdus[1].columns.names, start=1):
            if name in about.colnames:
                _describe_in_header(header, number, about[name], name in plain)
        for key, value in meta.items():
            if key in ("comments", "HISTORY"):
                for line in value:
                    header["COMMENT" if key == "comments" else key] = _ascii(str(line))
            else:
                header[key] = _simple(value, ascii=True)
        hdus.writeto(path)


def _rename_for_fits(table):
    """Give columns names in ASCII, and angles in hours the unit of FITS."""
    from astropy import units as u

    for name in table.colnames:
        if not name.isascii():
            bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
            new, number = bare or "column", 2
            while new in table.colnames:
                new, number = f"{bare or 'column'}_{number}", number + 1
            warnings.warn(f"column {name!r} is called {new!r} in FITS", stacklevel=4)
            table.rename_column(name, new)
            name = new
        if getattr(table[name], "unit", None) == u.hourangle:
            if isinstance(table[name], u.Quantity):
                table[name] = table[name].to(u.deg)
            else:
                table[name] = 15.0 * table[name]
                table[name].unit = u.deg


def _describe_in_header(header, number, column, with_unit):
    """The unit, description and UCD of a column as cards."""
    from astropy import units as u

    description, unit = column.description or "", column.unit
    if unit is not None and f"TUNIT{number}" not in header:
        # The standard does not list it. Of quantities Astropy keeps it by itself, and stumbles
        # over a card.
        unit = u.Unit(unit).to_string()
        if with_unit:
            header[f"TUNIT{number}"] = unit
        else:
            description = f"{description} [{unit}]".strip()
    if description:
        header[f"TCOMM{number}"] = _ascii(description)
    if ucd := column.meta.get("ucd"):
        header[f"TUCD{number}"] = ucd


def _for_fits(column):
    """A column in types that FITS has, with values for what is missing that are not among it."""
    from astropy.table import Column, MaskedColumn

    if isinstance(column, MaskedColumn) and not np.any(column.mask):
        column = Column(column, copy=False)  # needs no value for what is missing
    if column.dtype == np.int8:
        column = column.astype(np.int16)  # Astropy would write logicals
    if column.dtype.kind == "U":
        text = np.char.encode(np.asarray(column), "ascii", "replace")
        if np.any(np.char.decode(text, "ascii") != np.asarray(column)):
            warnings.warn(
                f"column {column.name!r}: FITS cannot hold text other than ASCII; "
                "other characters are written as '?'",
                stacklevel=5,
            )
        column = _with_values(column, text)
    if isinstance(column, MaskedColumn):
        if column.dtype == np.uint64 and _fits_int64(column):
            column = column.astype(np.int64)  # Astropy stumbles over the value for what is missing
        if column.dtype.kind == "b":
            # FITS has a null logical, but Astropy does not write it.
            column = column.astype("int16")
        if column.dtype.kind in "iu":
            column.fill_value = np.iinfo(column.dtype).min or np.iinfo(column.dtype).max
        elif column.dtype.kind == "S":
            column.fill_value = b""
    return column


def _ascii(value):
    """Text as a FITS header can hold it."""
    if not isinstance(value, str):
        return value
    return " ".join(value.split()).encode("ascii", "replace").decode()


def _write_ecsv(table, path):
    table.write(path, format="ascii.ecsv")


def _write_votable(table, path):
    from astropy.io.votable import from_table
    from astropy.io.votable.exceptions import W50
    from astropy.io.votable.tree import Info

    flat = flat_columns(table)
    meta, flat.meta = flat.meta, {}
    if frames := _frames(table):
        meta = {**meta, _COORDINATES: frames}
    if times := _times(table):
        meta = {**meta, _TIMES: times}
    for name in flat.colnames:
        flat[name] = _for_votable(flat[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W50)
        tree = from_table(flat)
        for field in tree.get_first_table().fields:
            # In VOTables the first axis varies fastest, which Astropy gets wrong in writing.
            if flat[field.name].ndim > 2:
                field.arraysize = "x".join(str(n) for n in flat[field.name].shape[:0:-1])
        infos, as_json = tree.get_first_table().infos, []
        for key, value in meta.items():
            value = _simple(value)
            if not isinstance(value, str):
                value = json.dumps(value)
                as_json.append(str(key))
            elif _is_json(value):
                as_json.append(str(key))
            infos.append(Info(name=str(key), value=value))
        if as_json:
            infos.append(Info(name=_JSON, value=json.dumps(as_json)))
        tree.to_xml(str(path))


#: Types that VOTable does not have, but for `uint64`, and those that hold the same.
_VOTABLE_TYPES = {"i1": "i2", "u2": "i4", "u4": "i8", "f2": "f4"}


def _for_votable(column):
    """A column in types that VOTable has."""
    if column.dtype != np.uint64:
        kind = column.dtype.str[1:]
        return column.astype(_VOTABLE_TYPES[kind]) if kind in _VOTABLE_TYPES else column
    if _fits_int64(column):
        return column.astype(np.int64)
    warnings.warn(
        f"column {column.name!r}: VOTable cannot hold integers of 2**63 and more; they are "
        "written as text",
        stacklevel=4,
    )
    return _with_values(column, np.ma.getdata(column).astype(str))


def _fits_int64(column):
    return np.all((np.ma.getdata(column) < 2**63) | np.ma.getmaskarray(column))


#: The entry of meta with the shapes of cells that Parquet holds as one list.
_SHAPES = "astromosaic_shapes"
#: The INFO elements that name those that are JSON, and the columns that were coordinates.
_JSON, _COORDINATES = "astromosaic_json", "astromosaic_coordinates"
#: The same, and the card in FITS, of the columns that were times.
_TIMES = "astromosaic_times"


def _times(table):
    """Scale and format of those columns that are times."""
    from astropy.time import Time

    times = {c.info.name: c for c in table.itercols() if isinstance(c, Time)}
    return {name: [time.scale, time.format] for name, time in times.items()}


def _frames(table):
    """Frames of those columns of coordinates that two angles tell all of."""
    from astropy.coordinates import SkyCoord, UnitSphericalRepresentation

    return {
        name: table[name].frame.name
        for name in table.colnames
        if isinstance(table[name], SkyCoord)
        and table[name].frame.name in ("icrs", "galactic")
        and isinstance(table[name].data, UnitSphericalRepresentation)
        and not table[name].data.differentials
    }


def _write_hdf5(table, path):
    table.write(path, format="hdf5", path="table", serialize_meta=True)


def _write_parquet(table, path):
    # Astropy makes one list of cells with more axes.
    shapes = {c.info.name: list(c.shape[1:]) for c in table.itercols() if len(c.shape) > 2}
    if shapes:
        table = table.copy(copy_data=False)
        table.meta = {**table.meta, _SHAPES: shapes}
    table.write(path, format="parquet")


def _simple(value, ascii=False):
    """A ``meta`` entry as a number, a truth value or text; as JSON if it is anything else.

    Text that would not come back as it is, or would be taken for JSON, is JSON as well.
    """
    value = plain_types(value)
    if isinstance(value, bool | int) or (isinstance(value, float) and np.isfinite(value)):
        return value
    if (
        isinstance(value, str)
        and not _is_json(value)
        and value == value.strip()
        and value.isprintable()
        and (value.isascii() or not ascii)
    ):
        return value
    return json.dumps(value)


def _is_json(text):
    """Whether text in a header is taken for JSON."""
    return text[:1] in ("{", "[", '"') or text in ("null", "NaN", "Infinity", "-Infinity")


def plain_types(value):
    """A ``meta`` entry in types that YAML and JSON know.

    Parameters
    ----------
    value : object

    Returns
    -------
    dict, list, str, bool, int, float or None
        Arrays and other sequences become lists, a Quantity the list of its values and its unit;
        what is of no known kind becomes its text.
    """
    if isinstance(value, np.ndarray | np.generic):
        unit = getattr(value, "unit", None)
        value = value.tolist() if unit is None else [value.value.tolist(), str(unit)]
    if isinstance(value, dict):
        return {str(key): plain_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_types(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    # Of the subclasses of these, as enumerations have them, the value.
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


_READERS = {
    "FITS": _read_fits,
    "ECSV": _read_ecsv,
    "VOTable": _read_votable,
    "HDF5": _read_hdf5,
    "Parquet": _read_parquet,
    "CSV": _read_csv,
}
_WRITERS = {
    "FITS": _write_fits,
    "ECSV": _write_ecsv,
    "VOTable": _write_votable,
    "HDF5": _write_hdf5,
    "Parquet": _write_parquet,
}
