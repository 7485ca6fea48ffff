"""Posteriors to the result table, and to spectra."""

from zlib import crc32

import numpy as np

from .posterior import VectorPosterior
from .properties import LOOKBACK_EDGES, SPECTRUM_WAVELENGTH

__all__ = ["FLAGS", "axis_meta", "result_spectrum", "result_table"]

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
    posteriors : dict of str to Posterior or VectorPosterior
    flags : ndarray of int (n,)
    ids : Table, optional
        Columns to carry over.
    meta : dict, optional
    samples : int
        Number of draws in ``q_samples``, which vectors do not have.
    seed : int

    Returns
    -------
    QTable
        For each query q the columns ``q`` (median), ``q_lo`` and ``q_hi`` (68% interval), and
        ``flag``; rows without an answer are masked. Columns of vectors are (n, length), with the
        axis in the meta of column ``q`` and, with ``q_`` before its keys, in that of the table.
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
        axis = axis_meta(query) if isinstance(posterior, VectorPosterior) else {}
        for suffix, value, description in (
            ("", posterior.median(), f"Median. {definition}"),
            ("_lo", low, f"Lower end of the 68% interval of {query}."),
            ("_hi", high, f"Upper end of the 68% interval of {query}."),
        ):
            _add(table, query + suffix, value, missing, description, posterior.coordinate.ucd)
        table[query].info.meta = {**(table[query].info.meta or {}), **axis}
        # There as well, as FITS and VOTable do not keep the meta of columns.
        table.meta.update({f"{query}_{key}": value for key, value in axis.items()})
        if samples and not axis:
            # A seed for each query: with one for all, their draws would rise and fall together.
            draws = posterior.sample(samples, [seed, crc32(query.encode())])
            _add(table, f"{query}_samples", draws, missing, f"{samples} draws of {query}.", None)
    table["flag"] = np.asarray(flags, np.int32)
    table["flag"].info.description = "Bits, explained in the table's meta; 0 is good."
    return table


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
    if vector == "spectrum":
        wavelength = SPECTRUM_WAVELENGTH
    else:
        from .filters import filter_shapes, list_filters

        wavelength = np.exp(filter_shapes(list_filters(vector))[:, 0].astype(float))
    return {"wavelength": wavelength.tolist(), "wavelength_unit": "um"}


def result_spectrum(posterior, meta=None, single=False):
    """Predicted spectra.

    Parameters
    ----------
    posterior : VectorPosterior
        Of ``spectrum``.
    meta : dict, optional
        Becomes the spectrum's.
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
        meta=dict(meta or {}),
    )


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
