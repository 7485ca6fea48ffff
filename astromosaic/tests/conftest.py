"""What several tests share."""

import json

import h5py
import numpy as np
import pytest

from astromosaic.properties import SPECTRUM_WAVELENGTH

PIVOTS = {"lsst_u": 0.37, "lsst_g": 0.48, "lsst_r": 0.62, "lsst_i": 0.75, "lsst_z": 0.87,
          "lsst_y": 0.97, "sdss_g": 0.47, "sdss_r": 0.62, "sdss_i": 0.75, "hsc_g": 0.48,
          "hsc_r": 0.62, "vista_vircam_J": 1.25}  # fmt: skip


@pytest.fixture(scope="session")
def toy_mocks(tmp_path_factory):
    """A file in the form of the mocks: power laws whose slope tells the redshift.

    Star formation histories are flat, at a rate that the stellar mass tells.
    """
    path = tmp_path_factory.mktemp("mocks") / "toy.h5"
    rng = np.random.default_rng(0)
    spherex_wave = np.linspace(0.75, 5.0, 102)
    with h5py.File(path, "w") as file:
        file.attrs["filters"] = json.dumps(list(PIVOTS))
        file.attrs["provenance"] = json.dumps({"seed": 0, "sample": "toy"})
        for group, n in (("train", 4000), ("test", 200)):
            z = rng.uniform(0.01, 3.0, n)
            amplitude = 10 ** rng.uniform(2, 5, n)
            for name, wave in (
                ("flux", np.array(list(PIVOTS.values()))),
                ("spherex", spherex_wave),
                ("sed", SPECTRUM_WAVELENGTH),
            ):
                file[f"{group}/{name}"] = (
                    amplitude[:, None] * wave ** (2 * z[:, None] - 3)
                ).astype(np.float32)
            file[f"{group}/redshift"] = z.astype(np.float32)
            for name, low, high in (
                ("log_stellar_mass", 8, 12), ("log_halo_mass", 11, 14), ("log_sfr", -3, 3),
                ("metallicity", -1, 0.5), ("dust_av", 0, 2),
            ):  # fmt: skip
                file[f"{group}/{name}"] = rng.uniform(low, high, n).astype(np.float32)
            mass = 10.0 ** file[f"{group}/log_stellar_mass"][:]
            file[f"{group}/sfh"] = np.repeat(mass[:, None] / 1e10, 31, axis=1).astype(np.float32)
            halo_mass = file[f"{group}/log_halo_mass"][:]
            file[f"{group}/mah"] = halo_mass[:, None] - np.linspace(0, 2, 31, dtype=np.float32)
    return path
