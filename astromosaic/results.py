"""Posteriors to the result table."""

from zlib import crc32

import numpy as np

__all__ = ["FLAGS", "result_table"]

#: Bits of the result's column ``flag``.
FLAGS = {
    1: "nothing known of this galaxy: no answer",
    2: "fewer than three values known",
    4: "brighter or fainter than what the model was trained on, or redshift beyond it",
}


def result_table(posteriors, flags, ids=None, meta=None, samples=0, seed=0):
    """The result of a prediction.

    Parameters
    ----------
    posteriors : dict of str to Posterior
    flags : ndarray of int (n,)
    ids : Table, optional
        Columns to carry over.
    meta : dict, optional
    samples : int
        Number of draws in ``q_samples``.
    seed : int

    Returns
    -------
    QTable
        For each query q the columns ``q`` (median), ``q_lo`` and ``q_hi`` (68% interval), and
        ``flag``; rows without an answer are masked.
    """
    from astropy.table import QTable

    table = QTable(meta=meta)
    if ids is not None:
        for name in ids.colnames:
            table[name] = ids[name]
    for query, posterior in posteriors.items():
        missing = ~posterior.defined
        definition = posterior.coordinate.definition
        low, high = posterior.interval(0.68)
        for suffix, value, description in (
            ("", posterior.median(), f"Median. {definition}"),
            ("_lo", low, f"Lower end of the 68% interval of {query}."),
            ("_hi", high, f"Upper end of the 68% interval of {query}."),
        ):
            _add(table, query + suffix, value, missing, description, posterior.coordinate.ucd)
        if samples:
            # A seed for each query: with one for all, their draws would rise and fall together.
            draws = posterior.sample(samples, [seed, crc32(query.encode())])
            _add(table, f"{query}_samples", draws, missing, f"{samples} draws of {query}.", None)
    table["flag"] = np.asarray(flags, np.int32)
    table["flag"].info.description = "Bits, explained in the table's meta; 0 is good."
    return table


def _add(table, name, value, missing, description, ucd):
    from astropy.table import Column, MaskedColumn
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
