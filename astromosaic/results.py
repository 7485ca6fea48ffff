"""Posteriors to the result table, and to spectra."""

import re

import numpy as np
from astropy.io.registry import UnifiedReadWriteMethod
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.table.connect import TableWrite

from .io import FORMATS, flat_columns, plain_types, write_catalog
from .posterior import VectorPosterior
from .properties import LOOKBACK_EDGES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS

__all__ = [
    "FLAGS",
    "ResultTable",
    "as_result",
    "axis_meta",
    "is_result",
    "result_spectrum",
    "result_table",
]

#: Bits of the result's column ``flag``.
FLAGS = {
    1: "nothing known of this galaxy: no answer",
    2: "fewer than three values known",
    4: "brighter or fainter than what the model was trained on, or a given property or the "
    "redshift beyond it",
    8: "its light, or a given property, disagrees with the rest (looked for with check=True only)",
    16: "more like a star than like any galaxy (looked for with check=True only)",
    32: "more like a quasar than like any galaxy (looked for with check=True only)",
}


#: Entries of the meta by which a table is known to be a result.
_OWN_META = {"model", "weights", "astromosaic", "flags"}

#: UCDs of columns that identify an object, by their names in lower case.
_IDENTIFIER_UCDS = (
    (re.compile(r"(.*_)?ra|raj2000|_raj2000|ra_icrs|alpha_j2000"), "pos.eq.ra"),
    (re.compile(r"(.*_)?decl?|_?dej2000|_?decj2000|dec?_icrs|delta_j2000"), "pos.eq.dec"),
    (re.compile(r".*id|id_.*|(.*_)?(number|name)|recno|seqnr|designation"), "meta.id"),
)

#: Upper ends in micron of the parts of the spectrum that the UCD vocabulary knows.
_EM_UCDS = (
    (0.1, "em.UV"), (0.2, "em.UV.100-200nm"), (0.3, "em.UV.200-300nm"), (0.4, "em.opt.U"),
    (0.5, "em.opt.B"), (0.6, "em.opt.V"), (0.75, "em.opt.R"), (1.0, "em.opt.I"),
    (1.5, "em.IR.J"), (2.0, "em.IR.H"), (3.0, "em.IR.K"), (4.0, "em.IR.3-4um"),
    (8.0, "em.IR.4-8um"), (np.inf, "em.IR"),
)  # fmt: skip


class _Write(TableWrite):
    """Write a result to a file.

    With nothing but a path, or ``overwrite=``, this is `astromosaic.io.write_catalog`, which keeps
    everything; with other options or formats it is what Astropy does for any table.

    """

    def __call__(self, *args, **options):
        format, overwrite = options.pop("format", None), options.pop("overwrite", False)
        if len(args) == 1 and not options and _is_own_format(args[0], format):
            return write_catalog(self._instance, args[0], overwrite)
        if format is not None:
            options["format"] = format
        if overwrite:
            options["overwrite"] = overwrite
        return super().__call__(*args, **options)


def _is_own_format(path, format):
    """Whether a path is one of `FORMATS` by its ending, and the format that is asked for is it."""
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        return False
    own = [name for name, ends in FORMATS.items() if str(path).lower().endswith(ends)]
    asked = own[0] if format is None and own else str(format).removeprefix("ascii.")
    return bool(own) and own[0] != "CSV" and asked.lower() == own[0].lower()


class ResultTable(QTable):
    """The result of a prediction: a `~astropy.table.QTable` that travels well."""

    write = UnifiedReadWriteMethod(_Write)

    def axis(self, name):
        """The axis of an array column, as its meta or that of the table tells.

        Parameters
        ----------
        name : str
            Name of the column, such as ``sfh`` or ``spectrum_lo``.

        Returns
        -------
        Quantity
            Edges of the bins in lookback time, or wavelengths.

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If it has no axis.
        """
        from .catalog.axes import axis_of_column

        for suffix in ("", "_lo", "_hi"):
            vector = name.removesuffix(suffix)
            if vector in VECTORS and vector in self.colnames and name in self.colnames:
                key = VECTORS[vector].axis
                axis = axis_of_column(self, vector, (f"{key}_edges", key), f"{key}_unit")
                if axis is not None:
                    return axis
        self[name]
        raise ValueError(f"column {name!r} has no axis")

    def to_pandas(self, index=None, use_nullable_int=True, arrays="cells"):
        """The result as a pandas DataFrame.

        Parameters
        ----------
        index : str, optional
            The column that becomes the index.
        use_nullable_int : bool
            Whether columns of integers with missing values become pandas' ``Int64``, rather than
            an error.
        arrays : {"cells", "columns"}
            What becomes of array columns, such as draws and vectors: an array in each cell, or a
            column for each element, ``sfh_0``, ``sfh_1``, ...

        Returns
        -------
        pandas.DataFrame
            Missing numbers are NaN (in arrays all elements), missing integers and text NA.
            Coordinates are columns ``coord.ra`` and ``coord.dec``. Its ``attrs`` hold, as plain
            types, the ``units``, ``descriptions`` and ``ucds`` of the columns that have any, each
            a dict by column, and the table's ``meta``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If ``arrays`` is neither of the two, or ``index`` is no column.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError(
                "to_pandas() needs pandas, which is not installed: pip install pandas"
            ) from None
        if arrays not in ("cells", "columns"):
            raise ValueError(f"arrays={arrays!r} is neither 'cells' nor 'columns'")
        flat = flat_columns(self)
        plain = flat[[name for name in flat.colnames if flat[name].ndim == 1]]
        scalars = plain.to_pandas(index=False, use_nullable_int=use_nullable_int)
        columns, attrs = {}, {"units": {}, "descriptions": {}, "ucds": {}}
        for name in flat.colnames:
            if name in scalars:
                pieces = {name: scalars[name]}
            else:
                values = _with_nan(flat[name])
                if arrays == "cells":
                    # One by one: numpy would make a table of them.
                    cells = np.empty(len(values), object)
                    cells[:] = list(values) if len(values) else []
                    pieces = {name: cells}
                else:
                    values = values.reshape(len(values), -1)
                    pieces = {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
            columns.update(pieces)
            info = flat[name].info
            for key, value in (
                ("units", info.unit and str(info.unit)),
                ("descriptions", info.description),
                ("ucds", (info.meta or {}).get("ucd")),
            ):
                if value:
                    attrs[key].update(dict.fromkeys(pieces, value))
        frame = pandas.DataFrame(columns)
        if index is not None and index is not False:
            if index not in frame:
                raise ValueError(f"index={index!r} is no column of the result")
            frame = frame.set_index(index)
        frame.attrs = {**attrs, "meta": plain_types(self.meta)}
        return frame


def _with_nan(column):
    """The numbers of an array column, NaN where they are masked."""
    if not isinstance(column, MaskedColumn):
        return np.asarray(column)
    values = column.data.data
    if values.dtype.kind in "biu":
        values = values.astype(float)
    return np.where(column.mask, np.nan, values)


def is_result(meta):
    """Whether a table with that meta is the result of a prediction; keys in any case."""
    return {str(key).lower() for key in meta} >= _OWN_META


def as_result(table):
    """A table that was read from a file as the `ResultTable` that was written.

    Parameters
    ----------
    table : Table
        With units where there were any.

    Returns
    -------
    ResultTable
        Columns are masked where something is missing only, and in the byte order of the machine.
    """
    # FITS has turned keys into upper case. All of a result are in lower case.
    result = ResultTable(meta={key.lower(): value for key, value in table.meta.items()})
    for name in table.colnames:
        column = table[name]
        if isinstance(column, Column):
            result[name] = _quantity(column)
            result[name].info.description = column.info.description
            result[name].info.meta = column.info.meta
        else:
            result[name] = column
    for name in VECTORS:
        if name in result.colnames:
            # VOTable keeps the axis in the table's meta only.
            own = {key: result.meta.get(f"{name}_{key}") for key in axis_meta(name)}
            known = {key: value for key, value in own.items() if value is not None}
            result[name].info.meta = {**(result[name].info.meta or {}), **known}
    return result


def _quantity(column):
    """A column as a Quantity if its unit is known; masked only where something is missing."""
    from astropy import units as u
    from astropy.utils.masked import Masked

    values, mask = np.asarray(column), np.asarray(getattr(column, "mask", False))
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if column.unit is None or values.dtype.kind not in "fiu":
        missing = {"mask": mask} if mask.any() else {}
        return (MaskedColumn if missing else Column)(values, unit=column.unit, **missing)
    if isinstance(column.unit, u.UnrecognizedUnit):
        return column
    quantity = u.Quantity(values, column.unit, copy=False, subok=True)
    return Masked(quantity, mask=mask) if mask.any() else quantity


def result_table(posteriors, flags, ids=None, meta=None, draws=None, checked=None, classes=None):
    """The result of a prediction.

    Parameters
    ----------
    posteriors : dict of str to Posterior or VectorPosterior
    flags : ndarray of int (n,)
    ids : Table, optional
        Columns to carry over.
    meta : dict, optional
        Becomes the table's, in plain types.
    draws : dict of str to ndarray or Quantity, (n, k) or (n, k, length), optional
        Draws by query, for columns ``q_samples``.
    checked : tuple of ndarray of float (n,), ndarray of str (n,), optional
        How well the light agrees, and what of it does not, for the columns ``consistency`` and
        ``odd_band``.
    classes : ndarray (n, 3), optional
        Probabilities of a galaxy, a star and a quasar, for the columns ``p_star`` and ``p_quasar``.

    Returns
    -------
    ResultTable
        For each query q the columns ``q`` (median), ``q_lo`` and ``q_hi`` (68% interval), and
        ``flag``; rows without an answer are masked. Columns of vectors are (n, length), with the
        axis in the meta of column ``q`` and, with ``q_`` before its keys, in that of the table.
        The meta of columns has their UCD.
    """
    table = ResultTable(meta=plain_types(meta or {}))
    if ids is not None:
        with np.errstate(over="ignore"):  # NumPy's fill value is beyond half precision
            for name in ids.colnames:
                table[name] = ids[name]
        _add_identifier_ucds(table)
    for query, posterior in posteriors.items():
        missing = ~posterior.defined
        definition = posterior.coordinate.definition
        low, high = posterior.interval(0.68)
        axis = axis_meta(query) if isinstance(posterior, VectorPosterior) else {}
        ucd = _ucd(query, posterior.coordinate)
        for suffix, value, description, statistic in (
            ("", posterior.median(), f"Median. {definition}", "median"),
            ("_lo", low, f"Lower end of the 68% interval of {query}.", "min"),
            ("_hi", high, f"Upper end of the 68% interval of {query}.", "max"),
        ):
            _add(table, query + suffix, value, missing, description, f"{ucd};stat.{statistic}")
        table[query].info.meta = {**(table[query].info.meta or {}), **axis}
        # There as well, as VOTable does not keep the meta of columns.
        table.meta.update({f"{query}_{key}": value for key, value in axis.items()})
        if draws:
            about = f"{draws[query].shape[1]} draws of {query}, jointly with the other queries."
            _add(table, f"{query}_samples", draws[query], missing, about, ucd)
    if checked is not None:
        agreement, odd_band = checked
        about = "Probability that light disagrees by as much as here, if nothing is wrong."
        _add(table, "consistency", agreement, ~np.isfinite(agreement), about, "stat.probability")
        table["odd_band"] = odd_band
        table["odd_band"].info.description = "What disagrees most, where flag has bit 8."
        table["odd_band"].info.meta = {"ucd": "meta.note"}
    if classes is not None:
        for kind, probability in (("star", classes[:, 1]), ("quasar", classes[:, 2])):
            about = f"Probability to be a {kind}, if half of all were galaxies, a quarter {kind}s."
            missing = np.isnan(probability)
            _add(table, f"p_{kind}", probability, missing, about, "stat.probability")
    table["flag"] = np.asarray(flags, np.int32)
    table["flag"].info.description = "Bits, explained in the table's meta; 0 is good."
    table["flag"].info.meta = {"ucd": "meta.code.qual"}
    return table


def _ucd(query, coordinate):
    """The UCD of a query: of a flux or magnitude with the part of the spectrum it lies in."""
    if query in PROPERTIES or query in VECTORS:
        return coordinate.ucd
    from .filters import filter_shapes

    pivot = np.exp(float(filter_shapes([query.removeprefix("mag_")])[0, 0]))
    return f"{coordinate.ucd};{next(ucd for end, ucd in _EM_UCDS if pivot < end)}"


def _add_identifier_ucds(table):
    """Give columns that identify an object their UCDs; what they have already is kept."""
    given = {(table[name].info.meta or {}).get("ucd") for name in table.colnames}
    for name in table.colnames:
        info = table[name].info
        if (info.meta or {}).get("ucd"):
            continue
        ucd = next((u for pattern, u in _IDENTIFIER_UCDS if pattern.fullmatch(name.lower())), None)
        if ucd is None or not isinstance(table[name], np.ndarray):
            continue
        if f"{ucd};meta.main" not in given:
            ucd = f"{ucd};meta.main"
        given.add(ucd)
        info.meta = {**(info.meta or {}), "ucd": ucd}


def axis_meta(vector):
    """The axis of a vector as plain types, as `astromosaic.catalog` reads it back.

    Parameters
    ----------
    vector : str
        One of `astromosaic.properties.VECTORS`.

    Returns
    -------
    dict
        For histories the edges of the bins, ``lookback_time_edges`` in ``lookback_time_unit``; for
        the others the middles of pixels or the pivot wavelengths of channels, ``wavelength`` in
        ``wavelength_unit``.
    """
    if vector in ("sfh", "mah"):
        return {"lookback_time_edges": LOOKBACK_EDGES.tolist(), "lookback_time_unit": "Gyr"}
    from .filters import vector_wavelength

    return {"wavelength": vector_wavelength(vector).tolist(), "wavelength_unit": "um"}


def result_spectrum(posterior, meta=None, single=False):
    """Predicted spectra.

    Parameters
    ----------
    posterior : VectorPosterior
        Of ``spectrum``.
    meta : dict, optional
        Becomes the spectrum's, in plain types; a table in it becomes a dict of lists.
    single : bool
        Whether to give a 1-D spectrum; for a single galaxy only.

    Returns
    -------
    specutils.Spectrum, (n, 1071) or (1071,)
        Mean in nJy with its standard deviation; rows without an answer are masked.

    Raises
    ------
    ValueError
        If it is the posterior of something else, or one spectrum is asked for of several galaxies.
    """
    from astropy import units as u
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    if posterior.name != "spectrum":
        raise ValueError(f"expected the posterior of 'spectrum', not of {posterior.name!r}")
    if single and len(posterior) != 1:
        raise ValueError(f"there are spectra of {len(posterior)} galaxies, not of one")
    flux, error = posterior.mean(), posterior.std()
    mask = np.broadcast_to(~posterior.defined[:, None], flux.shape)
    if single:
        flux, error, mask = flux[0], error[0], mask[0]
    return Spectrum(
        flux=flux,
        spectral_axis=SPECTRUM_WAVELENGTH * u.um,
        spectral_axis_index=flux.ndim - 1,
        uncertainty=StdDevUncertainty(error),
        mask=mask.copy(),
        meta=plain_types({key: _lists(value) for key, value in (meta or {}).items()}),
    )


def _lists(value):
    """A table as a dict of lists, with None for what is masked; anything else as it is."""
    if not isinstance(value, Table):
        return value
    flat = flat_columns(value)
    return {name: flat[name].tolist() for name in flat.colnames}


def _add(table, name, value, missing, description, ucd):
    from astropy.units import Quantity
    from astropy.utils.masked import Masked

    mask = np.broadcast_to(missing.reshape((-1,) + (1,) * (value.ndim - 1)), value.shape)
    if isinstance(value, Quantity):
        table[name] = Masked(value, mask=mask) if missing.any() else value
    elif missing.any():
        table[name] = MaskedColumn(value, mask=mask)
    else:
        table[name] = Column(value)
    table[name].info.description = description
    if ucd:
        table[name].info.meta = {"ucd": ucd}
