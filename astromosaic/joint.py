"""`JointPosterior`: what several queries are together.

A model gives the distribution of one thing at a time. Draws of several that belong together follow
from the chain rule, p(a, b | given) = p(a | given) p(b | given, a): one is drawn, added to what is
known, and the next is asked. A model contradicts itself a little: p(a) p(b | a) and p(b) p(a | b)
are not quite the same. So the joint distribution is the mean over orders in which scalars and
fluxes come one after the other, each equally often in each place, vectors after them: it does not
depend on the order in which they were asked.

Within a history elements are drawn from coarse to fine, the middle one first, each level knowing
all that came before.

Light along wavelength, a spectrum or SPHEREx, has too many elements for that. It is drawn at one
redshift (one that is drawn for it alone, if none is known), each element from its own distribution
at that redshift, with ranks that are correlated over a stretch of wavelength, as the errors of
predicted spectra are (a Gaussian copula with an exponential correlation).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from .cosmology import age_gyr
from .filters import vector_wavelength
from .galaxies import MEASURED, Galaxies, Measurement
from .posterior import MagnitudeCoordinate
from .properties import (
    FLUX_SCALE,
    LOOKBACK_EDGES,
    LOOKBACK_MIDDLES,
    PROPERTIES,
    VECTORS,
)

__all__ = ["JointPosterior", "with_known"]

# Draws worked on at a time: galaxies times draws.
_BLOCK = 8192
# Fluxes that are drawn are noiseless; they are given with this relative error, as the noiseless
# fluxes of the training are.
_RELATIVE_ERROR = 1e-3
# Length in ln(wavelength) over which the ranks of drawn light stay alike.
_CORRELATION = 0.6


class JointPosterior(Mapping):
    """The distributions of several queries for each of n galaxies, and their joint one.

    It is a mapping of each query to its own `~astromosaic.posterior.Posterior` or
    `~astromosaic.posterior.VectorPosterior`, whatever the others are.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
        What is known.
    queries : sequence of str
    progress : bool
        Show a progress bar.
    calibration : str, optional
        Name of a calibration of the model, by which the posterior of each scalar is corrected. It
        says nothing of how queries vary together: `sample` and `condition` refuse.
    """

    def __init__(self, model, galaxies: Galaxies, queries, progress=False, calibration=None):
        self._model, self._galaxies, self._calibration = model, galaxies, calibration
        self._posteriors = model.posterior_of(galaxies, list(queries), progress, calibration)
        for posterior in self._posteriors.values():
            posterior.joint = self

    def __getitem__(self, query):
        return self._posteriors[query]

    def __iter__(self):
        return iter(self._posteriors)

    def __len__(self):
        return len(self._posteriors)

    def __repr__(self):
        return f"<JointPosterior of {', '.join(self)} for {len(self._galaxies)} galaxies>"

    def condition(self, **known):
        """The joint posterior of the other queries if some of them were known.

        Parameters
        ----------
        **known : Quantity or array_like, (n,) or scalar; (n, length) of vectors
            True values by query, in the query's unit where they are plain numbers.

        Returns
        -------
        JointPosterior
            Of the queries that remain.

        Raises
        ------
        KeyError
            If a name is not one of the queries.
        ValueError
            If no query remains, or a value has the wrong shape or is outside of what the model
            knows; if the posteriors are calibrated.
        """
        self._refuse_if_calibrated()
        galaxies = self._galaxies
        for query, value in known.items():
            galaxies = with_known(galaxies, query, self._checked(query, value))
        rest = [query for query in self if query not in known]
        if not rest:
            raise ValueError("all queries are fixed; leave at least one to be asked")
        return JointPosterior(self._model, galaxies, rest)

    def _refuse_if_calibrated(self):
        if self._calibration is not None:
            raise ValueError(
                f"calibration {self._calibration!r} is one of single queries, not of several "
                "together: leave it out to draw from them or to fix some of them"
            )

    def _checked(self, query, value):
        """A value to condition on, without its unit."""
        if query not in self:
            raise KeyError(f"{query!r} was not asked; there are {', '.join(self)}")
        value = self[query]._without_unit(value)
        length = (VECTORS[query].length,) if query in VECTORS else ()
        shapes = ((), length, (len(self._galaxies), *length))
        if value.shape not in shapes:
            raise ValueError(
                f"{query} has shape {value.shape}; give one value, or one for each galaxy, "
                f"{shapes[-1]}"
            )
        if query in PROPERTIES:
            prop = PROPERTIES[query]
            if query == "sfr":  # by definition
                value = np.where(value >= 0, np.maximum(value, prop.to_physical(prop.low)), value)
            inside = prop.to_internal(value)
            # Also false where it is NaN, as the logarithm of a negative mass is.
            if np.isnan(np.asarray(value, float)).any():
                raise ValueError(f"{query} is given as NaN")
            if not np.all((inside >= prop.low - 0.01) & (inside <= prop.high + 0.01)):
                low, high = prop.to_physical(prop.low), prop.to_physical(prop.high)
                raise ValueError(
                    f"{query} is given outside of {low:.4g} to {high:.4g}"
                    f"{' ' * bool(prop.unit)}{prop.unit}, which the model knows"
                )
        elif not np.isfinite(value).all():
            raise ValueError(f"{query} is given with values that are not finite")
        elif query.startswith("mag_"):
            if np.any(value > MagnitudeCoordinate.FAINTEST):
                raise ValueError(
                    f"{query} is given as {value.max():g}, which is no magnitude: fix the flux "
                    f"{query.removeprefix('mag_')!r}, which can be zero"
                )
        elif np.any(value < 0):
            raise ValueError(f"{query} is given as negative: what is fixed is true, without noise")
        return value

    def sample(self, n, seed=0, order=None, progress=False):
        """Draw from the joint posterior.

        Parameters
        ----------
        n : int
            Number of draws for each galaxy.
        seed : int
        order : sequence of str, optional
            The one order in which to draw, of all queries or some of them; by default all are
            drawn, in many orders.
        progress : bool
            Show a progress bar.

        Returns
        -------
        dict of str to ndarray or Quantity, (n_galaxies, n); (n_galaxies, n, length) of vectors
            The k-th draws of all queries belong together. NaN where there is no answer.

        Raises
        ------
        KeyError
            If ``order`` names what was not asked.
        ValueError
            If it names something twice, or n is less than one; if the posteriors are calibrated.

        Notes
        -----
        The same seed gives the same draws, however the queries were asked. A query costs as much
        as predicting for n times as many galaxies, the first of each draw nothing unless it is a
        vector; a history costs that for each of its 5 levels, light along wavelength twice.
        """
        from tqdm import tqdm

        self._refuse_if_calibrated()
        orders = _orders(self) if order is None else [list(order)]
        if n < 1:
            raise ValueError(f"{n} draws cannot be made; ask for one or more")
        if isinstance(order, str):
            raise TypeError(f"order is a sequence of queries, such as [{order!r}], not one of them")
        if stray := set(orders[0]) - set(self):
            raise KeyError(f"{min(stray)!r} was not asked; there are {', '.join(self)}")
        if len(set(orders[0])) != len(orders[0]):
            raise ValueError(f"order names a query twice: {', '.join(orders[0])}")
        rng = np.random.default_rng(seed)
        parts = []
        step = max(_BLOCK // n, 1)
        starts = range(0, len(self._galaxies), step)
        for start in tqdm(starts, unit="block", disable=not progress):
            rows = np.arange(start, min(start + step, len(self._galaxies)))
            parts.append(self._sample_rows(np.repeat(rows, n), orders, rng))
        drawn = list(self) if order is None else orders[0]
        draws = {query: np.concatenate([part[query] for part in parts]) for query in drawn}
        draws = {query: x.reshape(-1, n, *x.shape[1:]) for query, x in draws.items()}
        _leave_the_big_bang_alone(draws, self._galaxies.scalars.get("redshift"))
        return {query: self[query]._with_unit(x) for query, x in draws.items()}

    def _sample_rows(self, rows, orders, rng):
        """One draw for each of the rows, in one of the orders, without units."""
        # Orders take turns, in a random order of their own: none is preferred where rows are few.
        turn = rng.permutation(len(orders))[rng.permutation(len(rows)) % len(orders)]
        draws = {}
        for k in np.unique(turn):
            order, here = orders[k], np.flatnonzero(turn == k)
            for query, value in self._sample_in_order(rows[here], order, rng).items():
                whole = draws.setdefault(query, np.empty((len(rows), *value.shape[1:])))
                whole[here] = value
        return draws

    def _sample_in_order(self, rows, order, rng):
        galaxies = self._galaxies[rows]
        draws = {}
        for k, query in enumerate(order):
            if query in VECTORS:
                draws[query] = self._draw_vector(galaxies, query, rng)
            elif (twin := _of_same_filter(query, draws)) is not None:
                internal = self[twin].coordinate.to_internal(draws[twin])
                draws[query] = self[query].coordinate.to_physical(-internal)
            elif k == 0:
                draws[query] = self[query][rows]._draw(1, rng)[:, 0]
            else:
                posterior = self._model.posterior_of(galaxies, [query])[query]
                draws[query] = posterior._draw(1, rng)[:, 0]
            if k + 1 < len(order):
                galaxies = with_known(galaxies, query, draws[query])
        return draws

    def _draw_vector(self, galaxies, name, rng):
        """One draw of a vector for each of the galaxies."""
        if VECTORS[name].is_flux:
            return self._draw_light(galaxies, name, rng)
        drawn = np.full((len(galaxies), VECTORS[name].length), np.nan)
        for index in _levels(VECTORS[name].length):
            posterior = self._model.posterior_of(galaxies, [name])[name].elements(index)
            drawn[:, index] = posterior._draw(rng)
            galaxies = with_known(galaxies, name, drawn)
        return drawn

    def _draw_light(self, galaxies, name, rng):
        """One draw of a spectrum or SPHEREx for each of the galaxies, at one redshift."""
        posterior = self._model.posterior_of(galaxies, ["redshift"])["redshift"]
        at_redshift = with_known(galaxies, "redshift", posterior._draw(1, rng)[:, 0])
        posterior = self._model.posterior_of(at_redshift, [name])[name]
        return posterior._at_ranks(_ranks(name, len(galaxies), rng))


def _orders(queries):
    """The orders in which queries are drawn.

    Scalars and fluxes take all turns of a circle, one way round and the other: each is as often in
    each place, and before each other as after it. Vectors follow, since they say so much that the
    draw of one, taken for the truth, would leave too little to the others.
    """
    circle = sorted(set(queries) - set(VECTORS))
    vectors = [name for name in VECTORS if name in queries]
    ways = (circle, circle[::-1])
    turned = {tuple(way[k:] + way[:k]) for way in ways for k in range(max(len(circle), 1))}
    return [[*way, *vectors] for way in sorted(turned)]


def _of_same_filter(query, drawn):
    """The flux of a magnitude that is among what was drawn, or the magnitude of a flux."""
    from .filters import canonical_name

    if query in PROPERTIES:
        return None
    light = {name for name in drawn if name not in {**PROPERTIES, **VECTORS}}
    mine = canonical_name(query.removeprefix("mag_"))
    return next((x for x in light if canonical_name(x.removeprefix("mag_")) == mine), None)


def _ranks(name, n, rng):
    """Cumulative probabilities (n, length), correlated along wavelength."""
    wavelength = vector_wavelength(name)
    kept = np.exp(-np.abs(np.diff(np.log(wavelength))) / _CORRELATION)
    steps = rng.normal(size=(len(wavelength), n))
    for k, part in enumerate(kept):
        steps[k + 1] = part * steps[k] + np.sqrt(1 - part**2) * steps[k + 1]
    return ndtr(steps.T)


def _leave_the_big_bang_alone(draws, known):
    """No stars and no halo before it, at the redshift of the same draw or one known exactly."""
    if "redshift" in draws:
        redshift = draws["redshift"]
    elif known is not None:
        prop = PROPERTIES["redshift"]
        exact = (known.state == MEASURED) & prop.is_exact(known.error)
        redshift = np.where(exact, prop.to_physical(known.value), 0.0)[:, None]
    else:
        return
    age = age_gyr(redshift)[..., None]
    for name, time in (("sfh", LOOKBACK_EDGES[:-1]), ("mah", LOOKBACK_MIDDLES)):
        if name in draws:
            draws[name] = np.where(time >= age, 0.0, draws[name])


def with_known(galaxies, query, value):
    """Galaxies of which something more is known, exactly.

    Parameters
    ----------
    galaxies : Galaxies
    query : str
        A scalar, a vector, a filter (flux in nJy) or ``mag_`` and a filter (AB magnitude).
    value : array_like, (n,) or scalar; (n, length) of vectors
        True values in the query's unit; where NaN, what was known before stands.

    Returns
    -------
    Galaxies
    """
    n = len(galaxies)
    if query in PROPERTIES:
        prop = PROPERTIES[query]
        before = galaxies.scalars.get(query, Measurement.missing(n))
        internal = prop.to_internal(np.broadcast_to(value, (n,)))
        scalar = _replaced(before, internal, np.full(n, np.nan))
        return replace(galaxies, scalars={**galaxies.scalars, query: scalar})
    if query in VECTORS:
        vector = VECTORS[query]
        before = galaxies.vectors.get(query, Measurement.missing(n, vector.length))
        value = np.broadcast_to(value, (n, vector.length))
        error = _flux_error(value) if vector.is_flux else np.full(value.shape, np.nan)
        vectors = {**galaxies.vectors, query: _replaced(before, value, error)}
        return replace(galaxies, vectors=vectors)
    return _with_flux(galaxies, query, np.broadcast_to(value, (n,)))


def _with_flux(galaxies, query, value):
    from .filters import canonical_name

    name = canonical_name(query.removeprefix("mag_"))
    if query.startswith("mag_"):
        value = 10 ** (-0.4 * (value - 31.4))
    if name not in galaxies.filters:
        absent = Measurement.missing(len(galaxies), 1)
        photometry = Measurement(
            *(
                np.concatenate([getattr(galaxies.photometry, part), getattr(absent, part)], axis=1)
                for part in ("value", "error", "state")
            )
        )
        galaxies = replace(galaxies, filters=(*galaxies.filters, name), photometry=photometry)
    column = galaxies.filters.index(name)
    values = np.full(galaxies.photometry.value.shape, np.nan)
    values[:, column] = value
    return replace(galaxies, photometry=_replaced(galaxies.photometry, values, _flux_error(values)))


def _flux_error(value):
    return _RELATIVE_ERROR * (np.abs(value) + FLUX_SCALE)


def _replaced(before, value, error):
    """A measurement in which values that are finite stand in place of what was known before."""
    new = np.isfinite(value)
    return Measurement(
        np.where(new, value, before.value),
        np.where(new, error, before.error),
        np.where(new, MEASURED, before.state),
    )


def _levels(length):
    """Indices of a vector from coarse to fine: the middle, then the middles of the gaps."""
    levels, gaps = [], [(0, length)]
    while gaps:
        levels.append(np.array([(low + high) // 2 for low, high in gaps]))
        gaps = [
            gap
            for low, high in gaps
            for gap in ((low, (low + high) // 2), ((low + high) // 2 + 1, high))
            if gap[1] > gap[0]
        ]
    return levels
