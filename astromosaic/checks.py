"""Whether what is known of a galaxy agrees with itself.

Each band, each part of a spectrum or of SPHEREx, and each known property, is hidden in turn and
predicted from all else that is known. A measurement that is far outside of what the model expects
is wrong, or the galaxy is unlike any that the model knows.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from .filters import vector_wavelength
from .galaxies import MEASURED, MISSING

__all__ = ["INCONSISTENT", "consistency", "without_band"]

#: Galaxies are flagged below this probability, as one in two hundred good ones is (of training
#: mocks in LSST's bands; ``benchmarks/flags.py`` tells how many with SPHEREx and spectra): as many
#: are by `astromosaic.outsiders`, and both together are one in a hundred.
INCONSISTENT = 0.015
# Scatter between bands that errors do not tell, relative: in the middle of that of the training.
_UNSTATED = 0.05
# In how many parts vectors are judged, and how many elements measured with errors a part needs.
_PARTS, _FEWEST = {"spherex": 6, "spectrum": 12}, 5
# Ranks at which the distribution of the mean over a part is evaluated, and their weights.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(17)
_RANKS, _WEIGHTS = ndtr(_NODES), _WEIGHTS / np.sqrt(2 * np.pi)
# Rows of vectors worked on at a time.
_BLOCK = 1024


def consistency(model, galaxies, progress=False):
    r"""How well each part of what is known agrees with everything else that is.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
    progress : bool
        Show a progress bar.

    Returns
    -------
    names : tuple of str
        The filters, parts of vectors by their range of wavelength, such as
        ``spherex 0.74-1.11 um``, and known properties.
    by_part : ndarray (n, parts)
        Two-sided probability of a measurement as far out as this; NaN where there is none.
    overall : ndarray (n,)
        The least of them times their number (Bonferroni), at most 1; NaN for galaxies with fewer
        than three parts, of which none can be told to be wrong.

    Notes
    -----
    The measured flux is the true one of the model's posterior with a Gaussian error, which is the
    stated error, in quadrature with five per cent of the flux for what errors do not tell. Of a
    part of a vector the mean flux is judged, weighted by the errors; that of the posterior is taken
    with all elements at the same rank, as if they were entirely correlated. A known property is
    compared with its posterior from all else, with its error and the width of a bin. It costs as
    much as one prediction for each part.
    """
    from tqdm import tqdm

    parts = _parts(galaxies)
    measured = np.zeros((len(galaxies), len(parts)), bool)
    for k, part in enumerate(parts):
        measured[:, k] = part.measured
    by_part = np.full(measured.shape, np.nan)
    enough = measured.sum(axis=1) >= 3
    for k, part in enumerate(tqdm(parts, unit="part", disable=not progress)):
        if len(rows := np.flatnonzero(measured[:, k] & enough)):
            by_part[rows, k] = part.judge(model, galaxies[rows])
    number = np.maximum(np.isfinite(by_part).sum(axis=1), 1)
    overall = np.where(
        enough, np.minimum(number * np.nanmin(by_part, axis=1, initial=1.0), 1.0), np.nan
    )
    return tuple(part.name for part in parts), by_part, overall


class _Part(NamedTuple):
    """Something that is hidden and predicted as a whole.

    ``judge(model, galaxies)`` gives the two-sided probability of what was measured of galaxies of
    which all have been; ``measured`` tells which they are, bool (n,).
    """

    name: str
    measured: np.ndarray
    judge: Callable


def _parts(galaxies):
    """All that can be hidden in turn."""
    bands = [
        _Part(name, galaxies.photometry.state[:, column] == MEASURED, partial(_of_band, column))
        for column, name in enumerate(galaxies.filters)
    ]
    elements = [
        _Part(
            name, _can_be_judged(galaxies.vectors[vector], index).sum(axis=1) >= _FEWEST,
            partial(_of_elements, vector, index),
        )
        for vector in _PARTS if vector in galaxies.vectors
        for name, index in _parts_of(vector)
    ]  # fmt: skip
    properties = [
        _Part(name, known.state == MEASURED, partial(_of_property, name))
        for name, known in galaxies.scalars.items()
    ]
    return bands + elements + properties


def _parts_of(vector):
    """Name and indices of each part of a vector."""
    wavelength = vector_wavelength(vector)
    return [
        (f"{vector} {wavelength[part[0]]:.2f}-{wavelength[part[-1]]:.2f} um", part)
        for part in np.array_split(np.arange(len(wavelength)), _PARTS[vector])
    ]


def _can_be_judged(measurement, index):
    """Which of some elements are measured, with an error; bool (n, k)."""
    known = measurement.state[:, index] == MEASURED
    return known & (measurement.error[:, index] > 0)


def _of_band(column, model, galaxies):
    """The two-sided probability of one column, measured for all of the galaxies."""
    name = galaxies.filters[column]
    posterior = model.posterior_of(without_band(galaxies, column), [name])[name]
    flux = posterior.coordinate.to_physical(posterior._centers())
    value = galaxies.photometry.value[:, column, None].astype(float)
    error = np.nan_to_num(galaxies.photometry.error[:, column, None].astype(float))
    sigma = np.hypot(error, _UNSTATED * np.abs(flux)) + 1e-12
    below = np.sum(posterior.probability * ndtr((value - flux) / sigma), axis=1)
    return 2 * np.minimum(below, 1 - below)


def _of_property(name, model, galaxies):
    """The two-sided probability of a property, known of all of the galaxies."""
    known = galaxies.scalars[name]
    others = {k: v for k, v in galaxies.scalars.items() if k != name}
    posterior = model.posterior_of(replace(galaxies, scalars=others), [name])[name]
    # What is known exactly is still known to a bin only.
    bin_width = np.diff(posterior.edges, axis=1)
    sigma = np.hypot(np.nan_to_num(known.error)[:, None], bin_width / np.sqrt(12))
    z = (known.value[:, None].astype(float) - posterior._centers()) / sigma
    below = np.sum(posterior.probability * ndtr(z), axis=1)
    return 2 * np.minimum(below, 1 - below)


def _of_elements(vector, index, model, galaxies):
    """The two-sided probability of the mean flux of some elements."""
    blocks = np.array_split(np.arange(len(galaxies)), -(-len(galaxies) // _BLOCK))
    return np.concatenate([_of_block(vector, index, model, galaxies[rows]) for rows in blocks])


def _of_block(vector, index, model, galaxies):
    """The same of few enough galaxies to have them all in memory."""
    measured = galaxies.vectors[vector]
    state = measured.state.copy()
    state[:, index] = MISSING
    hidden = {**galaxies.vectors, vector: replace(measured, state=state)}
    asked = replace(galaxies, vectors=hidden)
    posterior = model.posterior_of(asked, [vector])[vector].elements(index)
    flux = np.moveaxis(posterior.quantile(_RANKS).value, -1, 0)
    good = _can_be_judged(measured, index)
    value, error = (
        np.where(good, x[:, index], 1.0).astype(float) for x in (measured.value, measured.error)
    )
    # Weights follow from what is expected: what is measured must not weigh itself.
    median = flux[len(flux) // 2]
    weight = good / (error**2 + (_UNSTATED * median) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    expected = np.sum(weight * flux, axis=2)  # (ranks, n)
    noise = np.sqrt(np.sum((weight * error) ** 2, axis=1))
    sigma = np.hypot(noise, _UNSTATED * np.abs(expected)) + 1e-12
    below = _WEIGHTS @ ndtr((np.sum(weight * value, axis=1) - expected) / sigma)
    return 2 * np.minimum(below, 1 - below)


def without_band(galaxies, column):
    """The galaxies with one column of their photometry hidden."""
    state = galaxies.photometry.state.copy()
    state[:, column] = MISSING
    return replace(galaxies, photometry=replace(galaxies.photometry, state=state))
