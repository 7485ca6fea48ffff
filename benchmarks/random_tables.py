"""Thousands of random tables through the reader: is every promise kept, and how did it go.

    python benchmarks/random_tables.py --examples 10000

Every table is read and inspected, and one of its rows is read alone; every ``--predict``-th that
can be read goes through the model as well, and for every other table a right one is given one
fault. What must hold is in `astromosaic.tests.random_tables`. Prints how many tables were read and
how many were refused, by the kind of error; and of what broke a promise the smallest of each kind.
"""

import argparse
import os
import time
import traceback
import warnings
from collections import Counter

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tqdm import tqdm  # noqa: E402

import astromosaic  # noqa: E402
from astromosaic.tests.random_tables import (  # noqa: E402
    check,
    check_fault,
    check_prediction,
    examples,
    faulty,
)


def described(error):
    """A short name of a failure, and how it came about in this package's code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "astromosaic" in f.filename and "random_tables" not in f.filename]
    last = (ours or frames)[-1]
    kind = f"{type(error).__name__} by {os.path.basename(last.filename)}, {last.name}"
    text = traceback.format_list([*ours[-3:], frames[-1]]) + traceback.format_exception_only(error)
    return kind, "".join(text)[-1500:]


def run(n, number, strategy, function, what):
    """Call a function with n draws; outcomes, and the first failure of each kind."""
    outcomes, failures = Counter(), {}

    with tqdm(total=n, desc=what, mininterval=5) as bar:

        @seed(number)
        @settings(
            max_examples=n, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy, st.integers(0, 2**32 - 1))
        def each(example, k):
            try:
                outcomes.update(function(example, np.random.default_rng(k)))
            except Exception as error:
                kind, text = described(error)
                outcomes[f"BROKEN: {kind}"] += 1
                size = len(repr(example))
                failures[kind] = min(failures.get(kind, (size + 1,)), (size, repr(example), text))
            bar.update()

        each()
    return outcomes, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=10_000, help="number of tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--predict", type=int, default=20, help="every so-manyth by the model")
    args = parser.parse_args()

    # Of tables that are made; while they are read, warnings are errors.
    warnings.simplefilter("ignore")
    model, made = astromosaic.load_model(), [0]

    def read(example, rng):
        made[0] += 1
        found = [check(example, rng)]
        if found == ["read"] and made[0] % args.predict == 0:
            found.append(check_prediction(example, model, rng))
        return found

    def broken(example, rng):
        table, choice, fault = example
        return [check_fault(table, choice, fault)]

    start = time.perf_counter()
    parts = [("tables", args.examples, examples(), read),
             ("one fault", args.examples // 5, faulty(), broken)]  # fmt: skip
    broke = 0
    for what, n, strategy, function in parts:
        outcomes, failures = run(n, args.seed, strategy, function, what)
        print(f"\n{what}: {n:,} examples, seed {args.seed}")
        for outcome, times in outcomes.most_common():
            print(f"  {times:7,}  {outcome}")
        for kind, (_, example, text) in failures.items():
            print(f"\n{kind}\n{text}\n{example}")
        broke += sum(times for outcome, times in outcomes.items() if outcome.startswith("BROKEN"))
    print(f"\n{broke} examples broke a promise; {time.perf_counter() - start:.0f} s")
    return broke > 0


if __name__ == "__main__":
    raise SystemExit(main())
