"""What the model's latent space knows: a map of it, and what can be read from it linearly.

A linear probe is a ridge regression from the state of the galaxy token to a property. The better
it does, the more openly the state holds the property; next to it stands the same regression from
the fluxes that the model was given.
"""

import numpy as np

from ..galaxies import MEASURED
from ..properties import PROPERTIES
from . import metrics
from .simulated import FAINTEST_I, bright_galaxies, observed_galaxies

__all__ = ["INPUTS", "PROBED", "RidgeProbe", "format_report", "plot_map", "project", "run"]

#: What is given to the model, with survey noise; see `astromosaic.evaluation.simulated`.
INPUTS = ("LSST", "LSST+SPHEREx")
#: What is read from the latent space: the properties, and the rate of star formation per mass.
PROBED = (*PROPERTIES, "specific_sfr")

_LABELS = {
    "redshift": "redshift",
    "stellar_mass": r"$\log_{10}\, M_\star / \mathrm{M}_\odot$",
    "specific_sfr": r"$\log_{10}\,$sSFR$ / \mathrm{yr}^{-1}$",
}
_COLOUR_PERCENTILES = (2, 98)
# Below this, in dex per year, galaxies are all one: they form no stars.
_QUIESCENT = -12.0
_COMPONENTS = 30


def run(data, output=None, limit=None, weights=None, seed=0, progress=False):
    """Embed the test galaxies of a file of mocks, map them, and read properties from the states.

    Parameters
    ----------
    data : str or path-like
        File made by ``astromosaic simulate``.
    output : str or path-like, optional
        Figure to write, see `plot_map`; none without it.
    limit : int, optional
        Use the first so many galaxies only, before the cut at i < 25.3.
    weights : str or path-like, optional
        Weights other than those of the package.
    seed : int
        Seed of the noise, of the halves and of the bootstrap.
    progress : bool

    Returns
    -------
    dict
        ``probes[inputs][name]`` has ``state`` and ``input``, what is read from the state and from
        the fluxes: ``r2`` (fraction of the variance explained) and ``rmse`` on the half of the
        galaxies that the probe was not fitted to, each ``{"value", "error"}``. The quantities are
        internal coordinates: ln(1 + z), dex, and mag for ``dust_av``.

    Raises
    ------
    ImportError
        If a figure is asked for and scikit-learn or matplotlib is not installed.
    ValueError
        If the file is no file of mocks, or has fewer than 50 galaxies with i < 25.3.
    """
    from .. import __version__, load_model

    if output is not None:  # what the figure needs, before a long computation
        import matplotlib  # noqa: F401
        import sklearn  # noqa: F401

    arrays = bright_galaxies(data, "test", limit)
    n = len(arrays["redshift"])
    if n < 50:
        raise ValueError(
            f"{data} has {n} test galaxies brighter than i = {FAINTEST_I}, too few to fit to: give "
            "a larger file or a larger limit"
        )
    truth = _truth(arrays)
    model = load_model(weights)
    probes, states = {}, {}
    for inputs in INPUTS:
        galaxies = observed_galaxies(arrays, inputs, "survey", seed)
        states[inputs] = model.embed_of(galaxies, progress).astype(float)
        features = {"state": states[inputs], "input": _magnitudes(galaxies)}
        probes[inputs] = _probe(features, truth, seed)
    if output is not None:
        plot_map(states, truth, output, seed)
    return {
        "data": str(data), "galaxies": n, "faintest_i": FAINTEST_I, "seed": seed,
        "version": __version__, "weights": model.checksum, "dimensions": states["LSST"].shape[1],
        "probes": probes,
    }  # fmt: skip


def format_report(report):
    """The report of `run` as text for a terminal."""
    lines = [
        f"{report['galaxies']} simulated galaxies with i < {report['faintest_i']} of "
        f"{report['data']}",
        f"Ridge regression from the latent state ({report['dimensions']} numbers) and from the",
        "arcsinh magnitudes given, fitted to half of the galaxies and measured on the other half.",
        "RMSE of the redshift in ln(1+z), of A_V in mag, of the others in dex; errors by",
        "bootstrap.",
    ]
    for inputs, by_name in report["probes"].items():
        lines += [
            "",
            f"{inputs + ', survey noise':28s}{'R2':^30s}{'RMSE':^32s}",
            f"{'':14s}" + f"{'state':>17s}{'magnitudes':>17s}" * 2,
        ]
        for name, by_source in by_name.items():
            figures = [by_source[source][key] for key in ("r2", "rmse") for source in by_source]
            lines.append(
                f"{name:14s}" + "".join(f"{f['value']:9.3f} ±{f['error']:6.3f}" for f in figures)
            )
    return "\n".join(lines)


class RidgeProbe:
    """Ridge regression on standardised features, its penalty by generalised cross-validation.

    Parameters
    ----------
    features : ndarray (n, k)
    target : ndarray (n,)

    Notes
    -----
    With the singular values s of the features and the penalty a, the fit shrinks each component by
    s^2 / (s^2 + a), and a minimises n RSS / (n - df)^2, where df is one plus the sum of those
    factors (Golub, Heath & Wahba 1979).
    """

    PENALTIES = np.logspace(-4, 4, 33)

    def __init__(self, features, target):
        self._mean, self._scale = features.mean(axis=0), features.std(axis=0)
        self._scale[self._scale == 0] = 1.0
        n = len(target)
        left, s, right = np.linalg.svd((features - self._mean) / self._scale, full_matrices=False)
        self._level = target.mean()
        along = left.T @ (target - self._level)
        rest = np.sum((target - self._level) ** 2) - np.sum(along**2)
        best = np.inf
        for penalty in n * self.PENALTIES:
            shrink = s**2 / (s**2 + penalty)
            residual = rest + np.sum(((1 - shrink) * along) ** 2)
            score = n * residual / max(n - 1 - shrink.sum(), 1e-9) ** 2
            if score < best:
                best, self.penalty = score, penalty
                self._slope = right.T @ (s / (s**2 + penalty) * along)

    def predict(self, features):
        """The target for features (n, k); (n,)."""
        return self._level + (features - self._mean) / self._scale @ self._slope


def project(states, seed=0):
    """Two dimensions of latent states, by t-SNE.

    Parameters
    ----------
    states : ndarray (n, d)
    seed : int

    Returns
    -------
    ndarray (n, 2)

    Notes
    -----
    t-SNE (van der Maaten & Hinton 2008) of the first 30 principal components of the standardised
    states, started from the first two: it keeps neighbours together, while distances between far
    groups mean little.
    """
    from sklearn.manifold import TSNE

    scale = states.std(axis=0)
    x = (states - states.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    left, s, _ = np.linalg.svd(x, full_matrices=False)
    components = (left * s)[:, :_COMPONENTS]
    perplexity = min(40.0, (len(x) - 1) / 3)
    tsne = TSNE(init=1e-4 * components[:, :2] / components[:, 0].std(), perplexity=perplexity,
                learning_rate="auto", random_state=seed, n_jobs=1)  # fmt: skip
    return tsne.fit_transform(components)


def plot_map(states, truth, output, seed=0):
    """Draw latent spaces in two dimensions, coloured by what the galaxies are.

    Parameters
    ----------
    states : dict of str to ndarray (n, d)
        States of the same galaxies from different inputs, one row of panels each.
    truth : dict of str to ndarray (n,)
        True ``redshift`` as ln(1 + z), ``stellar_mass`` and ``specific_sfr`` as log10.
    output : str or path-like
        Image to write.
    seed : int
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    places = {inputs: project(state, seed) for inputs, state in states.items()}
    colours = {**truth, "redshift": np.expm1(truth["redshift"])}
    maps = {"redshift": "viridis", "stellar_mass": "magma", "specific_sfr": "cividis"}
    style = {"font.size": 8, "axes.titlesize": 9, "axes.labelsize": 9, "axes.linewidth": 0.6}
    # Drawn in the order of the file, which is random: none lies above others by what it is.
    n = len(truth["redshift"])
    size = float(np.clip(6000 / n, 1.0, 8.0))
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            len(states), len(maps), figsize=(7.1, 2.25 * len(states) + 0.45), layout="constrained",
            squeeze=False,
        )  # fmt: skip
        for i, (inputs, place) in enumerate(places.items()):
            for j, (name, colour_map) in enumerate(maps.items()):
                axis = axes[i, j]
                low, high = np.percentile(colours[name], _COLOUR_PERCENTILES)
                if name == "specific_sfr":
                    low = max(low, _QUIESCENT)
                drawn = axis.scatter(
                    *place.T, c=colours[name], s=size, cmap=colour_map, vmin=low, vmax=high,
                    linewidths=0, rasterized=True,
                )  # fmt: skip
                axis.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
                axis.margins(0.05)
                if i == 0:
                    bar = figure.colorbar(
                        drawn, ax=axes[:, j], location="top", extend="both", aspect=28, pad=0.02
                    )
                    bar.set_label(_LABELS[name])
                    bar.outline.set_linewidth(0.6)
            axes[i, 0].set_ylabel(f"given {inputs}")
            axes[i, 0].text(0.03, 0.03, "t-SNE", transform=axes[i, 0].transAxes, color="0.4")
        figure.savefig(output, dpi=150)
        plt.close(figure)


def _truth(arrays):
    """True internal coordinates by name."""
    from ..simulation.mocks import true_values

    truth = {name: true_values(arrays, name) for name in PROPERTIES}
    truth["specific_sfr"] = truth["sfr"] - truth["stellar_mass"]
    return truth


def _magnitudes(galaxies):
    """All fluxes given as arcsinh magnitudes, softened by the typical error in each band."""
    parts = [m for m in (galaxies.photometry, *galaxies.vectors.values()) if m.value.size]
    if any(np.any(m.state != MEASURED) for m in parts):
        raise ValueError("a linear probe needs every flux of every galaxy")
    value, error = (
        np.concatenate([getattr(m, part) for m in parts], axis=1).astype(float)
        for part in ("value", "error")
    )
    return np.arcsinh(value / np.median(error, axis=0))


def _probe(features, truth, seed):
    """What can be read of each property from each kind of features."""
    order = np.random.default_rng(seed).permutation(len(truth["redshift"]))
    fit, held_out = order[: len(order) // 2], order[len(order) // 2 :]
    figures = {}
    for name in PROBED:
        target = truth[name]
        figures[name] = {}
        for source, x in features.items():
            read = RidgeProbe(x[fit], target[fit]).predict(x[held_out])
            pair = read, target[held_out]
            errors = metrics.bootstrap(_statistics, *pair, seed=seed)
            figures[name][source] = {
                key: {"value": float(value), "error": errors[key]}
                for key, value in _statistics(*pair).items()
            }
    return figures


def _statistics(read, truth):
    square = np.mean((read - truth) ** 2)
    return {"r2": 1.0 - square / np.var(truth), "rmse": np.sqrt(square)}
