"""The properties of a galaxy that astromosaic can be told and asked, defined to the letter.

Every scalar has one internal coordinate, in which it is tokenised, predicted and binned:
``ln(1+z)`` for the redshift, ``log10`` for masses and the star formation rate, the value itself
for quantities that are already logarithmic or of order one. Units are plain strings here, so that
the model can be built without Astropy; they become `astropy.units` at the two ends only.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["COSMOLOGY", "FLUX_SCALE", "PROPERTIES", "WAVELENGTH_RANGE", "Property", "get_property"]

#: Name of the astropy cosmology that ties redshift to distance and time throughout.
COSMOLOGY = "Planck15"
#: Softening of the arcsinh in which fluxes are seen and predicted, in nJy: 28.1 mag AB.
FLUX_SCALE = 20.0
#: Wavelengths in micron that the simulated galaxies cover, and so the model.
WAVELENGTH_RANGE = (0.12, 5.6)

_TRANSFORMS = {
    "ln(1+x)": (np.log1p, np.expm1),
    "log10(x)": (np.log10, lambda y: 10.0**y),
    "x": (lambda x: x, lambda y: y),
}


@dataclass(frozen=True)
class Property:
    """A scalar property: its unit, its internal coordinate and the grid on which it is predicted.

    Parameters
    ----------
    name : str
        The name used in queries, columns and results.
    unit : str
        Unit of the physical value, in astropy's spelling; empty if dimensionless.
    scale : {"ln(1+x)", "log10(x)", "x"}
        The internal coordinate as a function of the physical value.
    low, high : float
        Range of the internal coordinate that the model covers.
    bins : int
        Number of equal bins of the predicted histogram over that range.
    definition : str
        What the number means.
    ucd : str
        IVOA unified content descriptor.
    """

    name: str
    unit: str
    scale: str
    low: float
    high: float
    bins: int
    definition: str
    ucd: str

    def to_internal(self, value):
        """Physical values (in `unit`) to the internal coordinate."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return _TRANSFORMS[self.scale][0](np.asarray(value, dtype=float))

    def to_physical(self, coordinate):
        """The internal coordinate to physical values (in `unit`)."""
        return _TRANSFORMS[self.scale][1](np.asarray(coordinate, dtype=float))

    def error_to_internal(self, value, error):
        """One-sigma errors of physical values, to first order, in the internal coordinate."""
        value, error = np.asarray(value, dtype=float), np.asarray(error, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ln(1+x)":
                return error / (1.0 + value)
            if self.scale == "log10(x)":
                return error / value / np.log(10.0)
        return error

    def density_to_physical(self, coordinate):
        """d(coordinate)/d(value) at a coordinate: turns densities per coordinate into per value."""
        coordinate = np.asarray(coordinate, dtype=float)
        if self.scale == "ln(1+x)":
            return np.exp(-coordinate)
        if self.scale == "log10(x)":
            return 10.0**-coordinate / np.log(10.0)
        return np.ones_like(coordinate)


PROPERTIES = {
    p.name: p
    for p in (
        Property(
            "redshift", "", "ln(1+x)", 0.0, float(np.log(7.0)), 300,
            "Spectroscopic (observed) redshift.", "src.redshift.phot",
        ),
        Property(
            "stellar_mass", "solMass", "log10(x)", 5.5, 12.5, 140,
            "Stellar mass surviving at the time of observation, remnants included, Kroupa IMF "
            "as in the BC03-MILES grid.",
            "phys.mass",
        ),
        Property(
            "halo_mass", "solMass", "log10(x)", 10.0, 15.5, 110,
            "Peak mass so far of the galaxy's own halo (a satellite's subhalo), as in Diffmah "
            "(virial, without factors of h).",
            "phys.mass",
        ),
        Property(
            "sfr", "solMass / yr", "log10(x)", -5.0, 4.0, 180,
            "Star formation rate averaged over the last 100 Myr; rates below 1e-5 are set to 1e-5.",
            "phys.SFR",
        ),
        Property(
            "metallicity", "dex", "x", -2.5, 0.9, 85,
            "Mass-weighted stellar metallicity, log10(Z / Z_sun), Z_sun = 0.02.",
            "phys.abund.Z",
        ),
        Property(
            "dust_av", "mag", "x", 0.0, 4.0, 100,
            "Attenuation of the integrated starlight at 5500 Angstrom in the rest frame.",
            "phys.absorption",
        ),
    )
}  # fmt: skip


def get_property(name):
    """The `Property` of that name; raises KeyError with the known names otherwise."""
    try:
        return PROPERTIES[name]
    except KeyError:
        raise KeyError(f"unknown property {name!r}; known are {', '.join(PROPERTIES)}") from None
