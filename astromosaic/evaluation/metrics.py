"""Figures of merit for point estimates and for posteriors, as functions of plain arrays.

For redshifts the deviation of an estimate is ``d = (estimate - truth) / (1 + truth)``; the
functions of `point_metrics` take d, so that they serve other properties just as well with
another definition of it.
"""

import numpy as np

__all__ = [
    "OUTLIER",
    "REDSHIFT_GRID",
    "bias",
    "bootstrap",
    "cde_loss",
    "cde_loss_terms",
    "coverage",
    "crps_terms",
    "histogram_cde_loss_terms",
    "nmad",
    "outlier_fraction",
    "pit_ks",
    "point_metrics",
    "redshift_deviation",
]

#: A redshift further off than this, in abs(d), is an outlier.
OUTLIER = 0.15

#: The redshifts at which densities are compared in the CDE loss.
REDSHIFT_GRID = np.linspace(0.0, 3.0, 301)


def redshift_deviation(estimate, truth):
    """d = (estimate - truth) / (1 + truth)."""
    truth = np.asarray(truth, dtype=float)
    return (np.asarray(estimate, dtype=float) - truth) / (1.0 + truth)


def nmad(deviation):
    """Normalised median absolute deviation, ``1.4826 median(abs(d - median(d)))``."""
    deviation = np.asarray(deviation, dtype=float)
    return 1.4826 * np.median(np.abs(deviation - np.median(deviation)))


def bias(deviation):
    """The median deviation."""
    return np.median(deviation)


def outlier_fraction(deviation, threshold=OUTLIER):
    """Fraction of galaxies with abs(d) above the threshold."""
    return np.mean(np.abs(deviation) > threshold)


def point_metrics(deviation):
    """NMAD, bias and outlier fraction of deviations, as a dict."""
    return {
        "nmad": nmad(deviation),
        "bias": bias(deviation),
        "outlier_fraction": outlier_fraction(deviation),
    }


def cde_loss_terms(density, truth, grid=REDSHIFT_GRID):
    """Each galaxy's term of the CDE loss, of which the loss is the mean.

    The term is the integral of p(z)^2 over the grid minus 2 p(z_true). As is usual in the field,
    p(z_true) is taken at the grid point nearest to the truth. A truth beyond the ends of the grid
    counts as p = 0: the posterior gets no credit for it.

    Parameters
    ----------
    density : array, shape (n, m)
        p(z) of each galaxy on the grid. Not normalised again here.
    truth : array, shape (n,)
    grid : array, shape (m,)
        Increasing and evenly spaced.

    Returns
    -------
    array, shape (n,)
    """
    density, truth = np.asarray(density, dtype=float), np.asarray(truth, dtype=float)
    if density.shape != (len(truth), len(grid)):
        raise ValueError(
            f"density has shape {density.shape}, expected {(len(truth), len(grid))}: "
            "one row per galaxy, one column per grid point"
        )
    step = grid[1] - grid[0]
    nearest = np.rint((truth - grid[0]) / step).astype(int)
    inside = (nearest >= 0) & (nearest < len(grid))
    at_truth = density[np.arange(len(truth)), np.where(inside, nearest, 0)]
    return np.trapezoid(density**2, grid, axis=1) - 2.0 * np.where(inside, at_truth, 0.0)


def cde_loss(density, truth, grid=REDSHIFT_GRID):
    """Conditional density estimation loss (Izbicki & Lee 2016): lower is better.

    See `cde_loss_terms`. It estimates the mean integrated squared difference between the
    posteriors and the true conditional density, up to a constant that depends on the data only.
    """
    return np.mean(cde_loss_terms(density, truth, grid))


def histogram_cde_loss_terms(edges, probability, truth):
    """The terms of the CDE loss of histograms, without a grid: exact for flat bins.

    Parameters
    ----------
    edges : array, shape (n, m + 1)
    probability : array, shape (n, m)
    truth : array, shape (n,)
        In the coordinate of the edges, in which the densities are compared.

    Returns
    -------
    array, shape (n,)
    """
    density = probability / np.maximum(np.diff(edges, axis=1), 1e-12)
    here = (edges[:, :-1] <= truth[:, None]) & (truth[:, None] < edges[:, 1:])
    return np.sum(probability * density, axis=1) - 2.0 * np.sum(density * here, axis=1)


def crps_terms(edges, probability, truth):
    """Each galaxy's continuous ranked probability score (Matheson & Winkler 1976): lower is better.

    It is the integral of (F(x) - [x >= truth])^2, with F the cumulative distribution, in the unit
    of the coordinate; of a single value, without any width, the absolute error. Exact for flat
    bins.

    Parameters
    ----------
    edges : array, shape (n, m + 1)
    probability : array, shape (n, m)
    truth : array, shape (n,)
        In the coordinate of the edges.

    Returns
    -------
    array, shape (n,)
    """
    truth = np.asarray(truth, dtype=float)[:, None]
    cumulative = np.cumsum(probability, axis=1)
    low, high = cumulative - probability, cumulative
    width = np.diff(edges, axis=1)
    # Where in its bin the truth is: 1 in the bins below it, 0 in those above.
    part = np.clip((truth - edges[:, :-1]) / np.maximum(width, 1e-12), 0.0, 1.0)
    at_truth = low + part * probability
    below = part * (low**2 + low * at_truth + at_truth**2)
    a, b = 1.0 - at_truth, 1.0 - high
    above = (1.0 - part) * (a**2 + a * b + b**2)
    outside = np.maximum(edges[:, :1] - truth, 0.0) + np.maximum(truth - edges[:, -1:], 0.0)
    return np.sum(width * (below + above), axis=1) / 3.0 + outside[:, 0]


def pit_ks(pit):
    """Kolmogorov-Smirnov distance between PIT values and the uniform distribution on 0 to 1.

    The probability integral transform (PIT) of a galaxy is the posterior's cumulative
    distribution at the truth; calibrated posteriors have uniform PIT values.
    """
    pit = np.sort(np.asarray(pit, dtype=float))
    steps = np.arange(len(pit) + 1) / len(pit)
    return max(np.max(steps[1:] - pit), np.max(pit - steps[:-1]))


def coverage(pit, level=0.68):
    """Fraction of truths inside the central credible interval that should hold `level` of them."""
    return np.mean(np.abs(np.asarray(pit, dtype=float) - 0.5) <= level / 2.0)


def bootstrap(statistic, *arrays, n=200, seed=0):
    """Standard error of a statistic when the galaxies are drawn again with replacement.

    Parameters
    ----------
    statistic : callable
        Takes the arrays; returns a number or a dict of numbers.
    *arrays : array
        All with one row per galaxy.
    n : int
        Number of draws.
    seed : int

    Returns
    -------
    float or dict of float
        In the form that `statistic` returns.
    """
    rng = np.random.default_rng(seed)
    length = len(arrays[0])
    draws = []
    for _ in range(n):
        rows = rng.integers(length, size=length)
        draws.append(statistic(*(a[rows] for a in arrays)))
    if isinstance(draws[0], dict):
        return {name: float(np.std([d[name] for d in draws], ddof=1)) for name in draws[0]}
    return float(np.std(draws, ddof=1))
