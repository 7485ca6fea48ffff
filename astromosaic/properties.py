"""The properties of a galaxy that astromosaic can be told and asked, defined to the letter.

There are scalars (`PROPERTIES`) and vectors (`VECTORS`). Every scalar has one internal coordinate,
in which it is tokenised, predicted and binned: ``ln(1+z)`` for the redshift, ``log10`` for masses
and the star formation rate, the value itself for quantities that are already logarithmic or of
order one. Vectors lie on grids that are fixed here. Units are plain strings, so that the model can
be built without Astropy; they become `astropy.units` at the two ends only.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "COSMOLOGY",
    "EXACT",
    "FLUX_SCALE",
    "LOOKBACK_EDGES",
    "LOOKBACK_MIDDLES",
    "PROPERTIES",
    "SPECTRUM_EDGES",
    "SPECTRUM_WAVELENGTH",
    "VECTORS",
    "WAVELENGTH_RANGE",
    "Property",
    "VectorProperty",
    "get_property",
]

#: Name of the astropy cosmology that ties redshift to distance and time throughout.
COSMOLOGY = "Planck15"
#: Softening of the arcsinh in which fluxes are seen and predicted, in nJy: 28.1 mag AB.
FLUX_SCALE = 20.0
#: Wavelengths in micron that the simulated galaxies cover, and so the model.
WAVELENGTH_RANGE = (0.12, 5.6)

#: Scalars with errors below this part of their range are seen as exact, as those without one are.
EXACT = 1e-3

_N_PIXELS, _SPECTRUM_STEP, _SPECTRUM_START = 1071, 2.5e-3, 0.3499767566763282
#: Edges in micron of the pixels of a spectrum in the observed frame: R = 400, equal in ln(lambda).
SPECTRUM_EDGES = _SPECTRUM_START * np.exp(_SPECTRUM_STEP * np.arange(_N_PIXELS + 1))
#: Centres of those pixels, in micron.
SPECTRUM_WAVELENGTH = np.sqrt(SPECTRUM_EDGES[1:] * SPECTRUM_EDGES[:-1])
#: Edges of the bins of histories in Gyr of lookback time, counted from the galaxy's own redshift.
LOOKBACK_EDGES = np.concatenate([[0.0], 10 ** np.linspace(-2.0, np.log10(13.8), 31)])
#: Middles of those bins, at which masses are told: half the first, then geometric means.
LOOKBACK_MIDDLES = np.concatenate(
    [LOOKBACK_EDGES[1:2] / 2, np.sqrt(LOOKBACK_EDGES[1:-1] * LOOKBACK_EDGES[2:])]
)

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
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.scale == "ln(1+x)":
                return error / (1.0 + value)
            if self.scale == "log10(x)":
                return error / value / np.log(10.0)
        return error

    def is_exact(self, error):
        """Whether something with this error, in the internal coordinate, counts as exact.

        So does what has none (NaN). For arrays and tensors.
        """
        return ~(error >= EXACT * (self.high - self.low))

    def density_to_physical(self, coordinate):
        """d(coordinate)/d(value) at a coordinate: turns densities per coordinate into per value."""
        coordinate = np.asarray(coordinate, dtype=float)
        if self.scale == "ln(1+x)":
            return np.exp(-coordinate)
        if self.scale == "log10(x)":
            return 10.0**-coordinate / np.log(10.0)
        return np.ones_like(coordinate)


# A bin in redshift is one pixel of a spectrum.
PROPERTIES = {
    p.name: p
    for p in (
        Property(
            "redshift", "", "ln(1+x)", 0.0, 778 * _SPECTRUM_STEP, 778,
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
            "phys.absorption;em.opt.V",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class VectorProperty:
    """A property with many elements along one axis.

    Parameters
    ----------
    name : str
        The name used in queries, columns and results.
    unit : str
        Unit of the elements, in astropy's spelling.
    scale : float
        An element is predicted as ``arcsinh(value / scale)``: like its logarithm well above the
        scale, and defined at zero.
    length, patch : int
        Number of elements, and how many of them the model reads and writes as one token.
    axis : {"wavelength", "lookback_time"}
        What the elements are laid along.
    highest : float
        No galaxy has more than this: answers end there.
    definition : str
        What the numbers mean.
    ucd : str
        IVOA unified content descriptor.
    """

    name: str
    unit: str
    scale: float
    length: int
    patch: int
    axis: str
    highest: float
    definition: str
    ucd: str

    @property
    def n_patches(self):
        return -(-self.length // self.patch)

    @property
    def is_flux(self):
        """Whether the elements are flux densities, seen relative to the galaxy's brightness."""
        return self.axis == "wavelength"

    def to_internal(self, value):
        """Physical values (in `unit`) to the coordinate in which they are predicted."""
        return np.arcsinh(np.asarray(value, dtype=float) / self.scale)

    def to_physical(self, coordinate):
        """The inverse of `to_internal`."""
        return self.scale * np.sinh(np.asarray(coordinate, dtype=float))


VECTORS = {
    v.name: v
    for v in (
        VectorProperty(
            "spherex", "nJy", FLUX_SCALE, 102, 17, "wavelength", np.inf,
            "Flux densities f_nu in the 102 SPHEREx channels, in order of wavelength.",
            "phot.flux.density",
        ),
        VectorProperty(
            "spectrum", "nJy", FLUX_SCALE, len(SPECTRUM_WAVELENGTH), 63, "wavelength", np.inf,
            "Flux densities f_nu in the observed frame, in pixels of R = 400.",
            "phot.flux.density;em.freq",
        ),
        VectorProperty(
            "sfh", "solMass / yr", 1e-3, len(LOOKBACK_EDGES) - 1, 8, "lookback_time", 1e4,
            "Star formation history: mean star formation rate in bins of lookback time from the "
            "galaxy's own redshift; 0 before the Big Bang.",
            "phys.SFR",
        ),
        VectorProperty(
            "mah", "solMass", 1e8, len(LOOKBACK_EDGES) - 1, 8, "lookback_time", 10**15.5,
            "Mass accretion history: mass of the main progenitor of the galaxy's own halo in the "
            "middle of each bin of lookback time, 0 before the Big Bang.",
            "phys.mass",
        ),
    )
}  # fmt: skip


def get_property(name):
    """The `Property` of that name; raises KeyError with the known names otherwise."""
    try:
        return PROPERTIES[name]
    except KeyError:
        raise KeyError(f"unknown property {name!r}; known are {', '.join(PROPERTIES)}") from None
