"""The figures of the paper's experiments, drawn from one run of `astromosaic.evaluation.paper`."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..cosmology import age_gyr
from ..filters import vector_wavelength
from ..galaxies import MISSING
from ..properties import LOOKBACK_EDGES, LOOKBACK_MIDDLES, VECTORS

__all__ = ["draw"]

_MODEL, _TREES, _TRUTH, _GIVEN = "#0072B2", "#D55E00", "black", "#999999"
_STYLE = {
    "font.size": 8, "axes.labelsize": 9, "axes.titlesize": 9, "legend.fontsize": 7.5,
    "legend.frameon": False, "figure.dpi": 160, "axes.spines.top": False,
    "axes.spines.right": False,
}  # fmt: skip
_FIGURES = {"rmse": "RMSE", "mae": "MAE", "nmad": "NMAD"}


def draw(folder, report, details, test):
    """Draw all figures.

    Parameters
    ----------
    folder : str or path-like
        Is made if it is not there.
    report, details : dict
        From `astromosaic.evaluation.paper.run`.
    test : dict
        Truths of the test set, from `astromosaic.evaluation.inputs.load_truths`.

    Returns
    -------
    list of Path
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(_STYLE):
        for name, size, plot in (
            ("redshift", (7.4, 2.6), _redshift),
            ("stellar_mass", (7.4, 2.6), _stellar_mass),
            ("vectors", (7.4, 6.6), _vectors),
            ("baselines", (7.4, 4.6), _baselines),
            ("spectroscopic", (3.6, 2.8), _spectroscopic),
        ):
            figure = Figure(figsize=size, layout="constrained")
            plot(figure, report, details, test)
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1])
    return paths


def _redshift(figure, report, details, test):
    left, middle, right = figure.subplots(1, 3)
    z = np.expm1(test["redshift"])
    edge = np.ceil(2 * np.percentile(z, 99.5)) / 2
    for axes, name, title in (
        (left, "redshift from LSST", "LSST"),
        (middle, "redshift from LSST+SPHEREx", "LSST + SPHEREx"),
    ):
        estimate = np.expm1(details[name, "noiseless"]["median"][:, 0])
        bins = np.linspace(0, edge, 121)
        counts, _, _ = np.histogram2d(z, estimate, bins=(bins, bins))
        axes.pcolormesh(
            bins, bins, np.ma.masked_equal(counts, 0).T, norm="log", cmap="viridis",
            rasterized=True,
        )  # fmt: skip
        axes.plot([0, edge], [0, edge], color=_GIVEN, lw=0.6, zorder=0)
        axes.set(xlabel="true redshift", ylabel="predicted redshift", aspect="equal")
        axes.set_title(f"{title}, noiseless")
        nmad = report["experiments"][name]["noiseless"]["model"]["nmad"]["value"]
        axes.text(0.05, 0.95, f"NMAD {nmad:.4f}", transform=axes.transAxes, va="top")
    for name, color, label in (
        ("redshift from LSST", _TREES, "LSST"),
        ("redshift from LSST+SPHEREx", _MODEL, "LSST + SPHEREx"),
    ):
        for noise, style in (("survey", "o-"), ("noiseless", "s:")):
            lines = [line for line in report["by_magnitude"] if line["mag_i"][0] > 0]
            x = [np.mean(line["mag_i"]) for line in lines]
            y = [line[name][noise]["nmad"]["value"] for line in lines]
            e = [line[name][noise]["nmad"]["error"] for line in lines]
            right.errorbar(x, y, e, fmt=style, color=color, ms=3, lw=1, label=f"{label}, {noise}")
    right.set(xlabel="i (AB)", ylabel="NMAD of dz / (1+z)", yscale="log")
    right.set_ylim(top=right.get_ylim()[1] * 6)
    right.legend(loc="upper left", handlelength=1.6)


def _stellar_mass(figure, report, details, test):
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    names = {
        "early": "stellar mass from early SFH+LSST",
        "late": "stellar mass from late SFH+LSST",
    }
    truth = test["stellar_mass"]
    for (half, name), color in zip(names.items(), (_TREES, _MODEL), strict=True):
        deviation = details[name, "noiseless"]["median"][:, 0] - truth
        bins = np.linspace(-0.3, 0.3, 121)
        left.hist(deviation, bins, histtype="step", color=color, label=f"{half} SFH + LSST")
    left.set(
        xlabel="predicted - true log stellar mass (dex)", ylabel="galaxies", yscale="log",
        title="noiseless photometry",
    )  # fmt: skip
    left.legend()
    width = 0.18
    for k, (half, color) in enumerate((("early", _TREES), ("late", _MODEL))):
        for j, noise in enumerate(("noiseless", "survey")):
            scores = report["experiments"][names[half]][noise]["model"]
            x = np.arange(3) + (2 * k + j - 1.5) * width
            right.bar(
                x, [scores[f]["value"] for f in _FIGURES], width,
                yerr=[scores[f]["error"] for f in _FIGURES], color=color,
                alpha=1.0 if noise == "noiseless" else 0.5, label=f"{half}, {noise}",
            )  # fmt: skip
    right.set_xticks(range(3), _FIGURES.values())
    right.set(ylabel="log stellar mass (dex)")
    right.legend()


def _vectors(figure, report, details, test):
    """Examples: one galaxy for each experiment that asks for a vector."""
    panels = (
        ("spectrum from redshift+mass", "noiseless"), ("missing half of a spectrum", "survey"),
        ("missing SPHEREx channels", "survey"), ("SFH from LSST", "noiseless"),
        ("SFH from LSST+redshift+mass", "noiseless"), ("missing SFH bins", "survey"),
    )  # fmt: skip
    for axes, (name, noise) in zip(figure.subplots(3, 2).flat, panels, strict=True):
        detail = details[name, noise]
        row = detail["example"]
        posterior, given = detail["posterior"], detail["given"]
        vector = posterior.name
        low, high = posterior.interval(0.68)
        median, low, high = (x.value[0] for x in (posterior.median(), low, high))
        truth = test[vector][row]
        if VECTORS[vector].is_flux:
            x = vector_wavelength(vector)
            scale, style = 1e-3, {}
            axes.set(xlabel="observed wavelength (micron)", ylabel="flux density (µJy)")
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
        else:
            inside = LOOKBACK_EDGES[:-1] < age_gyr(np.expm1(test["redshift"][row]))
            arrays = (LOOKBACK_MIDDLES, truth, median, low, high)
            x, truth, median, low, high = (a[inside] for a in arrays)
            scale, style = 1.0, {"drawstyle": "steps-mid"}
            axes.set(xlabel="lookback time (Gyr)", ylabel="SFR (solMass / yr)", xscale="log")
        axes.fill_between(x, scale * low, scale * high, color=_MODEL, alpha=0.3, lw=0)
        axes.plot(x, scale * median, color=_MODEL, lw=0.9, label="predicted", **style)
        axes.plot(x, scale * truth, color=_TRUTH, lw=0.6, label="true", **style)
        if vector in given.vectors:
            seen = given.vectors[vector]
            known = seen.state[0] != MISSING
            value = seen.value[0]
            if not VECTORS[vector].is_flux:
                value, known = value[inside], known[inside]
            axes.plot(
                x[known], scale * value[known], ".", color=_GIVEN, ms=2.5, zorder=0, label="given"
            )
        if VECTORS[vector].is_flux:
            axes.set(yscale="log")
            axes.set_ylim(0.4 * scale * truth.min(), 4 * scale * truth.max())
        else:
            axes.set_ylim(0.0, 1.4 * max(np.max(truth), np.max(high)))
        z = np.expm1(test["redshift"][row])
        axes.set_title(f"{name}, {noise} (z = {z:.2f})")
        axes.legend(loc="upper left", ncols=3)


def _baselines(figure, report, details, test):
    """RMSE and MAE of model and trees in units of those of the population mean."""
    names = list(report["experiments"])
    both = zip(figure.subplots(1, 2, sharey=True), ("noiseless", "survey"), strict=True)
    for axes, noise in both:
        for y, name in enumerate(reversed(names)):
            methods = report["experiments"][name].get(noise)
            if methods is None:
                continue
            for method, color, shift in (("model", _MODEL, 0.12), ("trees", _TREES, -0.12)):
                if "trees" not in methods:
                    continue
                for key, marker in (("rmse", "o"), ("mae", "s"), ("nmad", "D")):
                    base = methods["population"][key]["value"]
                    axes.plot(
                        methods[method][key]["value"] / base, y + shift, marker, color=color,
                        ms=3.5, mfc=color if key == "rmse" else "white",
                        label=f"{method}, {_FIGURES[key]}" if y == len(names) - 1 else None,
                    )  # fmt: skip
        axes.axvline(1.0, color=_GIVEN, lw=0.8)
        axes.set(xscale="log", xlabel="error / error of the population mean", title=noise)
        axes.set_yticks(range(len(names)), reversed(names))
        axes.grid(axis="y", lw=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _spectroscopic(figure, report, details, test):
    axes = figure.subplots()
    lines = report["spectra"]
    x = [line["signal_to_noise"] for line in lines]
    axes.errorbar(
        x, [line["nmad"]["value"] for line in lines], [line["nmad"]["error"] for line in lines],
        fmt="o-", color=_MODEL, ms=4,
    )  # fmt: skip
    axes.axhline(0.003, color=_GIVEN, ls=":", label="aim at 5 per pixel: 0.003")
    axes.set(
        xlabel="signal to noise per pixel (R = 400)", ylabel="NMAD of dz / (1+z)", xscale="log",
        yscale="log", title="redshift from an optical spectrum",
    )  # fmt: skip
    axes.set_xticks(x, [f"{v:g}" for v in x])
    axes.minorticks_off()
    axes.legend()
