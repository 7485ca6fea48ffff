"""Fit the classifiers of stars and quasars to a model, and measure them on others.

    python benchmarks/fit_outsiders.py --weights in.safetensors --output out.safetensors \\
        --mocks survey.h5 --stars exosims-3.6.6-py3-none-any.whl --quasars qso_template_001.dat

writes the same weights with two classifiers, of photometry and of spectra, in their model card.
They learn from the mocks' group "train", every other star of the library of Pickles (a folder of
``pickles_uk_*.fits``, or the wheel of EXOSIMS, which has them) and quasars of a parametric family.
They are measured on the group "test", the other stars and a composite quasar (of the wheel of
synphot).
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from astromosaic import load_model
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.outsiders import (
    CAMERAS,
    WAVELENGTH,
    composite_quasars,
    judged_filters,
    observe_all,
    observe_spectra,
    pixel_matrix,
    quasars,
    read_stars,
    stars,
)
from astromosaic.filters import projection_matrix
from astromosaic.galaxies import MEASURED
from astromosaic.model.weights import check_path
from astromosaic.outsiders import (
    CARD_KEY,
    FEWEST_BANDS,
    KINDS,
    Outsiders,
    classify,
)
from astromosaic.training.noise import NoiseModel

# Numbers of stars observed to learn from, with cameras and with spectrographs; quasars are as many,
# galaxies as many as both together.
N_STARS, N_STAR_SPECTRA = 64_000, 40_000
# What is not detected cannot be told apart.
NOISE = NoiseModel(undetected=0.0)
# Units of the hidden layer.
HIDDEN = 32
STEPS, BATCH, LEARNING_RATE, DECAY = 8_000, 1_024, 3e-3, 0.03
# Fraction of good galaxies that the threshold lets be flagged; as many are by the check of bands.
FALSE_ALARMS = 0.005
# How often each galaxy that was not learned from is observed anew.
REPEATS = 4
BRIGHT, FAINT = 16.5, 25.3
EDGES = (17.0, 20.0, 22.0, 24.0, 25.3)
# Of the signal to noise in the median pixel of spectra.
SIGNAL_EDGES = (0.5, 2.0, 5.0, 20.0, 100.0)
# Redshifts at which the composite covers enough bands.
QUASAR_REDSHIFTS = np.arange(0.8, 3.01, 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="weights to read")
    parser.add_argument("--output", required=True, help="weights to write")
    parser.add_argument("--mocks", required=True, help="mocks of the sample 'survey'")
    parser.add_argument("--stars", required=True, help="folder or wheel with pickles_uk_*.fits")
    parser.add_argument("--quasars", help="composite spectrum to test with")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    check_path(args.output, args.overwrite)
    # The same sums in the same order, whatever the machine has.
    torch.set_num_threads(1)
    model, spectra = load_model(args.weights), read_stars(args.stars)

    rng = np.random.default_rng(args.seed)
    truths, held_out = bright_truths(args.mocks, "train"), bright_truths(args.mocks, "test")
    filters = [f for names in judged_filters(truths["filters"]).values() for f in names]
    # The thresholds are from galaxies that were not learned from: half of those held out.
    half = len(held_out["redshift"]) // 2
    calibration = {k: v if k == "filters" else v[:half] for k, v in held_out.items()}
    test = {k: v if k == "filters" else v[half:] for k, v in held_out.items()}

    fitted = fit(*training_states(model, truths, spectra[::2], filters, rng), args.seed)
    of_galaxies, *_ = judged(
        model, fitted, np.tile(fluxes(calibration, filters), (REPEATS, 1)), filters,
        np.tile(calibration["mag_i"], REPEATS), rng,
    )  # fmt: skip
    of_bands = with_threshold(fitted, of_galaxies)
    fitted = fit(*training_spectra(model, truths, spectra[::2], rng), args.seed)
    of_galaxies, *_ = judged_spectra(
        model, fitted, np.tile(calibration["spectrum"], (REPEATS, 1)), rng
    )
    of_spectra = with_threshold(fitted, of_galaxies)
    write(args.weights, args.output, {"broadband": of_bands, "spectrum": of_spectra})

    print(f"{len(spectra[::2])} stars to learn from, {len(spectra[1::2])} to test with")
    print(f"below P(galaxy) = {of_bands.threshold:g} flagged, in any camera; seed {args.seed}")
    head("i {:g}-{:g}", EDGES)
    report_kinds(model, of_bands, test, spectra[1::2], args.quasars, filters, rng)
    report_lsst(load_model(args.output), test, args.seed)
    print(f"\nspectra, below P(galaxy) = {of_spectra.threshold:g} flagged, by S/N of a pixel")
    head("{:g}-{:g}", SIGNAL_EDGES)
    report_spectra(model, of_spectra, test, spectra[1::2], rng)


def with_threshold(classifier, of_galaxies):
    """The classifier as it will be read, with the threshold from probabilities of galaxies."""
    threshold = float(np.quantile(of_galaxies[:, 0], FALSE_ALARMS))
    return Outsiders.of_entry(Outsiders(classifier.hidden, classifier.logits, threshold).to_entry())


def bright_truths(path, group):
    """Mocks that are neither too faint nor too bright."""
    truths = load_truths(path, group)
    rows = np.flatnonzero((truths["mag_i"] > BRIGHT) & (truths["mag_i"] < FAINT))
    return {k: v if k == "filters" else v[rows] for k, v in truths.items()}


def fluxes(truths, filters):
    return truths["flux"][:, [truths["filters"].index(f) for f in filters]]


def training_states(model, truths, spectra, filters, rng):
    """Latent states (n, d) and kinds (n,): of each magnitude as many galaxies as others."""
    brightness = truths["mag_i"]
    count, edges = np.histogram(brightness, np.arange(BRIGHT, FAINT + 0.5, 0.5))
    weight = 1 / np.sqrt(count[np.digitize(brightness, edges) - 1])

    def drawn(n):
        return rng.choice(len(brightness), n, p=weight / weight.sum())

    rows, half = drawn(2 * N_STARS), N_STARS // 2
    matrix = projection_matrix(filters, WAVELENGTH)
    # Each quasar is seen twice: to make it costs more than to observe it.
    of_quasars = np.tile(quasars(matrix, half, rng), (2, 1))
    sources = (
        (fluxes(truths, filters)[rows], brightness[rows]),
        (stars(spectra, matrix, N_STARS, rng), brightness[drawn(N_STARS)]),
        (of_quasars, brightness[drawn(2 * half)]),
    )
    states, kinds = [], []
    for kind, (flux, magnitude) in enumerate(sources):
        for galaxies, _, _ in observe_all(flux, filters, magnitude, NOISE, rng):
            measured = (galaxies.photometry.state == MEASURED).sum(axis=1)
            galaxies = galaxies[measured >= FEWEST_BANDS]
            states.append(model.embed_of(galaxies))
            kinds.append(np.full(len(galaxies), kind))
    return np.concatenate(states), np.concatenate(kinds)


def training_spectra(model, truths, spectra, rng):
    """The same of spectra."""
    rows = rng.integers(len(truths["redshift"]), size=2 * N_STAR_SPECTRA)
    sources = truths["spectrum"][rows], *spectra_of_others(spectra, N_STAR_SPECTRA, rng)
    states = [
        np.concatenate([model.embed_of(g) for g in observe_spectra(flux, NOISE, rng)])
        for flux in sources
    ]
    return np.concatenate(states), np.repeat(np.arange(len(states)), [len(s) for s in states])


def spectra_of_others(spectra, n, rng):
    """Spectra in nJy of stars and of quasars, i = 17.6 to 25.2 or so; two of (n, pixels)."""
    matrix = pixel_matrix()
    return tuple(
        flux / np.median(flux, axis=1, keepdims=True) * 10 ** rng.uniform(2.5, 5.5, (n, 1))
        for flux in (stars(spectra, matrix, n, rng), quasars(matrix, n, rng))
    )


def fit(states, kinds, seed):
    """An `Outsiders` without a threshold."""
    mean, scale = states.mean(axis=0), states.std(axis=0)
    x = torch.as_tensor((states - mean) / scale, dtype=torch.float32)
    y = torch.as_tensor(kinds)
    torch.manual_seed(seed)
    layers = torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, len(KINDS))
    parameters = [p for layer in layers for p in layer.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(x), (BATCH,))
        logits = layers[1](torch.tanh(layers[0](x[batch])))
        loss = torch.nn.functional.cross_entropy(logits, y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    (w, b), (v, c) = (
        (layer.weight.detach().numpy().T.astype(float), layer.bias.detach().numpy().astype(float))
        for layer in layers
    )
    # The classifier takes states as they are.
    hidden = np.vstack([w / scale[:, None], b - (mean / scale) @ w])
    return Outsiders(hidden, np.vstack([v, c]), 0.0)


def judged(model, classifier, flux, filters, magnitude, rng):
    """Probabilities, flags, magnitudes and cameras of those with enough bands."""
    model.card[CARD_KEY] = {"broadband": classifier.to_entry()}
    parts = []
    for galaxies, rows, camera in observe_all(flux, filters, magnitude, NOISE, rng):
        probability, flags = classify(model, galaxies)
        enough = np.isfinite(probability[:, 0])
        cameras = np.full(enough.sum(), camera)
        parts.append((probability[enough], flags[enough], magnitude[rows][enough], cameras))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def judged_spectra(model, classifier, flux, rng):
    """Probabilities and flags, and the signal to noise in the median pixel, NaN without errors."""
    model.card[CARD_KEY] = {"spectrum": classifier.to_entry()}
    parts = []
    for galaxies in observe_spectra(flux, NOISE, rng):
        spectrum = galaxies.vectors["spectrum"]
        given = spectrum.state[0] == MEASURED
        signal = np.median((spectrum.value / spectrum.error)[:, given], axis=1)
        parts.append((*classify(model, galaxies), signal))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def write(source, target, classifiers):
    """The same weights with the classifiers in the card; the file appears whole or not at all."""
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata()
    entry = {light: classifier.to_entry() for light, classifier in classifiers.items()}
    card = json.loads(metadata["card"]) | {CARD_KEY: entry}
    temporary = Path(f"{target}.tmp")
    save_file(load_file(source), temporary, metadata=metadata | {"card": json.dumps(card)})
    os.replace(temporary, target)


def report_kinds(model, classifier, test, spectra, composite, filters, rng):
    """How many are flagged of galaxies, and of each kind of others with their magnitudes."""
    brightness, matrix = test["mag_i"], projection_matrix(filters, WAVELENGTH)
    n = len(brightness)
    flat = rng.uniform(EDGES[0], EDGES[-1], n)
    sources = [
        ("galaxies (false alarms)", np.tile(fluxes(test, filters), (REPEATS, 1)),
         np.tile(brightness, REPEATS)),
        ("stars", stars(spectra, matrix, n, rng), flat),
        ("quasars of the parametric family", quasars(matrix, n, rng), flat),
    ]  # fmt: skip
    if composite:
        z = rng.choice(QUASAR_REDSHIFTS, n)
        of_composite = composite_quasars(composite, filters, QUASAR_REDSHIFTS)
        index = np.searchsorted(QUASAR_REDSHIFTS, z)
        sources.append(("composite quasar, z = 0.8 to 3", of_composite[index], flat))
    for name, flux, magnitude in sources:
        _, flags, magnitudes, cameras = judged(model, classifier, flux, filters, magnitude, rng)
        report(name, flags > 0, magnitudes, EDGES)
        if name.startswith("galaxies"):
            for camera in CAMERAS:
                seen = cameras == camera
                report(f"  in {camera}", flags[seen] > 0, magnitudes[seen], EDGES)


def report_lsst(model, test, seed):
    """False alarms in LSST as it will be after ten years, with the classifier as it was written."""
    _, flags = classify(model, give(test, ("LSST",), "survey", seed))
    report("galaxies, LSST after ten years", flags > 0, test["mag_i"], EDGES)


def report_spectra(model, classifier, test, spectra, rng):
    """How many spectra of each kind are flagged, by their signal to noise."""
    of_stars, of_quasars = spectra_of_others(spectra, len(test["redshift"]), rng)
    for name, flux in (
        ("galaxies (false alarms)", test["spectrum"]),
        ("stars", of_stars),
        ("quasars of the parametric family", of_quasars),
    ):
        _, flags, signal = judged_spectra(model, classifier, flux, rng)
        report(name, flags > 0, signal, SIGNAL_EDGES)


def head(what, edges):
    cells = "".join(f"{what.format(*pair):>12s}" for pair in zip(edges, edges[1:], strict=False))
    print(f"{'flagged, in per cent':34s}{'all':>8s}{cells}")


def report(name, flagged, values, edges):
    """The share that is flagged, of all and between edges of the values."""
    cells = ""
    for low, high in zip(edges, edges[1:], strict=False):
        part = flagged[(values >= low) & (values < high)]
        cells += f"{100 * part.mean():12.1f}" if len(part) else f"{'':12s}"
    print(f"{name:34s}{100 * flagged.mean():8.1f}{cells}", flush=True)


if __name__ == "__main__":
    main()
