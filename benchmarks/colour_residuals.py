"""Where the colours of galaxies of known redshift differ from those that the model expects.

    astromosaic simulate --packed --sample survey --seed 301 --n-train 30000 --output colours.h5
    python benchmarks/colour_residuals.py colours.h5 --photoz sdss.ecsv dc2.hdf5

gives the model the true redshift and all bands but one, and prints how much fainter that band is
than its median prediction, in magnitudes, the median over galaxies in bins of redshift. A zero
point that is off stays in its band; wrong spectra move from band to band with the redshift. Beside
each galaxy stands the mock nearest to it in redshift and magnitude, with the same errors: what is
seen in mocks as well is the model's, not the sky's.
"""

import argparse
from dataclasses import replace

import numpy as np
from colours import magnitudes
from scipy.spatial import cKDTree

from astromosaic import load_model
from astromosaic.catalog import read_table
from astromosaic.checks import without_band
from astromosaic.evaluation.photoz import TRUTH_COLUMNS
from astromosaic.filters import filter_shapes
from astromosaic.galaxies import MEASURED, Measurement
from astromosaic.io import read_catalog
from astromosaic.labels import read_truth
from astromosaic.properties import PROPERTIES
from astromosaic.simulation.packed import load_packed

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
FEWEST = 30
# Noisier fluxes than this, in terms of their errors, say little.
_SIGNAL_TO_NOISE = 5.0
# How near in redshift and magnitude is near.
_NEAR = (0.02, 0.1)
# In terms of that, mocks beyond this are not like a galaxy.
_FARTHEST = 3.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mocks", help="packed mocks")
    parser.add_argument("--photoz", nargs="+", required=True, help="tables with true redshifts")
    parser.add_argument("--limit", type=int, default=4000, help="rows of a table (default: 4000)")
    parser.add_argument("--weights")
    parser.add_argument("--seed", type=int, default=0, help="of the noise of mocks (default: 0)")
    args = parser.parse_args()
    model, (mocks, _) = load_model(args.weights), load_packed(args.mocks)
    for path in args.photoz:
        table = read_catalog(path)[: args.limit]
        truth = next(name for name in TRUTH_COLUMNS if name in table.colnames)
        galaxies, _ = read_table(table, {truth: None})
        z = PROPERTIES["redshift"].to_physical(read_truth(table, "redshift", truth))
        rows = np.isfinite(z) & (galaxies.photometry.state[:, reference(galaxies)] == MEASURED)
        galaxies, z = galaxies[rows], z[rows]
        likes, z_likes = like(galaxies, z, mocks, np.random.default_rng(args.seed))
        samples = {
            "table": (z, residuals(model, galaxies, z)),
            "mocks": (z_likes, residuals(model, likes, z_likes)),
        }
        print(f"\n{path}: measured minus predicted magnitude\n{', '.join(galaxies.filters)}")
        for low, high in zip(EDGES, EDGES[1:], strict=False):
            for name, (redshift, fainter) in samples.items():
                rows = (redshift >= low) & (redshift < high)
                if rows.sum() >= FEWEST:
                    cells = "".join(f"{x:9.3f}" for x in np.nanmedian(fainter[rows], axis=0))
                    print(f"{low:4.2f} to {high:4.2f}  {name}{rows.sum():6d}{cells}", flush=True)


def reference(galaxies):
    """The column of the band nearest to i."""
    return np.argmin(np.abs(filter_shapes(galaxies.filters)[:, 0] - np.log(0.76)))


def like(galaxies, z, mocks, rng):
    """For each galaxy the mock nearest to it, with its errors, if one is near; and redshifts."""
    flux = mocks["flux"][:, [mocks["filters"].index(name) for name in galaxies.filters]]
    photometry, band = galaxies.photometry, reference(galaxies)
    places = [
        np.column_stack([redshift, magnitudes(brightness[:, band])]) / _NEAR
        for redshift, brightness in ((mocks["redshift"], flux), (z, photometry.value))
    ]
    distance, nearest = cKDTree(places[0]).query(places[1])
    error = np.nan_to_num(photometry.error)
    value = flux[nearest] + error * rng.normal(size=error.shape)
    likes = replace(galaxies, photometry=replace(photometry, value=value))
    near = distance < _FARTHEST
    return likes[near], mocks["redshift"][nearest][near]


def residuals(model, galaxies, z):
    """Measured minus predicted magnitude of each band, hidden in turn; (n, filters)."""
    known = PROPERTIES["redshift"].to_internal(z)
    known = Measurement(known, np.full(len(z), np.nan), np.full(len(z), MEASURED))
    galaxies = replace(galaxies, scalars={"redshift": known})
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
