"""Tomography: galaxies sorted into bins by their redshift posteriors, and n(z) of each bin.

For weak lensing and clustering. A bin's redshift distribution is the mean of the posteriors of its
galaxies, their *stack*. This is right where the posteriors are calibrated and the galaxies are
distributed like those that the model learned from, and biased otherwise (Malz & Hogg 2022, ApJ
928, 127, arXiv:2007.12178). A sample with spectroscopic redshifts, a `Calibration`, measures the
bias of each bin's mean, by which it is then moved.
"""

from dataclasses import dataclass

import numpy as np

from .arrays import as_array
from .posterior import Posterior

__all__ = ["Calibration", "RedshiftDistribution", "redshift_distribution", "tomographic_bins"]

_ESTIMATES = ("median", "mean", "mode")
# How near the mean of a moved distribution is to what it should be, and in how many steps.
_TOLERANCE, _ITERATIONS = 1e-5, 200
#: Edges of the cells in which redshift distributions are held, by default.
GRID = np.linspace(0.0, 6.0, 601)


def tomographic_bins(posterior, bins, estimate="median"):
    """Sort galaxies into redshift bins by a point estimate.

    Parameters
    ----------
    posterior : Posterior
        Of the redshifts of n galaxies.
    bins : int or sequence of float
        Number of bins that hold equally many galaxies; or the edges of the bins, increasing.
    estimate : {"median", "mean", "mode"}
        The point estimate.

    Returns
    -------
    numbers : ndarray of int (n,)
        The bin of each galaxy, from 0; -1 for galaxies outside the bins or without an answer. A
        lower edge belongs to its bin, an upper one to the next.
    edges : ndarray (bins + 1,)
        Give them as `bins` to sort another sample in the same way. Of bins with equal numbers the
        outermost are the ends of the redshifts that the model covers.

    Raises
    ------
    ValueError
        If the posterior is not of the redshift, if the estimate is unknown, if edges do not
        increase, or if there are not enough different galaxies for the number of bins.
    """
    posterior = _of_redshift(posterior)
    if not posterior.defined.any():
        raise ValueError("no galaxy has an answer")
    if estimate not in _ESTIMATES:
        raise ValueError(f"estimate is one of {', '.join(_ESTIMATES)}, not {estimate!r}")
    value = getattr(posterior, estimate)()
    if np.ndim(bins) == 0:
        if bins != int(bins) or bins < 1:
            raise ValueError(f"bins is a number of bins, at least 1, or their edges, not {bins!r}")
        inner = np.quantile(value[posterior.defined], np.arange(1, bins) / bins)
        ends = posterior.coordinate.to_physical([posterior.edges.min(), posterior.edges.max()])
        edges = np.concatenate([ends[:1], inner, ends[1:]])
        remedy = f"there are too few galaxies of different {estimate} for {bins} bins"
    else:
        edges = np.asarray(bins, float)
        remedy = "edges of bins are at least two numbers, and increase"
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(remedy)
    numbers = np.searchsorted(edges, value, side="right") - 1
    outside = ~posterior.defined | (numbers == len(edges) - 1)
    numbers = np.where(outside, -1, numbers)
    if np.ndim(bins) == 0 and len(np.unique(numbers[numbers >= 0])) < bins:
        raise ValueError(remedy)
    return numbers, edges


@dataclass(frozen=True)
class Calibration:
    """Galaxies with known redshifts that measure the shift of each bin's mean redshift.

    They should be like the galaxies to be calibrated, bin by bin; weights can make them so.

    Parameters
    ----------
    posterior : Posterior
        Their redshift posteriors, from the same photometry and model; n galaxies.
    redshift : sequence of float (n,)
        Their true redshifts.
    bins : sequence of int (n,), optional
        Their bins, from `tomographic_bins` with the same edges; all in one bin without it.
    weights : sequence of float (n,), optional
        Their weights; equal without it.
    """

    posterior: Posterior
    redshift: np.ndarray
    bins: np.ndarray | None = None
    weights: np.ndarray | None = None

    def shift(self, n_bins):
        r"""True mean redshift of each bin minus the mean of its stack, and its standard error.

        With d the true redshift of a galaxy minus the mean of its posterior, and weights w, the
        shift is :math:`\bar d = \sum w d / \sum w`, and its variance, with the weights taken as
        known, :math:`\frac{n}{n-1} \sum w^2 (d - \bar d)^2 / (\sum w)^2`.

        Parameters
        ----------
        n_bins : int

        Returns
        -------
        shift, error : ndarray (n_bins,)

        Raises
        ------
        ValueError
            If a bin has fewer than two galaxies with a weight, or a galaxy no finite redshift.
        """
        bins, weights = _bins_and_weights(self.posterior, self.bins, self.weights)
        redshift = as_array(self.redshift)
        if redshift.shape != bins.shape:
            raise ValueError("the calibration needs one true redshift for each of its galaxies")
        if not np.isfinite(redshift[bins >= 0]).all():
            raise ValueError(
                "galaxies of the calibration have no true redshift: leave them out, or give them "
                "the bin -1"
            )
        deviation = redshift - self.posterior.mean()
        shift, error = np.empty(n_bins), np.empty(n_bins)
        for k in range(n_bins):
            rows = (bins == k) & (weights > 0)
            n, d, w = np.count_nonzero(rows), deviation[rows], weights[rows]
            if n < 2:
                raise ValueError(f"bin {k} has {n} galaxies to calibrate it; two are the least")
            shift[k] = np.average(d, weights=w)
            error[k] = np.sqrt(n / (n - 1) * np.sum((w * (d - shift[k])) ** 2)) / np.sum(w)
        return shift, error


def redshift_distribution(
    posterior, bins=None, grid=None, weights=None, n_bootstrap=100, seed=0, calibration=None
):
    """The redshift distribution of each bin, with its uncertainty.

    Parameters
    ----------
    posterior : Posterior
        Of the redshifts of n galaxies.
    bins : sequence of int (n,), optional
        The bin of each galaxy from 0, negative for none, as `tomographic_bins` gives them. Without
        it all galaxies that have an answer are in one bin.
    grid : sequence of float (m + 1,), optional
        Edges of the cells of redshift in which the distributions are given; by default 600 from 0
        to 6. What is beyond is cut off.
    weights : sequence of float (n,), optional
        Weights of galaxies, such as those of shapes.
    n_bootstrap : int
        Number of realisations, at least 2.
    seed : int
        Of the realisations.
    calibration : Calibration, optional
        Galaxies with true redshifts, sorted into the same bins.

    Returns
    -------
    RedshiftDistribution

    Raises
    ------
    ValueError
        If the posterior is not of the redshift, if bins, weights or grid do not fit, if a bin has
        fewer than two galaxies with a weight or nothing within the grid, or if it cannot be moved
        by its shift.

    Notes
    -----
    Realisations are made of the galaxies of a bin drawn again with replacement. Their scatter is
    that of the *sampling* of galaxies: how the stack would vary had other galaxies been drawn,
    independently, from the same population. It does *not* contain what all posteriors have wrong
    in common (a wrong prior, wrong templates, wrong zero points), nor the clustering of galaxies,
    and it falls as one over the root of their number however wrong the posteriors are.

    With a calibration, each distribution is moved as a whole by the shift that `Calibration.shift`
    measures, and each realisation by that shift plus a Gaussian draw of its error, independent
    from bin to bin, so that their means are as much higher: what a move would take below redshift
    zero or beyond the grid is cut off, and the rest moved further for it. The shape is left as it
    is. The scatter of the calibration sample's own clustering, and its selection, are not in the
    error.
    """
    posterior = _of_redshift(posterior)
    bins, weights = _bins_and_weights(posterior, bins, weights)
    grid = GRID if grid is None else np.asarray(grid, float)
    if grid.ndim != 1 or len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise ValueError("the grid is the edges of cells of redshift: two or more, increasing")
    if n_bootstrap < 2:
        raise ValueError("n_bootstrap is at least 2: an uncertainty needs several realisations")
    n_bins = bins.max(initial=-1) + 1
    if n_bins == 0:
        raise ValueError("no galaxy is in a bin")
    rng = np.random.default_rng(seed)
    shift, shift_error = calibration.shift(n_bins) if calibration else (None, None)

    galaxies = np.bincount(bins[(bins >= 0) & (weights > 0)], minlength=n_bins)
    density = np.empty((n_bins, len(grid) - 1))
    realisations = np.empty((n_bins, n_bootstrap, len(grid) - 1))
    for k in range(n_bins):
        rows = np.flatnonzero((bins == k) & (weights > 0))
        if len(rows) < 2:
            raise ValueError(
                f"bin {k} has {len(rows)} galaxies; two are the least of which the scatter is known"
            )
        drawn = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=n_bootstrap)
        # The first row is the stack itself.
        counts = np.concatenate([np.ones((1, len(rows)), int), drawn]) * weights[rows]
        stacks = counts @ posterior.probability[rows]
        moved = np.zeros(n_bootstrap + 1)
        if calibration:
            moved += shift[k]
            moved[1:] += shift_error[k] * rng.normal(size=n_bootstrap)
        cells = _moved(stacks, posterior, grid, moved, f"bin {k}") / np.diff(grid)
        density[k], realisations[k] = cells[0], cells[1:]
    return RedshiftDistribution(grid, density, realisations, galaxies, shift, shift_error)


class RedshiftDistribution:
    """The redshift distributions n(z) of tomographic bins, each normalised to 1.

    Made by `redshift_distribution`.

    Attributes
    ----------
    grid : ndarray (m + 1,)
        Edges of cells of redshift.
    density : ndarray (bins, m)
        n(z) of each bin, constant in each cell.
    realisations : ndarray (bins, n_bootstrap, m)
        Those of the bootstrap, each normalised.
    galaxies : ndarray of int (bins,)
        Numbers of galaxies.
    shift, shift_error : ndarray (bins,) or None
        By how much the calibration moved each bin, and the error of that.
    """

    def __init__(self, grid, density, realisations, galaxies, shift=None, shift_error=None):
        self.grid, self.density, self.realisations = grid, density, realisations
        self.galaxies, self.shift, self.shift_error = galaxies, shift, shift_error

    def __len__(self):
        return len(self.density)

    def __repr__(self):
        return f"<RedshiftDistribution of {len(self)} bins, {self.galaxies.sum()} galaxies>"

    @property
    def middles(self):
        """Middles of the cells of redshift; (m,)."""
        return 0.5 * (self.grid[1:] + self.grid[:-1])

    def mean(self):
        """The mean redshift of each bin.

        Returns
        -------
        QTable
            One row for each bin: ``bin``, ``galaxies``, ``z_mean`` and its error ``z_mean_err``,
            the standard deviation of the realisations' means; with a calibration also ``shift``
            and ``shift_err``, which are part of them.
        """
        from astropy.table import QTable

        middles, widths = self.middles, np.diff(self.grid)
        table = QTable({
            "bin": np.arange(len(self)), "galaxies": self.galaxies,
            "z_mean": self.density @ (middles * widths),
            "z_mean_err": np.std(self.realisations @ (middles * widths), axis=1, ddof=1),
        })  # fmt: skip
        if self.shift is not None:
            table["shift"], table["shift_err"] = self.shift, self.shift_error
        return table

    def to_table(self):
        """The distributions as a table.

        Returns
        -------
        QTable
            One row for each cell of redshift: its ``z_low``, ``z_mid`` and ``z_high``, and for
            each bin, from 0, ``bin_0`` and ``bin_0_err``, the standard deviation of the
            realisations. The meta has ``galaxies``, ``n_bootstrap`` and, with a calibration,
            ``shift`` and ``shift_err``.
        """
        from astropy.table import QTable

        table = QTable({"z_low": self.grid[:-1], "z_mid": self.middles, "z_high": self.grid[1:]})
        for k in range(len(self)):
            table[f"bin_{k}"] = self.density[k]
            table[f"bin_{k}"].info.description = f"n(z) of bin {k}, normalised to 1"
            table[f"bin_{k}_err"] = np.std(self.realisations[k], axis=0, ddof=1)
        table.meta["galaxies"] = self.galaxies.tolist()
        table.meta["n_bootstrap"] = self.realisations.shape[1]
        if self.shift is not None:
            table.meta["shift"] = self.shift.tolist()
            table.meta["shift_err"] = self.shift_error.tolist()
        return table

    def to_qp(self, realisations=False):
        """The distributions as a `qp.Ensemble` of histograms.

        Parameters
        ----------
        realisations : bool
            The realisations in place of the distributions.

        Returns
        -------
        qp.Ensemble
            One row for each bin, or one for each realisation, those of the first bin first. Its
            ``ancil["bin"]`` says of which bin each row is.

        Raises
        ------
        ImportError
            If qp is not installed: ``pip install 'astromosaic[qp]'``.
        """
        import qp

        rows = self.realisations if realisations else self.density[:, None]
        bins = np.repeat(np.arange(len(self)), rows.shape[1])
        return qp.Ensemble(
            qp.hist,
            data={"bins": self.grid, "pdfs": rows.reshape(len(bins), -1)},
            ancil={"bin": bins},
        )

    def plot(self, ax=None):
        """Draw the distributions, shaded between the 16th and 84th percentile of realisations.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes without it.

        Returns
        -------
        matplotlib.axes.Axes
        """
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        low, high = np.quantile(self.realisations, [0.16, 0.84], axis=1)
        colors = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(self)))
        for k, color in enumerate(colors):
            ax.fill_between(self.middles, low[k], high[k], color=color, alpha=0.35, lw=0)
            ax.plot(self.middles, self.density[k], color=color, lw=1.2, label=f"bin {k}")
        seen = self.grid[1:][(self.density > 0.01 * self.density.max()).any(axis=0)]
        ax.set(xlabel="redshift", ylabel="n(z)", xlim=(self.grid[0], seen[-1]), ylim=(0, None))
        return ax


def _of_redshift(posterior):
    """A posterior of the redshift, on bins that all galaxies share; ValueError if it is none."""
    if getattr(posterior, "name", None) != "redshift":
        raise ValueError(
            f"a Posterior of the redshift is needed, not {posterior!r}; of several queries choose "
            "posterior['redshift']"
        )
    if np.ptp(posterior.edges, axis=0).any():  # a calibrated one
        prop = posterior.coordinate
        return posterior.rebinned(np.linspace(prop.low, prop.high, prop.bins + 1))
    return posterior


def _bins_and_weights(posterior, bins, weights):
    """Bins and weights as arrays (n,) that fit the posterior."""
    _of_redshift(posterior)
    n = len(posterior)
    bins = np.where(posterior.defined, 0, -1) if bins is None else np.asarray(bins)
    if bins.shape != (n,) or not np.issubdtype(bins.dtype, np.integer):
        raise ValueError(
            "bins are numbers of bins, one for each galaxy: the first that tomographic_bins returns"
        )
    if (bins[~posterior.defined] >= 0).any():
        raise ValueError("galaxies without an answer are in a bin: give them the bin -1")
    weights = np.ones(n) if weights is None else as_array(weights)
    if weights.shape != (n,):
        raise ValueError("weights are numbers, one for each galaxy")
    if not (np.isfinite(weights) & (weights >= 0))[bins >= 0].all():
        raise ValueError("weights of galaxies in a bin must be finite and not negative")
    return bins, weights


def _moved(stacks, posterior, grid, shifts, name):
    """Probability in cells of redshift, (k, m), of stacks (k, bins) with means moved by (k,)."""
    middles = 0.5 * (grid[1:] + grid[:-1])
    cells = _in_cells(stacks, posterior, grid, np.zeros(len(stacks)))
    if not shifts.any():
        return _normalised(cells, name)
    # The calibration is of whole posteriors, whatever of them is outside the grid.
    whole = _in_cells(stacks, posterior, GRID, np.zeros(len(stacks)))
    wanted = _normalised(whole, name) @ (0.5 * (GRID[1:] + GRID[:-1])) + shifts
    moved = shifts.copy()
    for _ in range(_ITERATIONS):
        cells = _in_cells(stacks, posterior, grid, moved)
        if not cells.sum(axis=1).all():
            break
        cells = _normalised(cells, name)
        missing = wanted - cells @ middles
        if np.abs(missing).max() < _TOLERANCE:
            return cells
        moved += missing
    raise ValueError(
        f"{name} cannot be moved by {shifts[0]:+.3f}, which the calibration asks for: nearly all "
        "of it would be below redshift zero or beyond the grid"
    )


def _normalised(cells, name):
    total = cells.sum(axis=1, keepdims=True)
    if not total.all():
        raise ValueError(f"{name} has no probability within the grid")
    return cells / total


def _in_cells(stacks, posterior, grid, moved):
    """Probability in cells of redshift, (k, m), of stacks (k, bins) moved by redshifts (k,)."""
    edges = posterior.edges[0]
    out = np.empty((len(stacks), len(grid) - 1))
    for row, stack, by in zip(out, stacks, moved, strict=True):
        # Below redshift zero there is nothing, and ln(1+z) ends at -1.
        x = posterior.coordinate.to_internal(np.maximum(grid - by, 0.0))
        cumulative = np.concatenate([[0.0], np.cumsum(stack)]) / np.sum(stack)
        row[:] = np.diff(np.interp(x, edges, cumulative))
    return out
