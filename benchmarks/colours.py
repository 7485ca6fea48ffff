"""Colours of galaxies of known redshift beside those of simulated ones of the same brightness.

    astromosaic simulate --packed --sample survey --seed 301 --n-train 30000 --output colours.h5
    python benchmarks/colours.py colours.h5 --photoz vvds.ecsv dc2.hdf5

prints medians and, in brackets, the 16th and 84th percentiles of the colours of adjacent bands in
bins of redshift. The mocks are noiseless, and weighted so that their magnitudes in the band nearest
to i are distributed as those of the table.
"""

import argparse

import numpy as np
from ingredients import read

from astromosaic.filters import filter_shapes
from astromosaic.galaxies import MEASURED
from astromosaic.simulation.packed import load_packed

EDGES = (0.03, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.85, 1.1, 1.5)
FEWEST = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mocks", help="packed mocks")
    parser.add_argument("--photoz", nargs="+", required=True, help="tables with true redshifts")
    parser.add_argument("--limit", type=int, default=5000, help="rows of a table (default: 5000)")
    args = parser.parse_args()
    mocks, provenance = load_packed(args.mocks)
    print("mocks with", ", ".join(provenance["ingredients"]) or "no ingredients")
    for path in args.photoz:
        galaxies, z = read(path, args.limit)
        measured = (galaxies.photometry.state == MEASURED) & (galaxies.photometry.value > 0)
        rows = measured.all(axis=1)
        seen, z = magnitudes(galaxies.photometry.value[rows]), z[rows]
        columns = [mocks["filters"].index(name) for name in galaxies.filters]
        simulated = magnitudes(mocks["flux"][:, columns])
        band = np.argmin(np.abs(filter_shapes(galaxies.filters)[:, 0] - np.log(0.76)))
        print(f"\n{path}, as bright in {galaxies.filters[band]}\n{', '.join(galaxies.filters)}")
        for low, high in zip(EDGES, EDGES[1:], strict=False):
            real = seen[(z >= low) & (z < high)]
            mock = simulated[(mocks["redshift"] >= low) & (mocks["redshift"] < high)]
            if len(real) < FEWEST:
                continue
            weight = like(mock[:, band], real[:, band])
            print(f"{low:4.2f} to {high:4.2f}  table{len(real):6d}  {line(real)}")
            print(f"{'':12s}  mocks{(weight > 0).sum():6d}  {line(mock, weight)}", flush=True)


def magnitudes(flux):
    return 31.4 - 2.5 * np.log10(np.maximum(flux, 1e-3))


def like(magnitude, wanted):
    """Weights with which magnitudes are distributed as others are; (n,)."""
    edges = np.linspace(*np.percentile(wanted, [1, 99]), 9)
    ratio = np.histogram(wanted, edges)[0] / np.maximum(np.histogram(magnitude, edges)[0], 1)
    ratio = np.concatenate([[0.0], ratio, [0.0]])
    return ratio[np.digitize(magnitude, edges)]


def line(magnitude, weight=None):
    """Percentiles of the colours of adjacent bands."""
    cells = []
    for colour in -np.diff(magnitude, axis=1).T:
        levels = [0.5, 0.16, 0.84]
        if weight is None:
            middle, low, high = np.quantile(colour, levels)
        else:
            middle, low, high = np.quantile(colour, levels, weights=weight, method="inverted_cdf")
        cells.append(f"{middle:5.2f} [{low:5.2f},{high:5.2f}]")
    return "  ".join(cells)


if __name__ == "__main__":
    main()
