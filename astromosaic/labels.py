"""Tables of labelled galaxies: what is given of them, and the properties known for true."""

import logging
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from .arrays import as_array
from .galaxies import MEASURED
from .properties import PROPERTIES

__all__ = ["Sample", "read_labels", "read_truth"]

log = logging.getLogger("astromosaic")


@dataclass(frozen=True)
class Sample:
    """Labelled galaxies.

    Attributes
    ----------
    galaxies : Galaxies
        What is known of them, the labelled properties not.
    truth : dict of str to ndarray (n,)
        Labels by property, in its internal coordinate; NaN where there is none.
    weight : ndarray (n,)
        Of a mean of 1.
    columns : dict of str to str
        Where the labels come from.
    left_out : Counter
        How many rows were left out, by reason.
    reading : astromosaic.catalog.Reading
    """

    galaxies: object
    truth: dict
    weight: np.ndarray
    columns: dict
    left_out: Counter
    reading: object


def read_labels(
    data, labels="z_spec", columns=None, row_weights=None, spectrum=None, lookback_time=None
):  # fmt: skip
    """Read labelled galaxies from a table.

    Parameters
    ----------
    data, labels, columns, row_weights, spectrum, lookback_time
        As of `astromosaic.inference.Model.fine_tune`.

    Returns
    -------
    Sample
        The rows that have a label, a weight and something that is known.

    Raises
    ------
    TypeError
        If it is not a table.
    ValueError
        If a column of labels is missing, has a wrong unit or no label, if a property is unknown
        or weights are no weights; as of `astromosaic.catalog.read_input`.
    """
    from astropy.table import Table

    from .catalog import read_input

    if not isinstance(data, Table):
        raise TypeError(
            f"fine-tuning needs an astropy Table with a column of labels, not {type(data).__name__}"
        )
    columns, labels = dict(columns or {}), _label_columns(labels, data)
    truth = {p: read_truth(data, p, column, columns) for p, column in labels.items()}
    weight, weight_column = _read_weights(data, row_weights)
    hidden = [*labels.values(), *([weight_column] if weight_column else [])]
    hidden += [c for c in data.colnames if c.lower() in labels and c not in columns]
    galaxies, reading = read_input(
        data, {**columns, **dict.fromkeys(hidden)}, spectrum, lookback_time
    )
    # A labelled property in another column, a photometric redshift, say, is no input either.
    others = {k: v for k, v in galaxies.scalars.items() if k not in labels}
    for name in set(galaxies.scalars) - set(others):
        reading.notes.append(f"{name} is not shown to the model, since it is learned")
    galaxies = replace(galaxies, scalars=others)

    for name, column in labels.items():
        if beyond := np.isinf(truth[name]).sum():
            prop = PROPERTIES[name]
            low, high = prop.to_physical([prop.low, prop.high])
            reading.notes.append(
                f"{beyond} values of {column!r} are no labels: {name} goes from {low:.3g} to "
                f"{high:.3g} {prop.unit}".rstrip()
            )
            log.warning(reading.notes[-1])
            truth[name][np.isinf(truth[name])] = np.nan

    left_out = Counter()
    use = np.ones(len(data), bool)
    for reason, good in (
        ("without weight", weight > 0),
        ("without label", np.any([np.isfinite(t) for t in truth.values()], axis=0)),
        ("without photometry", galaxies.known() > 0),
    ):
        if lost := int((use & ~good).sum()):
            left_out[reason] = lost
        use &= good
    rows = np.flatnonzero(use)
    weight = weight[rows] / (weight[rows].mean() if len(rows) else 1.0)
    sample = Sample(
        galaxies[rows], {p: t[rows] for p, t in truth.items()}, weight, labels, left_out, reading
    )
    counts = ", ".join(f"{k} {what}" for what, k in left_out.items())
    log.info(f"{len(rows)} labelled galaxies" + (f"; left out: {counts}" if counts else ""))
    return sample


def _label_columns(labels, table):
    """Columns by property, checked."""
    if isinstance(labels, str):
        labels = {labels if labels in PROPERTIES else "redshift": labels}
    if not isinstance(labels, dict):
        raise TypeError(
            "labels= is a column, or a dict of columns by property, such as "
            f"{{'redshift': 'z_spec'}}, not {labels!r}"
        )
    if not labels:
        raise ValueError("labels= is empty; name a column of true redshifts, such as 'z_spec'")
    for name, column in labels.items():
        if name not in PROPERTIES:
            raise ValueError(
                f"labels= names {name!r}, which is no property to be learned: there are "
                f"{', '.join(PROPERTIES)}"
            )
        if column not in table.colnames:
            raise ValueError(
                f"labels= names the column {column!r}, which the table does not have; there are "
                f"{', '.join(table.colnames)}"
            )
    return dict(labels)


def read_truth(table, name, column, columns=None):
    """A column of true values of a property.

    Parameters
    ----------
    table : astropy.table.Table
    name : str
        Of the property.
    column : str
    columns : dict of str to str, optional
        As of `astromosaic.predict`: may have the column's unit.

    Returns
    -------
    ndarray of float, shape (n,)
        In the internal coordinate of the property; NaN where there is none, infinite where it is
        beyond the property's range.

    Raises
    ------
    ValueError
        If the unit is wrong, or no value is within the range.
    """
    from .catalog import read_property

    told = (columns or {}).get(column) or name
    if told.split("[")[0] != name:
        raise ValueError(f"column {column!r} is a label of {name}, but columns= says {told!r}")
    # By itself, so that it is read as any input would be, with its unit.
    prop, scalar = PROPERTIES[name], read_property(table, column, told)
    truth = np.where(scalar.state == MEASURED, scalar.value, np.nan)
    truth[truth < prop.low] = -np.inf
    truth[truth > prop.high] = np.inf
    if not np.isfinite(truth).any():
        low, high = prop.to_physical([prop.low, prop.high])
        raise ValueError(
            f"column {column!r} has no label: no value of {name} between {low:.3g} and "
            f"{high:.3g} {prop.unit}".rstrip()
        )
    return truth


def _read_weights(table, row_weights):
    """Weights of all rows, and their column."""
    if row_weights is None:
        return np.ones(len(table)), None
    column = None
    if isinstance(row_weights, str):
        column = row_weights
        if column not in table.colnames:
            raise ValueError(
                f"row_weights= names the column {column!r}, which the table does not have"
            )
        row_weights = table[column]
    # A masked weight is none.
    mask = getattr(row_weights, "mask", False)
    weight = np.where(mask, 0.0, as_array(row_weights, getattr(row_weights, "unit", None) or ""))
    if weight.shape != (len(table),):
        raise ValueError(f"row_weights has shape {weight.shape}, expected {(len(table),)}")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError("row_weights must be finite, not negative, and not all zero")
    return weight, column
