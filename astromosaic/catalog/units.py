"""Where units and masks end: columns to plain arrays, fluxes and magnitudes to nJy."""

import numpy as np
from astropy import units as u

__all__ = ["magnitude_unit", "njy_per", "no_unit_message", "plain", "to_internal", "to_njy"]

#: Spellings of units that astropy does not know, in lower case.
SPELLINGS = {
    "abmag": "mag(AB)",
    "ab mag": "mag(AB)",
    "mag (ab)": "mag(AB)",
    "ab": "mag(AB)",
    "stmag": "mag(ST)",
    "magnitude": "mag",
    "magnitudes": "mag",
    "mags": "mag",
    "nmgy": "nmgy",
    "nanomaggies": "nmgy",
    "maggies": "mgy",
    "microjy": "uJy",
    "µjy": "uJy",
    "msun": "solMass",
    "m_sun": "solMass",
    "msun/yr": "solMass / yr",
    "msun yr-1": "solMass / yr",
}

#: Spellings of the units of properties that have no other scale, by the property's unit. An empty
#: one means that none is needed.
_ACCEPTED = {"": {"", "redshift"}, "dex": {"", "dex", "dex(1)"}, "mag": {"", "mag"}}

_AB_ZERO_POINT = 1 * u.AB


def plain(name, column):
    """The values of a column without unit and mask.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    column : Column, MaskedColumn, Quantity or Masked Quantity

    Returns
    -------
    values : ndarray of float64
    mask : ndarray of bool
        Where values are masked.
    unit : astropy.units.UnitBase or None

    Raises
    ------
    ValueError
        If the column does not hold numbers, or its unit is not understood.
    """
    unit = getattr(column, "unit", None)
    if isinstance(unit, u.UnrecognizedUnit):
        # Some are unknown only to the format of the file they were read from.
        spelling = str(unit).strip()
        unit = u.Unit(SPELLINGS.get(spelling.lower(), spelling), parse_strict="silent")
    if isinstance(unit, u.UnrecognizedUnit):
        raise ValueError(f"column {name!r}: unit {str(unit)!r} is not understood")
    # The mask must be taken first: it is lost on the way to a plain array.
    mask = getattr(column, "mask", None)
    values = getattr(column, "unmasked", column)
    values = np.ma.getdata(getattr(values, "value", values))
    if values.dtype.kind in "OSUV":
        values = _numbers_from_objects(name, values)
    values = np.asarray(values, dtype=float)
    mask = np.zeros(values.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    if mask.ndim < values.ndim:  # of a column of objects that are arrays
        mask = mask[:, None]
    return values, np.broadcast_to(mask, values.shape), unit


def _numbers_from_objects(name, values):
    """Columns of Python objects, as tables from elsewhere may have them, if they are numbers."""
    if values.dtype.kind == "O" and not any(isinstance(v, (str, bytes)) for v in values.flat):
        try:
            return np.array([np.nan if v is None else v for v in values], dtype=float)
        except (TypeError, ValueError):
            pass
    raise ValueError(
        f"column {name!r} does not hold numbers: convert it, or leave it out with "
        f"columns={{{name!r}: None}}"
    )


def no_unit_message(name, example):
    """What to say of a column without a unit."""
    return f"column {name!r} has no unit; give it one, e.g. table[{name!r}].unit = {example}"


def magnitude_unit(unit):
    """Whether a unit is one of magnitudes."""
    return unit == u.mag or isinstance(unit, u.MagUnit)


def njy_per(unit, pivot):
    """What one of a linear unit of flux is in nJy at wavelengths in Angstrom.

    Raises UnitConversionError.
    """
    if isinstance(unit, u.function.FunctionUnitBase):
        raise u.UnitConversionError
    equivalencies = u.spectral_density(pivot * u.AA) + u.zero_point_flux(_AB_ZERO_POINT)
    return (1 * unit).to_value(u.nJy, equivalencies)


def to_njy(name, values, unit, errors=None, error_unit=None, pivot=None, softening=None):
    r"""Fluxes or magnitudes with their errors, in nJy.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values, errors : ndarray
        Errors may be None.
    unit, error_unit : astropy.units.UnitBase or None
        A plain ``mag`` is on the AB system. Errors of magnitudes need no unit.
    pivot : float or ndarray
        Pivot wavelength in Angstrom of the filter, with which :math:`f_\lambda` is converted.
    softening : float, optional
        The parameter b of asinh magnitudes (Lupton, Gunn & Szalay 1999).

    Returns
    -------
    flux, error : ndarray
        Errors are NaN where there are none. Those of magnitudes to first order:
        :math:`\sigma_f = 0.4 \ln 10\, f\, \sigma_m`.

    Raises
    ------
    ValueError
        If a unit is missing or is not one of flux densities or magnitudes.
    """
    if unit is None:
        raise ValueError(no_unit_message(name, "'nJy' (flux) or 'mag(AB)' (magnitude)"))
    if errors is None:
        errors = np.full(values.shape, np.nan)
    is_magnitude = magnitude_unit(unit)
    linear = u.AB if unit == u.mag else unit.physical_unit if is_magnitude else unit
    try:
        scale = njy_per(linear, pivot)
    except u.UnitConversionError:
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}, which is no flux density or magnitude: give "
            "it its true unit, such as 'nJy' or 'mag(AB)', or leave it out with "
            f"columns={{{name!r}: None}}"
        ) from None

    if is_magnitude:
        if not (error_unit in (None, u.dimensionless_unscaled) or magnitude_unit(error_unit)):
            raise ValueError(
                f"column {name!r} holds magnitudes, but its errors have unit {str(error_unit)!r}"
            )
        ln_f = -0.4 * np.log(10) * values
        with np.errstate(over="ignore", invalid="ignore"):
            if softening is None:
                flux = scale * np.exp(ln_f)
                slope = flux
            else:
                flux = scale * 2 * softening * np.sinh(ln_f - np.log(softening))
                slope = scale * 2 * softening * np.cosh(ln_f - np.log(softening))
            return flux, 0.4 * np.log(10) * slope * errors

    if error_unit is None and np.isfinite(errors).any():
        raise ValueError(
            f"the errors of column {name!r} have no unit; give them one, e.g. {str(unit)!r}"
        )
    try:
        error_scale = scale if error_unit is None else njy_per(error_unit, pivot)
    except u.UnitConversionError:
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}, but its errors have {str(error_unit)!r}"
        ) from None
    with np.errstate(over="ignore"):
        return values * scale, errors * error_scale


def to_internal(name, prop, values, unit, errors=None, error_unit=None):
    """A property and its errors in its internal coordinate.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    prop : astromosaic.properties.Property
    values, errors : ndarray
        Errors may be None.
    unit, error_unit : astropy.units.UnitBase or None
        Linear, or dex of the property's unit. What is dimensionless by nature needs no unit, nor
        do errors in dex.

    Returns
    -------
    coordinate, error : ndarray

    Raises
    ------
    ValueError
        If a unit is missing or of the wrong kind.
    """
    errors = np.full(values.shape, np.nan) if errors is None else errors
    if unit is None and prop.unit not in ("", "dex"):
        logarithmic = "" if prop.unit in _ACCEPTED else f" or 'dex({prop.unit})'"
        raise ValueError(no_unit_message(name, f"'{prop.unit}'{logarithmic}"))
    try:
        if prop.unit in _ACCEPTED:
            if not {str(unit or ""), str(error_unit or "")} <= _ACCEPTED[prop.unit]:
                raise u.UnitConversionError
            return prop.to_internal(values), prop.error_to_internal(values, errors)
        own = u.Unit(prop.unit)
        if isinstance(unit, u.DexUnit):
            if not (error_unit in (None, u.dex) or isinstance(error_unit, u.DexUnit)):
                raise u.UnitConversionError
            return values + np.log10((1 * unit.physical_unit).to_value(own)), errors
        with np.errstate(over="ignore"):
            values = values * _scale(unit, own)
            errors = errors * _scale(unit if error_unit is None else error_unit, own)
    except u.UnitConversionError:
        errors_have = f" and its errors {str(error_unit)!r}" if error_unit is not None else ""
        h = " (without factors of h)" if "solMass" in prop.unit else ""
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}{errors_have}, but {prop.name} is in "
            f"{prop.unit or 'no unit'!r}{h}; leave it out with columns={{{name!r}: None}}"
        ) from None
    if prop.name == "sfr":
        # By its definition: rates below the range are set to its lower end.
        values = np.where(values >= 0, np.maximum(values, 10.0**prop.low), values)
    return prop.to_internal(values), prop.error_to_internal(values, errors)


def _scale(unit, own):
    """What one of a linear unit is in another; raises UnitConversionError."""
    if isinstance(unit, u.function.FunctionUnitBase):
        raise u.UnitConversionError
    return (1 * unit).to_value(own)
