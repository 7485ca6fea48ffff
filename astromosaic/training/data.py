"""`TrainingSet`: noiseless galaxies to train on, of our own simulator or of anyone else's.

`read_training_set` reads one file: mocks of `astromosaic.simulation.mocks`, an OpenCosmo catalogue,
or a table in HDF5 or Parquet whose columns are named by what they hold.
"""

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from ..catalog import read_table
from ..catalog.assign import Assignment, assign_columns
from ..catalog.axes import axis_of_column
from ..catalog.columns import recognise
from ..catalog.histories import read_history
from ..catalog.spectra import read_spectrum_column
from ..catalog.units import magnitude_unit, plain, to_njy
from ..catalog.values import IMPOSSIBLE_MAGNITUDE
from ..cosmology import age_gyr
from ..galaxies import MEASURED, Galaxies
from ..integrations.opencosmo import is_opencosmo, read_opencosmo
from ..io import read_catalog
from ..properties import LOOKBACK_EDGES, LOOKBACK_MIDDLES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS
from ..simulation.mocks import PROPERTY_DATASETS, load_mocks, true_values
from ..simulation.packed import is_packed, load_packed

__all__ = ["TrainingSet", "combine", "read_training_set"]

log = logging.getLogger("astromosaic")

#: The datasets of our mocks that hold vectors.
VECTOR_DATASETS = {"spherex": "spherex", "spectrum": "sed", "sfh": "sfh", "mah": "mah"}
#: Halo masses below this, in solMass, are none: our mocks hold a logarithm, which has no zero.
LEAST_HALO_MASS = 1e7
#: Groups of an HDF5 file in which columns are looked for, before its root.
GROUPS = ("train", "data")
#: What an axis is called beside the column of a vector, after the vector's name.
AXES = {
    "wavelength": ("_wavelength",),
    "lookback_time": ("_lookback_time_edges", "_lookback_time"),
}
#: Rows that are converted at a time: vectors of many galaxies fill the memory as they are.
_BLOCK = 4096


@dataclass(frozen=True)
class TrainingSet:
    """Noiseless galaxies, of which not everything need be known.

    Parameters
    ----------
    filters : tuple of str
        Canonical names of the broadband filters (`astromosaic.filters`), without repeats.
    flux : ndarray of float32, shape (n, len(filters))
        Noiseless f_nu in nJy; NaN where unknown.
    scalars : dict of str to ndarray of float32, shape (n,)
        Internal coordinates of `astromosaic.properties.PROPERTIES`; NaN where unknown. Properties
        of which nothing is known are absent.
    vectors : dict of str to ndarray of float32, shape (n, length)
        `astromosaic.properties.VECTORS` in their units; NaN where unknown. Those of which nothing
        is known are absent.
    provenance : dict
        Where the galaxies come from, as plain types, for the model card.
    """

    filters: tuple
    flux: np.ndarray
    scalars: dict = field(default_factory=dict)
    vectors: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "filters", tuple(self.filters))
        if len(set(self.filters)) != len(self.filters):
            raise ValueError("a filter is given twice")
        for kind, given, known in (
            ("property", self.scalars, PROPERTIES),
            ("vector", self.vectors, VECTORS),
        ):
            if unknown := sorted(set(given) - set(known)):
                raise ValueError(f"unknown {kind} {unknown[0]!r}; known are {', '.join(known)}")
        n = len(self.flux)
        arrays = {
            "flux": {"flux": (self.flux, (n, len(self.filters)))},
            "scalars": {k: (v, (n,)) for k, v in self.scalars.items()},
            "vectors": {k: (v, (n, VECTORS[k].length)) for k, v in self.vectors.items()},
        }
        checked = {part: _checked(given) for part, given in arrays.items()}
        checked["flux"] = checked["flux"]["flux"]
        for part, values in checked.items():
            object.__setattr__(self, part, values)
        if not self.filters and not self.vectors:
            raise ValueError("there is no photometry and no vector: nothing to train on")
        if n == 0:
            raise ValueError("there are no galaxies")

    def __len__(self):
        return len(self.flux)


def _checked(arrays):
    """Arrays in single precision, if they have the shapes that they are paired with."""
    for name, (array, shape) in arrays.items():
        if np.shape(array) != shape:
            raise ValueError(f"{name} has shape {np.shape(array)}, expected {shape}")
    return {name: np.asarray(array, np.float32) for name, (array, _) in arrays.items()}


def read_training_set(path, limit=None, progress=False):
    """Read the galaxies of a file to train on.

    Parameters
    ----------
    path : str or Path
        Mocks of our own simulator (their training part), an OpenCosmo catalogue, or a table in
        HDF5, Parquet or another format of `astromosaic.io.read_catalog`.
    limit : int, optional
        Only the first so many galaxies.
    progress : bool
        Show a progress bar where reading takes long.

    Returns
    -------
    TrainingSet

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the file needs a package that is not installed.
    ValueError
        If the file is none of these, has no rows, has neither photometry nor a vector, or a
        column that cannot be understood.

    Notes
    -----
    Values are taken as noiseless truths; columns of errors are ignored, which the log says. Values
    that are masked, NaN or infinite are unknown.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        if _is_mocks(path):
            return _read_mocks(path, limit)
        if is_packed(path):
            arrays, provenance = load_packed(path, limit, progress=progress)
            return _from_arrays(path, arrays, provenance)
        if is_opencosmo(path):
            columns, provenance = read_opencosmo(path, limit)
        else:
            columns, provenance = _read_columns(path, limit), {"kind": "table"}
        return _from_columns(columns, provenance | {"file": path.name})
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def combine(sets):
    """Several training sets as one, one after the other.

    Filters, properties and vectors that only some have are unknown (NaN) for the others. The
    provenance is that of each, in the list ``"sets"``.

    Parameters
    ----------
    sets : sequence of TrainingSet

    Returns
    -------
    TrainingSet
        The set itself if there is only one.

    Raises
    ------
    ValueError
        If there is none.
    """
    sets = list(sets)
    if not sets:
        raise ValueError("there are no training sets to combine")
    if len(sets) == 1:
        return sets[0]
    filters = tuple(dict.fromkeys(name for s in sets for name in s.filters))
    flux = np.full((sum(map(len, sets)), len(filters)), np.nan, np.float32)
    first = 0
    for s in sets:
        flux[first : first + len(s), [filters.index(name) for name in s.filters]] = s.flux
        first += len(s)
    return TrainingSet(
        filters,
        flux,
        {p: _joined([s.scalars.get(p) for s in sets], sets) for p in _present(sets, "scalars")},
        {v: _joined([s.vectors.get(v) for s in sets], sets) for v in _present(sets, "vectors")},
        {"sets": [s.provenance for s in sets]},
    )


def _present(sets, kind):
    """Names that at least one set has, in the order of the definitions."""
    order = PROPERTIES if kind == "scalars" else VECTORS
    return [name for name in order if any(name in getattr(s, kind) for s in sets)]


def _joined(parts, sets):
    """Arrays one after the other, NaN where a set has none."""
    shape = next(part for part in parts if part is not None).shape[1:]
    joined = np.full((sum(map(len, sets)), *shape), np.nan, np.float32)
    first = 0
    for part, s in zip(parts, sets, strict=True):
        if part is not None:
            joined[first : first + len(s)] = part
        first += len(s)
    return joined


def _is_mocks(path):
    """Whether a file is one of `astromosaic.simulation.mocks`."""
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        return "train" in file and {"filters", "provenance"} <= set(file.attrs)


def _read_mocks(path, limit):
    """The training part of a file of our own mocks."""
    import h5py

    with h5py.File(path) as file:
        known = [*PROPERTY_DATASETS.values(), *VECTOR_DATASETS.values(), "flux"]
        present = [name for name in known if name in file["train"]]
        provenance = json.loads(file.attrs["provenance"])
        for axis, values, what in (
            ("sed_wavelength", 1e4 * SPECTRUM_WAVELENGTH, "sed"),
            ("sfh_lookback_edges", LOOKBACK_EDGES, "sfh"),
        ):
            if what in present and axis in file and not _same(file[axis][:], values):
                raise ValueError(
                    f"{path}: /{axis} is not the axis of this version's vectors; make the mocks "
                    "anew with 'astromosaic simulate'"
                )
    return _from_arrays(path, load_mocks(path, "train", present, limit), provenance)


def _from_arrays(path, arrays, provenance):
    """A `TrainingSet` from the arrays of our own mocks."""
    present = [name for name in arrays if name != "filters"]
    filters = arrays["filters"] if "flux" in arrays else ()
    n = len(next(arrays[name] for name in present)) if present else 0
    vectors = {v: arrays.pop(d) for v, d in VECTOR_DATASETS.items() if d in arrays}
    if "mah" in vectors:
        mah = np.power(10.0, vectors["mah"], out=vectors["mah"])
        mah[mah < LEAST_HALO_MASS] = 0
        if "redshift" in arrays:
            # Older files go on with the first mass of their table before the Big Bang.
            mah[LOOKBACK_MIDDLES >= age_gyr(arrays["redshift"])[:, None]] = 0
    scalars = {p: true_values(arrays, p) for p, d in PROPERTY_DATASETS.items() if d in arrays}
    provenance |= {"file": path.name, "kind": "astromosaic mocks", "galaxies": n}
    flux = arrays.get("flux", np.empty((n, 0), np.float32))
    return TrainingSet(filters, flux, scalars, vectors, provenance)


def _read_columns(path, limit):
    """The columns of a table in a file, as a dict of name to `astropy.table.Column`.

    Axes of vectors are among them; they alone may have another length.
    """
    with open(path, "rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        columns = _read_hdf5(path, limit)
    elif start.startswith(b"PAR1"):
        columns = _read_parquet(path, limit)
    else:
        columns = None
    if columns is None:
        columns = _columns_of(read_catalog(path)[:limit])
    return columns


def _columns_of(table):
    """The columns of a table, with the axes of vectors that are in its meta or in a column's."""
    return {name: table[name] for name in table.colnames} | _axes_in_meta(table)


def _axes_in_meta(table):
    axes = {}
    for name in table.colnames:
        target, _ = recognise(name)
        if target in VECTORS:
            ends = AXES[VECTORS[target].axis]
            keys = [end.removeprefix("_") for end in ends]
            axis = axis_of_column(table, name, keys, f"{keys[-1]}_unit")
            if axis is not None:
                axes[target + ends[0]] = _column(axis.value, axis.unit)
    return axes


def _read_hdf5(path, limit):
    """Columns that are datasets of a group or of the root; None if there are none."""
    import h5py

    with h5py.File(path) as file:
        for name in GROUPS:
            if isinstance(file.get(name), h5py.Dataset) and file[name].dtype.names:
                table = Table.read(file, format="hdf5", path=name)[:limit]
                return _columns_of(table)
        groups = [file[name] for name in GROUPS if isinstance(file.get(name), h5py.Group)]
        for group in [*groups, file]:
            datasets = {k: d for k, d in group.items() if isinstance(d, h5py.Dataset)}
            datasets = {k: d for k, d in datasets.items() if d.dtype.kind in "fiub" and d.ndim}
            if datasets:
                break
        else:
            return None
        if group is not file:
            axes = {k: d for k, d in file.items() if _is_axis(k) and isinstance(d, h5py.Dataset)}
            datasets = axes | datasets
        columns = {}
        for name, dataset in datasets.items():
            unit = dataset.attrs.get("unit", dataset.attrs.get("units"))
            unit = unit.decode() if isinstance(unit, bytes) else unit
            if _is_axis(name) or dataset.ndim == 1:
                values = dataset[:] if _is_axis(name) else dataset[:limit]
            else:
                # Converted by HDF5 on the way, without a copy.
                n = len(dataset) if limit is None else min(limit, len(dataset))
                values = np.empty((n, *dataset.shape[1:]), _precision(name, unit, dataset.dtype))
                if values.size:
                    dataset.read_direct(values, np.s_[:n])
            columns[name] = _column(values, unit)
    return columns


def _precision(name, unit, dtype):
    """Type in which a vector is read: single, if its values in that unit surely fit."""
    vector = VECTORS.get(recognise(name)[0])
    return np.float32 if vector and unit in (None, "", vector.unit) else dtype


def _read_parquet(path, limit):
    """Columns of numbers and of lists of numbers; units from Astropy's metadata or a field's own.

    Not by `astromosaic.io`, which makes Python lists of vectors: too much for many galaxies.
    """
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise ImportError(
            "Parquet files need pyarrow: pip install 'astromosaic[parquet]'", name="pyarrow"
        ) from None
    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    header = _astropy_header(schema.metadata or {})
    about = {c["name"]: c for c in header.get("datatype", [])}
    empty = [Column([], name=name, meta=c.get("meta")) for name, c in about.items()]
    columns = _axes_in_meta(Table(empty, meta=header.get("meta")))
    n = file.metadata.num_rows
    n = n if limit is None else min(n, limit)
    for item in schema:
        nested = types.is_nested(item.type)
        number = item.type.value_type if nested and hasattr(item.type, "value_type") else item.type
        if not (types.is_integer(number) or types.is_floating(number)):
            continue
        unit = (item.metadata or {}).get(b"unit", b"").decode()
        unit = unit or about.get(item.name, {}).get("unit")
        arrays, done = [], 0
        for batch in file.iter_batches(_BLOCK, columns=[item.name]):
            if done >= n:
                break
            values = batch.column(0)[: n - done]
            done += len(values)
            values = _numbers(item.name, values, nested)
            arrays.append(values.astype(_precision(item.name, unit, values.dtype), copy=False))
        values = np.concatenate(arrays) if arrays else np.empty(0)
        mask = f"{item.name}.mask"
        if mask in schema.names:
            masked = file.read([mask])[mask][:n].to_numpy()
            values = values.astype(float)
            values[np.array([np.array(m) for m in masked], dtype=bool)] = np.nan
        columns[item.name] = _column(values, unit)
    return columns


def _numbers(name, values, nested):
    """A pyarrow array as numbers, NaN where null; lists, of one length, as rows."""
    if not nested:
        return values.to_numpy(zero_copy_only=False)
    from pyarrow import compute

    lengths = np.unique(compute.list_value_length(values).fill_null(-1).to_numpy())
    if len(lengths) > 1 or (lengths < 0).any():
        raise ValueError(f"column {name!r} has lists of different lengths, or none in some rows")
    return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1)


def _astropy_header(metadata):
    """What Astropy has written of a table beside its values."""
    from astropy.table.meta import get_header_from_yaml

    text = metadata.get(b"table_meta_yaml")
    return {} if text is None else get_header_from_yaml(text.decode().split("\n"))


def _is_axis(name):
    return any(name == v + end for v in VECTORS for end in AXES[VECTORS[v].axis])


def _column(values, unit):
    unit = None if unit is None else u.Unit(str(unit), parse_strict="silent")
    return Column(np.asarray(values), unit=unit, copy=False)


def _from_columns(columns, provenance):
    """A training set of columns by name, as `_read_columns` gives them."""
    axes = {name: columns.pop(name) for name in list(columns) if _is_axis(name)}
    columns = {name: column for name, column in columns.items() if len(np.shape(column))}
    columns = _without_errors(columns)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"the columns differ in length: {listed}")
    if not any(lengths.values()):
        raise ValueError("the table has no rows, or no column of numbers")
    _assume_units(columns)

    vectors, notes = {}, list(provenance.get("notes", []))
    for name in ("spectrum", "sfh", "mah"):
        found = next((c for c in columns if recognise(c)[0] == name), None)
        if found is not None:
            axis = next((a for a in axes if a.startswith(f"{name}_")), None)
            vectors[name] = _vector(found, columns.pop(found), name, axis, axes.get(axis), notes)
    table = Table(columns, copy=False)
    if any(recognise(name) != (None, None) for name in table.colnames):
        galaxies, _ = read_table(table)
    else:
        galaxies = Galaxies(next(iter(lengths.values())))
    vectors |= {name: _truth(vector) for name, vector in galaxies.vectors.items()}
    scalars = {name: _truth(scalar) for name, scalar in galaxies.scalars.items()}
    for name, values in scalars.items():
        outside = (values < PROPERTIES[name].low) | (values > PROPERTIES[name].high)
        if outside.any():
            values[outside] = np.nan
            notes.append(
                f"{name} is beyond what the model can say in {outside.sum()} rows: not used"
            )
            log.warning(notes[-1])
    return TrainingSet(
        galaxies.filters,
        _truth(galaxies.photometry),
        {name: values for name, values in scalars.items() if np.isfinite(values).any()},
        {name: vectors[name] for name in VECTORS if name in vectors},
        provenance | {"galaxies": len(galaxies), "notes": notes},
    )


def _truth(measurement):
    """Values, NaN where they are not measured."""
    return np.where(measurement.state == MEASURED, measurement.value, np.float32(np.nan))


def _without_errors(columns):
    """The columns without those of errors, which training on truths has no use for."""
    empty = Table({name: column[:0] for name, column in columns.items()}, copy=False)
    errors = [a.error for a in assign_columns(empty)[0] if a.error is not None]
    if errors:
        log.info(f"values are taken as noiseless: {', '.join(errors)} not used")
    return {name: column for name, column in columns.items() if name not in errors}


def _assume_units(columns):
    """Give columns that are named exactly by what they hold, without a unit, the model's own."""
    assumed = []
    for name, column in columns.items():
        target, _ = recognise(name)
        if column.unit is not None or target != name:
            continue
        kind = PROPERTIES.get(name) or VECTORS.get(name)
        unit = kind.unit if kind else "nJy"
        if name in PROPERTIES and unit in ("", "dex", "mag"):
            continue
        _check_assumption(name, column, unit)
        column.unit = unit
        assumed.append(f"{name} in {unit}")
    if assumed:
        log.warning(f"no unit recorded, taken in the model's own: {', '.join(assumed)}")


def _check_assumption(name, column, unit):
    """Raise where values without a unit look like logarithms or magnitudes."""
    values = np.ma.filled(np.ma.masked_invalid(np.ma.asarray(column[:_BLOCK], float)), np.nan)
    values = values[np.isfinite(values)]
    # Where there is no magnitude, it is 99 or -99.
    possible = values[np.abs(values) < IMPOSSIBLE_MAGNITUDE]
    if not len(possible):
        return
    if unit == "nJy":
        # Fluxes of galaxies spread over decades; magnitudes lie within these bounds.
        other = "mag(AB)"
        strange = possible.min() > 10 and possible.max() < 40
        strange = strange and values.max() <= 100
    else:
        other = f"dex({unit})"
        logarithmic = values.max() < 20 if unit == "solMass" else values.min() < 0
        strange = logarithmic and values.any()
    if strange:
        raise ValueError(
            f"column {name!r} has no unit, and its values are not like {unit}: record its unit, "
            f"{other!r} perhaps"
        )


def _vector(column_name, column, name, axis_name, axis, notes):
    """A vector on the model's own grid in its own unit, in single precision.

    Parameters
    ----------
    column_name : str
    column : Column of shape (n, m)
    name : str
        A vector of `VECTORS`.
    axis_name : str or None
        What the axis is called; None if the column is on the model's own grid.
    axis : Column or None
        Wavelengths of a spectrum's pixels, or edges or middles of a history's bins.
    notes : list of str
        Gains how it was brought onto the model's grid.
    """
    vector = VECTORS[name]
    if axis is None and np.shape(column) != (len(column), vector.length):
        raise ValueError(
            f"column {column_name!r} has shape {np.shape(column)}, expected "
            f"{(len(column), vector.length)}, or its axis in {name + AXES[vector.axis][0]!r}"
        )
    if np.ndim(column) != 2:
        raise ValueError(f"column {column_name!r} has shape {np.shape(column)}, expected rows")
    # What is in single precision already is converted in place: it may fill half of the memory.
    own = axis is None and column.dtype == np.float32 and not hasattr(column, "mask")
    result = np.asarray(column) if own else np.empty((len(column), vector.length), np.float32)
    for first in range(0, len(column), _BLOCK):
        rows = slice(first, first + _BLOCK)
        if axis is None:
            values, mask, unit = plain(column_name, column[rows])
            values = _in_own_unit(column_name, values, unit, vector)
            if not vector.is_flux and (values[~mask] < 0).any():
                raise ValueError(
                    f"column {column_name!r} has negative values; mask what is unknown"
                )
            result[rows] = np.where(mask | ~np.isfinite(values), np.nan, values)
        else:
            result[rows] = _rebinned(column_name, column[rows], name, axis_name, axis, notes)
    return result


def _rebinned(column_name, column, name, axis_name, axis, notes):
    """Some rows of a vector that has an axis of its own, on the model's grid."""
    values, _, unit = plain(axis_name, axis)
    if unit is None:
        example = "um" if VECTORS[name].is_flux else "Gyr"
        raise ValueError(f"axis {axis_name!r} has no unit; give it one such as {example!r}")
    key = axis_name.removeprefix(f"{name}_")
    column.info.meta = {key: values * unit}
    assignment, new = Assignment(column_name, name, rank=0), []
    read = read_spectrum_column if VECTORS[name].is_flux else read_history
    measured = read(Table({column_name: column}), assignment, Counter(), new)
    notes += [note for note in new if note not in notes]
    return _truth(measured)


def _in_own_unit(column_name, values, unit, vector):
    """Values of a vector in its unit."""
    if vector.is_flux:
        if unit is not None and magnitude_unit(unit):
            values = np.where(np.abs(values) < IMPOSSIBLE_MAGNITUDE, values, np.nan)
        return to_njy(column_name, values, unit, pivot=1e4 * SPECTRUM_WAVELENGTH)[0]
    try:
        if isinstance(unit, u.DexUnit):
            values, unit = 10.0**values, unit.physical_unit
        factor = (1 * u.Unit(unit)).to_value(vector.unit)
    except (u.UnitConversionError, TypeError):
        raise ValueError(
            f"column {column_name!r} has unit {str(unit)!r}, but {vector.name} is in "
            f"{vector.unit!r} (without factors of h)"
        ) from None
    return values * factor


def _same(a, b):
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4)
