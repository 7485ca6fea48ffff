"""Figures of how calibrated posteriors are, from a run of `astromosaic.evaluation.calibration`."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

__all__ = ["draw"]

_COLORS = ("#0072B2", "#D55E00", "#009E73")
_MARKERS = ("o", "s", "^")
_BAND = "#999999"
_STYLE = {
    "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 9, "legend.fontsize": 7.5,
    "legend.frameon": False, "figure.dpi": 160, "axes.spines.top": False,
    "axes.spines.right": False,
}  # fmt: skip
_BINS = 20


def draw(folder, report, details):
    """Draw a figure for each scalar.

    Parameters
    ----------
    folder : str or path-like
        Is made if it is not there.
    report : dict
        From `astromosaic.evaluation.calibration.run`.
    details : dict of str to dict of str to ndarray
        Probability integral transforms by input and scalar.

    Returns
    -------
    list of Path
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    # Inputs of the same noise share a row.
    rows = {}
    for label in details:
        rows.setdefault(label.partition(", ")[2], []).append(label)
    with mpl.rc_context(_STYLE):
        for query in next(iter(details.values())):
            figure = Figure(figsize=(7.4, 0.5 + 2.3 * len(rows)), layout="constrained")
            axes = figure.subplots(len(rows), 3, squeeze=False, sharex="col")
            for line, (noise, labels) in zip(axes, rows.items(), strict=True):
                _histogram(line[0], [details[label][query] for label in labels])
                _coverage(line[1], [details[label][query] for label in labels])
                _by_magnitude(line[2], [report["inputs"][label][query] for label in labels])
                line[0].set_ylabel(
                    f"{noise}\n\ngalaxies / expected" if noise else "galaxies / expected"
                )
            for panel, text in zip(
                axes[-1], ("PIT", "level of the interval", "observed magnitude (AB)"), strict=True
            ):
                panel.set_xlabel(text)
            names = [label.partition(", ")[0] for label in next(iter(rows.values()))]
            if len(names) > 1:
                figure.legend(
                    axes[0, 1].lines[: len(names)], names, loc="outside upper right", ncols=3
                )
            how = (
                f"calibrated for {report['calibration']}" if report["calibration"] else "as trained"
            )
            figure.suptitle(f"{query.replace('_', ' ')}, {how}", x=0.01, ha="left", fontsize=9)
            paths.append(folder / f"calibration_{query}.png")
            figure.savefig(paths[-1])
    return paths


def _histogram(axes, pits):
    """PIT histograms, with the scatter that counts of perfect posteriors have."""
    sigma = np.sqrt((_BINS - 1) / min(map(len, pits)))
    for width, alpha in ((2, 0.25), (1, 0.35)):
        axes.axhspan(1 - width * sigma, 1 + width * sigma, color=_BAND, alpha=alpha, lw=0)
    edges, top = np.linspace(0.0, 1.0, _BINS + 1), 1 + 5 * sigma
    for pit, color in zip(pits, _COLORS, strict=False):
        counts = np.histogram(pit, edges)[0] * _BINS / len(pit)
        axes.stairs(counts, edges, color=color, lw=1.1, baseline=None)
        top = max(top, 1.05 * counts.max())
    axes.set(xlim=(0, 1), ylim=(min(0.5, 1 - 5 * sigma) if top < 1.6 else 0, top))


def _coverage(axes, pits):
    """Held fraction less the level of central intervals, with the scatter of perfect ones."""
    level = np.linspace(0.0, 1.0, 101)
    sigma = 100 * np.sqrt(level * (1 - level) / min(map(len, pits)))
    for pit, color in zip(pits, _COLORS, strict=False):
        held = np.searchsorted(np.sort(2 * np.abs(pit - 0.5)), level, side="right") / len(pit)
        axes.plot(100 * level, 100 * (held - level), color=color, lw=1.2)
    for width, alpha in ((2, 0.25), (1, 0.35)):
        axes.fill_between(
            100 * level, -width * sigma, width * sigma, color=_BAND, alpha=alpha, lw=0
        )
    bound = max(3.0, 1.05 * np.abs(axes.get_ylim()).max())
    axes.set(xlim=(0, 100), ylim=(-bound, bound), ylabel="held - level [%]")


def _by_magnitude(axes, reports):
    """Coverage of the 68% interval by observed magnitude."""
    axes.axhspan(66, 70, color=_BAND, alpha=0.3, lw=0)
    for k, (report, color, marker) in enumerate(zip(reports, _COLORS, _MARKERS, strict=False)):
        rows = report["by_magnitude"]
        x = [0.5 * (row["low"] + row["high"]) + 0.08 * (k - 1) for row in rows]
        y = [100 * row["coverage_68"]["value"] for row in rows]
        error = [100 * row["coverage_68"]["error"] for row in rows]
        axes.errorbar(x, y, error, fmt=f"{marker}-", color=color, ms=3, lw=0.9)
    low, high = axes.get_ylim()
    axes.set(ylabel="held by 68% intervals [%]", ylim=(min(low, 58), max(high, 78)))
