"""Cosmic time and distance, in the one cosmology that is used throughout."""

from functools import cache

import numpy as np

from .properties import COSMOLOGY

__all__ = ["age_gyr", "luminosity_distance_mpc"]


def age_gyr(redshift):
    """Age of the Universe in Gyr at redshifts between 0 and 12; an array of their shape."""
    z, age, _ = _table()
    return np.interp(redshift, z, age)


def luminosity_distance_mpc(redshift):
    """Luminosity distance in Mpc at redshifts between 0 and 12; an array of their shape."""
    z, _, distance = _table()
    return np.interp(redshift, z, distance)


@cache
def _table():
    from astropy import cosmology

    model = getattr(cosmology, COSMOLOGY)
    z = np.concatenate([[0.0], np.geomspace(1e-3, 12.0, 3000)])
    return z, model.age(z).to_value("Gyr"), model.luminosity_distance(z).to_value("Mpc")
