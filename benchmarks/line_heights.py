"""How high emission lines are in predicted spectra, beside the true ones.

    python benchmarks/line_heights.py --data paper_test.h5

asks for spectra of simulated galaxies, noiseless, and prints for each line the mean height above
the continuum, in ln of the flux in a pixel of R = 400, predicted and true, the correlation of both
over galaxies, and how often the true flux in the pixel of the line is within the 68% interval.
"""

import argparse

import numpy as np

from astromosaic import load_model
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.properties import SPECTRUM_WAVELENGTH

LINES = {"H alpha": 0.6565, "[O III] 5008": 0.5008, "[O II] 3728": 0.3728, "H beta": 0.4863}
GIVEN = (("LSST", "redshift"), ("LSST", "SPHEREx", "redshift"), ("redshift", "stellar_mass"))
# Pixels of the continuum on either side, counted from that of the line.
NEAR, FAR = 4, 11


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="file of mocks (default: galaxies of the package)")
    parser.add_argument("--limit", type=int, default=800, help="galaxies (default: 800)")
    parser.add_argument("--weights")
    args = parser.parse_args()
    model = load_model(args.weights)
    truths = load_truths(args.data or bundled_subset(), "test", args.limit)
    true = logarithm(truths["spectrum"])
    print(f"{len(true)} galaxies")
    for given in GIVEN:
        galaxies = give(truths, given, "noiseless")
        posterior = model.posterior_of(galaxies, ["spectrum"])["spectrum"]
        predicted = logarithm(posterior.median().value)
        low, high = (logarithm(end.value) for end in posterior.interval(0.68))
        print(f"{' + '.join(given):36s}{'predicted':>10s}{'true':>8s}{'corr.':>8s}{'in 68%':>8s}")
        for line, wavelength in LINES.items():
            rows, pixel = place(wavelength * np.exp(truths["redshift"]))
            ours, theirs = (heights(x[rows], pixel) for x in (predicted, true))
            at = rows, highest(true[rows], pixel)
            inside = np.mean((true[at] >= low[at]) & (true[at] <= high[at]))
            correlation = np.corrcoef(ours, theirs)[0, 1]
            print(f"  {line:34s}{ours.mean():10.2f}{theirs.mean():8.2f}"
                  f"{correlation:8.2f}{100 * inside:7.0f}%")  # fmt: skip


def logarithm(flux):
    return np.log(np.maximum(flux, 1e-3))


def place(wavelength):
    """Galaxies of which a line is on the grid, and the pixel in which it is."""
    x = np.log(SPECTRUM_WAVELENGTH)
    pixel = np.rint((np.log(wavelength) - x[0]) / (x[1] - x[0])).astype(int)
    rows = np.flatnonzero((pixel > FAR) & (pixel < len(x) - FAR - 1))
    return rows, pixel[rows]


def highest(spectra, pixel):
    """The highest pixel of the line and its neighbours; (n,)."""
    near = pixel[:, None] + np.arange(-1, 2)
    best = np.argmax(np.take_along_axis(spectra, near, axis=1), axis=1)
    return pixel - 1 + best


def heights(spectra, pixel):
    """The line's highest pixel above the median of the continuum on both sides; (n,)."""
    side = np.arange(NEAR, FAR + 1)
    continuum = pixel[:, None] + np.concatenate([-side, side])
    level = np.median(np.take_along_axis(spectra, continuum, axis=1), axis=1)
    return spectra[np.arange(len(spectra)), highest(spectra, pixel)] - level


if __name__ == "__main__":
    main()
