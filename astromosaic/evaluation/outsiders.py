"""Stars and quasars as cameras and spectrographs see them, to learn from and to be tested on.

Stars are measured spectra, the library of Pickles (1998, PASP 110, 863) in the files of STScI,
``pickles_uk_*.fits``. Quasars to learn from are drawn from a parametric family; those to test with
are a measured composite.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from ..filters import filter_shapes, projection_matrix
from ..galaxies import MISSING, Galaxies, Measurement
from ..properties import SPECTRUM_EDGES, SPECTRUM_WAVELENGTH
from ..training.masking import SPECTROGRAPHS, cameras

__all__ = [
    "CAMERAS",
    "WAVELENGTH",
    "composite_quasars",
    "composite_spectrum",
    "judged_filters",
    "observe_all",
    "observe_spectra",
    "observed",
    "pixel_matrix",
    "quasars",
    "read_stars",
    "stars",
]

#: Optical cameras in which the classifier is trained, with how often in relative terms.
CAMERAS = {"lsst": 6, "sdss": 3, "cfht_megacam": 3, "hsc": 2, "decam": 2, "panstarrs": 2}
# Their near-infrared companions, and how often there is one.
_INFRARED, _WITH_INFRARED = ("vista_vircam", "ukirt_wfcam", "cfht_wircam", "twomass"), 0.3
# Bands are lost at a rate between zero and this.
_LOST = 0.5
# How often light is of each kind of `astromosaic.training.noise`; spectra have no limits.
_KINDS = {"noisy": 0.72, "clean": 0.12, "limits": 0.1, "no_error": 0.06}

#: Observed wavelengths of all spectra, Angstrom: as far as those of stars reach.
WAVELENGTH = np.exp(np.arange(np.log(1500.0), np.log(25_000.0), 1e-3))

# Emission lines of quasars: wavelength, equivalent width and dispersion in Angstrom at rest (Vanden
# Berk et al. 2001, AJ 122, 549, table 2).
_LINES = (
    (1216.25, 92.91, 19.46), (1396.76, 8.13, 14.13), (1546.15, 23.78, 14.33),
    (1905.97, 21.19, 23.58), (2800.26, 32.28, 34.95), (4102.73, 5.05, 18.62),
    (4346.42, 12.62, 20.32), (4853.13, 46.21, 40.44), (5008.22, 13.23, 6.04),
    (6564.93, 194.52, 47.39),
)  # fmt: skip
# Blended iron and the Balmer continuum, likewise, roughly.
_BUMPS = ((2500.0, 45.0, 150.0), (3150.0, 60.0, 250.0), (4570.0, 20.0, 62.0), (5306.0, 21.0, 55.0))
# Lyman alpha to delta: wavelength in Angstrom and strength of the forest (Madau 1995, ApJ 441, 18).
_FOREST = ((1215.67, 3.6e-3), (1025.72, 1.7e-3), (972.537, 1.2e-3), (949.743, 9.3e-4))


def judged_filters(filters):
    """Those of some filters in which the classifier is trained, by camera.

    Parameters
    ----------
    filters : sequence of str

    Returns
    -------
    dict of str to list of str
    """
    groups = cameras(filters)
    return {c: [filters[i] for i in groups.get(c, ())] for c in (*CAMERAS, *_INFRARED)}


def pixel_matrix():
    """Makes spectra at `WAVELENGTH` means in the model's pixels, (w, pixels); zero beyond them."""
    edges, pixels = 1e4 * SPECTRUM_EDGES, len(SPECTRUM_WAVELENGTH)
    matrix = np.zeros((len(WAVELENGTH), pixels))
    # Several points of the fine grid lie in each pixel, both being even in ln(wavelength).
    pixel = np.searchsorted(edges, WAVELENGTH) - 1
    inside = (pixel >= 0) & (pixel < pixels)
    matrix[np.flatnonzero(inside), pixel[inside]] = 1.0
    matrix[:, edges[1:] > WAVELENGTH[-1]] = 0.0
    return matrix / matrix.sum(axis=0).clip(min=1.0)


def read_stars(path):
    """Spectra of stars of the library of Pickles.

    Parameters
    ----------
    path : str or Path
        A folder with the files ``pickles_uk_*.fits``, or a zip file (a wheel) that has them in any
        of its folders.

    Returns
    -------
    ndarray (n, w)
        f_nu on any scale at `WAVELENGTH`, in the order of the files' names.

    Raises
    ------
    ValueError
        If there are none.
    """
    from astropy.io import fits

    path = Path(path)
    if path.is_dir():
        contents = {p.name: p.read_bytes() for p in path.glob("pickles_uk_*.fits")}
    else:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if Path(n).match("pickles_uk_*.fits")]
            contents = {Path(n).name: archive.read(n) for n in names}
    if not contents:
        raise ValueError(f"{path} has no files pickles_uk_*.fits")
    spectra = []
    for name in sorted(contents):
        table = fits.getdata(io.BytesIO(contents[name]), 1)
        wavelength, f_lambda = (np.asarray(table[c], float) for c in ("WAVELENGTH", "FLUX"))
        spectra.append(np.interp(WAVELENGTH, wavelength, f_lambda) * WAVELENGTH**2)
    return np.array(spectra)


def stars(spectra, matrix, n, rng, reddening=0.05):
    """Noiseless fluxes of stars behind some dust of the Milky Way.

    Parameters
    ----------
    spectra : ndarray (stars, w)
        From `read_stars`.
    matrix : ndarray (w, k)
        What makes spectra at `WAVELENGTH` fluxes in k filters
        (`astromosaic.filters.projection_matrix`) or pixels (`pixel_matrix`).
    n : int
    rng : numpy.random.Generator
    reddening : float
        Mean of E(B-V), which is exponentially distributed: of what is left of the foreground.

    Returns
    -------
    ndarray (n, k)
        f_nu on any scale.
    """
    from astropy import units as u
    from dust_extinction.parameter_averages import F99

    a_of_ebv = 3.1 * F99(3.1)(WAVELENGTH * u.AA)
    which, ebv = rng.integers(len(spectra), size=n), rng.exponential(reddening, n)
    return _in_parts(
        n, lambda i: (spectra[which[i]] * 10 ** (-0.4 * ebv[i, None] * a_of_ebv)) @ matrix
    )


def quasars(matrix, n, rng):
    """Noiseless fluxes of quasars at redshifts from 0.1 to 5.

    Power laws with a break in the rest frame's optical and another at Lyman alpha, broad lines,
    dust like that of the Small Magellanic Cloud and the forest of intergalactic hydrogen.

    Parameters
    ----------
    matrix : ndarray (w, k)
        As of `stars`.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (n, k)
        f_nu on any scale.
    """
    z = rng.uniform(0.1, 5.0, n)
    slopes = rng.normal([-1.7, -0.45, -1.3, -1.8], [0.3, 0.3, 0.6, 0.5], (n, 4))
    breaks = np.log([1216.0, 5500.0, 10_000.0]) + rng.normal(size=(n, 3)) * [0, 0.1, 0.1]
    strength = np.exp(rng.normal(size=(n, 1)) * 0.3 + rng.normal(size=(n, 14)) * 0.3)
    ebv = rng.exponential(0.03, n)

    def part(i):
        rest = WAVELENGTH / (1 + z[i, None])
        continuum = _broken_power_law(np.log(rest), breaks[i], slopes[i])
        lines = np.zeros_like(rest)
        for (centre, width, sigma), factor in zip((*_LINES, *_BUMPS), strength[i].T, strict=True):
            peak = factor[:, None] * width / (np.sqrt(2 * np.pi) * sigma)
            lines += peak * np.exp(-0.5 * ((rest - centre) / sigma) ** 2)
        # The law of Prevot et al. (1984, A&A 132, 389).
        dust = 10 ** (-0.4 * ebv[i, None] * 1.39 * (rest / 1e4) ** -1.2)
        return (continuum * (1 + lines) * dust * _forest(rest, z[i])) @ matrix

    return _in_parts(n, part)


def _broken_power_law(ln_wavelength, breaks, slopes):
    """f_nu of the given slopes in frequency between breaks in ln(wavelength); (n, w)."""
    bend = -slopes[:, :1] * ln_wavelength
    for k in range(breaks.shape[1]):
        past = np.maximum(ln_wavelength - breaks[:, k, None], 0.0)
        bend = bend - (slopes[:, k + 1] - slopes[:, k])[:, None] * past
    return np.exp(bend - bend.mean(axis=1, keepdims=True))


def _forest(rest, z):
    """Transmission of the intergalactic medium; nothing is left below the Lyman limit."""
    depth = np.zeros_like(rest)
    observed = rest * (1 + z[:, None])
    for line, strength in _FOREST:
        depth += np.where(rest < line, strength * (observed / line) ** 3.46, 0.0)
    return np.where(rest < 911.8, 0.0, np.exp(-depth))


def composite_quasars(path, filters, z):
    """Noiseless fluxes of a composite spectrum, redshifted.

    Parameters
    ----------
    path : str or Path
        Text with columns of wavelength at rest in Angstrom and f_lambda, as
        ``qso_template_001.dat`` of synphot, the composite of Francis et al. (1991, ApJ 373, 465).
        Its start, which must be below the Lyman limit, is where its light ends.
    filters : sequence of str
    z : array_like (n,)

    Returns
    -------
    ndarray (n, filters)
        f_nu on any scale; NaN for filters that reach beyond the red end of the spectrum.
    """
    rest, f_nu = composite_spectrum(path)
    out = []
    for redshift in np.asarray(z):
        observed = rest * (1 + redshift)
        blue = np.arange(800.0, observed[0] - 1.0, 5.0)
        wavelength = np.concatenate([blue, observed])
        flux = np.concatenate([0.0 * blue, f_nu])
        out.append(flux @ projection_matrix(filters, wavelength, on_partial="nan"))
    return np.array(out)


def composite_spectrum(path):
    """Wavelengths at rest in Angstrom and f_nu on any scale, of text with f_lambda; two of (w,)."""
    text = Path(path).read_text().splitlines()
    rows = [line.split() for line in text if line[:1].isdigit()]
    rest, f_lambda = np.array(rows, float).T
    return rest, f_lambda * rest**2


def observed(flux, filters, mag_i, noise, generator, kind="noisy"):
    """`Galaxies` from noiseless fluxes: made as bright as is asked, with noise.

    Parameters
    ----------
    flux : ndarray (n, f)
        f_nu on any scale; what is NaN is missing.
    filters : sequence of str
        Among them an i band, or else the band nearest to it stands for it.
    mag_i : ndarray (n,)
        AB magnitude in i.
    noise : astromosaic.training.noise.NoiseModel
    generator : torch.Generator
    kind : str
        See `astromosaic.training.noise.observe`.

    Returns
    -------
    Galaxies
    """
    import torch

    from ..training.noise import depth_nanojansky, observe

    pivot = np.exp(filter_shapes(tuple(filters))[:, 0])
    reference = flux[:, np.argmin(np.abs(pivot - 0.76))]
    scaled = flux / reference[:, None] * 10 ** (-0.4 * (np.asarray(mag_i)[:, None] - 31.4))
    known = np.isfinite(scaled)
    value, error, state = (
        x.numpy()
        for x in observe(
            torch.as_tensor(np.where(known, scaled, 0.0), dtype=torch.float32),
            torch.as_tensor(depth_nanojansky(filters)), noise, kind, generator,
        )
    )  # fmt: skip
    photometry = Measurement(value, error, np.where(known, state, MISSING))
    return Galaxies(len(flux), filters, photometry)


def observe_all(flux, filters, mag_i, noise, rng, batch=200):
    """Observe in cameras drawn at random, of which bands are lost, to all depths.

    Parameters
    ----------
    flux : ndarray (n, f)
        Noiseless f_nu on any scale, in random order.
    filters : sequence of str
        Those of the cameras that are there.
    mag_i : ndarray (n,)
    noise : astromosaic.training.noise.NoiseModel
    rng : numpy.random.Generator
    batch : int
        Objects with the same camera.

    Yields
    ------
    tuple of Galaxies, ndarray of int, str
        Some of the objects, which they are, and their camera.
    """
    import torch

    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    by_camera = judged_filters(filters)
    weights = np.array(list(CAMERAS.values()), float)
    for start in range(0, len(flux), batch):
        rows = np.arange(start, min(start + batch, len(flux)))
        camera = rng.choice(list(CAMERAS), p=weights / weights.sum())
        names = list(by_camera[camera])
        if rng.random() < _WITH_INFRARED:
            names += by_camera[rng.choice(_INFRARED)]
        columns = [list(filters).index(name) for name in names]
        kind = rng.choice(list(_KINDS), p=list(_KINDS.values()))
        seen = observed(flux[np.ix_(rows, columns)], names, mag_i[rows], noise, generator, kind)
        lost = rng.random(seen.photometry.state.shape) < _LOST * rng.random((len(rows), 1))
        state = np.where(lost, MISSING, seen.photometry.state)
        photometry = Measurement(seen.photometry.value, seen.photometry.error, state)
        yield Galaxies(len(rows), names, photometry), rows, str(camera)


def observe_spectra(flux, noise, rng, batch=200):
    """Observe with spectrographs drawn at random, with any signal to noise.

    Parameters
    ----------
    flux : ndarray (n, pixels)
        Noiseless f_nu in nJy in the model's pixels, in random order.
    noise : astromosaic.training.noise.NoiseModel
    rng : numpy.random.Generator
    batch : int
        Objects with the same spectrograph.

    Yields
    ------
    Galaxies
        Some of the objects, in the same order.
    """
    import torch

    from ..training.noise import observe_spectrum

    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    kinds = {kind: chance for kind, chance in _KINDS.items() if kind != "limits"}
    chances = np.array(list(kinds.values())) / sum(kinds.values())
    for start in range(0, len(flux), batch):
        low, high = SPECTROGRAPHS[rng.integers(len(SPECTROGRAPHS))]
        given = torch.as_tensor((SPECTRUM_WAVELENGTH > low) & (SPECTRUM_WAVELENGTH < high))
        part = torch.as_tensor(flux[start : start + batch], dtype=torch.float32)
        kind = rng.choice(list(kinds), p=chances)
        seen = observe_spectrum(part, given, noise, kind, generator)
        spectrum = Measurement(*(x.numpy() for x in seen))
        yield Galaxies(len(part), vectors={"spectrum": spectrum})


def _in_parts(n, function, size=500):
    """Rows made in parts, so that spectra of all are never in memory at once."""
    parts = [np.arange(i, min(i + size, n)) for i in range(0, n, size)]
    return np.concatenate([function(part) for part in parts])
