"""Where filter curves come from: sedpy, arrays, files, and other libraries' objects.

sedpy's are read by file, and for SPHEREx by the column of a file.
"""

import hashlib
import warnings
from functools import lru_cache

import numpy as np

__all__ = [
    "checked_curve",
    "curve_of_file",
    "curve_of_object",
    "digest",
    "read_curve",
    "sedpy_names",
    "spherex_channels",
]

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


RESPONSES = ("photon", "energy")

#: SVO Filter Profile Service, PARAM DetectorType.
DETECTOR_TYPES = {"0": "energy", "1": "photon"}

#: Spellings of units in filter files that astropy does not know.
UNITS = {"angstroms": "Angstrom", "nanometers": "nm", "microns": "micron", "": None}

#: Points of a curve are no further apart than this in ln(wavelength).
_STEP = 0.005
#: Below the Lyman limit there are no filters for galaxies: such wavelengths are in another unit.
_SHORTEST = 900.0


def checked_curve(name, wavelength, transmission, response):
    """Arrays as a photon response: Angstrom, and response on any scale; increasing and finely
    sampled. See `Filter.from_arrays`."""
    from astropy import units as u

    if response not in RESPONSES:
        raise ValueError(f"response must be 'photon' or 'energy', not {response!r}")
    if not isinstance(wavelength, u.Quantity):
        raise TypeError(
            f"filter {name!r}: the wavelengths must be a Quantity, such as [4000, 5000] * u.AA"
        )
    try:
        x = np.array(wavelength.to_value(u.AA, u.spectral()), dtype=float)
        t = np.array(u.Quantity(transmission).to_value(u.one), dtype=float)
    except u.UnitConversionError as error:
        raise ValueError(f"filter {name!r}: {error}") from None
    if x.ndim != 1 or x.shape != t.shape or len(x) < 2:
        raise ValueError(
            f"filter {name!r}: wavelengths of shape {x.shape} and responses of shape {t.shape} are "
            "no curve; give two lists of the same length"
        )
    if not (np.isfinite(x).all() and np.isfinite(t).all() and np.all(x > 0)):
        raise ValueError(
            f"filter {name!r} has wavelengths or responses that are not finite, or wavelengths "
            "that are not positive: leave these points out"
        )
    order = np.argsort(x, kind="stable")
    x, t = x[order], np.maximum(t[order], 0.0)
    if np.any(np.diff(x) == 0):
        twice = x[:-1][np.diff(x) == 0][0]
        raise ValueError(f"filter {name!r} has the wavelength {twice:g} Angstrom twice")
    if not np.any(t > 0):
        raise ValueError(f"filter {name!r} has no response at all")
    positive = np.flatnonzero(t > 0)
    kept = slice(max(positive[0] - 1, 0), positive[-1] + 2)
    fine = _refined(x[kept])
    t = np.interp(fine, x, t)
    if response == "energy":
        t = t / fine * fine[np.argmax(t)]
    return fine, t


def _refined(x):
    """The points with others between them, none further apart than `_STEP`."""
    parts = np.ceil(np.diff(np.log(x)) / _STEP * (1 - 1e-9)).astype(int)
    fine = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(x[:-1], x[1:], np.maximum(parts, 1), strict=True)
    ]
    return np.concatenate([*fine, x[-1:]])


def digest(angstrom, transmission):
    """A short checksum of a curve; it does not depend on the scale of the response."""
    scaled = np.array([angstrom, transmission / transmission.max()])
    return hashlib.sha256(np.round(scaled, 9).tobytes()).hexdigest()[:12]


def curve_of_file(path, response, unit):
    """Wavelengths with unit, responses, name and kind of response; see `Filter.from_file`."""
    from astropy import units as u

    with open(path, "rb") as file:
        start = file.read(1024)
    name = path.stem
    if b"<VOTABLE" in start.upper() or start.lstrip().startswith(b"<?xml"):
        table, name, said = _read_votable(path, name)
        response = response or said
        if response is None:
            raise ValueError(
                f"{path.name} has no DetectorType: say with response= whether it is a 'photon' or "
                "an 'energy' response"
            )
    elif start.startswith((b"# %ECSV", b"SIMPLE  =")):
        from astropy.table import Table

        # ECSV and FITS: found by their contents.
        table = Table.read(path, format="ascii.ecsv" if start.startswith(b"#") else "fits")
    else:
        return *_read_text(path, unit), name, response or "photon"
    if len(table.colnames) < 2:
        raise ValueError(f"{path.name} has no two columns of wavelength and response")
    x, t = (table[column] for column in table.colnames[:2])
    unit = unit or UNITS.get(str(x.unit or "").lower(), x.unit)
    if unit is None:
        raise ValueError(f"{path.name}: column {x.name!r} has no unit; give it with unit=")
    if np.ma.is_masked(x) or np.ma.is_masked(t):
        raise ValueError(f"{path.name} has masked points: leave them out")
    percent = t.unit == u.percent
    return (
        u.Quantity(np.ma.getdata(getattr(x, "value", x)), unit),
        np.ma.getdata(getattr(t, "value", t)) * (0.01 if percent else 1.0),
        name,
        response or "photon",
    )


def _read_votable(path, name):
    """Table, name and kind of response, if the PARAMs tell."""
    from astropy.io.votable import parse_single_table

    with warnings.catch_warnings():
        # The SVO's files repeat PARAMs, and their units are not the standard's.
        warnings.simplefilter("ignore")
        votable = parse_single_table(str(path))
        params = {param.name: _text(param.value) for param in votable.params}
        return (
            votable.to_table(use_names_over_ids=True),
            params.get("filterID") or name,
            DETECTOR_TYPES.get(params.get("DetectorType")),
        )


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_text(path, unit):
    """Wavelengths with unit and responses of the first two columns of a text."""
    from astropy import units as u

    try:
        delimiter = "," if path.suffix.lower() == ".csv" else None
        x, t = np.loadtxt(path, usecols=(0, 1), unpack=True, ndmin=2, delimiter=delimiter)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path.name} is no table of wavelength and response: expected two columns of numbers, "
            f"and comments to begin with '#' ({error})"
        ) from None
    if unit is None and x.min() < _SHORTEST:
        raise ValueError(
            f"{path.name} begins at {x.min():g}, which can hardly be in Angstrom: give the unit of "
            "its wavelengths, such as unit='nm' or unit='um'"
        )
    return u.Quantity(x, unit or u.AA), t


def curve_of_object(obj):
    """Wavelengths with unit, responses and name of another library's filter.

    Libraries are told apart by what their objects have, without importing them.
    """
    from astropy import units as u

    def has(*names):
        return all(hasattr(obj, name) for name in names)

    if has("interpolator", "effective_wavelength"):  # speclite
        x, t = obj.interpolator.x, obj.interpolator.y
    elif has("wavelength", "transmission", "wave_effective"):  # sedpy
        x, t = obj.wavelength, obj.transmission
    elif has("waveset") and callable(obj):  # synphot
        x = obj.waveset
        if x is None:
            raise ValueError("the SpectralElement is a constant, which covers all wavelengths")
        t = obj(x)
        if not u.Quantity(t).unit.is_equivalent(u.one):
            raise TypeError(f"a {type(obj).__name__} is a spectrum of a source, not a filter")
    elif has("wave", "trans"):  # sncosmo
        x, t = obj.wave, obj.trans
    elif has("minwave", "maxwave") and callable(obj):  # an aggregate of sncosmo
        x = np.arange(obj.minwave(), obj.maxwave(), 1.0)
        t = obj(x)
    else:
        raise TypeError(
            f"a {type(obj).__name__} is no filter: give a name, a file, an "
            "astromosaic.filters.Filter, or one of synphot, speclite, sncosmo or sedpy"
        )
    meta = getattr(obj, "meta", None) or {}
    name = getattr(obj, "name", None) or meta.get("expr")
    if not isinstance(name, str):
        name = None
    return u.Quantity(x, u.AA), t, name
