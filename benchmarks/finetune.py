"""Fine-tuning against peers trained on the same labels.

    pip install quantile-forest flexcode pywavelets xgboost scikit-learn
    pip download --no-deps pz-rail-base==2.0.11 && unzip pz_rail_base-2.0.11-*.whl -d rail-base
    python benchmarks/finetune.py --train rail-base/rail/examples_data/testdata/\\
test_dc2_training_9816.hdf5 --test rail-base/rail/examples_data/testdata/\\
test_dc2_validation_9816.hdf5 --labels redshift --sizes 0 100 1000 10225

fine-tunes on so many galaxies of the training file, drawn at random (0: the model as it is), and
measures the redshifts of the test file. With one table and ``--folds 5`` in place of the two files,

    python benchmarks/finetune.py --train vvds.ecsv --labels z_spec --folds 5

each fifth of it is predicted by what was trained on the rest. Peers that are not installed are left
out. All methods have the same galaxies, and the settings are the same for all data.

FlexZBoost (Izbicki & Lee 2017, Dalmasso et al. 2020) is FlexCode with XGBoost and the settings of
RAIL: magnitude and colours, 35 cosines, bump threshold and sharpening chosen on a quarter of the
galaxies, then trained on all. The quantile forest (Meinshausen 2006) has magnitudes, colours and
errors. Errors are by bootstrap over the test galaxies; the scatter of training is not in them.
"""

import argparse
import json
import time

import numpy as np

from astromosaic import load_model
from astromosaic.catalog import read_table
from astromosaic.evaluation import metrics
from astromosaic.galaxies import MEASURED
from astromosaic.io import read_catalog

GRID = metrics.REDSHIFT_GRID
LEVELS = (0.5, 0.68, 0.95)
#: Magnitudes that RAIL puts in place of what is not detected: one sigma of ten years of LSST.
LIMITS = {"lsst_u": 27.79, "lsst_g": 29.04, "lsst_r": 29.06, "lsst_i": 28.62, "lsst_z": 27.98,
          "lsst_y": 27.05}  # fmt: skip
FIGURES = {
    "nmad": ("NMAD", "{:.4f} ± {:.4f}", 1.0), "bias": ("bias", "{:+.4f} ± {:.4f}", 1.0),
    "outlier_fraction": ("outliers %", "{:.2f} ± {:.2f}", 100.0),
    "cde_loss": ("CDE loss", "{:.2f} ± {:.2f}", 1.0), "pit_ks": ("PIT-KS", "{:.3f} ± {:.3f}", 1.0),
    **{f"within_{level}": (f"in {level:.0%}", "{:.1f} ± {:.1f}", 100.0) for level in LEVELS},
}  # fmt: skip


class Mosaic:
    """This package: fine-tuned, or as it is if there is nothing to learn from."""

    def __init__(self, labels, weights, seed):
        self.labels, self.model, self.seed, self.card = labels, load_model(weights), seed, None

    def fit(self, table):
        self.tuned = self.model
        if len(table):
            self.tuned = self.model.fine_tune(table, self.labels, seed=self.seed, progress=True)
            self.card = self.tuned.card["fine_tuning"]

    def predict(self, table, truth):
        columns = {self.labels: None}
        posterior = self.tuned.posterior(table, "redshift", columns)
        return posterior.median(), posterior.pdf(GRID), posterior.cdf(truth)


class Forest:
    """A quantile regression forest; its density is flat between 50 quantiles."""

    quantiles = np.concatenate([[0.001], np.arange(0.02, 0.99, 0.02), [0.999]])

    def __init__(self, labels, seed):
        from quantile_forest import RandomForestQuantileRegressor

        self.labels = labels
        self.forest = RandomForestQuantileRegressor(200, min_samples_leaf=5, random_state=seed)

    def fit(self, table):
        self.forest.fit(self._features(table), np.asarray(table[self.labels]))

    def predict(self, table, truth):
        x = self.forest.predict(self._features(table), quantiles=list(self.quantiles))
        # Leaves hold single redshifts: quantiles that tie are parted by a little.
        x = np.maximum.accumulate(x + 1e-4 * np.arange(x.shape[1]), axis=1)
        step = GRID[1] - GRID[0]
        edges = np.append(GRID - step / 2, GRID[-1] + step / 2)
        cdf = [np.interp(edges, row, self.quantiles, left=0.0, right=1.0) for row in x]
        pit = [np.interp(z, row, self.quantiles, left=0.0, right=1.0)
               for z, row in zip(truth, x, strict=True)]  # fmt: skip
        middle = np.flatnonzero(np.isclose(self.quantiles, 0.5))[0]
        return x[:, middle], np.diff(cdf, axis=1) / step, np.array(pit)

    def _features(self, table):
        magnitude, error, _ = magnitudes(table, self.labels)
        return np.hstack([magnitude, -np.diff(magnitude, axis=1), error])


class FlexZBoost:
    """FlexCode with XGBoost, with the settings of RAIL's FlexZBoost."""

    def __init__(self, labels, seed):
        import flexcode
        from flexcode.regression_models import XGBoost

        self.labels, self.seed = labels, seed
        self.make = lambda top: flexcode.FlexCodeModel(
            XGBoost, max_basis=35, basis_system="cosine", z_min=0.0, z_max=top,
            regression_params={"max_depth": 8, "objective": "reg:squarederror"},
        )  # fmt: skip

    def fit(self, table):
        from flexcode.loss_functions import cde_loss

        x, z = self._features(table), np.asarray(table[self.labels], float)
        order = np.random.default_rng(self.seed).permutation(len(z))
        train, tune = np.split(order, [round(0.75 * len(z))])
        self.model = model = self.make(max(3.0, 1.05 * z.max()))
        model.fit(x[train], z[train])
        model.tune(x[tune], z[tune])
        losses = {}
        for bump in np.linspace(0.02, 0.35, 20):
            model.bump_threshold = bump
            losses[bump] = cde_loss(*model.predict(x[tune], 301), z[tune])
        model.bump_threshold = min(losses, key=losses.get)
        losses = {}
        for sharp in np.linspace(0.7, 2.1, 15):
            model.sharpen_alpha = sharp
            losses[sharp] = cde_loss(*model.predict(x[tune], 301), z[tune])
        model.sharpen_alpha = min(losses, key=losses.get)
        model.fit(x, z)

    def predict(self, table, truth):
        density, grid = self.model.predict(self._features(table), 301)
        grid = grid.ravel()
        step = np.diff(grid) * 0.5 * (density[:, 1:] + density[:, :-1])
        cdf = np.hstack([np.zeros((len(density), 1)), np.cumsum(step, axis=1)])
        cdf /= cdf[:, -1:]
        median = [np.interp(0.5, row, grid) for row in cdf]
        pit = [np.interp(z, grid, row) for z, row in zip(truth, cdf, strict=True)]
        on_grid = [np.interp(GRID, grid, row, right=0.0) for row in density]
        return np.array(median), np.array(on_grid), np.array(pit)

    def _features(self, table):
        magnitude, _, filters = magnitudes(table, self.labels)
        i = min(3, len(filters) - 1)
        return np.hstack([magnitude[:, [i]], -np.diff(magnitude, axis=1)])


def magnitudes(table, labels):
    """AB magnitudes and errors (n, filters) with the limit where nothing is detected."""
    galaxies, _ = read_table(table, {labels: None})
    photometry = galaxies.photometry
    seen = (photometry.state == MEASURED) & (photometry.value > 0)
    flux = np.where(seen, photometry.value, 1.0).astype(float)
    limits = [LIMITS.get(name, 27.0) for name in galaxies.filters]
    magnitude = np.where(seen, 31.4 - 2.5 * np.log10(flux), limits)
    error = np.where(seen, 2.5 / np.log(10) * photometry.error / flux, 1.0)
    return magnitude, error, galaxies.filters


def figures(median, density, pit, truth, seed):
    """Figures of merit with their bootstrap errors."""
    deviation = metrics.redshift_deviation(median, truth)
    terms = metrics.cde_loss_terms(density, truth)

    def statistic(deviation, terms, pit):
        return {
            **metrics.point_metrics(deviation),
            "cde_loss": np.mean(terms),
            "pit_ks": metrics.pit_ks(pit),
            **{f"within_{level}": metrics.coverage(pit, level) for level in LEVELS},
        }

    values = statistic(deviation, terms, pit)
    errors = metrics.bootstrap(statistic, deviation, terms, pit, seed=seed)
    return {k: {"value": float(values[k]), "error": errors[k]} for k in FIGURES}


def run(method, train, pairs, truth, seed):
    """Train and predict for each pair of training and test rows, pooled; figures and seconds."""
    parts, rows, seconds = [], [], 0.0
    for table, test, index in pairs:
        began = time.monotonic()
        method.fit(table)
        seconds += time.monotonic() - began
        parts.append(method.predict(test, truth[index]))
        rows.append(index)
    order = np.argsort(np.concatenate(rows))
    median, density, pit = (np.concatenate(x)[order] for x in zip(*parts, strict=True))
    return figures(median, density, pit, truth, seed), seconds / len(pairs)


def line(name, size, found, seconds):
    cells = [text.format(scale * found[k]["value"], scale * found[k]["error"])
             for k, (_, text, scale) in FIGURES.items()]  # fmt: skip
    return f"{name:14s}{size:>8d}" + "".join(f"{cell:>18s}" for cell in cells) + f"{seconds:9.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", required=True, help="table of labelled galaxies")
    parser.add_argument("--test", help="table of labelled galaxies that are predicted")
    parser.add_argument("--folds", type=int, help="predict each part of --train by the rest")
    parser.add_argument("--labels", default="z_spec", help="column of true redshifts")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 100, 1000, 10225])
    parser.add_argument("--weights", help="other weights than those of the package")
    parser.add_argument("--limit", type=int, help="only so many galaxies of the test table")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the figures here")
    args = parser.parse_args()
    if bool(args.test) == bool(args.folds):
        parser.error("give either --test or --folds")

    table = read_catalog(args.train)
    order = np.random.default_rng(args.seed).permutation(len(table))
    if args.folds:
        folds = [np.sort(part) for part in np.array_split(order, args.folds)]
        truth = np.asarray(table[args.labels], float)
        inside = [(table[np.setdiff1d(order, f)], table[f], f) for f in folds]
        runs = [(0, [(table[:0], table, np.arange(len(table)))]),
                (len(inside[0][0]), inside)]  # fmt: skip
    else:
        test = read_catalog(args.test)[: args.limit]
        truth, every = np.asarray(test[args.labels], float), np.arange(len(test))
        runs = [(n, [(table[np.sort(order[:n])], test, every)]) for n in args.sizes]
    mosaic = Mosaic(args.labels, args.weights, args.seed)
    methods = {"astromosaic": mosaic}
    for name, peer in (("FlexZBoost", FlexZBoost), ("forest", Forest)):
        try:
            if not args.no_peers:
                methods[name] = peer(args.labels, args.seed)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    where = f"{args.folds} folds" if args.folds else args.test.rsplit("/", 1)[-1]
    print(f"Redshifts of {len(truth)} galaxies, {args.train.rsplit('/', 1)[-1]}, {where}")
    print(f"weights {mosaic.model.checksum[:12]}; seed {args.seed}; errors by bootstrap\n")
    heads = "".join(f"{head:>18s}" for head, _, _ in FIGURES.values())
    print(f"{'':14s}{'labels':>8s}{heads}{'s':>9s}", flush=True)
    report, moved = [], []
    for size, pairs in runs:
        for name, method in methods.items():
            if size == 0 and name != "astromosaic":
                continue
            found, seconds = run(method, table, pairs, truth, args.seed)
            print(line(name, size, found, seconds), flush=True)
            report.append({"method": name, "labels": size, "seconds": seconds, **found})
        if size:
            report[-1 if len(methods) == 1 else -len(methods)]["fine_tuning"] = mosaic.card
            moved.append((size, mosaic.card["others"]))
    print(
        "\nHow far other answers moved on held-out galaxies (of the last fold): mean divergence in"
    )
    print("in nats, and the median shift in units of the standard deviation")
    for size, others in moved:
        cells = [f"{k} {v['divergence']:.3f} {v['shift']:.2f}" for k, v in others.items()]
        print(f"{size:>8d}  " + ", ".join(cells))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
