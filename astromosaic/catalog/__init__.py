"""Astropy in: tables of any survey to `astromosaic.galaxies.Galaxies`.

`read_table` does it; the naming conventions are data in `astromosaic.catalog.columns`.
"""

from .reading import Reading
from .tables import read_table

__all__ = ["Reading", "read_table"]
