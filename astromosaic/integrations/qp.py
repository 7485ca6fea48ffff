"""Posteriors as ensembles of qp, the format in which RAIL and Rubin pass redshifts on."""

import warnings

import numpy as np
from scipy.special import ndtr

from ..properties import VECTORS

__all__ = ["QUANTILES", "to_qp"]

# A grid misses what has less than this within it; a warning tells where it cuts off more than that.
_LEAST, _CUT = 1e-3, 0.05
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
    if not len(posterior):
        raise ValueError("there are no galaxies, of which qp cannot make an ensemble")
    if grid is not None:
        grid = posterior._without_unit(grid)
        ensemble = qp.Ensemble(qp.interp, data={"xvals": grid, "yvals": _on_grid(posterior, grid)})
    else:
        quantiles = QUANTILES if quantiles is None else np.asarray(quantiles, float)
        values = posterior.quantile(quantiles)
        values = np.array(getattr(values, "value", values)).reshape(-1, len(quantiles))
        ensemble = _of_quantiles(quantiles, values)
    if posterior.name in VECTORS:
        # Elements one after the other.
        row, element = np.divmod(np.arange(ensemble.npdf), ensemble.npdf // len(posterior))
        ensemble.set_ancil({"row": row, "element": element})
    return ensemble


def _on_grid(posterior, grid):
    """Densities (n, k), of vectors (n * length, k): means over the cells around the grid's points.

    These are right where a cell is wider than a posterior, as the densities at the points are not.
    """
    if grid.ndim != 1 or len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise ValueError("the grid is two values or more, increasing")
    edges = np.concatenate([grid[:1], 0.5 * (grid[1:] + grid[:-1]), grid[-1:]])
    probability = posterior._in_cells(edges).reshape(-1, len(grid))
    inside = probability.sum(axis=1)
    what = "elements" if posterior.name in VECTORS else "galaxies"
    if (missed := inside < _LEAST).any():
        raise ValueError(
            f"the grid, from {grid[0]:.4g} to {grid[-1]:.4g}, misses all of "
            f"{posterior.name} in {missed.sum()} {what}: is it wide enough, and in the unit "
            f"{posterior.coordinate.unit!r}?"
        )
    if (cut := inside < 1 - _CUT).any():
        warnings.warn(
            f"the grid, from {grid[0]:.4g} to {grid[-1]:.4g}, cuts off more than {_CUT:.0%} of "
            f"{posterior.name} in {cut.sum()} {what}",
            stacklevel=4,
        )
    return probability / np.diff(edges)


def _of_quantiles(quantiles, values):
    import qp

    # qp divides by the steps between quantiles: equal ones are parted by a billionth.
    scale = 1e-9 * np.maximum(np.ptp(values, axis=1, keepdims=True), np.finfo(float).tiny)
    values = np.maximum.accumulate(values, axis=1) + scale * np.arange(values.shape[1])
    return qp.Ensemble(qp.quant, data={"quants": quantiles, "locs": values})
