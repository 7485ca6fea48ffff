"""Reading sedpy's filter curves: by file, and for SPHEREx by the column of a file."""

from functools import lru_cache

import numpy as np

__all__ = ["read_curve", "sedpy_names", "spherex_channels"]

SPHEREX_BANDS = tuple(f"spherex_band{n}" for n in range(1, 7))


@lru_cache(maxsize=1)
def sedpy_names():
    """The names of sedpy's files of one filter each."""
    from sedpy.observate import list_available_filters

    return tuple(name for name in list_available_filters() if name not in SPHEREX_BANDS)


@lru_cache(maxsize=1)
def spherex_channels():
    """The 102 SPHEREx channels in order of effective wavelength, as (file, column)."""
    channels = [(band, column) for band in SPHEREX_BANDS for column in _spherex_band(band)[1]]
    return tuple(sorted(channels, key=lambda channel: read_curve(*channel).wave_effective))


@lru_cache(maxsize=len(SPHEREX_BANDS))
def _spherex_band(sedpy_name):
    """The curves of one SPHEREx band: wavelengths, and a dict of column name to response."""
    from importlib.resources import files

    lines = (files("sedpy") / "data" / "filters" / f"{sedpy_name}.par").read_text().splitlines()
    header = [line for line in lines if line.startswith("#")][-1].lstrip("# ").split()
    data = np.loadtxt([line for line in lines if line and line[0] != "#"], unpack=True)
    return data[0], dict(zip(header[1:], data[1:], strict=True))


@lru_cache(maxsize=512)
def read_curve(sedpy_name, column=None):
    """sedpy's filter object, which has dropped negative response and the empty ends."""
    from sedpy.observate import Filter

    if column is None:
        return Filter(sedpy_name)
    # sedpy reads the whole file again for each of its columns: hand it the column instead.
    wavelength, columns = _spherex_band(sedpy_name)
    return Filter(sedpy_name, data=(wavelength, columns[column]))
