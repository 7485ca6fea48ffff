"""Whether the photometry of a galaxy agrees with itself.

Each band is hidden in turn and predicted from everything else that is known. A measurement that is
far outside of what the model expects is wrong, or the galaxy is unlike any that the model knows.
"""

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from .galaxies import MEASURED, MISSING

__all__ = ["INCONSISTENT", "consistency", "without_band"]

#: Galaxies are flagged below this probability, as one in two hundred good ones is (of training
#: mocks in LSST): as many are by `astromosaic.outsiders`, and both together are one in a hundred.
INCONSISTENT = 0.015
# Scatter between bands that errors do not tell, relative: in the middle of that of the training.
_UNSTATED = 0.05


def consistency(model, galaxies, progress=False):
    r"""How well each measured flux agrees with everything else that is known.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
    progress : bool
        Show a progress bar.

    Returns
    -------
    by_band : ndarray (n, filters)
        Two-sided probability of a measurement as far out as this; NaN where there is none.
    overall : ndarray (n,)
        The least of them times their number (Bonferroni), at most 1; NaN for galaxies with fewer
        than three bands, of which none can be told to be wrong.

    Notes
    -----
    The measured flux is the true one of the model's posterior with a Gaussian error, which is the
    stated error, in quadrature with five per cent of the flux for what errors do not tell. It
    costs as much as one prediction for each band.
    """
    from tqdm import tqdm

    measured = galaxies.photometry.state == MEASURED
    by_band = np.full(measured.shape, np.nan)
    enough = measured.sum(axis=1) >= 3
    for column in tqdm(range(measured.shape[1]), unit="band", disable=not progress):
        rows = np.flatnonzero(measured[:, column] & enough)
        if len(rows):
            by_band[rows, column] = _of_band(model, galaxies[rows], column)
    number = np.maximum(np.isfinite(by_band).sum(axis=1), 1)
    overall = np.where(
        enough, np.minimum(number * np.nanmin(by_band, axis=1, initial=1.0), 1.0), np.nan
    )
    return by_band, overall


def _of_band(model, galaxies, column):
    """The two-sided probability of one column, measured for all of the galaxies."""
    name = galaxies.filters[column]
    posterior = model.posterior_of(without_band(galaxies, column), [name])[name]
    flux = posterior.coordinate.to_physical(posterior._centers())
    value = galaxies.photometry.value[:, column, None].astype(float)
    error = np.nan_to_num(galaxies.photometry.error[:, column, None].astype(float))
    sigma = np.hypot(error, _UNSTATED * np.abs(flux)) + 1e-12
    below = np.sum(posterior.probability * ndtr((value - flux) / sigma), axis=1)
    return 2 * np.minimum(below, 1 - below)


def without_band(galaxies, column):
    """The galaxies with one column of their photometry hidden."""
    state = galaxies.photometry.state.copy()
    state[:, column] = MISSING
    return replace(galaxies, photometry=replace(galaxies.photometry, state=state))
