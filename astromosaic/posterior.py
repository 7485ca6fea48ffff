"""`Posterior`: the distribution of one property for each galaxy, with units.

Every distribution of a scalar or flux is held in one form, probabilities in bins of an internal
coordinate, with flat density within a bin. Scalars share the bins of their
`astromosaic.properties.Property`; a flux has bins of its own for each galaxy, laid where its
mixture of Gaussians changes. A vector is a `VectorPosterior`: a mixture of Gaussians for each
element.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from scipy.special import ndtr, ndtri

from .arrays import as_array
from .properties import FLUX_SCALE, PROPERTIES, VECTORS, Property

__all__ = ["FluxCoordinate", "MagnitudeCoordinate", "Posterior", "VectorPosterior"]

# Edges of the bins of a mixture's component, in its sigma: flat bins would spoil the tails if they
# held equal probabilities.
_COMPONENT_EDGES = np.linspace(-5.0, 5.0, 65)
# Rows of vectors worked on at a time.
_BLOCK = 1024
# Nodes in a bin, from 0 to 1, and weights of the mean over it.
_IN_BIN = np.polynomial.legendre.leggauss(3)
_IN_BIN = 0.5 * (_IN_BIN[0] + 1), 0.5 * _IN_BIN[1]
# Nodes in sigma and weights of the mean over a normal distribution.
_NODES = np.polynomial.hermite_e.hermegauss(40)
_NODES = _NODES[0], _NODES[1] / np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class FluxCoordinate:
    """A flux in a filter; internal coordinate arcsinh(f / FLUX_SCALE)."""

    name: str
    unit: str = "nJy"
    ucd: str = "phot.flux.density"

    @property
    def definition(self):
        return f"Noiseless flux density f_nu in {self.name}."

    def to_internal(self, value):
        return np.arcsinh(np.asarray(value, float) / FLUX_SCALE)

    def to_physical(self, coordinate):
        return FLUX_SCALE * np.sinh(np.asarray(coordinate, float))

    def density_to_physical(self, coordinate):
        return 1.0 / (FLUX_SCALE * np.cosh(np.asarray(coordinate, float)))


@dataclass(frozen=True)
class MagnitudeCoordinate:
    """An AB magnitude in a filter, from the same internal coordinate as the flux, negated.

    Fluxes of zero and below have no magnitude: they are all put at magnitude 35.
    """

    name: str
    unit: str = "mag(AB)"
    ucd: str = "phot.mag"

    FAINTEST = 35.0

    @property
    def definition(self):
        return f"AB magnitude of the noiseless flux in {self.name.removeprefix('mag_')}."

    def to_internal(self, value):
        return -np.arcsinh(10 ** (-0.4 * (np.asarray(value, float) - 31.4)) / FLUX_SCALE)

    def to_physical(self, coordinate):
        flux = FLUX_SCALE * np.sinh(-np.asarray(coordinate, float))
        faintest = 10 ** (-0.4 * (self.FAINTEST - 31.4))
        return 31.4 - 2.5 * np.log10(np.maximum(flux, faintest))

    def density_to_physical(self, coordinate):
        flux = np.maximum(FLUX_SCALE * np.sinh(-np.asarray(coordinate, float)), 0.0)
        return 0.4 * np.log(10.0) * flux / np.hypot(flux, FLUX_SCALE)


class _Answer:
    """What scalars and vectors have in common: `Posterior` and `VectorPosterior`."""

    def median(self):
        """The median; (n,), of vectors (n, length)."""
        return self.quantile(0.5)

    def to_table(self, samples=0, seed=0):
        """Median, 68% interval, mean, standard deviation and mode as a table.

        Parameters
        ----------
        samples : int
            Number of draws in a column ``q_samples``.
        seed : int
            Of the draws.

        Returns
        -------
        QTable
            One row for each galaxy with the columns ``q``, ``q_lo``, ``q_hi``, ``q_mean``,
            ``q_std`` and ``q_mode``, of vectors (n, length).
        """
        from astropy.table import QTable

        low, high = self.interval(0.68)
        columns = {
            "": self.median(), "_lo": low, "_hi": high, "_mean": self.mean(), "_std": self.std(),
            "_mode": self.mode(),
        }  # fmt: skip
        if samples:
            columns["_samples"] = self.sample(samples, seed)
        return QTable({self.name + suffix: value for suffix, value in columns.items()})

    def to_distribution(self, n=1000, seed=0):
        """`astropy.uncertainty.Distribution` of n draws for each galaxy, which has units and does
        arithmetic. Astropy cannot have it as a column of a table. Draws of several properties that
        belong together are those of `~astromosaic.joint.JointPosterior.sample`."""
        from astropy.uncertainty import Distribution

        # Draws come second, and Astropy wants them last.
        return Distribution(np.moveaxis(self.sample(n, seed), 1, -1))

    def to_qp(self, quantiles=None, grid=None):
        """`qp.Ensemble` of the physical values, in the posterior's unit.

        Parameters
        ----------
        quantiles : sequence of float, optional
            As these quantiles; by default 51, which reach out to four sigma.
        grid : sequence of float or Quantity, optional
            As densities on this grid of values, in place of quantiles: means over the cells around
            its points, so that what is narrower than a cell is as wide as one. What is beyond is
            cut off, of which a warning tells.

        Returns
        -------
        qp.Ensemble
            With the galaxies in order; of vectors with their elements one after the other, and
            ``ancil`` tells the row and the element.

        Raises
        ------
        ImportError
            If qp is not installed: ``pip install 'astromosaic[qp]'``.
        ValueError
            If there are none, or some without an answer, which qp cannot hold; if the grid does
            not increase, or misses one of them.
        """
        from .integrations.qp import to_qp

        return to_qp(self, quantiles, grid)

    def _without_unit(self, value):
        return as_array(value, self.coordinate.unit)


def _tails(level):
    """Probabilities of the ends of a central interval."""
    if not 0 < level <= 1:
        raise ValueError(f"the level of an interval is between 0 and 1, such as 0.68, not {level}")
    return 0.5 - level / 2, 0.5 + level / 2


def _checked(p):
    """Probabilities as an array."""
    p = np.asarray(p, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"quantiles are those of probabilities between 0 and 1, not {p}")
    return p


class Posterior(_Answer):
    """The distribution of one property for each of n galaxies.

    Parameters
    ----------
    coordinate : Property, FluxCoordinate or MagnitudeCoordinate
        The property: its name, unit and internal coordinate.
    edges : ndarray (m + 1,) or (n, m + 1)
        Edges of the bins in the internal coordinate.
    probability : ndarray (n, m)
        Probability of each bin; a row of NaN where nothing can be said.

    Notes
    -----
    All methods take and give physical values: `~astropy.units.Quantity` where the property has a
    unit, plain arrays where it has none.
    """

    def __init__(self, coordinate, edges, probability):
        self.coordinate = coordinate
        self.name = coordinate.name
        self.probability = np.asarray(probability, float)
        self.probability /= self.probability.sum(axis=1, keepdims=True)
        self.edges = np.broadcast_to(
            np.asarray(edges, float), (len(self.probability), self.probability.shape[1] + 1)
        )

    @classmethod
    def from_logits(cls, name, logits):
        """Of a scalar property, from the logits (n, bins) of its histogram."""
        prop = PROPERTIES[name]
        logits = np.asarray(logits, float)
        probability = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cls(prop, np.linspace(prop.low, prop.high, prop.bins + 1), probability)

    @classmethod
    def from_mixture(cls, coordinate, weight, mean, sigma):
        """Of a flux or magnitude, from Gaussians in arcsinh flux; arrays (n, components)."""
        weight, mean, sigma = (np.asarray(x, float) for x in (weight, mean, sigma))
        edges = mean[:, :, None] + sigma[:, :, None] * _COMPONENT_EDGES
        edges = np.sort(edges.reshape(len(mean), -1), axis=1)
        probability = np.zeros((len(edges), edges.shape[1] - 1))
        for w, m, s in zip(weight.T, mean.T, sigma.T, strict=True):
            probability += w[:, None] * np.diff(ndtr((edges - m[:, None]) / s[:, None]), axis=1)
        if isinstance(coordinate, MagnitudeCoordinate):
            edges, probability = -edges[:, ::-1], probability[:, ::-1]
        return cls(coordinate, edges, probability)

    def __len__(self):
        return len(self.probability)

    def __getitem__(self, rows):
        """The posterior of some of the galaxies, by a slice, a mask, indices or a number."""
        rows = _several(rows)
        return Posterior(self.coordinate, self.edges[rows], self.probability[rows])

    def __repr__(self):
        return f"<Posterior of {self.name} for {len(self)} galaxies>"

    @property
    def defined(self):
        """Which galaxies have an answer; bool (n,)."""
        return np.isfinite(self.probability).all(axis=1)

    def quantile(self, p):
        """Quantiles.

        Parameters
        ----------
        p : float or sequence of float
            Probabilities between 0 and 1.

        Returns
        -------
        ndarray or Quantity, (n,) for one p, (n, k) for k of them
        """
        p = _checked(p)
        x = self._invert(np.broadcast_to(np.atleast_1d(p), (len(self), p.size)))
        value = self._with_unit(self.coordinate.to_physical(x))
        return value[:, 0] if p.ndim == 0 else value

    def interval(self, level=0.68):
        """Lower and upper end of the central interval of a level; two of (n,)."""
        ends = self.quantile(_tails(level))
        return ends[:, 0], ends[:, 1]

    def mean(self):
        """The mean of the physical value; (n,)."""
        return self._with_unit(self._mean_of(lambda value: value))

    def std(self):
        """The standard deviation of the physical value; (n,)."""
        mean = self._mean_of(lambda value: value)[:, None]
        std = np.sqrt(self._mean_of(lambda value: (value - mean) ** 2))
        if isinstance(self.coordinate, MagnitudeCoordinate):  # a difference has no zero point
            from astropy import units as u

            return std << u.mag
        return self._with_unit(std)

    def mode(self):
        """The centre of the bin of highest density in the internal coordinate; (n,)."""
        density = self.probability / np.maximum(np.diff(self.edges, axis=1), 1e-12)
        best = np.argmax(np.nan_to_num(density, nan=-1.0), axis=1)
        x = np.take_along_axis(self._centers(), best[:, None], axis=1)[:, 0]
        return self._with_unit(np.where(self.defined, self.coordinate.to_physical(x), np.nan))

    def best(self, width=0.15):
        """The estimate of a scalar that is least likely to be far off; (n,).

        Parameters
        ----------
        width : float
            From where an estimate is far off, in the internal coordinate: for redshifts
            ln(1+z), nearly dz/(1+z), for which the default is meant; for ``dust_av`` magnitudes,
            for all others dex.

        Raises
        ------
        TypeError
            If this is a flux or a magnitude.
        ValueError
            If the width is not positive.

        Notes
        -----
        It minimises the expected loss 1 - 1 / (1 + (error / width)^2) (Tanaka et al. 2018, PASJ
        70, S9, equations 13 and 14). Where two answers are possible it takes the likelier one,
        while the median can fall between them; where there is one, narrower than the width, it is
        near the mean of the internal coordinate.
        """
        prop = self.coordinate
        if not isinstance(prop, Property):
            raise TypeError(f"{self.name} has no best estimate, scalars have; take the median")
        if not width > 0:
            raise ValueError(f"width={width}: give one above zero")
        edges = np.linspace(prop.low, prop.high, prop.bins + 1)
        x = (edges[1:] + edges[:-1]) / 2
        near = 1 / (1 + ((x - x[:, None]) / width) ** 2)
        chance = np.nan_to_num(self.rebinned(edges).probability) @ near
        value = prop.to_physical(x[np.argmax(chance, axis=1)])
        return self._with_unit(np.where(self.defined, value, np.nan))

    def cdf(self, value):
        """Probability to be below a value, one for each galaxy or one for all; (n,).

        At the true values this is the probability integral transform. Unlike that of `pdf`, the
        argument is no grid.
        """
        value = self._without_unit(value)
        if value.shape not in ((), (1,), (len(self),)):
            raise ValueError(
                f"values of shape {value.shape} for {len(self)} galaxies: give one for all, or one "
                "for each of them; a grid that all share is what pdf() takes"
            )
        value = np.broadcast_to(value, (len(self),))
        x = self._to_internal(value)
        cumulative = self._cumulative()
        i = np.clip((self.edges <= x[:, None]).sum(axis=1) - 1, 0, self.probability.shape[1] - 1)
        low, high = (np.take_along_axis(self.edges, (i + k)[:, None], 1)[:, 0] for k in (0, 1))
        c = np.take_along_axis(cumulative, i[:, None], 1)[:, 0]
        p = np.take_along_axis(self.probability, i[:, None], 1)[:, 0]
        with np.errstate(invalid="ignore"):
            share = np.clip((x - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
        return c + p * share

    def pdf(self, grid):
        """Probability density on a grid of values shared by all galaxies; (n, len(grid)).

        The density is per unit of the physical value, for magnitudes and redshifts per 1.
        """
        grid = np.atleast_1d(self._without_unit(grid))
        x = self._to_internal(grid)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            jacobian = self.coordinate.density_to_physical(x)
        density = self.probability / np.maximum(np.diff(self.edges, axis=1), 1e-12)
        out = np.empty((len(self), len(grid)))
        for k, (edges, row) in enumerate(zip(self.edges, density, strict=True)):
            i = np.searchsorted(edges, x, side="right") - 1
            inside = (i >= 0) & (i < len(row))
            here = row[np.clip(i, 0, len(row) - 1)]
            out[k] = np.where(inside, here, 0.0) * np.where(inside, jacobian, 1.0)
        out[:, np.isnan(grid)] = np.nan
        out[~self.defined] = np.nan
        from astropy import units as u

        unit = u.Unit(self.coordinate.unit)
        per_value = unit != u.dimensionless_unscaled and not hasattr(unit, "physical_unit")
        return out / unit if per_value else out

    def _to_internal(self, value):
        """The internal coordinate of physical values, infinite below its domain."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = self.coordinate.to_internal(value)
        x = np.where(np.isnan(x) & ~np.isnan(value), -np.inf, x)
        if isinstance(self.coordinate, MagnitudeCoordinate):
            # All that has no flux is at the faintest magnitude.
            x = np.where(value >= self.coordinate.FAINTEST, np.inf, x)
        return x

    def sample(self, n, seed=0):
        """Draw from the posterior; (n_galaxies, n). The same seed gives the same draws.

        A row's draws depend on its place among the galaxies, its distribution does not. Those of
        different properties are independent: draws that belong together are those of
        `~astromosaic.joint.JointPosterior.sample`.
        """
        rng = np.random.default_rng([seed, crc32(self.name.encode())])
        return self._with_unit(self._draw(n, rng))

    def location_and_width(self):
        """Median and ln of the width of the 68% interval, in the internal coordinate; (n, 2)."""
        low, median, high = self._invert(np.tile([0.16, 0.5, 0.84], (len(self), 1))).T
        return np.stack([median, np.log(np.maximum(high - low, 1e-9))], axis=1)

    def rebinned(self, edges):
        """The same on bins that all galaxies share, with edges (m + 1,) in the internal
        coordinate; what lies beyond them is lost."""
        cumulative = self._cumulative()
        rebinned = np.full((len(self), len(edges) - 1), np.nan)
        for k in np.flatnonzero(self.defined):
            rebinned[k] = np.diff(np.interp(edges, self.edges[k], cumulative[k]))
        return Posterior(self.coordinate, edges, rebinned)

    def remapped(self, knots, cumulative):
        """The posterior whose cumulative probability is a function of this one's.

        Parameters
        ----------
        knots : ndarray (k,)
            Cumulative probabilities of this posterior, from 0 to 1, increasing.
        cumulative : ndarray (n, k)
            What becomes of them, from 0 to 1, not decreasing; linear in between. Bins are split
            at the knots, so that it is exact.

        Returns
        -------
        Posterior
        """
        inner = np.broadcast_to(knots[1:-1], (len(self), len(knots) - 2))
        # Both rise together, so that each can be sorted by itself.
        edges = np.sort(np.concatenate([self.edges, self._invert(inner)], axis=1), axis=1)
        before = np.sort(np.concatenate([self._cumulative(), inner], axis=1), axis=1)
        after = np.full(before.shape, np.nan)
        for k in np.flatnonzero(self.defined):
            after[k] = np.interp(before[k], knots, cumulative[k])
        edges = np.where(self.defined[:, None], edges, np.nan)
        return Posterior(self.coordinate, edges, np.diff(after, axis=1))

    def _draw(self, n, rng):
        """Draws without a unit."""
        return self.coordinate.to_physical(self._invert(rng.random((len(self), n))))

    def _cumulative(self):
        zero = np.zeros((len(self), 1))
        return np.concatenate([zero, np.cumsum(self.probability, axis=1)], axis=1)

    def _invert(self, p):
        """Internal coordinates where the cumulative probability is p (n, k)."""
        out = np.full(p.shape, np.nan)
        cumulative = self._cumulative()
        for k in np.flatnonzero(self.defined):
            out[k] = np.interp(p[k], cumulative[k], self.edges[k])
        return out

    def _centers(self):
        return 0.5 * (self.edges[:, 1:] + self.edges[:, :-1])

    def _mean_of(self, function):
        """The mean of a function of the physical value; (n,)."""
        shared = self.edges.strides[0] == 0  # by all galaxies
        edges = self.edges[:1] if shared else self.edges
        low, width = edges[:, :-1], np.diff(edges, axis=1)
        return sum(
            weight
            * np.einsum(
                "nm,nm->n", self.probability,
                np.broadcast_to(
                    function(self.coordinate.to_physical(low + node * width)),
                    self.probability.shape,
                ),
            )
            for node, weight in zip(*_IN_BIN, strict=True)
        )  # fmt: skip

    def _in_cells(self, edges):
        """Probability between values that increase, in the property's unit; (n, len(edges) - 1)."""
        x, cumulative = self.coordinate.to_internal(edges), self._cumulative()
        inside = [np.interp(x, *of_one) for of_one in zip(self.edges, cumulative, strict=True)]
        return np.diff(np.reshape(inside, (len(self), len(x))), axis=1)

    def _with_unit(self, value):
        if not self.coordinate.unit:
            return value
        from astropy import units as u

        unit = u.Unit(self.coordinate.unit)
        return u.Magnitude(value, unit) if hasattr(unit, "physical_unit") else value << unit


def _several(rows):
    """Rows of which a number is a list of one, so that there always is an axis of galaxies."""
    return [rows] if np.ndim(rows) == 0 and not isinstance(rows, slice) else rows


class VectorPosterior(_Answer):
    """The distributions of the elements of a vector for each of n galaxies.

    Parameters
    ----------
    name : str
        One of `astromosaic.properties.VECTORS`.
    weight, mean, sigma : ndarray (n, length, components)
        A mixture of Gaussians for each element, in the coordinate in which it is predicted; NaN
        where nothing can be said.

    Attributes
    ----------
    joint : JointPosterior or None
        Where it comes from, set there, which knows how elements vary together.

    Notes
    -----
    These are the distributions of single elements; only `sample` tells how they vary together.
    """

    def __init__(self, name, weight, mean, sigma):
        self.name, self.coordinate, self.joint = name, VECTORS[name], None
        self.weight, self.mean_internal, self.sigma = (
            np.asarray(x, np.float32) for x in (weight, mean, sigma)
        )

    def __len__(self):
        return len(self.weight)

    def __getitem__(self, rows):
        """The posterior of some of the galaxies, by a slice, a mask, indices or a number."""
        rows = _several(rows)
        return VectorPosterior(
            self.name, self.weight[rows], self.mean_internal[rows], self.sigma[rows]
        )

    def elements(self, index):
        """The posterior of some of the elements only."""
        return VectorPosterior(
            self.name, *(x[:, index] for x in (self.weight, self.mean_internal, self.sigma))
        )

    def __repr__(self):
        return f"<VectorPosterior of {self.name} for {len(self)} galaxies>"

    @property
    def defined(self):
        """Which galaxies have an answer; bool (n,)."""
        return np.isfinite(self.weight).all(axis=(1, 2))

    def quantile(self, p):
        """Quantiles of each element; (n, length) for one p, (n, length, k) for k of them."""
        p = _checked(p)
        x = np.stack([self._invert(q) for q in np.atleast_1d(p)], axis=-1)
        value = self._with_unit(self.coordinate.to_physical(x))
        return value[..., 0] if p.ndim == 0 else value

    def interval(self, level=0.68):
        """Lower and upper ends of the central intervals of a level; two of (n, length)."""
        low, high = _tails(level)
        return self.quantile(low), self.quantile(high)

    def mean(self):
        """The mean; Quantity (n, length)."""
        return self._with_unit(self._moments()[0])

    def std(self):
        """The standard deviation; Quantity (n, length)."""
        mean, square = self._moments()
        return self._with_unit(np.sqrt(np.maximum(square - mean**2, 0.0)))

    def mode(self):
        """The place of the densest component of each element; Quantity (n, length)."""
        density = np.sum(
            self.weight[..., None, :]
            / self.sigma[..., None, :]
            * np.exp(
                -0.5
                * (
                    (self.mean_internal[..., None] - self.mean_internal[..., None, :])
                    / self.sigma[..., None, :]
                )
                ** 2
            ),
            axis=-1,
        )
        best = np.argmax(density, axis=2)[..., None]
        x = np.take_along_axis(self.mean_internal, best, axis=2)[..., 0]
        return self._with_unit(self.coordinate.to_physical(x))

    def pdf(self, grid):
        """Density of each element per unit of its value on a grid; Quantity (n, length, k).

        Histories have no negative values: what a mixture has there is at zero, as a probability
        that no density shows; ``cdf(0)`` is how much.
        """
        from astropy import units as u

        grid = np.atleast_1d(self._without_unit(grid))
        x = self.coordinate.to_internal(grid)
        jacobian = 1.0 / np.hypot(grid, self.coordinate.scale)
        z = (x[:, None] - self.mean_internal[:, :, None]) / self.sigma[:, :, None]
        density = np.exp(-0.5 * z**2) * (self.weight / self.sigma)[:, :, None]
        density = density.sum(axis=3) / np.sqrt(2 * np.pi) * jacobian * self._possible(grid)
        return density / u.Unit(self.coordinate.unit)

    def sample(self, n, seed=0):
        """Draw the vector as a whole, with the correlations of its elements.

        The same as `~astromosaic.joint.JointPosterior.sample` of this query alone; it asks the
        model again, and so is there only for a posterior as `Model.posterior` returns it.

        Returns
        -------
        Quantity (n_galaxies, n, length)
        """
        if self.joint is None:
            raise ValueError(
                f"draws of {self.name} are made by the model: draw from what Model.posterior "
                "returns, and choose galaxies and elements after that"
            )
        return self.joint.sample(n, seed, [self.name])[self.name]

    def cdf(self, value):
        """Probability of each element to be at a value or below; ndarray (n, length).

        The value is one for all, one for each element, (length,), or (n, length).
        """
        value, shape = self._without_unit(value), self.weight.shape[:2]
        if value.shape not in ((), (1,), shape[1:], shape):
            raise ValueError(
                f"values of shape {value.shape}: give one for all, or as many as there are "
                f"elements, {shape[1:]}, of all galaxies {shape}"
            )
        return self._cdf(self.coordinate.to_internal(value)) * self._possible(value)

    def _in_cells(self, edges):
        """Probability between values that increase, in the vector's unit; (n, length, cells)."""
        # Of histories that begin at zero the first cell has what is exactly there.
        edges = [np.nextafter(edges[0], -np.inf), *edges[1:]]
        return np.diff(np.stack([self.cdf(edge) for edge in edges], axis=-1), axis=-1)

    def _possible(self, value):
        """Whether there are such values: histories have none below zero."""
        return (value >= 0.0) | self.coordinate.is_flux

    def _moments(self):
        """Means of the values and of their squares, each (n, length)."""
        return np.moveaxis(self._by_blocks(lambda part: part._moments_of_block()), -1, 0)

    def _moments_of_block(self):
        mean, sigma = self.mean_internal.astype(float), self.sigma.astype(float)
        if self.coordinate.is_flux:
            # For normal x: E[sinh x] = exp(s^2 / 2) sinh m, E[sinh^2 x] = (exp(2 s^2) cosh 2m - 1)
            # / 2.
            variance, scale = sigma**2, self.coordinate.scale
            first = scale * np.exp(0.5 * variance) * np.sinh(mean)
            second = scale**2 * 0.5 * (np.exp(2 * variance) * np.cosh(2 * mean) - 1.0)
        else:
            # Histories end at zero and at their highest value: by Gauss-Hermite quadrature.
            first, second = np.zeros((2, *mean.shape))
            for node, weight in zip(*_NODES, strict=True):
                value = self._clipped(self.coordinate.to_physical(mean + node * sigma))
                first += weight * value
                second += weight * value**2
        return np.stack([np.sum(self.weight * x, axis=2) for x in (first, second)], axis=-1)

    def _by_blocks(self, function):
        """Rows of an array made block by block, which keeps temporary arrays small."""
        starts = range(0, max(len(self), 1), _BLOCK)
        return np.concatenate([function(self[start : start + _BLOCK]) for start in starts])

    def _cdf(self, x):
        z = (np.asarray(x, np.float32)[..., None] - self.mean_internal) / self.sigma
        return np.sum(self.weight * ndtr(z), axis=2)

    def _invert(self, p):
        """Internal coordinates (n, length) below which the probability is p, by bisection."""
        return self._by_blocks(lambda part: part._bisect(p))

    def _bisect(self, p):
        ends = self.mean_internal + np.asarray(ndtri(p), np.float32)[..., None] * self.sigma
        low, high = ends.min(axis=2), ends.max(axis=2)
        for _ in range(24):
            middle = 0.5 * (low + high)
            below = self._cdf(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(self.defined[:, None], 0.5 * (low + high), np.nan)

    def _at_ranks(self, p):
        """The quantiles of each element at probabilities (n, length), without a unit."""
        x = np.concatenate(
            [
                self[start : start + _BLOCK]._bisect(p[start : start + _BLOCK])
                for start in range(0, max(len(self), 1), _BLOCK)
            ]
        )
        return self._clipped(self.coordinate.to_physical(x))

    def _draw(self, rng):
        """One draw of each element by itself, without a unit; (n, length)."""
        shape = self.weight.shape[:2]
        component = (rng.random(shape)[..., None] > np.cumsum(self.weight, axis=2)).sum(axis=2)
        component = np.minimum(component, self.weight.shape[2] - 1)[..., None]
        mean, sigma = (
            np.take_along_axis(x, component, axis=2)[..., 0]
            for x in (self.mean_internal, self.sigma)
        )
        return self._clipped(self.coordinate.to_physical(mean + sigma * rng.normal(size=shape)))

    def _clipped(self, value):
        # Histories have no negative rates or masses.
        if self.coordinate.is_flux:
            return value
        return np.clip(value, 0.0, self.coordinate.highest)

    def _with_unit(self, value):
        from astropy import units as u

        return self._clipped(value) << u.Unit(self.coordinate.unit)
