"""`Galaxies`: what is known of a set of galaxies, as plain arrays in fixed units.

This is the one data class between all rooms: the catalogue adapters and the simulator make it,
the tokens are made from it. It knows nothing of Astropy and nothing of torch.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .properties import VECTORS, get_property

__all__ = ["LIMIT", "MEASURED", "MISSING", "Galaxies", "Measurement"]

#: The states of a value.
MISSING, MEASURED, LIMIT = 0, 1, 2


@dataclass(frozen=True)
class Measurement:
    """Values with errors and states, all of one shape.

    Parameters
    ----------
    value : ndarray
        The value; for a limit, the limit itself; ignored where missing.
    error : ndarray
        One-sigma error; NaN where unknown. For a limit, one sigma (the limit over its level).
    state : ndarray of int8
        `MISSING`, `MEASURED` or `LIMIT` for each value.
    """

    value: np.ndarray
    error: np.ndarray
    state: np.ndarray

    def __post_init__(self):
        value = np.asarray(self.value, dtype=np.float32)
        error = np.asarray(self.error, dtype=np.float32)
        state = np.asarray(self.state, dtype=np.int8)
        if not value.shape == error.shape == state.shape:
            raise ValueError(
                f"value, error and state differ in shape: {value.shape}, {error.shape}, "
                f"{state.shape}"
            )
        present = state != MISSING
        if not np.isfinite(value[present]).all():
            raise ValueError("a value that is not missing must be finite")
        if np.any(error[present] <= 0):
            raise ValueError("an error must be positive, or NaN where it is unknown")
        object.__setattr__(self, "value", np.where(present, value, 0).astype(np.float32))
        object.__setattr__(self, "error", np.where(present, error, np.nan).astype(np.float32))
        object.__setattr__(self, "state", state)

    def __len__(self):
        return len(self.value)

    def __getitem__(self, rows):
        return Measurement(self.value[rows], self.error[rows], self.state[rows])

    @classmethod
    def missing(cls, *shape):
        """A measurement of the given shape of which nothing is known."""
        return cls(np.zeros(shape), np.full(shape, np.nan), np.zeros(shape, np.int8))


@dataclass(frozen=True)
class Galaxies:
    """What is known of ``n`` galaxies.

    Parameters
    ----------
    n : int
        Number of galaxies.
    filters : tuple of str
        Names of the broadband filters, as `astromosaic.filters` knows them, without repeats.
    photometry : Measurement, shape (n, len(filters))
        Flux densities f_nu in nJy.
    scalars : dict of str to Measurement, shape (n,)
        Known scalars in the internal coordinate of their `astromosaic.properties.Property`.
    vectors : dict of str to Measurement, shape (n, length)
        Known vectors in the unit of their `astromosaic.properties.VectorProperty`.
    """

    n: int
    filters: tuple = ()
    photometry: Measurement = None
    scalars: dict = field(default_factory=dict)
    vectors: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "filters", tuple(self.filters))
        if self.photometry is None:
            object.__setattr__(self, "photometry", Measurement.missing(self.n, len(self.filters)))
        if len(set(self.filters)) != len(self.filters):
            raise ValueError("a filter is given twice")
        self._check("photometry", self.photometry, (self.n, len(self.filters)))
        for name, scalar in self.scalars.items():
            get_property(name)
            self._check(name, scalar, (self.n,))
        for name, vector in self.vectors.items():
            self._check(name, vector, (self.n, VECTORS[name].length))

    @staticmethod
    def _check(name, measurement, shape):
        if measurement.value.shape != shape:
            raise ValueError(f"{name} has shape {measurement.value.shape}, expected {shape}")

    def __len__(self):
        return self.n

    def __getitem__(self, rows):
        """The same for some rows: a slice, a boolean mask or an array of indices."""
        return replace(
            self,
            n=len(np.arange(self.n)[rows]),
            photometry=self.photometry[rows],
            scalars={k: v[rows] for k, v in self.scalars.items()},
            vectors={k: v[rows] for k, v in self.vectors.items()},
        )

    def known(self):
        """Number of values that are not missing, for each galaxy; shape (n,)."""
        parts = [self.photometry, *self.vectors.values()]
        count = sum((p.state != MISSING).sum(axis=1) for p in parts)
        return count + sum((s.state != MISSING).astype(int) for s in self.scalars.values())
