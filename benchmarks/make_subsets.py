"""Make the simulated galaxies that come with the package, in ``astromosaic/data``.

    astromosaic simulate --output paper_test.h5 --seed 11 --n-train 12000 --n-test 5000
    astromosaic simulate --output survey_test.h5 --sample survey --seed 12 --n-train 20000 \\
        --n-test 10000
    python benchmarks/make_subsets.py paper_test.h5 survey_test.h5

``paper_subset.h5`` are the first 2,000 of the one test set, and the first 1,500 of its training set
for the baselines; ``survey_subset.h5`` the broadband fluxes and redshifts of the first 3,000 of the
other test set, for tests. The model was trained on none of them.
"""

import argparse
from pathlib import Path

from astromosaic.simulation.mocks import compact

DATA = Path(__file__).resolve().parent.parent / "astromosaic" / "data"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paper")
    parser.add_argument("survey")
    args = parser.parse_args()
    compact(args.paper, DATA / "paper_subset.h5", n_train=1500, n_test=2000)
    compact(args.survey, DATA / "survey_subset.h5", 0, 3000, datasets=("flux", "redshift"))
