"""A picture of a file of mocks beside published relations: what the training data look like."""

import json

import numpy as np

from .mocks import load_mocks
from .sample import survey_weight

__all__ = ["plot_diagnostics"]


def plot_diagnostics(path, output, compare=None):
    """Plot number counts, N(z), colours against redshift, and stellar against halo mass.

    Parameters
    ----------
    path : str or Path
        File of mocks.
    output : str or Path
        Image to write.
    compare : str or Path, optional
        The HSC sample of i, g-z and spectroscopic redshift that pz-rail-astro-tools carries
        (``hsc_ratios_and_specz.hdf5``): adds a row with the redshift distribution at given colour
        and magnitude beside it.
    """
    import matplotlib

    matplotlib.use("Agg")
    import h5py
    from matplotlib import pyplot as plt

    names = ["flux", "redshift", "log_stellar_mass", "log_halo_mass", "is_central", "mag_i"]
    mocks = load_mocks(path, "train", names)
    with h5py.File(path) as file:
        provenance = json.loads(file.attrs["provenance"])
    filters = list(mocks["filters"])

    def mag(name):
        flux = mocks["flux"][:, filters.index(name)]
        return 31.4 - 2.5 * np.log10(np.maximum(flux, 1e-3))

    is_survey = provenance["sample"] == "survey"
    weight = survey_weight(mocks["mag_i"]) if is_survey else np.ones(len(mocks["redshift"]))
    rows = 3 if compare else 2
    figure, axes = plt.subplots(rows, 3, figsize=(14, 4.3 * rows), layout="constrained")
    title = f"{provenance['sample']} sample, {len(weight):,} galaxies"
    figure.suptitle(f"Mocks: {title}, {provenance['stellar_populations']}")
    _number_counts(axes[0, 0], mag("lsst_i"), weight, provenance, is_survey)
    _redshifts(axes[0, 1], mocks["redshift"], mag("lsst_i"), weight, is_survey)
    _stellar_to_halo(axes[0, 2], mocks)
    bright = mag("lsst_i") < 25.3
    for axis, (a, b) in zip(axes[1], (("u", "g"), ("g", "r"), ("i", "z")), strict=True):
        colour = mag(f"lsst_{a}") - mag(f"lsst_{b}")
        axis.hexbin(
            mocks["redshift"][bright], np.clip(colour[bright], -1, 4), C=weight[bright],
            reduce_C_function=np.sum, bins="log", gridsize=70, cmap="viridis", mincnt=1,
        )  # fmt: skip
        axis.set(xlabel="redshift", ylabel=f"LSST {a} − {b}", title="colour, i < 25.3", xlim=(0, 4))
    if compare:
        _hsc(axes[2], mocks["redshift"], mag("hsc_i"), mag("hsc_g") - mag("hsc_z"), weight, compare)
    figure.savefig(output, dpi=110)
    plt.close(figure)


def _number_counts(axis, mag, weight, provenance, is_survey):
    axis.set(xlabel="LSST i (AB)", title="number counts")
    edges = np.arange(16.0, 26.6, 0.5)
    centre = edges[:-1] + 0.25
    if not is_survey:
        axis.hist(mag, edges, histtype="step", label="mocks (as drawn)")
        axis.set(ylabel="galaxies")
        axis.legend()
        return
    per_galaxy = weight / provenance["rounds"] * provenance["galaxies_made"] / len(weight) / 3600
    counts, _ = np.histogram(mag, edges, weights=per_galaxy)
    axis.semilogy(centre, counts / 0.5, "o", label="mocks")
    # LSST Science Book (2009), equation 3.7: cumulative 46 x 10^(0.31 (i - 25)) per square arcmin.
    law = 46 * 0.31 * np.log(10) * 10 ** (0.31 * (centre - 25))
    axis.semilogy(centre[centre > 20.5], law[centre > 20.5], label="LSST Science Book")
    axis.set(ylabel="galaxies / arcmin² / mag")
    axis.legend()


def _redshifts(axis, redshift, mag, weight, is_survey):
    edges = np.arange(0, 4.01, 0.1)
    axis.set(xlabel="redshift", ylabel="density", title="N(z)")
    if not is_survey:
        axis.hist(redshift, edges, density=True, histtype="step", label="mocks")
        z = np.linspace(0, 4, 200)
        normal = np.exp(-0.5 * ((z - 1.017) / 0.55) ** 2)
        axis.plot(z, normal / np.trapezoid(normal, z), label="published mean and scatter")
    for limit, colour in ((22.5, "C0"), (24.0, "C1"), (25.3, "C2")) if is_survey else ():
        faint = mag < limit
        axis.hist(redshift[faint], edges, weights=weight[faint], density=True, histtype="step",
                  color=colour, label=f"mocks, i < {limit}")  # fmt: skip
        # LSST Science Book, equation 3.8.
        z0, z = 0.0417 * limit - 0.744, np.linspace(0, 4, 200)
        axis.plot(z, z**2 / (2 * z0**3) * np.exp(-z / z0), color=colour, ls=":",
                  label="LSST Science Book" if limit == 25.3 else None)  # fmt: skip
    axis.legend(fontsize="small")


def _stellar_to_halo(axis, mocks):
    central = mocks["is_central"]
    halo, stars, z = (mocks[k][central] for k in ("log_halo_mass", "log_stellar_mass", "redshift"))
    edges = np.arange(10.5, 14.3, 0.25)
    centre = edges[:-1] + 0.125
    for low, high, colour in ((0.0, 0.4, "C0"), (0.8, 1.2, "C1"), (1.8, 2.2, "C2")):
        inside = (z > low) & (z < high)
        bins = np.digitize(halo[inside], edges) - 1
        values = [stars[inside][bins == i] for i in range(len(centre))]
        good = np.array([len(v) >= 10 for v in values])
        median = np.array([np.median(v) if len(v) else np.nan for v in values])
        axis.plot(centre[good], median[good], "o", color=colour, label=f"mocks, {low} < z < {high}")
        axis.plot(centre, _moster(centre, (low + high) / 2), color=colour, ls=":")
    axis.plot([], [], "k:", label="Moster et al. 2013")
    axis.set(xlabel="log₁₀ halo mass", ylabel="log₁₀ stellar mass", title="centrals")
    axis.legend(fontsize="small")


def _moster(log_halo, z):
    """Stellar-to-halo mass relation of Moster, Naab & White 2013, MNRAS 428, 3121, table 1."""
    x = z / (1 + z)
    ratio = 10 ** (log_halo - (11.590 + 1.195 * x))
    low, high = 1.376 - 0.826 * x, 0.608 + 0.329 * x
    return log_halo + np.log10(2 * (0.0351 - 0.0247 * x) / (ratio**-low + ratio**high))


def _hsc(axes, redshift, mag, colour, weight, path):
    """p(z) at given i and g-z: the mocks beside HSC's spectroscopic sample."""
    import h5py

    with h5py.File(path) as file:
        items = [x.decode() for x in file["data/axis0"][:]]
        hsc = dict(zip(items, file["data/block0_values"][:].T, strict=True))
    edges = np.arange(0, 2.51, 0.05)
    for axis, (low, high) in zip(axes, ((0.5, 1.2), (1.5, 2.2), (2.5, 3.5)), strict=True):
        for i, g_z, z, w, label in (
            (mag, colour, redshift, weight, "mocks"),
            (hsc["mag"], hsc["color"], hsc["specz"], np.ones(len(hsc["mag"])), "HSC spec-z"),
        ):
            keep = (i > 20) & (i < 22.5) & (g_z > low) & (g_z < high)
            axis.hist(z[keep], edges, weights=w[keep], density=True, histtype="step",
                      label=f"{label} ({keep.sum():,})")  # fmt: skip
        axis.set(xlabel="redshift", title=f"20 < i < 22.5, {low} < g − z < {high}")
        axis.legend()
