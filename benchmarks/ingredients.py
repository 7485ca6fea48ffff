"""What each ingredient of the mocks buys on galaxies that nobody here simulated.

    pip install quantile-forest
    python benchmarks/ingredients.py --photoz sdss.ecsv dc2.hdf5 vvds.ecsv --hsc hsc.hdf5

makes the same galaxies with each ingredient of `astromosaic.simulation.ingredients`, and with those
of the release one after the other, trains a quantile forest on their colours and magnitude,
observed with the errors of a real table, and measures its redshifts of that table. No label of the
table is learned from. A forest takes a minute where our model takes hours, and suffers from wrong
mocks in the same way: it tells the mocks apart, not the methods. ``--hsc FILE`` adds how far
redshifts in cells of i and g-z are from the mocks' (Kolmogorov-Smirnov distance, mean over cells),
of the HSC file of pz-rail-astro-tools.
"""

import argparse
import tempfile
from pathlib import Path

import h5py
import numpy as np
from quantile_forest import RandomForestQuantileRegressor

from astromosaic.catalog import read_table
from astromosaic.evaluation.metrics import bootstrap, point_metrics, redshift_deviation
from astromosaic.evaluation.photoz import TRUTH_COLUMNS
from astromosaic.filters import filter_shapes
from astromosaic.galaxies import MEASURED
from astromosaic.io import read_catalog
from astromosaic.labels import read_truth
from astromosaic.properties import PROPERTIES
from astromosaic.simulation.ingredients import INGREDIENTS, RELEASE
from astromosaic.simulation.packed import load_packed, simulate_packed
from astromosaic.simulation.sample import survey_weight

_FEWEST_BANDS = 4
# Scatter between bands beyond the stated errors.
_UNSTATED = 0.03
_TRAIN_ON = 15_000
_I_CELLS = np.arange(19.0, 24.0)
_G_Z_CELLS = (0.0, 0.8, 1.6, 2.4, 3.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photoz", nargs="+", required=True, help="tables with true redshifts")
    parser.add_argument("--hsc", help="hsc_ratios_and_specz.hdf5")
    parser.add_argument("--galaxies", type=int, default=20_000, help="mocks (default: 20000)")
    parser.add_argument("--limit", type=int, default=5000, help="rows of a table (default: 5000)")
    parser.add_argument("--seed", type=int, default=301)
    args = parser.parse_args()
    tables = [read(path, args.limit) for path in args.photoz]
    of_release = [RELEASE[:k] for k in range(2, len(RELEASE) + 1)]
    variants = [(), *((name,) for name in INGREDIENTS), *of_release]
    print(f"{args.galaxies} mocks, seed {args.seed}; release: {', '.join(RELEASE)}")
    for ingredients in variants:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mocks.h5"
            simulate_packed(
                path, args.galaxies, args.seed, "survey", progress=False, ingredients=ingredients
            )
            mocks, _ = load_packed(path)
        print(f"\n{' + '.join(ingredients) or 'none'}")
        for path, table in zip(args.photoz, tables, strict=True):
            deviation = redshifts(mocks, *table, args.seed)
            value = point_metrics(deviation)
            error = bootstrap(point_metrics, deviation, n=100, seed=args.seed)
            print(
                f"  {Path(path).name:38s}"
                + "".join(f"  {k} {value[k]:+.4f}±{error[k]:.4f}" for k in value),
                flush=True,
            )
        if args.hsc:
            print(
                f"  {Path(args.hsc).name:38s}  KS in cells {hsc(mocks, args.hsc):.3f}", flush=True
            )


def read(path, limit):
    """Galaxies of a table with bands enough, and their true redshifts."""
    table = read_catalog(path)[:limit]
    truth = next(name for name in TRUTH_COLUMNS if name in table.colnames)
    galaxies, _ = read_table(table, {truth: None})
    z = PROPERTIES["redshift"].to_physical(read_truth(table, "redshift", truth))
    enough = (galaxies.photometry.state == MEASURED).sum(axis=1) >= _FEWEST_BANDS
    enough &= np.isfinite(z)
    return galaxies[enough], z[enough]


def redshifts(mocks, galaxies, truth, seed):
    """Deviations of a forest's median redshifts; (n,)."""
    rng = np.random.default_rng(seed)
    columns = [mocks["filters"].index(name) for name in galaxies.filters]
    flux = mocks["flux"][:, columns]
    value = np.where(galaxies.photometry.state == MEASURED, galaxies.photometry.value, 0.0)
    error, sky = errors_like(flux, galaxies.photometry)
    flux = flux * np.exp(_UNSTATED * rng.normal(size=flux.shape))
    flux += error * rng.normal(size=flux.shape)
    # In the band nearest to i the mocks are as bright as the galaxies are.
    band = np.argmin(np.abs(filter_shapes(galaxies.filters)[:, 0] - np.log(0.76)))
    low, high = np.percentile(value[:, band], [0.5, 99.5])
    inside = np.flatnonzero((flux[:, band] > 0.9 * low) & (flux[:, band] < 2 * high))
    # A kept galaxy stands for many: as the sky has them.
    i = mocks["flux"][inside, mocks["filters"].index("lsst_i")]
    weight = survey_weight(31.4 - 2.5 * np.log10(np.maximum(i, 1.0)))
    rows = rng.choice(inside, min(_TRAIN_ON, 3 * len(inside)), p=weight / weight.sum())

    def features(flux):
        asinh = np.arcsinh(flux / (2 * sky))
        return np.column_stack([np.diff(asinh, axis=1), asinh[:, band]])

    forest = RandomForestQuantileRegressor(
        100, min_samples_leaf=4, max_features=0.6, random_state=seed
    )
    forest.fit(features(flux[rows]), np.log1p(mocks["redshift"][rows]))
    estimate = np.expm1(forest.predict(features(value), quantiles=[0.5])).ravel()
    return redshift_deviation(estimate, truth)


def errors_like(flux, photometry):
    """Errors of mocks, as those of the table are at that flux, and the least error of each band."""
    error = np.empty_like(flux)
    for k in range(flux.shape[1]):
        known = (photometry.state[:, k] == MEASURED) & (photometry.value[:, k] > 0)
        x, y = (np.log(a[known, k]) for a in (photometry.value, photometry.error))
        parts = np.array_split(np.argsort(x), 20)
        middle, typical = (np.array([np.median(a[p]) for p in parts]) for a in (x, y))
        error[:, k] = np.exp(np.interp(np.log(np.maximum(flux[:, k], 1e-3)), middle, typical))
    return error, error.min(axis=0)


def hsc(mocks, path):
    """Mean KS distance of redshifts in cells of i and g-z between mocks and the HSC sample."""
    with h5py.File(path) as file:
        i, g_z, z = file["data/block0_values"][:].T
    index = [mocks["filters"].index(f"hsc_{band}") for band in "giz"]
    mag = 31.4 - 2.5 * np.log10(np.maximum(mocks["flux"][:, index], 1e-3))
    weight = survey_weight(mag[:, 1])
    distance, size = [], []
    for low_i in _I_CELLS[:-1]:
        for low, high in zip(_G_Z_CELLS, _G_Z_CELLS[1:], strict=False):
            real = (i >= low_i) & (i < low_i + 1) & (g_z >= low) & (g_z < high)
            mock = (mag[:, 1] >= low_i) & (mag[:, 1] < low_i + 1)
            mock &= (mag[:, 0] - mag[:, 2] >= low) & (mag[:, 0] - mag[:, 2] < high)
            if min(real.sum(), mock.sum()) < 40:
                continue
            order = np.argsort(mocks["redshift"][mock])
            cumulative = np.cumsum(weight[mock][order]) / weight[mock].sum()
            at = np.interp(np.sort(z[real]), mocks["redshift"][mock][order], cumulative)
            distance.append(np.abs(at - np.linspace(0, 1, len(at))).max())
            size.append(real.sum())
    return np.average(distance, weights=size)


if __name__ == "__main__":
    main()
