"""Where units and masks end: columns to plain arrays, fluxes and magnitudes to nJy."""

import re
import warnings

import numpy as np
from astropy import units as u

__all__ = [
    "asinh_unit",
    "magnitude_unit",
    "njy_per",
    "no_unit_message",
    "parse_unit",
    "plain",
    "to_internal",
    "to_njy",
    "vega_unit",
]

# Magnitudes whose zero point or form is not in the unit, but in the filter or the survey.
_VEGA = u.MagUnit(u.def_unit("VEGA", doc="flux of Vega in the filter"))
_ASINH = u.MagUnit(u.def_unit("asinh", doc="asinh magnitudes (Lupton, Gunn & Szalay 1999)"))

#: Spellings of units that astropy does not know, in lower case without blanks, brackets and
#: punctuation.
SPELLINGS = {
    **dict.fromkeys(("ab", "abmag", "magab", "abmags", "magsab", "abmagnitude", "abmagnitudes"),
                    u.ABmag),
    **dict.fromkeys(("stmag", "magst", "stmags"), u.STmag),
    **dict.fromkeys(("vega", "vegamag", "magvega", "vegamags", "magsvega", "vegamagnitude"), _VEGA),
    **dict.fromkeys(("asinhmag", "magasinh", "asinh", "luptitude", "luptitudes"), _ASINH),
    **dict.fromkeys(("mag", "mags", "magnitude", "magnitudes"), u.mag),
    **dict.fromkeys(("millijy", "millijansky", "millijanskys"), u.mJy),
    **dict.fromkeys(("jy", "jansky", "janskys"), u.Jy),
    **dict.fromkeys(("ujy", "µjy", "μjy", "microjy", "ujansky", "microjanskys"), u.uJy),
    **dict.fromkeys(("njy", "nanojy", "njansky", "nanojanskys"), u.nJy),
}  # fmt: skip

#: Parts of units that astropy does not know, as regular expressions, and what they are.
PARTS = (
    (r"nano-?magg(y|ies?)|nmagg(y|ies?)|nmgys?", "nmgy"),
    (r"magg(y|ies?)|mgys?", "mgy"),
    (r"ergs", "erg"),
    (r"M_?(sun|sol|solar|⊙|☉)", "solMass"),
    (r"ang|angstroms|ångströms?", "Angstrom"),
    (r"littleh|little_h", "h"),
)

#: A factor of h in a unit that is not understood.
_H = re.compile(r"(?<![A-Za-z])h(?:50|70|75|100)?(?![A-Za-z])")

# What astropy reads otherwise than astronomers mean it: the abit is 1e-18 bits.
_MISREAD = {
    u.Unit("AB mag"): u.ABmag,
    u.Unit("ab mag"): u.ABmag,
    u.Unit("mag(ab)"): u.ABmag,
    u.Unit("ST mag"): u.STmag,
    u.AB: u.ABmag,
    u.ST: u.STmag,
}

#: Spellings of the units of properties that have no other scale, by the property's unit. An empty
#: one means that none is needed.
_ACCEPTED = {"": {"", "redshift"}, "dex": {"dex", "dex(1)"}, "mag": {"mag"}}

_AB_ZERO_POINT = 1 * u.AB

#: With which NumPy fills up masked arrays.
_FILL_VALUE = 1e20


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
        Where values are masked, or have been filled with 1e20.
    unit : astropy.units.UnitBase or None

    Raises
    ------
    ValueError
        If the column does not hold numbers, its unit is not understood or has a factor of h.
    """
    unit = parse_unit(name, getattr(column, "unit", None))
    # The mask must be taken first: it is lost on the way to a plain array.
    mask = getattr(column, "mask", None)
    values = np.asarray(getattr(column, "unmasked", column))
    # Times and positions are no arrays, but have values; truths and complex numbers are no numbers.
    if values.dtype.kind not in "iuf" or not isinstance(column, np.ndarray):
        values = _numbers_from_objects(name, values)
    values = np.asarray(values, dtype=float)
    mask = np.zeros(values.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    if mask.ndim < values.ndim:  # of a column of objects that are arrays
        mask = mask[:, None]
    # What NumPy writes in place of masked values is seldom told from them later on.
    mask = mask | np.isclose(values, _FILL_VALUE, rtol=1e-6, atol=0)
    return values, mask, unit


def parse_unit(name, unit):
    """A unit as it is meant, whoever has spelt it.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    unit : str, astropy.units.UnitBase or None

    Returns
    -------
    astropy.units.UnitBase or None
        None if there is none. Of Vega magnitudes it is one for which `vega_unit` is true.

    Raises
    ------
    ValueError
        If the unit is not understood or has a factor of h.
    """
    if unit is None or isinstance(unit, str) and not unit.strip():
        return None
    # Some are unknown only to the format of the file that they were read from.
    if isinstance(unit, str | u.UnrecognizedUnit):
        unit = _spelt(str(unit).strip())
    if isinstance(unit, u.UnrecognizedUnit | u.StructuredUnit):
        h = "; what is read is without factors of h" if _H.search(str(unit)) else ""
        raise ValueError(
            f"column {name!r}: unit {str(unit)!r} is not understood{h}; give it another, such as "
            f"table[{name!r}].unit = 'nJy' of a flux or 'solMass' of a mass, or leave it out with "
            f"columns={{{name!r}: None}}"
        )
    unit = _MISREAD.get(unit, unit)
    if u.A in getattr(unit, "bases", ()):
        # Nobody measures flux per ampere: it is the Angstrom, spelt as files often do.
        meant = unit * (u.A / u.AA) ** -unit.powers[unit.bases.index(u.A)]
        unit = meant if meant.physical_type == "power density/spectral flux density wav" else unit
    _refuse_h(name, unit)
    return unit


def _spelt(text):
    """A unit by its spelling, one that astropy may not know."""
    compact = re.sub(r"[\s_()\[\]{}.,'\"-]", "", text.lower())
    if compact in SPELLINGS:
        return SPELLINGS[compact]
    for pattern, meaning in PARTS:
        text = re.sub(rf"(?<![a-z])({pattern})(?![a-z])", meaning, text, flags=re.I)
    # Logarithms: log10(Msun), log(M/Msun), and [Msun] as the CDS writes it.
    if found := re.fullmatch(r"(?:log(?:10)?|dex)\s*\(?(.+?)\)?|\[(.+)\]", text, re.I):
        inside = re.sub(r"^(m|m\*|m_?star|mass|sfr)\s*/\s*", "", found[1] or found[2], flags=re.I)
        inside = _parsed(inside.strip("() "))
        if not isinstance(inside, u.UnrecognizedUnit):
            return u.DexUnit(inside)
    return _parsed(text)


def _parsed(text):
    """What astropy makes of a unit, without its advice on spelling."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        return u.Unit(text, parse_strict="silent")


def _refuse_h(name, unit):
    """Raise if a unit of masses or luminosities has a factor of h, the Hubble parameter."""
    linear = getattr(unit, "physical_unit", unit)
    h = next((base for base in linear.bases if str(base) in ("littleh", "h")), None)
    # Astropy takes the h of 'Msun/h' for the hour: one of luminosities and masses it is not.
    if h is None or (h == u.h and not {u.solMass, u.solLum, u.kg, u.g} & {*linear.bases}):
        return
    from astropy.cosmology import Planck15

    power = linear.powers[linear.bases.index(h)]
    without, factor = f"{linear / h**power}", "h"
    if abs(power) in (50, 70, 75):
        # Astropy takes h70, which is h / 0.7, for the 70th power of h.
        power, factor = power / abs(power), f"(h / {abs(power) / 100:g})"
    if linear is unit:
        remedy = f"divide by {factor}" if power == -1 else f"multiply by {factor}**({power:g})"
    else:
        logarithm = f"log10({factor.strip('()')})"
        remedy = f"subtract {logarithm}" if power == -1 else f"add {power:g} * {logarithm}"
        without = f"dex({without})"
    raise ValueError(
        f"column {name!r} has unit {str(unit)!r}, with a factor of h, the Hubble parameter; what "
        f"is read is without factors of h: {remedy}, with the h of the cosmology that the values "
        f"were made with (h = {Planck15.h:.4g} in Planck15, which is used here), and give the unit "
        f"{without!r}"
    )


def _numbers_from_objects(name, values):
    """Columns of Python objects, as tables from elsewhere may have them, if they are numbers."""
    no_number = (str, bytes, bool, np.bool_)
    if values.dtype.kind == "O" and not any(isinstance(v, no_number) for v in values.flat):
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


def vega_unit(unit):
    """Whether a unit is one of Vega magnitudes, ours or another package's."""
    return isinstance(unit, u.MagUnit) and str(unit.physical_unit).lower() == "vega"


def asinh_unit(unit):
    """Whether a unit is one of asinh magnitudes."""
    return unit == _ASINH


def njy_per(unit, pivot):
    """What one of a linear unit of flux is in nJy at wavelengths in Angstrom.

    Raises UnitConversionError.
    """
    if isinstance(unit, u.function.FunctionUnitBase):
        raise u.UnitConversionError
    zero_point = u.zero_point_flux(_AB_ZERO_POINT)
    try:
        return (1 * unit).to_value(u.nJy, zero_point)
    except u.UnitConversionError:
        # Only now: astropy takes most of the time of reading a small table for this list.
        per_wavelength = u.spectral_density(pivot * u.AA)
        return (1 * unit).to_value(u.nJy, per_wavelength + zero_point)


def to_njy(
    name, values, unit, errors=None, error_unit=None, pivot=None, softening=None, vega_to_ab=None
):
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
    vega_to_ab : float or ndarray, optional
        AB minus Vega magnitude of the filter, with which Vega magnitudes are converted.

    Returns
    -------
    flux, error : ndarray
        Errors are NaN where there are none. Those of magnitudes to first order:
        :math:`\sigma_f = 0.4 \ln 10\, f\, \sigma_m`.

    Raises
    ------
    ValueError
        If a unit is missing or is not one of flux densities or magnitudes; if what converts Vega
        or asinh magnitudes is not known.
    """
    if unit is None:
        raise ValueError(no_unit_message(name, "'nJy' (flux) or 'mag(AB)' (magnitude)"))
    if errors is None:
        errors = np.full(values.shape, np.nan)
    is_magnitude = magnitude_unit(unit)
    if vega_unit(unit):
        if vega_to_ab is None or not np.isfinite(vega_to_ab).all():
            raise ValueError(
                f"column {name!r} holds Vega magnitudes, but Vega's AB magnitude there is not "
                "known: convert it to AB magnitudes or to flux densities"
            )
        values, unit = values + vega_to_ab, u.ABmag
    if asinh_unit(unit):
        if softening is None:
            raise ValueError(
                f"column {name!r} holds asinh magnitudes of unknown softening (it is known of "
                "SDSS' own columns and filters): convert it to flux densities"
            )
        unit = u.ABmag
    linear = u.AB if unit == u.mag else unit.physical_unit if is_magnitude else unit
    try:
        if isinstance(linear, u.UnitBase) and linear.is_equivalent("W / m2"):
            raise u.UnitConversionError
        scale = njy_per(linear, pivot)
    except u.UnitConversionError:
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}, which is no flux density or magnitude"
            f"{_kind(linear)}: give it its true unit, such as 'nJy' or 'mag(AB)', or leave it out "
            f"with columns={{{name!r}: None}}"
        ) from None

    if is_magnitude:
        if error_unit is not None and error_unit.is_equivalent(u.mag) and error_unit != u.mag:
            errors, error_unit = errors * error_unit.to(u.mag), u.mag  # mmag
        if not (error_unit in (None, u.dimensionless_unscaled) or magnitude_unit(error_unit)):
            raise ValueError(
                f"column {name!r} holds magnitudes, but its errors have unit {str(error_unit)!r}: "
                "give them in 'mag'"
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


def _kind(unit):
    """What a unit that is not one of flux densities is of, as part of a message."""
    if isinstance(unit, u.UnitBase):
        if any(unit.is_equivalent(x) for x in ("W", "W / Hz", "W / um", "solLum")):
            return " but a luminosity; what is read is the light that is observed"
        if unit.is_equivalent("W / m2"):
            return " but the flux of a whole line or band, or nu F_nu"
        if u.ct in unit.bases or u.electron in unit.bases or u.photon in unit.bases:
            return " but a count, which has no zero point"
    return ""


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
        Linear, or dex of the property's unit. Redshifts need no unit, nor do errors in dex.

    Returns
    -------
    coordinate, error : ndarray

    Raises
    ------
    ValueError
        If a unit is missing or of the wrong kind.
    """
    errors = np.full(values.shape, np.nan) if errors is None else errors
    if unit is None and prop.unit:
        logarithmic = "" if prop.unit in _ACCEPTED else f" or 'dex({prop.unit})'"
        raise ValueError(no_unit_message(name, f"'{prop.unit}'{logarithmic}"))
    try:
        if prop.unit in _ACCEPTED:
            accepted = _ACCEPTED[prop.unit]
            if str(unit or "") not in accepted or str(error_unit or "") not in {"", *accepted}:
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
        h = " of the solar one" if prop.name == "metallicity" else h
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}{errors_have}, but {prop.name} is in "
            f"{prop.unit or 'no unit'!r}{h}: give it its true unit, or leave it out with "
            f"columns={{{name!r}: None}}"
        ) from None
    like_logarithms = values[(values >= prop.low) & (values <= prop.high)]
    if prop.unit == "solMass" and len(like_logarithms) and not (values >= 10.0**prop.low).any():
        raise ValueError(
            f"column {name!r} has unit {str(unit)!r}, but no galaxy has a {prop.name} of "
            f"{like_logarithms[0]:.4g} solMass: if these are logarithms, give it the unit "
            "'dex(solMass)'"
        )
    if prop.name == "sfr":
        # By its definition: rates below the range are set to its lower end.
        values = np.where(values >= 0, np.maximum(values, 10.0**prop.low), values)
    return prop.to_internal(values), prop.error_to_internal(values, errors)


def _scale(unit, own):
    """What one of a linear unit is in another; raises UnitConversionError."""
    if isinstance(unit, u.function.FunctionUnitBase):
        raise u.UnitConversionError
    return (1 * unit).to_value(own)
