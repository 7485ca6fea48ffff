"""Catalogues of OpenCosmo: galaxies of the HACC simulations, with what they know in our terms.

Read by the package ``opencosmo``, which takes the factors of h out of units with the cosmology of
the file's header. What is read, from which column, is data in `COLUMNS`.
"""

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.table import Column

from ..filters.names import find_name
from ..properties import LOOKBACK_MIDDLES

__all__ = ["COLUMNS", "OpenCosmoColumn", "is_opencosmo", "read_opencosmo"]

log = logging.getLogger("astromosaic")


@dataclass(frozen=True)
class OpenCosmoColumn:
    """A column of an OpenCosmo catalogue that holds one of our properties.

    Parameters
    ----------
    name : str
        What OpenCosmo calls it.
    target : str
        The property of `astromosaic.properties.PROPERTIES`.
    unit : str or None
        Its unit where the file records none; None if the file must, as where there may be an h.
    note : str
        Where the definition differs from ours.
    """

    name: str
    target: str
    unit: str | None
    note: str = ""


#: Columns by the data type in the header; where several hold one property, the first is taken.
#: Diffsky: units and definitions as diffsky writes them into the files' metadata. HACC: as the
#: simulations' own reformatting tools write them, masses in Msun/h.
COLUMNS = {
    "synthetic_galaxies": (
        OpenCosmoColumn("redshift_obs", "redshift", ""),
        OpenCosmoColumn("redshift_true", "redshift", "", "without peculiar velocities"),
        OpenCosmoColumn("redshift", "redshift", ""),
        OpenCosmoColumn(
            "logsm_obs", "stellar_mass", "dex(solMass)",
            "the mass ever formed, of which astromosaic's own simulator counts what survives",
        ),
        OpenCosmoColumn("logmp_obs", "halo_mass", "dex(solMass)"),
    ),
    "galaxy_properties": (
        OpenCosmoColumn("redshift", "redshift", ""),
        OpenCosmoColumn(
            "gal_mass_star", "stellar_mass", None, "within the aperture of the galaxy finder"
        ),
    ),
    "halo_properties": (
        OpenCosmoColumn("redshift", "redshift", ""),
        OpenCosmoColumn("sod_halo_MVir", "halo_mass", None, "now, not at its peak"),
        OpenCosmoColumn("sod_halo_mass", "halo_mass", None, "M200c now, not at its peak"),
    ),
}  # fmt: skip

#: Logarithm of the specific star formation rate at the time of observation, in 1/yr.
_SSFR = "logssfr_obs"
#: Parameters of Diffmah, which the catalogues of diffsky have for every galaxy's halo.
_DIFFMAH = ("logm0", "logtc", "early_index", "late_index", "t_peak")
#: Speed of the transition between early and late index, fixed in Diffmah.
_DIFFMAH_K = 3.5
#: Columns that are not what their name may suggest, and what is absent therefore.
_NOT_READ = {
    "av": "dust_av is absent: av is a parameter of the attenuation curve, "
    "not the attenuation of the galaxy's light",
    "lgmcrit": "sfh is absent: the file has parameters of Diffstar, no history",
}


def is_opencosmo(path):
    """Whether a file has the header of an OpenCosmo file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bool
    """
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        groups = [file, *(item for item in file.values() if isinstance(item, h5py.Group))]
        return any("header/file" in g and "data_type" in g["header/file"].attrs for g in groups)


def read_opencosmo(path, limit=None):
    """Read the galaxies of an OpenCosmo catalogue.

    Parameters
    ----------
    path : str or Path
        A file of one dataset or lightcone with `COLUMNS`, magnitudes in columns named by filter.
    limit : int, optional
        Only the first so many galaxies.

    Returns
    -------
    columns : dict of str to astropy.table.Column
        By our names of filters, properties and vectors, with units and without factors of h.
    provenance : dict
        Of the simulation, with ``notes`` on what was read from what and what is absent.

    Raises
    ------
    ImportError
        If the package opencosmo is not installed.
    ValueError
        If the file holds no single catalogue, no galaxies, nothing of `COLUMNS` and no filter, or
        a column in a unit that does not fit.
    """
    try:
        import opencosmo
    except ImportError:
        raise ImportError(
            f"{path} is an OpenCosmo file: pip install 'astromosaic[opencosmo]'", name="opencosmo"
        ) from None
    opened = opencosmo.open(path)
    if opened is None:
        raise ValueError(
            "OpenCosmo does not open a lightcone without coordinates: it lacks ra and dec, or "
            "theta and phi"
        )
    with _closing(opened) as dataset:
        if not hasattr(dataset, "with_units") or not hasattr(dataset, "columns"):
            raise ValueError(
                f"it holds several catalogues ({', '.join(dataset)}): write the one of galaxies "
                "to a file of its own with opencosmo.write"
            )
        kind = str(dataset.dtype)
        if kind not in COLUMNS:
            raise ValueError(f"it holds {kind}; those that can be read are {', '.join(COLUMNS)}")
        if str(dataset.header.file.unit_convention).lower().endswith("unitless"):
            raise ValueError("it was written without units: write it in another convention")
        found, notes = _find(dataset.columns, kind)
        names = sorted({name for _, needed in found for name in needed})
        if not names:
            raise ValueError(
                f"it holds no filter and none of {', '.join(c.name for c in COLUMNS[kind])}"
            )
        if limit is not None:
            dataset = dataset.take(min(limit, len(dataset)), at="start")
        # OpenCosmo has taken out h already: it opens files in comoving units. Physical ones would
        # differ in lengths only, and cannot be had of a lightcone without a redshift in its header.
        data = dataset.select(names).get_data()
        # Of a single column OpenCosmo gives no table.
        data = {names[0]: data} if len(names) == 1 else {name: data[name] for name in names}
        cosmology, about = dataset.cosmology, dataset.header.file
        snapshot = None if about.is_lightcone else about.redshift
    if "physical" in str(about.unit_convention).lower():
        # OpenCosmo gives files that were written in physical units without any.
        data = _with_recorded_units(path, data)
    columns = {}
    for target, needed in found:
        columns[target] = _READERS.get(target, _plain)(data, needed, target, kind, cosmology)
    if "redshift" not in columns and snapshot is not None:
        n = len(next(iter(columns.values())))
        columns["redshift"] = Column(np.full(n, snapshot), unit="")
        notes.append(f"redshift is that of the snapshot, {snapshot:g}")
    log.info("OpenCosmo: " + "; ".join(notes))
    return columns, {
        "kind": f"OpenCosmo {kind}",
        "cosmology": {"H0": float(cosmology.H0.value), "Om0": float(cosmology.Om0)},
        "opencosmo": opencosmo.__version__,
        "notes": notes,
    }


@contextmanager
def _closing(opened):
    """Close a catalogue at the end; OpenCosmo fails to close lightcones of several datasets."""

    def close(item):
        if isinstance(item, dict):
            for child in item.values():
                close(child)
        elif hasattr(item, "close"):
            # Datasets of one file share it: the first has closed it for the others.
            with suppress(ValueError):
                item.close()

    try:
        yield opened
    finally:
        close(opened)


def _find(names, kind):
    """What to read: pairs of target and the columns it needs, and notes for the log."""
    found, notes = {}, []
    for column in COLUMNS[kind]:
        if column.name in names and column.target not in found:
            found[column.target] = (column.name,)
            differs = f" ({column.note})" if column.note else ""
            notes.append(f"{column.target} from {column.name}{differs}")
    for name in names:
        if (target := find_name(name)) is not None:
            found.setdefault(target, (name,))
    if kind == "synthetic_galaxies":
        if {_SSFR, "logsm_obs"} <= set(names):
            found["sfr"] = ("logsm_obs", _SSFR)
            notes.append(f"sfr from logsm_obs and {_SSFR} (at one time, no mean over 100 Myr)")
        redshift = next((n for n in ("redshift_true", "redshift_obs") if n in names), None)
        if redshift and set(_DIFFMAH) <= set(names):
            found["mah"] = (*_DIFFMAH, redshift)
            notes.append("mah from the parameters of Diffmah")
        notes += [note for name, note in _NOT_READ.items() if name in names]
    return list(found.items()), notes


def _plain(data, needed, target, kind, _):
    """A column as it is, with its unit."""
    (name,) = needed
    values, unit = _split(data[name])
    known = next((c.unit for c in COLUMNS[kind] if c.name == name), None)
    if unit is None and known is None:
        # diffsky writes nothing but AB magnitudes into columns named by filter.
        if kind != "synthetic_galaxies":
            raise ValueError(f"column {name!r} has no unit: record it in its attribute 'unit'")
        known = "mag(AB)"
    unit = u.Unit(known) if unit is None else unit
    if target == "redshift":
        unit = u.dimensionless_unscaled
    return Column(values, unit=unit)


def _sfr(data, needed, *_):
    mass, ssfr = (_split(data[name]) for name in needed)
    for name, (_, unit), fits in zip(needed, (mass, ssfr), ("solMass", "1 / yr"), strict=True):
        if unit not in (None, u.Unit(f"dex({fits})")):
            raise ValueError(f"column {name!r} has unit {str(unit)!r}, expected 'dex({fits})'")
    return Column(mass[0] + ssfr[0], unit=u.Unit("dex(solMass / yr)"))


def _mah(data, needed, target, kind, cosmology):
    r"""Masses of the main progenitor in the middle of the bins of lookback time.

    Diffmah (Hearin et al. 2021): :math:`M(t) = M_0 (t / t_0)^{\alpha(t)}`, where the index goes
    from early to late as a sigmoid in log t of speed k. Growth ends at ``t_peak``.
    """
    logm0, logtc, early, late, t_peak, z = (_split(data[name])[0][:, None] for name in needed)
    grid = np.expm1(np.linspace(0, np.log1p(max(z.max(), 0.1)), 1000))
    now = np.interp(z, grid, cosmology.age(grid).to_value(u.Gyr))
    time = now - LOOKBACK_MIDDLES
    with np.errstate(divide="ignore", invalid="ignore"):
        log_time = np.log10(np.minimum(time, t_peak))
        index = early + (late - early) / (1 + np.exp(-_DIFFMAH_K * (log_time - logtc)))
        log_mass = logm0 + index * (log_time - np.log10(cosmology.age(0).to_value(u.Gyr)))
        mass = np.where(time > 0, 10.0**log_mass, 0.0)
    return Column(mass, unit=u.solMass)


_READERS = {"sfr": _sfr, "mah": _mah}


def _with_recorded_units(path, data):
    """Columns with the units that stand in the file."""
    import h5py

    units = {}

    def visit(name, item):
        group, _, column = name.rpartition("/")
        if column in data and group.rpartition("/")[2] == "data":
            units.setdefault(column, str(item.attrs.get("unit", "None")))

    with h5py.File(path) as file:
        file.visititems(visit)
    return {
        name: column if units[name] in ("None", "") else Column(column, unit=u.Unit(units[name]))
        for name, column in data.items()
    }


def _split(column):
    """Values and unit of a column of OpenCosmo, which may be a Quantity, a Column or an array."""
    unit = getattr(column, "unit", None)
    return np.asarray(getattr(column, "value", column), dtype=float), unit
