"""Make a stellar population grid of BPASS for mocks with other physics than those of the training.

    pip download --no-deps --no-binary :all: hoki==1.7.1 && tar xzf hoki-1.7.1.tar.gz
    python benchmarks/make_bpass_grid.py hoki-1.7.1/hoki/data bpass.h5
    astromosaic simulate --sample survey --ssp bpass.h5 --output bpass_mocks.h5 --n-train 500

The spectra (Eldridge, Stanway et al. 2017, PASA 34, e058; BPASS 2, binaries, IMF with slope -1.35
up to 300 solar masses) are those that come with hoki: metallicities 0.002 and 0.008 only, and no
nebular emission. DSPS needs three metallicities: the geometric mean of the two is put between. The
mass that survives is that of the one file of masses beside them, of metallicity 0.014 and a
Chabrier IMF.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np

_METALLICITIES = {"z002": 0.002, "z008": 0.008}
_MASSES = "starmass-bin-imf_chab100.z014.dat"
#: Older than the Universe is of no use.
_OLDEST = 10.2
#: The spectra are of populations of so many solar masses.
_POPULATION = 1e6
_C_AA = 2.99792458e18


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="hoki's folder of data")
    parser.add_argument("output", type=Path, help="HDF5 file in the convention of DSPS")
    args = parser.parse_args()
    log_age = np.round(np.arange(6.0, 11.05, 0.1), 1)
    keep = log_age <= _OLDEST
    flux = []
    for name in _METALLICITIES:
        # A column of wavelengths, and one of L_sun/Angstrom for each age.
        table = np.loadtxt(args.folder / f"spectra-bin-imf135_300.{name}.dat", dtype=np.float32)
        inside = (table[:, 0] >= 90) & (table[:, 0] <= 65_000)
        wave = table[inside, 0].astype(float)
        flux.append(table[inside, 1:].T[keep] * wave**2 / _C_AA / _POPULATION)
    # Log age, and the mass of stars and of remnants.
    masses = np.loadtxt(args.folder / _MASSES)
    surviving = np.interp(log_age[keep], masses[:, 0], masses[:, 1:].sum(axis=1) / _POPULATION)
    poor, rich = flux
    log_z = np.log10(list(_METALLICITIES.values()))
    with h5py.File(args.output, "w") as file:
        file["ssp_lgmet"] = [log_z[0], log_z.mean(), log_z[1]]
        file["ssp_lg_age_gyr"] = log_age[keep] - 9.0
        file["ssp_wave"] = wave
        file["ssp_flux"] = np.array([poor, np.sqrt(poor * rich), rich])
        file["ssp_surviving"] = np.tile(surviving, (3, 1))
    print(f"written to {args.output}: surviving mass {surviving[0]:.3f} to {surviving[-1]:.3f}")


if __name__ == "__main__":
    main()
