"""Begin the learning of emission lines where gradients hardly do.

    python benchmarks/fit_lines.py in.safetensors --mocks paper.h5 --output out.safetensors

Where the likelihood has taken lines for rare outliers of the continuum it learns them very slowly.
This sets the feature at rest that counts least (`RedshiftedFeatures`) to the mean of what predicted
spectra lack, at known redshifts and from photometry of LSST and SPHEREx, and its strength in each
galaxy to the linear function of the state that fits best. Train on from there, with
``astromosaic train --only redshifted_features``.
"""

import argparse

import numpy as np
import torch

from astromosaic import load_model
from astromosaic.evaluation.inputs import give, load_mixture
from astromosaic.model.transformer import _PACE, _PARTS
from astromosaic.model.weights import save_weights
from astromosaic.properties import PROPERTIES, VECTORS
from astromosaic.tokens import tokenize

# Where residuals are below this, there is no line.
LEAST = 0.1
RIDGE = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--mocks", nargs="+", required=True, help="files of training mocks")
    parser.add_argument("--output", required=True)
    parser.add_argument("--galaxies", type=int, default=8000)
    args = parser.parse_args()
    model, truths = load_model(args.weights), load_mixture(args.mocks, args.galaxies)
    galaxies = give(truths, ("LSST", "SPHEREx", "redshift"), "noiseless")
    residual = residuals(model, galaxies, truths["spectrum"])
    states = model.embed_of(galaxies)
    part = model.network.redshifted_features
    profile, rest = mean_at_rest(residual, truths["redshift"], part)
    expected = profile[rest].reshape(*residual.shape, _PARTS).mean(axis=2)
    norm = np.sum(expected**2, axis=1)
    strength = np.sum(expected * residual, axis=1) / np.maximum(norm, 1e-6)
    x = np.concatenate([states, np.ones((len(states), 1))], axis=1)
    w = x * norm[:, None]
    coefficients = np.linalg.solve(w.T @ x + RIDGE * np.eye(x.shape[1]), w.T @ strength)
    fitted = x @ coefficients
    before, after = (np.sum((residual - s[:, None] * expected) ** 2) for s in (0 * fitted, fitted))
    print(f"{np.count_nonzero(profile)} parts of pixels, squared residuals less by "
          f"{100 * (1 - after / before):.1f}%")  # fmt: skip
    with torch.no_grad():
        k = int(part.features.abs().amax(dim=1).argmin())
        part.features[k] = torch.as_tensor(profile / _PACE)
        part.mix.weight[k] = torch.as_tensor(coefficients[:-1])
        part.mix.bias[k] = float(coefficients[-1])
    save_weights(args.output, model.network, model.card | {"lines_from": model.checksum})


def residuals(model, galaxies, spectrum):
    """True minus predicted means of spectra in the internal coordinate; (n, pixels)."""
    parts = []
    for start in range(0, len(galaxies), 512):
        rows = np.arange(start, min(start + 512, len(galaxies)))
        tokens = tokenize(galaxies[rows])
        with torch.no_grad():
            states = model.network(tokens, None, ("spectrum",))
            log_weight, mean, _ = model.network.vector_mixtures(states)["spectrum"]
            predicted = (log_weight.exp() * mean).sum(dim=2) + tokens.reference[:, None]
        parts.append(VECTORS["spectrum"].to_internal(spectrum[rows]) - predicted.numpy())
    return np.concatenate(parts)


def mean_at_rest(residual, redshift, part):
    """Mean residual in parts of pixels at rest where it stands out, and where each part of each
    observed pixel is at rest, (n, pixels * parts)."""
    shift = (redshift / PROPERTIES["redshift"].high * part.bins).astype(int)
    rest = np.arange(part.pixels) - shift[:, None] + part.bins - 1
    total, count = (
        np.bincount(rest.ravel(), weights=x.ravel(), minlength=part.features.shape[1])
        for x in (np.repeat(residual, _PARTS, axis=1), np.ones(rest.shape))
    )
    mean = total / np.maximum(count, 1)
    # A line fills the pixel in which it is: seen in all parts of pixels within one pixel of it, it
    # is highest in its own part.
    height = np.maximum.reduce([np.roll(mean, k) for k in range(1 - _PARTS, _PARTS)])
    stands_out = (np.abs(mean) > LEAST) & (mean == height) & (count > 100)
    return np.where(stands_out, _PARTS * mean, 0.0), rest


if __name__ == "__main__":
    main()
