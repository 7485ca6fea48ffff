"""Every scalar query on a simulated test set, from LSST, from SPHEREx and from both."""

import numpy as np

from ..galaxies import MEASURED, Galaxies, Measurement
from ..properties import PROPERTIES
from . import metrics

__all__ = ["INPUTS", "NOISES", "bright_galaxies", "format_report", "observed_galaxies", "run"]

#: What is given: names of inputs, with whether LSST and SPHEREx are among it.
INPUTS = {"LSST": (True, False), "SPHEREx": (False, True), "LSST+SPHEREx": (True, True)}
#: Noise: none, or LSST's ten years and SPHEREx's all-sky survey.
NOISES = ("noiseless", "survey")
#: Faintest LSST i magnitude of the galaxies evaluated: LSST's gold sample.
FAINTEST_I = 25.3

_LSST = tuple(f"lsst_{b}" for b in "ugrizy")
# Errors stated for noiseless photometry, and the floor of LSST's, relative to the flux.
_NOISELESS_ERROR, _LSST_FLOOR = 1e-3, 5e-3


def observed_galaxies(arrays, inputs, noise, seed=0):
    """`Galaxies` of a test set as LSST, SPHEREx or both see them.

    Parameters
    ----------
    arrays : dict
        From `astromosaic.simulation.mocks.load_mocks`.
    inputs : str
        One of `INPUTS`.
    noise : {"noiseless", "survey"}
    seed : int
    """
    from ..training.noise import LSST_10_YEAR, spherex_depth

    rng = np.random.default_rng(seed)
    index = [arrays["filters"].index(f) for f in _LSST]
    lsst = np.array([10 ** (-0.4 * (m - 31.4)) / 5 for m in LSST_10_YEAR.values()])

    def observe(flux, sky, floor):
        if noise == "noiseless":
            error = _NOISELESS_ERROR * flux + 1e-3 * sky
            return Measurement(flux, error, np.full(flux.shape, MEASURED))
        value = flux + np.hypot(sky, floor * flux) * rng.normal(size=flux.shape)
        # What is stated follows from what is seen: the truth must not show in the errors.
        error = np.hypot(sky, floor * value)
        return Measurement(value, error, np.full(flux.shape, MEASURED))

    with_lsst, with_spherex = INPUTS[inputs]
    parts = {}
    if with_lsst:
        parts |= {
            "filters": _LSST,
            "photometry": observe(arrays["flux"][:, index], lsst, _LSST_FLOOR),
        }
    if with_spherex:
        parts["vectors"] = {"spherex": observe(arrays["spherex"], spherex_depth(), _LSST_FLOOR)}
    return Galaxies(n=len(arrays["redshift"]), **parts)


def bright_galaxies(data, group, limit=None):
    """Arrays of a group of a file of mocks, galaxies brighter than `FAINTEST_I` only.

    Parameters
    ----------
    data : str or path-like
    group : {"train", "test"}
    limit : int, optional
        Of the first so many galaxies, before the cut.

    Returns
    -------
    dict
        As of `astromosaic.simulation.mocks.load_mocks`.

    Raises
    ------
    ValueError
        If the file lacks what is needed, or has no galaxy as bright.
    """
    from ..simulation.mocks import PROPERTY_DATASETS, load_mocks

    arrays = load_mocks(data, group, ["flux", "spherex", *PROPERTY_DATASETS.values()], limit)
    if lacking := [f for f in _LSST if f not in arrays["filters"]]:
        raise ValueError(f"{data} has no fluxes in {', '.join(lacking)}")
    bright = arrays["flux"][:, arrays["filters"].index("lsst_i")] > 10 ** (
        -0.4 * (FAINTEST_I - 31.4)
    )
    if not bright.any():
        raise ValueError(f"{data} has no galaxy brighter than i = {FAINTEST_I}")
    return {k: v if k == "filters" else v[bright] for k, v in arrays.items()}


def run(data, limit=None, weights=None, seed=0, progress=False, calibration=None):
    """Evaluate on the test group of a file of mocks.

    Parameters
    ----------
    data : str or path-like
        File made by ``astromosaic simulate``.
    limit : int, optional
        Use the first so many galaxies only, before the cut at i < 25.3.
    weights : str or path-like, optional
        Weights other than those of the package.
    seed : int
        Seed of noise and bootstrap.
    progress : bool
    calibration : str, optional
        Name of a calibration of the model.

    Returns
    -------
    dict
        ``figures[noise][inputs][query]`` has RMSE, MAE, NMAD, bias, 68% coverage and PIT-KS of the
        median, each ``{"value", "error"}``; redshift as (z_est - z)/(1 + z), the others in the
        internal coordinate (dex, or mag for ``dust_av``).
    """
    from .. import __version__, load_model
    from ..simulation.mocks import true_values

    arrays = bright_galaxies(data, "test", limit)
    model = load_model(weights)
    figures = {}
    for noise in NOISES:
        for inputs in INPUTS:
            galaxies = observed_galaxies(arrays, inputs, noise, seed)
            posteriors = model.posterior_of(galaxies, list(PROPERTIES), progress, calibration)
            figures.setdefault(noise, {})[inputs] = {
                name: _figures(posterior, true_values(arrays, name), seed)
                for name, posterior in posteriors.items()
            }
    return {
        "data": str(data), "galaxies": len(arrays["redshift"]), "faintest_i": FAINTEST_I,
        "seed": seed, "version": __version__, "weights": model.checksum,
        "calibration": calibration, "figures": figures,
    }  # fmt: skip


def format_report(report):
    """The report of `run` as text for a terminal."""
    lines = [
        f"{report['galaxies']} simulated galaxies with i < {report['faintest_i']} of "
        f"{report['data']}",
        "Median of the posterior against the truth; redshift as dz/(1+z), masses, SFR and",
        "metallicity in dex, A_V in mag; errors by bootstrap.",
    ]
    if report["calibration"]:
        lines.append(f"Posteriors calibrated for {report['calibration']!r}.")
    heads = ("RMSE", "MAE", "NMAD", "bias", "68% cov.", "PIT-KS")
    header = f"{'':14s}" + "".join(f"{head:>16s}" for head in heads)
    for noise, by_input in report["figures"].items():
        for inputs, queries in by_input.items():
            lines += ["", f"{inputs}, {noise}", header]
            for name, f in queries.items():
                cells = [
                    f"{f[k]['value']:.4f}±{f[k]['error']:.4f}"
                    for k in ("rmse", "mae", "nmad", "bias")
                ]
                cover = f["coverage_68"]
                cells.append(f"{100 * cover['value']:.1f}±{100 * cover['error']:.1f}%")
                cells.append(f"{f['pit_ks']['value']:.3f}±{f['pit_ks']['error']:.3f}")
                lines.append(f"{name:14s}" + "".join(f"{cell:>16s}" for cell in cells))
    return "\n".join(lines)


def _figures(posterior, truth, seed):
    prop = posterior.coordinate
    physical = prop.to_physical(truth)
    median = np.asarray(getattr(posterior.median(), "value", posterior.median()))
    if posterior.name == "redshift":
        deviation = metrics.redshift_deviation(median, physical)
    else:
        deviation = prop.to_internal(median) - truth
    pit = posterior.cdf(physical)
    values = _statistics(deviation, pit)
    errors = metrics.bootstrap(_statistics, deviation, pit, seed=seed)
    return {k: {"value": float(values[k]), "error": float(errors[k])} for k in values}


def _statistics(deviation, pit):
    return {
        "rmse": np.sqrt(np.mean(deviation**2)),
        "mae": np.mean(np.abs(deviation)),
        "nmad": metrics.nmad(deviation),
        "bias": metrics.bias(deviation),
        "coverage_68": metrics.coverage(pit),
        "pit_ks": metrics.pit_ks(pit),
    }
