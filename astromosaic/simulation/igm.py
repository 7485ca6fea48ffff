"""Absorption by the intergalactic medium: Inoue et al. 2014, MNRAS 442, 1805, equations 20-29.

Only the Lyman series is needed: no light leaves the simulated galaxies below the Lyman limit.
"""

import numpy as np

__all__ = ["lyman_series_transmission"]

# Redshift breaks and slopes of the Lyman alpha forest and of the damped systems.
_LAF = ((1.2, 4.7), (1.2, 3.7, 5.5))
_DLA = ((2.0,), (2.0, 3.0))


def lyman_series_transmission(rest_wave, redshift, coefficients):
    """Mean transmission of the Lyman series.

    Parameters
    ----------
    rest_wave : ndarray (n_wave,)
        Wavelength in the galaxy's rest frame, in Angstrom.
    redshift : ndarray (n_z,)
    coefficients : ndarray (n_line, 7)
        Table 2 of Inoue et al.: number, wavelength, three amplitudes of the forest and two of the
        damped systems.

    Returns
    -------
    ndarray (n_z, n_wave)
    """
    tau = np.zeros((len(redshift), len(rest_wave)))
    observed = rest_wave * (1 + np.asarray(redshift)[:, None])
    for _, line, *amplitudes in coefficients:
        absorbs = (rest_wave < line) & (observed > line)
        x = observed / line
        for amplitude, (breaks, slopes) in (
            (amplitudes[:3], _LAF),
            (amplitudes[3:], _DLA),
        ):
            part = np.searchsorted(np.asarray(breaks) + 1.0, x)
            tau += np.where(
                absorbs, np.asarray(amplitude)[part] * x ** np.asarray(slopes)[part], 0.0
            )
    return np.exp(-tau)
