"""The experiments of MOSAIC (arXiv:2510.07684) on a simulated test set, against two baselines.

Each experiment gives some of what is known of a galaxy and asks for one thing. Scalars are scored
as dz/(1+z) or in dex, fluxes in asinh magnitudes with a softening of 20 nJy (28.1 mag AB), star
formation rates as arcsinh(SFR / 10^-3 solMass/yr) / ln 10 and halo masses in histories as
arcsinh(M / 10^8 solMass) / ln 10, which is dex where there is any star formation or halo. Vectors
are scored at some of their elements, spread evenly, since trees are fitted to one element at a
time.
"""

from dataclasses import dataclass

import numpy as np

from ..cosmology import age_gyr
from ..galaxies import MISSING, Galaxies
from ..properties import LOOKBACK_EDGES, LOOKBACK_MIDDLES, PROPERTIES, VECTORS
from . import metrics
from .baselines import LOSSES, features, fit_population, fit_trees
from .inputs import OPTICAL, give, is_early, load_mixture, load_truths, spectra
from .simulated import NOISES

__all__ = ["EXPERIMENTS", "Experiment", "bundled_subset", "format_report", "run"]

#: Signal-to-noise ratios at which redshifts from spectra are measured.
SIGNAL_TO_NOISE = (2.0, 5.0, 10.0, 20.0)
# Elements of a vector that are scored.
_ELEMENTS = 10
# Training galaxies that an element needs to be counted.
_LEAST_ROWS = 50
_BRIGHTNESS_EDGES = (0.0, 20.0, 22.0, 23.0, 24.0, 25.0, 26.5)
_LN10 = np.log(10.0)
_MIXED = "trees of the mixture"
# Elements count if these lookback times are after the Big Bang: of a bin its late end.
_TIMES = {"sfh": LOOKBACK_EDGES, "mah": LOOKBACK_MIDDLES}


@dataclass(frozen=True)
class Experiment:
    """What is given and what is asked.

    Attributes
    ----------
    name : str
    given : tuple of str
        Names that `astromosaic.evaluation.inputs.give` knows.
    query : str
    hidden_only : bool
        Whether the query is scored where it was hidden.
    noises : tuple of str
    """

    name: str
    given: tuple
    query: str
    hidden_only: bool = False
    noises: tuple = NOISES


EXPERIMENTS = tuple(
    Experiment(*e)
    for e in (
        ("redshift from LSST", ("LSST",), "redshift"),
        ("redshift from LSST+SPHEREx", ("LSST", "SPHEREx"), "redshift"),
        ("stellar mass from early SFH+LSST", ("LSST", "early SFH"), "stellar_mass"),
        ("stellar mass from late SFH+LSST", ("LSST", "late SFH"), "stellar_mass"),
        ("stellar mass, early (ln a)+LSST", ("LSST", "early SFH (ln a)"), "stellar_mass"),
        ("stellar mass, late (ln a)+LSST", ("LSST", "late SFH (ln a)"), "stellar_mass"),
        (
            "spectrum from redshift+mass",
            ("redshift", "stellar_mass"), "spectrum", False, ("noiseless",),
        ),
        ("SFH from LSST", ("LSST",), "sfh"),
        ("SFH from LSST+SPHEREx", ("LSST", "SPHEREx"), "sfh"),
        ("SFH from LSST+redshift+mass", ("LSST", "redshift", "stellar_mass"), "sfh"),
        ("MAH from LSST+redshift+mass", ("LSST", "redshift", "stellar_mass"), "mah"),
        (
            "halo mass from the rest",
            ("LSST", "SPHEREx", "SFH", "redshift", "stellar_mass"), "halo_mass",
        ),
        ("missing SPHEREx channels", ("half of SPHEREx",), "spherex", True),
        ("missing half of a spectrum", ("blue half of spectrum",), "spectrum", True),
        ("missing SFH bins", ("SFH with a gap",), "sfh", True),
        ("redshift from an optical spectrum", ("optical spectrum",), "redshift"),
    )
)  # fmt: skip

# The comparisons of the paper: by how much is the second better than the first?
_ADDED = ("redshift from LSST", "redshift from LSST+SPHEREx")
_PAIRS = {
    "redshift, SPHEREx added to LSST": _ADDED,
    "stellar mass, late in place of early SFH": (
        "stellar mass from early SFH+LSST",
        "stellar mass from late SFH+LSST",
    ),
    "stellar mass, late in place of early SFH (ln a)": (
        "stellar mass, early (ln a)+LSST",
        "stellar mass, late (ln a)+LSST",
    ),
}


def bundled_subset():
    """Path of the simulated galaxies that come with the package."""
    from importlib.resources import files

    return files("astromosaic") / "data" / "paper_subset.h5"


def run(
    data=None, limit=None, trees=10_000, weights=None, seed=0, figures=None, progress=False,
    mixture=(),
):  # fmt: skip
    """Run all experiments.

    Parameters
    ----------
    data : str or path-like, optional
        File made by ``astromosaic simulate``; without it the galaxies that come with the package.
    limit : int, optional
        Use the first so many galaxies of the test set only.
    trees : int
        Number of training galaxies, of the same file, to which the baselines are fitted; 0 for
        the model alone.
    weights : str or path-like, optional
        Weights other than those of the package.
    seed : int
        Seed of noise, trees and bootstrap.
    figures : str or path-like, optional
        Folder to draw figures in, see `astromosaic.evaluation.paper_figures`.
    progress : bool
        Show a progress bar.
    mixture : sequence of str or path-like
        Mocks of the kinds that the model was trained on. Trees are fitted to `trees` of them too:
        what the same inputs tell those who do not know of which kind the test set is.

    Returns
    -------
    dict
        ``experiments[name][noise][method][figure]`` for the methods ``model``, ``trees``,
        ``trees of the mixture`` and ``population``, each ``{"value", "error"}``; ``gains``, the
        comparisons of the paper; ``by_magnitude``, redshifts and the ``gain`` of adding SPHEREx;
        ``spectra``, redshifts from spectra by signal to noise.
    """
    from tqdm import tqdm

    from .. import __version__, load_model

    if figures is not None:
        from .paper_figures import draw  # fails now if Matplotlib is missing, not at the end

    path = data or bundled_subset()
    test = load_truths(path, "test", limit)
    train = {"trees": load_truths(path, "train", trees)} if trees else {}
    if trees and mixture:
        train[_MIXED] = load_mixture(mixture, trees)
    model = load_model(weights)
    tasks = [(e, noise) for e in EXPERIMENTS for noise in e.noises]
    results, details = {}, {}
    for experiment, noise in tqdm(tasks, unit="experiment", disable=not progress):
        scores, detail = _run_one(experiment, noise, model, test, train, seed)
        results.setdefault(experiment.name, {})[noise] = scores
        details[experiment.name, noise] = detail
    report = {
        "data": str(data or "the package itself"),
        "galaxies": len(test["redshift"]), "seed": seed,
        "galaxies_trees": len(train["trees"]["redshift"]) if trees else 0,
        "version": __version__, "weights": model.checksum, "experiments": results,
        "gains": _gains(details, seed), "by_magnitude": _by_magnitude(details, test, seed),
        "spectra": _by_signal_to_noise(model, test, seed), "formed_early": _formed_early(test),
    }  # fmt: skip
    if figures is not None:
        draw(figures, report, details, test)
    return report


def _run_one(experiment, noise, model, test, train, seed):
    """Figures of the three methods, and what of the model is looked at again, for one task."""
    given = give(test, experiment.given, noise, seed)
    posterior = model.posterior_of(given, [experiment.query])[experiment.query]
    estimates, cover, elements = _estimates(posterior, test, experiment.query)
    truth, counted = _truth(test, experiment, given, elements)
    methods = {"model": estimates}
    for method, galaxies in train.items():
        given_train = give(galaxies, experiment.given, noise, seed + 1)
        truth_train, counted_train = _truth(galaxies, experiment, given_train, elements)
        # Bins that are before the Big Bang for almost all galaxies cannot be learned.
        counted &= counted_train.sum(axis=0) >= _LEAST_ROWS
        x = [features(g, fine=experiment.query == "redshift") for g in (given_train, given)]
        learned = *x, truth_train, counted_train, counted
        methods[method] = _fit(lambda x, y: fit_trees(x, y, seed), *learned)
        if method == "trees":
            methods["population"] = _fit(lambda _, y: fit_population(y), *learned)
    deviations = {
        method: {kind: _deviation(experiment.query, e, truth, test) for kind, e in estimate.items()}
        for method, estimate in methods.items()
    }
    scores = {
        method: _scores(d["mean"], d["median"], counted, seed) for method, d in deviations.items()
    }
    for method in train:
        scores[f"model - {method}"] = _difference(deviations, method, counted, seed)
    inside = _statistic_with_error(lambda c, m: c[m].mean(), cover(truth), counted, seed=seed)
    scores["model"]["coverage_68"] = inside
    row = _example(test)
    detail = {
        **estimates, "deviation": deviations["model"], "example": row,
        "posterior": posterior[[row]], "given": given[[row]],
    }  # fmt: skip
    return scores, detail


def _fit(fit, x_train, x_test, truth_train, counted_train, counted):
    """Estimates of a baseline, fitted to one element after the other; (n, elements) by kind."""
    estimates = {kind: np.zeros(counted.shape) for kind in LOSSES}
    for k in np.flatnonzero(counted.any(axis=0)):
        rows = counted_train[:, k]
        for kind, predict in fit(x_train[rows], truth_train[rows, k]).items():
            estimates[kind][:, k] = predict(x_test)
    return estimates


def _example(test):
    """The galaxy that figures show: the first bright one at an intermediate redshift."""
    z = np.expm1(test["redshift"])
    fitting = (z > 0.5) & (z < 1.0) & (test["mag_i"] < 22.5)
    return int(np.argmax(fitting))


def _estimates(posterior, arrays, query):
    """Mean and median in internal coordinates, (n, elements), and the coverage of truths."""
    if query in PROPERTIES:
        centers = posterior._centers()
        mean = np.sum(posterior.probability * centers, axis=1)
        median = posterior._invert(np.full((len(posterior), 1), 0.5))[:, 0]
        low, high = (posterior._invert(np.full((len(posterior), 1), p)) for p in (0.16, 0.84))
        estimates = {"mean": mean[:, None], "median": median[:, None]}
        return estimates, lambda t: (t >= low) & (t <= high), np.array([0])
    length = VECTORS[query].length
    elements = np.linspace(0, length - 1, 2 * _ELEMENTS + 1).astype(int)[1::2]
    part = posterior.elements(elements)
    low, high = part._invert(0.16), part._invert(0.84)
    mean = np.sum(part.weight * part.mean_internal, axis=2)
    return (
        {"mean": mean, "median": part._invert(0.5)},
        lambda t: (t >= low) & (t <= high),
        elements,
    )


def _truth(arrays, experiment, given, elements):
    """Truths in internal coordinates, and which of them count; both (n, elements)."""
    query = experiment.query
    if query in PROPERTIES:
        truth = arrays[query][:, None]
        return truth, np.ones(truth.shape, bool)
    truth = VECTORS[query].to_internal(arrays[query][:, elements])
    counted = np.ones(truth.shape, bool)
    if query in _TIMES:
        counted &= _TIMES[query][elements] < age_gyr(np.expm1(arrays["redshift"]))[:, None]
    if experiment.hidden_only:
        counted &= given.vectors[query].state[:, elements] == MISSING
    return truth, counted


def _deviation(query, estimate, truth, arrays):
    """Estimates minus truths in the units that are reported."""
    if query == "redshift":
        return np.expm1(estimate - truth)  # (z_est - z) / (1 + z)
    if query in PROPERTIES:
        return estimate - truth
    if VECTORS[query].is_flux:
        return (estimate - truth) * 2.5 / _LN10
    return (estimate - truth) / _LN10


def _scores(of_mean, of_median, counted, seed):
    """RMSE of the means, MAE and NMAD of the medians, with errors by bootstrap over galaxies."""
    return _statistic_with_error(_statistic, of_mean, of_median, counted, seed=seed)


def _statistic(mean, median, counted):
    return {
        "rmse": np.sqrt(np.mean(mean[counted] ** 2)),
        "mae": np.mean(np.abs(median[counted])),
        "nmad": metrics.nmad(median[counted]),
    }


def _difference(deviations, method, counted, seed):
    """By how much the model is behind a baseline on the same galaxies, with errors of that."""

    def statistic(a_mean, a_median, b_mean, b_median, counted):
        a, b = _statistic(a_mean, a_median, counted), _statistic(b_mean, b_median, counted)
        return {figure: a[figure] - b[figure] for figure in a}

    both = [deviations[m][kind] for m in ("model", method) for kind in ("mean", "median")]
    return _statistic_with_error(statistic, *both, counted, seed=seed)


def _statistic_with_error(statistic, *arrays, seed):
    value, error = statistic(*arrays), metrics.bootstrap(statistic, *arrays, n=100, seed=seed)
    if not isinstance(value, dict):
        return {"value": float(value), "error": float(error)}
    return {k: {"value": float(value[k]), "error": float(error[k])} for k in value}


def _gains(details, seed):
    """The gains of the paper's comparisons."""
    return {
        pair: {noise: _gain(details, names, noise, slice(None), seed) for noise in NOISES}
        for pair, names in _PAIRS.items()
    }


def _gain(details, names, noise, rows, seed):
    """By how much the second of two experiments is better for some galaxies, 1 - second / first."""

    def statistic(a_mean, a_median, b_mean, b_median):
        return {
            "rmse": 1 - np.sqrt(np.mean(b_mean**2) / np.mean(a_mean**2)),
            "mae": 1 - np.mean(np.abs(b_median)) / np.mean(np.abs(a_median)),
            "nmad": 1 - metrics.nmad(b_median) / metrics.nmad(a_median),
        }

    deviations = [details[name, noise]["deviation"] for name in names]
    arrays = [d[kind][rows, 0] for d in deviations for kind in ("mean", "median")]
    return _statistic_with_error(statistic, *arrays, seed=seed)


def _formed_early(test):
    """Fraction of the stars that the median galaxy forms in the early part of its history."""
    formed = test["sfh"] * np.diff(LOOKBACK_EDGES)
    return {
        name: float(np.median((formed * is_early(test, in_a)).sum(axis=1) / formed.sum(axis=1)))
        for name, in_a in (("half the age", False), ("ln a", True))
    }


def _by_magnitude(details, test, seed):
    """Redshifts from LSST and LSST+SPHEREx, and the gain, in bins of the i magnitude."""
    bins = []
    for low, high in zip(_BRIGHTNESS_EDGES[:-1], _BRIGHTNESS_EDGES[1:], strict=True):
        rows = (test["mag_i"] >= low) & (test["mag_i"] < high)
        if rows.sum() < 30:
            continue
        line = {"mag_i": [low, high], "galaxies": int(rows.sum())}
        for noise in NOISES:
            line.setdefault("gain", {})[noise] = _gain(details, _ADDED, noise, rows, seed)
            for name in _ADDED:
                d = details[name, noise]["deviation"]
                one = np.ones((rows.sum(), 1), bool)
                line.setdefault(name, {})[noise] = _scores(
                    d["mean"][rows], d["median"][rows], one, seed
                )
        bins.append(line)
    return bins


def _by_signal_to_noise(model, test, seed):
    """Redshifts from optical spectra against the signal to noise per pixel."""
    lines = []
    one = np.ones((len(test["redshift"]), 1), bool)
    for ratio in SIGNAL_TO_NOISE:
        rng = np.random.default_rng([seed, 2])
        seen = spectra(test["spectrum"], *OPTICAL, ratio, rng)
        galaxies = Galaxies(len(one), vectors={"spectrum": seen})
        posterior = model.posterior_of(galaxies, ["redshift"])["redshift"]
        estimates, _, _ = _estimates(posterior, test, "redshift")
        truth = test["redshift"][:, None]
        d = {k: _deviation("redshift", e, truth, test) for k, e in estimates.items()}
        wrong = float(np.mean(np.abs(d["median"]) > metrics.OUTLIER))
        scores = _scores(d["mean"], d["median"], one, seed)
        lines.append({"signal_to_noise": ratio, "outlier_fraction": wrong, **scores})
    return lines


def _with_error(figure, factor=1.0):
    """A figure and its error, to two digits of the error."""
    value, error = factor * figure["value"], factor * figure["error"]
    decimals = max(1 - int(np.floor(np.log10(error))), 0) if error > 0 else 4
    return f"{value:.{decimals}f}±{error:.{decimals}f}"


def _beside(methods, method, figure, mark):
    """A baseline's figure, after a mark if the model is behind it by more than two sigma."""
    behind = methods[f"model - {method}"][figure]
    sign = mark if behind["value"] > 2 * behind["error"] else " "
    return f"{sign}{methods[method][figure]['value']:9.4f}"


def format_report(report):
    """The report of `run` as text for a terminal."""
    lines = [
        f"{report['galaxies']} simulated galaxies of {report['data']}; trees fitted to "
        f"{report['galaxies_trees']} others; seed {report['seed']}",
        "Redshift as dz/(1+z), masses and SFR in dex, fluxes in asinh magnitudes. RMSE of means,",
        "MAE and NMAD of medians; errors by bootstrap; 'holds' is the share within 68% intervals.",
        "* marks where the model is behind the trees by more than two sigma of the difference.",
    ]
    mixed = any(_MIXED in m for e in report["experiments"].values() for m in e.values())
    if mixed:
        lines += [
            "'mixed' are trees fitted to as many galaxies of the mixture that the model learned",
            "from; + marks where the model is behind those.",
        ]
    for noise in NOISES:
        head = f"{'mixed':>10s}" if mixed else ""
        lines += ["", f"{noise:35s}{'model':>23s}{'trees':>10s}{head}{'mean':>10s}{'holds':>9s}"]
        for name, by_noise in report["experiments"].items():
            if noise not in by_noise:
                continue
            methods = by_noise[noise]
            for figure in ("rmse", "mae", "nmad"):
                model = methods["model"][figure]
                line = f"{name if figure == 'rmse' else '':35s}{figure.upper():>5s}"
                line += f"{_with_error(model):>18s}"
                if "trees" in methods:
                    line += _beside(methods, "trees", figure, "*")
                    line += _beside(methods, _MIXED, figure, "+") if mixed else ""
                    line += f"{methods['population'][figure]['value']:10.4f}"
                if figure == "rmse":
                    line += f"{100 * methods['model']['coverage_68']['value']:8.1f}%"
                lines.append(line)
    lines += ["", "Gains, 1 - second / first"]
    for name, by_noise in report["gains"].items():
        for noise, gain in by_noise.items():
            parts = (f"{k.upper()} {_with_error(g, 100)}%" for k, g in gain.items())
            lines.append(f"{name}, {noise}: {', '.join(parts)}")
    early = (f"{100 * f:.0f}% ({name})" for name, f in report["formed_early"].items())
    lines.append(f"Stars that the median galaxy forms in the early part: {', '.join(early)}")
    for noise in NOISES:
        lines += ["", f"Redshift by i magnitude, {noise}"]
        lines.append(
            f"{'i':>10s}{'galaxies':>9s}{'NMAD LSST':>20s}{'LSST+SPHEREx':>20s}{'gain':>14s}"
            f"{'RMSE LSST':>20s}{'LSST+SPHEREx':>20s}"
        )
        for line in report["by_magnitude"]:
            text = f"{line['mag_i'][0]:5.1f}-{line['mag_i'][1]:.1f}{line['galaxies']:9d}"
            for figure in ("nmad", "rmse"):
                for name in _ADDED:
                    text += f"{_with_error(line[name][noise][figure]):>20s}"
                if figure == "nmad":
                    text += f"{_with_error(line['gain'][noise][figure], 100):>13s}%"
            lines.append(text)
    lines += ["", f"Redshift from spectra of {OPTICAL[0]} to {OPTICAL[1]} micron, R = 400"]
    lines.append(f"{'S/N per pixel':>14s}{'NMAD':>18s}{'MAE':>18s}{'RMSE':>18s}{'outliers':>10s}")
    for line in report["spectra"]:
        numbers = "".join(f"{_with_error(line[f]):>18s}" for f in ("nmad", "mae", "rmse"))
        lines.append(
            f"{line['signal_to_noise']:14.0f}{numbers}{100 * line['outlier_fraction']:9.2f}%"
        )
    return "\n".join(lines)
