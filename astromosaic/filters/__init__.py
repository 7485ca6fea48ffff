"""Filter curves, sets of filters with their versions, and synthetic photometry.

The curves are those of sedpy; every one of its filters is known by sedpy's name, LSST and SDSS
shorter (``lsst_u`` to ``lsst_y``, ``sdss_u`` to ``sdss_z``), and SPHEREx's 102 channels as
``spherex_001`` to ``spherex_102`` in order of wavelength. Other curves come from files, arrays and
other libraries' objects (`Filter.from_file`, `Filter.from_arrays`, `Filter.from_object`), and go
wherever names do.
"""

from .core import (
    Filter,
    filter_shapes,
    load_filter,
    load_filters,
    register_filter,
    vector_wavelength,
    within_range,
)
from .names import canonical_name, list_filters, list_sets
from .plot import plot_filters
from .synthetic import projection_matrix, synthetic_flux, synthetic_photometry, to_ab_magnitude

__all__ = [
    "Filter",
    "canonical_name",
    "filter_shapes",
    "list_filters",
    "list_sets",
    "load_filter",
    "load_filters",
    "plot_filters",
    "projection_matrix",
    "register_filter",
    "synthetic_flux",
    "synthetic_photometry",
    "to_ab_magnitude",
    "vector_wavelength",
    "within_range",
]
