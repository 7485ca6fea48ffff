"""Astropy in: tables of any survey, and spectra, to `astromosaic.galaxies.Galaxies`.

`read_input` does it, `read_table` for tables alone; the naming conventions are data in
`astromosaic.catalog.columns`.
"""

from .histories import read_history
from .inspection import format_inspection, inspect_table
from .reading import Reading
from .spectra import read_spectrum
from .tables import read_input, read_property, read_table

__all__ = [
    "Reading",
    "format_inspection",
    "inspect_table",
    "read_history",
    "read_input",
    "read_property",
    "read_spectrum",
    "read_table",
]
