"""Posteriors as ensembles of qp, the format in which RAIL and Rubin pass redshifts on."""

import numpy as np
from scipy.special import ndtr

from ..properties import VECTORS

__all__ = ["QUANTILES", "to_qp"]

#: The quantiles by default: even in units of sigma of a Gaussian, out to four sigma.
QUANTILES = ndtr(np.linspace(-4.0, 4.0, 51))


def to_qp(posterior, quantiles=None, grid=None):
    """A posterior as a `qp.Ensemble`; see `astromosaic.posterior.Posterior.to_qp`."""
    import qp

    undefined = np.flatnonzero(~posterior.defined)
    if len(undefined):
        raise ValueError(
            f"{len(undefined)} galaxies have no answer, first in row {undefined[0]}, and qp cannot "
            "hold them: choose the others first, posterior[posterior.defined].to_qp()"
        )
    if posterior.name in VECTORS:
        return _of_vector(posterior, quantiles, grid)
    if grid is not None:
        density, grid = posterior.pdf(grid), posterior._without_unit(grid)
        density = np.asarray(getattr(density, "value", density))
        if np.any(outside := ~(density > 0).any(axis=1)):
            raise ValueError(
                f"the grid, from {grid.min():.4g} to {grid.max():.4g}, misses all of "
                f"{posterior.name} in {outside.sum()} galaxies: is it wide enough, and in the unit "
                f"{posterior.coordinate.unit!r}?"
            )
        return qp.Ensemble(qp.interp, data={"xvals": grid, "yvals": density})
    quantiles = QUANTILES if quantiles is None else np.asarray(quantiles, float)
    values = posterior.quantile(quantiles)
    return _of_quantiles(quantiles, np.array(getattr(values, "value", values)))


def _of_vector(posterior, quantiles, grid):
    """Elements of vectors one after the other; which they are is told in ``ancil``."""
    import qp

    if grid is not None:
        density, grid = posterior.pdf(grid).value, posterior._without_unit(grid)
        n, length, _ = density.shape
        data = {"xvals": grid, "yvals": density.reshape(n * length, -1)}
        ensemble = qp.Ensemble(qp.interp, data=data)
    else:
        quantiles = QUANTILES if quantiles is None else np.asarray(quantiles, float)
        values = posterior.quantile(quantiles).value
        n, length, _ = values.shape
        ensemble = _of_quantiles(quantiles, values.reshape(n * length, -1))
    row, element = np.divmod(np.arange(n * length), length)
    ensemble.set_ancil({"row": row, "element": element})
    return ensemble


def _of_quantiles(quantiles, values):
    import qp

    # qp divides by the steps between quantiles: equal ones are parted by a billionth.
    scale = 1e-9 * np.maximum(np.ptp(values, axis=1, keepdims=True), np.finfo(float).tiny)
    values = np.maximum.accumulate(values, axis=1) + scale * np.arange(values.shape[1])
    return qp.Ensemble(qp.quant, data={"quants": quantiles, "locs": values})
