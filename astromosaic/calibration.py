r"""Recalibration: posteriors corrected by how often their intervals held the truth.

Where truths are known, the cumulative probability of a posterior at the truth, its probability
integral transform u, is uniform between 0 and 1 if the posterior is calibrated. Its density is
learned as

.. math:: p(u | x) \propto \exp\Big(\sum_{l=1}^{L} \sum_m \theta_{lm} \phi_m(x) P_l(u)\Big)

with P_l the normalised Legendre polynomials on 0 to 1, the family of Neyman's smooth test (1937),
and x what is known of the answer: its median and width, how many values are given, with what
signal to noise, and how large their errors are. The features phi are the polynomials of fourth
degree in x. The cumulative distribution of p(u | x) is the map by which a posterior is corrected:
it is smooth, it rises, and it is the identity where theta is zero, to which a Gaussian prior holds
it as long as galaxies are few: half of them choose how strong it is for what the other half has
learned. There is one set of theta for each scalar and each kind of input.

The maps are kept in the model's card, under the name of the calibration, and used by
``predict(..., calibration=NAME)``. They are right for galaxies and errors like those they were
learned from, and for single scalars: fluxes and vectors are left as they are, and joint draws are
refused.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from . import __version__
from .galaxies import MEASURED, MISSING, Galaxies
from .properties import PROPERTIES

__all__ = [
    "CALIBRATIONS",
    "KNOTS",
    "PitMap",
    "apply_calibration",
    "calibrate",
    "check_calibration",
    "conditions",
    "kinds",
]

#: Where calibrations are in a model's card, by name.
CALIBRATIONS = "calibrations"

# Degrees of the polynomials in u and in x, and how many x there are.
_DEGREE, _ORDER, _CONDITIONS = 8, 4, 5
# Precision of the prior of theta, in galaxies for each degree in u, the strongest first.
_PRIORS = (20_000.0, 2_000.0, 200.0, 20.0)
# Log likelihood, in nats, that held-out galaxies must gain for a map to be believed.
_GAIN = 2.0
# Fewer galaxies than this in a half, and nothing is learned for that kind of input.
_FEWEST = 10
#: Values of u between which a map is linear, denser towards the ends.
KNOTS = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 65)))
# Share of galaxies on either side beyond which x counts as at that end: no extrapolation.
_TAIL = 0.01


def kinds(galaxies: Galaxies):
    """The kind of input of each galaxy: which of broadband photometry (``"broadband"``), vectors
    and scalars are known, joined by ``"+"``; array of str (n,), empty where nothing is known."""
    parts = {"broadband": (galaxies.photometry.state != MISSING).any(axis=1)}
    parts |= {k: (v.state != MISSING).any(axis=1) for k, v in sorted(galaxies.vectors.items())}
    parts |= {k: s.state != MISSING for k, s in sorted(galaxies.scalars.items())}
    kind = np.full(len(galaxies), "", dtype=object)
    for name, known in parts.items():
        kind[known] += "+" + name
    return np.array([k[1:] for k in kind], dtype=str)


def conditions(galaxies: Galaxies):
    """What a map depends on besides the answer: ln of the number of known values, of the total
    signal to noise of all light, and mean ln(error), zero where no error is known; (n, 3)."""
    square, depth, number = np.zeros((3, len(galaxies)))
    light = [galaxies.photometry, *galaxies.vectors.values()]
    for part in light:
        use = (part.state == MEASURED) & np.isfinite(part.error)
        error = np.where(use, part.error, 1.0).astype(float)
        square += np.sum((np.where(use, part.value, 0.0) / error) ** 2, axis=1)
        depth += np.log(error).sum(axis=1)
        number += use.sum(axis=1)
    # Noise alone adds one for each value.
    signal = 0.5 * np.log(np.maximum(square - number, 1.0))
    known = np.log(np.maximum(galaxies.known(), 1))
    return np.stack([known, signal, depth / np.maximum(number, 1)], axis=1)


@dataclass(frozen=True)
class PitMap:
    """The map of one scalar and one kind of input.

    Attributes
    ----------
    low, high : ndarray (5,)
        Range of x: ln of the number of values, ln of the signal to noise, mean ln of the errors,
        median, ln of the width.
    theta : ndarray (features, degree)
    galaxies : int
        How many it was learned from.
    """

    low: np.ndarray
    high: np.ndarray
    theta: np.ndarray
    galaxies: int

    @classmethod
    def learn(cls, u, x, half):
        """Learn it.

        Parameters
        ----------
        u : ndarray (n,)
            Cumulative probabilities at the truth.
        x : ndarray (n, 5)
        half : ndarray of bool (n,)
            Two parts that share no galaxy.
        """
        low, high = np.quantile(x, [_TAIL, 1 - _TAIL], axis=0)
        phi, basis = _features(x, low, high), _legendre(np.clip(u, 0.0, 1.0))
        best, prior, theta = _GAIN, None, None
        for strength in _PRIORS:
            theta = _maximum(phi[half], basis[half], strength, theta)
            density, norm = _density(theta, phi[~half])
            gain = np.sum((phi[~half] @ theta) * basis[~half]) - np.log(norm).sum()
            if gain > best:
                best, prior = gain, strength
            elif prior is not None:
                break
        shape = phi.shape[1], _DEGREE
        theta = np.zeros(shape) if prior is None else _maximum(phi, basis, prior)
        return cls(low, high, theta, len(u))

    def cumulative(self, x):
        """The map at `KNOTS` for galaxies of given x, (n, 5); (n, knots)."""
        middles = 0.5 * (KNOTS[1:] + KNOTS[:-1])
        exponent = _features(x, self.low, self.high) @ self.theta @ _legendre(middles).T
        share = np.exp(exponent) * np.diff(KNOTS)
        total = np.concatenate([np.zeros((len(x), 1)), np.cumsum(share, axis=1)], axis=1)
        return total / total[:, -1:]

    def to_dict(self):
        """For JSON, rounded to what matters; theta as whole thousandths."""
        return {
            "galaxies": self.galaxies, "low": np.round(self.low, 4).tolist(),
            "high": np.round(self.high, 4).tolist(),
            "theta": np.rint(1e3 * self.theta).astype(int).tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, card):
        """Raises ValueError where it depends on other things than those of today."""
        if len(card["low"]) != _CONDITIONS:
            raise ValueError(
                "the calibration was learned by another version of astromosaic: learn it again, "
                "with Model.calibrate or 'astromosaic calibrate'"
            )
        return cls(
            np.array(card["low"]), np.array(card["high"]), 1e-3 * np.array(card["theta"]),
            card["galaxies"],
        )  # fmt: skip


def calibrate(model, samples, name, seed=0, progress=False, **about):
    """A new model whose card has a calibration of all scalars that have truths.

    Parameters
    ----------
    model : astromosaic.inference.Model
    samples : iterable of (Galaxies, dict of str to ndarray (n,))
        Galaxies as they are observed, and their truths by scalar in the internal coordinate, NaN
        where there is none. Where the same galaxies are observed several times, they are in the
        same order.
    name : str
        Of the calibration; one of that name that is there is replaced.
    seed : int
        Of the split in two halves.
    progress : bool
    **about
        What else the card is to say of it, ready for JSON.

    Returns
    -------
    astromosaic.inference.Model

    Raises
    ------
    ValueError
        If there are too few galaxies.
    """
    from .inference import Model

    parts = {}
    for galaxies, truths in samples:
        half = np.random.default_rng(seed).permutation(len(galaxies)) % 2 == 0
        posteriors = model.posterior_of(galaxies, list(truths), progress)
        kind, given = kinds(galaxies), conditions(galaxies)
        for query, posterior in posteriors.items():
            u = posterior.cdf(PROPERTIES[query].to_physical(truths[query]))
            x = np.concatenate([given, posterior.location_and_width()], axis=1)
            good = np.isfinite(truths[query]) & posterior.defined
            for k in np.unique(kind[good]):
                use = good & (kind == k)
                pieces = parts.setdefault(str(k), {}).setdefault(query, [])
                pieces.append((u[use], x[use], half[use]))
    maps = {}
    for k, by_query in parts.items():
        for query, pieces in by_query.items():
            u, x, half = (np.concatenate(part) for part in zip(*pieces, strict=True))
            if min(half.sum(), (~half).sum()) >= _FEWEST:
                maps.setdefault(k, {})[query] = PitMap.learn(u, x, half).to_dict()
    if not maps:
        raise ValueError(f"too few galaxies to calibrate on: {2 * _FEWEST} or more are needed")
    entry = {**about, "seed": seed, "astromosaic": __version__, "maps": maps}
    card = {**model.card, CALIBRATIONS: {**model.card.get(CALIBRATIONS, {}), name: entry}}
    return Model(model.network, card, model.checksum, model.batch_size)


def check_calibration(card, name):
    """Raise ValueError unless the card has a calibration of that name."""
    known = card.get(CALIBRATIONS, {})
    if name not in known:
        there = f"there are {', '.join(map(repr, known))}" if known else "it has none"
        raise ValueError(f"the model has no calibration {name!r}: {there}")


def apply_calibration(card, name, galaxies, posteriors):
    """Posteriors corrected by a calibration.

    Parameters
    ----------
    card : dict
        Of the model.
    name : str
    galaxies : Galaxies
        What is known.
    posteriors : dict of str to Posterior or VectorPosterior
        By query. Those of queries for which nothing was learned are left as they are, and so are
        galaxies of a kind of input that was not learned, about which a warning tells.

    Returns
    -------
    dict of str to Posterior or VectorPosterior

    Raises
    ------
    ValueError
        If there is no such calibration.
    """
    check_calibration(card, name)
    maps = card[CALIBRATIONS][name]["maps"]
    names = [n for n in posteriors if any(n in by_name for by_name in maps.values())]
    kind, about = kinds(galaxies), conditions(galaxies)
    out = dict(posteriors)
    for query in names:
        posterior = posteriors[query]
        mapped = np.tile(KNOTS, (len(galaxies), 1))
        x = np.concatenate([about, posterior.location_and_width()], axis=1)
        for k, by_name in maps.items():
            rows = (kind == k) & posterior.defined
            if query in by_name and rows.any():
                mapped[rows] = PitMap.from_dict(by_name[query]).cumulative(x[rows])
        out[query] = posterior.remapped(KNOTS, mapped)
    for k in sorted(set(kind) - {""}):
        if left := [q for q in posteriors if q in PROPERTIES and q not in maps.get(k, ())]:
            warnings.warn(
                f"calibration {name!r} was not learned for {', '.join(left)} of galaxies given by "
                f"{k}: they are not calibrated",
                stacklevel=2,
            )
    return out


def _features(x, low, high):
    """Polynomials of fourth degree in x, scaled to -1 to 1; (n, 126)."""
    width = np.where(high > low, high - low, 1.0)
    z = np.where(high > low, 2 * np.clip((x - low) / width, 0.0, 1.0) - 1, 0.0)
    z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    return np.stack([np.prod(z[:, list(term)], axis=1) for term in _terms()], axis=1)


def _terms():
    """The factors of each polynomial: x counted from one, and zero for the constant."""
    return combinations_with_replacement(range(_CONDITIONS + 1), _ORDER)


def _roughness():
    """How much more strongly the prior holds polynomials of higher degree in x; (n_features,)."""
    return np.array([2.0 ** np.count_nonzero(term) for term in _terms()])


def _legendre(u):
    """Legendre polynomials on 0 to 1 with unit mean square, without the constant; (n, degree)."""
    values = np.polynomial.legendre.legvander(2 * u - 1, _DEGREE)[:, 1:]
    return values * np.sqrt(2 * np.arange(1, _DEGREE + 1) + 1)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_GRID, _WEIGHTS = _legendre(0.5 * (_NODES + 1)), 0.5 * _WEIGHTS


def _density(theta, phi):
    """p(u | x) at the nodes of the quadrature, times their weights, (n, 24); and its norm, (n,)."""
    density = _WEIGHTS * np.exp(phi @ theta @ _GRID.T)
    norm = density.sum(axis=1)
    return density / norm[:, None], norm


def _maximum(phi, basis, prior, start=None):
    """The theta of greatest posterior probability: the logarithm of it is concave.

    It is found in coordinates in which the second derivatives at zero are one, since polynomials
    are far from independent.
    """
    from scipy.optimize import minimize

    data = phi.T @ basis
    precision = prior * np.outer(_roughness(), np.arange(1, _DEGREE + 1))
    square = phi.T @ phi
    roots = np.stack([np.linalg.cholesky(square + np.diag(p)) for p in precision.T])
    scale = np.linalg.inv(roots).transpose(0, 2, 1)  # (degree, features, features)

    def loss(t):
        theta = np.einsum("lij,jl->il", scale, t.reshape(data.shape))
        density, norm = _density(theta, phi)
        value = np.log(norm).sum() - np.sum(data * theta) + 0.5 * np.sum(precision * theta**2)
        slope = phi.T @ (density @ _GRID) - data + precision * theta
        return value, np.einsum("lij,il->jl", scale, slope).ravel()

    if start is None:
        start = np.zeros(data.shape)
    start = np.einsum("lji,jl->il", roots, start)
    # The likelihood is then known to a small part of a nat.
    found = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 0.01}
    )
    return np.einsum("lij,jl->il", scale, found.x.reshape(data.shape))
