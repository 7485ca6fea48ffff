r"""Zero points of a table from its own photometry: no redshift needs to be known.

Each band is hidden in turn and predicted from the others, as in `astromosaic.checks`. Where the
measured magnitudes are off by the same amount in galaxies of all kinds, either the zero point of
the band is, or the colours of the simulated galaxies are. Zero points of surveys and colours of
simulations are both right to a few hundredths of a magnitude, so that half is put down to each: the
shift s of band b is the difference that it leaves,

.. math:: s_b = \mathrm{median}_i \; [m_{ib} - s_b - \hat m_{ib}(\{m_{ic} - s_c, c \neq b\})],

found by iteration. Combinations of bands of which the photometry says little, such as a tilt of the
whole spectrum, stay near zero. Colours leave the mean of the shifts open: it is zero. Photometric
redshift codes do the like with spectroscopic redshifts and templates (Ilbert et al. 2006, A&A 457,
841; Brammer et al. 2008, ApJ 686, 1503), and pay for it with labels.
"""

from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.table import QTable

from .arrays import as_array
from .checks import without_band
from .filters import canonical_name
from .galaxies import MEASURED

__all__ = ["corrected", "estimate_zero_points", "read_zero_points"]

#: Fewest galaxies, well measured in all bands, from which zero points are estimated.
FEWEST = 100
# Only fluxes of this signal to noise in every band count: in fainter ones noise chooses galaxies.
_SIGNAL_TO_NOISE = 5.0
# Shifts go half of the way at a time, until they move by less than this (mag).
_STEP, _TOLERANCE, _ROUNDS = 0.5, 2e-3, 20


def estimate_zero_points(model, galaxies, most=1000, seed=0, progress=False):
    """How far the zero points of photometry are off.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
        Their broadband photometry; what else is known of them helps to predict it.
    most : int
        Use at most so many galaxies, drawn at random.
    seed : int
        Of that draw.
    progress : bool
        Show a progress bar.

    Returns
    -------
    QTable
        One row per filter: ``filter``; ``offset`` in mag, by which measured magnitudes are too
        faint, and its statistical ``error``. ``meta`` has the number
        of galaxies and the weights.

    Raises
    ------
    ValueError
        If there are fewer than three bands, or fewer than `FEWEST` galaxies measured well in all.
    """
    from tqdm import tqdm

    photometry = galaxies.photometry
    n_bands = len(galaxies.filters)
    if n_bands < 3:
        raise ValueError(f"zero points need three bands or more, not {n_bands}")
    well = (photometry.state == MEASURED) & (photometry.value > 0)
    # Fluxes of unknown error count too.
    well &= ~(photometry.value < _SIGNAL_TO_NOISE * photometry.error)
    rows = np.flatnonzero(well.all(axis=1))
    if len(rows) < FEWEST:
        raise ValueError(
            f"zero points need {FEWEST} galaxies measured at {_SIGNAL_TO_NOISE:g} sigma in all of "
            f"{', '.join(galaxies.filters)}, not {len(rows)}: leave a band out with "
            "columns={name: None}, or give more galaxies"
        )
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    galaxies = galaxies[rows]
    shift, move = np.zeros(n_bands), np.inf
    with tqdm(total=_ROUNDS, unit="round", disable=not progress) as bar:
        for _ in range(_ROUNDS):
            fainter = _fainter(model, _shifted(galaxies, shift))
            left = np.median(fainter, axis=0)
            step = _STEP * (left - left.mean() - shift)
            shift += step
            move = np.abs(step).max()
            bar.update()
            if move < _TOLERANCE:
                break
    spread = 1.2533 * 1.4826 * np.median(np.abs(fainter - np.median(fainter, axis=0)), axis=0)
    return QTable(
        {
            "filter": list(galaxies.filters),
            "offset": shift * u.mag,
            "error": 0.5 * spread / np.sqrt(len(rows)) * u.mag,
        },
        meta={
            "description": "How much too faint magnitudes are, by half of what the model expects",
            "galaxies": len(rows), "weights": model.checksum, "largest_last_step_mag": float(move),
        },
    )  # fmt: skip


def _fainter(model, galaxies):
    """Measured minus predicted magnitude of each band, hidden in turn; (n, filters)."""
    fainter = np.empty(galaxies.photometry.value.shape)
    for column, name in enumerate(galaxies.filters):
        posterior = model.posterior_of(without_band(galaxies, column), [name])[name]
        expected = np.maximum(posterior.median().value, 1e-3)
        fainter[:, column] = -2.5 * np.log10(galaxies.photometry.value[:, column] / expected)
    return fainter


def corrected(galaxies, zero_points):
    """Galaxies with their broadband fluxes corrected.

    Parameters
    ----------
    galaxies : Galaxies
    zero_points : dict of str to float
        By how many magnitudes measured magnitudes are too faint, by filter, as
        `read_zero_points` returns them.

    Returns
    -------
    Galaxies

    Raises
    ------
    ValueError
        If there is a zero point for a filter that the galaxies do not have.
    """
    if unknown := [name for name in zero_points if name not in galaxies.filters]:
        raise ValueError(
            f"zero points for {', '.join(unknown)}, but the photometry is in "
            f"{', '.join(galaxies.filters) or 'no filter'}"
        )
    return _shifted(galaxies, np.array([zero_points.get(f, 0.0) for f in galaxies.filters]))


def _shifted(galaxies, shift):
    photometry = galaxies.photometry
    factor = 10 ** (0.4 * shift)
    return replace(
        galaxies,
        photometry=replace(
            photometry, value=photometry.value * factor, error=photometry.error * factor
        ),
    )


def read_zero_points(zero_points):
    """Zero points as a dict of magnitudes by filter.

    Parameters
    ----------
    zero_points : Table or dict of str to float or Quantity
        With columns ``filter`` and ``offset``, as `estimate_zero_points` makes it; or offsets in
        mag by filter.

    Raises
    ------
    ValueError
        If it is something else, a filter is unknown, or an offset is no finite magnitude.
    """
    if hasattr(zero_points, "colnames"):
        if lacking := {"filter", "offset"} - set(zero_points.colnames):
            raise ValueError(
                f"the table of zero points has no column {', '.join(sorted(lacking))}: make it "
                "with `Model.zero_points` or 'astromosaic zeropoints'"
            )
        offset = zero_points["offset"]
        offset = as_array(offset, offset.unit or "") * u.Unit(offset.unit or u.mag)
        zero_points = dict(zip(zero_points["filter"], offset, strict=True))
    if not isinstance(zero_points, dict):
        raise ValueError(
            f"zero_points is a table or a dict of magnitudes by filter, not {zero_points!r}"
        )
    offsets = {}
    for name, offset in zero_points.items():
        unit = u.Unit(getattr(offset, "unit", u.mag) or u.mag)
        if not unit.is_equivalent(u.mag):
            raise ValueError(f"the zero point of {name} is in {unit}, not in mag")
        try:
            value = float(getattr(offset, "value", offset)) * unit.to(u.mag)
        except (TypeError, ValueError):
            value = offset
        if not isinstance(value, float) or not np.isfinite(value):
            raise ValueError(f"the zero point of {name} is {value}; give a number of magnitudes")
        offsets[canonical_name(str(name))] = value
    return offsets
