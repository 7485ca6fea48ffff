"""The training and test sets: simulated galaxies in one HDF5 file, made by one command.

The file has the groups ``train`` and ``test``, each with the datasets of `DATASETS`, one row per
galaxy, with units and descriptions as attributes; filters, provenance and seed are attributes of
the file. Galaxies are made in blocks, each from its own seed; finished blocks lie in a folder
beside the output, so that a run that was stopped goes on where it was.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from ..filters import list_filters
from ..properties import LOOKBACK_EDGES, LOOKBACK_MIDDLES, PROPERTIES, SPECTRUM_WAVELENGTH
from .ingredients import check_ingredients
from .sample import FILTERS, SAMPLES, draw_block

__all__ = [
    "DATASETS",
    "N_TEST",
    "N_TRAIN",
    "PROPERTY_DATASETS",
    "compact",
    "load_mocks",
    "simulate",
    "true_values",
]

#: Sizes of the published training and test sets.
N_TRAIN, N_TEST = 185_247, 20_583

#: The dataset of each property of `astromosaic.properties`.
PROPERTY_DATASETS = {
    "redshift": "redshift", "stellar_mass": "log_stellar_mass", "halo_mass": "log_halo_mass",
    "sfr": "log_sfr", "metallicity": "metallicity", "dust_av": "dust_av",
}  # fmt: skip

#: Datasets with unit and meaning.
DATASETS = {
    "flux": ("nJy", "noiseless f_nu in the broadband filters of the file's attribute 'filters'"),
    "spherex": ("nJy", "noiseless f_nu in the 102 SPHEREx channels, by wavelength"),
    "sed": ("nJy", "noiseless f_nu at the wavelengths of the dataset '/sed_wavelength'"),
    "sfh": ("solMass / yr", "mean star formation rate between '/sfh_lookback_edges'"),
    "mah": (
        "dex(solMass)",
        "log10 halo mass at the midpoints of '/sfh_lookback_edges', -inf before the Big Bang",
    ),
    "redshift": ("", "redshift"),
    "log_stellar_mass": ("dex(solMass)", "log10 surviving stellar mass"),
    "log_halo_mass": ("dex(solMass)", "log10 peak halo mass"),
    "log_sfr": ("dex(solMass / yr)", "log10 star formation rate over 100 Myr"),
    "metallicity": ("dex", "log10 mass-weighted stellar metallicity in solar units"),
    "dust_av": ("mag", "attenuation at 5500 Angstrom in the rest frame"),
    "log_u": ("dex", "log10 ionisation parameter of the nebular emission"),
    "is_central": ("", "whether the galaxy is the central one of its halo"),
    "mag_i": ("mag(AB)", "approximate magnitude by which the sample was drawn"),
}


def simulate(
    output, n_train=N_TRAIN, n_test=N_TEST, seed=1, sample="paper", ssp=None, device="cpu",
    progress=True, ingredients=None,
):  # fmt: skip
    """Simulate a training and a test set.

    Parameters
    ----------
    output : str or Path
        HDF5 file to write. Finished blocks are kept in ``output + ".parts"`` until it is whole.
    n_train, n_test : int
        Number of galaxies.
    seed : int
        Same seed, same galaxies.
    sample : {"paper", "survey"}
        Which galaxies are kept, see `astromosaic.simulation.sample`.
    ssp : str or Path, optional
        Another stellar population grid, see `astromosaic.simulation.ssp.load_ssp`.
    device : str
        Where the spectra are computed.
    progress : bool
        Show a progress bar.
    ingredients : sequence of str, optional
        Names of `astromosaic.simulation.ingredients`; its `RELEASE` without it.

    Returns
    -------
    Path
        The file written.
    """
    from tqdm import tqdm

    from .lightcone import SHELLS
    from .sed import Observer
    from .ssp import load_ssp

    output = Path(output)
    if output.exists():
        raise FileExistsError(f"{output} exists already; choose another name or remove it")
    if sample not in SAMPLES:
        raise ValueError(f"unknown sample {sample!r}; known are {', '.join(SAMPLES)}")
    if n_train + n_test < 1:
        raise ValueError("n_train and n_test are zero: there is nothing to make")
    ingredients = check_ingredients(ingredients)
    parts = Path(f"{output}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    settings = {
        "seed": seed, "sample": sample, "ssp": str(ssp), "ingredients": list(ingredients),
    }  # fmt: skip
    _check_settings(parts / "settings.json", settings)

    grid = load_ssp(ssp)
    observer = Observer(grid, [*FILTERS, *list_filters("spherex")], ingredients, device)
    wanted, total, block = n_train + n_test, 0, 0
    with tqdm(total=wanted, unit="galaxy", disable=not progress, smoothing=0.05) as bar:
        # Whole rounds of shells only: a shell too many would change the redshift distribution.
        while total < wanted or block % len(SHELLS):
            part = parts / f"{block:05d}.npz"
            if not part.exists():
                population, block_seed, _ = draw_block(
                    seed, block, sample, grid, ingredients=ingredients
                )
                _save(part, _columns(population, observer.observe(population, block_seed)))
            with np.load(part) as arrays:
                n = len(arrays["redshift"])
            total, block = total + n, block + 1
            bar.update(min(n, max(wanted - bar.n, 0)))
    provenance = settings | {
        "rounds": block // len(SHELLS),
        "galaxies_made": total,
        "stellar_populations": grid.name,
        "stellar_mass": "formed" if np.all(grid.surviving == 1) else "surviving",
        "packages": _versions("diffsky", "diffstar", "diffmah", "dsps", "bagpipes", "astro-sedpy"),
    }
    _assemble(parts, block, output, n_train, n_test, provenance)
    shutil.rmtree(parts)
    return output


def load_mocks(path, group="train", datasets=None, limit=None):
    """Read datasets of a file of mocks into memory.

    Parameters
    ----------
    path : str or Path
    group : {"train", "test"}
    datasets : sequence of str, optional
        Which; all without it.
    limit : int, optional
        Only the first so many galaxies (they are in random order).

    Returns
    -------
    dict
        Arrays by dataset, and ``filters``, the names of the broadband filters.
    """
    import h5py

    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file; make one of mocks with 'astromosaic simulate'")
    with h5py.File(path) as file:
        names = list(file.get(group, ())) if datasets is None else datasets
        lacking = [a for a in ("filters", "provenance") if a not in file.attrs]
        lacking += [f"{group}/{n}" for n in names if f"{group}/{n}" not in file]
        if lacking or group not in file:
            raise ValueError(
                f"{path} is not a file of astromosaic mocks: it lacks "
                f"{', '.join(lacking) or group}; make one with 'astromosaic simulate'"
            )
        arrays = {name: _decoded(file[group][name], limit) for name in names}
        arrays["filters"] = tuple(json.loads(file.attrs["filters"]))
    return arrays


def compact(path, output, n_train, n_test, datasets=None):
    """Write the first galaxies of a file of mocks as a small file, fluxes rounded to 0.05%.

    All datasets are kept, or those named.

    Fluxes and histories are kept as whole multiples of a step in arcsinh(value / scale), both of
    which are attributes of the dataset, and as differences along the row, which compress better;
    `load_mocks` undoes it.
    """
    import h5py

    scales = {"flux": 1.0, "spherex": 1.0, "sed": 1.0, "sfh": 1e-5}
    step = 1e-3
    with h5py.File(path) as source, h5py.File(output, "w") as file:
        for name, value in source.attrs.items():
            file.attrs[name] = value
        for axis in ("sed_wavelength", "sfh_lookback_edges"):
            if axis in source:
                source.copy(axis, file)
        for group, n in (("train", n_train), ("test", n_test)):
            for name in (datasets or source[group]) if n else ():
                dataset = source[group][name]
                values = dataset[:n]
                if name in scales:
                    steps = np.rint(np.arcsinh(values / scales[name]) / step)
                    values = np.diff(steps, axis=1, prepend=0)
                    if not np.abs(values).max() < 2**15:
                        raise ValueError(f"{path}: {group}/{name} has values too large or NaN")
                    values = values.astype(np.int16)
                copy = file.create_dataset(
                    f"{group}/{name}", data=values, chunks=values.shape, compression="gzip",
                    compression_opts=9, shuffle=True,
                )  # fmt: skip
                for key, value in dataset.attrs.items():
                    copy.attrs[key] = value
                if name in scales:
                    copy.attrs["arcsinh_scale"], copy.attrs["arcsinh_step"] = scales[name], step


def _decoded(dataset, limit):
    """Values of a dataset, with the rounding of `compact` undone."""
    values = dataset[:limit]
    if "arcsinh_step" not in dataset.attrs:
        return values
    scale, step = dataset.attrs["arcsinh_scale"], dataset.attrs["arcsinh_step"]
    return (scale * np.sinh(step * np.cumsum(values, axis=1, dtype=float))).astype(np.float32)


def true_values(arrays, name):
    """True internal coordinates of a property, from the arrays of `load_mocks`."""
    values = np.asarray(arrays[PROPERTY_DATASETS[name]], dtype=float)
    return PROPERTIES[name].to_internal(values) if name == "redshift" else values


def _columns(population, light):
    then = population.t_obs[:, None] - LOOKBACK_MIDDLES
    at = [np.interp(t, population.t_table, m) for t, m in zip(then, population.mah, strict=True)]
    # There is no mass before the Big Bang.
    mah = np.where(then > 0, np.reshape(at, then.shape), -np.inf)
    n = len(FILTERS)
    return {
        "flux": light.flux[:, :n],
        "spherex": light.flux[:, n:],
        "sed": light.sed,
        "sfh": light.sfh,
        "mah": mah.astype(np.float32),
        "redshift": population.redshift,
        "log_stellar_mass": light.log_stellar_mass,
        "log_halo_mass": population.log_halo_mass,
        "log_sfr": light.log_sfr,
        "metallicity": light.metallicity,
        "dust_av": light.dust_av,
        "log_u": light.log_u,
        "is_central": population.is_central,
        "mag_i": population.mag_i,
    }  # fmt: skip


def _save(path, arrays):
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **arrays)
    os.replace(temporary, path)


def _check_settings(path, settings):
    if path.exists() and json.loads(path.read_text()) != settings:
        raise ValueError(
            f"{path.parent} holds blocks of another run ({path.read_text()}); remove it or use "
            "the same seed and sample"
        )
    path.write_text(json.dumps(settings))


def _versions(*packages):
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _assemble(parts, n_blocks, output, n_train, n_test, provenance):
    """Write the blocks as one file, galaxies in random order."""
    import h5py

    from .. import __version__

    blocks = [np.load(parts / f"{b:05d}.npz") for b in range(n_blocks)]
    total = sum(len(b["redshift"]) for b in blocks)
    order = np.random.default_rng(provenance["seed"]).permutation(total)[: n_train + n_test]
    temporary = Path(f"{output}.tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["filters"] = json.dumps(FILTERS)
        file.attrs["provenance"] = json.dumps(provenance | {"astromosaic": __version__})
        for name, values, unit in (
            ("sed_wavelength", 1e4 * SPECTRUM_WAVELENGTH, "Angstrom"),
            ("sfh_lookback_edges", LOOKBACK_EDGES, "Gyr"),
        ):
            file.create_dataset(name, data=values).attrs["unit"] = unit
        for name, (unit, description) in DATASETS.items():
            values = np.concatenate([b[name] for b in blocks])
            for group, rows in (("train", order[:n_train]), ("test", order[n_train:])):
                dataset = file.create_dataset(f"{group}/{name}", data=values[rows], chunks=True,
                                              compression="lzf", shuffle=True)  # fmt: skip
                dataset.attrs["unit"], dataset.attrs["description"] = unit, description
    os.replace(temporary, output)
