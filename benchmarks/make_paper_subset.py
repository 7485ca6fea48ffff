"""Make the simulated galaxies that come with the package, ``astromosaic/data/paper_subset.h5``.

    astromosaic simulate --output paper_test.h5 --seed 11 --n-train 12000 --n-test 5000
    python benchmarks/make_paper_subset.py paper_test.h5

They are the first 2,000 of the test set, and the first 1,500 of the training set for the baselines.
The model was trained on neither.
"""

import argparse

from astromosaic.simulation.mocks import compact

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mocks")
    parser.add_argument("--output", default="astromosaic/data/paper_subset.h5")
    args = parser.parse_args()
    compact(args.mocks, args.output, n_train=1500, n_test=2000)
