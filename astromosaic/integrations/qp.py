"""Posteriors as ensembles of qp, the format in which RAIL and Rubin pass redshifts on."""

import numpy as np
from scipy.special import ndtr

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
    if grid is not None:
        density, grid = posterior.pdf(grid), posterior._without_unit(grid)
        return qp.Ensemble(
            qp.interp, data={"xvals": grid, "yvals": np.asarray(getattr(density, "value", density))}
        )
    quantiles = QUANTILES if quantiles is None else np.asarray(quantiles, float)
    values = posterior.quantile(quantiles)
    values = np.array(getattr(values, "value", values))
    # qp divides by the steps between quantiles: equal ones are parted by a billionth.
    scale = 1e-9 * np.maximum(np.ptp(values, axis=1, keepdims=True), np.finfo(float).tiny)
    values = np.maximum.accumulate(values, axis=1) + scale * np.arange(values.shape[1])
    return qp.Ensemble(qp.quant, data={"quants": quantiles, "locs": values})
