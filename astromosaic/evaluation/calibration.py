"""How calibrated the posteriors of scalars are: overall, and by magnitude, redshift and number of
bands; and calibrations learned from mocks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..galaxies import MEASURED, MISSING
from ..properties import PROPERTIES
from . import metrics
from .photoz import observed_magnitude, truth_column
from .simulated import INPUTS, NOISES, bright_galaxies, observed_galaxies

__all__ = ["STATED_ERRORS", "calibrate_on_mocks", "format_report", "is_mocks", "run"]

#: Name of the calibration that is learned from mocks.
STATED_ERRORS = "stated errors"

#: Groups of fewer galaxies than this are left out.
FEWEST = 200
_LEVELS = (50, 68, 95)
_REDSHIFT_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 6.0)
# The most bands that are lost, as a fraction.
_LOST = 0.8
_GROUPS = {"by_magnitude": "magnitude", "by_redshift": "true redshift", "by_bands": "bands"}


def is_mocks(path):
    """Whether a file is one of mocks made by ``astromosaic simulate``, not a table."""
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        return {"provenance", "filters"} <= set(file.attrs)


def calibrate_on_mocks(model, paths, name=STATED_ERRORS, seed=0, limit=None, progress=False):
    """A new model, with a calibration for galaxies whose errors are as stated.

    It is learned from the training galaxies of mocks as `astromosaic.evaluation.simulated` sees
    them: LSST, SPHEREx and both, noiseless and with survey noise, with all bands and with bands
    lost at random.

    Parameters
    ----------
    model : astromosaic.inference.Model
    paths : sequence of path-like
        Files of mocks.
    name : str
    seed : int
        Of noise, lost bands and halves.
    limit : int, optional
        Use the first so many galaxies of each file only.
    progress : bool

    Returns
    -------
    astromosaic.inference.Model
    """
    from ..calibration import calibrate
    from ..simulation.mocks import true_values

    files = [bright_galaxies(path, "train", limit) for path in paths]

    def samples():
        for number, arrays in enumerate(files):
            truths = {q: true_values(arrays, q) for q in PROPERTIES}
            for _, _, galaxies in _observations(arrays, [seed, 1, number]):
                yield galaxies, truths
                yield _with_lost_bands(galaxies, [seed, 2, number]), truths

    about = {
        "data": [Path(path).name for path in paths],
        "galaxies": sum(len(arrays["redshift"]) for arrays in files),
    }
    return calibrate(model, samples(), name, seed, progress, **about)


def run(
    data, truth=None, columns=None, calibration=None, limit=None, weights=None, seed=0,
    figures=None, progress=False,
):  # fmt: skip
    """Measure the calibration on the test galaxies of mocks, or on a table with known properties.

    Parameters
    ----------
    data : str, path-like or astropy.table.Table
        A file of mocks, or a table or its file.
    truth : str or dict of str to str, optional
        For a table: the column of true redshifts, or the columns of true values by scalar; by
        default the first found of `astromosaic.evaluation.photoz.TRUTH_COLUMNS`. They are not
        shown to the model.
    columns : dict, optional
        For a table: what the columns are, as for `astromosaic.predict`.
    calibration : str, optional
        Name of a calibration of the model.
    limit : int, optional
        Use the first so many galaxies only.
    weights : str or path-like, optional
        Weights other than those of the package.
    seed : int
        Of noise, lost bands and bootstrap.
    figures : str or path-like, optional
        Folder in which a figure is drawn for each scalar.
    progress : bool

    Returns
    -------
    dict
        ``inputs[label][query]`` has ``all``, a dict of figures as ``{"value", "error"}``, the error
        by bootstrap over galaxies, and ``by_magnitude``, ``by_redshift`` and ``by_bands``, lists of
        such dicts with ``low``, ``high`` and ``galaxies`` besides. CRPS and CDE loss are in the
        internal coordinate: ln(1+z), dex, or mag for ``dust_av``. Ready for JSON.

    Raises
    ------
    ValueError
        If there is no truth, or no such calibration; as of `astromosaic.predict`.
    """
    from .. import __version__, load_model
    from ..calibration import check_calibration

    model = load_model(weights)
    if calibration is not None:
        check_calibration(model.card, calibration)
    is_table = hasattr(data, "colnames")
    if not is_table and is_mocks(data):
        sets = _mock_sets(bright_galaxies(data, "test", limit), seed)
    else:
        sets = _table_set(data, truth, columns, limit)
    inputs, details = {}, {}
    for label, galaxies, truths, fewer in sets:
        scored = _scores(model, galaxies, truths, calibration, progress)
        # Where bands are lost at random, they are for the figures by number of bands only.
        scored_fewer = scored
        if fewer is not None:
            scored_fewer = _scores(model, fewer, truths, calibration, progress)
        inputs[label] = {
            q: _report(q, galaxies, fewer or galaxies, truths, scored[q], scored_fewer[q], seed)
            for q in truths
        }
        details[label] = {q: scored[q][1] for q in truths}
    report = {
        "data": "a table" if is_table else str(data), "calibration": calibration, "seed": seed,
        "version": __version__, "weights": model.checksum, "inputs": inputs,
    }  # fmt: skip
    if figures:
        from .calibration_figures import draw

        report["figures"] = [str(path) for path in draw(figures, report, details)]
    return report


def format_report(report):
    """The report of `run` as text for a terminal."""
    lines = [
        f"Calibration of posteriors on {report['data']}",
        f"Posteriors calibrated for {report['calibration']!r}"
        if report["calibration"]
        else "Posteriors as trained",
        "CRPS and CDE loss in ln(1+z) for redshifts, in dex, and in mag for A_V; errors by "
        "bootstrap",
    ]
    for label, queries in report["inputs"].items():
        n = max(q["all"]["galaxies"] for q in queries.values())
        lines += [
            "", f"{label}: {n} galaxies; PIT-KS of perfect posteriors is below "
            f"{1.36 / n**0.5:.4f} in 95 of 100 such sets (in groups: in brackets)",
            f"{'':14s}{'PIT-KS':>17s}" + "".join(f"{f'{k}% cov.':>14s}" for k in _LEVELS)
            + f"{'CRPS':>18s}{'CDE loss':>18s}",
        ]  # fmt: skip
        for name, query in queries.items():
            f = query["all"]
            lines.append(
                f"{name:14s}" + _text(f, "pit_ks", 4, 17)
                + "".join(_text(f, f"coverage_{k}", 1, 14, 100) for k in _LEVELS)
                + _text(f, "crps", 4, 18) + _text(f, "cde_loss", 2, 18)
            )  # fmt: skip
        for key, what in _GROUPS.items():
            lines += _group_lines(key, what, queries)
    return "\n".join(lines)


def _group_lines(key, what, queries):
    """PIT-KS and 68% coverage of all scalars in groups of galaxies."""
    groups = {}
    for name, query in queries.items():
        for row in query[key]:
            groups.setdefault((row["low"], row["high"]), {})[name] = row
    if not groups:
        return []
    lines = [f"  by {what}, PIT-KS and 68% cov.".ljust(47)]
    lines[0] += "".join(f"{q:>15s}" for q in queries)
    for (low, high), rows in sorted(groups.items()):
        n = max(row["galaxies"] for row in rows.values())
        text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        lines.append(f"  {text:>15s}{n:9d} galaxies  (<{1.36 / n**0.5:.3f})  ")
        for name in queries:
            row = rows.get(name)
            lines[-1] += "  " + (
                f"{row['pit_ks']['value']:.3f} {100 * row['coverage_68']['value']:6.1f}%"
                if row else f"{'-':>13s}"
            )  # fmt: skip
    return lines


def _text(figures, key, digits, width, factor=1):
    value, error = (factor * figures[key][part] for part in ("value", "error"))
    return f"{f'{value:.{digits}f} ± {error:.{digits}f}':>{width}s}"


def _observations(arrays, seed):
    """Mocks as they are seen: noise, inputs, `Galaxies`."""
    for noise in NOISES:
        for inputs in INPUTS:
            yield noise, inputs, observed_galaxies(arrays, inputs, noise, seed)


def _mock_sets(arrays, seed):
    from ..simulation.mocks import true_values

    truths = {q: true_values(arrays, q) for q in PROPERTIES}
    for noise, inputs, galaxies in _observations(arrays, seed):
        yield f"{inputs}, {noise}", galaxies, truths, _with_lost_bands(galaxies, [seed, 3])


def _table_set(data, truth, columns, limit):
    from ..io import read_catalog
    from ..labels import read_labels

    table = data if hasattr(data, "colnames") else read_catalog(data)
    table = table if limit is None else table[:limit]
    labels = truth if isinstance(truth, dict) else {"redshift": truth_column(table, truth)}
    sample = read_labels(table, labels, columns)
    if not len(sample.galaxies):
        raise ValueError("no row has both a truth and usable photometry")
    yield "all rows", sample.galaxies, sample.truth, None


def _with_lost_bands(galaxies, seed):
    """Galaxies that have lost values at random, at a rate that differs, but never all of a kind."""
    rng = np.random.default_rng(seed)
    n = len(galaxies)
    rate = rng.uniform(0.0, _LOST, (n, 1))

    def lose(measurement):
        if not measurement.state.shape[1]:
            return measurement
        lost = rng.random(measurement.state.shape) < rate
        lost[np.arange(n), rng.integers(lost.shape[1], size=n)] = False
        return replace(measurement, state=np.where(lost, MISSING, measurement.state))

    vectors = {name: lose(vector) for name, vector in galaxies.vectors.items()}
    return replace(galaxies, photometry=lose(galaxies.photometry), vectors=vectors)


def _scores(model, galaxies, truths, calibration, progress):
    """By scalar: rows that have an answer and a truth, and their PIT, CRPS and CDE loss."""
    posteriors = model.posterior_of(galaxies, list(truths), progress, calibration)
    out = {}
    for name, truth in truths.items():
        rows = np.flatnonzero(posteriors[name].defined & np.isfinite(truth))
        if not len(rows):
            raise ValueError(f"no galaxy has both an answer and a true {name}")
        posterior, truth = posteriors[name][rows], truth[rows]
        pit = posterior.cdf(PROPERTIES[name].to_physical(truth))
        histogram = posterior.edges, posterior.probability, truth
        crps, cde = metrics.crps_terms(*histogram), metrics.histogram_cde_loss_terms(*histogram)
        out[name] = rows, pit, crps, cde
    return out


def _statistics(pit, crps, cde):
    return {
        "pit_ks": metrics.pit_ks(pit),
        **{f"coverage_{k}": metrics.coverage(pit, k / 100) for k in _LEVELS},
        "crps": np.mean(crps),
        "cde_loss": np.mean(cde),
    }


def _figures(scores, use, seed):
    """Figures of merit of some of the galaxies; the seed is None for those without errors."""
    scores = [score[use] for score in scores]
    values, errors = _statistics(*scores), metrics.bootstrap(_statistics, *scores, n=100, seed=seed)
    return {
        "galaxies": len(scores[0]),
        **{k: {"value": float(values[k]), "error": errors[k]} for k in values},
    }


def _report(query, galaxies, fewer, truths, scored, scored_fewer, seed):
    """Figures of one scalar, overall and in groups."""
    (rows, *scores), (rows_fewer, *scores_fewer) = scored, scored_fewer
    magnitude = _magnitude(galaxies)[rows]
    redshift = np.expm1(truths["redshift"])[rows] if "redshift" in truths else None
    bands, band_edges = _band_groups(fewer)
    report = {"all": _figures(scores, slice(None), seed)}
    groups = {
        "by_magnitude": (magnitude, np.arange(10.0, 31.0), scores),
        "by_redshift": (redshift, _REDSHIFT_EDGES, scores),
        "by_bands": (bands[rows_fewer], band_edges, scores_fewer),
    }
    for key, (values, edges, terms) in groups.items():
        report[key] = []
        for low, high in zip(edges[:-1], edges[1:], strict=True) if values is not None else ():
            use = (values >= low) & (values < high)
            if use.sum() >= FEWEST:
                ends = (low, high - 1) if key == "by_bands" else (low, high)
                ends = dict(zip(("low", "high"), map(float, ends), strict=True))
                report[key].append(ends | _figures(terms, use, seed))
    return report


def _magnitude(galaxies):
    """Observed AB magnitude: in the band nearest to i, or of the mean flux of SPHEREx."""
    _, magnitude = observed_magnitude(galaxies)
    if magnitude is not None:
        return magnitude
    if "spherex" not in galaxies.vectors:
        return np.full(len(galaxies), np.nan)
    spherex = galaxies.vectors["spherex"]
    use = (spherex.state == MEASURED) & np.isfinite(spherex.error)
    weight = np.where(use, 1.0 / np.where(use, spherex.error, 1.0).astype(float) ** 2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.sum(weight * spherex.value, axis=1) / weight.sum(axis=1)
        return np.where(mean > 0, 31.4 - 2.5 * np.log10(mean), np.nan)


def _band_groups(galaxies):
    """How many bands and channels each galaxy has, and edges of groups of these numbers."""
    light = [galaxies.photometry, *galaxies.vectors.values()]
    number = sum((part.state != MISSING).sum(axis=1) for part in light)
    most = int(number.max())
    if most <= 12:
        return number, np.arange(1, most + 2)
    return number, np.rint(np.linspace(1, most + 1, 6)).astype(int)
