"""Numbers with units and masks."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn
from astropy.utils.masked import Masked

from astromosaic.arrays import as_array


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ([1, 2], "", [1.0, 2.0]),
        ([1.0, 2.0] * u.uJy, "nJy", [1e3, 2e3]),
        (Column([1.0, 2.0], unit="uJy"), "nJy", [1e3, 2e3]),
        (MaskedColumn([1.0, 2.0], mask=[False, True], unit="uJy"), "nJy", [1e3, np.nan]),
        (MaskedColumn([1, -99], mask=[False, True]), "", [1.0, np.nan]),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "", [np.nan, 2.0]),
        (Masked([1.0, 2.0] * u.kg, mask=[True, False]), "g", [np.nan, 2e3]),
        ([20.0, 21.0] * u.ABmag, "mag(AB)", [20.0, 21.0]),
        (Column([20.0, 21.0], unit="mag(AB)"), "mag(AB)", [20.0, 21.0]),
        (Column([20.0, 21.0], unit="mag"), "mag(AB)", [20.0, 21.0]),
        (Column([9.0, 10.0], unit="dex(solMass)"), "solMass", [1e9, 1e10]),
        (3.0 * u.percent, "", 0.03),
    ],
)
def test_arrays(value, unit, expected):
    np.testing.assert_allclose(as_array(value, unit), expected)


def test_units_that_do_not_fit():
    with pytest.raises(u.UnitConversionError):
        as_array([1.0] * u.nJy, "solMass")
