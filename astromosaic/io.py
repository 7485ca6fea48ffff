"""Tables from and to files, by Astropy's readers and writers.

What the formats cannot hold by themselves is kept by convention: nested ``meta`` as JSON text,
units outside of the FITS and VOTable standards by their Astropy name, descriptions in FITS as
``TCOMMn`` and UCDs as ``TUCDn``. `read_catalog` undoes all of it.
"""

import json
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np

__all__ = ["check_output", "read_catalog", "write_catalog"]

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
        Columns with units where the file gives them; masked where values are missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a table or of no known format.
    ImportError
        If the file is Parquet and pyarrow or pandas is not installed.
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
    return _restored(table)


def write_catalog(table, path, overwrite=False):
    """Write a table; the format follows from the file's ending.

    The file appears only once it is complete. Units, descriptions and masks are kept, and as much
    of ``meta`` as can be: FITS turns its keys into upper case.

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
        If the file is Parquet and pyarrow or pandas is not installed.
    """
    name = check_output(path, overwrite)
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".astromosaic-") as folder:
        unfinished = Path(folder) / path.name
        _WRITERS[name](_plain(table), unfinished)
        os.replace(unfinished, path)


def check_output(path, overwrite=False):
    """The format in which a file would be written; raises what `write_catalog` would.

    Meant to be called before a long computation.
    """
    path = Path(path)
    name = _format_of_ending(path)
    if name == "CSV":
        raise ValueError(f"{path}: a CSV file cannot hold units; write an .ecsv file instead")
    if name == "Parquet":
        _require_parquet()
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
    for number, column in enumerate(table.itercols(), start=1):
        description = table.meta.pop(f"TCOMM{number}", None)
        column.info.description = column.info.description or description
        if ucd := table.meta.pop(f"TUCD{number}", None):
            column.info.meta["ucd"] = ucd
    return table


def _read_ecsv(path):
    from astropy.table import Table

    return Table.read(path, format="ascii.ecsv")


def _read_csv(path):
    from astropy.table import Table

    return Table.read(path, format="ascii.csv")


def _read_votable(path):
    from astropy.io import votable
    from astropy.io.votable.exceptions import W50

    with warnings.catch_warnings():
        # Units outside of the standard are understood in _restored.
        warnings.simplefilter("ignore", W50)
        tree = votable.parse(path)
    element = tree.get_first_table()
    table = element.to_table(use_names_over_ids=True)
    table.meta.update({info.name: info.value for info in element.infos})
    return table


def _read_hdf5(path):
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
    _require_parquet()
    from astropy.table import MaskedColumn, Table
    from pyarrow import parquet, types

    if b"table_meta_yaml" in (parquet.read_schema(path).metadata or {}):
        return Table.read(path, format="parquet")
    # Astropy's reader turns the nulls of other programs' files into wrong integers, or fails.
    source = parquet.read_table(path)
    table = Table()
    for name in source.column_names:
        column = source[name].combine_chunks()
        mask = column.is_null().to_numpy(zero_copy_only=False)
        if types.is_string(column.type) or types.is_large_string(column.type):
            column = np.array([v or "" for v in column.to_pylist()], dtype=str)
        elif types.is_nested(column.type):
            column = np.array(column.to_pylist())
        else:
            column = column.fill_null(False if types.is_boolean(column.type) else 0)
            column = column.to_numpy(zero_copy_only=False)
        table[name] = MaskedColumn(column, mask=mask) if mask.any() else column
    return table


def _require_parquet():
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError:
        raise ImportError(
            "Parquet files need pyarrow and pandas: pip install 'astromosaic[parquet]'"
        ) from None


def _restored(table):
    """Text, units and ``meta`` as they were before a format that cannot hold them."""
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
    for key, value in table.meta.items():
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                table.meta[key] = json.loads(value)
            except json.JSONDecodeError:
                pass
    return table


def _with_values(column, values):
    """The same column with other values."""
    options = {"mask": column.mask} if hasattr(column, "mask") else {}
    return type(column)(
        values, description=column.description, meta=column.meta, unit=column.unit, **options
    )


# Writing


def _plain(table):
    """A Table of plain and masked columns only, with their units, descriptions and UCDs.

    Astropy cannot write unitless masked arrays to every format, and loses masks of others.
    Coordinates and times stay as they are.
    """
    from astropy.table import Column, MaskedColumn, Table
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
        info = column.info
        about = {"unit": info.unit, "description": info.description, "meta": info.meta}
        if mask is not None and np.any(mask):
            plain[name] = MaskedColumn(values, mask=mask, **about)
        else:
            plain[name] = Column(values, **about)
    return plain


def _flat(table):
    """Coordinates and times as columns of numbers, for formats that have nothing else."""
    from astropy.table.serialize import represent_mixins_as_columns

    flat = represent_mixins_as_columns(table)
    flat.meta.pop("__serialized_columns__", None)
    return _plain(flat)


def _write_fits(table, path):
    from astropy import units as u
    from astropy.io import fits
    from astropy.units import UnitsWarning

    table = _flat(table)
    cards = {}
    for number, name in enumerate(table.colnames, start=1):
        column = table[name]
        # Written by hand: Astropy leaves out units that the standard does not list.
        cards[f"TUNIT{number}"] = column.unit and u.Unit(column.unit).to_string()
        cards[f"TCOMM{number}"] = column.description
        cards[f"TUCD{number}"] = column.meta.get("ucd")
        column.unit = None
        table[name] = _for_fits(column)
    meta, table.meta = table.meta, {}
    hdu = fits.table_to_hdu(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.simplefilter("ignore", UnitsWarning)
        for key, value in cards.items():
            if value:
                hdu.header[key] = _ascii(str(value))
        for key, value in meta.items():
            if key in ("comments", "HISTORY"):
                for line in value:
                    hdu.header["COMMENT" if key == "comments" else key] = _ascii(str(line))
            else:
                hdu.header[key] = _ascii(_simple(value))
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def _for_fits(column):
    """A column in types that FITS has, with values for what is missing that are not among it."""
    from astropy.table import MaskedColumn

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

    table = _flat(table)
    meta, table.meta = table.meta, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W50)
        tree = from_table(table)
        infos = tree.get_first_table().infos
        for key, value in meta.items():
            infos.append(Info(name=str(key), value=str(_simple(value))))
        tree.to_xml(str(path))


def _write_hdf5(table, path):
    table.write(path, format="hdf5", path="table", serialize_meta=True)


def _write_parquet(table, path):
    table.write(path, format="parquet")


def _simple(value):
    """A ``meta`` entry as a number, a truth value or text; JSON if it is anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)  # FITS headers cannot hold NaN
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, default=lambda v: v.item() if isinstance(v, np.generic) else str(v))


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
