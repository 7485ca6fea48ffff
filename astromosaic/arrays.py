"""Arrays of numbers as people hand them over: with units, masks, or in columns of a table."""

import numpy as np

__all__ = ["as_array"]


def as_array(value, unit=""):
    """Numbers in a unit as an array of float; NaN where they are masked.

    Parameters
    ----------
    value : array_like, Quantity or Column
        What has no unit is taken to be in this one.
    unit : str
        In Astropy's spelling; empty if dimensionless.

    Returns
    -------
    ndarray of float

    Raises
    ------
    astropy.units.UnitConversionError
        If the value has another unit that cannot be converted.
    """
    from astropy import units as u

    mask, own = getattr(value, "mask", False), getattr(value, "unit", None)
    bare = getattr(value, "unmasked", value)
    number = np.asarray(np.ma.getdata(getattr(bare, "value", bare)), float)
    wanted = u.Unit(unit)
    # A plain 'mag' says nothing of its zero point: it is the one that is asked for.
    if own is not None and not (u.Unit(own) == u.mag and hasattr(wanted, "physical_unit")):
        number = (number << u.Unit(own)).to_value(wanted)
    return np.where(mask, np.nan, number)
