"""Simulated galaxies: halos and star formation from diffsky, light from a stellar population grid.

The line is `lightcone` (who is there) -> `sed` (what they shine, observed) -> `sample` (who is
kept) -> `mocks` (the HDF5 file). `ssp` and `igm` hold the physics that `sed` needs.
"""

import os

# To be set before JAX is imported: on two cores it can wait for itself for ever otherwise.
os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")
os.environ.setdefault("NPROC", "8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
