"""Stars and quasars among the galaxies, told apart by their place in latent space.

The bands of a star or a quasar agree with each other as those of some galaxy do, so that the check
of each band against the rest (`astromosaic.checks`) does not find them. The state of the galaxy
token, which has seen all bands, tells more. Two small classifiers of it, one for broadband
photometry and one for spectra, are fitted to stars, quasars and simulated galaxies in many cameras
and spectrographs by ``benchmarks/fit_outsiders.py``. They go with the weights that they were fitted
to, and are kept in their model card.
"""

from dataclasses import dataclass, replace

import numpy as np

from .filters import filter_shapes
from .galaxies import MEASURED, MISSING, Galaxies
from .properties import SPECTRUM_WAVELENGTH

__all__ = [
    "CARD_KEY",
    "FEWEST_BANDS",
    "FEWEST_PIXELS",
    "KINDS",
    "LIGHT",
    "WAVELENGTHS",
    "Outsiders",
    "classify",
]

#: What there is, in the order of probabilities.
KINDS = ("galaxy", "star", "quasar")
#: The entry of the model card that holds the classifiers.
CARD_KEY = "outsiders"
#: What there are classifiers of. Where there are several kinds of light, the last alone is judged:
#: a spectrum tells more than bands.
LIGHT = ("broadband", "spectrum")
#: With fewer bands that are detected, or measured pixels of the model's grid, there is no answer.
FEWEST_BANDS, FEWEST_PIXELS = 4, 100
#: At so many sigma a band is detected, and so is one without an error.
DETECTED = 3.0
#: Only filters with a pivot wavelength and pixels between these, in micron, are looked at: stars
#: and quasars beyond them are not well enough known to learn from.
WAVELENGTHS = (0.3, 2.4)


@dataclass(frozen=True)
class Outsiders:
    """A classifier of latent states: one hidden layer, and the softmax of three logits.

    Attributes
    ----------
    hidden : ndarray (d + 1, h)
        Coefficients of the hidden layer; the last row is the constant.
    logits : ndarray (h + 1, 3)
        Coefficients of the logits of `KINDS`, likewise.
    threshold : float
        What has a lower probability to be a galaxy is flagged.
    """

    hidden: np.ndarray
    logits: np.ndarray
    threshold: float

    @classmethod
    def of_card(cls, card, light):
        """The classifier of one of `LIGHT` in a model card; None if it has none."""
        entry = card.get(CARD_KEY, {}).get(light)
        return None if entry is None else cls.of_entry(entry)

    @classmethod
    def of_entry(cls, entry):
        """The classifier that `to_entry` wrote."""
        return cls(np.array(entry["hidden"]), np.array(entry["logits"]), entry["threshold"])

    def to_entry(self):
        """The same as plain types for a model card, coefficients to four digits."""

        def plain(array):
            return [[float(f"{x:.4g}") for x in row] for row in array]

        return {
            "hidden": plain(self.hidden), "logits": plain(self.logits),
            "threshold": float(f"{self.threshold:.4g}"),
        }  # fmt: skip

    def probabilities(self, states):
        """Probabilities of `KINDS` for latent states (n, d); (n, 3), NaN where the state is."""
        hidden = np.tanh(states @ self.hidden[:-1] + self.hidden[-1])
        logits = hidden @ self.logits[:-1] + self.logits[-1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


def classify(model, galaxies, progress=False):
    """How likely each is a galaxy, a star or a quasar, by its photometry or its spectrum alone.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
    progress : bool
        Show a progress bar.

    Returns
    -------
    probabilities : ndarray (n, 3)
        In the order of `KINDS`, as if half of all objects were galaxies, a quarter stars and a
        quarter quasars at any brightness. NaN where too little is measured within `WAVELENGTHS`,
        and where the model has no classifier.
    flags : ndarray of int (n,)
        Bits of `astromosaic.results.FLAGS`: 16 for stars and 32 for quasars, by which is more
        likely, where a galaxy is less likely than the threshold of the classifier; 0 where there
        is no answer.
    """
    probabilities = np.full((len(galaxies), len(KINDS)), np.nan)
    flags = np.zeros(len(galaxies), int)
    for light, (judged, enough) in zip(LIGHT, (_bands(galaxies), _pixels(galaxies)), strict=True):
        classifier, rows = Outsiders.of_card(model.card, light), np.flatnonzero(enough)
        if classifier is not None and len(rows):
            found = classifier.probabilities(model.embed_of(judged[rows], progress))
            kind = np.where(found[:, 1] >= found[:, 2], 16, 32)
            probabilities[rows] = found
            flags[rows] = np.where(found[:, 0] < classifier.threshold, kind, 0)
    return probabilities, flags


def _bands(galaxies):
    """The broadband photometry alone as far as it is judged, and which have enough of it."""
    photometry, (low, high) = galaxies.photometry, np.log(WAVELENGTHS)
    pivot = filter_shapes(galaxies.filters)[:, 0]
    state = np.where((pivot > low) & (pivot < high), photometry.state, MISSING)
    judged = Galaxies(len(galaxies), galaxies.filters, replace(photometry, state=state))
    error = np.nan_to_num(photometry.error)
    detected = (state == MEASURED) & (photometry.value > DETECTED * error)
    return judged, detected.sum(axis=1) >= FEWEST_BANDS


def _pixels(galaxies):
    """The same of spectra."""
    if "spectrum" not in galaxies.vectors:
        return galaxies, np.zeros(len(galaxies), bool)
    spectrum, (low, high) = galaxies.vectors["spectrum"], WAVELENGTHS
    inside = (SPECTRUM_WAVELENGTH > low) & (SPECTRUM_WAVELENGTH < high)
    spectrum = replace(spectrum, state=np.where(inside, spectrum.state, MISSING))
    judged = Galaxies(len(galaxies), vectors={"spectrum": spectrum})
    return judged, (spectrum.state == MEASURED).sum(axis=1) >= FEWEST_PIXELS
