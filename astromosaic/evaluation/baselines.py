"""What the model is measured against: the population mean, and gradient-boosted trees.

Both are fitted to training galaxies observed in the same way as those of the test, with the same
values given. Each is allowed the estimate that the figure of merit asks for: a mean for the RMSE,
a median for MAE and NMAD.
"""

import numpy as np

from ..galaxies import MISSING
from ..properties import FLUX_SCALE, VECTORS

__all__ = ["LOSSES", "features", "fit_population", "fit_trees"]

#: Which loss serves which kind of estimate.
LOSSES = {"mean": "squared_error", "median": "absolute_error"}

# Trees see a spectrum in groups of so many pixels, but for redshifts, which need each pixel.
_PIXELS_PER_FEATURE = 9


def features(galaxies, fine=False):
    """What is known of galaxies as a matrix for trees; (n, n_features), NaN where missing.

    Fluxes enter as arcsinh of flux over 20 nJy with their differences between neighbouring bands
    (the colours) and the logarithm of their errors, histories as arcsinh, scalars in their internal
    coordinate. ``fine`` keeps every pixel of a spectrum.
    """
    columns = []
    if galaxies.filters:
        columns += _flux_columns(galaxies.photometry, with_errors=True)
    for name, vector in galaxies.vectors.items():
        if name == "spectrum" and not fine:
            columns.append(_grouped(vector))
        elif VECTORS[name].is_flux:
            columns += _flux_columns(vector, with_errors=False)
        else:
            known = vector.state != MISSING
            columns.append(np.where(known, np.arcsinh(vector.value / VECTORS[name].scale), np.nan))
    for scalar in galaxies.scalars.values():
        columns.append(np.where(scalar.state != MISSING, scalar.value, np.nan)[:, None])
    return np.concatenate(columns, axis=1).astype(np.float32)


def fit_population(target):
    """The population's mean and median; a dict of functions of a matrix of features."""
    values = {"mean": np.mean(target), "median": np.median(target)}
    return {kind: lambda x, v=v: np.full(len(x), v) for kind, v in values.items()}


def fit_trees(x, target, seed=0):
    """Gradient-boosted trees for one number; a dict of functions of a matrix of features.

    Histogram gradient boosting of scikit-learn (after LightGBM, Ke et al. 2017) with early
    stopping on a tenth of the galaxies, once for each loss of `LOSSES`.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    # Features that do not vary tell nothing, and those that are always missing cannot be binned.
    known = np.isfinite(x)
    varies = np.max(x, axis=0, where=known, initial=-np.inf) > np.min(
        x, axis=0, where=known, initial=np.inf
    )
    fitted = {}
    for kind, loss in LOSSES.items():
        trees = HistGradientBoostingRegressor(
            loss=loss, max_iter=300, early_stopping=True, n_iter_no_change=15, random_state=seed
        )
        trees.fit(x[:, varies], target)
        fitted[kind] = lambda x, trees=trees: trees.predict(x[:, varies])
    return fitted


def _flux_columns(measurement, with_errors):
    known = measurement.state != MISSING
    value = np.where(known, np.arcsinh(measurement.value / FLUX_SCALE), np.nan)
    columns = [value, np.diff(value, axis=1)]
    if with_errors:
        columns.append(np.where(known, np.log(measurement.error), np.nan))
    return columns


def _grouped(vector):
    """Means of groups of pixels, arcsinh-scaled; NaN where a group has no pixel."""
    known = vector.state != MISSING
    starts = np.arange(0, known.shape[1], _PIXELS_PER_FEATURE)
    count = np.add.reduceat(known, starts, axis=1)
    total = np.add.reduceat(np.where(known, vector.value, 0.0), starts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.arcsinh(total / count / FLUX_SCALE)
