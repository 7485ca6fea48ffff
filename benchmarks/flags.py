"""How often the checks of photometry raise an alarm, falsely and rightly.

    python benchmarks/flags.py --data survey_test.h5 --stars exosims-3.6.6-py3-none-any.whl \\
        --quasars qso_template_001.dat

takes simulated galaxies in LSST's six bands with survey noise, brighter than i = 25.3, and counts
flags: on good galaxies, and where one band is off, a zero point is wrong, a filter is mislabelled,
or the source is a star (of the half of the library of Pickles that the classifier was not fitted
to) or a quasar (a composite spectrum at several redshifts). The same galaxies are seen with SPHEREx
beside LSST, and as optical spectra with a signal to noise of 5 in each pixel of R = 400. With
``--photoz TABLE`` it also prints what leaving out the flagged does to real redshifts.
"""

import argparse
from dataclasses import replace

import numpy as np

from astromosaic import load_model
from astromosaic.catalog import read_table
from astromosaic.checks import INCONSISTENT, consistency
from astromosaic.evaluation.inputs import give, load_truths
from astromosaic.evaluation.metrics import bootstrap, point_metrics, redshift_deviation
from astromosaic.evaluation.outsiders import (
    WAVELENGTH,
    composite_quasars,
    composite_spectrum,
    pixel_matrix,
    read_stars,
    stars,
)
from astromosaic.evaluation.paper import bundled_subset
from astromosaic.evaluation.photoz import TRUTH_COLUMNS
from astromosaic.filters import projection_matrix
from astromosaic.galaxies import MEASURED, Galaxies, Measurement
from astromosaic.io import read_catalog
from astromosaic.labels import read_truth
from astromosaic.outsiders import classify
from astromosaic.properties import PROPERTIES, SPECTRUM_WAVELENGTH
from astromosaic.training.noise import LSST_10_YEAR

# The composite covers all six bands at 0.9 to 2.8.
QUASAR_REDSHIFTS = (0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7)
BRIGHTNESS = ((0.0, 22.0), (22.0, 24.0), (24.0, 25.3))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="file of mocks (default: galaxies of the package)")
    parser.add_argument("--limit", type=int, default=2000, help="galaxies (default: 2000)")
    parser.add_argument("--stars", help="folder or wheel with pickles_uk_*.fits")
    parser.add_argument("--quasars", help="text of a composite spectrum")
    parser.add_argument("--photoz", nargs="*", default=[], help="tables with true redshifts")
    parser.add_argument("--weights")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = load_model(args.weights)

    # The last: thresholds of the classifiers are from the first half (fit_outsiders.py).
    truths = load_truths(args.data or bundled_subset(), "test")
    truths = {k: v if k == "filters" else v[-args.limit :] for k, v in truths.items()}
    galaxies = give(truths, ("LSST",), "survey", args.seed)
    brightness = truths["mag_i"]
    bright = brightness < BRIGHTNESS[-1][1]
    faint = galaxies[~bright]
    galaxies, brightness = galaxies[bright], brightness[bright]
    print(f"{len(galaxies)} simulated galaxies, LSST with survey noise; seed {args.seed}")
    print("errors, of all, are those of a fraction of so many galaxies")
    print(f"{'flagged, in per cent':34s}{'all':>12s}" + "".join(
        f"{f'i {low:g}-{high:g}':>12s}" for low, high in BRIGHTNESS
    ) + f"{'bit 8':>10s}{'bit 16, 32':>12s}")  # fmt: skip
    report("good galaxies (false alarms)", model, galaxies, brightness)
    report(f"{len(faint)} fainter ones (false alarms)", model, faint)
    for magnitudes in (0.5, -0.5, 1.0, -1.0):
        for band in "ugrizy":
            name = f"{band} off by {magnitudes:+g} mag"
            report(name, model, shifted(galaxies, band, magnitudes), brightness)
    report("zero point of u off by 0.2 mag", model, shifted(galaxies, "u", 0.2), brightness)
    report("zero point of g off by 0.2 mag", model, shifted(galaxies, "g", 0.2), brightness)
    for a, b in ("gr", "iz", "zy"):
        report(f"{a} and {b} mislabelled", model, swapped(galaxies, a, b), brightness)
    for survey, bands in (("sdss", "ugriz"), ("hsc", "grizy"), ("decam", "griz")):
        other = of_other_filters(galaxies, truths, bright, survey, bands)
        report(f"{survey}_{bands} called lsst", model, other, brightness)
    rng = np.random.default_rng(args.seed)
    if args.stars:
        spectra = read_stars(args.stars)[1::2]
        matrix = projection_matrix(galaxies.filters, WAVELENGTH)
        flux = stars(spectra, matrix, len(galaxies), rng)
        report("stars", model, observed(flux, galaxies.filters, brightness, rng), brightness)
    for z in QUASAR_REDSHIFTS if args.quasars else ():
        flux = composite_quasars(args.quasars, galaxies.filters, [z])
        flux = np.repeat(flux, len(galaxies), axis=0)
        quasar = observed(flux, galaxies.filters, brightness, rng)
        report(f"quasar at z = {z}", model, quasar, brightness)
    with_redshift = give(truths, ("LSST", "redshift"), "survey", args.seed)[bright]
    report("LSST+redshift (false alarms)", model, with_redshift, brightness)
    report("redshift of another galaxy", model, of_another(with_redshift, "redshift"), brightness)
    with_spherex = give(truths, ("LSST", "SPHEREx"), "survey", args.seed)[bright]
    report("LSST+SPHEREx (false alarms)", model, with_spherex, brightness)
    for magnitudes in (0.5, 1.0):
        off = shifted_part(with_spherex, "spherex", slice(17, 34), magnitudes)
        report(f"SPHEREx 1.1-1.6 um off by {magnitudes:+g} mag", model, off, brightness)
    report("SPHEREx of another galaxy", model, of_another(with_spherex, "spherex"), brightness)
    with_spectra = give(truths, ("LSST", "optical spectrum"), "survey", args.seed)[bright]
    report("LSST+spectra (false alarms)", model, with_spectra, brightness)
    report("spectrum of another galaxy", model, of_another(with_spectra, "spectrum"), brightness)
    optical = give(truths, ("optical spectrum",), "survey", args.seed)[bright]
    report("spectra alone (false alarms)", model, optical, brightness)
    for magnitudes in (0.5, 1.0):
        off = shifted_part(optical, "spectrum", SPECTRUM_WAVELENGTH > 0.69, magnitudes)
        report(f"spectra > 0.69 um off by {magnitudes:+g} mag", model, off, brightness)
    if args.stars:
        flux = stars(spectra, pixel_matrix(), len(optical), rng)
        report("spectra of stars", model, seen_as(optical, flux, rng), brightness)
    for z in QUASAR_REDSHIFTS if args.quasars else ():
        rest, f_nu = composite_spectrum(args.quasars)
        flux = np.interp(1e4 * SPECTRUM_WAVELENGTH, rest * (1 + z), f_nu, left=0.0)
        quasar = seen_as(optical, np.repeat(flux[None], len(optical), axis=0), rng)
        report(f"spectra of a quasar at z = {z}", model, quasar, brightness)
    for path in args.photoz:
        redshifts(path, model, args.seed)


def report(name, model, galaxies, brightness=None):
    """Fractions flagged by brightness, and of all by each of the checks."""
    disagree, outside = flagged(model, galaxies)
    either = disagree | outside
    cells = ""
    for low, high in BRIGHTNESS:
        part = () if brightness is None else either[(brightness >= low) & (brightness < high)]
        cells += f"{100 * np.mean(part):12.1f}" if len(part) else f"{'-':>12s}"
    by_check = f"{100 * disagree.mean():10.1f}{100 * outside.mean():12.1f}"
    fraction = either.mean()
    error = np.sqrt(fraction * (1 - fraction) / len(either))
    everything = f"{100 * fraction:.1f} ± {100 * error:.1f}"
    print(f"{name:34s}{everything:>12s}{cells}{by_check}", flush=True)


def flagged(model, galaxies):
    """Whether light disagrees, and whether it is a star or a quasar; bool (n,) each."""
    disagree = consistency(model, galaxies)[2] < INCONSISTENT
    return disagree, classify(model, galaxies)[1] > 0


def shifted(galaxies, band, magnitudes):
    value = galaxies.photometry.value.copy()
    value[:, galaxies.filters.index(f"lsst_{band}")] *= 10 ** (-0.4 * magnitudes)
    return replace(galaxies, photometry=replace(galaxies.photometry, value=value))


def shifted_part(galaxies, vector, part, magnitudes):
    value = galaxies.vectors[vector].value.copy()
    value[:, part] *= 10 ** (-0.4 * magnitudes)
    vectors = {**galaxies.vectors, vector: replace(galaxies.vectors[vector], value=value)}
    return replace(galaxies, vectors=vectors)


def of_another(galaxies, name):
    """Galaxies with a vector or a property of the one next in brightness, as in a wrong match."""
    order = np.argsort(galaxies.photometry.value[:, galaxies.filters.index("lsst_i")])
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    kind = "vectors" if name in galaxies.vectors else "scalars"
    known = getattr(galaxies, kind)
    return replace(galaxies, **{kind: {**known, name: known[name][other]}})


def seen_as(galaxies, flux, rng):
    """Other spectra, on any scale, with the level and the signal to noise of those of galaxies."""
    seen = galaxies.vectors["spectrum"]
    known = seen.state[0] == MEASURED
    as_bright, level = (np.median(x[:, known], axis=1, keepdims=True) for x in (seen.value, flux))
    flux = flux / level * as_bright
    value = flux + seen.error * rng.normal(size=flux.shape)
    return replace(galaxies, vectors={"spectrum": replace(seen, value=value)})


def swapped(galaxies, a, b):
    """Galaxies with the fluxes of two bands under each other's names."""
    order = np.arange(len(galaxies.filters))
    i, j = (galaxies.filters.index(f"lsst_{band}") for band in (a, b))
    order[[i, j]] = order[[j, i]]
    photometry = galaxies.photometry
    return replace(galaxies, photometry=Measurement(
        photometry.value[:, order], photometry.error[:, order], photometry.state[:, order]
    ))  # fmt: skip


def of_other_filters(galaxies, truths, bright, survey, bands):
    """Galaxies of which some LSST bands have the true fluxes of another survey's filters, with the
    errors and the noise that they had."""
    value = galaxies.photometry.value.copy()
    for band in bands:
        column = galaxies.filters.index(f"lsst_{band}")
        theirs, own = (
            truths["flux"][bright, truths["filters"].index(f"{name}_{band}")]
            for name in (survey, "lsst")
        )
        value[:, column] += theirs - own
    return replace(galaxies, photometry=replace(galaxies.photometry, value=value))


def observed(flux, filters, brightness, rng):
    """Fluxes on any scale at those i magnitudes, with LSST's noise after ten years."""
    i = filters.index("lsst_i")
    flux = flux / flux[:, [i]] * 10 ** (-0.4 * (brightness[:, None] - 31.4))
    sky = np.array([10 ** (-0.4 * (LSST_10_YEAR[f[-1]] - 31.4)) / 5 for f in filters])
    error = np.hypot(sky, 0.01 * flux)
    value = flux + error * rng.normal(size=flux.shape)
    return Galaxies(len(flux), filters, Measurement(value, error, np.ones(flux.shape)))


def redshifts(path, model, seed):
    """Outliers among the redshifts of a table, with and without those that are flagged."""
    table = read_catalog(path)
    truth = next(name for name in TRUTH_COLUMNS if name in table.colnames)
    galaxies, _ = read_table(table, {truth: None})
    z = PROPERTIES["redshift"].to_physical(read_truth(table, "redshift", truth))
    known = np.isfinite(z)
    galaxies, z = galaxies[known], z[known]
    disagree, outside = flagged(model, galaxies)
    either = disagree | outside
    estimate = model.posterior_of(galaxies, ["redshift"])["redshift"].median()
    deviation = redshift_deviation(estimate, z)
    print(f"\n{path}: {100 * either.mean():.1f}% flagged")
    for name, rows in (
        ("all", np.full(len(either), True)),
        ("not flagged", ~either),
        ("without bit 8", ~disagree),
        ("without 16, 32", ~outside),
        ("bit 8", disagree),
        ("bit 16 or 32", outside),
    ):
        if not rows.any():
            continue
        figures = point_metrics(deviation[rows])
        errors = bootstrap(point_metrics, deviation[rows], n=100, seed=seed)
        print(f"{name:15s}{rows.sum():6d}" + "".join(
            f"  {key} {figures[key]:.4f}±{errors[key]:.4f}" for key in ("nmad", "outlier_fraction")
        ))  # fmt: skip


if __name__ == "__main__":
    main()
