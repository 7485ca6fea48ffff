"""Where the colours of galaxies of known redshift differ from those that the model expects.

    python benchmarks/colour_residuals.py --photoz sdss.ecsv dc2.hdf5

gives the model the true redshift and all bands but one, and prints how much fainter that band is
than its median prediction, in magnitudes, the median over galaxies in bins of redshift. A zero
point that is off stays in its band; wrong spectra move from band to band with the redshift.
"""

import argparse
from dataclasses import replace

import numpy as np

from astromosaic import load_model
from astromosaic.catalog import read_table
from astromosaic.checks import without_band
from astromosaic.evaluation.photoz import TRUTH_COLUMNS
from astromosaic.galaxies import MEASURED, Measurement
from astromosaic.io import read_catalog
from astromosaic.properties import PROPERTIES

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
FEWEST = 30
# Noisier fluxes than this, in terms of their errors, say little.
_SIGNAL_TO_NOISE = 5.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photoz", nargs="+", required=True, help="tables with true redshifts")
    parser.add_argument("--limit", type=int, default=4000, help="rows of a table (default: 4000)")
    parser.add_argument("--weights")
    args = parser.parse_args()
    model = load_model(args.weights)
    for path in args.photoz:
        table = read_catalog(path)[: args.limit]
        truth = next(name for name in TRUTH_COLUMNS if name in table.colnames)
        galaxies, _ = read_table(table, {truth: None})
        z = np.asarray(table[truth], float)
        known = PROPERTIES["redshift"].to_internal(z)
        known = Measurement(known, np.full(len(z), np.nan), np.full(len(z), MEASURED))
        fainter = residuals(model, replace(galaxies, scalars={"redshift": known}))
        print(f"\n{path}: measured minus predicted magnitude")
        print("redshift      galaxies" + "".join(f"{name:>22s}" for name in galaxies.filters))
        for low, high in zip(EDGES, EDGES[1:], strict=False):
            rows = (z >= low) & (z < high)
            if rows.sum() >= FEWEST:
                cells = "".join(f"{x:22.3f}" for x in np.nanmedian(fainter[rows], axis=0))
                print(f"{low:4.2f} to {high:4.2f}{rows.sum():10d}{cells}", flush=True)


def residuals(model, galaxies):
    """Measured minus predicted magnitude of each band, hidden in turn; (n, filters)."""
    photometry = galaxies.photometry
    fainter = np.full(photometry.value.shape, np.nan)
    for k, name in enumerate(galaxies.filters):
        expected = model.posterior_of(without_band(galaxies, k), [name])[name].median().value
        value, error = photometry.value[:, k], photometry.error[:, k]
        good = (photometry.state[:, k] == MEASURED) & (value > _SIGNAL_TO_NOISE * error)
        good &= expected > 0
        fainter[good, k] = -2.5 * np.log10(value[good] / expected[good])
    return fainter


if __name__ == "__main__":
    main()
