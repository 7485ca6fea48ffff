"""What is given and what is asked: the hierarchical masking scheme.

A batch is masked from the top down, so that it is rectangular and needs no padding:

1. *Modalities.* Broadband photometry, SPHEREx, or both; some scalars beside them, or alone.
2. *Cameras.* Of the broadband photometry, which cameras: mostly one, often with a near-infrared
   companion, sometimes a free mixture of filters.
3. *Bands.* Of each camera, some bands are lost.
4. *Channels.* Of SPHEREx, some channels are lost, galaxy by galaxy (`noise.drop_channels`).

All scalars are always asked: their answers cost one token together. Fluxes are asked in a few
filters, given ones among them.
"""

from dataclasses import dataclass

import numpy as np

from ..properties import PROPERTIES

__all__ = ["MaskingModel", "Pattern", "cameras", "draw_pattern"]

# How often an optical camera is drawn, in relative terms.
_OPTICAL = {
    "lsst": 6, "sdss": 3, "hsc": 2, "cfht_megacam": 3, "decam": 2, "panstarrs": 2, "bass": 1,
    "subaru_suprimecam": 1, "bessell": 0.5, "acs_wfc": 1, "gaia": 0.3,
}  # fmt: skip
_INFRARED = (
    "vista_vircam", "ukirt_wfcam", "cfht_wircam", "twomass", "wise", "spitzer_irac", "wfc3_ir",
    "jwst", "roman_wfi",
)  # fmt: skip
_ALIASES = {"mzls": "bass"}


@dataclass(frozen=True)
class MaskingModel:
    """Rates of the scheme; the defaults are those of the bundled weights.

    Attributes
    ----------
    both, spherex_only, scalars_only : float
        Chances that SPHEREx stands beside broadband photometry, or in its place, and that there is
        no photometry at all; otherwise broadband photometry stands alone.
    redshift, scalar : float
        Chance that the redshift is given, and each other scalar.
    infrared, ultraviolet, mixture : float
        Chance that an optical camera has a near-infrared and an ultraviolet companion, and that
        the photometry is a free mixture of filters in place of a camera.
    lost_band : float
        Chance that a band is lost.
    queries : int
        Number of fluxes asked.
    """

    both: float = 0.12
    spherex_only: float = 0.07
    scalars_only: float = 0.02
    redshift: float = 0.1
    scalar: float = 0.03
    infrared: float = 0.3
    ultraviolet: float = 0.05
    mixture: float = 0.08
    lost_band: float = 0.08
    queries: int = 3


@dataclass(frozen=True)
class Pattern:
    """What a batch is given and asked.

    Attributes
    ----------
    filters : ndarray of int
        Indices of the given filters.
    spherex : bool
    scalars : tuple of str
    queries : ndarray of int
        Indices of the filters asked, SPHEREx channels counted after the filters.
    """

    filters: np.ndarray
    spherex: bool
    scalars: tuple
    queries: np.ndarray


def cameras(filters):
    """Indices of filters by camera: what stands before the band in their names."""
    groups = {}
    for index, name in enumerate(filters):
        camera = name.rsplit("_", 1)[0]
        for known in (*_OPTICAL, *_INFRARED, "galex"):
            if name.startswith(known + "_"):
                camera = known
        groups.setdefault(_ALIASES.get(camera, camera), []).append(index)
    return groups


def draw_pattern(groups, n_filters, model, rng):
    """Draw what one batch is given and asked.

    Parameters
    ----------
    groups : dict
        From `cameras`.
    n_filters : int
        Number of filters; 102 SPHEREx channels follow.
    model : MaskingModel
    rng : numpy.random.Generator
    """
    u = rng.random()
    spherex = u < model.both + model.spherex_only
    broadband = u < model.both or u >= model.both + model.spherex_only + model.scalars_only
    scalars = tuple(
        name
        for name in PROPERTIES
        if rng.random() < (model.redshift if name == "redshift" else model.scalar)
    )
    if not (spherex or broadband or scalars):
        scalars = ("redshift",)
    given = _draw_filters(groups, n_filters, model, rng) if broadband else np.zeros(0, int)
    asked = rng.integers(n_filters + 102 if rng.random() < 0.5 else n_filters, size=model.queries)
    if len(given) and model.queries > 1:
        asked[0] = rng.choice(given)
    return Pattern(given, spherex, scalars, asked)


def _draw_filters(groups, n_filters, model, rng):
    if rng.random() < model.mixture:
        return np.sort(
            rng.choice(n_filters, size=min(rng.integers(2, 12), n_filters), replace=False)
        )
    optical = [c for c in _OPTICAL if c in groups]
    chance = np.array([_OPTICAL[c] for c in optical], float)
    chosen = [rng.choice(optical, p=chance / chance.sum())]
    if rng.random() < model.infrared:
        infrared = [c for c in _INFRARED if c in groups]
        chosen += list(
            rng.choice(infrared, size=min(rng.integers(1, 3), len(infrared)), replace=False)
        )
    if rng.random() < model.ultraviolet and "galex" in groups:
        chosen.append("galex")
    bands = np.concatenate([groups[c] for c in chosen])
    kept = bands[rng.random(len(bands)) >= model.lost_band]
    return kept if len(kept) >= 2 else bands
