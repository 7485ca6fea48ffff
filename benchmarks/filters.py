"""Synthetic photometry against sedpy, speclite and synphot: do the numbers agree, and how fast.

    python benchmarks/filters.py

Spectra are continua with a break and emission lines, in the 108 filters of LSST and SPHEREx, whose
curves are the same for all libraries. The accuracy is that of spectra of resolution 5,000. The
speed is that of spectra of 3,300 pixels, on one thread: one call for all of them, unit conversion
and set-up included, against a loop that calls ``sedpy.observate.getSED`` for one spectrum at a
time. The loop runs over the first spectra only (``--loop``); its time is proportional to their
number, which is shown by the times of its two halves. The quicker way that sedpy has, ``getSED``
with many spectra in one array, is timed as well.
"""

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from astropy import units as u  # noqa: E402

LIGHT = 2.99792458e18  # Angstrom / s
LINES = np.array([1216, 1909, 2799, 3728, 4341, 4863, 4960, 5008, 6565, 6725, 9071, 9533, 10833,
                  12822, 18756, 21661])  # fmt: skip
SETS = ["lsst", "spherex"]


def make_spectra(wavelength, n, rng):
    """f_nu in nJy of n galaxies with a broken continuum and lines, shape (n, n_wave)."""
    z = rng.uniform(0.0, 3.0, n)
    blue, red = rng.uniform(0.0, 3.0, (2, n, 1))
    rest = wavelength / (1 + z[:, None])
    ln = np.log(rest / 4000.0)
    with np.errstate(over="ignore"):
        step = 1 / (1 + np.exp(-ln / 0.01))
    f_nu = np.exp(ln * np.where(ln < 0, blue, red - 2.0)) * (1 + rng.uniform(0, 2, (n, 1)) * step)
    # Equivalent widths in the rest frame from 3 to 300 Angstrom, 100 to 300 km/s wide.
    for line in LINES:
        width = 10 ** rng.uniform(0.5, 2.5, n)
        sigma = line * rng.uniform(100, 300, n) / 2.998e5
        for row in range(n):
            near = slice(
                *np.searchsorted(rest[row], [line - 6 * sigma[row], line + 6 * sigma[row]])
            )
            x = (rest[row, near] - line) / sigma[row]
            peak = width[row] / (np.sqrt(2 * np.pi) * sigma[row])
            f_nu[row, near] *= 1 + peak * np.exp(-0.5 * x**2)
    return 10 ** rng.uniform(2, 4, (n, 1)) * f_nu


def log_grid(resolution):
    """Wavelengths in Angstrom that cover all filters, with that many pixels per e-fold."""
    return np.exp(np.arange(np.log(2500.0), np.log(56000.0), 1 / resolution))


def ended(curve):
    """Wavelengths and responses that end in zeros: speclite asks for them, and synphot goes on for
    ever with the last response otherwise."""
    x, t = curve.angstrom, curve.transmission
    x = np.concatenate([[x[0] * (1 - 1e-9)], x, [x[-1] * (1 + 1e-9)]])
    return x, np.concatenate([[0.0], t, [0.0]])


def sedpy_filters(curves):
    """The same curves as filters of sedpy."""
    from sedpy.observate import Filter

    return [Filter(c.name, data=(c.angstrom, c.transmission)) for c in curves]


def sedpy_flux(curves):
    """A function from (wavelength, f_nu) to mean fluxes in nJy, by sedpy."""
    from sedpy.observate import getSED

    filters = sedpy_filters(curves)

    def flux(wavelength, f_nu):
        maggies = getSED(
            wavelength, f_nu * 1e-32 * LIGHT / wavelength**2, filters, linear_flux=True
        )
        return maggies * 3631e9

    return flux


def speclite_flux(curves):
    """The same by speclite."""
    from speclite.filters import FilterResponse

    filters = [
        FilterResponse(*ended(curve), {"group_name": "curves", "band_name": f"f{number}"})
        for number, curve in enumerate(curves)
    ]

    def flux(wavelength, f_nu):
        f_lambda = f_nu * 1e-32 * LIGHT / wavelength**2
        columns = [f.get_ab_maggies(f_lambda, wavelength) for f in filters]
        return np.stack(columns, axis=-1) * 3631e9

    return flux


def synphot_flux(curves):
    """The same by synphot, whose curves are objects of its own."""
    from synphot import Empirical1D, Observation, SourceSpectrum, SpectralElement, units

    filters = []
    for curve in curves:
        x, t = ended(curve)
        filters.append(SpectralElement(Empirical1D, points=x * u.AA, lookup_table=t))

    def flux(wavelength, f_nu):
        rows = []
        for row in f_nu:
            spectrum = SourceSpectrum(
                Empirical1D, points=wavelength * u.AA, lookup_table=row * 1e-32 * units.FNU
            )
            rows.append(
                [
                    Observation(spectrum, f, binset=wavelength * u.AA)
                    .effstim(units.FNU)
                    .to_value(u.nJy)
                    for f in filters
                ]
            )
        return np.array(rows)

    return flux


def accuracy(curves, counts, seed):
    """Print how far we are from each library, and where they agree among themselves."""
    from astromosaic.filters import synthetic_flux

    makers = {"sedpy": sedpy_flux, "speclite": speclite_flux, "synphot": synphot_flux}
    functions = {name: make(curves) for name, make in makers.items()}
    wavelength = log_grid(5000)
    rng = np.random.default_rng(seed)
    ours, theirs, start = [], {name: [] for name in makers}, 0
    while start < max(counts.values()):
        n = min(250, max(counts.values()) - start)
        f_nu = make_spectra(wavelength, n, rng)
        ours.append(synthetic_flux(wavelength * u.AA, f_nu * u.nJy, curves).value)
        for name, function in functions.items():
            if (left := min(n, counts[name] - start)) > 0:
                theirs[name].append(function(wavelength, f_nu[:left]))
        start += n
    ours = np.concatenate(ours)
    print(f"accuracy: {len(wavelength)} pixels, {len(curves)} filters")
    print(f"{'':12s}{'spectra':>9s}{'median':>12s}{'99.9%':>12s}{'largest':>12s}  |ratio - 1|")
    ratios = {}
    for name, parts in theirs.items():
        values = np.concatenate(parts)
        ratios[name] = values / ours[: len(values)] - 1
        size = np.abs(ratios[name])
        cells = (np.median(size), np.quantile(size, 0.999), size.max())
        print(f"{name:12s}{len(values):9d}" + "".join(f"{c:12.2e}" for c in cells))
    both = np.stack([ratios["sedpy"], ratios["speclite"]])
    agree = np.ptp(both, axis=0) < 0.002
    worst = np.abs(both.mean(axis=0))[agree].max()
    print(
        f"sedpy and speclite agree to 0.2% in {100 * agree.mean():.2f}% of the fluxes; in these, "
        f"ours are at most {100 * worst:.3f}% from the mean of the two"
    )
    n = counts["synphot"]
    three = np.stack([r[:n] for r in ratios.values()])
    agree = np.ptp(three, axis=0) < 0.002
    worst = np.abs(three.mean(axis=0))[agree].max()
    print(
        f"all three agree to 0.2% in {100 * agree.mean():.2f}% of the fluxes of the first {n} "
        f"spectra; in these, ours are at most {100 * worst:.3f}% from their mean"
    )


def speed(curves, n, n_loop, seed):
    """Print times of ours and of sedpy's ways, in one run."""
    from sedpy.observate import getSED

    from astromosaic.filters import synthetic_flux

    wavelength = log_grid(1060)
    rng = np.random.default_rng(seed)
    f_lambda = np.empty((n, len(wavelength)))
    for start in range(0, n, 1000):
        part = slice(start, start + 1000)
        f_lambda[part] = make_spectra(wavelength, len(f_lambda[part]), rng)
    f_lambda *= 1e-32 * LIGHT / wavelength**2
    filters = sedpy_filters(curves)
    unit = u.erg / (u.s * u.cm**2 * u.AA)

    def ours():
        return synthetic_flux(wavelength * u.AA, f_lambda * unit, curves).value

    def loop(rows):
        return np.array([getSED(wavelength, f, filters, linear_flux=True) for f in f_lambda[rows]])

    ours()  # the curves are read, and memory is asked for
    seconds, flux = timed(ours)
    half = n_loop // 2
    first, a = timed(lambda: loop(slice(0, half)))
    second, b = timed(lambda: loop(slice(half, 2 * half)))
    seconds_again, _ = timed(ours)
    looped = np.concatenate([a, b]) * 3631e9
    per_loop = (first + second) / len(looped)
    per_ours = 0.5 * (seconds + seconds_again) / n
    array, _ = timed(
        lambda: [getSED(wavelength, f_lambda[i : i + 500], filters) for i in range(0, n, 500)]
    )
    print(
        f"\nspeed: {n} spectra of {len(wavelength)} pixels, {len(curves)} filters, one thread"
        f"\n  all at once here         {seconds:8.2f} s, again {seconds_again:.2f} s"
        f" ({1e6 * per_ours:.0f} microseconds a spectrum)"
        f"\n  sedpy, loop over getSED  {first + second:8.2f} s for the first {len(looped)} spectra,"
        f" the halves {first:.2f} and {second:.2f} s"
        f"\n  sedpy, getSED of arrays  {array:8.2f} s for all, in pieces of 500"
    )
    error = np.abs(looped / flux[: len(looped)] - 1)
    print(
        f"  the same fluxes to {100 * np.median(error):.4f}% in the median, "
        f"{100 * error.max():.2f}% at most (pixels of a few hundred km/s)"
        f"\n  ratio to the loop: {per_loop / per_ours:.0f} times; to getSED of arrays: "
        f"{array / n / per_ours:.1f} times"
    )


def timed(function):
    """Seconds that a function takes, and what it returns."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=10_000, help="for ours, sedpy and speclite")
    parser.add_argument("--synphot", type=int, default=20, help="spectra for synphot (%(default)s)")
    parser.add_argument("--loop", type=int, default=300, help="spectra for the loop (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    from astromosaic.filters import load_filters

    curves = load_filters(SETS)
    n = args.spectra
    speed(curves, n, min(args.loop, n), args.seed)
    accuracy(curves, {"sedpy": n, "speclite": n, "synphot": min(args.synphot, n)}, args.seed)


if __name__ == "__main__":
    main()
