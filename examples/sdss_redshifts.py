"""Redshifts and stellar masses of real SDSS galaxies, and how far the redshifts are off.

The table comes with the package: galaxies of the SDSS main galaxy sample with ugriz magnitudes and
spectroscopic redshifts. The spectroscopic redshifts are not shown to the model.

    python examples/sdss_redshifts.py [--plot FIGURE]
"""

import argparse
from importlib.resources import files

import numpy as np
from astropy.table import Table

import astromosaic
from astromosaic.evaluation.metrics import point_metrics, redshift_deviation


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--plot", metavar="FIGURE", help="also draw the redshifts, e.g. to sdss.png"
    )
    args = parser.parse_args()

    table = Table.read(files("astromosaic") / "data" / "sdss_mgs.ecsv")
    # Columns that nobody recognises, such as z_spec here, are not used.
    result = astromosaic.predict(table, query=["redshift", "stellar_mass"])
    result["z_spec"] = table["z_spec"]
    for column in result.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".3g"
    result.pprint(max_lines=12, max_width=-1)

    deviation = redshift_deviation(result["redshift"], table["z_spec"])
    figures = point_metrics(deviation)
    print(f"\nRedshifts of {len(table)} SDSS galaxies, d = (z_phot - z_spec) / (1 + z_spec):")
    print(f"  scatter (NMAD)        {figures['nmad']:.4f}")
    print(f"  bias (median d)       {figures['bias']:+.4f}")
    print(f"  outliers (|d| > 0.15) {100 * figures['outlier_fraction']:.2f} %")
    if args.plot:
        plot(result, args.plot)


def plot(result, path):
    """Predicted against spectroscopic redshifts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    z = np.asarray(result["redshift"])
    errors = np.abs([z - result["redshift_lo"], result["redshift_hi"] - z])
    fig, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
    ax.errorbar(
        result["z_spec"], z, errors, fmt="o", ms=3, mec="none", elinewidth=0.5, alpha=0.5, zorder=2
    )
    limit = 1.1 * max(np.max(result["z_spec"]), np.max(z))
    ax.plot([0, limit], [0, limit], "k-", lw=0.8, zorder=1)
    ax.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    ax.set(xlabel="spectroscopic redshift", ylabel="predicted redshift (median, 68% interval)")
    fig.savefig(path, dpi=150)
    print(f"\ndrawn to {path}")


if __name__ == "__main__":
    main()
