"""Galaxies packed small, of which the light is made where they are read.

A simulated galaxy with its spectrum takes 5 kB. What its light is made of takes a twentieth: the
light of stars and nebulae is a sum of few principal components of the stellar population grid, and
dust, redshift and filters are a matter of a moment on a GPU. The file has all that is needed to
make the light, so that it can be read where neither diffsky nor bagpipes is installed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..filters import list_filters
from ..properties import LOOKBACK_MIDDLES, VECTORS
from .ingredients import check_ingredients, line_strength
from .sample import FILTERS, draw_block
from .sed import (
    Optics,
    attenuation_curve,
    log_u_nodes,
    lyman_series_table,
    stellar_content,
    young_fraction,
)

__all__ = ["bases_of", "is_packed", "load_packed", "simulate_packed"]

#: Numbers of principal components of old stars, young stars and nebulae.
COMPONENTS = (40, 14, 24)
_SCALARS = (
    "redshift", "log_mass_formed", "log_stellar_mass", "log_halo_mass", "log_sfr", "metallicity",
    "lyman_alpha",
)  # fmt: skip
# Of these only the light is wanted.
_NOT_ASKED = ("log_mass_formed", "lyman_alpha")


@dataclass(frozen=True)
class _Packed:
    """The part of a `astromosaic.simulation.lightcone.Population` of which `Optics` takes."""

    redshift: np.ndarray
    log_mass_formed: np.ndarray
    dust: np.ndarray
    template_error: np.ndarray
    template_nodes: np.ndarray

    def __len__(self):
        return len(self.redshift)


class _Basis:
    """Principal components of a set of spectra.

    Each spectrum counts alike, and each wavelength relative to what is typical there.
    """

    def __init__(self, spectra, n):
        spectra = np.asarray(spectra, np.float64)
        norm = np.linalg.norm(spectra, axis=1, keepdims=True)
        norm[norm == 0] = 1.0
        typical = np.sqrt(np.mean((spectra / norm) ** 2, axis=0)) + 1e-30
        scaled = spectra / norm / typical
        # The eigenvectors of the small matrix of the spectra's products.
        value, vector = np.linalg.eigh(scaled @ scaled.T)
        keep = np.argsort(value)[::-1][:n]
        length = np.sqrt(np.maximum(value[keep], 1e-30))
        self.weights = norm * vector[:, keep] * length  # (spectra, n)
        self.spectra = ((vector[:, keep] / length).T @ scaled * typical).astype(np.float32)


def bases_of(ssp, nodes, n_birth):
    """Principal components of old stars, of the youngest ages, and of nebulae of allowed log U."""
    parts = ssp.stellar, ssp.stellar[:, :n_birth], ssp.nebular[nodes]
    return [
        _Basis(part.reshape(-1, len(ssp.wave)), n)
        for part, n in zip(parts, COMPONENTS, strict=True)
    ]


def simulate_packed(output, n, seed, sample="survey", progress=True, ingredients=None):
    """Simulate galaxies and write them packed.

    Parameters
    ----------
    output : str or Path
        HDF5 file to write, about 0.3 kB a galaxy.
    n : int
        Number of galaxies.
    seed : int
        Same seed, same galaxies; others than those of `astromosaic.simulation.mocks.simulate`.
    sample : {"paper", "survey"}
        Which galaxies are kept, see `astromosaic.simulation.sample`.
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
    from .ssp import load_ssp

    output = Path(output)
    if output.exists():
        raise FileExistsError(f"{output} exists already; choose another name or remove it")
    ingredients = check_ingredients(ingredients)
    ssp = load_ssp()
    young, nodes = young_fraction(ssp.log_age_gyr), log_u_nodes(ssp)
    n_birth = int(np.sum(young > 1e-3))
    bases = bases_of(ssp, nodes, n_birth)
    blocks, total, block = [], 0, 0
    with tqdm(total=n, unit="galaxy", disable=not progress, smoothing=0.05) as bar:
        # Whole rounds of shells only: a shell too many would change the redshift distribution.
        while total < n or block % len(SHELLS):
            population, _, rng = draw_block(seed, block, sample, ssp, "packed ", ingredients)
            if len(population):
                blocks.append(
                    _pack(population, ssp, bases, young, n_birth, nodes, rng, ingredients)
                )
            total, block = total + len(population), block + 1
            bar.update(min(len(population), max(n - bar.n, 0)))
    order = np.random.default_rng(seed).permutation(total)[:n]
    provenance = {
        "seed": seed, "sample": sample, "ingredients": list(ingredients), "packed": True,
        "rounds": block // len(SHELLS),
        "galaxies_made": total, "stellar_populations": ssp.name, "stellar_mass": "surviving",
    }  # fmt: skip
    shared = _shared(
        ssp, attenuation_curve(ssp.wave), lyman_series_table(), population.template_nodes, bases
    )
    rows = {k: np.concatenate([b[k] for b in blocks])[order] for k in blocks[0]}
    _write(output, shared, rows, provenance)
    return output


def _pack(population, ssp, bases, young, n_birth, nodes, rng, ingredients=()):
    """Datasets of a block, one row per galaxy."""
    n = len(population)
    weights = population.ssp_weights.astype(np.float64)
    node = rng.integers(len(nodes), size=n)
    strength = line_strength(ingredients, rng, n)
    birth = strength[:, None] * weights[:, :, : ssp.n_young].reshape(n, -1)
    of_node = bases[2].weights.reshape(len(nodes), birth.shape[1], -1)
    lya = ssp.lyman_alpha[nodes].reshape(len(nodes), -1)
    content = stellar_content(population, ssp)
    then = population.t_obs[:, None] - LOOKBACK_MIDDLES
    mah = [np.interp(t, population.t_table, m) for t, m in zip(then, population.mah, strict=True)]
    return {
        "old": (weights * (1 - young)).reshape(n, -1) @ bases[0].weights,
        "young": (weights * young)[:, :, :n_birth].reshape(n, -1) @ bases[1].weights,
        "nebular": np.einsum("gb,gbk->gk", birth, of_node[node]),
        "lyman_alpha": np.einsum("gb,gb->g", birth, lya[node]),
        "sfh": content["sfh"],
        "mah": np.where(then > 0, np.reshape(mah, then.shape), -np.inf),
        "redshift": population.redshift,
        "log_mass_formed": population.log_mass_formed,
        "log_halo_mass": population.log_halo_mass,
        **{k: content[k] for k in ("log_stellar_mass", "log_sfr", "metallicity")},
        "dust": population.dust,
        "template_error": population.template_error,
    }


def _shared(ssp, curve, lyman_series, template_nodes, bases):
    """What all galaxies of a file have in common."""
    return {
        "wave": ssp.wave, "attenuation": curve, "lyman_series": lyman_series,
        "template_nodes": template_nodes,
        **{f"basis_{k}": basis.spectra for k, basis in enumerate(bases)},
    }  # fmt: skip


def _write(output, shared, rows, provenance):
    import h5py

    from .. import __version__

    temporary = Path(f"{output}.tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["packed"] = json.dumps(provenance | {"astromosaic": __version__})
        for name, values in shared.items():
            file.create_dataset(f"shared/{name}", data=values, compression="gzip", shuffle=True)
        for name, values in rows.items():
            # Components need more digits than a half has: they cancel where little light is.
            fine = name in ("old", "young", "nebular") or name in _SCALARS
            bits = 15 if fine else 11
            file.create_dataset(
                f"rows/{name}", data=_rounded(values, bits), compression="gzip",
                compression_opts=9, shuffle=True,
                chunks=(min(8192, len(values)), *values.shape[1:]),
            )  # fmt: skip
    os.replace(temporary, output)


def _rounded(values, bits):
    """Single precision with so many bits of mantissa, the rest zero, which compresses well."""
    values = np.ascontiguousarray(values, np.float32)
    drop = 23 - bits
    integers = values.view(np.uint32)
    rounded = ((integers + np.uint32(1 << (drop - 1))) >> np.uint32(drop)) << np.uint32(drop)
    return np.where(np.isfinite(values), rounded, integers).astype(np.uint32).view(np.float32)


def is_packed(path):
    """Whether a file is one of packed galaxies."""
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        return "packed" in file.attrs


@torch.no_grad()
def load_packed(path, limit=None, device=None, batch_size=512, progress=False):
    """Read packed galaxies and make their light.

    Parameters
    ----------
    path : str or Path
    limit : int, optional
        Only the first so many galaxies (they are in random order).
    device : str, optional
        Where the light is made; by default a GPU, if there is one.
    batch_size : int
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict, dict
        Arrays as of `astromosaic.simulation.mocks.load_mocks`, and the provenance.
    """
    import h5py
    from tqdm import tqdm

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with h5py.File(path) as file:
        provenance = json.loads(file.attrs["packed"])
        shared = {name: dataset[:] for name, dataset in file["shared"].items()}
        rows = {name: dataset[:limit] for name, dataset in file["rows"].items()}
    optics = Optics(
        shared["wave"], shared["attenuation"], shared["lyman_series"],
        [*FILTERS, *list_filters("spherex")], device,
    )  # fmt: skip
    basis = [optics.tensor(shared[f"basis_{k}"]) for k in range(3)]
    n = len(rows["redshift"])
    # Where results live from the start: kept among the large arrays of their batches they would
    # hold the memory of those, too.
    flux = np.empty((n, len(FILTERS) + len(list_filters("spherex"))), np.float32)
    sed, dust_av = np.empty((n, VECTORS["spectrum"].length), np.float32), np.empty(n, np.float32)
    bar = tqdm(total=n, desc=Path(path).name, unit="galaxy", disable=not progress)
    for start in range(0, n, batch_size):
        part = {name: values[start : start + batch_size] for name, values in rows.items()}
        old, young, nebular = (
            optics.tensor(part[k]) @ basis[i] for i, k in enumerate(("old", "young", "nebular"))
        )
        population = _Packed(
            part["redshift"], part["log_mass_formed"], part["dust"], part["template_error"],
            shared["template_nodes"],
        )  # fmt: skip
        here = slice(start, start + batch_size)
        flux[here], sed[here], dust_av[here] = optics.observe(
            old.clamp(min=0), (young + nebular).clamp(min=0),
            optics.tensor(part["lyman_alpha"]), population,
        )  # fmt: skip
        bar.update(len(part["redshift"]))
    bar.close()
    arrays = {k: rows[k] for k in ("sfh", "mah", *_SCALARS) if k not in _NOT_ASKED}
    arrays |= {
        "flux": flux[:, : len(FILTERS)], "spherex": flux[:, len(FILTERS) :], "sed": sed,
        "dust_av": dust_av, "filters": FILTERS,
    }  # fmt: skip
    return arrays, provenance
