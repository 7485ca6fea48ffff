"""How well the stacked posteriors of tomographic bins have the mean redshifts of the galaxies.

    python benchmarks/tomography.py --figure tomography.png

sorts simulated galaxies in LSST's six bands with survey noise, brighter than i = 25.3, into five
bins with equal numbers, and prints the mean redshift of each bin by its stack beside the true one.
They are the test set of a file; its training set, on which the bundled model was not trained
either, is the spectroscopic sample that calibrates the bins. Differences are of the same galaxies,
and their errors come from the scatter of the true redshift minus the posterior's mean, with the
error of the calibration where there is one.
"""

import argparse

import numpy as np

from astromosaic import load_model
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.tomography import Calibration, redshift_distribution, tomographic_bins

BINS, FAINTEST = 5, 25.3
#: Cells of redshift in which the true redshifts are counted in the figure.
CELLS = np.linspace(0.0, 3.0, 61)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="file of mocks (default: galaxies of the package)")
    parser.add_argument("--figure", help="image to write")
    parser.add_argument("--weights")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = load_model(args.weights)

    posterior, truth = sample(model, args.data, "test", args.seed)
    spectroscopic, known = sample(model, args.data, "train", args.seed + 1)
    bins, edges = tomographic_bins(posterior, BINS)
    calibration = Calibration(spectroscopic, known, tomographic_bins(spectroscopic, edges)[0])
    stack = redshift_distribution(posterior, bins, seed=args.seed)
    calibrated = redshift_distribution(posterior, bins, seed=args.seed, calibration=calibration)

    true = np.array([truth[bins == k].mean() for k in range(BINS)])
    error = Calibration(posterior, truth, bins).shift(BINS)[1]
    before, after = (n.mean()["z_mean"] - true for n in (stack, calibrated))
    after_error = np.hypot(error, calibrated.shift_error)

    print(
        f"{len(posterior)} simulated galaxies to i = {FAINTEST}, LSST with survey noise, and "
        f"{len(spectroscopic)} that calibrate"
    )
    print(f"weights {model.checksum[:12]}; seed {args.seed}\n")
    print(
        f"{'bin':>3s}{'medians':>14s}{'galaxies':>10s}{'true mean':>11s}{'stack':>19s}"
        f"{'stack - true':>20s}{'calibrated - true':>20s}"
    )
    for k, row in enumerate(stack.mean()):
        medians = f"{edges[k]:.3f}-{edges[k + 1]:.3f}"
        print(
            f"{k:3d}{medians:>14s}{row['galaxies']:10d}{true[k]:11.4f}"
            f"{text(row['z_mean'], row['z_mean_err']):>19s}{text(before[k], error[k], '+'):>20s}"
            f"{text(after[k], after_error[k], '+'):>20s}"
        )
    for name, difference, sigma in (
        ("stacks", before, error),
        ("calibrated stacks", after, after_error),
    ):
        print(f"chi^2 of the {name}: {np.sum((difference / sigma) ** 2):.1f} for {BINS} bins")
    if args.figure:
        draw(args.figure, stack, truth, bins, true, (before, error), (after, after_error))


def sample(model, data, group, seed):
    """Posteriors and true redshifts of the bright galaxies of a group."""
    truths = load_truths(data or bundled_subset(), group)
    bright = truths["mag_i"] < FAINTEST
    galaxies = give(truths, ("LSST",), "survey", seed)[bright]
    posterior = model.posterior_of(galaxies, ["redshift"])["redshift"]
    return posterior, np.expm1(truths["redshift"][bright])


def text(value, error, sign=""):
    return f"{value:{sign}.4f} ± {error:.4f}"


def draw(path, stack, truth, bins, true, before, after):
    """The distributions over true redshifts, and the differences of mean redshifts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (upper, lower) = plt.subplots(
        2, figsize=(7, 6), height_ratios=[2, 1], layout="constrained"
    )
    stack.plot(upper)
    colors = [line.get_color() for line in upper.get_lines()]
    for k, color in enumerate(colors):
        counts = np.histogram(truth[bins == k], CELLS, density=True)[0]
        upper.stairs(counts, CELLS, color=color, ls=":", lw=1.0)
    upper.plot([], [], color="k", label="stack of posteriors")
    upper.plot([], [], color="k", ls=":", lw=1.0, label="true redshifts")
    upper.legend(frameon=False)
    upper.set(xlim=(0, CELLS[-1]))

    for (difference, sigma), marker, by, label in (
        (before, "o", -0.01, "stack"),
        (after, "s", 0.01, "calibrated"),
    ):
        lower.errorbar(
            true + by, difference / (1 + true), sigma / (1 + true), fmt=marker, ms=4, lw=1.0,
            color="k", mfc="k" if marker == "o" else "w", label=label,
        )  # fmt: skip
    lower.axhline(0.0, color="0.5", lw=0.8)
    lower.legend(frameon=False)
    lower.set(
        xlim=(0, CELLS[-1]), xlabel="true mean redshift of the bin",
        ylabel=r"$\Delta \bar z\, /\, (1 + \bar z)$",
    )  # fmt: skip
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
