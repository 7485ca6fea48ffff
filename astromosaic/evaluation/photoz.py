"""Photometric redshifts against spectroscopic ones, on any table that has both."""

from dataclasses import replace

import numpy as np

from ..properties import PROPERTIES
from ..results import is_result
from . import metrics

__all__ = ["format_report", "observed_magnitude", "run", "truth_column"]

#: Columns that are taken for the true redshift, in this order.
TRUTH_COLUMNS = ("z_spec", "zspec", "specz", "redshift_true", "redshift")

#: Magnitude bins with fewer galaxies than this are left out.
FEWEST = 50

# Point estimates, methods of `astromosaic.posterior.Posterior`.
_ESTIMATES = ("median", "mode", "best")

LABELS = {
    "nmad": "NMAD",
    "bias": "bias",
    "outlier_fraction": "outliers",
    "cde_loss": "CDE loss",
    "pit_ks": "PIT-KS",
    "coverage_68": "68% coverage",
}


def run(
    data, columns=None, truth=None, limit=None, weights=None, seed=0, progress=False,
    zero_points=None,
):  # fmt: skip
    """Predict the redshifts of a table and compare them with its spectroscopic redshifts.

    Parameters
    ----------
    data : str, path-like or astropy.table.Table
        The table, or the file that holds it.
    columns : dict, optional
        What the columns are, as for `astromosaic.predict`.
    truth : str, optional
        The column of true redshifts; by default the first found of `TRUTH_COLUMNS`. It is not
        shown to the model.
    limit : int, optional
        Use the first so many rows only.
    weights : str or path-like, optional
        Weights other than those of the package.
    seed : int
        Seed of the bootstrap.
    progress : bool
        Whether to show a progress bar.
    zero_points : Table, dict of str to float, or "own", optional
        Corrections of the photometry, see `astromosaic.inference.Model.predict`. Estimates of the
        table's ``"own"`` do not see its redshifts either.

    Returns
    -------
    dict
        Numbers of rows, and figures of merit as ``{"value", "error"}``, the error by bootstrap
        over galaxies: ``median``, ``mode`` and ``best`` have those of point estimates,
        ``posterior`` those of the posteriors, ``by_magnitude`` those of the median in bins of
        magnitude. Ready for JSON. `astromosaic.evaluation.metrics` has the definitions.

    Raises
    ------
    ValueError
        If there is no column of true redshifts, or no row with both a truth and an answer.
    """
    from .. import __version__, load_model
    from ..catalog import read_table
    from ..io import read_catalog
    from ..labels import read_truth

    is_table = hasattr(data, "colnames")
    table = data if is_table else read_catalog(data)
    if limit is not None:
        table = table[:limit]
    truth = truth_column(table, truth)
    redshift = PROPERTIES["redshift"].to_physical(read_truth(table, "redshift", truth, columns))
    columns = {**(columns or {}), truth: None}

    model = load_model(weights)
    galaxies, reading = read_table(table, columns)
    # A redshift in any other column, photometric or not, is not to be shown either.
    others = {k: v for k, v in galaxies.scalars.items() if k != "redshift"}
    galaxies = replace(galaxies, scalars=others)
    galaxies, offsets = model.with_zero_points(galaxies, zero_points, progress)
    posterior = model.posterior_of(galaxies, ["redshift"], progress)["redshift"]
    known = np.isfinite(redshift) & (redshift >= 0)
    given = [*galaxies.vectors, *galaxies.scalars]
    rows = known & posterior.defined
    if not rows.any():
        raise ValueError(f"no row has both a redshift in column {truth!r} and usable photometry")

    posterior, z = posterior[rows], redshift[rows]
    deviations = {
        kind: metrics.redshift_deviation(getattr(posterior, kind)(), z) for kind in _ESTIMATES
    }
    return {
        "data": "a table" if is_table else str(data),
        "truth": truth,
        "version": __version__,
        "weights": model.checksum,
        "convention": reading.convention,
        "filters": list(galaxies.filters),
        "also_given": given,
        "zero_points_mag": offsets,
        "rows": len(table),
        "without_truth": int((~known).sum()),
        "without_answer": int((known & ~rows).sum()),
        "flagged": int(np.count_nonzero(model.flags(galaxies)[rows])),
        "galaxies": int(rows.sum()),
        "seed": seed,
        **{
            kind: _with_errors(metrics.point_metrics, deviation, seed=seed)
            for kind, deviation in deviations.items()
        },
        "posterior": _with_errors(
            _posterior_metrics,
            metrics.cde_loss_terms(posterior.pdf(metrics.REDSHIFT_GRID), z),
            posterior.cdf(z),
            seed=seed,
        ),
        "by_magnitude": _by_magnitude(galaxies[rows], deviations["median"], seed),
    }


def format_report(report):
    """The report of `run` as text for a terminal."""
    counts = [f"{report['galaxies']} galaxies with a redshift in column {report['truth']!r}"]
    for key, text in (
        ("without_truth", "left out for lack of a redshift"),
        ("without_answer", "left out for lack of usable photometry"),
        ("flagged", "flagged, but counted"),
    ):
        if report[key]:
            counts.append(f"{report[key]} {text}")
    also = ", ".join(report["also_given"])
    kind = "Redshifts" if also else "Photometric redshifts"
    lines = [
        f"{kind} of {report['data']}",
        "; ".join(counts),
        f"Columns read as: {report['convention']}"
        + (f"; beside photometry: {also}" if also else ""),
        *_zero_point_lines(report["zero_points_mag"]),
        "",
        "d = (z_phot - z_spec) / (1 + z_spec); errors by bootstrap over galaxies",
        "",
        " " * 22 + "".join(f"{kind:>20s}" for kind in _ESTIMATES),
    ]
    for key in ("nmad", "bias", "outlier_fraction"):
        of_kinds = "".join(f"{_text(report[kind], key):>20s}" for kind in _ESTIMATES)
        lines.append(f"{LABELS[key]:22s}{of_kinds}")
    lines.append("")
    for key in ("cde_loss", "pit_ks", "coverage_68"):
        lines.append(f"{LABELS[key]:22s}{_text(report['posterior'], key):>20s}")
    if report["by_magnitude"]:
        band = report["by_magnitude"][0]["band"]
        lines += [
            "",
            f"{band:22s}{'galaxies':>10s}"
            + "".join(f"{LABELS[key]:>20s}" for key in ("nmad", "bias", "outlier_fraction")),
        ]
        for row in report["by_magnitude"]:
            lines.append(f"{row['low']:g} to {row['high']:g}".ljust(22) + f"{row['galaxies']:10d}")
            lines[-1] += "".join(
                f"{_text(row, key):>20s}" for key in ("nmad", "bias", "outlier_fraction")
            )
    return "\n".join(lines)


def _zero_point_lines(offsets):
    if not offsets:
        return []
    return ["Zero points (mag): " + ", ".join(f"{k} {v:+.3f}" for k, v in offsets.items())]


def truth_column(table, truth=None):
    """The column of true redshifts: the one named, or the first found of `TRUTH_COLUMNS`."""
    if truth is not None:
        if truth not in table.colnames:
            raise ValueError(f"there is no column {truth!r} for the true redshift; name another")
        return truth
    for name in TRUTH_COLUMNS:
        if name in table.colnames:
            if name == "redshift" and is_result(table.meta) and "redshift_lo" in table.colnames:
                raise ValueError(
                    "column 'redshift' has predictions of astromosaic: name the column of true "
                    "redshifts"
                )
            return name
    raise ValueError(f"no column of true redshifts ({', '.join(TRUTH_COLUMNS)}) was found; name it")


def _posterior_metrics(terms, pit):
    return {
        "cde_loss": np.mean(terms),
        "pit_ks": metrics.pit_ks(pit),
        "coverage_68": metrics.coverage(pit),
    }


def _with_errors(statistic, *arrays, seed):
    values = statistic(*arrays)
    errors = metrics.bootstrap(statistic, *arrays, seed=seed)
    return {name: {"value": float(values[name]), "error": errors[name]} for name in values}


def observed_magnitude(galaxies):
    """AB magnitude of galaxies in the filter nearest to 0.76 micron (i).

    Returns
    -------
    tuple of (str, ndarray (n,))
        The filter, and magnitudes, NaN where there is none; None for both without photometry.
    """
    from ..filters import filter_shapes
    from ..galaxies import MEASURED

    if not galaxies.filters:
        return None, None
    number = np.argmin(np.abs(filter_shapes(galaxies.filters)[:, 0] - np.log(0.76)))
    flux = galaxies.photometry.value[:, number]
    measured = (galaxies.photometry.state[:, number] == MEASURED) & (flux > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.where(measured, 31.4 - 2.5 * np.log10(flux), np.nan)
    return galaxies.filters[number], magnitude


def _by_magnitude(galaxies, deviation, seed):
    """Figures of merit in bins of one observed magnitude."""
    band, magnitude = observed_magnitude(galaxies)
    if band is None:
        return []
    bins = []
    for low in np.unique(np.floor(magnitude[np.isfinite(magnitude)])):
        inside = np.floor(magnitude) == low
        if inside.sum() >= FEWEST:
            bins.append(
                {
                    "band": band,
                    "low": float(low),
                    "high": float(low + 1),
                    "galaxies": int(inside.sum()),
                    **_with_errors(metrics.point_metrics, deviation[inside], seed=seed),
                }
            )
    return bins


def _text(figures, key):
    value, error = figures[key]["value"], figures[key]["error"]
    if key in ("outlier_fraction", "coverage_68"):
        return f"{100 * value:.2f} ± {100 * error:.2f} %"
    digits = 2 if key == "cde_loss" else 4
    return f"{value:.{digits}f} ± {error:.{digits}f}"
