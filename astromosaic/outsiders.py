"""Stars and quasars among the galaxies, told apart by their place in latent space.

The bands of a star or a quasar agree with each other as those of some galaxy do, so that the check
of each band against the rest (`astromosaic.checks`) does not find them. The state of the galaxy
token, which has seen all bands, tells more. A small classifier of it is fitted to stars, quasars
and simulated galaxies in many cameras by ``benchmarks/fit_outsiders.py``. It goes with the weights
that it was fitted to, and is kept in their model card.
"""

from dataclasses import dataclass, replace

import numpy as np

from .filters import filter_shapes
from .galaxies import MEASURED, MISSING

__all__ = [
    "CARD_KEY",
    "FEWEST_BANDS",
    "KINDS",
    "WAVELENGTHS",
    "Outsiders",
    "class_probabilities",
    "outsider_flags",
]

#: What there is, in the order of probabilities.
KINDS = ("galaxy", "star", "quasar")
#: The entry of the model card that holds the classifier.
CARD_KEY = "outsiders"
#: With fewer measured bands there is no answer.
FEWEST_BANDS = 4
#: Only filters with a pivot wavelength between these, in micron, are looked at: stars and quasars
#: beyond them are not well enough known to learn from.
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
    def of_card(cls, card):
        """The classifier of a model card; None if it has none."""
        if CARD_KEY not in card:
            return None
        entry = card[CARD_KEY]
        return cls(np.array(entry["hidden"]), np.array(entry["logits"]), entry["threshold"])

    def to_card(self):
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


def class_probabilities(model, galaxies, progress=False):
    """How likely each is a galaxy, a star or a quasar, by its broadband photometry alone.

    Parameters
    ----------
    model : astromosaic.inference.Model
    galaxies : Galaxies
    progress : bool
        Show a progress bar.

    Returns
    -------
    ndarray (n, 3)
        In the order of `KINDS`, as if half of all objects were galaxies, a quarter stars and a
        quarter quasars at any brightness. NaN where fewer than `FEWEST_BANDS` bands are measured
        within `WAVELENGTHS`, and everywhere if the model has no classifier.
    """
    classifier = Outsiders.of_card(model.card)
    result = np.full((len(galaxies), len(KINDS)), np.nan)
    galaxies = replace(galaxies, scalars={}, vectors={})
    photometry = galaxies.photometry
    low, high = np.log(WAVELENGTHS)
    pivot = filter_shapes(galaxies.filters)[:, 0]
    state = np.where((pivot > low) & (pivot < high), photometry.state, MISSING)
    rows = np.flatnonzero((state == MEASURED).sum(axis=1) >= FEWEST_BANDS)
    if classifier is not None and len(rows):
        judged = replace(galaxies, photometry=replace(photometry, state=state))[rows]
        result[rows] = classifier.probabilities(model.embed_of(judged, progress))
    return result


def outsider_flags(model, probabilities):
    """Bits of `astromosaic.results.FLAGS` for probabilities of `class_probabilities`; int (n,).

    16 for stars and 32 for quasars, by which is more likely, where a galaxy is less likely than
    the threshold of the model's classifier; 0 where there is no answer.
    """
    classifier = Outsiders.of_card(model.card)
    if classifier is None:
        return np.zeros(len(probabilities), int)
    # NaN is below nothing.
    outside = probabilities[:, 0] < classifier.threshold
    return np.where(outside, np.where(probabilities[:, 1] >= probabilities[:, 2], 16, 32), 0)
